"""Things that travel by courier (glass slides, blocks, discs, films): where each is, by whom and when, and how it counts.

A thing has a history and nothing of it is changed: where it is follows from the last word, how many of it from the last count.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from mappings.model.checklist import State
from mappings.model.typed import line_problem, read_day, read_number

MAX_LINE, MAX_NOTE, MAX_PIECES = 200, 500, 10_000


class Move(StrEnum):
    """What happened to it."""

    REQUESTED = "requested"
    SHIPPED = "shipped"
    IN_TRANSIT = "in-transit"
    DELIVERED = "delivered"
    COUNTED = "counted"  # opened and counted, by the consultant's side
    AT_CONSULTANT = "at-consultant"
    SENT_BACK = "sent-back"
    RETURNED = "returned"  # at its owner again
    LOST = "lost"


M = Move
# From the last word to the next one. What happened in between and nobody wrote down may be left out.
NEXT: Mapping[Move | None, tuple[Move, ...]] = {
    None: (M.REQUESTED, M.SHIPPED, M.IN_TRANSIT, M.DELIVERED, M.COUNTED),
    M.REQUESTED: (M.SHIPPED, M.IN_TRANSIT, M.DELIVERED, M.COUNTED, M.LOST),
    M.SHIPPED: (M.IN_TRANSIT, M.DELIVERED, M.COUNTED, M.LOST),
    M.IN_TRANSIT: (M.DELIVERED, M.COUNTED, M.LOST),
    M.DELIVERED: (M.COUNTED, M.LOST),
    M.COUNTED: (M.COUNTED, M.AT_CONSULTANT, M.SENT_BACK, M.LOST),
    M.AT_CONSULTANT: (M.COUNTED, M.SENT_BACK, M.LOST),
    M.SENT_BACK: (M.RETURNED, M.LOST),
    M.RETURNED: (),
    M.LOST: (M.IN_TRANSIT, M.DELIVERED, M.COUNTED, M.RETURNED),  # found again
}
BY_THE_CONSULTANT = frozenset({M.COUNTED, M.AT_CONSULTANT, M.SENT_BACK})
_WITH_CARRIER = frozenset({M.SHIPPED, M.IN_TRANSIT, M.SENT_BACK})
_WAS_SEEN = frozenset({M.COUNTED, M.AT_CONSULTANT})
_ON_ITS_WAY = frozenset({M.SHIPPED, M.IN_TRANSIT, M.DELIVERED})


@dataclass(frozen=True)
class Moved:
    """One line of its history. ``on``: the day it happened, ``by``: who did it by name; ``actor`` wrote it down ``at``."""

    id: int
    word: Move
    on: date
    by: str
    actor: str
    at: datetime
    pieces_sent: int | None = None
    pieces_counted: int | None = None
    carrier: str = ""
    tracking: str = ""
    note: str = ""


@dataclass(frozen=True)
class Parcel:
    """One thing, or several of one kind that travel together. ``what``: accession and block numbers, as the source says them."""

    id: int
    kind: str
    what: str
    source: str
    at: datetime  # when it was written down
    moves: tuple[Moved, ...] = ()

    @property
    def last(self) -> Moved | None:
        """What was said of it last."""
        return self.moves[-1] if self.moves else None

    @property
    def pieces_sent(self) -> int | None:
        """How many were sent, as it was said last."""
        return next((each.pieces_sent for each in reversed(self.moves) if each.pieces_sent is not None), None)

    @property
    def pieces_counted(self) -> int | None:
        """How many were there when somebody counted last."""
        return next((each.pieces_counted for each in reversed(self.moves) if each.pieces_counted is not None), None)

    @property
    def is_mismatch(self) -> bool:
        """Counted, and not as many as were sent."""
        return None not in (self.pieces_counted, self.pieces_sent) and self.pieces_counted != self.pieces_sent

    @property
    def next_words(self) -> tuple[Move, ...]:
        """What can be said of it next."""
        return NEXT[self.last.word if self.last else None]


def folded(parcel: Parcel) -> tuple[State, str]:
    """How one thing counts for its item, and why in words."""
    last = parcel.last
    if last is None or last.word is M.REQUESTED:
        return State.REQUESTED, f"asked for on {last.on}" if last else "asked for"
    was_seen = any(each.word in _WAS_SEEN for each in parcel.moves)
    if last.word is M.LOST:
        return State.MISSING, f"lost: {last.by} said so on {last.on}"
    if last.word in _ON_ITS_WAY:
        return State.PROMISED, _on_its_way(parcel, last)
    if not was_seen:
        return State.MISSING, f"{_said(last.word)} on {last.on}, and nobody had counted it"
    counted = parcel.pieces_counted
    if parcel.is_mismatch:
        return State.PARTIAL, f"{counted} of {parcel.pieces_sent} were in it when it was counted"
    many = f", {counted} counted" if counted is not None else ""
    return State.FOUND, f"{_said(last.word)} on {last.on}{many}"


def folded_all(parcels: Iterable[Parcel]) -> tuple[State, tuple[str, ...]]:
    """How all things of one kind count together: found when all are, incomplete when one is and another is not."""
    each = [folded(parcel) for parcel in parcels]
    states = {state for state, _ in each}
    reasons = tuple(reason for _, reason in each)
    if len(states) == 1:
        return states.pop(), reasons
    if states & {State.FOUND, State.PARTIAL}:
        return State.PARTIAL, (f"{sum(state is State.FOUND for state, _ in each)} of {len(each)} are there", *reasons)
    worst = (State.MISSING, State.REQUESTED, State.PROMISED)
    return next(state for state in worst if state in states), reasons


def _on_its_way(parcel: Parcel, last: Moved) -> str:
    how = next((f" with {each.carrier}" for each in reversed(parcel.moves) if each.carrier), "")
    counted = ", not counted yet" if last.word is M.DELIVERED else ""
    return f"{_said(last.word)} on {last.on}{how}{counted}"


def _said(word: Move) -> str:
    return word.value.replace("-", " ")


@dataclass(frozen=True)
class TypedMove:
    """What a person typed; empty where nothing was."""

    word: str = ""
    on: str = ""
    by: str = ""
    pieces: str = ""
    carrier: str = ""
    tracking: str = ""
    note: str = ""


def read_move(typed: TypedMove, parcel: Parcel, today: date) -> tuple[dict[str, object], dict[str, str]]:
    """The fields of the move, or a sentence for each that is wrong."""
    wrong: dict[str, str] = {}
    if typed.word not in {str(each) for each in parcel.next_words}:
        return {}, {"word": _cannot_follow(typed.word, parcel)}
    word = Move(typed.word)
    earliest = parcel.last.on if parcel.last else None
    on, wrong["on"] = read_day(typed.on or today.isoformat(), earliest=earliest, latest=today)
    pieces, wrong["pieces"] = read_number(typed.pieces, most=MAX_PIECES)
    tracking, wrong["tracking"] = read_tracking(typed.tracking)
    wrong["by"] = line_problem(typed.by, MAX_LINE) if typed.by.strip() else "say who did it, by name"
    wrong["carrier"] = line_problem(typed.carrier, MAX_LINE)
    wrong["note"] = line_problem(typed.note, MAX_NOTE)
    if word in _WITH_CARRIER and not typed.carrier.strip() and not wrong["carrier"]:
        wrong["carrier"] = "say with whom it travels: a courier, the mail, or the patient"
    if not wrong["pieces"]:
        wrong["pieces"] = _count_problem(word, pieces, parcel, typed.note)
    wrong = {name: sentence for name, sentence in wrong.items() if sentence}
    values: dict[str, object] = dict(
        word=word,
        on=on,
        by=typed.by.strip(),
        pieces_sent=pieces if word in (M.REQUESTED, M.SHIPPED, M.IN_TRANSIT) else None,
        pieces_counted=pieces if word in _WAS_SEEN else None,
        carrier=typed.carrier.strip(),
        tracking=tracking,
        note=typed.note.strip(),
    )
    return ({}, wrong) if wrong else (values, {})


def read_tracking(said: str) -> tuple[str, str]:
    """The number without the spaces and hyphens that people write into it; else empty and what is wrong."""
    plain = re.sub(r"[\s-]+", "", said).upper()
    if not plain:
        return "", ""
    if not re.fullmatch(r"[A-Z0-9]{4,40}", plain):
        return "", "is no tracking number: 4 to 40 letters and digits, as they stand on the label"
    return plain, ""


def _count_problem(word: Move, pieces: int | None, parcel: Parcel, note: str) -> str:
    if word is M.COUNTED and pieces is None:
        return "say how many were in it"
    sent = parcel.pieces_sent
    if word is not M.COUNTED or pieces is None or sent is None or pieces == sent or note.strip():
        return ""
    if pieces > sent:
        return f"{pieces} is more than the {sent} that were sent: check the name on each, and write in the note which are too many"
    return f"{pieces} is fewer than the {sent} that were sent: write in the note which are missing"


def _cannot_follow(word: str, parcel: Parcel) -> str:
    if word not in set(Move):
        return "choose what happened"
    last = parcel.last
    can = ", ".join(_said(each) for each in parcel.next_words) or "nothing"
    return f"{_said(Move(word))} cannot follow {_said(last.word) if last else 'the beginning'}: next can be {can}"
