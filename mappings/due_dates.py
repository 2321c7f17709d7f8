"""When the records of a visit have to be there, and whether they will be: days and hours of the consultant, from plain values.

The nth business day before the visit, at the close of business, in the consultant's own zone. A business day is a day on which
somebody can receive a parcel and file it: one of the practice's weekdays, no public holiday, no day that it is closed.
https://hl7.org/fhir/R4/datatypes.html#instant: an appointment is an instant; its zone says how people read it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
FARTHEST_DAYS = (
    3660  # a calendar on which the practice is never open has no due date: it is said, not looked for for ever
)


class Standing(StrEnum):
    """How what is owed for a visit stands now, the worst last."""

    THERE = "there"
    OK = "ok"
    AT_RISK = "at-risk"  # from now it takes longer than there is time
    LATE = "late"  # it was due and is not there
    BREACHED = "breached"  # the visit has begun without it


@dataclass(frozen=True)
class Calendar:
    """When a practice works. ``weekdays``: 0 is Monday; ``closed``: the days on which it does not, with their names."""

    zone: ZoneInfo
    weekdays: frozenset[int] = frozenset(range(5))
    closed: Mapping[date, str] = field(default_factory=dict)
    opens: time = time(8)
    closes: time = time(17)

    def is_business_day(self, day: date) -> bool:
        """Somebody is there."""
        return day.weekday() in self.weekdays and day not in self.closed

    def day_of(self, at: datetime) -> date:
        """The day that it is there."""
        return at.astimezone(self.zone).date()

    def close_of(self, day: date) -> datetime:
        """The close of business of a day, as an instant in UTC."""
        return datetime.combine(day, self.closes, self.zone).astimezone(UTC)

    def why_closed(self, at: datetime) -> str:
        """Why nobody is there at an instant: the holiday's name, the weekday, the hour; empty when somebody is."""
        there = at.astimezone(self.zone)
        if there.date() in self.closed:
            return f"{there:%A, %B} {there.day} is a day on which it is closed ({self.closed[there.date()]})"
        if there.weekday() not in self.weekdays:
            return f"{there:%B} {there.day}, {there.year} is a {there:%A}, on which it is closed"
        if not self.opens <= there.time().replace(tzinfo=None) < self.closes:
            return f"{there:%H:%M} is outside its hours, {self.opens:%H:%M} to {self.closes:%H:%M}"
        return ""


class NeverOpen(ValueError):
    """The calendar has no business day within ten years."""


def _days(calendar: Calendar, start: date, step: int) -> Iterator[date]:
    """Business days from ``start`` on, not that day itself, in the direction of ``step``. Raises NeverOpen."""
    day, quiet = start, 0
    while quiet < FARTHEST_DAYS:
        day += step * DAY
        quiet += 1
        if calendar.is_business_day(day):
            quiet = 0
            yield day
    raise NeverOpen("the calendar has no business day within ten years: look at its weekdays and closed days")


def business_day_before(calendar: Calendar, day: date, n: int) -> date:
    """The nth business day before a day; 0 is the day itself. Raises NeverOpen."""
    return _nth(calendar, day, n, -1)


def business_day_after(calendar: Calendar, day: date, n: int) -> date:
    """The nth business day after a day; 0 is the day itself. Raises NeverOpen."""
    return _nth(calendar, day, n, 1)


def _nth(calendar: Calendar, day: date, n: int, step: int) -> date:
    days = _days(calendar, day, step)
    for _ in range(n):
        day = next(days)
    return day


def records_due(calendar: Calendar, visit: datetime, lead_days: int) -> datetime:
    """When what needs ``lead_days`` business days before the visit has to be there, in UTC; with 0 days the visit itself.

    A later visit never makes it earlier. It may be in the past: whoever asks says so.
    """
    if lead_days == 0:
        return visit.astimezone(UTC)
    return calendar.close_of(business_day_before(calendar, calendar.day_of(visit), lead_days))


def arrival(calendar: Calendar, now: datetime, days: int) -> datetime:
    """When what takes so many business days from now is there: at the close of business of the last of them."""
    if days == 0:
        return now.astimezone(UTC)
    return calendar.close_of(business_day_after(calendar, calendar.day_of(now), days))


def earliest_visit(calendar: Calendar, there_at: datetime, lead_days: int) -> date:
    """The first business day of a visit for which what is there at ``there_at`` is there in time."""
    day = calendar.day_of(there_at)
    days = _days(calendar, day - DAY, 1)
    return next(each for each in days if _is_in_time(calendar, each, there_at, lead_days))


def _is_in_time(calendar: Calendar, visit_on: date, there_at: datetime, lead_days: int) -> bool:
    start = datetime.combine(visit_on, calendar.opens, calendar.zone)
    return records_due(calendar, start, lead_days) >= there_at


def at_risk_from(calendar: Calendar, due: datetime, days: int) -> datetime:
    """From when on what takes so many business days comes too late for ``due``: a midnight there, or ``due`` itself for 0."""
    if days == 0:
        return due.astimezone(UTC)
    last = calendar.day_of(due)
    while calendar.close_of(business_day_after(calendar, last, days)) > due:
        last -= DAY
    return datetime.combine(last + DAY, time(0), calendar.zone).astimezone(UTC)


def standing(*, now: datetime, due: datetime, at_risk_from: datetime | None, visit: datetime, there: bool) -> Standing:
    """How what is due stands now."""
    if there:
        return Standing.THERE
    if now >= visit:
        return Standing.BREACHED
    if now > due:
        return Standing.LATE
    if at_risk_from is not None and now >= at_risk_from:
        return Standing.AT_RISK
    return Standing.OK


def instants_of(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The instants that a wall clock in ``zone`` calls ``wall``: none in a night that skips it, two in one that repeats it."""
    if wall.tzinfo is not None:
        raise ValueError("a time of a wall clock has no zone of its own")
    found = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(each for each in found if each.astimezone(zone).replace(tzinfo=None) == wall))
