"""The numbers of the opinions of a period: read, counted and kept back once, shown as page, CSV and JSON.

Of any two answers that anybody can get neither is part of the other: periods are calendar quarters, and each is counted as it
stood on one day. So no number that is kept back is the difference of two that are shown.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection

from integration.store import opinion_numbers as store
from integration.store.scope import Scope
from integration.views.texts import t
from mappings.opinion_numbers import COUNTS, OTHERS, TIMES, Line, lines
from mappings.suppression import LEAST

COUNTED_AFTER = timedelta(days=90)  # so long answers, readings and decisions count
OFFERED = 12  # quarters
COLUMNS = ("by", "group", *COUNTS, *(f"{name}-{what}-seconds" for name in TIMES for what in ("median", "p80")))
KEPT_BACK = "*"  # it may be a larger number, from which a small one would follow


@dataclass(frozen=True)
class Period:
    """A calendar quarter, UTC."""

    year: int
    quarter: int

    def __str__(self) -> str:
        return f"{self.year}-Q{self.quarter}"

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, 3 * self.quarter - 2, 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return self.moved(1).since

    @property
    def as_of(self) -> datetime:
        """It is counted as it stood then, and shown from then on."""
        return self.until + COUNTED_AFTER

    def moved(self, quarters: int) -> "Period":
        """So many quarters later."""
        number = 4 * self.year + self.quarter - 1 + quarters
        return Period(number // 4, number % 4 + 1)


def newest(today: date) -> Period:
    """The last one that is shown."""
    now = datetime.combine(today, time(), tzinfo=UTC)
    found = Period(today.year, (today.month + 2) // 3)
    while found.as_of > now:
        found = found.moved(-1)
    return found


def offered(today: date) -> list[Period]:
    """Those that a page offers, the newest first."""
    return [newest(today).moved(-number) for number in range(OFFERED)]


def period_of(typed: str, today: date) -> tuple[Period, Mapping[str, str]]:
    """A quarter as it stands in an address (2026-Q1), and a sentence where it is wrong; empty: the newest that is shown."""
    last = newest(today)
    if not typed.strip():
        return last, {}
    if not re.fullmatch(r"20[0-9]{2}-Q[1-4]", typed.strip()):
        return last, {"period": t("opinion_numbers.no_quarter")}
    found = Period(int(typed.strip()[:4]), int(typed.strip()[-1]))
    if (found.year, found.quarter) > (last.year, last.quarter):
        return last, {"period": t("opinion_numbers.not_yet", day=f"{found.as_of:%Y-%m-%d}")}
    return found, {}


def read(conn: Connection, scope: Scope, period: Period, place: Callable[[str], str]) -> list[Line]:
    """All of a scope, then by specialty and by consultant."""
    return lines(store.read(conn, scope, period.since, period.until, period.as_of, place))


def view(period: Period, found: Iterable[Line]) -> dict:
    """As JSON: None where a number is kept back, or there is none."""
    as_of = f"{period.as_of:%Y-%m-%d}"
    return {"period": str(period), "as_of": as_of, "least": LEAST, "lines": [row(each) for each in found]}


def name_of(line: Line) -> str:
    """A group in words."""
    if not line.by:
        return t("opinion_numbers.all")
    if line.name == OTHERS:
        return t(f"opinion_numbers.others.{line.by}")
    return line.name or t("opinion_numbers.unknown")


def row(line: Line) -> dict[str, str | int | float | None]:
    """A line by column; None where a number is kept back or there is none."""
    found: dict[str, str | int | float | None] = {"by": line.by or "all", "group": name_of(line), **line.counts}
    for name, times in line.times.items():
        median, p80 = times or (None, None)
        found |= {f"{name}-median-seconds": median, f"{name}-p80-seconds": p80}
    return found
