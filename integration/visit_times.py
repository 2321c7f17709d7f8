"""The instant that a person means by a day and a clock time, and the zone in which people read a visit."""

import re
from datetime import date, datetime, time
from zoneinfo import ZoneInfo, available_timezones

from integration.settings.calendar import calendar_of
from integration.settings.config import Config
from integration.store.operations import NotPossible
from integration.store.requests import Request
from mappings.due_dates import instants_of

WHICH = ("first", "second")  # of a clock time that a night has twice


class Ambiguous(NotPossible):
    """A clock time that a night has twice."""


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
