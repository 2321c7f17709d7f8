"""Who has read a report: only the newest revision counts, and every field that is wrong has its sentence."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.model.acknowledgment import (
    Acknowledgment,
    Decision,
    Standing,
    TypedAcknowledgment,
    read_acknowledgment,
    standing,
)

THERE, NOW = datetime(2026, 5, 1, 9, tzinfo=UTC), datetime(2026, 5, 3, 12, tzinfo=UTC)
RIGHT = {
    "revision": "2",
    "by": "Dr. Ågot Øvrebø",
    "at": "2026-05-02T10:00Z",
    "decision": "change-plan",
    "note": " 変更 ",
}


def read(newest: int | None = 2, **typed: str):
    return read_acknowledgment(TypedAcknowledgment(**{**RIGHT, **typed}), newest=newest, there_since=THERE, now=NOW)


def test_what_is_right_is_kept_as_it_was_said():
    said, wrong = read()
    assert wrong == {} and said == Acknowledgment(
        2, "Dr. Ågot Øvrebø", datetime(2026, 5, 2, 10, tzinfo=UTC), Decision.CHANGE, "変更"
    )
    assert read(at="")[0].read_at == NOW


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"revision": "1"}, "revision", "revision 2 is the newest"),
        ({"revision": ""}, "revision", "revision 2 is the newest"),
        ({"newest": None}, "revision", "no report yet"),
        ({"by": "  "}, "by", "by name"),
        ({"by": "Dr.\nX"}, "by", "one line"),
        ({"by": "x" * 201}, "by", "at most 200"),
        ({"at": "yesterday"}, "at", "no date and time"),
        ({"at": "2026-05-04T00:00Z"}, "at", "in the future"),
        ({"at": "2026-04-30T00:00Z"}, "at", "before the report was there"),
        ({"at": "0001-01-01T00:00+23:59"}, "at", "before the report was there"),
        ({"decision": ""}, "decision", "keep-plan"),
        ({"decision": "cured"}, "decision", "keep-plan"),
        ({"note": "x" * 4001}, "note", "at most 4000"),
    ],
)
def test_what_is_wrong_has_a_sentence_at_its_field(typed, field, words):
    said, wrong = read(**typed)
    assert said is None and words in wrong[field]


WORDS = st.builds(
    Acknowledgment,
    revision=st.integers(1, 4),
    read_by=st.just("Dr. A"),
    read_at=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2026, 12, 31)).map(
        lambda at: at.replace(tzinfo=UTC)
    ),
    decision=st.sampled_from(Decision),
)


@given(st.lists(WORDS, max_size=6), st.integers(1, 4))
def test_no_word_on_another_revision_makes_the_newest_a_read_one(words, newest):
    found, others = standing(newest, words), [each for each in words if each.revision != newest]
    assert (found in (Standing.READ, Standing.DECIDED)) == any(each.revision == newest for each in words)
    assert standing(newest, others) == (Standing.CHANGED if others else Standing.UNREAD)


def test_the_last_word_on_the_newest_counts_and_without_a_report_there_is_nothing():
    first = Acknowledgment(1, "Dr. A", NOW, Decision.KEEP)
    later = Acknowledgment(1, "Dr. A", NOW + timedelta(hours=1), Decision.OPEN)
    assert standing(1, [first]) is Standing.DECIDED and standing(1, [first, later]) is Standing.READ
    assert standing(None, [first]) is Standing.NONE
