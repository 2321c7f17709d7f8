"""Who a request is about: masked until somebody asks, recorded before it is shown, in no address and no cache."""

import re

import pytest

from integration.store.roles import Role
from integration.web.operations import patient
from tests.integration.web.access.guarded import hidden

pytestmark = pytest.mark.postgres
SECRETS = (
    "Synthetic-Test",
    "1960-05-04",
    "00123",
    "synthetic diagnosis",
    "Is surgery needed?",
    "Can I wait?",
    "urn:test:mrn",
)
PANEL = '<section aria-labelledby="patient"'  # after what renews itself
ABOUT = {
    "patient": {"identifiers": [{"system": "urn:test:mrn", "value": "00123"}], "birth_date": "1960-05-04",
                "name": {"family": "Synthetic-Test", "given": ["Ada", "B."]}},
    "patient_questions": ["Can I wait?"],
}  # fmt: skip


def panel_token(page: str) -> str:
    return hidden(page[page.index(PANEL) :])["token"]


def test_the_patient_is_masked_until_asked_for_and_the_look_is_recorded(guarded):
    request_id = guarded.request(**ABOUT)
    client = guarded.as_(Role.CLINICAL_DATA)
    masked = guarded.get(f"/requests/{request_id}")
    assert not [secret for secret in SECRETS if secret in masked] and masked.count("••••••") == 7
    answer = client.post(f"/requests/{request_id}", data={"token": panel_token(masked), "reason": "called about it"})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    assert [secret for secret in SECRETS if secret not in answer.text] == [] and "Ada B. Synthetic-Test" in answer.text
    [look] = guarded.audited("patient.looked-at")
    assert (look.actor, look.request_id, look.reason) == ("olga", request_id, "called about it")
    renewed = answer.text.partition('<div id="live">')[2].partition(PANEL)[0]
    assert renewed and not [secret for secret in SECRETS if secret in renewed], "what renews itself holds nothing of it"
    assert not [secret for secret in SECRETS if secret in guarded.get(f"/requests/{request_id}")], (
        "the next page is masked again"
    )


def test_nothing_is_shown_without_a_reason(guarded):
    request_id = guarded.request(**ABOUT)
    client = guarded.as_(Role.CLINICAL_DATA)
    token = panel_token(guarded.get(f"/requests/{request_id}"))
    answer = client.post(f"/requests/{request_id}", data={"token": token, "reason": " "})
    assert answer.status_code == 400 and "Synthetic-Test" not in answer.text
    assert guarded.audited("patient.looked-at") == []


def test_the_look_is_recorded_before_it_is_read(guarded, monkeypatch):
    request_id = guarded.request(**ABOUT)
    client = guarded.as_(Role.CLINICAL_DATA)
    token = panel_token(guarded.get(f"/requests/{request_id}"))
    monkeypatch.setattr(patient, "facts", lambda content: 1 / 0)
    assert client.post(f"/requests/{request_id}", data={"token": token, "reason": "called"}).status_code == 500
    assert len(guarded.audited("patient.looked-at")) == 1


def test_it_shows_nothing_without_the_role_without_our_form_and_for_no_request(guarded):
    request_id = guarded.request(**ABOUT)
    for name, roles in (("ada", (Role.ADMIN,)), ("otto", (Role.OPERATOR,))):
        client = guarded.as_(*roles, name=name)
        page = guarded.get(f"/requests/{request_id}")
        assert (
            re.search(r"<button[^>]*disabled[^>]*>Show", page) and "Only for those with the role clinical-data." in page
        )
        refused = client.post(f"/requests/{request_id}", data={"token": panel_token(page)})
        assert refused.status_code == 403 and "needs the role clinical-data" in refused.text
    client = guarded.as_(Role.CLINICAL_DATA)
    forged = client.post(f"/requests/{request_id}", data={"token": "x"})
    assert (
        forged.status_code == 403
        and "Synthetic-Test" not in forged.text
        and "did not come from this page" in forged.text
    )
    token = panel_token(guarded.get(f"/requests/{request_id}"))
    assert client.post("/requests/r0", data={"token": token, "reason": "called"}).status_code == 404
    assert guarded.audited("patient.looked-at") == []


def test_hostile_text_about_a_patient_is_text(site):
    hostile = {
        "identifiers": [{"system": "urn:x", "value": '"><script>alert(1)</script>'}],
        "name": {"family": "\u202eevil", "given": ["<img src=x>"]},
    }
    request_id = site.request(patient=hostile, question="q" * 1_000_000)
    shown = site.client.post(
        f"/requests/{request_id}", data={"token": panel_token(site.get(f"/requests/{request_id}")), "reason": "called"}
    )
    assert (
        shown.status_code == 200
        and "<script>alert" not in shown.text
        and "<img" not in shown.text
        and "\u202e" not in shown.text
    )
    assert len(shown.text) < 100_000
    assert [row.actor for row in site.audited("patient.looked-at")] == ["web"], "with sign-in off it is recorded too"
