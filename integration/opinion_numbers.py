"""The numbers of the opinions of a period: read, counted and kept back once, shown as page, CSV and JSON."""

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from integration.store import opinion_numbers as store
from integration.store.scope import Scope
from integration.views.texts import t
from mappings.opinion_numbers import COUNTS, OTHERS, TIMES, Line, lines
from mappings.suppression import LEAST

LONGEST_MONTHS = 36
COLUMNS = ("by", "group", *COUNTS, *(f"{name}-{what}-seconds" for name in TIMES for what in ("median", "p80")))
KEPT_BACK = "*"  # it may be a larger number, from which a small one would follow


@dataclass(frozen=True)
class Period:
    """Whole months, the first and the last one."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        """Its first moment, in UTC."""
        return datetime(self.first.year, self.first.month, 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        following = _months_after(self.last, 1)
        return datetime(following.year, following.month, 1, tzinfo=UTC)


def period_of(first: str, last: str, today: date) -> tuple[Period, Mapping[str, str]]:
    """The months as they stand in an address (2026-05), and a sentence for each that is wrong; empty: the last twelve."""
    wrong: dict[str, str] = {}
    default = Period(_months_after(today, -11), today.replace(day=1))
    begins, ends = _month(first, "first", wrong) or default.first, _month(last, "last", wrong) or default.last
    if not wrong and begins > ends:
        wrong["last"] = t("opinion_numbers.before")
    elif not wrong and _months_after(begins, LONGEST_MONTHS) <= ends:
        wrong["last"] = t("opinion_numbers.too_long", n=LONGEST_MONTHS)
    return (default if wrong else Period(begins, ends)), wrong


def _month(text: str, name: str, wrong: dict[str, str]) -> date | None:
    if not text.strip():
        return None
    if not re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text.strip()):
        wrong[name] = t("opinion_numbers.no_month")
        return None
    return date(int(text.strip()[:4]), int(text.strip()[5:]), 1)


def _months_after(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def last_day(period: Period) -> date:
    """Of its last month."""
    return period.last.replace(day=calendar.monthrange(period.last.year, period.last.month)[1])


def read(conn: Connection, scope: Scope, period: Period, place: Callable[[str], str]) -> list[Line]:
    """All of a scope, then by specialty and by consultant."""
    return lines(store.read(conn, scope, period.since, period.until, place))


def view(period: Period, found: Iterable[Line]) -> dict:
    """As JSON: None where a number is kept back, or there is none."""
    first, last = f"{period.first:%Y-%m}", f"{period.last:%Y-%m}"
    return {"first": first, "last": last, "least": LEAST, "lines": [row(each) for each in found]}


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
