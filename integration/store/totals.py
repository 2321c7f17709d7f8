"""Totals for /metrics: kept in the commit of what they count, so that they never go down and count nothing twice.

Attempts are removed when they are old; counts made from them would fall.
"""

from bisect import bisect_left

from sqlalchemy import Connection, Row, func, select, text

from integration.store.tables import deliveries, requests

STEP, RECORDS_VERIFIED, LOOP_CLOSED, LOOP_REOPENED = "step", "records-verified", "loop-closed", "loop-reopened"
_HOUR, _DAY = 3600, 86400
# Upper bounds in seconds. An array of counts is stored for them: other bounds need another name.
BOUNDS: dict[str, tuple[float, ...]] = {
    STEP: (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    RECORDS_VERIFIED: (
        60,
        300,
        900,
        _HOUR,
        4 * _HOUR,
        12 * _HOUR,
        _DAY,
        2 * _DAY,
        3 * _DAY,
        7 * _DAY,
        14 * _DAY,
        30 * _DAY,
    ),
    LOOP_CLOSED: (
        300,
        _HOUR,
        12 * _HOUR,
        _DAY,
        3 * _DAY,
        7 * _DAY,
        14 * _DAY,
        21 * _DAY,
        30 * _DAY,
        45 * _DAY,
        60 * _DAY,
        90 * _DAY,
    ),
}
BOUNDS[LOOP_REOPENED] = BOUNDS[LOOP_CLOSED]


def rows(conn: Connection) -> list[Row]:
    """Every total there is, in an order that stays."""
    return list(conn.execute(text("SELECT * FROM totals ORDER BY name, endpoint, kind, outcome")).all())


def count(conn: Connection, name: str, seconds: float, *, endpoint: str, kind: str = "", outcome: str = "") -> None:
    """One more, that took so long. Call it last in a transaction: all who finish a step there wait for this row."""
    bounds, seconds = BOUNDS[name], max(0.0, seconds)
    at = bisect_left(bounds, seconds)
    buckets = [int(index == at) for index in range(len(bounds) + 1)]
    conn.execute(
        _COUNT,
        {
            "name": name,
            "endpoint": endpoint,
            "kind": kind,
            "outcome": outcome,
            "seconds": seconds,
            "buckets": buckets,
            "at": at + 1,
        },
    )


def records_verified(conn: Connection, request_id: str) -> None:
    """Call it when a records delivery was just verified; a later version of the records is not counted again."""
    verified = (
        select(func.count())
        .select_from(deliveries)
        .where(deliveries.c.request_id == request_id, deliveries.c.kind == "records", deliveries.c.status == "verified")
    )
    if conn.execute(verified).scalar_one() == 1:
        since_taken_in(conn, RECORDS_VERIFIED, request_id)


def since_taken_in(conn: Connection, name: str, request_id: str, *, outcome: str = "") -> None:
    """One more request came so far; counted with the time since it was taken in, for its fulfiller. ``outcome``: the level."""
    row = conn.execute(
        select(
            requests.c.fulfiller,
            func.extract("epoch", func.statement_timestamp() - requests.c.created_at).label("seconds"),
        ).where(requests.c.id == request_id)
    ).one()
    count(conn, name, float(row.seconds), endpoint=row.fulfiller, outcome=outcome)


_COUNT = text("""
    INSERT INTO totals (name, endpoint, kind, outcome, number, seconds, buckets)
    VALUES (:name, :endpoint, :kind, :outcome, 1, :seconds, CAST(:buckets AS bigint[]))
    ON CONFLICT (name, endpoint, kind, outcome) DO UPDATE
    SET number = totals.number + 1, seconds = totals.seconds + :seconds, buckets[CAST(:at AS int)] = totals.buckets[CAST(:at AS int)] + 1""")
