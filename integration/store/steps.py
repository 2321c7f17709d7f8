"""Steps: what is owed and when, done under a lease; every change says which lease it holds."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.arrays import any_of
from integration.store.tables import NEVER, attempts, requests, steps
from mappings.model.causes import cause_named
from mappings.model.errors import ExchangeError, TemporaryError
from mappings.model.steps import OPEN, TO_SEND

_NEVER = datetime.fromisoformat(NEVER)
AFTER_WORK = _NEVER + timedelta(hours=6)  # no deadline either: watches never end, so what ends comes before them
LAST_OF_ALL = _NEVER + timedelta(hours=12)  # and those of charts come last
STOPPABLE = ("waiting", "due")  # no worker has it
EARLIER_OPEN = "earlier-delivery-open"


class LeaseLost(ExchangeError):
    """Another worker took this step over: nothing of this attempt may be stored or sent."""


@dataclass(frozen=True)
class Step:
    """One thing owed for a request, or for none: when it is due, how often it was tried, and its lease; see `tables.steps`."""

    id: int
    request_id: str | None  # None: a poll, and what we owe ourselves
    kind: str  # a StepKind, or a word of a newer version
    endpoint: str
    delivery_id: str | None
    status: str  # a StepStatus
    due_at: datetime
    next_attempt_at: datetime
    deadline: datetime
    attempts: int
    first_attempt_at: datetime | None
    lease_no: int
    lease_until: datetime | None
    started: bool
    lost: int
    put_backs: int
    cause: str | None
    message: str | None
    action: str | None
    items: list[str] | None  # what of the record it is about
    created_at: datetime
    finished_at: datetime | None
    parked_at: datetime | None
    priority: str | None
    holds: str | None
    holds_lease: int | None

    @classmethod
    def from_row(cls, row: Row) -> "Step":
        """From a row of `steps`."""
        return cls(**{name: row._mapping[name] for name in cls.__dataclass_fields__})

    @property
    def delivery(self) -> str:
        """The delivery that it works on; LookupError for a step that works on none."""
        if self.delivery_id is None:
            raise LookupError(f"step {self.id} ({self.kind}) works on no delivery")
        return self.delivery_id


@dataclass(frozen=True)
class NextStep:
    """A step to be created when this one is done; ``at`` None means now."""

    kind: str
    endpoint: str
    delivery_id: str | None = None
    at: datetime | None = None
    deadline: datetime | None = None  # else that of the step before it, and none after a watch


def create(
    conn: Connection,
    kind: str,
    endpoint: str,
    *,
    request_id: str | None = None,
    delivery_id: str | None = None,
    deadline: datetime | None = None,
    at: datetime | None = None,
) -> int | None:
    """Make a step due (or waiting until ``at``). None when an open one of this kind exists: that one is enough."""
    row: dict = dict(
        kind=kind, endpoint=endpoint, request_id=request_id, delivery_id=delivery_id, status="waiting" if at else "due"
    )
    if request_id is not None:
        row["priority"] = select(requests.c.priority).where(requests.c.id == request_id).scalar_subquery()
    if deadline is not None:
        row["deadline"] = deadline
    if at is not None:
        row["due_at"] = row["next_attempt_at"] = at
    made = conn.execute(insert(steps).values(row).on_conflict_do_nothing().returning(steps.c.id))
    return made.scalar_one_or_none()


def get(conn: Connection, step_id: int) -> Step | None:
    """One step; None when there is none."""
    row = conn.execute(select(steps).where(steps.c.id == step_id)).one_or_none()
    return None if row is None else Step.from_row(row)


def by_ids(conn: Connection, step_ids: Iterable[int]) -> list[Step]:
    """These steps, in the order of their ids; an id that is unknown is left out."""
    found = conn.execute(select(steps).where(any_of(steps.c.id, step_ids)).order_by(steps.c.id))
    return [Step.from_row(row) for row in found]


def newest_of_delivery(conn: Connection, delivery_id: str) -> int | None:
    """The id of the last step of a delivery, open or not."""
    return conn.execute(select(func.max(steps.c.id)).where(steps.c.delivery_id == delivery_id)).scalar_one()


def set_priority(conn: Connection, request_id: str, priority: str) -> None:
    """The request was corrected: all that was ever owed for it is found by what it says now."""
    changes = steps.c.priority.is_distinct_from(priority)
    conn.execute(update(steps).where(steps.c.request_id == request_id, changes).values(priority=priority))


def stop(conn: Connection, *which: ColumnElement[bool], cause: str, message: str) -> list[Step]:
    """Waiting and due steps wait for a person from now on: the one way to park what no worker has. Returns their rows."""
    stopped = (
        update(steps).where(*which, steps.c.status.in_(STOPPABLE)).values(_parked(cause, message)).returning(steps)
    )
    return [Step.from_row(row) for row in conn.execute(stopped)]


def start(engine: Engine, step_id: int, lease_no: int, lease_seconds: float) -> Step | None:
    """Begin the dispatched step: renew its lease. None when the lease is no longer ours."""
    with engine.begin() as conn:
        row = conn.execute(
            update(steps)
            .where(*_mine(step_id, lease_no))
            .values(
                started=True,
                lease_until=_from_now(lease_seconds),
                first_attempt_at=func.coalesce(steps.c.first_attempt_at, func.now()),
            )
            .returning(steps)
        ).one_or_none()
    return None if row is None else Step.from_row(row)


def renew(engine: Engine, step_id: int, lease_no: int, lease_seconds: float) -> bool:
    """Hold the lease longer; False when it is lost."""
    with engine.begin() as conn:
        return bool(
            conn.execute(
                update(steps).where(*_mine(step_id, lease_no)).values(lease_until=_from_now(lease_seconds))
            ).rowcount
        )


@contextmanager
def fenced(engine: Engine, step_id: int, lease_no: int) -> Iterator[Connection]:
    """One transaction that commits only while the lease is ours. Raises LeaseLost before anything is written."""
    with engine.begin() as conn:
        mine = select(steps.c.id).where(*_mine(step_id, lease_no)).with_for_update()
        if conn.execute(mine).one_or_none() is None:
            raise LeaseLost(f"the lease {lease_no} of step {step_id} was taken over")
        yield conn


def finish(
    conn: Connection, step: Step, *, again_at: datetime | None = None, next_steps: tuple[NextStep, ...] = ()
) -> None:
    """Inside ``fenced``: the step is done (or waits until ``again_at``), and its successors are due."""
    values: dict = dict(
        lease_until=None,
        started=False,
        attempts=0,
        lost=0,
        put_backs=0,
        first_attempt_at=None,
        cause=None,
        message=None,
        action=None,
        items=None,
        parked_at=None,
    )
    if again_at is None:
        values |= dict(status="done", finished_at=func.now())
    else:
        values |= dict(status="waiting", next_attempt_at=again_at)
    _release(conn, step, values)
    for new in _still_wanted(conn, step, next_steps):
        made = create(
            conn,
            new.kind,
            new.endpoint,
            request_id=step.request_id,
            delivery_id=new.delivery_id,
            deadline=new.deadline or min(step.deadline, _NEVER),
            at=new.at,
        )
        if made is None and new.delivery_id is not None:
            _must_serve(conn, step.request_id, new)


def _still_wanted(conn: Connection, step: Step, next_steps: tuple[NextStep, ...]) -> tuple[NextStep, ...]:
    """Without what leads to sending when somebody asked meanwhile to cancel: the step that tells the fulfiller waits behind it."""
    if (
        not any(new.kind in TO_SEND for new in next_steps)
        or not conn.execute(select(requests.c.cancel_requested).where(requests.c.id == step.request_id)).scalar_one()
    ):
        return next_steps
    return tuple(new for new in next_steps if new.kind not in TO_SEND)


def _must_serve(conn: Connection, request_id: str | None, new: NextStep) -> None:
    """The open step that kept ``new`` out must be of the same delivery: else this one would never be sent, and nobody told."""
    there = conn.execute(
        select(steps.c.delivery_id).where(
            steps.c.request_id == request_id,
            steps.c.kind == new.kind,
            steps.c.endpoint == new.endpoint,
            steps.c.status.in_(OPEN),
        )
    ).scalar()
    if there != new.delivery_id:
        raise TemporaryError(
            f"{new.kind} of delivery {there} is still open: {new.delivery_id} waits for it", cause=EARLIER_OPEN
        )


def set_delivery(conn: Connection, step: Step, delivery_id: str) -> Step:
    """It turned out which delivery the step is of; returns the step with it."""
    served = update(steps).where(steps.c.id == step.id).values(delivery_id=delivery_id).returning(steps)
    return Step.from_row(conn.execute(served).one())


def postpone(conn: Connection, step: Step, at: datetime, *, cause: str, message: str) -> None:
    """Inside ``fenced``: the attempt failed; the next one is due at ``at``. Its worker lives: it is not what kills workers."""
    _release(
        conn,
        step,
        dict(
            status="waiting",
            next_attempt_at=at,
            attempts=steps.c.attempts + 1,
            lost=0,
            lease_until=None,
            started=False,
            cause=cause,
            message=message,
        ),
    )


def put_back(conn: Connection, step: Step, at: datetime, *, cause: str, message: str) -> None:
    """Inside ``fenced``: it could not be tried here and now, which is no failure of its own; attempts stay what they were."""
    _release(
        conn,
        step,
        dict(
            status="waiting",
            next_attempt_at=at,
            lease_until=None,
            started=False,
            cause=cause,
            message=message,
            put_backs=step.put_backs + 1 if step.cause == cause else 1,
        ),
    )


def park(conn: Connection, step: Step, *, cause: str, message: str, items: Iterable[str] = ()) -> None:
    """Inside ``fenced``: gave up or cannot know; waits for a person, since the first time when it went on by itself."""
    released = dict(attempts=steps.c.attempts + 1, lease_until=None, started=False)
    _release(conn, step, {**_parked(cause, message, items), **released})


def _parked(cause: str, message: str, items: Iterable[str] = ()) -> dict[str, object]:
    return dict(
        status="parked",
        cause=cause,
        message=message,
        action=cause_named(cause).to_do or "Read the message, correct what it names, then retry.",
        items=list(items) or None,
        parked_at=func.coalesce(steps.c.parked_at, func.statement_timestamp()),
    )


def bring_forward(conn: Connection, by: timedelta) -> None:
    """The clock was set back by so much: what waits was promised by the old one and would wait that much longer."""
    conn.execute(update(steps).where(steps.c.status == "waiting").values(next_attempt_at=steps.c.next_attempt_at - by))


def lock_with_request(conn: Connection, request_id: str) -> None:
    """The request's open steps, then the request: in the order in which workers lock them, or the two would wait for each other."""
    conn.execute(
        select(steps.c.id)
        .where(steps.c.request_id == request_id, steps.c.status.in_(OPEN))
        .order_by(steps.c.id)
        .with_for_update()
    )
    conn.execute(select(requests.c.id).where(requests.c.id == request_id).with_for_update())


