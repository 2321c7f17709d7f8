"""What one exchange with a server was, told once when it is over: sizes and times always, bodies only when it went wrong."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration.fhir.failures import safe_issues
from mappings.model.errors import TransferError

KEPT_BYTES = 64 * 1024  # of each body, and only of an exchange that went wrong
MAX_ISSUES = 20
_OURS = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,60}")
_THEIRS = re.compile(r"_[A-Za-z-]{1,30}")  # a link of the server: its own names could hold anything


@dataclass(frozen=True)
class Exchange:
    """One request to a server and what came of it. ``cause`` is empty when it went well.

    ``shown`` is the path without its query, with the names of the search parameters and never their values.
    Bodies are clinical content: never logged, shown only after an audited look.
    """

    endpoint: str
    method: str
    shown: str
    status: int | None
    began: datetime
    milliseconds: int
    sent_bytes: int
    received_bytes: int
    cause: str = ""
    retry_after_seconds: float | None = None
    issues: tuple[str, ...] = ()
    request_body: bytes | None = field(default=None, repr=False)
    response_body: bytes | None = field(default=None, repr=False)


Observer = Callable[[Exchange], None]


def ignore(_exchange: Exchange) -> None:
    """The observer of an exchange that belongs to no attempt."""


class Watch:
    """Counts one exchange while it goes on; ``told`` tells of it once, whichever way it ends."""

    def __init__(
        self,
        endpoint: str,
        method: str,
        shown: str,
        body: Any,
        began: datetime,
        clock: Callable[[], float],
        *,
        keeps: bool = True,
    ):
        self.endpoint, self.method, self.shown, self.began = endpoint, method, shown, began
        self.status: int | None = None
        self._body, self._clock, self._at, self._keeps = body, clock, clock(), keeps
        self._received = self._kept_bytes = 0
        self._kept: list[bytes] = []

    def block(self, data: bytes) -> None:
        """Some of the answer has come."""
        self._received += len(data)
        if self._keeps and self._kept_bytes < KEPT_BYTES:
            self._kept.append(data)  # the answer holds it anyway: nothing is copied
            self._kept_bytes += len(data)

    @contextmanager
    def told(self, after: Observer) -> Iterator[None]:
        """The exchange itself: when it is over, ``after`` is told."""
        try:
            yield
        except BaseException as error:
            after(self._over(error))
            raise
        after(self._over(None))

    def _over(self, error: BaseException | None) -> Exchange:
        outcome = getattr(error, "outcome", None)
        issues = tuple(each[:300] for each in safe_issues(outcome)[:MAX_ISSUES]) if outcome else ()
        cause = "" if error is None else error.cause if isinstance(error, TransferError) else "stopped"
        return Exchange(
            self.endpoint,
            self.method,
            self.shown,
            self.status,
            self.began,
            round((self._clock() - self._at) * 1000),
            len(self._body or b""),
            self._received,
            cause,
            getattr(error, "retry_after_seconds", None),
            issues,
            self._body[:KEPT_BYTES] if cause and isinstance(self._body, bytes) and self._body else None,
            self._answered(bool(cause)),
        )

    def _answered(self, wrong: bool) -> bytes | None:
        """The beginning of the answer; of one that went well only where it is a web page, which nobody expects."""
        wanted = self._keeps and self._kept and (wrong or self._kept[0].lstrip()[:1] == b"<")
        return b"".join(self._kept)[:KEPT_BYTES] if wanted else None


def parameter_names(params: Any, url: str) -> str:
    """``?patient&_lastUpdated`` of a search: names only, because a value may be about a patient."""
    ours = list(params) if isinstance(params, Mapping) else [name for name, _ in params or ()]
    theirs = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    names = [name if _OURS.fullmatch(name) else "..." for name in ours]
    names += [name if _THEIRS.fullmatch(name) else "..." for name in theirs]
    return "?" + "&".join(list(dict.fromkeys(names))[:20]) if names else ""
