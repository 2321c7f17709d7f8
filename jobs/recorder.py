"""Keeps the exchanges of one attempt until it ends: the first and the last of them, whatever thread they came from."""

import threading
from collections import deque

from sqlalchemy import Connection

from integration.fhir.exchanges import Exchange
from integration.store import exchanges

FIRST, LAST = 50, 50


class Recorder:
    """An observer for `FhirServer.observed`; bounded, because a chart may take thousands of requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._first: list[tuple[int, Exchange]] = []
        self._last: deque[tuple[int, Exchange]] = deque(maxlen=LAST)

    def __call__(self, exchange: Exchange) -> None:
        """One exchange is over."""
        with self._lock:
            self._count += 1
            (self._first if self._count <= FIRST else self._last).append((self._count, exchange))

    def kept(self) -> list[Exchange]:
        """What was kept, in the order it ended."""
        with self._lock:
            return [exchange for _, exchange in (*self._first, *self._last)]

    def store(self, conn: Connection, attempt_id: int) -> None:
        """Write them beside their attempt, on the transaction that ends it."""
        with self._lock:
            exchanges.record(conn, attempt_id, [*self._first, *self._last])
