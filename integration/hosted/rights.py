"""Who asks at a hosted endpoint and what they may do there: the one place where scopes are held against a request.

A type without a scope is refused (403). A resource outside of the search of a scope is one that is not known here (404), as
https://hl7.org/fhir/R4/security.html#AccessDenied advises; what somebody sends that lies outside is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from integration.hosted.outcomes import Refusal, not_found
from integration.hosted.parameters import Row
from integration.hosted.query import Query
from integration.hosted.scopes import EVERY, Scope

WORDS = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search for"}


# Made only where a scope has a search; those of the index, where there are any: a search sees the same.
Rows = Callable[[], set[Row]]


class Kept(Protocol):
    """Which version of which resource."""

    @property
    def type(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def updated_at(self) -> datetime: ...


@dataclass(frozen=True)
class Rights:
    """``scopes`` None: everything at this practice. ``base`` is its address: references below it are local."""

    scopes: tuple[Scope, ...] | None = None
    base: str = ""

    def searches(self, letter: str, type_: str) -> tuple[Query, ...] | None:
        """The searches of which a ``type_`` has to match one; None: it need not. Raises Refusal where there is no scope at all."""
        if self.scopes is None:
            return None
        mine = [scope for scope in self.scopes if letter in scope.may and scope.type in (EVERY, type_)]
        if not mine:
            raise _no_scope(letter, type_)
        queries = [self._queries[scope] for scope in mine]
        return None if None in queries else tuple(query for query in queries if query)

    def check(self, letters: str, type_: str) -> None:
        """Refuse what no scope is for, before anything is read or looked up."""
        for letter in letters:
            self.searches(letter, type_)

    def check_seen(self, letter: str, stored: Kept, rows: Rows) -> None:
        """Refuse a resource outside of the scopes as one that is not known here."""
        if not self.covers(letter, stored, rows):
            raise not_found(stored.type, stored.id)

    def check_sent(self, letter: str, stored: Kept, rows: Rows) -> None:
        """Refuse what somebody sends outside of their scopes; it says nothing that they do not know."""
        if not self.covers(letter, stored, rows):
            raise _forbidden(
                f"This {stored.type} lies outside of the search of this token's scopes to {WORDS[letter]} one."
            )

    def check_found(self, stored: Kept, rows: Rows) -> None:
        """Refuse a conditional create that finds what the caller may not search for: another one would be a duplicate."""
        if not self.covers("s", stored, rows):
            raise _forbidden(f"A {stored.type} that matches is here, and this token's scopes do not show it.")

    def covers(self, letter: str, stored: Kept, rows: Rows) -> bool:
        """Does ``stored`` match one of the searches? ``rows`` makes what it is found by. Raises Refusal where there is no scope."""
        searches = self.searches(letter, stored.type)
        if searches is None:
            return True
        found_by = rows()
        return any(query.matches(found_by, stored.id, stored.updated_at) for query in searches)

    @cached_property
    def _queries(self) -> dict[Scope, Query | None]:
        return {scope: scope.query(self.base) for scope in self.scopes or ()}


@dataclass(frozen=True)
class Caller:
    """``actor`` is the name in the audit trail."""

    actor: str
    rights: Rights = field(default_factory=Rights)


ANYONE = Caller("anyone")


def of_scopes(scopes: Sequence[Scope], base: str) -> Rights:
    """What a token with these scopes opens at ``base``."""
    return Rights(tuple(scopes), base)


def _no_scope(letter: str, type_: str) -> Refusal:
    return _forbidden(f"This token has no scope to {WORDS[letter]} a {type_}: it would be system/{type_}.{letter}.")


def _forbidden(sentence: str) -> Refusal:
    # https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    return Refusal(403, "forbidden", sentence, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
