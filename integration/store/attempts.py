"""Attempts as they are read: what was tried, newest first. Each is written with its step (integration/store/steps.py)."""

from sqlalchemy import ColumnElement, Connection, Row, func, select

from integration.store.tables import attempts

OF_EACH_STEP, OF_ALL_STEPS = 20, 2000  # that one page shows


def of_request(conn: Connection, request_id: str, limit: int) -> list[Row]:
    """The newest attempts of a request."""
    return _newest(conn, attempts.c.request_id == request_id, limit)


def of_delivery(conn: Connection, delivery_id: str, limit: int) -> list[Row]:
    """The newest attempts of a delivery."""
    return _newest(conn, attempts.c.delivery_id == delivery_id, limit)


def _newest(conn: Connection, which: ColumnElement[bool], limit: int) -> list[Row]:
    return list(conn.execute(select(attempts).where(which).order_by(attempts.c.id.desc()).limit(limit)).all())


def by_step(conn: Connection, request_id: str) -> dict[int, list[Row]]:
    """``{step id: its newest attempts}`` of a request."""
    number = func.row_number().over(partition_by=attempts.c.step_id, order_by=attempts.c.id.desc()).label("number")
    inner = select(attempts, number).where(attempts.c.request_id == request_id).subquery()
    newest = select(inner).where(inner.c.number <= OF_EACH_STEP).order_by(inner.c.id.desc()).limit(OF_ALL_STEPS)
    found: dict[int, list[Row]] = {}
    for row in conn.execute(newest):
        found.setdefault(row.step_id, []).append(row)
    return found
