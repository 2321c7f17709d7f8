"""The board of cases: those of a scope that somebody still has to do something about, sorted by the time that is left."""

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Row,
    Subquery,
    and_,
    case,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
)

from integration.store.scope import Scope
from integration.store.tables import NEVER, ON_BOARD, reports, requests, steps
from mappings.model.consent import CAUSES as CONSENT_CAUSES
from mappings.model.moves import QUESTIONS, WHOSE, Move, Mover, of
from mappings.model.states import OPEN, Records, Status, Visit
from mappings.model.steps import Group, of_group

PAGE = 50
DECLINED_DAYS = 14  # so long a declined request stays, unless somebody asks again
ARRIVED = (Records.VERIFIED, Records.ACKNOWLEDGED)
_SHOWN = ("id", "key", "placer", "fulfiller", "status", "records", "priority", "body", "created_at")
_NEVER = datetime.fromisoformat(NEVER)


class Show(StrEnum):
    """A tab of the board."""

    ALL = "all"
    MINE = "mine"  # mine to do
    OTHERS = "others"  # waiting for others
    LATE = "late"


class Sort(StrEnum):
    """By what the board is sorted."""

    TIME = "time"  # that is left until the records have to be there
    VISIT = "visit"


@dataclass(frozen=True)
class Turn:
    """A request on the board. ``due_at``: until when the records have to be there, while they are not; ``visit_at``: while it is booked.

    ``to_do``: how many parts of the case the side that asks has to do before the opinion is there; None where it changed since
    somebody opened it. ``case``: the request that began its case; ``nth`` of ``of_case``: its place among those of the case that are shown here.
    """

    id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    records: str
    priority: str
    body: bytes
    due_at: datetime | None
    visit_at: datetime | None
    move: Move
    to_do: int | None
    is_late: bool
    case: str
    nth: int
    of_case: int

    @property
    def whose(self) -> Mover:
        """Who has the next move."""
        return WHOSE[self.move]


@dataclass(frozen=True)
class Place:
    """Where a page ended: the least time of the last case, that case, and the last request of it."""

    lead: datetime
    case: str
    created_at: datetime
    id: str


def _parked(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return requests.c.id.in_(select(steps.c.request_id).where(text("steps.status = 'parked'"), *conditions))


_DECLINED = requests.c.status.in_((Status.REJECTED, Status.FAILED))
_REPORT = steps.c.kind.in_(of_group(Group.REPORT))
_MOVE = case(
    (_DECLINED, Move.DECLINED.value),
    (_parked(steps.c.cause.in_(CONSENT_CAUSES)), Move.CONSENT.value),
    (_parked(steps.c.cause.in_(QUESTIONS)), Move.QUESTION.value),
    (_parked(_REPORT), Move.CARRY.value),
    (_parked(), Move.HELD.value),
    (requests.c.status == Status.ON_HOLD, Move.TELL.value),
    (requests.c.status == Status.COMPLETED, Move.RETURN.value),
    (requests.c.status == Status.DRAFT, Move.SEND.value),
    (requests.c.status.in_((Status.REQUESTED, Status.RECEIVED)), Move.ANSWER.value),
    else_=Move.OPINION.value,
)
_OWED = and_(
    requests.c.records.not_in(ARRIVED), requests.c.status.not_in((Status.COMPLETED, Status.REJECTED, Status.FAILED))
)
# Until it is answered the side that asks prepares the visit, whatever the move of the request itself is.
_TO_DO = case((requests.c.status.in_(OPEN), requests.c.to_do), else_=0).label("to_do")
_DUE = case((_OWED, requests.c.records_due_at))
_VISIT = case((requests.c.visit == Visit.BOOKED, requests.c.visit_at)).label("visit_at")


def move_of(conn: Connection, request_id: str) -> Move | None:
    """The next move of one case; None when nothing has to happen any more."""
    wanted = select(_MOVE.label("move"), requests.c.closed_at, requests.c.status).where(requests.c.id == request_id)
    row = conn.execute(wanted).one()
    if row.status in (Status.CANCELLED, Status.ENTERED_IN_ERROR):
        return None
    if row.closed_at is None:
        return Move(row.move)
    unread = select(reports.c.id).where(reports.c.request_id == request_id, reports.c.unread_since.is_not(None))
    return Move.READ if conn.execute(unread.limit(1)).first() else None


def page(
    conn: Connection,
    scope: Scope,
    show: Show,
    now: datetime,
    *,
    after: Place | None = None,
    limit: int = PAGE,
    by: Sort = Sort.TIME,
) -> tuple[list[Turn], Place | None]:
    """Cases with the least time left, or the nearest visit, first, those without one last; and where the next page begins (None at
    the end). Requests of one case stand together, in the order in which they came, where the most urgent of them would stand."""
    shown = _in_cases(_cases(scope, now), scope, show, now, by)
    place = (shown.c.lead, shown.c.case, shown.c.created_at, shown.c.id)
    query = select(shown).order_by(*place).limit(limit + 1)
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*map(literal, astuple(after))))
    found = conn.execute(query).all()
    turns = [_turn(row, now) for row in found[:limit]]
    if len(found) <= limit:
        return turns, None
    last = found[limit - 1]
    return turns, Place(last.lead, last.case, last.created_at, last.id)


