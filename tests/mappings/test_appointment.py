"""An Appointment read and written: of another patient's nothing, without an instant nothing, and ours right by R4."""

from datetime import UTC, datetime, timedelta

import pytest
from fhir.resources.R4B.appointment import Appointment as Structure

from mappings.appointment import Seen, change_of, is_ours, read_appointment, to_appointment
from mappings.model.states import Visit
from mappings.model.visit import Change, Slot

BASE = ("https://ehr.example.org/fhir",)
START = datetime(2027, 1, 20, 16, tzinfo=UTC)
SLOT = Slot(START, "America/Chicago", START + timedelta(hours=1), "200 Main Street", "Dr. Lake")
THEIRS = {
    "resourceType": "Appointment",
    "id": "9",
    "meta": {"versionId": "3"},
    "status": "booked",
    "start": "2027-01-20T10:00:00-06:00",
    "end": "2027-01-20T11:00:00-06:00",
    "participant": [
        {"actor": {"reference": "Practitioner/1", "display": "Dr. Lake"}},
        {"actor": {"reference": "https://ehr.example.org/fhir/Patient/p"}},
        {"actor": {"reference": "Location/2", "display": "Room 2"}},
    ],
}


def test_it_reads_an_appointment_of_the_patient():
    seen = read_appointment(THEIRS, "Patient/p", BASE)
    assert seen == Seen("Appointment/9", "booked", START, START + timedelta(hours=1), "Room 2", "Dr. Lake", "3")


@pytest.mark.parametrize(
    ("elements", "cause"),
    [
        ({"participant": [{"actor": {"reference": "Patient/other"}}]}, "appointment-other-patient"),
        (
            {"participant": [{"actor": {"reference": "https://elsewhere.example.org/Patient/p"}}]},
            "appointment-other-patient",
        ),
        ({"participant": None}, "appointment-other-patient"),
        ({"start": None}, "appointment-without-start"),
        ({"start": "2027-01-20T10:00:00"}, "appointment-without-start"),  # no zone: nobody knows when
        ({"start": "2027-01-20"}, "appointment-without-start"),
        ({"start": "2027-02-30T10:00:00Z"}, "appointment-without-start"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "appointment-without-start"),
        ({"start": 7}, "appointment-without-start"),
    ],
)
def test_what_is_another_patients_or_has_no_instant_is_not_taken(elements, cause):
    assert read_appointment({**THEIRS, **elements}, "Patient/p", BASE) == cause


def test_an_end_before_the_start_is_no_end():
    assert read_appointment({**THEIRS, "end": "2027-01-20T09:00:00-06:00"}, "Patient/p", BASE).end is None


@pytest.mark.parametrize(
    ("status", "moved", "was", "change"),
    [
        ("booked", 0, Visit.BOOKED, None),
        ("booked", 1, Visit.BOOKED, Change.RESCHEDULED),
        ("cancelled", 0, Visit.BOOKED, Change.CANCELLED),
        ("entered-in-error", 0, Visit.BOOKED, Change.CANCELLED),
        ("noshow", 0, Visit.BOOKED, Change.NO_SHOW),
        ("fulfilled", 0, Visit.BOOKED, Change.COMPLETED),
        ("cancelled", 0, Visit.CANCELLED, None),
        ("waitlist", 0, Visit.BOOKED, None),
        ("something-new", 0, Visit.BOOKED, None),
    ],
)
def test_it_says_what_became_of_a_linked_one(status, moved, was, change):
    seen = Seen("Appointment/9", status, START + timedelta(days=moved), None)
    assert change_of(seen, SLOT, was) is change


@pytest.mark.parametrize("status", [each for each in Visit if each is not Visit.NONE])
def test_ours_is_an_r4_appointment_that_says_no_reason(status):
    identifier = {"system": "https://exchange.example.org/ids", "value": "r1-visit-1"}
    made = to_appointment(SLOT, status, "Patient/p", identifier=identifier, cancelation="meds-inc")
    Structure.model_validate(made)
    assert is_ours(made, identifier["system"]) and not is_ours(made, "urn:other")
    assert read_appointment({**made, "id": "1"}, "Patient/p", BASE).start == START
    assert not {"reasonCode", "specialty", "serviceType", "description", "comment"} & made.keys()
    assert ("cancelationReason" in made) is (status is Visit.CANCELLED)


def test_where_nobody_told_the_end_it_is_the_start_and_reads_as_unknown():
    made = to_appointment(Slot(START, "America/Los_Angeles"), Visit.BOOKED, "Patient/p", identifier={"value": "r1"})
    assert made["end"] == made["start"], "R4 takes no start without an end"
    assert read_appointment({**made, "id": "1"}, "Patient/p", BASE).end is None
