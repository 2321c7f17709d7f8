"""A request's visit: when its records have to be there, what a time would mean, and what becomes of both tracks when it changes.

For pages, API, commands and steps. A long chart takes seconds to judge: no transaction is open meanwhile.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Connection, Engine

from integration import checklists
from integration.packets.payloads import Payloads
from integration.settings.calendar import calendar_of
from integration.settings.config import Config
from integration.store import appointments, audit, deadlines, requests, steps, travel_times
from integration.store.appointments import Appointment, Found
from integration.store.operations import NotPossible
from integration.store.requests import Request
from mappings.checklists.leads import Lead, Owed, lead_of_the_rest, owed
from mappings.due_dates import (
    Calendar,
    Standing,
    arrival,
    at_risk_from,
    earliest_visit,
    instants_of,
    records_due,
    standing,
)
from mappings.model.states import FINAL, Records, Status, Visit
from mappings.model.visit import LEADS_TO, MAY, Change, Known, Slot, Warn

EXCHANGE = "exchange"
WHICH = ("first", "second")  # of a clock time that a night has twice
ARRIVED = (Records.VERIFIED, Records.ACKNOWLEDGED)
PAST_TOO_LONG = timedelta(days=3660)


class MustConfirm(NotPossible):
    """A time that a named person has to set aside something for; ``warnings``: what, as sentences."""

    def __init__(self, warnings: dict[Warn, str]):
        self.warnings = warnings
        super().__init__(" ".join(warnings.values()))


@dataclass(frozen=True)
class House:
    """Where requests, packets and the configuration are."""

    engine: Engine
    payloads: Payloads
    config: Config


@dataclass(frozen=True)
class Said:
    """Who says what became of a visit, and when. ``expected``: the version that they saw; ``confirmed``: what they set aside."""

    now: datetime
    actor: str
    reason: str = ""
    expected: int | None = None
    told_by: str = ""
    cancelation: str | None = None
    confirmed: frozenset[Warn] = frozenset()


class Ambiguous(NotPossible):
    """A clock time that a night has twice."""


@dataclass(frozen=True)
class OwedItem:
    """An item that is not there: by when it has to be, and how that stands. Without a visit there is no day."""

    label: str
    state: str
    lead: Lead
    due_at: datetime | None
    standing: Standing | None


@dataclass(frozen=True)
class Due:
    """What a visit means for the records. ``at``: when the slowest has to be there; ``risk_at``: from when it is too late to begin."""

    at: datetime
    risk_at: datetime
    lead: Lead
    slowest: str

    @property
    def why(self) -> str:
        """As the audit trail says it."""
        what = f"{self.slowest}: " if self.slowest else ""
        return f"{what}{self.lead.why} before the visit"


@dataclass(frozen=True)
class Reading:
    """Everything about a request's visit at one moment, for who looks and for who decides."""

    row: Request
    now: datetime
    calendar: Calendar
    has_calendar: bool
    history: tuple[Appointment, ...]
    found: tuple[Found, ...]
    owed: tuple[Owed, ...]
    rest: Lead
    questions: int
    checklist: str

    @property
    def current(self) -> Appointment | None:
        """How the visit stands."""
        return self.history[-1] if self.history else None

    @property
    def booked(self) -> Appointment | None:
        """The visit that is to come."""
        return self.current if self.current is not None and self.current.is_booked else None

    @property
    def slowest(self) -> tuple[Lead, str]:
        """The longest lead of what is owed and its name; of a request that owes nothing more, that of sending it."""
        if self.owed:
            return self.owed[0].lead, self.owed[0].item.label
        return self.rest, ""

    @property
    def takes(self) -> int:
        """Business days until all of it is there, from now; 0 when it is."""
        if self.row.records in ARRIVED and not self.owed:
            return 0
        return max([each.lead.takes for each in self.owed] or [self.rest.takes])

    @property
    def there_at(self) -> datetime:
        """When all that is owed is there, if it begins now."""
        return arrival(self.calendar, self.now, self.takes)

    @property
    def earliest(self) -> date:
        """The first day of a visit that has everything in time."""
        return earliest_visit(self.calendar, self.there_at, self.slowest[0].before)

    def due(self, visit: datetime) -> Due:
        """What a visit at that time means for the records."""
        lead, name = self.slowest
        at = records_due(self.calendar, visit, lead.before)
        return Due(at, at_risk_from(self.calendar, at, self.takes), lead, name)

    @property
    def standing(self) -> Standing | None:
        """How the request's records stand against the visit; None without one."""
        if self.booked is None:
            return None
        due = self.due(self.booked.start_at)
        is_there = self.row.records in ARRIVED and not self.owed
        return standing(now=self.now, due=due.at, at_risk_from=due.risk_at, visit=self.booked.start_at, there=is_there)

    @property
    def items(self) -> tuple[OwedItem, ...]:
        """Each item that is owed, the slowest first."""
        return tuple(self._item(each) for each in self.owed)

    def _item(self, each: Owed) -> OwedItem:
        label, lead, state = each.item.label, each.lead, each.item.state.value
        if self.booked is None:
            return OwedItem(label, state, lead, None, None)
        at = records_due(self.calendar, self.booked.start_at, lead.before)
        risk = at_risk_from(self.calendar, at, lead.takes)
        how = standing(now=self.now, due=at, at_risk_from=risk, visit=self.booked.start_at, there=False)
        return OwedItem(label, state, lead, at, how)


