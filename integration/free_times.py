"""Free times of the consulting provider, read while a person waits, and one of them chosen; for pages, API and commands.

Nothing read here is kept beyond the page that shows it. A time that is chosen is read once more, and again by the step that books it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from integration import visit_reading
from integration.fhir.server import FhirServer
from integration.live_reads import LiveReads
from integration.settings.config import Config
from integration.store import audit, bookings, patient_links
from integration.store.bookings import Booking
from integration.store.operations import NotPossible
from integration.store.requests import Request
from integration.visit_reading import House, Reading
from integration.visits import Said, must_be_confirmed, must_be_possible
from mappings.codes import as_text
from mappings.model.booking import Why
from mappings.model.errors import PermanentError
from mappings.model.visit import Change, Warn
from mappings.slot import FreeTime, read_slot, schedule_of

MOST_READ, MOST_SHOWN, MOST_SCHEDULES = 500, 60, 20
DAYS = 60  # of one look
REFUSES_A_PARAMETER = (400, 404, 405, 422, 501)
_SLOT = re.compile(r"Slot/[A-Za-z0-9\-.]{1,64}")


class Taken(NotPossible):
    """The time that a person chose is not free any more; ``why`` says how that is known."""

    def __init__(self, why: Why):
        self.why = why
        super().__init__(f"that time is not free any more ({why}): choose another one")


@dataclass(frozen=True)
class Choice:
    """A free time as it is offered, with what a person would have to set aside to have it."""

    time: FreeTime
    warnings: dict[Warn, str]


@dataclass(frozen=True)
class FreeTimes:
    """What a look showed. ``since``: the first day; ``more``: there are later ones than are shown; ``patient_zone`` as far as known."""

    endpoint: str
    since: date
    choices: tuple[Choice, ...]
    more: bool
    zone: ZoneInfo
    patient_zone: ZoneInfo | None


def can_book(config: Config, row: Request) -> bool:
    """True where config.yaml says that visits are booked at the consulting provider's server."""
    endpoint = config.endpoints.get(row.fulfiller)
    return endpoint is not None and endpoint.appointments == "book"


def must_be_bookable(house: House, row: Request) -> None:
    """Raises NotPossible with why nothing can be booked over FHIR, and what to do instead."""
    if not can_book(house.config, row):
        raise NotPossible(
            f"no times are booked at {row.fulfiller} by this installation: book there, and record the visit by hand"
        )
    with house.engine.begin() as conn:
        if patient_links.of(conn, row.id, row.fulfiller) is None:
            raise NotPossible(
                f"nobody knows yet who the patient is at {row.fulfiller}: a time can be booked as soon as that is known"
            )


def look(
    house: House, reads: LiveReads, reading: Reading, since: date | None = None, *, actor: str, days: int = DAYS
) -> FreeTimes:
    """Free times from a day on; without one, from the first that has every record in time. The look is recorded.

    Raises NotPossible where none are shown, NotNow when the server cannot be asked.
    """
    row, zone = reading.row, reading.calendar.zone
    must_be_bookable(house, row)
    first = max(since or reading.earliest, reading.calendar.day_of(reading.now))
    begin = max(datetime.combine(first, time(0), zone), reading.now)
    with house.engine.begin() as conn:
        audit.record(conn, actor, "visit.free-times-looked-at", row.id, subject=row.fulfiller)
    parameters = house.config.endpoints[row.fulfiller].slot_search
    found = reads.ask(row.fulfiller, lambda server: _free(server, begin, begin + timedelta(days=days), parameters))
    shown = found[:MOST_SHOWN]
    placer = house.config.endpoints.get(row.placer)
    theirs = ZoneInfo(placer.calendar.zone) if placer is not None and placer.calendar is not None else None
    choices = tuple(Choice(each, visit_reading.warnings(reading, each.start)) for each in shown)
    return FreeTimes(row.fulfiller, first, choices, len(found) > MOST_SHOWN, zone, theirs)


