"""Values as people read them: times, time left, sizes, kinds of step; text from elsewhere shortened."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row

from integration.store.steps import Step
from integration.views.texts import t
from mappings.model.steps import BEFORE_THE_VISIT

# A direction override inside a string would turn round what stands beside it; other controls only confuse.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
FAR = datetime(9000, 1, 1, tzinfo=UTC)
SOON = timedelta(hours=24)


def clean(value: object, length: int = 300) -> str:
    """Text from elsewhere, shortened and without control characters (they are shown as a replacement character)."""
    text = "" if value is None else str(value)
    cut = text[:length].rstrip() + "…" if len(text) > length else text
    return _CONTROLS.sub("\ufffd", cut)


def span(delta: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = int(abs(delta).total_seconds())
    parts = [
        (seconds // 86400, "d"),
        (seconds % 86400 // 3600, "h"),
        (seconds % 3600 // 60, "min"),
        (seconds % 60, "s"),
    ]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


@dataclass(frozen=True)
class Countdown:
    """Time to a deadline: a level (late, soon, fine, none) that picks icon and color, and words that say it all."""

    level: str
    words: str


def countdown(deadline: datetime | None, now: datetime) -> Countdown:
    """Time left until a deadline."""
    if deadline is None or deadline > FAR:
        return Countdown("none", t("deadline.none"))
    left = deadline - now
    if left < timedelta(0):
        return Countdown("late", t("deadline.late", span=span(left)))
    return Countdown("soon" if left < SOON else "fine", t("deadline.left", span=span(left)))


def state_of(step: Row | Step) -> str:
    """The tab a step belongs to: its status, except that a failed one that will be tried again is retrying."""
    if step.status == "leased":
        return "running"
    return "retrying" if step.status in ("waiting", "due") and step.attempts else step.status


def has_deadline(step: Row) -> bool:
    """True for an open step that has to be done before the visit."""
    return step.status not in ("done", "cancelled") and step.kind in BEFORE_THE_VISIT


def size(number: int | None) -> str:
    """Bytes for people."""
    value, unit = float(number or 0), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def day(value: datetime) -> str:
    """``Nov 30, 2026``, in UTC."""
    return value.astimezone(UTC).strftime("%b %-d, %Y")


def moment(value: datetime, seconds: bool = False) -> str:
    """``Nov 30, 2026, 22:33 UTC``: a time is never told without its zone, also where only a part of a page is printed."""
    return f"{day(value)}, {value.astimezone(UTC):{'%H:%M:%S' if seconds else '%H:%M'}} UTC"


def how_often(cron: str) -> str:
    """A cron line in words where it is once a day, else as it is."""
    daily = re.fullmatch(r"(\d{1,2}) (\d{1,2}) \* \* \*", cron)
    return (
        t("schedules.daily", at=f"{int(daily[2]):02}:{int(daily[1]):02}") if daily else t("schedules.cron", cron=cron)
    )


def number(value: float) -> str:
    """A count with a comma between thousands."""
    return f"{value:,}"
