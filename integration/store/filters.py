"""The search box: reads ``state:parked endpoint:mercy due:<3d`` into a filter, or says where it cannot."""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from mappings.model.errors import ExchangeError
from mappings.model.steps import Group, StepKind, of_group

# name -> what it looks for; completion, help and the documentation read this.
QUALIFIERS = {
    "state": "attention, parked, retrying, late, running, due, waiting, done, cancelled or all",
    "endpoint": "the endpoint that is talked to, e.g. endpoint:mercy",
    "any": "part of the cause, the endpoint's name or the request's key; a word alone means this",
    "error": "part of the cause, e.g. error:timeout; error:=timeout for exactly that cause",
    "kind": "records, request, report or watch; or one kind of step, e.g. kind:push_records",
    "request": "a request id or its beginning",
    "delivery": "a delivery id",
    "patient": "a patient identifier (only its keyed hash is kept in the address), or that hash",
    "due": "<3d within three days, >12h later than that, late, none; units m h d w",
    "attempts": "number of failed attempts: 3, >3 or <3",
    "priority": "routine, urgent or asap",
    "placer": "the endpoint that asked",
    "fulfiller": "the endpoint that answers",
}
STATES = ("attention", "parked", "retrying", "late", "running", "due", "waiting", "done", "cancelled", "all")
KINDS = {group.value: of_group(group) for group in Group}
STEP_KINDS = tuple(map(str, StepKind))
PRIORITIES = ("routine", "urgent", "asap")
FORGIVING = ("state", "kind", "priority", "due", "request")  # in capitals or not
HASH = re.compile(r"[0-9a-f]{32}")
MAX_LENGTH = 1000
_TOKEN = re.compile(r'(?P<minus>-?)(?:(?P<name>[A-Za-z_]+):[ \t]*)?(?P<value>"[^"]*"|[^\s"]*)')
_SPAN = re.compile(r"([<>])(\d{1,4})([mhdw])")
_NUMBER = re.compile(r"([<>]?)(\d{1,6})")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class FilterError(ExchangeError):
    """The filter cannot be read. ``position`` is where (from 0), ``length`` how long the wrong part is."""

    def __init__(self, position: int, length: int, message: str):
        self.position, self.length = position, length
        super().__init__(message)


@dataclass(frozen=True)
class Term:
    """One condition: any of ``values``; ``negative`` turns it round."""

    name: str
    values: tuple[str, ...]
    negative: bool = False

    def __str__(self) -> str:
        return f"{'-' if self.negative else ''}{self.name}:{','.join(map(_quoted, self.values))}"


