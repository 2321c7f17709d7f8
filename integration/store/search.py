"""Finds steps for the queue page: rows by keyset, counts for every tab, failure groups; each answers a filter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    and_,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
)

from integration.store.filters import STATES, Filter, Term, kinds_of, number_of, span_of
from integration.store.requests import patient_hash
from integration.store.tables import NEVER, attempts, requests, steps
from mappings.model.steps import BEFORE_THE_VISIT, OPEN

PAGE = 50
COUNT_CAP = 10_000  # history is counted up to here: an exact count of millions helps nobody
COLUMNS = (
    "id",
    "request_id",
    "kind",
    "endpoint",
    "delivery_id",
    "status",
    "due_at",
    "next_attempt_at",
    "deadline",
    "attempts",
    "first_attempt_at",
    "lease_no",
    "lease_until",
    "started",
    "cause",
    "message",
    "action",
    "created_at",
    "finished_at",
)
# Constants as text, not as parameters: a partial index is chosen only for what the planner can see.
_is_open = text(f"steps.status IN ({', '.join(repr(status) for status in OPEN)})")
_NEVER = datetime.fromisoformat(NEVER)
_EMPTY: ColumnElement[str] = literal_column("''")


@dataclass(frozen=True)
class Place:
    """Where the next page begins: after this row."""

    at: str
    id: int

    def __str__(self) -> str:
        return f"{self.at}_{self.id}"

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """From an address; None when it is none."""
        at, _, number = text.rpartition("_")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            return None
        try:
            return cls(datetime.fromisoformat(at).isoformat() if at else "", int(number))
        except ValueError:
            return None


def hashed(conn: Connection, wanted: Filter) -> Filter:
    """The filter with keyed hashes where a person typed patient identifiers."""
    return wanted.with_hashes(lambda value: patient_hash(conn, value)) if wanted.identifiers else wanted


def rows(
    conn: Connection, wanted: Filter, now: datetime, *, after: Place | None = None, limit: int = PAGE
) -> tuple[Sequence[Row], Place | None]:
    """One page of steps, and where the next one begins (None at the end).

    The order ends with the id, and the place names both, so that no row of the same second is lost.
    """
    order, descending = _order(wanted.state)
    query = select(*(steps.c[name] for name in COLUMNS)).where(state_is(wanted.state, now), *conditions(wanted, now))
    if after is not None:
        query = query.where(_beyond(order, after, descending))
    query = query.order_by(*(column.desc() if descending else column for column in order)).limit(limit + 1)
    found = conn.execute(query).all()
    page = found[:limit]
    return page, _place_of(page[-1], order) if len(found) > limit else None


def _order(state: str) -> tuple[tuple[ColumnElement, ...], bool]:
    if state in ("done", "cancelled"):
        return (steps.c.finished_at, steps.c.id), True
    return ((steps.c.id,), True) if state == "all" else ((steps.c.deadline, steps.c.id), False)


def _beyond(order: tuple, after: Place, descending: bool) -> ColumnElement:
    place = (after.id,) if len(order) == 1 else (datetime.fromisoformat(after.at), after.id) if after.at else None
    if place is None:
        return true()
    mine, theirs = (
        tuple_(*order),
        tuple_(*(literal(value, column.type) for value, column in zip(place, order, strict=True))),
    )
    return mine < theirs if descending else mine > theirs


def _place_of(row: Row, order: tuple) -> Place:
    return Place("" if len(order) == 1 else getattr(row, order[0].name).isoformat(), row.id)


def counts(conn: Connection, wanted: Filter, now: datetime) -> dict[str, int]:
    """How many steps each tab holds under the filter; done, cancelled and all are counted up to COUNT_CAP + 1.

    Open steps are read once, in a few groups from which every tab is added up.
    """
    late = and_(steps.c.deadline < now, steps.c.kind.in_(BEFORE_THE_VISIT)).label("late")
    groups = select(steps.c.status, (steps.c.attempts > 0).label("failed"), late, func.count()).where(
        _is_open, *conditions(wanted, now)
    )
    found = dict.fromkeys(STATES, 0)
    for status, failed, is_late, number in conn.execute(groups.group_by(*(literal_column(place) for place in "123"))):
        for state in _tabs_of(status, failed, is_late):
            found[state] += number
    for state in ("done", "cancelled"):
        found[state] = _capped(conn, wanted.with_state(state), now)
    return found | {"all": min(COUNT_CAP + 1, found["all"] + found["done"] + found["cancelled"])}


def _tabs_of(status: str, failed: bool, late: bool) -> list[str]:
    """The tabs an open step is on; ``state_is`` says the same to the database (a test compares)."""
    own = {"parked": "parked", "leased": "running"}.get(status) or ("retrying" if failed else status)
    return ["all", own] + ["late"] * late + ["attention"] * (status == "parked" or failed or late)


def _capped(conn: Connection, wanted: Filter, now: datetime) -> int:
    inner = (
        select(literal(1))
        .select_from(steps)
        .where(state_is(wanted.state, now), *conditions(wanted, now))
        .limit(COUNT_CAP + 1)
    )
    return conn.execute(select(func.count()).select_from(inner.subquery())).scalar_one()


def state_is(state: str, now: datetime) -> ColumnElement | TextClause:
    """The condition of one tab."""
    status, failed = steps.c.status, steps.c.attempts > 0
    parked = text("steps.status = 'parked'")
    late = and_(_is_open, steps.c.deadline < now, steps.c.kind.in_(BEFORE_THE_VISIT))
    retrying = and_(status.in_(("waiting", "due")), failed)
    tabs: dict[str, ColumnElement | TextClause] = {
        "parked": parked,
        "retrying": retrying,
        "late": late,
        "running": status == "leased",
        "due": and_(status == "due", not_(failed)),
        "waiting": and_(status == "waiting", not_(failed)),
        "done": text("steps.status = 'done'"),
        "cancelled": text("steps.status = 'cancelled'"),
        "all": true(),
        "attention": and_(_is_open, or_(parked, and_(status.in_(("waiting", "due", "leased")), failed), late)),
    }
    return tabs[state]


def retryable() -> ColumnElement:
    """What the retry button works on: parked, or waiting for another attempt."""
    return or_(steps.c.status == "parked", and_(steps.c.status == "waiting", steps.c.attempts > 0))


def matching(wanted: Filter, now: datetime) -> Select:
    """Ids and lease numbers of what matches and can be retried, for an operation on all of them."""
    return select(steps.c.id, steps.c.lease_no).where(
        state_is(wanted.state, now), *conditions(wanted, now), retryable()
    )


def count_matching(conn: Connection, wanted: Filter, now: datetime) -> Sequence[Row]:
    """Exact counts of what can be retried: (endpoint, status, number, request count)."""
    return conn.execute(
        select(
            steps.c.endpoint,
            steps.c.status,
            func.count().label("number"),
            func.count(steps.c.request_id.distinct()).label("requests"),
        )
        .where(state_is(wanted.state, now), *conditions(wanted, now), retryable())
        .group_by(steps.c.endpoint, steps.c.status)
        .order_by(steps.c.endpoint, steps.c.status)
    ).all()


def conditions(wanted: Filter, now: datetime) -> list[ColumnElement]:
    """The filter's terms, without its state."""
    return [_term(term, now) for term in wanted.terms]