def choose(house: House, reads: LiveReads, request_id: str, slot: str, seen: datetime, said: Said) -> Booking:
    """A person chose the time ``slot`` (``Slot/id``) that began at ``seen``: it is asked for by a step.

    Raises Taken when it is not free or begins at another time now, MustConfirm and NotPossible as recording it by hand would.
    """
    if not _SLOT.fullmatch(slot):
        raise NotPossible("name the time as Slot/<id>, as it is called there")
    reading = visit_reading.read(house, request_id, said.now, start=seen)
    row = reading.row
    must_be_bookable(house, row)
    if said.expected is not None and said.expected != len(reading.history):
        raise NotPossible(f"the visit of request {request_id} was changed meanwhile: look at it again")
    what = Change.RESCHEDULED if reading.booked else Change.BOOKED
    must_be_possible(reading, what)
    must_be_confirmed(reading, seen, said)
    if what is Change.RESCHEDULED and not said.reason.strip():
        raise NotPossible("say why the time changes; it stands in the audit trail")
    free = reads.ask(row.fulfiller, lambda server: _one(server, slot))
    if not isinstance(free, FreeTime):
        raise Taken(free)
    if free.start != seen:
        raise Taken(Why.MOVED)
    with house.engine.begin() as conn:
        return bookings.ask(
            conn,
            request_id,
            row.fulfiller,
            free,
            str(reading.calendar.zone),
            visit_version=len(reading.history),
            confirmed=[each.value for each in said.confirmed],
            actor=said.actor,
            reason=said.reason,
        )


def _free(server: FhirServer, begin: datetime, end: datetime, parameters: dict[str, str]) -> list[FreeTime]:
    """In order of time; those that are not free, or outside of the days, are left out whatever the server was asked."""
    slots, schedules = _searched(server, begin, end, parameters)
    bases = server.endpoint.bases
    for name in islice(dict.fromkeys(schedule_of(each, bases) for each in slots), MOST_SCHEDULES):
        if name.startswith("Schedule/") and name not in schedules and (there := server.read_if_there(name)):
            schedules[name] = there
    read = (read_slot(each, schedules, bases) for each in slots)
    found = {each.reference: each for each in read if isinstance(each, FreeTime) and begin <= each.start < end}
    return sorted(found.values(), key=lambda each: (each.start, each.reference))


def _searched(
    server: FhirServer, begin: datetime, end: datetime, parameters: dict[str, str]
) -> tuple[list[dict], dict[str, dict]]:
    """Slots and the Schedules that came with them; of a server that refuses a parameter, without it."""
    asked = [("status", "free"), ("start", f"ge{begin:%Y-%m-%d}"), ("start", f"lt{end + timedelta(days=1):%Y-%m-%d}")]
    narrowed = [*asked, *parameters.items(), ("_count", "100")]
    try:
        found = list(_read(server, [*narrowed, ("_include", "Slot:schedule")]))
    except PermanentError as error:
        if error.status_code not in REFUSES_A_PARAMETER:
            raise
        found = list(_read(server, narrowed))
    schedules = {f"Schedule/{each['id']}": each for each in found if each.get("resourceType") == "Schedule"}
    return [each for each in found if each.get("resourceType") == "Slot"], schedules


def _read(server: FhirServer, parameters: Iterable[tuple[str, str]]) -> Iterator[dict]:
    found = (entry.resource for entry in server.search("Slot", list(parameters), max_pages=MOST_READ))
    return (each for each in islice(found, MOST_READ) if as_text(each.get("id")))


def _one(server: FhirServer, reference: str) -> FreeTime | Why:
    slot = server.read_if_there(reference)
    if slot is None:
        return Why.GONE
    name = schedule_of(slot, server.endpoint.bases)
    there = server.read_if_there(name) if name.startswith("Schedule/") else None
    return read_slot({**slot, "id": reference.partition("/")[2]}, {name: there} if there else {}, server.endpoint.bases)
