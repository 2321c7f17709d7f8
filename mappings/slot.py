"""Free times of a consulting provider's server (Slot, Schedule), and the Appointment that books one.

https://hl7.org/fhir/R4/slot.html, https://hl7.org/fhir/R4/schedule.html. A server may ignore a parameter of the search and show
what nobody asked for: each Slot is judged by what it says itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mappings.addresses import local_reference
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.booking import Why
from mappings.times import in_utc

LONGEST_NAME = 200
LIVE = frozenset({"booked", "pending", "proposed", "arrived", "checked-in", "fulfilled", "waitlist"})
BookedAs = Literal["booked", "pending", "declined", "other-time", "other-patient"]


@dataclass(frozen=True)
class FreeTime:
    """A time that can be booked. ``end`` is None where it does not say; ``kind``: what it is for, as displayed there."""

    reference: str
    start: datetime
    end: datetime | None
    schedule: str = ""
    place: str = ""
    with_whom: str = ""
    kind: str = ""


def read_slot(resource: dict, schedules: Mapping[str, dict], bases: Sequence[str]) -> FreeTime | Why:
    """The free time that a Slot is, or why it is none. ``schedules`` by ``Schedule/id``; one that is not there names nobody."""
    logical_id, start = as_text(resource.get("id")), in_utc(resource.get("start"))
    if resource.get("resourceType") != "Slot" or not logical_id or start is None:
        return Why.GONE
    if resource.get("status") != "free":
        return Why.BUSY
    end = in_utc(resource.get("end"))
    schedule = schedule_of(resource, bases)
    actors = actors_of(schedules.get(schedule, {}))
    return FreeTime(
        f"Slot/{logical_id}",
        start,
        end if end is not None and end > start else None,
        schedule,
        _named(actors, ("Location", "HealthcareService"), bases),
        _named(actors, ("PractitionerRole", "Practitioner"), bases),
        _kind(resource),
    )


def schedule_of(slot: dict, bases: Sequence[str]) -> str:
    """``Schedule/id`` of a Slot; empty where it names none of this server."""
    return local_reference(as_dict(slot.get("schedule")).get("reference"), bases) or ""


def actors_of(schedule: dict) -> list[dict]:
    """Whose time it is: references, some with a display."""
    return as_dicts(schedule.get("actor"))


def differs(slot: dict, seen: datetime) -> Why:
    """Why this is not the free time that a person saw begin at ``seen``; empty when it is."""
    read = read_slot(slot, {}, ())
    if not isinstance(read, FreeTime):
        return read
    return Why.NONE if read.start == seen else Why.MOVED


def to_booking(slot: dict, schedule: dict, patient: str, *, identifier: dict, order: str | None = None) -> dict:
    """The Appointment that books a Slot: with whom its Schedule is, for what the Slot is, and no reason and no diagnosis.

    ``slot`` as it was read just now; start and end are written as they stand there.
    """
    people = [{key: actor[key] for key in ("reference", "display") if key in actor} for actor in actors_of(schedule)]
    resource: dict = {
        "resourceType": "Appointment",
        "identifier": [identifier],
        "status": "booked",
        **{name: slot[name] for name in ("serviceCategory", "serviceType", "appointmentType") if name in slot},
        "start": slot["start"],
        **({"end": slot["end"]} if "end" in slot else {}),
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": [
            {"actor": {"reference": patient}, "required": "required", "status": "accepted"},
            *({"actor": person, "required": "required", "status": "accepted"} for person in people if person),
        ],
    }
    if order is not None:
        resource["basedOn"] = [{"reference": order}]
    return resource


def outcome_of(appointment: dict, start: datetime, patient: str, bases: Sequence[str]) -> BookedAs:
    """What an Appointment that was read back says of a booking that was to begin at ``start``."""
    if patient not in {_actor(each, bases) for each in as_dicts(appointment.get("participant"))}:
        return "other-patient"
    status = appointment.get("status")
    if status not in LIVE:
        return "declined"
    if in_utc(appointment.get("start")) != start:
        return "other-time"
    return "pending" if status in ("pending", "proposed", "waitlist") else "booked"


def booked_in(slot: str, found: Iterable[dict], bases: Sequence[str]) -> list[dict]:
    """The living Appointments among ``found`` that are booked in a Slot."""
    return [
        each
        for each in found
        if each.get("resourceType") == "Appointment"
        and each.get("status") in LIVE
        and slot in {local_reference(as_dict(one).get("reference"), bases) for one in as_dicts(each.get("slot"))}
    ]


def of_patient(appointments: Iterable[dict], patient: str, bases: Sequence[str]) -> Iterator[dict]:
    """Those in which the patient takes part."""
    for each in appointments:
        if patient in {_actor(one, bases) for one in as_dicts(each.get("participant"))}:
            yield each


def _actor(participant: dict, bases: Sequence[str]) -> str | None:
    return local_reference(as_dict(participant.get("actor")).get("reference"), bases)


def _named(actors: list[dict], kinds: tuple[str, ...], bases: Sequence[str]) -> str:
    """The first display of an actor of these kinds; a reference without one names nobody."""
    for kind in kinds:
        for actor in actors:
            name = as_text(actor.get("display"))
            if name and (local_reference(actor.get("reference"), bases) or "").startswith(f"{kind}/"):
                return name[:LONGEST_NAME]
    return ""


def _kind(slot: dict) -> str:
    for name in ("appointmentType", "serviceType", "serviceCategory"):
        value = slot.get(name)
        for concept in as_dicts(value):
            words = as_text(concept.get("text")) or next(
                (text for each in as_dicts(concept.get("coding")) if (text := as_text(each.get("display")))), None
            )
            if words:
                return words[:LONGEST_NAME]
    return ""
