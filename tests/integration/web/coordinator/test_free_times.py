"""Free times on a page and in the API: what is chosen wrong is said, nothing typed is lost, and each says what the other does."""

from datetime import UTC, datetime, timedelta

import pytest

from integration.store import bookings, patient_links
from tests.integration.web.site import Site
from tests.servers.scheduling import Scheduling, schedule, slot

START = (datetime.now(UTC) + timedelta(days=70)).replace(hour=16, minute=0, second=0, microsecond=0)
while START.weekday() != 2:
    START += timedelta(days=1)
HOUR = timedelta(hours=1)
CONFIG = """
  chicago: {{base_url: "{address}", role: fulfiller, name: Lakeside, identifier_system: "urn:test:chicago", appointments: book,
            contact: "IT desk, +1 555 0100", calendar: {{zone: America/Chicago, country: US}}}}
  denver: {{base_url: "https://denver.example.org/fhir", role: placer, name: Denver Clinic, identifier_system: "urn:test:denver",
           default_fulfiller: chicago, calendar: {{zone: America/Denver, country: US}}}}
"""


@pytest.fixture
def server():
    early = datetime.now(UTC).replace(hour=16, minute=0, second=0, microsecond=0) + timedelta(days=2)
    with Scheduling(schedule(), slot(1, START, START + HOUR), slot(2, early, early + HOUR)) as made:
        made.early = early
        yield made


@pytest.fixture
def site(tmp_path, database, server):
    made = Site(tmp_path, database, CONFIG.format(address=server.address))
    made.request_id = made.request(fulfiller="chicago", placer="denver")
    with made.engine.begin() as conn:
        patient_links.set_link(conn, made.request_id, "chicago", "Patient/p1", origin="person", actor="ann")
    made.times = f"/requests/{made.request_id}/visit/times"
    return made


def hidden_of(site) -> dict:
    return {name: values[0] for name, values in site.form(site.times).items() if name in ("token", "expected")}


def post(site, hidden=None, **typed):
    return site.client.post(site.times, data=(hidden or hidden_of(site)) | typed)


def chosen(number: int, start: datetime) -> str:
    return f"Slot/t{number} {start.isoformat()}"


def stands(site) -> list[str]:
    with site.engine.connect() as conn:
        return [each.status for each in bookings.of_request(conn, site.request_id)]


def test_times_are_shown_in_both_zones_and_one_is_chosen(site):
    page = site.get(site.times)
    assert "Dr. Lake" in page and "America/Chicago" in page and "America/Denver" in page
    assert "200 Main Street" in page and "Show earlier ones" in page
    answer = post(site, slot=chosen(1, START))
    assert answer.status_code == 303 and stands(site) == ["asked"]
    assert "Lakeside is being asked for" in site.get(f"/requests/{site.request_id}/visit")
    assert "server is being asked for" in site.get(f"/cases/{site.request_id}")
    (asked,) = site.audited("visit.booking-asked")
    assert "Slot/t1" in asked.subject


def test_an_early_time_is_asked_about_and_what_was_typed_is_there(site, server):
    page = site.get(f"{site.times}?since={datetime.now(UTC).date()}")
    assert "Before the records can be there" in page
    answer = post(site, slot=chosen(2, server.early), reason="the only time")
    assert answer.status_code == 400 and "The records need until" in answer.text
    assert 'value="the only time"' in answer.text and stands(site) == []
    warns = [each for each in ("records", "closed") if f'value="{each}"' in answer.text]
    answer = post(site, slot=chosen(2, server.early), reason="the only time", confirm=warns)
    assert answer.status_code == 303 and stands(site) == ["asked"]


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lambda server: server.held["Slot/t1"].update(status="busy"), "That time is not free any more"),
        (lambda server: server.held.pop("Slot/t1"), "does not offer that time any more"),
        (lambda server: server.held["Slot/t1"].update(start=(START + HOUR).isoformat()), "begins at another time now"),
    ],
)
def test_a_time_that_was_taken_while_somebody_looked_is_said_with_what_is_free(site, server, breaks, says):
    hidden = hidden_of(site)
    breaks(server)
    answer = post(site, hidden, slot=chosen(1, START))
    assert answer.status_code == 409 and says in answer.text and stands(site) == []


@pytest.mark.parametrize(
    ("typed", "status", "says"),
    [
        ({"slot": ""}, 409, "Press one of the buttons"),
        ({"slot": "Slot/t1 soon"}, 409, "Press one of the buttons"),
        ({"slot": f"Patient/1 {START.isoformat()}"}, 409, "name the time as Slot"),
        ({"slot": "Slot/t1 2020-01-15T10:00:00Z"}, 409, "that time is over"),
        ({"slot": f"Slot/t1 {START.isoformat()}", "expected": "7"}, 409, "was changed meanwhile"),
        ({"slot": f"Slot/t1 {START.isoformat()}", "token": "x"}, 403, ""),
    ],
)
def test_what_is_wrong_is_said(site, typed, status, says):
    answer = post(site, **typed)
    assert answer.status_code == status and says.lower() in answer.text.lower() and stands(site) == []


def test_a_first_day_that_is_none_is_said(site):
    answer = site.client.get(f"{site.times}?since=31.12.2026")
    assert answer.status_code == 400 and "Write the first day as 2026-12-31" in answer.text


def test_a_server_that_is_away_is_said_with_whom_to_call(site, server):
    server.away = True
    page = site.get(site.times)
    assert "Lakeside does not answer now" in page and "IT desk" in page and "book by phone" in page


def test_where_nothing_is_booked_the_visit_page_says_so(site):
    request_id = site.request(key="k2", fulfiller="mercy")
    page = site.get(f"/requests/{request_id}/visit")
    assert "No times are booked at Mercy Hospital from here" in page and "Record the visit" in page
    assert "book there, and record the visit by hand" in site.get(f"/requests/{request_id}/visit/times")


def test_the_api_does_what_the_page_does(site, server):
    address = f"/api{site.times}"
    found = site.client.get(address).json
    assert (found["zone"], found["patient_zone"], found["times"][0]["slot"]) == (
        "America/Chicago",
        "America/Denver",
        "Slot/t1",
    )
    assert site.client.get(f"{address}?since=soon").status_code == 400
    start = START.isoformat()
    for body, status, says in (
        ({"slot": "Slot/t2", "start": server.early.isoformat()}, 409, "in `confirm`"),
        ({"slot": "Slot/t9", "start": start}, 409, "is not free any more"),
        ({"slot": "Slot/t1", "start": start, "version": 4}, 409, "was changed meanwhile"),
        ({"slot": "Slot/t1", "start": "2032-01-14T10:00:00"}, 400, "start"),
    ):
        refused = site.client.post(address, json={"reason": "tested", **body})
        assert refused.status_code == status and says in refused.json["detail"], refused.json
    kept = site.client.post(address, json={"reason": "tested", "slot": "Slot/t1", "start": start, "version": 0})
    assert kept.status_code == 200 and kept.json["bookings"][0]["status"] == "asked"
    server.away = True
    assert site.client.get(address).status_code == 503