@dataclass(frozen=True)
class Filter:
    """What is looked for. Without a state it is what needs a person."""

    terms: tuple[Term, ...] = ()
    state: str = "attention"

    def __str__(self) -> str:
        state = () if self.state == "attention" else (f"state:{self.state}",)
        return " ".join((*state, *map(str, self.terms)))

    def with_state(self, state: str) -> "Filter":
        """The same filter under another tab."""
        return replace(self, state=state)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Patient identifiers typed as they are: to be hashed before anything is shown or stored."""
        return tuple(
            value for term in self.terms if term.name == "patient" for value in term.values if not HASH.fullmatch(value)
        )

    def with_hashes(self, hash_of: Callable[[str], str]) -> "Filter":
        """The same filter with ``hash_of(identifier)`` in the place of each patient identifier."""
        return replace(
            self,
            terms=tuple(
                (
                    replace(
                        term,
                        values=tuple(
                            value if HASH.fullmatch(value) else hash_of(value.rsplit("|", 1)[-1])
                            for value in term.values
                        ),
                    )
                    if term.name == "patient"
                    else term
                )
                for term in self.terms
            ),
        )


def parse(text: str) -> Filter:
    """The filter a person typed. Raises FilterError with the place of the first part that is wrong."""
    if len(text) > MAX_LENGTH:
        raise FilterError(MAX_LENGTH, 1, f"the filter is longer than {MAX_LENGTH} characters")
    strange = next(
        (index for index, letter in enumerate(text) if not letter.isprintable() and not letter.isspace()), None
    )
    if strange is not None:
        raise FilterError(strange, 1, "there is a character here that cannot be typed")
    terms, state = [], None
    for found in _tokens(text):
        term = _term(found)
        if term.name != "state":
            terms.append(term)
        elif state is not None or term.negative or len(term.values) > 1:
            raise _wrong(found, "give one state: only once, without a minus")
        else:
            state = term.values[0]
    return Filter(tuple(terms), state or "attention")


def _tokens(text: str) -> Iterator[re.Match]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(text, position)
        if found is None or found.end() == position:
            raise FilterError(position, 1, 'a quotation mark " has no partner here')
        if text[found.end() : found.end() + 1] == '"':
            raise FilterError(found.end(), 1, 'a quotation mark " has no partner here')
        yield found
        position = found.end()


def _term(found: re.Match) -> Term:
    name, value = found["name"], found["value"]
    if name is None:
        name, value = _bare(found)
    name = name.lower()
    if name not in QUALIFIERS:
        near = difflib.get_close_matches(name, QUALIFIERS, 1, 0.5)
        raise _wrong(
            found,
            f"there is no qualifier {name[:40]}:"
            + (f"; did you mean {near[0]}:?" if near else f"; known: {', '.join(QUALIFIERS)}"),
        )
    values = (value[1:-1],) if value.startswith('"') else tuple(filter(None, value.split(",")))
    if not any(map(str.strip, values)):
        raise _wrong(found, f"{name}: needs a value: {QUALIFIERS[name]}")
    return Term(name, tuple(_checked(found, name, one) for one in values), bool(found["minus"]))


def _bare(found: re.Match) -> tuple[str, str]:
    """A word without a qualifier: the beginning of a request id, a state, a kind of step, or any of what a step is called."""
    value = found["value"].strip('"').lower()
    if re.fullmatch(r"r[0-9a-f]{3,20}", value):
        return "request", value
    if value in STATES:
        return "state", value
    return ("kind" if value in KINDS or value in STEP_KINDS else "any"), found["value"]


def _checked(found: re.Match, name: str, value: str) -> str:
    value = value.lower() if name in FORGIVING else value
    allowed = {"state": STATES, "kind": (*KINDS, *STEP_KINDS), "priority": PRIORITIES}.get(name)
    if allowed is not None and value not in allowed:
        near = difflib.get_close_matches(value, allowed, 1, 0.5)
        raise _wrong(
            found,
            f"{name}: knows no {value[:40]}"
            + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(allowed)}"),
        )
    if name == "due" and value not in ("late", "none") and not _SPAN.fullmatch(value):
        raise _wrong(found, "due: is late, none, or < or > with a number and m, h, d or w, for example due:<3d")
    if name == "attempts" and not _NUMBER.fullmatch(value):
        raise _wrong(found, "attempts: is a number, or < or > with a number, for example attempts:>3")
    return value


def _wrong(found: re.Match, message: str) -> FilterError:
    return FilterError(found.start(), len(found.group()), message)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[\s,]", value) else value


def span_of(value: str) -> tuple[str, timedelta]:
    """``<3d`` as its sign and its length."""
    found = _whole(_SPAN, value)
    return found[1], timedelta(**{_UNITS[found[3]]: int(found[2])})


def number_of(value: str) -> tuple[str, int]:
    """``>3`` as its sign and its number."""
    found = _whole(_NUMBER, value)
    return found[1], int(found[2])


def _whole(pattern: re.Pattern[str], value: str) -> re.Match[str]:
    found = pattern.fullmatch(value)
    if found is None:  # a term was read with the same pattern
        raise FilterError(0, len(value), "is not what this term takes")
    return found


def kinds_of(value: str) -> tuple[str, ...]:
    """The kinds of step a ``kind:`` value means."""
    return KINDS.get(value, (value,))
