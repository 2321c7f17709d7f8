"""What reading a delivery back says of it, decided from plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.model.delivery import ReadBack, verdict_of_reading

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LAG = timedelta(seconds=60)


def verdict(*, different: int = 0, missing: int = 0, waited: float | None = 0) -> ReadBack:
    sent_at = NOON - timedelta(seconds=waited) if waited is not None else None
    return verdict_of_reading(different=different, missing=missing, sent_at=sent_at, now=NOON, lag=LAG)[0]


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (None, ReadBack.NOT_YET),
        (0, ReadBack.NOT_YET),
        (60, ReadBack.NOT_YET),
        (60.1, ReadBack.MISSING),
    ],
)
def test_what_does_not_come_back_is_waited_for_as_long_as_the_index_may_be_late(waited, expected):
    assert verdict(missing=1, waited=waited) is expected


@given(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1000))
def test_nothing_counts_as_verified_but_all_of_it(different, missing, waited):
    found = verdict(different=different, missing=missing, waited=waited)
    assert (found is ReadBack.VERIFIED) == (different == missing == 0)
    assert (found is ReadBack.DIFFERENT) == (different > 0), "waiting changes nothing about what came back different"
