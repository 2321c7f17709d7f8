"""Insurance: a call written down, mistakes beside their fields, two at once, a wrong entry; nothing typed is lost."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest

from integration.store import appointments
from mappings.model.visit import Change, Known, Slot

pytestmark = pytest.mark.postgres
CALL = {
    "answer": "covered",
    "asked": "Second opinion visit",
    "insurer": "Example Health Plan",
    "given_on": "2026-01-05",
    "given_time": "10:15",
    "zone": "America/Chicago",
}


def page_of(site, request_id) -> str:
    return unescape(site.get(f"/requests/{request_id}/coverage"))


def hidden(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]+)"', page).group(1)


def post(site, request_id, page="", **fields):
    page = page or site.get(f"/requests/{request_id}/coverage")
    data = {"token": hidden(page, "token"), "version": hidden(page, "version"), **fields}
    return site.client.post(f"/requests/{request_id}/coverage", data=data)


def test_a_call_is_written_down_and_each_look_and_entry_is_recorded(site):
    request_id = site.request()
    assert "Nobody has asked yet" in page_of(site, request_id)
    assert "Kept" in site.told(post(site, request_id, **CALL, reference="C-20417", required="yes"))
    page = page_of(site, request_id)
    assert (
        "C-20417" in page and "The insurer requires this second opinion" in page and "written down by" in page.lower()
    )
    assert site.audited("coverage.looked-at") and site.audited("coverage.recorded")[0].request_id == request_id
    assert f"/requests/{request_id}/coverage" in site.get(f"/requests/{request_id}")


def test_an_answer_without_a_date_has_a_sentence_beside_the_field_and_keeps_what_was_typed(site):
    request_id = site.request()
    answer = post(site, request_id, **{**CALL, "given_on": ""}, reference="C-20417")
    page = unescape(answer.text)
    assert answer.status_code == 400 and "without a date nobody knows" in page
    assert 'id="given_on-error"' in page and 'value="C-20417"' in page and 'value="Example Health Plan"' in page
    assert not site.audited("coverage.recorded")


@pytest.mark.parametrize(
    ("more", "words"),
    [({"given_on": "2999-01-01"}, "in the future"), ({"expires_on": "2025-12-31"}, "before it was given")],
)
def test_days_that_cannot_be_are_refused(site, more, words):
    request_id = site.request()
    answer = post(site, request_id, **{**CALL, **more})
    assert answer.status_code == 400 and words in unescape(answer.text)


def test_of_two_at_once_the_second_is_told_and_loses_nothing(site):
    request_id = site.request()
    page = site.get(f"/requests/{request_id}/coverage")
    assert "Kept" in site.told(post(site, request_id, page, **CALL))
    second = post(site, request_id, page, **{**CALL, "answer": "not-covered"}, person="R. Example")
    shown = unescape(second.text)
    assert second.status_code == 409 and "Somebody else wrote something" in shown and "when you looked" in shown
    assert 'value="R. Example"' in shown and "10:15" in shown
    assert "Kept" in site.told(post(site, request_id, second.text, **{**CALL, "answer": "not-covered"}))
    page = page_of(site, request_id)
    assert "a later answer counts" in page and "was asked for January 2026" in page


def test_the_same_form_sent_twice_is_one_answer(site):
    request_id = site.request()
    page = site.get(f"/requests/{request_id}/coverage")
    post(site, request_id, page, **CALL)
    post(site, request_id, **CALL)
    assert len(site.audited("coverage.recorded")) == 1


def test_a_wrong_entry_is_corrected_by_a_new_one_and_both_stay(site):
    request_id = site.request()
    post(site, request_id, **CALL)
    right = {**CALL, "answer": "not-covered", "corrects": "answer-1"}
    assert post(site, request_id, **right).status_code == 400, "a correction says what was wrong"
    assert "Kept" in site.told(post(site, request_id, **right, correction="it was about another plan"))
    page = page_of(site, request_id)
    assert "corrected by a later entry" in page and "it was about another plan" in page
    assert site.audited("coverage.corrected")
    again = {**right, "correction": "once more", "answer": "unclear"}
    assert "corrected already" in unescape(post(site, request_id, **again).text)
    assert "no entry of that name" in unescape(post(site, request_id, **{**again, "corrects": "answer-9"}).text)


def test_another_sites_form_is_refused_and_an_unknown_request_is_404(site):
    request_id = site.request()
    answer = post(site, request_id, **{**CALL, "token": "forged"})
    assert answer.status_code == 403 and 'value="Example Health Plan"' in answer.text
    site.get("/requests/nobody/coverage", 404)


def test_where_a_visit_is_booked_its_month_decides_whether_an_answer_still_holds(site):
    request_id = site.request(wanted_by="2027-03-01")
    assert site.client.get(f"/api/requests/{request_id}/coverage").json["visit"] == "2027-03-01"
    slot = Slot(datetime(2027, 2, 1, 3, 0, tzinfo=UTC), "America/Chicago")
    with site.engine.begin() as conn:
        appointments.keep(conn, request_id, Change.BOOKED, slot, Known.HAND, expected=0, actor="t")
    assert site.client.get(f"/api/requests/{request_id}/coverage").json["visit"] == "2027-01-31", "in its own zone"
    assert "the day of the visit" in unescape(site.get(f"/requests/{request_id}/suitability"))
