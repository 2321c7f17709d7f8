"""What is owed now, counted: for boards, for the questions of buttons and for /metrics, by indexes that hold open work only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, func, select, text

from integration.store.tables import steps
from mappings.model.steps import OPEN, TO_SEND


@dataclass(frozen=True)
class EndpointWork:
    """Open steps at an endpoint, those that wait for a person, and when the oldest of the due ones became due."""

    endpoint: str
    open: int
    parked: int
    oldest_due: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> "EndpointWork":
        """From a row of `by_endpoint`."""
        return cls(row.endpoint, row.open, row.parked, row.oldest_due)


def by_endpoint(conn: Connection) -> dict[str, EndpointWork]:
    """``{endpoint: its open work}``; an endpoint without any is not in it."""
    found = conn.execute(
        select(
            steps.c.endpoint,
            func.count().label("open"),
            func.count().filter(steps.c.status == "parked").label("parked"),
            func.min(steps.c.due_at).filter(steps.c.status == "due").label("oldest_due"),
        )
        .where(steps.c.status.in_(OPEN))
        .group_by(steps.c.endpoint)
    )
    return {row.endpoint: EndpointWork.from_row(row) for row in found}


def at_endpoint(conn: Connection, endpoint: str, statuses: Sequence[str]) -> int:
    """How many steps there have one of these statuses."""
    return _count(conn, steps.c.endpoint == endpoint, steps.c.status.in_(statuses))


def cancelling_stops(conn: Connection, request_id: str) -> int:
    """How many steps of a request would be stopped by a cancellation."""
    is_stopped = steps.c.status.in_(("waiting", "due", "parked"))
    return _count(conn, steps.c.request_id == request_id, is_stopped, steps.c.kind.in_(TO_SEND))


def _count(conn: Connection, *which: ColumnElement[bool]) -> int:
    return conn.execute(select(func.count()).select_from(steps).where(*which)).scalar_one()


@dataclass(frozen=True)
class Unknown:
    """Steps of a kind that no worker knew which tried one, and since when."""

    kind: str
    since: datetime | None
    number: int


def of_unknown_kinds(conn: Connection) -> list[Unknown]:
    """What a newer version made due, and only a newer worker can do."""
    return [Unknown(row.kind, row.since, row.number) for row in conn.execute(_UNKNOWN)]


# --- for /metrics ---------------------------------------------------------------------------------------------------


def requests_by_status(conn: Connection) -> list[Row]:
    """``status, n`` of requests whose loop is not closed."""
    return list(conn.execute(_REQUESTS).all())


def deliveries_by_status(conn: Connection) -> list[Row]:
    """``status, endpoint, n`` of deliveries that have not arrived."""
    return list(conn.execute(_DELIVERIES).all())


def steps_by_status(conn: Connection) -> list[Row]:
    """``status, endpoint, n, oldest`` of open steps; ``oldest``: the first time at which one of them is or was due."""
    return list(conn.execute(_STEPS).all())


def parked_by_cause(conn: Connection) -> list[Row]:
    """``endpoint, cause, n`` of steps that wait for a person."""
    return list(conn.execute(_PARKED).all())


_UNKNOWN = text("""
    SELECT kind, min(first_attempt_at) AS since, count(*) AS number FROM steps
    WHERE cause = 'unknown-kind' AND status IN ('waiting', 'due', 'leased') GROUP BY kind""")
_REQUESTS = text("SELECT status, count(*) AS n FROM requests WHERE closed_at IS NULL GROUP BY 1")
_DELIVERIES = text(
    "SELECT status, endpoint, count(*) AS n FROM deliveries "
    "WHERE status IN ('queued', 'sending', 'sent', 'retrying', 'parked') GROUP BY 1, 2"
)
_STEPS = text(
    "SELECT status, endpoint, count(*) AS n, min(next_attempt_at) AS oldest FROM steps "
    "WHERE status IN ('waiting', 'due', 'leased', 'parked') GROUP BY 1, 2"
)
_PARKED = text(
    "SELECT endpoint, coalesce(cause, '') AS cause, count(*) AS n FROM steps WHERE status = 'parked' GROUP BY 1, 2"
)
