"""Checks of endpoints: asked for by a person, done by a step or a command, and kept so that the next one says what changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from integration.store import audit, own_steps
from integration.store.storable import storable
from integration.store.tables import endpoint_checks as checks

STEP = "check_endpoints"
KEPT = 10  # of each endpoint
LONGEST_TEXT = 4000
_LONG = ("searches", "creates", "updates", "sentences")  # of the CapabilityStatement, which is kept by itself


def ask(conn: Connection, endpoint: str, *, actor: str, reason: str) -> bool:
    """See that an endpoint is checked soon, reading only. False when one is waiting already."""
    asked = insert(checks).values(endpoint=endpoint, actor=actor).on_conflict_do_nothing().returning(checks.c.id)
    made = conn.execute(asked).scalar_one_or_none() is not None
    if made:
        audit.record(conn, actor, "endpoint.check-asked", subject=endpoint, reason=reason)
    own_steps.wait_for_ending(conn, STEP)
    own_steps.make_due(conn, STEP)  # also when one waits: its step may have been lost
    return made


def waiting(conn: Connection) -> Row | None:
    """The check that was asked for first and is not done."""
    return conn.execute(select(checks).where(checks.c.done_at.is_(None)).order_by(checks.c.id).limit(1)).one_or_none()


def keep(conn: Connection, endpoint: str, found: Mapping[str, Any], at: datetime, *, actor: str) -> None:
    """What a command found."""
    conn.execute(insert(checks).values(endpoint=endpoint, actor=actor, done_at=at, found=_kept(found)))
    _forget_old(conn, endpoint)


def done(conn: Connection, check: Row, found: Mapping[str, Any], at: datetime) -> None:
    """What a step found of a check that was waiting."""
    conn.execute(update(checks).where(checks.c.id == check.id).values(done_at=at, found=_kept(found)))
    _forget_old(conn, check.endpoint)


def last(conn: Connection, endpoint: str) -> Row | None:
    """The newest that was done; None when there was none."""
    wanted = select(checks).where(checks.c.endpoint == endpoint, checks.c.done_at.is_not(None))
    return conn.execute(wanted.order_by(checks.c.done_at.desc(), checks.c.id.desc()).limit(1)).one_or_none()


def standing(conn: Connection) -> dict[str, tuple[Row | None, Row | None]]:
    """``{endpoint: (the newest that was done, the one that is waiting)}``."""
    is_waiting = checks.c.done_at.is_(None)
    order = (checks.c.endpoint, is_waiting, checks.c.done_at.desc(), checks.c.id.desc())
    rows = conn.execute(select(checks).ext(distinct_on(checks.c.endpoint, is_waiting)).order_by(*order)).all()
    found: dict[str, tuple[Row | None, Row | None]] = {}
    for row in rows:
        newest, asked = found.get(row.endpoint, (None, None))
        found[row.endpoint] = (newest, row) if row.done_at is None else (row, asked)
    return found


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """As the database can hold it: a server may call itself anything, of any length. What it searches stands elsewhere."""
    return {name: _storable(value) for name, value in found.items() if name not in _LONG}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value, LONGEST_TEXT)
    if isinstance(value, Mapping):
        return {storable(str(name), LONGEST_TEXT): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list | tuple) else value


def _forget_old(conn: Connection, endpoint: str) -> None:
    kept = select(checks.c.id).where(checks.c.endpoint == endpoint, checks.c.done_at.is_not(None))
    newest = kept.order_by(checks.c.done_at.desc(), checks.c.id.desc()).limit(KEPT)
    old = (checks.c.endpoint == endpoint, checks.c.done_at.is_not(None), checks.c.id.not_in(newest))
    conn.execute(delete(checks).where(*old))
