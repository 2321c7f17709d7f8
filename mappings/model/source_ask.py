"""What is missing, asked of the source that has it: by a Task over FHIR or by a letter; how that stands, and who moves next.

An ask is never changed and never repeated by itself: what became of it is a history, and asking again is a new ask that a person makes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from mappings.model.checklist import Asked, State
from mappings.model.typed import line_problem, read_day

MAX_NAME, MAX_ADDRESS, MAX_WHAT = 200, 6, 500  # characters, lines, characters


class AskRoad(StrEnum):
    """How it is asked."""

    TASK = "task"
    LETTER = "letter"


class AskWord(StrEnum):
    """What became of it."""

    SENT = "sent"  # the Task is there, or a person sent the letter
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PROMISED = "promised"  # with the day it is expected
    ANSWERED = "answered"
    NOTHING = "nothing"  # the source says that it is done, and gave nothing
    ANOTHER = "another-patient"  # what it gave is somebody else's, or may be
    NO_TASK = "takes-no-task"  # a letter is the way then
    CALLED_OFF = "called-off"


W = AskWord
# What a person may say, by what stands; the Exchange writes down what a Task says.
BY_PERSON: Mapping[AskWord | None, tuple[AskWord, ...]] = {
    None: (W.SENT, W.CALLED_OFF),
    W.NO_TASK: (W.SENT, W.CALLED_OFF),
    **dict.fromkeys((W.SENT, W.ACCEPTED, W.PROMISED), (W.PROMISED, W.REJECTED, W.ANSWERED, W.CALLED_OFF)),
    **dict.fromkeys((W.REJECTED, W.NOTHING, W.ANOTHER), (W.PROMISED, W.ANSWERED, W.CALLED_OFF)),
    W.ANSWERED: (),
    W.CALLED_OFF: (),
}
OPEN = frozenset({None, W.NO_TASK, W.SENT, W.ACCEPTED, W.PROMISED})
_REFUSED = frozenset({W.REJECTED, W.NOTHING, W.ANOTHER})


@dataclass(frozen=True)
class AskEvent:
    """One line of what became of it. ``on``: the day it was sent, or is expected; ``by_way``: how a letter went."""

    id: int
    word: AskWord
    actor: str
    at: datetime
    note: str = ""
    on: date | None = None
    by: str = ""
    by_way: str = ""
    reference: str = ""  # Task/id at the source
    outputs: tuple[str, ...] = ()  # Type/id at the source of what it gave
    kept_sha256: str = ""  # of what it gave inside the Task, as JSON


@dataclass(frozen=True)
class Holder:
    """Who has the records. ``endpoint``: of config.yaml, empty for another place."""

    endpoint: str
    name: str
    address: tuple[str, ...] = ()
    fax: str = ""
    portal: str = ""
    phone: str = ""

    @property
    def can_be_written_to(self) -> bool:
        """There is a way for a letter."""
        return bool(self.address or self.fax or self.portal)


@dataclass(frozen=True)
class Ask:
    """One request for records to one source. ``items``: kinds of the checklist; ``renews``: the ask that this one repeats."""

    id: int
    request_id: str
    holder: Holder
    road: AskRoad
    items: tuple[str, ...]
    what: str
    due: date
    renews: int | None
    actor: str
    reason: str
    at: datetime
    events: tuple[AskEvent, ...] = ()

    @property
    def last(self) -> AskEvent | None:
        """What was said of it last."""
        return self.events[-1] if self.events else None

    @property
    def word(self) -> AskWord | None:
        """How it stands; None: it is not on its way yet."""
        return self.last.word if self.last else None

    @property
    def by_letter(self) -> bool:
        """A person sends it, from the start or because the source takes no Task."""
        return self.road is AskRoad.LETTER or any(each.word is W.NO_TASK for each in self.events)

    @property
    def is_open(self) -> bool:
        """Somebody still has a move."""
        return self.word in OPEN

    @property
    def wanted_by(self) -> date:
        """The day it was promised for, else the day it was asked for."""
        promised = next((each.on for each in reversed(self.events) if each.word is W.PROMISED and each.on), None)
        return promised or self.due

    def is_late(self, today: date) -> bool:
        """The day is over and nothing is there."""
        return self.is_open and today > self.wanted_by


@dataclass(frozen=True)
class Standing:
    """How it stands: a sentence, the next step, and who has it."""

    says: str
    next: str
    who: str
    is_late: bool


def standing(ask: Ask, today: date) -> Standing:
    """In words; a late one says so first, and asking again is offered, never done."""
    says, then, who = _standing(ask)
    if not ask.is_late(today):
        return Standing(says, then, who, False)
    again = "" if ask.word in (None, W.NO_TASK) else "Call them, or ask again. "
    return Standing(f"Overdue since {ask.wanted_by}. {says}", f"{again}{then}", "coordinator", True)


def _standing(ask: Ask) -> tuple[str, str, str]:
    name, last = ask.holder.name, ask.last
    if last is None or last.word is W.NO_TASK:
        if ask.by_letter:
            before = f"{name} takes no requests over FHIR. " if last else ""
            return (
                f"{before}The letter is not sent yet.",
                "Download the letter, send it, and say so here.",
                "coordinator",
            )
        return f"The request to {name} is about to go over FHIR.", "", "exchange"
    because = f": {last.note}" if last.note else ""
    match last.word:
        case W.SENT | W.ACCEPTED:
            did = "accepted" if last.word is W.ACCEPTED else "asked"
            return (
                f"{name} was asked for it by {ask.due}." if did == "asked" else f"{name} accepted the request.",
                "",
                "source",
            )
        case W.PROMISED:
            return f"{name} promised it for {ask.wanted_by}{because}.", "", "source"
        case W.REJECTED:
            return f"{name} refused{because}.", _OTHERWISE, "coordinator"
        case W.NOTHING:
            return (
                f"{name} says that it is done, and gave nothing{because}.",
                f"Call {name}. {_OTHERWISE}",
                "coordinator",
            )
        case W.ANOTHER:
            says = f"What {name} gave is another patient's, or does not say whose it is{because}. None of it was taken over."
            return says, f"Call {name} today: they gave away somebody else's record. {_OTHERWISE}", "coordinator"
        case W.ANSWERED:
            return f"{name} answered{because}.", "", ""
    return f"Called off by {last.actor}{because}.", "", ""


_OTHERWISE = "Ask again or elsewhere, or go without it."


def as_asked(ask: Ask, today: date) -> Asked | None:
    """What it says of its items; None where it says nothing any more."""
    if ask.word in (W.ANSWERED, W.CALLED_OFF):
        return None
    at = ask.last.at if ask.last else ask.at
    reason = standing(ask, today).says.rstrip(".")
    if ask.word in _REFUSED or ask.by_letter and ask.word in (None, W.NO_TASK):
        return Asked(State.MISSING, reason, at)
    return Asked(State.PROMISED if ask.word is W.PROMISED else State.REQUESTED, reason, at)


@dataclass(frozen=True)
class TypedHolder:
    """Another place than the endpoints, as it was typed; ``address``: lines."""

    name: str = ""
    address: str = ""
    fax: str = ""


def read_holder(typed: TypedHolder) -> tuple[Holder, dict[str, str]]:
    """The place, and a sentence for each field that is wrong."""
    lines = tuple(line.strip() for line in typed.address.splitlines() if line.strip())
    wrong = {
        "place": line_problem(typed.name, MAX_NAME) if typed.name.strip() else "say who has the records: a name",
        "address": next((problem for line in lines if (problem := line_problem(line, MAX_NAME))), ""),
        "fax": line_problem(typed.fax, MAX_NAME),
    }
    if len(lines) > MAX_ADDRESS:
        wrong["address"] = f"has {len(lines)} lines; at most {MAX_ADDRESS} fit on an envelope"
    elif not lines and not typed.fax.strip():
        wrong["address"] = "a letter needs an address or a fax number to go to"
    return Holder("", typed.name.strip(), lines, typed.fax.strip()), {key: why for key, why in wrong.items() if why}


def read_ask(items: tuple[str, ...], what: str, due: str, today: date) -> tuple[date | None, dict[str, str]]:
    """The day it is wanted by, and a sentence for each field that is wrong."""
    day, problem = read_day(due, earliest=today)
    wrong = {
        "items": "" if items else "choose at least one thing to ask for",
        "what": line_problem(what, MAX_WHAT),
        "due": problem or ("" if day else "say by when it is needed"),
    }
    return day, {key: why for key, why in wrong.items() if why}