def read(house: House, request_id: str, now: datetime, *, start: datetime | None = None, actor: str = "") -> Reading:
    """How the visit stands; ``start``: as if it began then. With ``actor`` the look of a person is recorded first.

    Raises UnknownRequest, and ExchangeError when a packet cannot be read.
    """
    with house.engine.begin() as conn:
        row = requests.get(conn, request_id)
        if actor:
            audit.record(conn, actor, "visit.looked-at", request_id)
        history = appointments.history(conn, request_id)
        found = appointments.found(conn, request_id)
        measured = travel_times.measured(conn, row.placer, now)
    booked = start or (history[-1].start_at if history and history[-1].is_booked else now)
    calendar, has_calendar = calendar_of(house.config, row.fulfiller, booked.year)
    visit_on = calendar.day_of(booked) if start else None
    done = checklists.judged(house.engine, house.payloads, house.config, request_id, calendar.day_of(now), visit_on)
    at_least = house.config.records.lead_days
    return Reading(
        row,
        now,
        calendar,
        has_calendar,
        tuple(history),
        tuple(found),
        owed(done.items, measured, at_least),
        lead_of_the_rest(measured, at_least),
        sum(item.question is not None for item in done.items),
        done.checklist.title,
    )


def warnings(reading: Reading, start: datetime) -> dict[Warn, str]:
    """What a person has to set aside before this time is kept. Raises NotPossible for one that is over."""
    if start <= reading.now:
        raise NotPossible("that time is over: record a visit that is to come")
    if start - reading.now > PAST_TOO_LONG:
        raise NotPossible("that is more than ten years ahead: is the year right?")
    found: dict[Warn, str] = {}
    if closed := reading.calendar.why_closed(start):
        found[Warn.CLOSED] = f"The practice does not seem to be open then: {closed}."
    if reading.takes and reading.due(start).at < reading.there_at:
        found[Warn.RECORDS] = (
            f"The records need until {reading.calendar.day_of(reading.there_at):%B %-d, %Y}; the earliest visit with everything "
            f"there is {reading.earliest:%B %-d, %Y}."
        )
    return found


