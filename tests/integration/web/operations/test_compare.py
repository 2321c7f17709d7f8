"""Who the patient is at an endpoint: both persons side by side, masked, chosen and not typed, and undone."""

import json
import re
from html import unescape

import pytest

from integration.store import patient_links
from integration.store.roles import Role
from tests.integration.web.access.guarded import hidden
from tests.integration.web.test_command_line_twins import run  # noqa: F401  (fixture)
from tests.jobs.exchange import patient

pytestmark = pytest.mark.postgres
SAME = patient(id="1")
MARRIED = patient(id="2", name=[{"family": "Married", "given": ["Ada"]}], birthDate="1960-01-02")
RETIRED = patient(id="3", active=False)
SECRETS = ("Synthetic-Test", "Married", "1960-01-0", "M1 (", "Ada")
ABOUT = {
    "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
    "name": {"family": "Synthetic-Test", "given": ["Ada"]},
    "birth_date": "1960-01-01",
    "sex": "female",
}


def found(site, *people, key: str = "k1") -> str:
    """A request whose step at Mercy found these people and waits."""
    request_id = site.request(key, patient=ABOUT)
    site.waiting = site.step("match_people", "mercy", request_id=request_id, cause="patient-several")
    rows = [(f"Patient/{each['id']}", site.payloads.put(json.dumps(each).encode()), "name-differs") for each in people]
    with site.engine.begin() as conn:
        patient_links.set_candidates(conn, request_id, "mercy", rows)
    return request_id


def at(request_id: str, do: str = "") -> str:
    return f"/requests/{request_id}/patient/mercy{do}"


def post(site, request_id: str, do: str = "", **fields):
    return site.client.post(
        at(request_id, do), data={"token": hidden(site.get(at(request_id)))["token"], "reason": "called", **fields}
    )


def link_of(site, request_id):
    with site.engine.connect() as conn:
        return patient_links.of(conn, request_id, "mercy")


def test_it_is_masked_and_says_what_agrees_and_what_differs(site):
    page = site.get(at(found(site, SAME, MARRIED, RETIRED)))
    assert not [secret for secret in SECRETS if secret in page] and "••••••" in page
    assert "surely the same person" in page and "the names differ; the birth dates differ" in page
    assert "cannot be the patient" in page and "inactive" in page
    assert page.count('type="radio"') == 3, "two who could be meant, and somebody else"


def test_both_persons_are_shown_with_a_reason_that_is_recorded_first(guarded):
    request_id = found(guarded, MARRIED)
    guarded.as_(Role.CLINICAL_DATA)
    assert post(guarded, request_id, reason=" ").status_code == 400 and guarded.audited("patient.compared") == []
    shown = post(guarded, request_id, reason="called about it")
    assert shown.headers["Cache-Control"] == "no-store"
    assert "Ada Synthetic-Test" in shown.text and "Ada Married" in shown.text and "1960-01-02" in shown.text
    [row] = guarded.audited("patient.compared")
    assert (row.actor, row.subject, row.reason) == ("olga", "mercy", "called about it")
    assert not [secret for secret in SECRETS if secret in guarded.get(at(request_id))]


@pytest.mark.parametrize("do", ["", "/link", "/unlink"])
def test_linking_and_looking_need_the_clinical_right(guarded, do):
    request_id = found(guarded, SAME)
    guarded.as_(Role.OPERATOR)
    page = guarded.get(at(request_id))
    assert "Only for those with the role clinical-data." in page and 'type="radio"' not in page
    token = unescape(re.search(r'name="token" value="([^"]+)"', page).group(1))
    data = {"token": token, "reason": "called", "reference": "Patient/1"}
    assert guarded.client.post(at(request_id, do), data=data).status_code == 403
    assert link_of(guarded, request_id) is None


def test_who_is_surely_the_patient_is_linked_and_what_waited_is_due(site):
    request_id = found(site, SAME)
    assert post(site, request_id, "/link", reference="Patient/1").status_code == 303
    made = link_of(site, request_id)
    assert (made.reference, made.origin, made.reason, made.doubts) == ("Patient/1", "person", "called", ())
    assert site.row(site.waiting).status == "due" and len(site.audited("patient.linked")) == 1