def make_due(conn: Connection, step_id: int) -> bool:
    """A person (or a hint) wants it now: a parked or waiting step becomes due. False when it was neither."""
    return bool(
        conn.execute(
            update(steps)
            .where(steps.c.id == step_id, steps.c.status.in_(("parked", "waiting")))
            .values(
                status="due",
                next_attempt_at=func.now(),
                attempts=0,
                lost=0,
                put_backs=0,
                first_attempt_at=None,
                parked_at=None,
            )
        ).rowcount
    )


def end_wait(conn: Connection, which: Select) -> int:
    """Waiting steps (a query of their ids, which locks them) are due now; what they tried so far is kept. Returns how many."""
    due = update(steps).where(steps.c.id.in_(which)).values(status="due", next_attempt_at=func.now())
    return conn.execute(due).rowcount


def look_now(conn: Connection, request_id: str, kind: str) -> int:
    """A watch of the request that waits for its turn looks now; what it tried so far is kept. Returns how many."""
    waiting = select(steps.c.id).where(
        steps.c.request_id == request_id, steps.c.kind == kind, steps.c.status == "waiting"
    )
    return end_wait(conn, waiting.with_for_update())


def make_due_or_create(
    conn: Connection, kind: str, endpoint: str, *, left: tuple[str, ...] = ("parked-by-person",)
) -> bool:
    """See that a step of no request runs: one that parked itself goes on, with one attempt, unless its cause is to be ``left``.

    False when one is open already.
    """
    return create(conn, kind, endpoint) is not None or bool(
        conn.execute(
            update(steps)
            .where(
                steps.c.request_id.is_(None),
                steps.c.kind == kind,
                steps.c.endpoint == endpoint,
                steps.c.status == "parked",
                func.coalesce(steps.c.cause, "").not_in(left),
            )
            .values(status="due", next_attempt_at=func.now())
        ).rowcount
    )