def change(
    house: House,
    request_id: str,
    what: Change,
    said: Said,
    slot: Slot | None = None,
    *,
    known: Known = Known.HAND,
) -> Appointment:
    """Record what became of the visit, and move both tracks with it. ``slot``: the time, where it is booked or moved.

    Raises MustConfirm for a time that has to be confirmed, NotPossible for what cannot follow, VisitStale when somebody was
    first.
    """
    reading = read(house, request_id, said.now, start=slot.start if slot else None)
    _must_be_possible(reading, what, slot)
    if slot is not None and said.actor != EXCHANGE:
        _must_be_confirmed(reading, slot.start, said)
    if said.expected is None:
        said = replace(said, expected=len(reading.history))
    with house.engine.begin() as conn:
        steps.lock_with_request(conn, request_id)
        kept = appointments.keep(
            conn,
            request_id,
            what,
            slot or _slot_of(reading),
            known,
            expected=said.expected,
            actor=said.actor,
            reason=said.reason,
            told_by=said.told_by,
            cancelation=(said.cancelation or "other") if what is Change.CANCELLED else None,
            confirmed=[each.value for each in said.confirmed] if slot is not None else (),
        )
        _follow(conn, house.config, reading, kept, said)
    return kept


def _slot_of(reading: Reading) -> Slot:
    if reading.current is None:
        raise NotPossible(f"request {reading.row.id} has no visit")
    return reading.current.slot


def _must_be_possible(reading: Reading, what: Change, slot: Slot | None) -> None:
    row, current = reading.row, reading.current
    if row.status in FINAL and row.status != Status.COMPLETED:
        raise NotPossible(f"request {row.id} is {row.status}: it has no visit any more")
    stands = Visit(current.status) if current else Visit.NONE
    if what not in MAY[stands]:
        may = ", ".join(sorted(MAY[stands])) or "nothing"
        raise NotPossible(f"the visit of request {row.id} is {stands}: it cannot become {what}, only {may}")
    if LEADS_TO[what] is Visit.BOOKED and slot is None:
        raise NotPossible("say when the visit is")
    if what in (Change.NO_SHOW, Change.COMPLETED) and current is not None and current.start_at > reading.now:
        raise NotPossible("the visit is still to come: whether the patient came is known afterwards")


def _must_be_confirmed(reading: Reading, start: datetime, said: Said) -> None:
    found = warnings(reading, start)
    open_ones = {warn: says for warn, says in found.items() if warn not in said.confirmed}
    if open_ones:
        raise MustConfirm(open_ones)
    if found and not said.reason.strip():
        raise NotPossible("say why this time is kept all the same; it stands in the audit trail")


def _follow(conn: Connection, config: Config, reading: Reading, kept: Appointment, said: Said) -> None:
    """Both tracks, the steps that work towards them, and what the audit trail says."""
    row, visit = requests.get(conn, reading.row.id), Visit(kept.status)
    due_at, risk_at, why = _due_after(config, reading, kept)
    comes = kept.start_at if visit in (Visit.BOOKED, Visit.COMPLETED) else None
    requests.set_visit(conn, row.id, visit, comes)
    detail = {"version": kept.version, "known": kept.known, "confirmed": kept.confirmed}
    audit.record(
        conn, said.actor, f"visit.{kept.change}", row.id, subject=kept.reference, reason=said.reason, detail=detail
    )
    move_due(conn, row, due_at, risk_at, why, actor=said.actor)
    steps.create(conn, "mirror_status", row.placer, request_id=row.id, deadline=due_at)
    if visit is Visit.BOOKED:
        _watch(conn, row)
    for key in dict.fromkeys((row.placer, row.fulfiller)):
        endpoint = config.endpoints.get(key)
        if endpoint is not None and endpoint.appointments == "write" and key != kept.endpoint:
            steps.create(conn, "write_visit", key, request_id=row.id, deadline=kept.start_at)


def _due_after(config: Config, reading: Reading, kept: Appointment) -> tuple[datetime | None, datetime | None, str]:
    if kept.is_booked:
        due = reading.due(kept.start_at)
        return due.at, due.risk_at, due.why
    if kept.status == Visit.COMPLETED:
        return reading.row.records_due_at, None, ""
    wanted = requests.records_due(requests.content(reading.row), config.records.lead_days)
    return wanted, None, f"the visit is {kept.status}; the day by which the opinion is wanted counts again"


def move_due(
    conn: Connection, row: Request, due_at: datetime | None, risk_at: datetime | None, why: str, *, actor: str
) -> bool:
    """The records are due then from now on, with what had the old time. Never silently: the audit trail says from, to and why."""
    requests.set_due(conn, row.id, due_at, risk_at)
    if row.records_due_at == due_at:
        return False
    deadlines.move(conn, row.id, row.records_due_at, due_at)
    said = f"from {_minute(row.records_due_at)} to {_minute(due_at)} because {why}"
    audit.record(conn, actor, "records.due-moved", row.id, reason=said)
    return True


