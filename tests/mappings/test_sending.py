"""What to do next with a document on its way: no order of answers, losses and kills makes two of it, or takes a second road."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mappings.model.sending import (
    MAX_SENDS,
    After,
    Carry,
    Done,
    Looked,
    LookUp,
    NoRoad,
    SendBy,
    SendingState,
    after_look_up,
    next_action,
    surely_not_done,
)

S = SendingState
START = datetime(2026, 3, 1, tzinfo=UTC)
LAG = 5.0
ROADS = ("first", "second", "by-hand")
ENDS = ("taken", "answer-lost", "never-arrived", "impossible", "killed-before", "killed-after")


@pytest.mark.parametrize("state", [None, S.ABSENT, S.IMPOSSIBLE, S.WAITING])
def test_where_surely_nothing_is_there_the_first_road_that_was_not_tried_is_next(state):
    assert next_action(state, "second", ROADS, (), {"by-hand"}) == SendBy("first")
    assert next_action(state, "second", ROADS, {"first"}, {"by-hand"}) == SendBy("second")
    assert next_action(state, "second", ROADS, {"first", "second"}, {"by-hand"}) == Carry("by-hand")
    assert next_action(state, "second", ROADS[:2], {"first", "second"}, ()) == NoRoad()


@pytest.mark.parametrize("tried", [(), ("first",), ROADS])
def test_of_what_nobody_knows_the_outcome_it_is_only_looked_up(tried):
    assert next_action(S.BEGUN, "first", ROADS, tried, {"by-hand"}) == LookUp("first")
    assert next_action(S.BEGUN, "gone-from-the-configuration", ROADS, tried, ()) == LookUp(
        "gone-from-the-configuration"
    )


@pytest.mark.parametrize("state", [S.TAKEN, S.HANDED_OVER])
def test_what_is_there_stays(state):
    assert next_action(state, "first", ROADS, (), {"by-hand"}) == Done()


@pytest.mark.parametrize(
    ("looked", "sends", "waited", "expected"),
    [
        (Looked.THERE, 1, 0, After.TAKEN),
        (Looked.ABSENT, 1, LAG, After.WAIT),
        (Looked.ABSENT, 1, LAG + 0.1, After.ABSENT),
        (Looked.CANNOT_TELL, 1, 3600, After.ASK),
        (Looked.REPEAT, MAX_SENDS - 1, 0, After.REPEAT),
        (Looked.REPEAT, MAX_SENDS, 0, After.ASK),
    ],
)
def test_absence_counts_after_the_lag_and_repeats_end(looked, sends, waited, expected):
    now = START + timedelta(seconds=waited)
    assert after_look_up(looked, sends=sends, sent_at=START, now=now, lag_seconds=LAG) is expected


@pytest.mark.parametrize(
    ("status", "asked_to_wait", "expected"),
    [
        (None, False, True),
        (429, False, True),
        (503, True, True),
        (503, False, False),
        (500, True, False),
        (408, True, False),
    ],
)
def test_only_some_refusals_surely_wrote_nothing(status, asked_to_wait, expected):
    assert surely_not_done(status, asked_to_wait=asked_to_wait) is expected


@dataclass
class Row:
    state: SendingState
    road: str
    sends: int = 0
    sent_at: datetime = START


@dataclass
class System:
    """Where each document came to stand, and when its search can show it."""

    documents: list[tuple[str, datetime]] = field(default_factory=list)

    def shows(self, road: str, now: datetime) -> bool:
        return any(by == road and now >= at for by, at in self.documents)


class OneDocument(RuleBasedStateMachine):
    """The shell in small, with a system that loses answers, is late, cannot be searched, and a worker that is killed."""

    @initialize(blind=st.sets(st.sampled_from(ROADS[:2])))
    def begin(self, blind):
        self.row: Row | None = None
        self.system, self.now, self.blind = System(), START, blind
        self.tried: set[str] = set()
        self.asked = False
        self.proven = True  # surely nothing is there of what was sent so far

    @rule(seconds=st.sampled_from([0.5, LAG, LAG + 1, 60.0]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(ends=st.lists(st.sampled_from(ENDS), min_size=3, max_size=3), late=st.floats(0, LAG))
    def attempt(self, ends, late):
        self.tried, self.asked = set(), False
        for end in ends:
            state, road = (self.row.state, self.row.road) if self.row else (None, None)
            match next_action(state, road, ROADS, self.tried, {"by-hand"}):
                case SendBy(name):
                    if not self._send(name, end, late):
                        return
                case LookUp(name):
                    if not self._look(name):
                        return
                case Carry(name):
                    self.row = Row(S.WAITING, name, self.row.sends if self.row else 0)
                    return
                case _:
                    return

    def _send(self, road, end, late) -> bool:
        assert self.proven, "it was sent while nobody knew what became of the last send"
        self.row = Row(S.BEGUN, road, (self.row.sends if self.row else 0) + 1, self.now)
        self.proven = False
        if end in ("taken", "answer-lost", "killed-after"):
            self.system.documents.append((road, self.now + timedelta(seconds=late)))
        if end == "taken":
            self.row.state = S.TAKEN
        elif end == "impossible":
            self.row.state, self.proven = S.ABSENT, True
            self.tried.add(road)
            return True
        return False

    def _look(self, road) -> bool:
        there = Looked.THERE if self.system.shows(road, self.now) else Looked.ABSENT
        looked = Looked.CANNOT_TELL if road in self.blind else there
        follows = after_look_up(looked, sends=self.row.sends, sent_at=self.row.sent_at, now=self.now, lag_seconds=LAG)
        if follows is After.TAKEN:
            self.row.state = S.TAKEN
        elif follows is After.ABSENT:
            self.row.state, self.proven = S.ABSENT, True
        self.asked = follows is After.ASK
        return follows in (After.TAKEN, After.ABSENT)

    @rule()
    def a_person_looks(self):
        if self.asked and self.row.state is S.BEGUN:
            is_there = bool(self.system.documents)
            self.row.state = S.HANDED_OVER if is_there else S.ABSENT
            self.proven = not is_there
            self.asked = False

    @invariant()
    def it_stands_there_once_at_most(self):
        assert len(getattr(self, "system", System()).documents) <= 1

    @invariant()
    def what_is_said_to_be_there_is_there(self):
        row = getattr(self, "row", None)
        assert row is None or row.state not in (S.TAKEN, S.HANDED_OVER) or self.system.documents


TestOneDocument = OneDocument.TestCase
TestOneDocument.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
