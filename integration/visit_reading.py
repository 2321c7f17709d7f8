"""A request's visit read: when its records have to be there, how that stands, and what a time would mean.

A long chart takes seconds to judge: no transaction is open meanwhile.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from integration import checklists
from integration.packets.payloads import Payloads
from integration.settings.calendar import calendar_of
from integration.settings.config import Config
from integration.store import appointments, audit, bookings, requests, travel_times
from integration.store.appointments import Appointment, Found
from integration.store.bookings import Booking
from integration.store.operations import NotPossible
from integration.store.requests import Request
from mappings.checklists.leads import Lead, Owed, lead_of_the_rest, owed
from mappings.due_dates import (
    Calendar,
    Standing,
    arrival,
    at_risk_from,
    earliest_visit,
    records_due,
    standing,
)
from mappings.model.states import Records
from mappings.model.visit import Warn

ARRIVED = (Records.VERIFIED, Records.ACKNOWLEDGED)
PAST_TOO_LONG = timedelta(days=3660)


@dataclass(frozen=True)
class House:
    """Where requests, packets and the configuration are."""

    engine: Engine
    payloads: Payloads
    config: Config


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
    bookings: tuple[Booking, ...] = ()

    @property
    def booking(self) -> Booking | None:
        """The newest free time that somebody chose."""
        return self.bookings[-1] if self.bookings else None

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
        found, chosen = appointments.found(conn, request_id), bookings.of_request(conn, request_id)
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
        tuple(chosen),
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
