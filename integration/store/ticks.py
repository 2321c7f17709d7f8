"""Ticks: the fire times of schedules that were claimed. Each is one row, and the row is the claim."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import ticks


@dataclass(frozen=True)
class Tick:
    """One fire time of a schedule, and when it was claimed, by the database's clock."""

    job: str
    fire_time: datetime
    claimed_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Tick":
        """From a row of `ticks`."""
        return cls(row.job, row.fire_time, row.claimed_at)


def claim(conn: Connection, job: str, fire_time: datetime) -> bool:
    """Take one fire time; False when another node has it."""
    taken = insert(ticks).values(job=job, fire_time=fire_time).on_conflict_do_nothing()
    return conn.execute(taken.returning(ticks.c.job)).first() is not None  # an INSERT's rowcount is -1 here


def last_and_clock(conn: Connection, job: str) -> tuple[datetime | None, datetime]:
    """The last fire time that was claimed, and the database's clock."""
    row = conn.execute(select(func.max(ticks.c.fire_time), func.statement_timestamp()).where(ticks.c.job == job)).one()
    return row[0], row[1]


def forget_after(conn: Connection, job: str, now: datetime) -> bool:
    """Remove claims of the future: the clock was set back. True for the node that removed some."""
    return bool(conn.execute(delete(ticks).where(ticks.c.job == job, ticks.c.fire_time > now)).rowcount)


def last_of(conn: Connection, jobs: Iterable[str]) -> dict[str, Tick]:
    """``{schedule: its newest tick}``, without reading a month of them; a schedule that never ticked is not in it."""
    return {row.job: Tick.from_row(row) for row in conn.execute(_LAST, {"names": list(jobs)})}


def prune(conn: Connection) -> None:
    """Remove those of more than 30 days ago."""
    conn.execute(_PRUNE)


_LAST = text("""
    SELECT wanted.job, last.fire_time, last.claimed_at FROM unnest(CAST(:names AS text[])) AS wanted(job)
    CROSS JOIN LATERAL (SELECT fire_time, claimed_at FROM ticks WHERE ticks.job = wanted.job ORDER BY fire_time DESC LIMIT 1) AS last""")
_PRUNE = text("DELETE FROM ticks WHERE fire_time < statement_timestamp() - interval '30 days'")
