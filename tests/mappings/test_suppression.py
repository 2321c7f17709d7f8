"""Counts too small to be shown, and what would give them away by subtracting."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.suppression import Sum, hidden


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([40, 30, 20], [40, 30, 20]),
        ([40, 0, 20], [40, 0, 20]),  # nobody is identified by a zero
        ([40, 3, 20], [40, None, None]),  # one alone is the total less the others
        ([40, 6, 7], [40, None, None]),
        ([40, 1, 1], [None, None, None]),  # two that are together two are one each
        ([3], [None]),
    ],
)
def test_a_small_count_takes_others_with_it(counts, shown):
    names = [f"g{number}" for number in range(len(counts))]
    cells = {**dict(zip(names, counts, strict=True)), "all": sum(counts)}
    out = hidden(cells, [Sum("all", tuple(names))])
    assert [None if name in out else cells[name] for name in names] == shown


tables = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 25), min_size=width, max_size=width), min_size=1, max_size=4)
)


def table(rows: list[list[int]]) -> tuple[dict, list[Sum]]:
    """Cells with row and column totals and the whole."""
    width = len(rows[0])
    cells = {(r, c): rows[r][c] for r, c in product(range(len(rows)), range(width))}
    sums = [Sum((r, "all"), tuple((r, c) for c in range(width))) for r in range(len(rows))]
    sums += [Sum(("all", c), tuple((r, c) for r in range(len(rows)))) for c in range(width)]
    sums += [Sum(("all", "all"), tuple((r, "all") for r in range(len(rows))))]
    sums += [Sum(("all", "all"), tuple(("all", c) for c in range(width)))]
    for each in sums[:-2] + sums[-2:-1]:
        cells[each.whole] = sum(cells[name] for name in each.parts)
    return cells, sums


@settings(max_examples=150, deadline=None)
@given(tables)
def test_no_small_count_is_shown_and_none_follows_from_the_rest(rows):
    cells, sums = table(rows)
    out = hidden(cells, sums)
    assert {name for name, count in cells.items() if 0 < count < 11} <= out
    known = set(cells) - out
    while found := {next(iter(set(each.names) - known)) for each in sums if len(set(each.names) - known) == 1}:
        known |= found  # whoever subtracts again and again
    assert known == set(cells) - out
    for each in sums:
        unknown = [name for name in each.names if name in out]
        assert each.whole in out or not unknown or sum(cells[name] for name in unknown) >= 11


@settings(max_examples=60, deadline=None)
@given(tables)
def test_a_table_of_large_counts_is_shown_whole(rows):
    cells, sums = table([[count + 11 for count in row] for row in rows])
    assert hidden(cells, sums) == frozenset()
