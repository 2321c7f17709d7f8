"""A short look into an endpoint's server while a person waits for it: bounded in time and number, and it never writes.

It is done by the process that shows the page, with the endpoint's own sign-in and pace. An endpoint that is paused, resting
(its breaker is open) or at another address than at first use is not asked. What a look meets moves no breaker: a person who
waits is less patient than a step.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine

from integration.fhir.server import FhirServer, NotFound
from integration.fhir.servers import Servers
from integration.server_address import address_of
from integration.settings.config import Config
from integration.settings.endpoints import Limits
from integration.store import endpoint_health, endpoints
from integration.store.held_tokens import Shelf
from integration.store.pace import Paced, wait_for_turn
from integration.store.tokens import credentials
from mappings.model.errors import ExchangeError, PartialError, TemporaryError, TransferError

T = TypeVar("T")
DEADLINE_SECONDS = 10.0
ONE_ANSWER_SECONDS = 8.0
LONGEST_TURN_SECONDS = 3.0
AT_ONCE, AT_ONE_ENDPOINT = 8, 3


class NotNow(ExchangeError):
    """No look is possible now. ``cause`` says why in one word (`WORDS`); ``told``: what the exchange said, ids only."""

    WORDS = ("paused", "resting", "moved", "busy", "slow", "away", "refused", "gone", "unreadable")

    def __init__(self, endpoint: str, cause: str, told: str = ""):
        self.endpoint, self.cause, self.told = endpoint, cause, told
        super().__init__(f"{endpoint} cannot be asked now ({cause})" + (f": {told}" if told else ""))


class LiveReads:
    """Looks for one process. ``ask`` is called with a function that reads; it gets a server that refuses to write."""

    def __init__(self, config: Config, engine: Engine, servers: Servers, *, deadline_seconds: float):
        self._config, self._engine, self._servers = config, engine, servers
        self._deadline = deadline_seconds
        self._pool = ThreadPoolExecutor(AT_ONCE, "look")
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._at: dict[str, threading.BoundedSemaphore] = {
            key: threading.BoundedSemaphore(AT_ONE_ENDPOINT) for key in config.endpoints
        }

    @classmethod
    def of(cls, config: Config, engine: Engine, *, deadline_seconds: float = DEADLINE_SECONDS) -> "LiveReads":
        """With the sign-in, pace and certificates that the workers have, and less patience."""
        hurried = {
            key: each.model_copy(update={"limits": _hurried(each.limits)}) for key, each in config.endpoints.items()
        }
        servers = Servers(
            config.model_copy(update={"endpoints": hurried}),
            credentials(engine),
            partial(_turn, engine),
            partial(Shelf, engine),
        )
        return cls(config, engine, servers, deadline_seconds=deadline_seconds)

    def ask(self, endpoint: str, read: Callable[[FhirServer], T]) -> T:
        """What ``read`` reads there, within the deadline. Raises NotNow, and whatever of ours ``read`` raises beside it."""
        self._may_be_asked(endpoint)
        with_room = self._submit(endpoint, read)
        try:
            return with_room.result(self._deadline)
        except TookTooLong:
            raise NotNow(endpoint, "slow") from None
        except Paced:
            raise NotNow(endpoint, "busy") from None
        except PartialError as error:
            raise NotNow(endpoint, "unreadable", str(error)) from None
        except TransferError as error:
            raise NotNow(endpoint, _cause_of(error), str(error)) from None

    def close(self) -> None:
        """Give the connections back."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._servers.close()

    def _submit(self, endpoint: str, read: Callable[[FhirServer], T]) -> "Future[T]":
        """A look that is given up goes on until its server's own bounds end it, and holds its room so long."""
        here = self._at[endpoint]
        if not here.acquire(blocking=False):
            raise NotNow(endpoint, "busy")
        if not self._free.acquire(blocking=False):
            here.release()
            raise NotNow(endpoint, "busy")

        def look() -> T:
            try:
                return read(self._servers.server(endpoint))
            finally:
                self._free.release()
                here.release()

        return self._pool.submit(look)

    def _may_be_asked(self, endpoint: str) -> None:
        with self._engine.begin() as conn:
            health, known = endpoint_health.of(conn, endpoint), endpoints.known(conn, endpoint)
        if health and health.paused:
            raise NotNow(endpoint, "paused")
        if health and health.breaker != "closed" and health.breaker_until and health.breaker_until > datetime.now(UTC):
            raise NotNow(endpoint, "resting")
        if known.base_url not in (None, address_of(self._config.endpoints[endpoint])):
            raise NotNow(endpoint, "moved")


def _turn(engine: Engine, endpoint: str) -> None:
    """Wait for the endpoint's pace, but not long: a person looks on."""

    def sleep(seconds: float) -> None:
        if seconds > LONGEST_TURN_SECONDS:
            raise Paced(endpoint)
        time.sleep(seconds)

    wait_for_turn(engine, endpoint, sleep=sleep)


def _cause_of(error: TransferError) -> str:
    if isinstance(error, NotFound):
        return "gone"
    if error.status_code in (401, 403) or error.cause == "sign-in-refused":
        return "refused"
    if error.cause in ("timeout", "connect-timeout"):
        return "slow"
    return "away" if isinstance(error, TemporaryError) else "unreadable"


def _hurried(limits: Limits) -> Limits:
    return limits.model_copy(update={"timeout_seconds": min(limits.timeout_seconds, ONE_ANSWER_SECONDS)})
