"""The page and the API of a visit: what is typed wrong is said, nothing typed is lost, and each says what the other does."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.web.site import Site

CALENDAR = """
  chicago: {base_url: "https://chicago.example.org/fhir", role: fulfiller, name: Lakeside, identifier_system: "urn:test:chicago",
            calendar: {zone: America/Chicago, country: US}}
"""
TYPED = {"do": "book", "clock": "10:00", "minutes": "60", "told_by": "Scheduling desk", "place": "200 Main Street"}


@pytest.fixture
def site(tmp_path, database):
    return Site(tmp_path, database, CALENDAR)


def post(site, request_id, **typed):
    address = f"/requests/{request_id}/visit"
    hidden = {name: values[0] for name, values in site.form(address).items()}
    return site.client.post(address, data=hidden | TYPED | typed)


def wednesday() -> str:
    day = datetime.now(UTC).date() + timedelta(days=70)
    return (day + timedelta(days=(2 - day.weekday()) % 7)).isoformat()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"day": "2032-03-14", "clock": "02:30"}, "there is no 02:30 on March 14, 2032 in America/Chicago"),
        ({"day": "2032-02-30"}, "give the day as 2026-12-31"),
        ({"day": "2020-01-15"}, "that time is over"),
        ({"day": "2032-01-14", "minutes": "-5"}, "give the minutes as a whole number"),
        ({"day": "2032-01-14", "told_by": " "}, "Say who told you"),
        ({"day": "2032-01-14", "do": "cancel"}, "Write why"),
        ({"day": "2032-01-14", "do": "vanish"}, "Press one of the buttons"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_there(site, typed, says):
    request_id = site.request(fulfiller="chicago")
    answer = post(site, request_id, **typed)
    assert answer.status_code == 409 and says.lower() in answer.text.lower()
    if typed.get("do", "book") == "book":
        assert 'value="200 Main Street"' in answer.text
    assert not site.audited("visit.booked")


def test_a_time_that_a_night_has_twice_is_asked_about(site):
    request_id = site.request(fulfiller="chicago")
    answer = post(site, request_id, day="2032-11-07", clock="01:30")
    assert answer.status_code == 400 and "The second time, an hour later" in answer.text
    answer = post(site, request_id, day="2032-11-07", clock="01:30", which="second")
    assert "which it is closed" in answer.text  # a Sunday
    answer = post(
        site, request_id, day="2032-11-07", clock="01:30", which="second", confirm="closed", reason="they open for us"
    )
    assert answer.status_code == 303


def test_a_kept_visit_has_a_calendar_entry_and_a_late_form_is_told_who_was_first(site):
    request_id = site.request(fulfiller="chicago")
    hidden = {name: values[0] for name, values in site.form(f"/requests/{request_id}/visit").items()}
    assert post(site, request_id, day=wednesday()).status_code == 303
    late = site.client.post(f"/requests/{request_id}/visit", data=hidden | TYPED | {"day": wednesday()})
    assert late.status_code == 409 and ("was first" in late.text or "cannot become" in late.text)
    entry = site.client.get(f"/requests/{request_id}/visit/appointment.ics")
    assert entry.mimetype == "text/calendar" and "METHOD:PUBLISH" in entry.text
    assert len(site.audited("visit.calendar-made")) == 1
    assert "so that they are there before the visit" in site.get(f"/requests/{request_id}")
    assert f"/requests/{request_id}/visit" in site.get(f"/cases/{request_id}")


def test_the_api_does_what_the_page_does(site):
    request_id = site.request(fulfiller="chicago")
    address = f"/api/requests/{request_id}/visit"
    found = site.client.get(address).json
    assert (found["visit"], found["version"], found["current"]) == ("none", 0, None)
    start = f"{wednesday()}T16:00:00Z"
    kept = site.client.post(
        address, json={"reason": "booked by phone", "start": start, "told_by": "desk", "version": 0}
    )
    assert kept.status_code == 200 and kept.json["current"]["zone"] == "America/Chicago", kept.json
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for body, says in (
        ({"change": "rescheduled", "start": soon}, "in `confirm`"),
        ({"change": "rescheduled", "start": start, "version": 0}, "was first"),
        ({"change": "rescheduled", "start": start, "zone": "America/Chikago"}, "is no time zone"),
        ({"change": "no-show"}, "still to come"),
        ({"endpoint": "chicago", "reference": "Appointment/1"}, "no appointment Appointment/1 is offered"),
    ):
        refused = site.client.post(address, json={"reason": "tested", **body})
        assert refused.status_code == 409 and says in refused.json["detail"], refused.json
    assert site.client.post(address, json={"reason": "x", "start": "2032-01-14T10:00:00"}).status_code == 400
    gone = site.client.post(address, json={"reason": "slides", "change": "cancelled", "cancelation": "meds-inc"})
    assert gone.json["current"]["cancelation"] == "meds-inc" and gone.json["visit"] == "cancelled"
