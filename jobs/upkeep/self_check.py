"""Each worker watches what it stands on, database and payload store, and leaves an alarm about either."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from integration.packets.payloads import PayloadsAway
from integration.postgres import health as database_health
from integration.store import alarms
from jobs.upkeep.audit_check import AuditCheck
from jobs.world import World

log = logging.getLogger("second_opinion.self_check")
DATABASE_AWAY, PAYLOADS_AWAY, PROCESS_RESTARTS = "database-away", "payloads-away", "process-restarts"
TOLD_AFTER_SECONDS = 5.0  # a restart is no outage


class SelfCheck:
    """Call it every few seconds. An alarm about the database is written when it is back: before, there is nowhere to.

    Since when it is away is the time of a file, because an outage ends workers too; a full disk still takes an empty one.
    """

    def __init__(self, world: World, machine: str | None = None):
        self.world, self.machine = world, machine or socket.gethostname()
        self._note = world.config.data_dir / "database-away-since"
        self._audit = AuditCheck(world.config.data_dir)
        self._payloads_away = True  # unknown: the first good check recovers what a dead worker left open

    def __call__(self) -> None:
        """One look. The payload store is tried first: no transaction waits for it."""
        payloads, since = self._payload_problem(), self._away_since()
        database = database_health.problem(self.world.engine) or self._write_down(payloads, since)
        if database is not None:
            log.warning(database, extra={"action": "self-check"})
            self._begin_outage(database)
        elif since is not None:
            self._note.unlink(missing_ok=True)

    def _write_down(self, payloads: str | None, since: datetime | None) -> str | None:
        try:
            with self.world.engine.begin() as conn:
                self._note_payloads(conn, payloads)
                self._note_database(conn, since)
                self._audit(conn)
        except SQLAlchemyError as error:
            return database_health.reason(error)
        self._payloads_away = payloads is not None
        return None

    def _away_since(self) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._note.stat().st_mtime, UTC)
        except OSError:
            return None

    def _begin_outage(self, why: str) -> None:
        now = self.world.now().timestamp()
        with contextlib.suppress(OSError):  # there already, or the disk is in trouble too
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.touch(exist_ok=False)
            with contextlib.suppress(OSError):
                self._note.write_text(why)
            os.utime(self._note, (now, now))

    def _why(self) -> str:
        with contextlib.suppress(OSError):
            return self._note.read_text() or database_health.DISK_FULL
        return database_health.DOES_NOT_ANSWER

    def _payload_problem(self) -> str | None:
        try:
            self.world.payloads.check_writable()
        except PayloadsAway as error:
            return str(error)
        return None

    def _note_payloads(self, conn: Connection, problem: str | None) -> None:
        if problem is not None:
            alarms.raise_alarm(
                conn,
                PAYLOADS_AWAY,
                self.machine,
                f"{self.machine}: {problem}. Make room or fix it; what needs it waits.",
            )
        elif self._payloads_away:
            alarms.recover(conn, PAYLOADS_AWAY, self.machine)

    def _note_database(self, conn: Connection, since: datetime | None) -> None:
        if since is not None and (self.world.now() - since).total_seconds() >= TOLD_AFTER_SECONDS:
            alarms.note_past(
                conn,
                DATABASE_AWAY,
                "",
                f"{self._why()}: so it was from {since:%Y-%m-%d %H:%M:%S} UTC on. "
                "It is over, and work goes on by itself",
                since,
            )


def restarts_teller(engine: Engine, machine: str | None = None) -> Callable[[str, bool], None]:
    """For the supervisor: an alarm about a process that ends again and again."""
    where = machine or socket.gethostname()

    def tell(name: str, in_trouble: bool) -> None:
        try:
            with engine.begin() as conn:
                if in_trouble:
                    alarms.raise_alarm(
                        conn,
                        PROCESS_RESTARTS,
                        f"{where} {name}",
                        f"{name} on {where} ends again and again. Read its log; others do its steps meanwhile.",
                    )
                else:
                    alarms.recover(conn, PROCESS_RESTARTS, f"{where} {name}")
        except SQLAlchemyError as error:  # the database may be why
            log.warning(
                "alarm not written", extra={"action": "self-check", "child": name, "error": type(error).__name__}
            )

    return tell
