"""Counts too small to be shown, and those that would give them away; pure.

CMS shows no cell of 1 to 10 people and no percentage from which one follows
(https://resdac.org/articles/cms-cell-size-suppression-policy); zero may be shown. What can be had by subtracting is kept back too.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

LEAST = 11  # people
Name = Hashable  # of a cell


@dataclass(frozen=True)
class Sum:
    """``whole`` is the sum of ``parts``, and whoever reads the table knows it."""

    whole: Name
    parts: tuple[Name, ...]

    @property
    def names(self) -> tuple[Name, ...]:
        """All of it."""
        return (self.whole, *self.parts)


def hidden(cells: Mapping[Name, int], sums: Sequence[Sum], least: int = LEAST) -> frozenset[Name]:
    """Which of ``cells`` must not be shown: 1 to ``least`` - 1, and as many beside them as make none of these follow.

    1. in each sum whose whole is shown, the parts that are not are two or more and together at least ``least``;
    2. no cell of these follows from all sums together.
    """
    out = {name for name, count in cells.items() if 0 < count < least}
    while more := _more(cells, sums, out, least):
        out.add(more)
    return frozenset(out)


def _more(cells: Mapping[Name, int], sums: Sequence[Sum], out: Collection[Name], least: int) -> Name | None:
    for each in sums:
        unknown = [name for name in each.names if name in out]
        too_few = len(unknown) == 1
        too_small = each.whole not in out and 0 < sum(cells[name] for name in unknown) < least
        if (too_few or too_small) and (found := _next(cells, each.names, out)) is not None:
            return found
    for name in sorted(_following(sums, out), key=repr):
        beside = [one for each in sums if name in each.names for one in each.names]
        if (found := _next(cells, beside, out)) is not None:
            return found
    return None


def _next(cells: Mapping[Name, int], names: Iterable[Name], out: Collection[Name]) -> Name | None:
    """The smallest that is shown: the least is lost with it. A zero only when there is nothing else."""
    shown = [name for name in names if name not in out]
    return min(shown, key=lambda name: (cells[name] == 0, cells[name], repr(name)), default=None)


def _following(sums: Sequence[Sum], out: Collection[Name]) -> set[Name]:
    """What of ``out`` is determined by the sums: by elimination, exactly."""
    rows = [row for each in sums if (row := _row(each, out))]
    return {next(iter(row)) for row in _reduced(rows) if len(row) == 1}


def _row(each: Sum, out: Collection[Name]) -> dict[Name, Fraction]:
    """What is unknown in a sum: the whole counts 1, each part -1."""
    signed = [(each.whole, Fraction(1)), *((part, Fraction(-1)) for part in each.parts)]
    return {name: value for name, value in signed if name in out}


def _reduced(rows: Iterable[dict[Name, Fraction]]) -> list[dict[Name, Fraction]]:
    """Gauss and Jordan: each row has a name that stands in no other."""
    done: dict[Name, dict[Name, Fraction]] = {}
    for row in rows:
        for pivot in [name for name in row if name in done]:
            row = _minus(row, done[pivot], pivot)
        if not row:
            continue
        pivot = next(iter(row))
        row = {name: value / row[pivot] for name, value in row.items()}
        done = {name: _minus(each, row, pivot) for name, each in done.items()} | {pivot: row}
    return list(done.values())


def _minus(row: dict[Name, Fraction], pivot: dict[Name, Fraction], column: Name) -> dict[Name, Fraction]:
    factor = row.get(column)
    if factor is None:
        return row
    made = {name: row.get(name, Fraction(0)) - factor * pivot.get(name, Fraction(0)) for name in {**row, **pivot}}
    return {name: value for name, value in made.items() if value}
