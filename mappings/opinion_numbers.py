"""Numbers of the opinions: how long they took, whether they agree, what became of the plan, who has read them; no patient in them.

Pure. Small counts are kept back (`mappings.suppression`); a median or a percentile stands only where it is of enough people.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from mappings.suppression import LEAST, Name, Sum, hidden

AGREEMENTS = ("agrees", "partly-agrees", "differs", "cannot-tell", "not-coded")
DECISIONS = ("keep-plan", "change-plan", "another-opinion", "not-decided")
BY = ("specialty", "consultant")
# Each whole is the sum of its parts, for every group.
STRUCTURE: dict[str, tuple[tuple[str, ...], ...]] = {
    "asked": (("answered", "not-answered"),),
    "answered": (
        tuple(f"diagnosis-{each}" for each in AGREEMENTS),
        tuple(f"plan-{each}" for each in AGREEMENTS),
        tuple(f"decision-{each}" for each in DECISIONS),
        ("read", "not-read"),
    ),
}
COUNTS = tuple(dict.fromkeys([*STRUCTURE, *(one for some in STRUCTURE.values() for parts in some for one in parts)]))
TIMES = {"to-opinion": "answered", "to-reading": "read"}  # and the count of which each is
OTHERS = "others"  # the groups that are too small to be named


@dataclass(frozen=True)
class Asked:
    """One request, without its patient. ``diagnosis``, ``plan``: coded by the consultant, None where nothing was."""

    specialty: str
    consultant: str
    asked_at: datetime
    answered_at: datetime | None = None
    diagnosis: str | None = None
    plan: str | None = None
    decision: str | None = None
    read_at: datetime | None = None

    def counts(self) -> Iterator[str]:
        """The counts that it is part of."""
        yield "asked"
        if self.answered_at is None:
            yield "not-answered"
            return
        yield "answered"
        yield f"diagnosis-{self.diagnosis if self.diagnosis in AGREEMENTS else 'not-coded'}"
        yield f"plan-{self.plan if self.plan in AGREEMENTS else 'not-coded'}"
        yield f"decision-{self.decision if self.decision in DECISIONS else 'not-decided'}"
        yield "read" if self.read_at else "not-read"

    def times(self) -> Iterator[tuple[str, timedelta]]:
        """How long each took; a person's word on when they read it may be older than what we know of the report."""
        if self.answered_at is not None:
            yield "to-opinion", self.answered_at - self.asked_at
            if self.read_at is not None:
                yield "to-reading", max(self.read_at - self.answered_at, timedelta(0))


@dataclass(frozen=True)
class Line:
    """A group. A count is None where it is kept back; a time (median, 80th percentile; seconds) also where there is none."""

    by: str  # one of BY; empty: all of them
    name: str
    counts: Mapping[str, int | None]
    times: Mapping[str, tuple[float, float] | None]


@dataclass
class _Group:
    by: str
    name: str
    rows: list[Asked] = field(default_factory=list)

    def counted(self) -> Counter[str]:
        return Counter(name for each in self.rows for name in each.counts())


def lines(rows: Sequence[Asked]) -> list[Line]:
    """All of them first, then by specialty and by consultant, the largest group first."""
    whole = _Group("", "", list(rows))
    groups = [whole, *_groups("specialty", rows, lambda each: each.specialty)]
    groups += _groups("consultant", rows, lambda each: each.consultant)
    counted = [(each, each.counted()) for each in groups]
    cells: dict[Name, int] = {(each.by, each.name, name): found[name] for each, found in counted for name in COUNTS}
    out = hidden(cells, list(_sums(groups)))
    return [_line(each, cells, out) for each in groups]


def _groups(by: str, rows: Sequence[Asked], name_of: Callable[[Asked], str]) -> list[_Group]:
    """Groups of enough people; the others are one, with the next smallest while they are too few together."""
    ordered = sorted(rows, key=name_of)
    found = [_Group(by, name, list(some)) for name, some in groupby(ordered, key=name_of)]
    found.sort(key=lambda each: (-len(each.rows), each.name))
    others = _Group(by, OTHERS)
    while found and (len(found[-1].rows) < LEAST or 0 < len(others.rows) < LEAST):
        others.rows += found.pop().rows
    return [*found, others] if others.rows else found


def _sums(groups: Sequence[_Group]) -> Iterator[Sum]:
    for each in groups:
        for whole, some in STRUCTURE.items():
            for parts in some:
                yield Sum((each.by, each.name, whole), tuple((each.by, each.name, part) for part in parts))
    for whole_group, parts_of in _unions(groups):
        for name in COUNTS:
            whole_cell = (whole_group.by, whole_group.name, name)
            yield Sum(whole_cell, tuple((each.by, each.name, name) for each in parts_of))


def _unions(groups: Sequence[_Group]) -> Iterator[tuple[_Group, list[_Group]]]:
    """Which group is made of which others: what is kept back in one table must not stand in the other."""
    for whole in groups:
        ids = {id(row) for row in whole.rows}
        for by in {each.by for each in groups} - {whole.by, ""}:
            parts = [each for each in groups if each.by == by and {id(row) for row in each.rows} <= ids]
            if parts and sum(len(each.rows) for each in parts) == len(whole.rows):
                yield whole, parts


def _line(group: _Group, cells: Mapping, out: Collection) -> Line:
    counts = {name: None if (key := (group.by, group.name, name)) in out else cells[key] for name in COUNTS}
    times = {name: _times(group.rows, name) if (counts[of] or 0) >= LEAST else None for name, of in TIMES.items()}
    return Line(group.by, group.name, counts, times)


def _times(rows: Iterable[Asked], name: str) -> tuple[float, float]:
    found = sorted(time.total_seconds() for each in rows for what, time in each.times() if what == name)
    return percentile(found, 0.5), percentile(found, 0.8)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of numbers in order, between the two nearest where it falls between them."""
    at = (len(ordered) - 1) * share
    low, high = ordered[int(at)], ordered[min(int(at) + 1, len(ordered) - 1)]
    return low + (high - low) * (at - int(at))