def cancel_open(
    conn: Connection, request_id: str, *, reason: str, kinds: tuple[str, ...] | None = None, at: str | None = None
) -> int:
    """Stop what is still owed for a request; a leased step ends by itself and finds nothing to go on with."""
    wanted = [steps.c.request_id == request_id, steps.c.status.in_(("waiting", "due", "parked"))]
    if kinds is not None:
        wanted.append(steps.c.kind.in_(kinds))
    if at is not None:
        wanted.append(steps.c.endpoint == at)
    return conn.execute(
        update(steps).where(*wanted).values(status="cancelled", finished_at=func.now(), message=reason)
    ).rowcount


def record_attempt(
    conn: Connection,
    step: Step,
    started_at: datetime,
    outcome: str,
    *,
    status_code: int | None = None,
    cause: str | None = None,
    message: str | None = None,
) -> int:
    """One line of history, and its number; nothing disappears."""
    return conn.execute(
        attempts.insert()
        .values(
            step_id=step.id,
            request_id=step.request_id,
            delivery_id=step.delivery_id,
            kind=step.kind,
            endpoint=step.endpoint,
            lease_no=step.lease_no,
            started_at=started_at,
            outcome=outcome,
            status_code=status_code,
            cause=cause,
            message=message,
        )
        .returning(attempts.c.id)
    ).scalar_one()


def _mine(step_id: int, lease_no: int) -> tuple:
    return steps.c.id == step_id, steps.c.lease_no == lease_no, steps.c.status == "leased"


def _from_now(seconds: float) -> ColumnElement:
    return func.statement_timestamp() + text(f"interval '{float(seconds)} seconds'")


def _release(conn: Connection, step: Step, values: dict) -> None:
    conn.execute(update(steps).where(*_mine(step.id, step.lease_no)).values(values))
    conn.execute(
        update(requests).where(requests.c.id == step.request_id, requests.c.live_step == step.id).values(live_step=None)
    )
