"""Numbers over requests: volume, time to verified records and returned report, and the loop-closure rate."""

from datetime import date, datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import ColumnElement, Connection, and_, extract, func, literal_column, select, tuple_

from integration.store.tables import deliveries, requests
from mappings.model.roads import Level

Period = Literal["7", "30", "90", "365"]  # days
PERIODS = tuple(int(days) for days in get_args(Period))


def read(conn: Connection, now: datetime, days: int) -> tuple[dict, list[dict]]:
    """The period as a whole, and one row a day (a week from 90 days on) without gaps, in one pass.

    Times are seconds from taking the request in; None where there is none yet. A request that was entered in error
    is not counted.
    """
    unit, step = ("day", 1) if days < 90 else ("week", 7)
    start = func.date_trunc(
        literal_column(f"'{unit}'"), func.timezone(literal_column("'UTC'"), requests.c.created_at)
    ).label("start")
    first = deliveries.alias("first")  # the first records delivery of each
    rows = conn.execute(
        select(
            start,
            func.count().label("requests"),
            func.count(requests.c.closed_at).label("closed"),
            *(_closed_on(level) for level in Level),
            *_times("records", _seconds(first.c.verified_at)),
            *_times("report", _seconds(requests.c.closed_at)),
        )
        .select_from(
            requests.outerjoin(
                first, and_(first.c.request_id == requests.c.id, first.c.kind == "records", first.c.version == 1)
            )
        )
        .where(requests.c.created_at >= _begin(now, days), requests.c.status != "entered-in-error")
        .group_by(func.grouping_sets(tuple_(start), tuple_()))
    ).all()
    found = {row.start.date() if row.start else None: row._asdict() for row in rows}
    nothing = (
        {"requests": 0, "closed": 0}
        | dict.fromkeys(map(column_of, Level), 0)
        | dict.fromkeys(("records_median", "records_p90", "report_median", "report_p90"))
    )
    whole = {**nothing, **found.pop(None, {}), "days": days}
    whole["closure_rate"] = whole["closed"] / whole["requests"] if whole["requests"] else None
    whole.pop("start", None)
    return whole, [{**nothing, **found.get(day, {}), "start": day.isoformat()} for day in _starts(now, days, step)]


def _begin(now: datetime, days: int) -> datetime:
    return (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _starts(now: datetime, days: int, step: int) -> list[date]:
    start = _begin(now, days).date()
    if step == 7:
        start -= timedelta(days=start.weekday())
    return [start + timedelta(days=number) for number in range(0, (now.date() - start).days + 1, step)]


def column_of(level: Level) -> str:
    """The name of the number of loops that closed on a level."""
    return f"closed_{level.replace('-', '_')}"


def _closed_on(level: Level) -> ColumnElement:
    known = func.coalesce(requests.c.closed_level, Level.READ_BACK)
    return func.count(requests.c.closed_at).filter(known == level).label(column_of(level))


def _seconds(end: ColumnElement) -> ColumnElement:
    return extract("epoch", end - requests.c.created_at)


def _times(name: str, seconds: ColumnElement) -> tuple:
    return (
        func.percentile_cont(0.5).within_group(seconds).label(f"{name}_median"),
        func.percentile_cont(0.9).within_group(seconds).label(f"{name}_p90"),
    )
