"""The visit of a request: what may become of an appointment, how it is known, and what a person has to set aside to book it.

Statuses are those of FHIR Appointment.status as far as they matter here (https://hl7.org/fhir/R4/valueset-appointmentstatus.html).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mappings.model.states import Visit


class Change(StrEnum):
    """What became of an appointment."""

    BOOKED = "booked"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    NO_SHOW = "no-show"
    COMPLETED = "completed"


class Known(StrEnum):
    """How an appointment is known."""

    HAND = "by-hand"  # a named person said so
    FOUND = "found"  # an Appointment of an EHR that a person linked
    BOOKED = "booked-over-fhir"


class Warn(StrEnum):
    """Why a time is asked about before it is kept; a named person sets it aside with a reason."""

    RECORDS = "records"  # earlier than the records can travel
    CLOSED = "closed"  # a closed day, or outside the hours


# Why an appointment was canceled (http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason).
CANCELATIONS = {
    "pat": "the patient asked for it",
    "prov": "the practice asked for it",
    "meds-inc": "the records, or what had to be prepared, were not there",
    "other": "something else",
}
LEADS_TO: dict[Change, Visit] = {
    Change.BOOKED: Visit.BOOKED,
    Change.RESCHEDULED: Visit.BOOKED,
    Change.CANCELLED: Visit.CANCELLED,
    Change.NO_SHOW: Visit.NO_SHOW,
    Change.COMPLETED: Visit.COMPLETED,
}
# What may come next; a mistake about who came can be put right, a new appointment follows one that is over.
MAY: dict[Visit, frozenset[Change]] = {
    Visit.NONE: frozenset({Change.BOOKED}),
    Visit.BOOKED: frozenset({Change.RESCHEDULED, Change.CANCELLED, Change.NO_SHOW, Change.COMPLETED}),
    Visit.CANCELLED: frozenset({Change.BOOKED}),
    Visit.NO_SHOW: frozenset({Change.BOOKED, Change.RESCHEDULED, Change.CANCELLED, Change.COMPLETED}),
    Visit.COMPLETED: frozenset({Change.BOOKED, Change.NO_SHOW}),
}


@dataclass(frozen=True)
class Slot:
    """When and where: ``start`` and ``end`` are instants with a zone, ``zone`` the IANA name by which people read them."""

    start: datetime
    zone: str
    end: datetime | None = None
    place: str = ""
    with_whom: str = ""
    endpoint: str | None = None
    reference: str | None = None
