"""A consulting practice's inbox: what it was asked, what it answered here, who has it, and what somebody has not looked at yet."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Row, case, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from integration.store import requests as request_rows
from integration.store.scope import Scope
from integration.store.tables import NEVER, ON_BOARD, desk_answers, desk_looks, requests
from mappings.model.desk import Said
from mappings.model.states import Records, Status

PAGE = 20
_NEVER = datetime.fromisoformat(NEVER)
_ASKED = (Status.REQUESTED, Status.RECEIVED, Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD)
_THERE = (Records.VERIFIED, Records.ACKNOWLEDGED)


class Show(StrEnum):
    """A tab of the inbox."""

    OPEN = "open"
    UNANSWERED = "unanswered"
    DONE = "done"


@dataclass(frozen=True)
class AnswerRow:
    """One answer; see `tables.desk_answers`."""

    id: int
    request_id: str
    answer: str  # an Answer
    reason: str | None  # a DeclineReason
    words: str
    people: list[str]
    items: list[str]
    actor: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "AnswerRow":
        """From a row of `desk_answers`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Asked:
    """A request in the inbox. ``rank``: 0 its records are there, 1 some are, 2 none; ``looked_at``: when who asks last opened it."""

    id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    records: str
    priority: str
    body: bytes
    due_at: datetime | None
    updated_at: datetime
    rank: int
    people: list[str] | None
    looked_at: datetime | None

    @property
    def news(self) -> str:
        """``new``: never looked at; ``changed`` since; empty: neither."""
        if self.looked_at is None:
            return "new"
        return "changed" if self.updated_at > self.looked_at else ""


def add(conn: Connection, request_id: str, said: Said, *, actor: str) -> int:
    """Keep an answer; its number. It may ask for more."""
    request_rows.has_changed(conn, request_id)
    made = insert(desk_answers).values(
        request_id=request_id,
        answer=said.answer,
        reason=said.reason,
        words=said.words,
        people=list(said.people),
        items=list(said.items),
        actor=actor,
    )
    return int(conn.execute(made.returning(desk_answers.c.id)).scalar_one())


def of_request(conn: Connection, request_id: str) -> list[AnswerRow]:
    """All answers, oldest first."""
    wanted = select(desk_answers).where(desk_answers.c.request_id == request_id).order_by(desk_answers.c.id)
    return [AnswerRow.from_row(row) for row in conn.execute(wanted)]


def people_of(said: Iterable[AnswerRow]) -> list[str]:
    """Who has it now, by name; nobody before somebody was named."""
    return next((each.people for each in reversed(list(said)) if each.people), [])


def looked(conn: Connection, request_id: str, *, actor: str) -> None:
    """``actor`` opened it now."""
    made = insert(desk_looks).values(actor=actor, request_id=request_id)
    again = made.on_conflict_do_update(index_elements=["actor", "request_id"], set_={"looked_at": func.now()})
    conn.execute(again)


def page(
    conn: Connection,
    scope: Scope,
    show: Show,
    *,
    actor: str,
    after: tuple[datetime, int, str] | None = None,
    limit: int = PAGE,
) -> tuple[list[Asked], tuple[datetime, int, str] | None]:
    """Requests asked of the practices of a scope: the least time left first, then those whose records are there; where the next page begins."""
    rank = case((requests.c.records.in_(_THERE), 0), (requests.c.records.in_(("partial", "sent")), 1), else_=2)
    due = func.coalesce(requests.c.records_due_at, _NEVER)
    newest = select(desk_answers.c.people).where(
        desk_answers.c.request_id == requests.c.id, func.cardinality(desk_answers.c.people) > 0
    )
    mine = select(desk_looks.c.looked_at).where(desk_looks.c.request_id == requests.c.id, desk_looks.c.actor == actor)
    columns = (*_COLUMNS, requests.c.records_due_at.label("due_at"), rank.label("rank"))
    people = newest.order_by(desk_answers.c.id.desc()).limit(1).scalar_subquery()
    query = select(*columns, people.label("people"), mine.scalar_subquery().label("looked_at"))
    query = query.where(_asked_of(scope), *_on(show))
    if after is not None:
        query = query.where(tuple_(due, rank, requests.c.id) > tuple_(*map(literal, after)))
    found = [Asked(**row._asdict()) for row in conn.execute(query.order_by(due, rank, requests.c.id).limit(limit + 1))]
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], (last.due_at or _NEVER, last.rank, last.id) if last else None


def counts(conn: Connection, scope: Scope) -> dict[Show, int]:
    """How many each tab holds."""
    numbers = [
        select(func.count()).select_from(requests).where(_asked_of(scope), *_on(show)).scalar_subquery()
        for show in Show
    ]
    return dict(zip(Show, conn.execute(select(*numbers)).one(), strict=True))


_COLUMNS = tuple(
    requests.c[name]
    for name in ("id", "key", "placer", "fulfiller", "status", "records", "priority", "body", "updated_at")
)


def _asked_of(scope: Scope) -> ColumnElement[bool]:
    """What the practices of a scope are asked, not what they ask."""
    return Scope(whole=scope.whole, fulfillers=scope.fulfillers).where()


def _on(show: Show) -> tuple[ColumnElement[bool], ...]:
    if show is Show.DONE:
        return (requests.c.status.in_((Status.COMPLETED, Status.REJECTED)),)
    wanted = _ASKED[:2] if show is Show.UNANSWERED else _ASKED
    return text(ON_BOARD), requests.c.status.in_(wanted)  # type: ignore[return-value]  # text is a condition here
