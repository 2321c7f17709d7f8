"""What a consulting practice answers to a request: it takes it, declines it, asks for more, or hands it to others; pure.

https://hl7.org/fhir/R4/task.html: each is a change of the Task that the fulfiller owns (mappings/desk_task.py).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mappings.model.hand_over import MAX_NAME, line_problem
from mappings.model.states import OPEN, Status

MAX_WORDS = 2000  # characters
MAX_PEOPLE, MAX_ITEMS = 20, 40


class Answer(StrEnum):
    """What a practice says to a request."""

    ACCEPT = "accept"
    DECLINE = "decline"
    ASK = "ask"
    HAND_OVER = "hand-over"


class DeclineReason(StrEnum):
    """Why a request is declined; a code system of ours, because Task.statusReason has none."""

    OTHER_FIELD = "not-our-field"
    NO_TIME = "not-in-time"
    RECORDS = "records-insufficient"
    CONFLICT = "conflict-of-interest"
    NOT_COVERED = "not-covered"
    OTHER = "other"


DECLINE_WORDS = {
    DeclineReason.OTHER_FIELD: "It is not our field",
    DeclineReason.NO_TIME: "We cannot do it in time",
    DeclineReason.RECORDS: "The records are not enough for an opinion",
    DeclineReason.CONFLICT: "We have a conflict of interest",
    DeclineReason.NOT_COVERED: "The patient's insurance does not cover it here",
    DeclineReason.OTHER: "Another reason",
}

S = Status
_ASKED = frozenset({S.REQUESTED, S.RECEIVED})
# In which states of the Task each may be said.
MAY: dict[Answer, frozenset[Status]] = {
    Answer.ACCEPT: _ASKED | {S.ON_HOLD},
    Answer.DECLINE: _ASKED | {S.ACCEPTED, S.ON_HOLD},
    Answer.ASK: _ASKED | {S.ACCEPTED, S.IN_PROGRESS, S.ON_HOLD},
    Answer.HAND_OVER: OPEN - {S.DRAFT},
}


@dataclass(frozen=True)
class Said:
    """``people``: who has it from now on, by name; ``items``: kinds of the checklist that are asked for."""

    answer: Answer
    reason: DeclineReason | None = None
    words: str = ""
    people: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """For the side that asks: the reason in words, and what was said beside it."""
        label = DECLINE_WORDS[self.reason] if self.reason else ""
        return ": ".join(filter(None, (label, self.words)))


@dataclass(frozen=True)
class TypedSaid:
    """What a person typed; empty where nothing was. ``people``: a name in each line."""

    answer: str = ""
    reason: str = ""
    words: str = ""
    people: str = ""
    items: tuple[str, ...] = ()


def may_say(status: Status | None) -> tuple[Answer, ...]:
    """What may be said of a Task in this state."""
    return tuple(each for each in Answer if status in MAY[each])


def read_said(
    typed: TypedSaid, *, status: Status | None, kinds: Collection[str]
) -> tuple[Said | None, Mapping[str, str]]:
    """The answer, or a sentence for each field that is wrong. ``kinds``: what the checklists can ask for."""
    if typed.answer not in set(Answer):
        return None, {"answer": f"is one of {', '.join(Answer)}"}
    answer = Answer(typed.answer)
    people = tuple(dict.fromkeys(line.strip() for line in typed.people.splitlines() if line.strip()))
    wrong = dict(_wrong(answer, typed, people, status, kinds))
    if wrong:
        return None, wrong
    reason = DeclineReason(typed.reason) if answer is Answer.DECLINE else None
    items = tuple(dict.fromkeys(typed.items)) if answer is Answer.ASK else ()
    return Said(answer, reason, _plain(typed.words), people, items), {}


def _wrong(
    answer: Answer, typed: TypedSaid, people: tuple[str, ...], status: Status | None, kinds: Collection[str]
) -> Iterator[tuple[str, str]]:
    if status not in MAY[answer]:
        stands = status.value.replace("-", " ") if status else "not known"
        yield "answer", f"cannot be said any more: the request is {stands}"
    if answer is Answer.DECLINE:
        yield from _wrong_reason(typed)
    if answer is Answer.ASK:
        yield from _wrong_ask(typed, kinds)
    if answer in (Answer.ACCEPT, Answer.HAND_OVER) and not people:
        yield "people", "say who has it from now on, by name: one in each line"
    if len(people) > MAX_PEOPLE:
        yield "people", f"has {len(people)} names; at most {MAX_PEOPLE} are kept"
    if problem := next(filter(None, (line_problem(each, MAX_NAME) for each in people)), ""):
        yield "people", problem
    if len(typed.words) > MAX_WORDS:
        yield "words", f"has {len(typed.words)} characters; at most {MAX_WORDS} are kept"


def _wrong_reason(typed: TypedSaid) -> Iterator[tuple[str, str]]:
    if typed.reason not in set(DeclineReason):
        yield "reason", "choose why it is declined"
    elif typed.reason == DeclineReason.OTHER and not typed.words.strip():
        yield "words", "say in words which other reason it is"


def _wrong_ask(typed: TypedSaid, kinds: Collection[str]) -> Iterator[tuple[str, str]]:
    unknown = sorted(set(typed.items) - set(kinds))
    if unknown:
        yield "items", f"no checklist has an item {', '.join(unknown)[:200]}"
    if len(typed.items) > MAX_ITEMS:
        yield "items", f"has {len(typed.items)} items; at most {MAX_ITEMS} are asked for at once"
    if not typed.items and not typed.words.strip():
        yield "words", "say what you need: choose records, or write it in words"


def _plain(words: str) -> str:
    """Without what no database keeps."""
    return words.replace("\x00", "").replace("\r\n", "\n").encode("utf-8", "replace").decode().strip()