def _term(term: Term, now: datetime) -> ColumnElement:
    any_of = or_(*(_CONDITIONS[term.name](value, now) for value in term.values))
    return not_(func.coalesce(any_of, False)) if term.negative else any_of


def _due(value: str, now: datetime) -> ColumnElement:
    if value == "none":
        return steps.c.deadline >= _NEVER
    if value == "late":
        return steps.c.deadline < now
    sign, span = span_of(value)
    return (
        steps.c.deadline < now + span if sign == "<" else and_(steps.c.deadline > now + span, steps.c.deadline < _NEVER)
    )


def _attempts(value: str, _now: datetime) -> ColumnElement:
    sign, number = number_of(value)
    column = steps.c.attempts
    return column > number if sign == ">" else column < number if sign == "<" else column == number


def _error(value: str, _now: datetime) -> ColumnElement:
    if value.startswith("="):
        return func.coalesce(steps.c.cause, "") == value[1:]
    return steps.c.cause.ilike(f"%{_plain(value)}%", escape="\\")


def _any(value: str, _now: datetime) -> ColumnElement:
    part = f"%{_plain(value)}%"
    keyed = select(requests.c.id).where(requests.c.key.ilike(part, escape="\\"))
    return or_(
        steps.c.cause.ilike(part, escape="\\"), steps.c.endpoint.ilike(part, escape="\\"), steps.c.request_id.in_(keyed)
    )


