"""SMART scopes of machines: read, refused in a sentence, and what of those asked for is within those registered.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-clinical-data
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from integration.hosted.outcomes import Refusal, shown
from integration.hosted.parameters import COMMON, OF_TYPE
from integration.hosted.query import Query, read_query
from integration.hosted.resource_types import ELEMENTS
from mappings.model.errors import ExchangeError

EVERY = "*"
LETTERS = "cruds"  # create read update delete search; a scope names some of them in this order
OF_VERSION_1 = {"read": "rs", "write": "cud", "*": LETTERS}
MAX_SCOPES, MAX_CHARACTERS = 100, 8_000  # of one request or registration
_SCOPE = re.compile(r"system/(?P<type>\*|[A-Za-z]+)\.(?P<may>[a-z]+|\*)(?P<search>\?.*)?", re.DOTALL)
_MAY = re.compile(r"c?r?u?d?s?")
_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # scope-token of RFC 6749 3.3


class ScopeRefused(ExchangeError):
    """A scope cannot be read, or needs what is not evaluated here. The sentence holds no value of its search."""


@dataclass(frozen=True)
class Scope:
    """``may`` are letters of LETTERS, ``type`` a resource type or ``*``, ``search`` a query that resources must match."""

    type: str
    may: str
    search: str = ""
    as_asked: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.as_asked or f"system/{self.type}.{self.may}" + (f"?{self.search}" if self.search else "")

    def query(self, base: str) -> Query | None:
        """Its search as the endpoint at ``base`` evaluates it; None when it has none."""
        return read_query(self.type, self.search, base=base) if self.search else None


def read_scopes(text: str) -> list[Scope]:
    """The scopes of a blank-separated list. Raises ScopeRefused for the first one that cannot be had here."""
    words = text.split(" ") if text else []
    if not words or len(words) > MAX_SCOPES or len(text) > MAX_CHARACTERS:
        raise ScopeRefused(
            f"Name 1 to {MAX_SCOPES} scopes in at most {MAX_CHARACTERS} characters, with one blank between them."
        )
    return [read_scope(word) for word in words]


def read_scope(word: str) -> Scope:
    """One scope. Raises ScopeRefused."""
    found = _SCOPE.fullmatch(word) if _WORD.fullmatch(word) else None
    if found is None:
        raise ScopeRefused(
            f"{_named(word)} is no scope of a machine: write it as system/Observation.rs, with the type or * and letters of "
            f"{LETTERS} in that order."
        )
    type_, may, search = found["type"], _letters(found["may"], word), (found["search"] or "")[1:]
    if type_ != EVERY and type_ not in ELEMENTS:
        near = difflib.get_close_matches(type_, ELEMENTS, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ScopeRefused(f"{_named(word)}: '{shown(type_)}' is not a resource type of FHIR R4.{hint}")
    if found["search"] is not None:
        _check_search(type_, search, word)
    return Scope(type_, may, search, word)


def _letters(may: str, word: str) -> str:
    if may in OF_VERSION_1:
        return OF_VERSION_1[may]
    if not _MAY.fullmatch(may):
        raise ScopeRefused(
            f"{_named(word)}: what it asks for is not letters of {LETTERS} in that order, nor read, write or *."
        )
    return may


def _check_search(type_: str, search: str, word: str) -> None:
    if type_ == EVERY:
        raise ScopeRefused(f"{_named(word)}: a search needs a resource type, because each has parameters of its own.")
    known = sorted([*OF_TYPE[type_], *COMMON])
    try:
        pairs = parse_qsl(search, keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        pairs = []
    unknown = next((name for name, _ in pairs if name not in known), None)
    if unknown is not None or not pairs:
        said = f"the search parameter '{shown(unknown)}' is" if unknown else "its search is"
        raise ScopeRefused(
            f"{_named(word)}: {said} not evaluated here. For {type_} there are, without modifiers: {', '.join(known)}."
        )
    try:
        read_query(type_, search, base="")
    except Refusal as refusal:
        raise ScopeRefused(f"{_named(word)}: {refusal.diagnostics}") from None


def _named(word: str) -> str:
    """A scope as an answer may repeat it: without its search, whose values may be a patient's."""
    plain = word.partition("?")[0]
    return f"Scope {plain}" if re.fullmatch(r"[A-Za-z*/.]{1,80}", plain) else "A scope"


def granted(asked: Iterable[Scope], registered: Sequence[Scope]) -> list[Scope]:
    """What of ``asked`` lies within ``registered``: fewer letters, one type for *, or both searches at once.

    Raises ScopeRefused where that is more than a token bears.
    """
    found: list[Scope] = []
    for one in asked:
        for other in registered:
            both = _within(one, other)
            if both is not None and not any(_covers(each, both) for each in found):
                found = [each for each in found if not _covers(both, each)] + [both]
                _check_number(found)
    return read_scopes(" ".join(map(str, found))) if found else []


def _check_number(found: list[Scope]) -> None:
    if len(found) > MAX_SCOPES:
        raise ScopeRefused(f"These are more than {MAX_SCOPES} scopes together: ask for fewer at a time.")


def _within(asked: Scope, registered: Scope) -> Scope | None:
    may = "".join(letter for letter in LETTERS if letter in asked.may and letter in registered.may)
    if not may or EVERY not in (asked.type, registered.type) and asked.type != registered.type:
        return None
    type_ = registered.type if asked.type == EVERY else asked.type
    searches = dict.fromkeys(each.search for each in (asked, registered) if each.search)
    both = Scope(type_, may, "&".join(searches))
    return replace(both, as_asked=asked.as_asked) if both == asked else both


def _covers(wide: Scope, narrow: Scope) -> bool:
    return wide.type in (EVERY, narrow.type) and set(narrow.may) <= set(wide.may) and wide.search in ("", narrow.search)
