"""Numbers of the opinions from plain values: what is counted, and what is kept back."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.opinion_numbers import AGREEMENTS, COUNTS, DECISIONS, OTHERS, STRUCTURE, Asked, lines, percentile

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def asked(**values) -> Asked:
    return Asked(**{"specialty": "Oncology", "consultant": "Bob", "asked_at": NOW, **values})


def answered(days: float = 10, **values) -> Asked:
    return asked(answered_at=NOW + timedelta(days=days), **values)


def test_everything_is_counted_once_and_times_are_of_those_answered():
    rows = [answered(days, diagnosis="agrees", plan="differs", decision="change-plan") for days in range(1, 21)]
    [whole, *groups] = lines([*rows, *[asked()] * 12])
    assert whole.counts["asked"] == 32 and whole.counts["answered"] == 20 and whole.counts["not-answered"] == 12
    assert (
        whole.counts["diagnosis-agrees"] == whole.counts["plan-differs"] == whole.counts["decision-change-plan"] == 20
    )
    assert whole.times["to-opinion"] == (10.5 * 86400, 16.2 * 86400) and whole.times["to-reading"] is None
    assert [(each.by, each.name) for each in groups] == [("specialty", "Oncology"), ("consultant", "Bob")]


def test_ten_people_are_not_shown_and_have_no_median():
    [whole, *_] = lines([answered()] * 10)
    assert set(whole.counts.values()) <= {None, 0} and set(whole.times.values()) == {None}


def test_small_groups_are_one_and_take_the_next_smallest_with_them():
    rows = [answered(specialty="A")] * 40 + [answered(specialty="B")] * 20 + [answered(specialty="C")] * 3
    by_specialty = [each for each in lines(rows) if each.by == "specialty"]
    assert [(each.name, each.counts["asked"]) for each in by_specialty] == [("A", 40), (OTHERS, 23)]


def test_what_is_kept_back_in_one_table_does_not_stand_in_the_other():
    rows = [answered(specialty="A", consultant="Ann", diagnosis="agrees")] * 40
    rows += [answered(specialty="B", consultant="Bob", diagnosis="agrees")] * 20
    rows += [answered(specialty="B", consultant="Bob", diagnosis="differs")] * 3
    found = {(each.by, each.name): each.counts for each in lines(rows)}
    for name in COUNTS:
        assert (found["specialty", "B"][name] is None) == (found["consultant", "Bob"][name] is None)


some = st.builds(
    answered,
    st.integers(1, 60),
    specialty=st.sampled_from("AB"),
    consultant=st.sampled_from("XYZ"),
    diagnosis=st.sampled_from([*AGREEMENTS, None, "invented"]),
    decision=st.sampled_from([*DECISIONS, None]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(some, max_size=90))
def test_no_line_shows_a_small_count_or_lets_it_be_subtracted(rows):
    for line in lines(rows):
        assert all(count is None or count == 0 or count >= 11 for count in line.counts.values())
        for whole, parts in ((whole, parts) for whole, of in STRUCTURE.items() for parts in of):
            unknown = [name for name in (whole, *parts) if line.counts[name] is None]
            assert len(unknown) != 1


def test_a_percentile_is_between_its_neighbors():
    assert percentile([1.0], 0.8) == 1.0 and percentile([0.0, 10.0], 0.8) == 8.0
