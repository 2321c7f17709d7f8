"""Seals over the audit trail: each holds the hash of the rows since the last one and of that one, so that no row changes unseen.

Appenders wait for nobody: a row is sealed a minute later, when every transaction that could still add one before it has
ended. A seal covers the rows of a span of transaction numbers, so it does not matter in which order they committed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, func, select, text

from integration.store.tables import audit, audit_seals

_LOCK = 5_736_201_431
_AT_ONCE, _EVER = 1000, 2**62


@dataclass(frozen=True)
class Seal:
    """One seal. ``after_id``: it covers rows with a larger id alone; a restored database begins to count anew."""

    id: int
    sealed_at: datetime
    after_id: int
    from_transaction: int
    to_transaction: int
    rows: int
    previous: str
    sha256: str

    @classmethod
    def from_row(cls, row: Row) -> "Seal":
        """The seal in a row."""
        return cls(**row._mapping)


@dataclass(frozen=True)
class Broken:
    """What a check found: which seal no longer fits, and what is wrong in words."""

    seal: int
    sealed_at: datetime
    what: str


def newest(conn: Connection) -> Seal | None:
    """The last seal."""
    row = conn.execute(select(audit_seals).order_by(audit_seals.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else Seal.from_row(row)


def by_id(conn: Connection, id: int) -> Seal | None:
    """The seal with a number."""
    row = conn.execute(select(audit_seals).where(audit_seals.c.id == id)).one_or_none()
    return None if row is None else Seal.from_row(row)


def seal(conn: Connection) -> Seal | None:
    """Seal what can be sealed; None when there is nothing new, or another process does it."""
    if not conn.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
        return None
    last = newest(conn)
    horizon = conn.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")).scalar_one()
    begin, after = (last.to_transaction, last.after_id) if last else (0, 0)
    if horizon <= begin or not _any_rows(conn, after, begin, horizon):
        return None
    return _add(conn, after, begin, horizon, last)


def begin_anew(conn: Connection) -> None:
    """A restored database has transaction numbers of its own: later rows are counted from here."""
    current = conn.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    after = conn.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
    last = newest(conn)
    if after:  # what was not sealed yet when the backup was made
        last = _add(conn, last.after_id if last else 0, last.to_transaction if last else 0, _EVER, last)
    _add(conn, after, current, current, last)


def restored_since(conn: Connection, at: str) -> bool:
    """True when the database was restored after ``at``: seals of between may be gone with it."""
    return (
        conn.execute(
            select(audit_seals.c.id)
            .where(
                audit_seals.c.from_transaction == audit_seals.c.to_transaction,
                audit_seals.c.sealed_at > datetime.fromisoformat(at),
            )
            .limit(1)
        ).first()
        is not None
    )


def check(conn: Connection, progress: Callable[[int, int], None] = lambda done, all_: None) -> list[Broken]:
    """Hold every seal against the rows it covers and against the one before it."""
    seals = [Seal.from_row(row) for row in conn.execute(select(audit_seals).order_by(audit_seals.c.id))]
    broken, before = [], None
    for number, each in enumerate(seals, 1):
        following = next((later.after_id for later in seals[number:] if later.after_id > each.after_id), None)
        broken += check_one(conn, each, before, following)
        before = each
        progress(number, len(seals))
    return broken


def check_one(conn: Connection, each: Seal, before: Seal | None, until_id: int | None) -> list[Broken]:
    """Hold one seal against its rows and the seal ``before`` it."""
    if each.previous != (before.sha256 if before else ""):
        return [Broken(each.id, each.sealed_at, "the seal before it is missing or was changed")]
    rows, digest = _digest(conn, each.after_id, until_id, each.from_transaction, each.to_transaction, each.previous)
    if digest == each.sha256:
        return []
    counted = (
        f"{rows} rows are there, {each.rows} were sealed" if rows != each.rows else f"of {rows} rows one or more differ"
    )
    return [Broken(each.id, each.sealed_at, f"the trail was changed after it was sealed: {counted}")]


def last_checked(conn: Connection, turn: int) -> list[Broken]:
    """The newest seal, and one older one by turns: what a look every minute can afford."""
    last = newest(conn)
    if last is None:
        return []
    ids = sorted({last.id, turn % last.id + 1})
    broken = []
    for id in ids:
        each = by_id(conn, id)
        if each is None:
            broken.append(Broken(id, last.sealed_at, "the seal is missing"))
            continue
        following = conn.execute(
            select(func.min(audit_seals.c.after_id)).where(audit_seals.c.after_id > each.after_id)
        ).scalar_one()
        broken += check_one(conn, each, by_id(conn, id - 1), following)
    return broken


def _add(conn: Connection, after: int, begin: int, end: int, last: Seal | None) -> Seal:
    previous = last.sha256 if last else ""
    rows, digest = _digest(conn, after, None, begin, end, previous)
    values = dict(
        id=(last.id if last else 0) + 1,
        after_id=after,
        from_transaction=begin,
        to_transaction=end,
        rows=rows,
        previous=previous,
        sha256=digest,
    )
    return Seal.from_row(conn.execute(audit_seals.insert().values(**values).returning(audit_seals)).one())


def _digest(conn: Connection, after: int, until: int | None, begin: int, end: int, previous: str) -> tuple[int, str]:
    digest, rows = hashlib.sha256(previous.encode()), 0
    for row in _covered(conn, after, until, begin, end):
        rows += 1
        digest.update(line_of(row))
    return rows, digest.hexdigest()


def line_of(row: Row) -> bytes:
    """A row as it is hashed: every column that says something, in a fixed order."""
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    values = [row.id, at, row.actor, row.action, row.request_id, row.subject, row.reason, row.detail]
    return json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _covers(after: int, until: int | None, begin: int, end: int) -> list:
    covers = [audit.c.id > after, audit.c.transaction >= begin, audit.c.transaction < end]
    return covers if until is None else [*covers, audit.c.id <= until]


def _any_rows(conn: Connection, after: int, begin: int, end: int) -> bool:
    return conn.execute(select(audit.c.id).where(*_covers(after, None, begin, end)).limit(1)).first() is not None


def _covered(conn: Connection, after: int, until: int | None, begin: int, end: int) -> Iterator[Row]:
    last = after
    while True:
        page = conn.execute(
            select(audit).where(*_covers(last, until, begin, end)).order_by(audit.c.id).limit(_AT_ONCE)
        ).all()
        yield from page
        if len(page) < _AT_ONCE:
            return
        last = page[-1].id


@contextmanager
def open_for_restore(conn: Connection) -> Iterator[None]:
    """Lets a restore replace the whole trail: its seals come with it, and ``begin_anew`` says that it happened.

    What had left by a consent that stood then comes back as it was.
    """
    triggers = conn.execute(_TRIGGERS).all()
    for table, trigger in triggers:
        conn.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}"))
    yield
    for table, trigger in triggers:
        conn.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}"))


_TRIGGERS = text("""
    SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE (t.tgname LIKE '%\\_append\\_only' OR t.tgname = 'audit_leaving_asked')
    AND c.relnamespace = 'public'::regnamespace""")