def _minute(at: datetime | None) -> str:
    return "no time" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _watch(conn: Connection, row: Request) -> None:
    """Somebody looks after the visit from now on; a chart whose watch had ended with an earlier one is watched again."""
    steps.create(conn, "watch_visit", row.fulfiller, request_id=row.id, deadline=steps.AFTER_WORK)
    if row.records in ARRIVED and not row.cancel_requested:
        steps.create(conn, "watch_chart", row.placer, request_id=row.id, deadline=steps.LAST_OF_ALL)


def link(house: House, request_id: str, endpoint: str, reference: str, said: Said) -> Appointment:
    """An appointment that an EHR shows is this request's visit, because a person says so. Raises as `change`."""
    with house.engine.connect() as conn:
        row = requests.get(conn, request_id)
        offered = appointments.found(conn, request_id)
        current = appointments.current(conn, request_id)
    each = next((one for one in offered if (one.endpoint, one.reference) == (endpoint, reference)), None)
    if each is None:
        raise NotPossible(f"no appointment {reference[:80]} is offered for this request")
    zone = str(zone_of(house.config, row, each.start_at))
    slot = Slot(each.start_at, zone, each.end_at, each.place, each.with_whom, endpoint, reference)
    what = Change.RESCHEDULED if current is not None and current.is_booked else Change.BOOKED
    return change(house, request_id, what, said, slot, known=Known.FOUND)


def dismiss(engine: Engine, request_id: str, endpoint: str, reference: str, *, actor: str, reason: str) -> None:
    """An appointment that an EHR shows is another visit, because a person says so."""
    with engine.begin() as conn:
        requests.get(conn, request_id)
        appointments.dismiss(conn, request_id, endpoint, reference, actor=actor)
        audit.record(conn, actor, "visit.dismissed", request_id, subject=f"{endpoint} {reference}", reason=reason)


def start_of(day: str, clock: str, zone: ZoneInfo, which: str = "") -> datetime:
    """The instant that a person means by a day and a clock time in ``zone``; ``which``: first or second, in a night that has it twice.

    Raises NotPossible with what to type, Ambiguous for such a night.
    """
    try:
        wall = datetime.combine(date.fromisoformat(day.strip()), time.fromisoformat(clock.strip()))
    except ValueError:
        raise NotPossible("give the day as 2026-12-31 and the time as 14:30") from None
    if wall.tzinfo is not None or not re.fullmatch(r"\d\d:\d\d(:00)?", clock.strip()):
        raise NotPossible("give the time as 14:30, without a zone: it is read in the zone of the practice")
    found = instants_of(wall, zone)
    if not found:
        raise NotPossible(
            f"there is no {wall:%H:%M} on {wall:%B} {wall.day}, {wall.year} in {zone}: the clocks skip it that night"
        )
    if len(found) == 2 and which not in WHICH:
        raise Ambiguous(
            f"{wall:%H:%M} comes twice on {wall:%B} {wall.day}, {wall.year} in {zone}, because the clocks are set back: say "
            "whether it is the first or the second"
        )
    return found[WHICH.index(which)] if len(found) == 2 else found[0]


def known_zone(name: str) -> ZoneInfo:
    """Raises NotPossible for a zone that is none."""
    if name not in available_timezones():
        raise NotPossible(f"{name[:60]} is no time zone; write one such as America/Chicago")
    return ZoneInfo(name)


def zone_of(config: Config, row: Request, now: datetime) -> ZoneInfo:
    """The zone in which people read this request's visit: the consultant's."""
    return calendar_of(config, row.fulfiller, now.year)[0].zone


def confirmed_of(words: Iterable[str]) -> frozenset[Warn]:
    """What a form or a command says was confirmed; other words are none."""
    return frozenset(Warn(word) for word in words if word in Warn.__members__.values())
