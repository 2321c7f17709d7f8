"""An Appointment of FHIR R4: what an EHR's says, and ours as it is written down for a practice that has no EHR.

https://hl7.org/fhir/R4/appointment.html. Start and end are instants: they have a zone, or they are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mappings.addresses import local_reference
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.states import Visit
from mappings.model.visit import Change, Slot
from mappings.times import in_utc

CANCELLATION = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
# What an EHR's status means for a visit; a status that is not here says nothing of it.
CHANGE_OF = {
    "cancelled": Change.CANCELLED,
    "entered-in-error": Change.CANCELLED,
    "noshow": Change.NO_SHOW,
    "fulfilled": Change.COMPLETED,
}
OFFERED = frozenset({"booked", "pending", "proposed", "arrived", "checked-in"})
STATUS_OF = {
    Visit.BOOKED: "booked",
    Visit.CANCELLED: "cancelled",
    Visit.NO_SHOW: "noshow",
    Visit.COMPLETED: "fulfilled",
}


@dataclass(frozen=True)
class Seen:
    """An Appointment as an EHR shows it. ``place``, ``with_whom``: as displayed there."""

    reference: str
    status: str
    start: datetime
    end: datetime | None
    place: str = ""
    with_whom: str = ""
    version: str | None = None


def read_appointment(resource: dict, patient: str, bases: Sequence[str]) -> Seen | str:
    """What it says, or why it is not taken: a cause of mappings/model/causes.py.

    ``patient``: ``Patient/id`` as it is called there. Of another patient's nothing is read.
    """
    actors = [as_dict(each.get("actor")) for each in as_dicts(resource.get("participant"))]
    names = [(local_reference(actor.get("reference"), bases), as_text(actor.get("display"))) for actor in actors]
    if patient not in [reference for reference, _ in names]:
        return "appointment-other-patient"
    start, end = in_utc(resource.get("start")), in_utc(resource.get("end"))
    if start is None:
        return "appointment-without-start"
    return Seen(
        f"Appointment/{resource.get('id')}",
        as_text(resource.get("status")) or "",
        start,
        end if end is not None and end > start else None,
        _first(names, ("Location/", "HealthcareService/")),
        _first(names, ("PractitionerRole/", "Practitioner/")),
        as_text(as_dict(resource.get("meta")).get("versionId")),
    )


def is_ours(resource: dict, system: str) -> bool:
    """We wrote it: it has an identifier of ours."""
    return any(each.get("system") == system for each in as_dicts(resource.get("identifier")))


def change_of(seen: Seen, was: Slot, status: Visit) -> Change | None:
    """What became of a linked appointment since it was last known; None when it is as it was."""
    said = CHANGE_OF.get(seen.status)
    if said is not None:
        ended = {Change.CANCELLED: Visit.CANCELLED, Change.NO_SHOW: Visit.NO_SHOW, Change.COMPLETED: Visit.COMPLETED}
        return None if ended[said] is status else said
    if status is Visit.BOOKED and seen.start != was.start:
        return Change.RESCHEDULED
    return Change.RESCHEDULED if status in (Visit.CANCELLED, Visit.NO_SHOW) and seen.status in OFFERED else None


def to_appointment(
    slot: Slot,
    status: Visit,
    patient: str,
    *,
    identifier: dict,
    order: str | None = None,
    cancelation: str | None = None,
) -> dict:
    """The visit as an Appointment: no diagnosis, no reason, no specialty; the names of place and doctor as they were told.

    ``patient``: ``Patient/id`` at the endpoint; ``order``: the ServiceRequest there; ``cancelation``: a code of FHIR's. R4 takes
    no start without an end (app-2, app-3): where nobody told the end it is the start, and no length is made up.
    """
    resource: dict = {
        "resourceType": "Appointment",
        "identifier": [identifier],
        "status": STATUS_OF[status],
        "start": slot.start.astimezone(UTC).isoformat(timespec="seconds"),
        "end": (slot.end or slot.start).astimezone(UTC).isoformat(timespec="seconds"),
        "participant": [{"actor": {"reference": patient}, "required": "required", "status": "accepted"}],
    }
    if status is Visit.CANCELLED:
        resource["cancelationReason"] = {"coding": [{"system": CANCELLATION, "code": cancelation or "other"}]}
    if order is not None:
        resource["basedOn"] = [{"reference": order}]
    for name in filter(None, (slot.with_whom, slot.place)):
        resource["participant"].append({"actor": {"display": name}, "status": "accepted"})
    return resource


def _first(names: list[tuple[str | None, str | None]], kinds: tuple[str, ...]) -> str:
    found = (text for kind in kinds for reference, text in names if text and (reference or "").startswith(kind))
    return next(found, "")[:200]