def _request(value: str, _now: datetime) -> ColumnElement:
    if len(value) >= 21:
        return steps.c.request_id == value
    return steps.c.request_id.in_(select(requests.c.id).where(requests.c.id.like(f"{_plain(value)}%", escape="\\")))


def _of_request(column: str) -> Callable[[str, datetime], ColumnElement]:
    return lambda value, _now: steps.c.request_id.in_(select(requests.c.id).where(requests.c[column] == value))


def _priority(value: str, _now: datetime) -> ColumnElement:
    """As the step says; where it does not, as its request does (the list of those is made only when one is met)."""
    unsaid = and_(steps.c.priority.is_(None), steps.c.request_id.isnot(None))
    return or_(steps.c.priority == value, and_(unsaid, _of_request("priority")(value, _now)))


def _plain(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_CONDITIONS = {
    "endpoint": lambda value, _now: func.lower(steps.c.endpoint) == value.lower(),
    "delivery": lambda value, _now: steps.c.delivery_id == value,
    "kind": lambda value, _now: steps.c.kind.in_(kinds_of(value)),
    "error": _error,
    "any": _any,
    "request": _request,
    "due": _due,
    "attempts": _attempts,
    "patient": _of_request("patient_hash"),
    "priority": _priority,
    "placer": _of_request("placer"),
    "fulfiller": _of_request("fulfiller"),
}


def groups(conn: Connection, wanted: Filter, now: datetime, limit: int = 200) -> Sequence[Row]:
    """Failures by cause and endpoint, most first: number, requests, first and last seen, nearest deadline, one example."""
    failing = and_(_is_open, or_(steps.c.status == "parked", steps.c.attempts > 0))
    cause = func.coalesce(steps.c.cause, _EMPTY)
    each = (
        select(
            cause.label("cause"),
            steps.c.endpoint,
            func.count().label("number"),
            func.count().filter(steps.c.status == "parked").label("parked"),
            func.count(steps.c.request_id.distinct()).label("requests"),
            func.min(func.coalesce(steps.c.first_attempt_at, steps.c.created_at)).label("first_seen"),
            func.min(steps.c.deadline).label("deadline"),
            func.max(steps.c.attempts).label("most_attempts"),
            func.min(steps.c.action).label("action"),
            func.max(steps.c.id).label("example"),
        )
        .where(failing, *conditions(wanted, now))
        .group_by(cause, steps.c.endpoint)
        .order_by(func.count().desc(), cause, steps.c.endpoint)
        .limit(limit)
        .subquery()
    )
    last = (
        select(func.max(attempts.c.finished_at))
        .where(attempts.c.endpoint == each.c.endpoint, attempts.c.cause == each.c.cause)
        .scalar_subquery()
    )
    return conn.execute(
        select(each, last.label("last_seen")).order_by(each.c.number.desc(), each.c.cause, each.c.endpoint)
    ).all()
