"""Appointments of an EHR, over HTTP and our own servers: offered, linked by a person, followed; and ours written down."""

from datetime import UTC, datetime, timedelta

import pytest

from integration import checklists, visit_reading, visits
from integration.store import appointments, checklist_facts, patient_links, requests, steps
from integration.store.checklist_facts import Topic
from integration.visit_reading import House
from integration.visits import Said
from mappings.model.states import Visit
from mappings.model.visit import Change, Known, Slot
from tests.jobs.exchange import a_request, load_chart
from tests.servers.scheduling import Scheduling

CALENDAR = "calendar: {zone: America/Chicago, country: US}"
START = (datetime.now(UTC) + timedelta(days=60)).replace(hour=16, minute=0, second=0, microsecond=0)
while START.weekday() > 3:
    START += timedelta(days=1)


def appointment(patient: str, **elements) -> dict:
    start = elements.pop("start", START)
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "participant": [
            {"actor": {"reference": patient}, "status": "accepted"},
            {"actor": {"display": "Room 2"}, "status": "accepted"},
        ],
        **elements,
    }


def world(make_exchange, appointments_at_bob: str):
    exchange = make_exchange(at_bob=f"appointments: {appointments_at_bob}, {CALENDAR}")
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    (patient,) = exchange.find("bob", "Patient")
    return exchange, request_id, f"Patient/{patient['id']}", House(exchange.engine, exchange.payloads, exchange.config)


def current(exchange, request_id):
    with exchange.engine.connect() as conn:
        return appointments.current(conn, request_id), requests.get(conn, request_id)


def said(**values) -> Said:
    return Said(**{"now": datetime.now(UTC), "actor": "ann", "reason": "tested"} | values)


def test_an_appointment_is_offered_linked_by_a_person_and_followed_to_the_end(make_exchange):
    exchange, request_id, patient, house = world(make_exchange, "read")
    other = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    made = exchange.put("bob", appointment(patient))
    exchange.put("bob", appointment(patient, status="cancelled"))
    exchange.put("bob", appointment(f"Patient/{other['id']}"))
    exchange.watch()
    reading = visit_reading.read(house, request_id, datetime.now(UTC))
    assert [each.reference for each in reading.found] == [f"Appointment/{made['id']}"] and reading.current is None
    kept = visits.link(house, request_id, "bob", f"Appointment/{made['id']}", said())
    assert (kept.known, kept.start_at) == (Known.FOUND, START)
    due = current(exchange, request_id)[1].records_due_at
    made = exchange.change(
        "bob", made, start=(START + timedelta(days=7)).isoformat(), end=(START + timedelta(days=7, hours=1)).isoformat()
    )
    exchange.watch()
    moved, row = current(exchange, request_id)
    assert (moved.change, moved.actor, row.visit) == ("rescheduled", "exchange", "booked")
    assert moved.start_at == START + timedelta(days=7) and row.records_due_at > due
    assert visit_reading.read(house, request_id, datetime.now(UTC)).found == ()  # what is linked is not offered
    exchange.change("bob", made, status="cancelled")
    exchange.watch()
    gone, row = current(exchange, request_id)
    assert (gone.change, row.visit, row.visit_at) == ("cancelled", "cancelled", None)


@pytest.mark.parametrize(("status", "visit"), [("noshow", Visit.NO_SHOW), ("fulfilled", Visit.COMPLETED)])
def test_what_became_of_a_linked_visit_moves_the_track(make_exchange, status, visit):
    exchange, request_id, patient, house = world(make_exchange, "read")
    made = exchange.put("bob", appointment(patient))
    exchange.watch()
    visits.link(house, request_id, "bob", f"Appointment/{made['id']}", said())
    exchange.change("bob", made, status=status)
    exchange.later(days=65)
    exchange.watch()
    assert current(exchange, request_id)[1].visit == visit


def test_a_visit_that_a_person_recorded_is_an_appointment_at_the_practice_and_changes_with_it(make_exchange):
    exchange, request_id, patient, house = world(make_exchange, "write")
    slot = Slot(START, "America/Chicago", START + timedelta(hours=1), "200 Main Street", "Dr. Lake")
    visits.change(house, request_id, Change.BOOKED, said(told_by="desk"), slot)
    exchange.drain()
    exchange.watch()
    (there,) = exchange.find("bob", "Appointment")
    assert (there["status"], there["participant"][0]["actor"]["reference"]) == ("booked", patient)
    assert visit_reading.read(house, request_id, datetime.now(UTC)).found == ()  # ours is not offered to ourselves
    visits.change(house, request_id, Change.CANCELLED, said(cancelation="meds-inc"))
    exchange.drain()
    (there,) = exchange.find("bob", "Appointment")
    assert (there["status"], there["cancelationReason"]["coding"][0]["code"]) == ("cancelled", "meds-inc")
    visits.change(house, request_id, Change.BOOKED, said(told_by="desk"), slot)
    exchange.drain()
    assert sorted(each["status"] for each in exchange.find("bob", "Appointment")) == ["booked", "cancelled"]


@pytest.mark.long
def test_what_is_waited_for_no_more_moves_the_due_time_at_once(make_exchange):
    exchange, request_id, _, house = world(make_exchange, "none")
    slot = Slot(START, "America/Chicago", START + timedelta(hours=1), "200 Main Street", "Dr. Lake")
    visits.change(house, request_id, Change.BOOKED, said(told_by="desk"), slot)
    exchange.drain()
    due = current(exchange, request_id)[1].records_due_at
    for kind in checklists.catalog_of(exchange.config, "bob").kinds:
        with exchange.engine.begin() as conn:
            catalog = checklists.catalog_of(exchange.config, "bob")
            checklist_facts.say(conn, catalog, request_id, Topic.ITEM, kind, "waived", actor="ann", reason="not needed")
    exchange.drain()
    assert current(exchange, request_id)[1].records_due_at > due


def test_where_appointments_cannot_be_searched_it_is_told_and_the_linked_one_is_still_followed(make_exchange):
    with Scheduling() as server:
        server.searches_appointments = False
        exchange = make_exchange(bob=server.address, at_bob=f"appointments: read, {CALENDAR}")
        request_id = exchange.submit(a_request())
        house = House(exchange.engine, exchange.payloads, exchange.config)
        with exchange.engine.begin() as conn:
            steps.cancel_open(conn, request_id, reason="only the watch is tried")
            patient_links.set_link(conn, request_id, "bob", "Patient/p1", origin="person", actor="ann")
        server.put({**appointment("Patient/p1"), "id": "a1"})
        slot = Slot(START, "America/Chicago", START + timedelta(hours=1), "", "", "bob", "Appointment/a1")
        visits.change(house, request_id, Change.BOOKED, said(), slot)
        exchange.drain()
        assert "appointments-not-searched" in exchange.causes() and exchange.parked(request_id) == []
        server.put({**appointment("Patient/p1", status="cancelled"), "id": "a1"})
        exchange.watch()
        assert current(exchange, request_id)[1].visit == "cancelled"


def test_the_consultants_task_says_the_visit_once_there_is_one(make_exchange):
    exchange, request_id, _, house = world(make_exchange, "none")
    end = lambda: exchange.find("bob", "Task")[0].get("restriction", {}).get("period", {}).get("end")  # noqa: E731
    assert end() is None
    visits.change(house, request_id, Change.BOOKED, said(), Slot(START, "America/Chicago"))
    exchange.drain()
    assert datetime.fromisoformat(end()) == START and not exchange.parked(request_id)
    visits.change(house, request_id, Change.CANCELLED, said())
    exchange.drain()
    assert end() is None
