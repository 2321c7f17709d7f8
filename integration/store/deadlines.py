"""Deadlines: records that have to be there before a date and are not verified yet, and moving what had an old one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, literal, not_, select, text, update

from integration.store.tables import NEVER, RECORDS_OWED, deliveries, requests, steps
from mappings.model.delivery import ENDED
from mappings.model.states import OPEN, Records
from mappings.model.steps import OPEN as OPEN_STEPS

RISK_HOURS = 48
COUNT_CAP = 10_000  # shown as it is: a board with so many is one problem, not many
ARRIVED = (Records.VERIFIED, Records.ACKNOWLEDGED)
_open = and_(requests.c.closed_at.is_(None), requests.c.status.in_(OPEN), requests.c.records.not_in(ARRIVED))
_parked = exists().where(steps.c.request_id == requests.c.id, steps.c.status == "parked").correlate(requests)


def board(conn: Connection, now: datetime, limit: int = 100) -> dict[str, tuple[int, Sequence[Row]]]:
    """``{late, risk, due: (number, the nearest)}``; at risk is near, takes longer than there is time, or needs a person."""
    late = requests.c.records_due_at < now
    near = requests.c.records_due_at < now + timedelta(hours=RISK_HOURS)
    slow = func.coalesce(requests.c.records_risk_at <= now, False)
    risk = and_(not_(late), near | slow | _parked)
    due = and_(not_(late), not_(risk))
    return {name: _column(conn, condition, limit) for name, condition in (("late", late), ("risk", risk), ("due", due))}


def _column(conn: Connection, condition: ColumnElement, limit: int) -> tuple[int, Sequence[Row]]:
    wanted = and_(_open, requests.c.records_due_at.is_not(None), condition)
    columns = (
        requests.c.id,
        requests.c.records_due_at,
        requests.c.visit_at,
        requests.c.records,
        requests.c.status,
        requests.c.priority,
        requests.c.placer,
        requests.c.fulfiller,
        _parked.label("parked"),
    )
    found = conn.execute(
        select(*columns).where(wanted).order_by(requests.c.records_due_at, requests.c.id).limit(limit)
    ).all()
    counted = select(literal(1)).select_from(requests).where(wanted).limit(COUNT_CAP)
    number = (
        conn.execute(select(func.count()).select_from(counted.subquery())).scalar_one()
        if len(found) == limit
        else len(found)
    )
    return number, found


def numbers(conn: Connection, now: datetime) -> tuple[int, int]:
    """How many are late, and how many at risk, exactly; made for asking often: what is far off is read from what is parked."""
    near = now + timedelta(hours=RISK_HOURS)
    owed = select(func.count()).select_from(requests).where(text(RECORDS_OWED))
    held = select(steps.c.request_id).where(text("steps.status = 'parked'"))
    slow = requests.c.records_risk_at <= now
    late = owed.where(requests.c.records_due_at < now)
    soon = owed.where(requests.c.records_due_at >= now, requests.c.records_due_at < near)
    far = owed.where(requests.c.records_due_at >= near, requests.c.id.in_(held), not_(func.coalesce(slow, False)))
    too_slow = owed.where(requests.c.records_due_at >= near, requests.c.records_risk_at.is_not(None), slow)
    risk = sum(conn.execute(each).scalar_one() for each in (soon, far, too_slow))
    return conn.execute(late).scalar_one(), risk


def breached(conn: Connection, now: datetime) -> int:
    """How many visits have begun, and their records are not verified."""
    begun = select(func.count()).select_from(requests).where(text(RECORDS_OWED), requests.c.visit_at <= now)
    return conn.execute(begun).scalar_one()


def move(conn: Connection, request_id: str, before: datetime | None, after: datetime | None) -> None:
    """What had the old deadline has the new one: open steps, and deliveries that have not ended."""
    if before == after:
        return
    never = datetime.fromisoformat(NEVER)
    mine = (steps.c.request_id == request_id, steps.c.status.in_(OPEN_STEPS), steps.c.deadline == (before or never))
    conn.execute(update(steps).where(*mine).values(deadline=after or never))
    theirs = (deliveries.c.request_id == request_id, deliveries.c.status.not_in(ENDED))
    same = deliveries.c.deadline.is_not_distinct_from(before)
    conn.execute(update(deliveries).where(*theirs, same).values(deadline=after))


def undated(conn: Connection) -> int:
    """Open requests that give no date."""
    return conn.execute(
        select(func.count()).select_from(requests).where(_open, requests.c.records_due_at.is_(None))
    ).scalar_one()
