"""Which requests somebody may see and act on: the one rule, for one request and in SQL."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, false, func, or_, true

from integration.store.roles import OF_PRACTICES, Role
from integration.store.tables import requests


@dataclass(frozen=True)
class Scope:
    """All requests (``whole``), or those that ``placers`` ask and those that ``fulfillers`` are asked; keys of endpoints.

    A practice that is no longer in config.yaml keeps its requests in the scope of its people: no more, no fewer.
    """

    whole: bool = False
    placers: frozenset[str] = frozenset()
    fulfillers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, roles: Iterable[Role], practices: Iterable[str]) -> "Scope":
        """What ``roles`` open together. A role of the installation opens everything; one of a practice without practices, nothing."""
        given, theirs = frozenset(roles), frozenset(practices)
        if given - OF_PRACTICES:
            return EVERYTHING
        return cls(
            placers=theirs if Role.COORDINATOR in given else frozenset(),
            fulfillers=theirs if Role.CONSULTANT in given else frozenset(),
        )

    def holds(self, placer: str, fulfiller: str) -> bool:
        """True when a request of ``placer`` to ``fulfiller`` is in it."""
        return self.whole or placer in self.placers or fulfiller in self.fulfillers

    def asks_for(self, placer: str) -> bool:
        """True when who has it may ask in the name of ``placer``."""
        return self.whole or placer in self.placers

    def where(self, of: FromClause = requests) -> ColumnElement[bool]:
        """The same as a condition on rows that have the columns ``placer`` and ``fulfiller``."""
        if self.whole:
            return true()
        asked, asking = sorted(self.fulfillers), sorted(self.placers)
        sides = [of.c.placer == func.any(asking)] if asking else []
        return or_(false(), *sides, *([of.c.fulfiller == func.any(asked)] if asked else []))


EVERYTHING = Scope(whole=True)
NOTHING = Scope()
