"""What a person says of a hand-over: every mistake is named with its field, and nothing is made up."""

from datetime import UTC, datetime, timedelta

import pytest

from mappings.model.hand_over import MAX_NAME, MAX_NOTE, ByWay, HandOver, Typed, read_hand_over

NOW = datetime(2026, 5, 1, 14, 30, 20, tzinfo=UTC)
SINCE = datetime(2026, 5, 1, 9, 15, 40, tzinfo=UTC)
GIVEN = dict(by="Nora Field", to="Front desk, Hillside", at="2026-05-01T14:00Z", by_way="fax", note="two pages")


def read(carried: bool = True, **changed: str) -> tuple[HandOver | None, dict[str, str]]:
    said, wrong = read_hand_over(Typed(**{**GIVEN, **changed}), is_carried=carried, there_since=SINCE, now=NOW)
    return said, dict(wrong)


def test_what_was_said_is_kept_as_it_was_said():
    at = datetime(2026, 5, 1, 14, tzinfo=UTC)
    assert read() == (HandOver("Nora Field", "Front desk, Hillside", at, ByWay.FAX, "two pages"), {})


def test_a_zone_is_obeyed_and_without_one_it_is_utc():
    said, _ = read(at="2026-05-01T09:00-05:00")
    assert said is not None and said.at == datetime(2026, 5, 1, 14, tzinfo=UTC)
    said, _ = read(at="2026-05-01T14:00")
    assert said is not None and said.at == datetime(2026, 5, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("to", " ", "to whom"),
        ("by", "", "by name"),
        ("at", "", "say when"),
        ("by_way", "", "handed, fax, portal, mail"),
        ("by_way", "pigeon", "is one of"),
        ("at", "yesterday", "is no date and time"),
        ("at", "2026-05-01T14:31Z", "is in the future"),
        ("at", "9999-12-31T23:59-12:00", "is"),
        ("at", "2026-05-01T09:14Z", "is before the document existed"),
        ("to", "x" * (MAX_NAME + 1), f"at most {MAX_NAME}"),
        ("by", "x" * (MAX_NAME + 1), f"at most {MAX_NAME}"),
        ("note", "x" * (MAX_NOTE + 1), f"at most {MAX_NOTE}"),
        ("note", "one\ntwo", "one line"),
        ("to", "desk\u202e", "cannot be shown"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(field, value, words):
    said, wrong = read(**{field: value})
    assert said is None and list(wrong) == [field] and words in wrong[field]


def test_the_minute_in_which_the_document_was_made_is_not_before_it():
    said, _ = read(at="2026-05-01T09:15Z")
    assert said is not None and said.at < SINCE


def test_all_mistakes_are_told_at_once():
    _, wrong = read(to="", at="2027-01-01T00:00Z", by_way="", by="")
    assert set(wrong) == {"to", "at", "by_way", "by"}


def test_who_saw_it_there_names_themselves_alone():
    said, wrong = read(carried=False, to="", at="", by_way="", note="")
    assert (said, wrong) == (HandOver("Nora Field"), {})


def test_half_of_a_hand_over_is_no_hand_over():
    said, wrong = read(carried=False, at="", by_way="")
    assert said is None and set(wrong) == {"at", "by_way"}


def test_a_clock_that_is_a_moment_behind_does_not_refuse_now():
    said, _ = read(at=(NOW - timedelta(seconds=1)).isoformat())
    assert said is not None
