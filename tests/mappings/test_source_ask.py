"""What was asked of a source, and how it stands: whose move it is, when it is late, and that nothing is asked twice by itself."""

from datetime import UTC, date, datetime

import pytest

from mappings.model.checklist import Asked, State, Tracked
from mappings.model.source_ask import (
    Ask,
    AskEvent,
    AskRoad,
    AskWord,
    Holder,
    TypedHolder,
    as_asked,
    read_ask,
    read_holder,
    standing,
)
from tests.mappings.checklists.charts import Facts, said, state

TODAY = date(2026, 6, 10)
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


def ask(*words, road="task", due=date(2026, 6, 20), on=None):
    events = tuple(AskEvent(n, AskWord(word), "exchange", NOW, "too busy", on) for n, word in enumerate(words, 1))
    holder = Holder("mercy", "Mercy", ("1 Main Street",))
    return Ask(1, "r1", holder, AskRoad(road), ("glass-slides",), "", due, None, "cli test", "needed", NOW, events)


@pytest.mark.parametrize(
    "words, road, who, says, item",
    [
        ([], "task", "exchange", "about to go", State.REQUESTED),
        ([], "letter", "coordinator", "not sent yet", State.MISSING),
        (["takes-no-task"], "task", "coordinator", "takes no requests over FHIR", State.MISSING),
        (["sent"], "letter", "source", "was asked", State.REQUESTED),
        (["sent", "accepted"], "task", "source", "accepted", State.REQUESTED),
        (["sent", "rejected"], "task", "coordinator", "refused: too busy", State.MISSING),
        (["sent", "nothing"], "task", "coordinator", "gave nothing", State.MISSING),
        (["sent", "another-patient"], "task", "coordinator", "None of it was taken over", State.MISSING),
        (["sent", "answered"], "task", "", "answered", None),
        (["called-off"], "letter", "", "Called off by exchange", None),
    ],
)
def test_each_ask_says_whose_move_it_is_and_what_its_items_are(words, road, who, says, item):
    one = ask(*words, road=road)
    stands, counts = standing(one, TODAY), as_asked(one, TODAY)
    assert (stands.who, stands.is_late) == (who, False) and says in stands.says
    assert (counts.state if counts else None) is item
    assert bool(stands.next) == (who == "coordinator")


def test_it_is_late_after_the_day_it_was_promised_for_and_asking_again_is_offered():
    assert not standing(ask("sent", due=TODAY), TODAY).is_late  # the day itself is not over
    late = standing(ask("sent", due=date(2026, 6, 9)), TODAY)
    assert late.is_late and late.says.startswith("Overdue since 2026-06-09") and "ask again" in late.next
    promised = ask("sent", "promised", due=date(2026, 6, 1), on=date(2026, 6, 12))
    assert not standing(promised, TODAY).is_late and standing(promised, date(2026, 6, 13)).is_late
    assert as_asked(promised, TODAY).state is State.PROMISED
    assert not standing(ask("sent", "answered", due=date(2026, 1, 1)), TODAY).is_late


def test_asked_counts_for_what_is_missing_and_is_said_beside_what_is_not_enough():
    facts = Facts(asked={"allergies": Asked(State.PROMISED, "Mercy promised it", NOW)})
    assert state("general", "allergies", facts=facts) is State.PROMISED
    refused = Facts(
        items={"allergies": said("requested")}, asked={"allergies": Asked(State.MISSING, "Mercy refused", NOW)}
    )
    assert state("general", "allergies", facts=refused) is State.MISSING  # an older word does not stand against it
    waived = Facts(items={"allergies": said("waived")}, asked=refused.asked)
    assert state("general", "allergies", facts=waived) is State.WAIVED


def test_what_travels_counts_by_where_it_is():
    for counts in (State.FOUND, State.PARTIAL, State.PROMISED, State.MISSING):
        facts = Facts(items={"glass-slides": said("there")}, tracked={"glass-slides": Tracked(counts, ("why",), NOW)})
        assert state("oncology", "glass-slides", facts=facts) is counts


@pytest.mark.parametrize(
    "typed, wrong",
    [
        (TypedHolder("Mercy", "1 Main\n\nSpringfield"), set()),
        (TypedHolder("Mercy", "", "+1 555"), set()),
        (TypedHolder("", "1 Main"), {"place"}),
        (TypedHolder("Mercy"), {"address"}),
        (TypedHolder("Mercy", "\n".join("abcdefg")), {"address"}),
        (TypedHolder("M\x07", "1 Main"), {"place"}),
    ],
)
def test_another_place_needs_a_name_and_a_way_for_a_letter(typed, wrong):
    holder, found = read_holder(typed)
    assert set(found) == wrong
    assert wrong or holder.can_be_written_to


def test_an_ask_needs_something_and_a_day_that_is_not_over():
    assert read_ask(("ecg",), "", "2026-06-10", TODAY) == (TODAY, {})
    assert set(read_ask((), "x" * 501, "2026-06-09", TODAY)[1]) == {"items", "what", "due"}
    assert set(read_ask(("ecg",), "", "", TODAY)[1]) == {"due"}
