"""Numbers over requests: volume, time to verified records and returned report, and the loop-closure rate."""
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, and_, extract, func, select

from integration.store.tables import deliveries, requests

PERIODS = (7, 30, 90, 365)


def summary(conn: Connection, now: datetime, days: int) -> dict:
    """The period as a whole. Times are seconds from taking the request in; None where there is none yet."""
    counted = _counted(now, days)
    row = conn.execute(select(
        func.count().label("requests"), func.count(requests.c.closed_at).label("closed"),
        *_times("records", _seconds(_first_verified("records"))), *_times("report", _seconds(requests.c.closed_at)))
        .where(counted)).one()._asdict()
    rate = row["closed"] / row["requests"] if row["requests"] else None
    return {**row, "closure_rate": rate, "days": days}


def series(conn: Connection, now: datetime, days: int) -> list[dict]:
    """One row a day (a week from 90 days on), without gaps: taken in, closed since, records verified since, median times."""
    unit, step = ("day", 1) if days < 90 else ("week", 7)
    day = func.date_trunc(unit, func.timezone("UTC", requests.c.created_at)).label("start")
    rows = conn.execute(select(
        day, func.count().label("requests"), func.count(requests.c.closed_at).label("closed"),
        *_times("records", _seconds(_first_verified("records"))), *_times("report", _seconds(requests.c.closed_at)))
        .where(_counted(now, days)).group_by(day)).all()
    found = {row.start.date(): row._asdict() for row in rows}
    empty = {name: None for name in ("records_median", "records_p90", "report_median", "report_p90")}
    return [{"requests": 0, "closed": 0, **empty, **found.get(start, {}), "start": start.isoformat()} for start in _starts(now, days, step)]


def _counted(now: datetime, days: int):
    return and_(requests.c.created_at >= _begin(now, days), requests.c.status != "entered-in-error")


def _begin(now: datetime, days: int) -> datetime:
    return (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _starts(now: datetime, days: int, step: int) -> list[date]:
    start = _begin(now, days).date()
    if step == 7:
        start -= timedelta(days=start.weekday())
    return [start + timedelta(days=number) for number in range(0, (now.date() - start).days + 1, step)]


def _first_verified(kind: str):
    return (select(func.min(deliveries.c.verified_at)).where(deliveries.c.request_id == requests.c.id, deliveries.c.kind == kind,
                                                             deliveries.c.version == 1).correlate(requests).scalar_subquery())


def _seconds(end):
    return extract("epoch", end - requests.c.created_at)


def _times(name: str, seconds) -> tuple:
    return (func.percentile_cont(0.5).within_group(seconds).label(f"{name}_median"),
            func.percentile_cont(0.9).within_group(seconds).label(f"{name}_p90"))
