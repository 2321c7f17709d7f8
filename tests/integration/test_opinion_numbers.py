"""Periods of the numbers of the opinions: whatever is asked for, on whatever day, no answer is a part of another."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from integration.opinion_numbers import offered, period_of
from mappings.opinion_numbers import AGREEMENTS, Asked, Line, lines

YEARS = ("2025", "2026")
TYPED = st.one_of(
    st.just(""),
    st.text(alphabet="0123456789-QW/. ", max_size=16),
    st.builds("{}-Q{}".format, st.sampled_from(YEARS), st.integers(0, 5)),
    st.builds("{}-{:02}".format, st.sampled_from(YEARS), st.integers(0, 13)),
    st.builds("{}-Q{}/{}-Q{}".format, st.just("2025"), st.integers(1, 4), st.just("2026"), st.integers(1, 4)),
    st.sampled_from([*YEARS, "2025-H1", "2025-Q1,2025-Q2", "2025-Q1\n"]),
)
DAYS = st.dates(date(2026, 1, 1), date(2028, 1, 1))
ASKED = st.builds(
    lambda day, seen, said, who: Asked("Oncology", who, seen, seen + timedelta(days=day), diagnosis=said),
    st.integers(1, 60),
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.sampled_from(AGREEMENTS),
    st.sampled_from(["Bob", "Ann"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TYPED, DAYS), min_size=2, max_size=8))
def test_two_periods_that_are_answered_are_the_same_or_do_not_overlap(asked):
    found = {found for typed, day in asked for found, wrong in [period_of(typed, day)] if not wrong}
    for one, other in combinations(found, 2):
        assert one.until <= other.since or other.until <= one.since
    for typed, day in asked:
        period, wrong = period_of(typed, day)
        assert period.as_of <= datetime.combine(day, time(), tzinfo=UTC), "never before it is counted for good"
        assert bool(wrong) or not typed.strip() or str(period) == typed.strip()
        assert period in offered(day) or typed.strip()


@settings(max_examples=40, deadline=None)
@given(st.lists(ASKED, max_size=120), st.lists(TYPED, max_size=12), DAYS)
def test_what_is_shown_of_any_periods_subtracted_is_never_a_few_people(rows, typed, day):
    """An attacker asks for whatever they like, and subtracts each answer from each sum of others that covers more."""
    periods = {period_of(each, day)[0] for each in ["", *typed]}
    shown = {each: lines([row for row in rows if each.since <= row.asked_at < each.until]) for each in periods}
    for one, other in combinations(periods, 2):
        for smaller, larger in [(one, other), (other, one)]:
            if larger.since <= smaller.since and smaller.until <= larger.until:
                for few, many in _pairs(shown[smaller], shown[larger]):
                    assert not 0 < many - few < 11
    for found in shown.values():
        assert all(count is None or count == 0 or count >= 11 for line in found for count in line.counts.values())


def _pairs(few: list[Line], many: list[Line]):
    by_name = {(each.by, each.name): each.counts for each in many}
    for line in few:
        for name, count in line.counts.items():
            larger = by_name.get((line.by, line.name), {}).get(name)
            if count is not None and larger is not None:
                yield count, larger
