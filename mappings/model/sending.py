"""What to do next with one document on its way: plain values in, one action out. jobs/target/sending.py does it.

The rule that all else serves: while nobody knows what became of a send, nothing is sent, by this road or another, until a
look-up has shown that it is not there or a person has said so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MAX_SENDS = 3  # so often one message goes, the first time among them, where the receiver tells repeats by its number


class SendingState(StrEnum):
    """Where one document stands in the ledger."""

    BEGUN = "begun"  # it was about to be sent: whether it was, and what became of it, is not known
    TAKEN = "taken"  # the system said yes, or it was found there
    ABSENT = "absent"  # it is surely not there
    IMPOSSIBLE = "impossible"  # no road can take it
    WAITING = "waiting"  # for a person who carries it
    HANDED_OVER = "handed-over"  # a person says that it is there


@dataclass(frozen=True)
class Done:
    """It is there, or a person says so."""


@dataclass(frozen=True)
class SendBy:
    """Prepare it for this road, write the ledger, send it."""

    road: str


@dataclass(frozen=True)
class LookUp:
    """Look where it was sent by this road; send nothing."""

    road: str


@dataclass(frozen=True)
class Carry:
    """A person has to carry it."""

    road: str


@dataclass(frozen=True)
class NoRoad:
    """Every road said that it cannot take it."""


Action = Done | SendBy | LookUp | Carry | NoRoad


def next_action(
    state: str | None, road: str | None, roads: Sequence[str], tried: Collection[str], carried: Collection[str]
) -> Action:
    """``state`` and ``road``: of the ledger's row, None without one. ``tried``: roads that were impossible in this attempt;
    ``carried``: roads by which a person carries it. Another road only from a state in which surely nothing is there."""
    if state in (SendingState.TAKEN, SendingState.HANDED_OVER):
        return Done()
    if state == SendingState.BEGUN and road is not None:
        return LookUp(road)
    following = next((each for each in roads if each not in tried), None)
    if following is None:
        return NoRoad()
    return Carry(following) if following in carried else SendBy(following)


class Looked(StrEnum):
    """What a look-up answered."""

    THERE = "there"
    ABSENT = "absent"
    CANNOT_TELL = "cannot-tell"
    REPEAT = "repeat"  # it cannot be looked up, and the receiver tells a repeat of the same message from a second one


class After(StrEnum):
    """What follows from it."""

    TAKEN = "taken"
    WAIT = "wait"
    ABSENT = "absent"
    REPEAT = "repeat"
    ASK = "ask"


def after_look_up(
    looked: Looked, *, sends: int, sent_at: datetime, now: datetime, lag_seconds: float, most_sends: int = MAX_SENDS
) -> After:
    """Absence counts when the server's search has had the time to know what was sent last."""
    if looked is Looked.THERE:
        return After.TAKEN
    if looked is Looked.ABSENT:
        return After.ABSENT if now - sent_at > timedelta(seconds=lag_seconds) else After.WAIT
    return After.REPEAT if looked is Looked.REPEAT and sends < most_sends else After.ASK


def surely_not_done(status_code: int | None, *, asked_to_wait: bool) -> bool:
    """Whether a send that ended as "later" surely wrote nothing.

    No status: there was no connection. 401, 425 and 429 are said before the work; so is 503 with ``Retry-After``. Without
    it, 503 may be a proxy's word for a server that was lost while it worked; 500 may be said after the commit.
    """
    return status_code in (None, 401, 425, 429) or (status_code == 503 and asked_to_wait)