def _in_cases(cases: CTE, scope: Scope, show: Show, now: datetime, by: Sort) -> Subquery:
    """What a tab shows, each with the least time of its case, its place in it, and how many of it are shown."""
    sorts = func.coalesce(cases.c.due_at if by is Sort.TIME else cases.c.visit_at, _NEVER)
    lead = func.min(sorts).over(partition_by=cases.c.case).label("lead")
    nth = func.row_number().over(partition_by=cases.c.case, order_by=(cases.c.created_at, cases.c.id)).label("nth")
    of_case = func.count().over(partition_by=cases.c.case).label("of_case")
    return select(cases, lead, nth, of_case).where(_on(cases, scope, show, now)).subquery("shown")


def counts(conn: Connection, scope: Scope, now: datetime) -> dict[Show, int]:
    """How many cases each tab holds, in one pass."""
    cases = _cases(scope, now)
    numbers = [func.count().filter(_on(cases, scope, show, now)) for show in Show]
    return dict(zip(Show, conn.execute(select(*numbers).select_from(cases)).one(), strict=True))


def _cases(scope: Scope, now: datetime) -> CTE:
    """What is open, and what is closed and not read; two halves, so that each finds its rows by an index."""
    over = or_(~_DECLINED, requests.c.updated_at > now - timedelta(days=DECLINED_DAYS))
    columns = [*(requests.c[name] for name in _SHOWN), func.coalesce(requests.c.case_id, requests.c.id).label("case")]
    still_open = select(*columns, _DUE.label("due_at"), _VISIT, _MOVE.label("move"), _TO_DO).where(
        scope.where(), text(ON_BOARD), over
    )
    unread = select(*columns, null().label("due_at"), _VISIT, literal(Move.READ.value).label("move"), literal(0))
    unread = unread.join(reports, reports.c.request_id == requests.c.id)
    unread = unread.where(text("reports.unread_since is not null"), requests.c.closed_at.is_not(None), scope.where())
    return union_all(still_open, unread).cte("cases")


def _on(cases: CTE, scope: Scope, show: Show, now: datetime) -> ColumnElement[bool]:
    tabs = {
        Show.ALL: true(),
        Show.MINE: _mine(cases, scope),
        Show.OTHERS: not_(_mine(cases, scope)),
        Show.LATE: cases.c.due_at < now,
    }
    return tabs[show]


def _mine(cases: CTE, scope: Scope) -> ColumnElement[bool]:
    """The moves of who has this scope; without practices, those of all people."""
    prepares = func.coalesce(cases.c.to_do, 1) > 0
    if scope.whole:
        return or_(cases.c.move.not_in(of(Mover.EXCHANGE)), prepares)
    to_do = or_(cases.c.move.in_(of(Mover.COORDINATOR)), prepares)
    asks = and_(to_do, cases.c.placer == func.any(sorted(scope.placers)))
    answers = and_(cases.c.move.in_(of(Mover.CONSULTANT)), cases.c.fulfiller == func.any(sorted(scope.fulfillers)))
    return or_(asks, answers)


def _turn(row: Row, now: datetime) -> Turn:
    said = {name: value for name, value in row._asdict().items() if name not in ("lead", "created_at")}
    return Turn(**{**said, "move": Move(row.move)}, is_late=row.due_at is not None and row.due_at < now)