def test_where_the_two_differ_a_second_word_is_wanted_and_nothing_chosen_is_lost(site):
    request_id = found(site, MARRIED)
    answer = post(site, request_id, "/link", reference="Patient/2")
    assert (
        answer.status_code == 400 and "the names differ" in answer.text and "Confirm that they are one" in answer.text
    )
    assert re.search(r'value="Patient/2" checked', answer.text) and ">called</textarea>" in answer.text
    assert link_of(site, request_id) is None and site.row(site.waiting).status == "parked"
    assert post(site, request_id, "/link", reference="Patient/2", confirmed="yes").status_code == 303
    made = link_of(site, request_id)
    assert made.confirmed and made.doubts == ("name-differs", "birth-date-differs")


@pytest.mark.parametrize(
    ("reference", "typed", "says"),
    [
        ("Patient/3", "", "cannot be the patient"),
        ("typed", "Practitioner/1", "give the patient as Patient/&lt;id&gt;"),
        ("typed", "https://elsewhere.example/Patient/1", "give the patient as Patient/&lt;id&gt;"),
        ("typed", "", "choose who it is"),
        ("", "", "choose who it is"),
    ],
)
def test_whom_it_cannot_be_is_refused_whatever_is_confirmed(site, reference, typed, says):
    request_id = found(site, RETIRED)
    answer = post(site, request_id, "/link", reference=reference, typed=typed, confirmed="yes")
    assert answer.status_code == 400 and says in answer.text and link_of(site, request_id) is None


def test_somebody_whom_no_step_has_found_is_read_by_the_next_one(site):
    request_id = found(site)
    assert post(site, request_id, "/link", reference="typed", typed="Patient/77").status_code == 303
    made = link_of(site, request_id)
    assert (made.reference, made.confirmed, made.found) == ("Patient/77", False, None)


def test_a_link_is_undone_and_says_what_went_there(site):
    request_id = found(site, SAME)
    post(site, request_id, "/link", reference="Patient/1")
    page = site.get(at(request_id))
    assert "Linked now" in page and "by web" in page
    answer = post(site, request_id, "/unlink", reason="the wrong one")
    assert "Unlinked. Went to Patient/1 meanwhile: nothing." in site.told(answer)
    assert link_of(site, request_id) is None
    assert [row.reason for row in site.audited("patient.unlinked")] == ["the wrong one"]
    assert post(site, request_id, "/unlink").status_code == 409


def test_a_person_linked_for_another_request_is_told_and_not_taken_over(site):
    first = found(site, MARRIED)
    post(site, first, "/link", reference="Patient/2", confirmed="yes")
    second = site.request("k2", patient=ABOUT)
    with site.engine.begin() as conn:
        kept = site.payloads.put(json.dumps(MARRIED).encode())
        patient_links.set_candidates(conn, second, "mercy", [("Patient/2", kept, "name-differs")])
    page = site.get(at(second))
    assert f"linked this record for request {first}" in page and link_of(site, second) is None


def test_no_page_is_made_for_an_endpoint_of_another_request(site):
    request_id = site.request(patient=ABOUT)
    assert "neither the placer nor the fulfiller" in site.get(f"/requests/{request_id}/patient/bob", 409)
    site.get("/requests/r0/patient/mercy", 404)


def test_hostile_words_of_a_candidate_are_text(site):
    request_id = found(site, patient(id="9", name=[{"family": "<script>alert(1)</script>", "given": ["\u202eAda"]}]))
    shown = post(site, request_id).text
    assert "<script>alert" not in shown and "\u202e" not in shown


def test_the_command_says_the_same(site, run):  # noqa: F811
    request_id = found(site, MARRIED, RETIRED)
    masked = run("patients", "compare", request_id, "mercy")
    assert "Patient/2: not certain: the names differ" in masked and "Patient/3: cannot be the patient" in masked
    assert not [secret for secret in SECRETS if secret in masked]
    assert "--show needs --reason" in run("patients", "compare", request_id, "mercy", "--show", code=2)
    assert "Ada Married" in run("patients", "compare", request_id, "mercy", "--show", "--reason", "called")
    assert len(site.audited("patient.compared")) == 1
    link = ("patients", "link", request_id, "mercy")
    assert "--confirm" in run(*link, "Patient/2", "--reason", "called", code=1)
    assert "cannot be the patient" in run(*link, "Patient/3", "--confirm", "--reason", "called", code=1)
    run(*link, "Patient/2", "--confirm", "--reason", "called")
    assert "by cli" in run("patients", "compare", request_id, "mercy")
    assert "went there meanwhile: nothing" in run("patients", "unlink", request_id, "mercy", "--reason", "wrong")
    assert link_of(site, request_id) is None
