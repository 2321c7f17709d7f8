"""Exchanges of an attempt with other servers: what was asked and answered, without what it was about; bodies apart."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, Connection, Row, delete, func, or_, select, text, update

from integration.postgres.driver import driver
from integration.store.arrays import any_of
from integration.store.tables import attempts, exchanges
from mappings.model.errors import ExchangeError

PRUNED_AT_ONCE = 20_000
_LISTED = [column for column in exchanges.c if column.name not in ("request_body", "response_body")]
_COPY = """COPY exchanges (attempt_id, number, endpoint, method, shown, status, began, milliseconds, sent_bytes, received_bytes,
    cause, issues, retry_after_seconds, request_body, response_body) FROM STDIN"""
_HAS_BODY = or_(exchanges.c.request_body.is_not(None), exchanges.c.response_body.is_not(None))


class UnknownAttempt(ExchangeError):
    """There is no such attempt."""


def record(conn: Connection, attempt_id: int, seen: Iterable[tuple[int, Any]]) -> None:
    """Write numbered exchanges (``integration.fhir.exchanges.Exchange``) beside their attempt.

    By COPY, a quarter of the time of inserts: it is in the commit of every step.
    """
    rows = [
        (
            attempt_id,
            number,
            each.endpoint,
            each.method,
            each.shown[:300],
            each.status,
            each.began,
            each.milliseconds,
            each.sent_bytes,
            each.received_bytes,
            each.cause or None,
            Jsonb(list(each.issues)),
            each.retry_after_seconds,
            _packed(each.request_body),
            _packed(each.response_body),
        )
        for number, each in seen
    ]
    if rows:
        with driver(conn).cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)


def attempt(conn: Connection, attempt_id: int, request_id: str | None = None) -> Row:
    """One attempt, of ``request_id`` when that is given. Raises UnknownAttempt."""
    wanted = select(attempts).where(attempts.c.id == attempt_id)
    if request_id is not None:
        wanted = wanted.where(attempts.c.request_id == request_id)
    row = conn.execute(wanted).one_or_none()
    if row is None:
        raise UnknownAttempt(f"there is no attempt {attempt_id}" + (f" of request {request_id}" if request_id else ""))
    return row


def of_attempt(conn: Connection, attempt_id: int) -> list[Row]:
    """The exchanges of an attempt, in order, without bodies; ``has_body`` says whether one is kept."""
    wanted = select(*_LISTED, _HAS_BODY.label("has_body")).where(exchanges.c.attempt_id == attempt_id)
    return list(conn.execute(wanted.order_by(exchanges.c.number)))


def of_attempts(conn: Connection, attempt_ids: Iterable[int], *, each: int = 10) -> dict[int, list[Row]]:
    """The last exchanges of many attempts, in order, without bodies; ``counted`` is the number of the last."""
    newest = (
        func.row_number().over(partition_by=exchanges.c.attempt_id, order_by=exchanges.c.number.desc()).label("newest")
    )
    inner = select(*_LISTED, newest).where(any_of(exchanges.c.attempt_id, attempt_ids)).subquery()
    found: dict[int, list[Row]] = {}
    for row in conn.execute(select(inner).where(inner.c.newest <= each).order_by(inner.c.attempt_id, inner.c.number)):
        found.setdefault(row.attempt_id, []).append(row)
    return found


@dataclass(frozen=True)
class Body:
    """What was sent ("request") or came ("response") in one exchange, as far as it is kept; ``cut``: there was more."""

    which: str
    data: bytes
    cut: bool


def bodies(conn: Connection, attempt_id: int, number: int) -> list[Body]:
    """The bodies of one exchange that are kept. Audit the look before you call this."""
    row = conn.execute(
        select(exchanges).where(exchanges.c.attempt_id == attempt_id, exchanges.c.number == number)
    ).one_or_none()
    if row is None:
        return []
    kept = (("request", row.request_body, row.sent_bytes), ("response", row.response_body, row.received_bytes))
    unpacked = [(which, zlib.decompress(packed), size) for which, packed, size in kept if packed is not None]
    return [Body(which, data, size > len(data)) for which, data, size in unpacked]


def left_out(rows: list[Row]) -> int:
    """How many exchanges of an attempt were not kept, from the gaps in their numbers."""
    return rows[-1].number - len(rows) if rows else 0


def prune_bodies(conn: Connection, days: int) -> int:
    """Empty the bodies of exchanges older than ``days``, the oldest first and not too many at once; how many."""
    old = (
        select(exchanges.c.attempt_id, exchanges.c.number)
        .where(_HAS_BODY, exchanges.c.began < _ago(days))
        .order_by(exchanges.c.began)
        .limit(PRUNED_AT_ONCE)
        .subquery()
    )
    return conn.execute(
        update(exchanges)
        .where(exchanges.c.attempt_id == old.c.attempt_id, exchanges.c.number == old.c.number)
        .values(request_body=None, response_body=None)
    ).rowcount


def prune(conn: Connection, days: int) -> int:
    """Delete exchanges that began more than ``days`` ago; the attempt itself stays. Not too many at once; how many.

    Attempts are numbered in time, so the oldest stand first in the primary key: nothing is searched.
    """
    first = (
        select(exchanges.c.attempt_id, exchanges.c.number)
        .order_by(exchanges.c.attempt_id, exchanges.c.number)
        .limit(PRUNED_AT_ONCE)
        .subquery()
    )
    return conn.execute(
        delete(exchanges).where(
            exchanges.c.attempt_id == first.c.attempt_id,
            exchanges.c.number == first.c.number,
            exchanges.c.began < _ago(days),
        )
    ).rowcount


def _ago(days: int) -> ColumnElement:
    return func.statement_timestamp() - text(f"interval '{int(days)} days'")


def _packed(body: bytes | None) -> bytes | None:
    """zlib at its quickest: 0.3 ms for 64 KB, and a ninth of the size."""
    return zlib.compress(body, 1) if body else None
