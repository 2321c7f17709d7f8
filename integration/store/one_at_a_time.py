"""What several requests make at once is made by one of them: a lock for each thing at an endpoint, over all processes."""
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from mappings.model.errors import TemporaryError

MADE_ELSEWHERE = "made-elsewhere"
WAIT_SECONDS = 20.0
# Whoever holds a lock holds a connection, and needs more of them for its work: these leave more than half of the pool.
_connections = threading.BoundedSemaphore(8)


@contextmanager
def alone(engine: Engine, endpoint: str, system: str, value: str, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Nobody else is inside for the same (endpoint, system, value); it ends with the process that holds it.

    Raises TemporaryError when it does not become free. Only one may be held by a thread.
    """
    until = time.monotonic() + (WAIT_SECONDS if wait_seconds is None else wait_seconds)
    if not _connections.acquire(timeout=max(0.0, until - time.monotonic())):
        raise _busy(endpoint)
    try:
        conn = _locked(engine, f"{endpoint}|{system}|{value}", until)
        if conn is None:
            raise _busy(endpoint)
        try:
            yield
        finally:
            _free(conn)
    finally:
        _connections.release()


def _locked(engine: Engine, key: str, until: float) -> Connection | None:
    """A connection that holds the lock, outside any transaction; while it is another's we hold none."""
    while True:
        conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            conn.exec_driver_sql(_SEEN_WHEN_GONE)
            if conn.execute(_TAKE, {"key": key}).scalar_one():
                return conn
        except BaseException:
            conn.invalidate()       # it may hold the lock without our knowing
            conn.close()
            raise
        conn.close()
        if time.monotonic() > until:
            return None
        time.sleep(0.05)


def _free(conn: Connection) -> None:
    try:
        conn.execute(_FREE)
    except SQLAlchemyError:
        conn.invalidate()           # the lock ends with its session
    conn.close()


def _busy(endpoint: str) -> TemporaryError:
    return TemporaryError(f"another request is creating the same person or place at {endpoint}", endpoint=endpoint, cause=MADE_ELSEWHERE)


# A machine that is gone says nothing: the keepalives let its lock go within half a minute.
_SEEN_WHEN_GONE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
_TAKE = text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))")
_FREE = text("SELECT pg_advisory_unlock_all()")
