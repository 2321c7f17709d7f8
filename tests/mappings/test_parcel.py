"""Where slides, blocks and discs are, and how that counts: pure, with what people mistype."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.checklist import State
from mappings.model.parcel import NEXT, Move, Moved, Parcel, TypedMove, folded, folded_all, read_move, read_tracking

TODAY = date(2026, 6, 10)
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


def moved(word, on=date(2026, 6, 5), number=1, **values):
    return Moved(number, Move(word), on, "Pat Lee", "cli test", NOW, **values)


def parcel(*moves):
    return Parcel(1, "glass-slides", "S26-1 A1-A4", "Mercy", NOW, tuple(moves))


def read(word, *moves, **typed):
    return read_move(TypedMove(word, **{"by": "Pat Lee", **typed}), parcel(*moves), TODAY)


@pytest.mark.parametrize(
    "moves, state, says",
    [
        ([], State.REQUESTED, "asked for"),
        ([moved("requested")], State.REQUESTED, "2026-06-05"),
        ([moved("shipped", carrier="FedEx")], State.PROMISED, "with FedEx"),
        ([moved("shipped"), moved("in-transit")], State.PROMISED, "in transit"),
        ([moved("shipped"), moved("delivered")], State.PROMISED, "not counted yet"),
        ([moved("shipped", pieces_sent=10), moved("counted", pieces_counted=10)], State.FOUND, "10 counted"),
        ([moved("shipped", pieces_sent=10), moved("counted", pieces_counted=8)], State.PARTIAL, "8 of 10"),
        ([moved("shipped", pieces_sent=10), moved("counted", pieces_counted=12)], State.PARTIAL, "12 of 10"),
        ([moved("counted", pieces_counted=4), moved("at-consultant")], State.FOUND, "at consultant"),
        ([moved("counted", pieces_counted=4), moved("sent-back"), moved("returned")], State.FOUND, "returned"),
        ([moved("shipped"), moved("lost")], State.MISSING, "lost"),
        ([moved("shipped"), moved("lost"), moved("returned")], State.MISSING, "nobody had counted it"),
    ],
)
def test_where_a_thing_is_decides_how_it_counts(moves, state, says):
    found, why = folded(parcel(*moves))
    assert found is state and says in why


def test_several_things_of_a_kind_are_found_only_when_all_are():
    there, away = parcel(moved("counted", pieces_counted=2)), parcel(moved("shipped"))
    assert folded_all([there, there])[0] is State.FOUND
    assert folded_all([there, away]) == (State.PARTIAL, ("1 of 2 are there", folded(there)[1], folded(away)[1]))
    assert folded_all([parcel(moved("lost")), away])[0] is State.MISSING


@pytest.mark.parametrize(
    "said, kept",
    [
        ("1Z 999 AA1-0123", "1Z999AA10123"),
        ("", ""),
        ("  ", ""),
        ("📦 1234", None),
        ("12", None),
        ("1" * 41, None),
        ("<b>1234", None),
    ],
)
def test_a_tracking_number_is_read_as_people_write_it(said, kept):
    number, wrong = read_tracking(said)
    assert (number, bool(wrong)) == (kept or "", kept is None)


@pytest.mark.parametrize(
    "word, moves, typed, field, says",
    [
        ("eaten", [], {}, "word", "choose"),
        ("returned", [], {}, "word", "cannot follow the beginning"),
        ("requested", [moved("shipped")], {}, "word", "cannot follow shipped"),
        ("shipped", [], {"carrier": ""}, "carrier", "with whom"),
        ("shipped", [], {"carrier": "x\ny"}, "carrier", "one line"),
        ("shipped", [], {"carrier": "UPS", "by": " "}, "by", "by name"),
        ("shipped", [], {"carrier": "UPS", "tracking": "no. 📦"}, "tracking", "no tracking number"),
        ("shipped", [], {"carrier": "UPS", "on": "2026-06-11"}, "on", "after 2026-06-10"),
        ("delivered", [moved("shipped")], {"on": "2026-06-04"}, "on", "before 2026-06-05"),
        ("delivered", [moved("shipped")], {"on": "yesterday"}, "on", "no day"),
        ("counted", [moved("shipped")], {}, "pieces", "how many"),
        ("counted", [moved("shipped")], {"pieces": "-3"}, "pieces", "whole number"),
        ("counted", [moved("shipped")], {"pieces": "٣"}, "pieces", "whole number"),
        ("counted", [moved("shipped")], {"pieces": "99999"}, "pieces", "more than"),
        ("counted", [moved("shipped", pieces_sent=10)], {"pieces": "12"}, "pieces", "check the name on each"),
        ("counted", [moved("shipped", pieces_sent=10)], {"pieces": "9"}, "pieces", "which are missing"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(word, moves, typed, field, says):
    values, wrong = read(word, *moves, **typed)
    assert not values and says in wrong[field] and set(wrong) == {field}


def test_a_count_that_differs_is_kept_with_a_note_of_what_differs():
    values, wrong = read("counted", moved("shipped", pieces_sent=10), pieces="12", note="two of another name")
    assert not wrong and values["pieces_counted"] == 12 and values["pieces_sent"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Move)), st.integers(0, 3)), max_size=8))
def test_found_is_never_said_of_what_nobody_counted(steps):
    thing, day = parcel(), date(2026, 6, 1)
    for word, pieces in steps:
        if word not in NEXT[thing.last.word if thing.last else None]:
            continue
        day += timedelta(days=1)
        typed = TypedMove(str(word), "", "P", str(pieces) if word is Move.COUNTED else "", "UPS", "", "differs")
        values, wrong = read_move(typed, thing, TODAY)
        assert not wrong
        made = Moved(number := len(thing.moves), actor="a", at=NOW, **values)
        thing = Parcel(1, "blocks", "", "", NOW, (*thing.moves, made))
        assert number == len(thing.moves) - 1
    if folded(thing)[0] is State.FOUND:
        assert thing.pieces_counted is not None and any(each.word is Move.COUNTED for each in thing.moves)
        assert thing.last.word is not Move.LOST
