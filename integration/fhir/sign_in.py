"""Signing in, decided for each request: the headers it carries, and whether another try helps when they were refused.

A token goes to the origin of its endpoint only (`Transport.url_of` lets nothing go elsewhere, no redirect is followed).
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mappings.model.token import Token


class SignIn(Protocol):
    """How requests to one endpoint are signed."""

    def headers(self) -> Mapping[str, str]:
        """For the next request. Raises TransferError when no token can be had."""

    def refused(self, sent: Mapping[str, str]) -> bool:
        """The server answered 401 to these headers. True when the request may go once more, with new ones."""


class Unsigned:
    """Nothing is shown."""

    def headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def refused(self, sent: Mapping[str, str]) -> bool:
        """Never again: there is nothing else to show."""
        return False


@dataclass(frozen=True)
class Fixed:
    """The same header each time."""

    authorization: str

    @classmethod
    def bearer(cls, token: str) -> "Fixed":
        """A token that does not change by itself."""
        return cls(f"Bearer {token}")

    @classmethod
    def basic(cls, user: str, password: str) -> "Fixed":
        """https://www.rfc-editor.org/rfc/rfc7617"""
        return cls("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    def headers(self) -> Mapping[str, str]:
        """Always the same."""
        return {"Authorization": self.authorization}

    def refused(self, sent: Mapping[str, str]) -> bool:
        """Never again: the same would be refused again."""
        return False


class TokenShelf(Protocol):
    """Where tokens of one endpoint are kept for all workers, so that one of them renews for all."""

    def usable(self) -> Token | None:
        """The present token while it need not be renewed, or while somebody else is renewing it and it still lives."""

    def renew(self, fetch: Callable[[], Token]) -> Token:
        """A new one: fetched by one caller at a time over all workers; the others wait for it."""

    def drop(self, value: str) -> bool:
        """This token is refused. False when it was the newest, made a moment ago: then another would be refused too."""


class WithToken:
    """A bearer token from a token address, renewed before it ends and once when it is refused."""

    def __init__(self, shelf: TokenShelf, fetch: Callable[[], Token]):
        self._shelf, self._fetch = shelf, fetch

    def headers(self) -> Mapping[str, str]:
        """The token that all workers use now."""
        token = self._shelf.usable() or self._shelf.renew(self._fetch)
        return {"Authorization": f"Bearer {token.value}"}

    @property
    def scope(self) -> str:
        """What the present token opens, as the token address said; empty when it did not."""
        token = self._shelf.usable()
        return token.scope if token else ""

    def refused(self, sent: Mapping[str, str]) -> bool:
        """Once more, with another token, unless this one was made a moment ago."""
        return self._shelf.drop(sent.get("Authorization", "").removeprefix("Bearer "))
