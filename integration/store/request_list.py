"""The list of requests: one page by keyset, counts for its tabs, what each waits for, and one found by what it is called."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    func,
    literal,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on

from integration.store.scope import EVERYTHING, Scope
from integration.store.steps import OPEN
from integration.store.tables import LOOP_OPEN, requests, steps

PAGE = 50
COUNT_CAP = 1_000  # history is counted up to here
TABS = ("attention", "open", "closed", "all")
SHOWN = ("placer", "fulfiller", "status", "records", "priority")
_is_open = text(LOOP_OPEN)
_is_closed = text("closed_at is not null")
_PARKED = select(steps.c.request_id).where(text("steps.status = 'parked'"))


@dataclass(frozen=True)
class Wanted:
    """Which requests: a tab, exact values of columns, and a word that begins a key or an id."""

    tab: str = "open"
    values: tuple[tuple[str, str], ...] = ()
    word: str = ""


@dataclass(frozen=True)
class Waits:
    """The step a request waits for: what a person must do comes first, then what is due first."""

    id: int
    kind: str
    endpoint: str
    status: str
    attempts: int
    cause: str | None
    message: str | None
    action: str | None
    next_attempt_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Waits":
        """From a row of ``steps``."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def page(
    conn: Connection,
    wanted: Wanted,
    *,
    scope: Scope = EVERYTHING,
    after: tuple[datetime, str] | None = None,
    limit: int = PAGE,
) -> tuple[list[Row], tuple[datetime, str] | None]:
    """Rows of ``requests``, newest first, and the place after which the next page begins (None at the end)."""
    query = _matching(select(requests), wanted).where(scope.where())
    if after is not None:
        query = query.where(tuple_(requests.c.created_at, requests.c.id) < tuple_(*map(literal, after)))
    found = conn.execute(query.order_by(requests.c.created_at.desc(), requests.c.id.desc()).limit(limit + 1)).all()
    more = len(found) > limit
    return list(found[:limit]), (found[limit - 1].created_at, found[limit - 1].id) if more else None


def newest(conn: Connection, limit: int, scope: Scope = EVERYTHING) -> list[Row]:
    """``request_id``, ``status`` and ``created_at`` of the newest requests of a scope."""
    shown = select(requests.c.id.label("request_id"), requests.c.status, requests.c.created_at).where(scope.where())
    return list(conn.execute(shown.order_by(requests.c.created_at.desc(), requests.c.id.desc()).limit(limit)).all())


def of_patient(conn: Connection, patient_hash: str, scope: Scope, *, but: str, limit: int = 20) -> list[Row]:
    """``id``, ``fulfiller``, ``status`` and ``created_at`` of the other requests of a scope about the same patient, newest first."""
    others = select(requests.c.id, requests.c.fulfiller, requests.c.status, requests.c.created_at)
    others = others.where(requests.c.patient_hash == patient_hash, requests.c.id != but, scope.where())
    return list(conn.execute(others.order_by(requests.c.created_at.desc(), requests.c.id).limit(limit)))


def open_of(conn: Connection, practice: str) -> int:
    """How many open requests a practice asks or is asked."""
    theirs = or_(requests.c.placer == practice, requests.c.fulfiller == practice)
    return conn.execute(select(func.count()).select_from(requests).where(_is_open, theirs)).scalar_one()


def counts(conn: Connection, wanted: Wanted) -> dict[str, int]:
    """How many each tab holds, counted up to ``COUNT_CAP + 1``."""
    return {tab: _count(conn, Wanted(tab, wanted.values, wanted.word)) for tab in TABS}


def _count(conn: Connection, wanted: Wanted) -> int:
    inner = _matching(select(literal(1)).select_from(requests), wanted).limit(COUNT_CAP + 1)
    return conn.execute(select(func.count()).select_from(inner.subquery())).scalar_one()


def _matching(query: Select, wanted: Wanted) -> Select:
    conditions = [_tab(wanted.tab), *(requests.c[name] == value for name, value in wanted.values if name in SHOWN)]
    if wanted.word:
        begins = _plain(wanted.word) + "%"
        conditions.append(
            or_(requests.c.id.like(begins.lower(), escape="\\"), requests.c.key.ilike(begins, escape="\\"))
        )
    return query.where(*conditions)


def _tab(tab: str) -> ColumnElement | TextClause:
    conditions: dict[str, ColumnElement | TextClause] = {
        "attention": requests.c.id.in_(_PARKED),
        "open": _is_open,
        "closed": _is_closed,
        "all": true(),
    }
    return conditions[tab]


def _plain(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def waits(conn: Connection, request_ids: list[str]) -> dict[str, Waits]:
    """What each of these requests waits for; one that waits for nothing is not in it."""
    urgent = (steps.c.status == "parked").desc(), (steps.c.attempts > 0).desc(), steps.c.next_attempt_at, steps.c.id
    found = conn.execute(
        select(steps)
        .ext(distinct_on(steps.c.request_id))
        .where(steps.c.request_id == func.any(request_ids), steps.c.status.in_(OPEN))
        .order_by(steps.c.request_id, *urgent)
    )
    return {row.request_id: Waits.from_row(row) for row in found}


def id_of(conn: Connection, name: str) -> str | None:
    """The id of the one request with this id or key, whatever its case; None when there is none or more than one."""
    exact = or_(requests.c.id == name.lower(), requests.c.key == name)
    found = conn.execute(select(requests.c.id).where(exact).limit(2)).scalars().all()
    if not found:
        found = (
            conn.execute(select(requests.c.id).where(func.lower(requests.c.key) == name.lower()).limit(2))
            .scalars()
            .all()
        )
    return found[0] if len(found) == 1 else None
