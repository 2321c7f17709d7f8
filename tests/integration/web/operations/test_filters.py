"""The search box: what it understands, and where it says it does not."""

import pytest

from integration.store.filters import QUALIFIERS, STATES, FilterError, parse
from integration.store.search import _CONDITIONS


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "state:parked",
        "state:parked endpoint:mercy error:timeout due:<3d kind:records",
        "-kind:records,report attempts:>3",
        'error:"two words"',
        "request:r0123",
        "patient:0123456789abcdef0123456789abcdef",
        "due:late priority:urgent,asap",
        "error:=http-503",
    ],
)
def test_what_it_prints_reads_the_same_again(typed):
    assert str(parse(typed)) == typed and parse(str(parse(typed))) == parse(typed)


def test_nothing_typed_means_what_needs_a_person():
    assert parse("").state == "attention" and parse("state:all").state == "all"


@pytest.mark.parametrize(
    ("typed", "position", "length", "says"),
    [
        ("stat:parked", 0, 11, "did you mean state:"),
        ("endpoint:bob due:3d", 13, 6, "due:<3d"),
        ("state:packed", 0, 12, "did you mean parked"),
        ('endpoint:bob "', 13, 1, "partner"),
        ("  kind:", 2, 5, "needs a value"),
        ("state:done state:parked", 11, 12, "only once"),
        ("attempts:many", 0, 13, "attempts:>3"),
        ("-state:done", 0, 11, "without a minus"),
        ("x" * 1001, 1000, 1, "1000 characters"),
    ],
)
def test_it_says_where_it_does_not_understand(typed, position, length, says):
    with pytest.raises(FilterError, match=says) as caught:
        parse(typed)
    assert (caught.value.position, caught.value.length) == (position, length)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("r0123abc timeout", "request:r0123abc any:timeout"),
        ("R0123ABC", "request:r0123abc"),
        ("parked", "state:parked"),
        ("state: Parked", "state:parked"),
        ("STATE:PARKED endpoint:  MERCY", "state:parked endpoint:MERCY"),
        ("records", "kind:records"),
        ("hillside-2026-0042", "any:hillside-2026-0042"),
        ("due:<3D", "due:<3d"),
    ],
)
def test_what_a_person_types_is_read_as_it_was_meant(typed, read):
    assert str(parse(typed)) == read


def test_identifiers_are_told_apart_from_hashes():
    wanted = parse("patient:urn:mrn|00123,0123456789abcdef0123456789abcdef")
    assert wanted.identifiers == ("urn:mrn|00123",)
    assert str(wanted.with_hashes({"00123": "f" * 32}.get)) == f"patient:{'f' * 32},0123456789abcdef0123456789abcdef"


def test_every_qualifier_has_its_condition():
    assert set(QUALIFIERS) == set(_CONDITIONS) | {"state"} and "attention" in STATES
