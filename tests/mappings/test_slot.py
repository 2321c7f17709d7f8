"""Free times and the Appointment that books one, from plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.fhir.models import structure_problems
from mappings.model.booking import MAY, OWED, WAITS, BookingWord, Why
from mappings.slot import FreeTime, booked_in, differs, of_patient, outcome_of, read_slot, to_booking
from tests.servers.scheduling import schedule, slot

BASES = ("https://here.example.org/fhir",)
START = datetime(2027, 1, 14, 16, tzinfo=UTC)
END = START + timedelta(hours=1)
SCHEDULES = {"Schedule/s1": schedule()}


def test_a_free_slot_says_when_with_whom_where_and_for_what():
    assert read_slot(slot(1, START, END), SCHEDULES, BASES) == FreeTime(
        "Slot/t1", START, END, "Schedule/s1", "200 Main Street", "Dr. Lake", "Consultation"
    )
    there = slot(1, START, END, schedule={"reference": f"{BASES[0]}/Schedule/s1"})
    assert read_slot(there, SCHEDULES, BASES).schedule == "Schedule/s1"
    elsewhere = slot(1, START, END, schedule={"reference": "https://other.example.org/Schedule/s1"})
    assert (read_slot(elsewhere, SCHEDULES, BASES).with_whom, read_slot(elsewhere, SCHEDULES, BASES).schedule) == (
        "",
        "",
    )


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": "busy"}, Why.BUSY),
        ({"status": "busy-tentative"}, Why.BUSY),
        ({"status": None}, Why.BUSY),
        ({"start": "2027-01-14T16:00:00"}, Why.GONE),  # no zone: no instant
        ({"start": None}, Why.GONE),
        ({"id": ""}, Why.GONE),
        ({"resourceType": "Schedule"}, Why.GONE),
    ],
)
def test_what_is_no_free_time_says_why(changed, why):
    assert read_slot(slot(1, START, END) | changed, SCHEDULES, BASES) is why


def test_a_time_is_the_one_that_was_seen_or_says_why_not():
    assert differs(slot(1, START, END), START) is Why.NONE
    assert differs(slot(1, END, END), START) is Why.MOVED
    assert differs({}, START) is Why.GONE
    zone = slot(1, START, END) | {"start": "2027-01-14T10:00:00-06:00"}
    assert differs(zone, START) is Why.NONE


def test_the_appointment_is_valid_and_says_nothing_of_why():
    made = to_booking(
        slot(1, START, END, specialty=[{"text": "Oncology"}], comment="cancer clinic"),
        schedule(),
        "Patient/p1",
        identifier={"system": "urn:test", "value": "r1-booking-1"},
    )
    assert structure_problems(made) == []
    assert "ncology" not in str(made) and "cancer" not in str(made)
    assert outcome_of(made | {"id": "1"}, START, "Patient/p1", BASES) == "booked"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"status": "pending"}, "pending"),
        ({"status": "waitlist"}, "pending"),
        ({"status": "cancelled"}, "declined"),
        ({"status": "entered-in-error"}, "declined"),
        ({"status": "of-its-own"}, "declined"),
        ({"start": END.isoformat()}, "other-time"),
        ({"start": None}, "other-time"),
        ({"participant": [{"actor": {"reference": "Patient/other"}}]}, "other-patient"),
        ({"participant": None}, "other-patient"),
    ],
)
def test_what_was_read_back_counts(changed, says):
    made = to_booking(slot(1, START, END), schedule(), "Patient/p1", identifier={"system": "s", "value": "v"})
    assert outcome_of(made | changed, START, "Patient/p1", BASES) == says


def test_only_living_appointments_of_that_slot_count():
    made = to_booking(slot(1, START, END), schedule(), "Patient/p1", identifier={"system": "s", "value": "v"})
    found = [
        made,
        made | {"status": "cancelled"},
        made | {"slot": [{"reference": "Slot/t2"}]},
        {"resourceType": "Slot"},
    ]
    assert booked_in("Slot/t1", found, BASES) == [made]
    assert list(of_patient(found, "Patient/p1", BASES)) == found[:3] and not list(of_patient(found, "Patient/2", BASES))


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5) | st.integers(), lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["id", "status", "start", "end", "schedule", "reference", "actor", "participant", "slot", "appointmentType"]), some, max_size=4), max_leaves=12))  # fmt: skip
def test_whatever_a_server_writes_is_read_or_left_out(value):
    resource = (
        {"resourceType": "Slot", **value} if isinstance(value, dict) else {"resourceType": "Slot", "schedule": value}
    )
    assert isinstance(read_slot(resource, {"Schedule/s1": resource}, BASES), (FreeTime, Why))
    assert outcome_of(resource, START, "Patient/p1", BASES) == "other-patient"
    booked_in("Slot/1", [resource], BASES)


def test_what_waits_ends_and_what_ended_stays():
    assert all(MAY[each] for each in OWED) and set(WAITS) <= set(OWED)
    ends = {each for each in BookingWord if not MAY[each]}
    assert ends == {BookingWord.TAKEN, BookingWord.REFUSED, BookingWord.CANCELED, BookingWord.SET_ASIDE}
