"""Who read and wrote what at a hosted endpoint: into the audit trail. A write in its own commit, reads a moment later."""

import logging
import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from integration.hosted.accesses import Access
from integration.store import audit

log = logging.getLogger(__name__)
FLUSH_SECONDS, KEPT_AT_MOST, NAMED_AT_MOST = 1.0, 50_000, 500
Key = tuple[str, str, str, str, tuple[str, ...]]  # actor, practice, interaction, type, parameters


class HostedLog:
    """Reads of a second that are alike become one row that names all of them: a read does not wait for it.

    While the database is away they are kept, up to KEPT_AT_MOST; each is in the process's log in any case.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._lock = threading.Lock()
        self._reads: list[Access] = []
        self._timer: threading.Timer | None = None
        self._wait, self._stopped = FLUSH_SECONDS, False

    def __call__(self, access: Access, conn: Connection | None) -> None:
        """Note an access; on ``conn`` when it changes something."""
        if conn is not None:
            self._write(conn, [access])
            return
        with self._lock:
            if len(self._reads) < KEPT_AT_MOST:
                self._reads.append(access)
            if self._timer is None:
                self._start()

    def flush(self) -> None:
        """Write what is noted; again in a moment when the database does not take it."""
        with self._lock:
            reads, self._reads, self._timer = self._reads, [], None
        try:
            if reads:
                with self._engine.begin() as conn:
                    self._write(conn, reads)
        except SQLAlchemyError as error:
            log.warning(
                "accesses wait", extra={"action": "hosted.audit", "n": len(reads), "error": type(error).__name__}
            )
            with self._lock:
                self._reads = [*reads, *self._reads]
                self._wait = min(2 * self._wait, 60.0)
                if self._timer is None and not self._stopped:
                    self._start()
        else:
            self._wait = FLUSH_SECONDS

    def stop(self) -> None:
        """The process ends: write what is noted."""
        with self._lock:
            self._stopped = True
            if self._timer is not None:
                self._timer.cancel()
        self.flush()

    def _start(self) -> None:
        self._timer = threading.Timer(self._wait, self.flush)
        self._timer.daemon = True
        self._timer.start()

    @staticmethod
    def _write(conn: Connection, accesses: list[Access]) -> None:
        audit.record_all(conn, rows_of(accesses))


def rows_of(accesses: list[Access]) -> list[dict]:
    """Audit rows: what is alike is one row, with every id, at most NAMED_AT_MOST in each."""
    alike: dict[Key, list[str]] = {}
    times: dict[Key, int] = {}
    for access in accesses:
        key = (access.actor, access.practice, access.interaction, access.type, access.parameters)
        alike.setdefault(key, []).extend(access.ids)
        times[key] = times.get(key, 0) + 1
    return [row for key, ids in alike.items() for row in _rows(key, list(dict.fromkeys(ids)), times[key])]


def _rows(key: Key, ids: list[str], times: int) -> list[dict]:
    actor, practice, interaction, type_, parameters = key
    detail: dict = {"practice": practice, "times": times}
    if parameters:
        detail["parameters"] = list(parameters)
    row = {"actor": actor, "action": f"hosted.{interaction}", "subject": f"{practice} {type_}".rstrip()}
    if not ids:
        return [row | {"detail": detail}]
    return [
        row | {"detail": detail | {"ids": ids[start : start + NAMED_AT_MOST]}}
        for start in range(0, len(ids), NAMED_AT_MOST)
    ]
