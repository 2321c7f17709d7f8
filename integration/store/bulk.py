"""One button on many steps: a background operation with exact members, progress, a rate, and an end people can choose."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import Connection, Row, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import actions, audit, own_steps, search, steps
from integration.store.arrays import any_of
from integration.store.filters import Filter
from integration.store.operations import NotPossible
from integration.store.own_steps import OWN
from integration.store.tables import bulk_operations, bulk_steps
from integration.store.tables import steps as step_table

STEP = "bulk_retry"
Rate = Literal[10, 50, 200]  # steps made due per second
RATES: tuple[Rate, ...] = get_args(Rate)
TICK_SECONDS = 2


def start_retry(
    conn: Connection, wanted: Filter, now: datetime, *, actor: str, reason: str, per_second: int = RATES[1]
) -> int:
    """Begin to retry everything that matches. The members are exactly those that match now. Returns the operation's id."""
    operation_id = conn.execute(
        bulk_operations.insert()
        .values(kind="retry", filter=str(wanted), actor=actor, reason=reason, total=0, per_second=per_second)
        .returning(bulk_operations.c.id)
    ).scalar_one()
    members = search.matching(wanted, now)
    conn.execute(
        insert(bulk_steps).from_select(
            ["step_id", "lease_no", "operation_id"], members.add_columns(literal(operation_id))
        )
    )
    total = conn.execute(
        select(func.count()).select_from(bulk_steps).where(bulk_steps.c.operation_id == operation_id)
    ).scalar_one()
    if not total:
        raise NotPossible("nothing that matches can be retried any more")
    conn.execute(update(bulk_operations).where(bulk_operations.c.id == operation_id).values(total=total))
    audit.record(
        conn,
        actor,
        "bulk.retry-started",
        subject=f"operation {operation_id}",
        reason=reason,
        detail={"filter": str(wanted), "total": total},
    )
    _wake(conn)
    return operation_id


def _wake(conn: Connection) -> None:
    """See that the background step runs. Its row is locked first: one that is just ending is waited for."""
    own_steps.register(conn)
    own_steps.wait_for_ending(conn, STEP)
    steps.create(conn, STEP, OWN)


def next_batch(conn: Connection) -> bool:
    """Do one batch of every running operation; True while there is more. Called by the step, inside its own commit.

    1. choose the members, 2. lock all of their steps, in order, before anything of a request is touched (the engine
    locks a step before its request, too), 3. retry each, 4. end the operations that have none left.
    """
    running = conn.execute(
        select(bulk_operations)
        .where(bulk_operations.c.status == "running")
        .order_by(bulk_operations.c.id)
        .with_for_update()
    ).all()
    members = {operation: _members(conn, operation) for operation in running}
    step_ids = {member.step_id for each in members.values() for member in each}
    conn.execute(
        select(step_table.c.id).where(any_of(step_table.c.id, step_ids)).order_by(step_table.c.id).with_for_update()
    )
    return any(_batch(conn, operation, found) for operation, found in members.items())


def _size(operation: Row) -> int:
    return max(1, operation.per_second * TICK_SECONDS)


def _members(conn: Connection, operation: Row) -> Sequence[Row]:
    return conn.execute(
        select(bulk_steps)
        .where(bulk_steps.c.operation_id == operation.id, bulk_steps.c.outcome.is_(None))
        .order_by(bulk_steps.c.step_id)
        .limit(_size(operation))
    ).all()


def _batch(conn: Connection, operation: Row, members: Sequence[Row]) -> bool:
    for member in members:
        result = actions.retry(
            conn, actions.Seen(member.step_id, member.lease_no), actor=operation.actor, reason=operation.reason
        )
        conn.execute(
            update(bulk_steps)
            .where(bulk_steps.c.operation_id == operation.id, bulk_steps.c.step_id == member.step_id)
            .values(outcome="retried" if result.changed else "changed")
        )
    if len(members) < _size(operation):
        _finish(conn, operation.id, "done")
    return len(members) == _size(operation)


def _finish(conn: Connection, operation_id: int, status: str) -> bool:
    return bool(
        conn.execute(
            update(bulk_operations)
            .where(bulk_operations.c.id == operation_id, bulk_operations.c.status == "running")
            .values(status=status, finished_at=func.now())
        ).rowcount
    )


def cancel(conn: Connection, operation_id: int, *, actor: str, reason: str) -> dict:
    """Stop an operation; what it did stays done. Returns its view with the counts of both halves."""
    view(conn, operation_id)
    if not _finish(conn, operation_id, "cancelled"):
        raise NotPossible(f"operation {operation_id} has ended already")
    audit.record(conn, actor, "bulk.cancelled", subject=f"operation {operation_id}", reason=reason)
    return view(conn, operation_id)


def view(conn: Connection, operation_id: int) -> dict:
    """One operation with its counts: retried, changed (moved on before we came), left. Raises NotPossible."""
    row = conn.execute(select(bulk_operations).where(bulk_operations.c.id == operation_id)).one_or_none()
    if row is None:
        raise NotPossible(f"there is no operation {operation_id}")
    found = conn.execute(
        select(func.coalesce(bulk_steps.c.outcome, "left"), func.count())
        .where(bulk_steps.c.operation_id == operation_id)
        .group_by(bulk_steps.c.outcome)
    )
    counted: dict[str, int] = dict(map(tuple, found))
    return {
        **row._asdict(),
        **{name: counted.get(name, 0) for name in ("retried", "changed", "left")},
        **_became(conn, operation_id),
    }


def _became(conn: Connection, operation_id: int) -> dict[str, int]:
    """What the retried steps came to: done, still under way, and waiting for a person again."""
    found = conn.execute(
        select(step_table.c.status, func.count())
        .join(bulk_steps, bulk_steps.c.step_id == step_table.c.id)
        .where(bulk_steps.c.operation_id == operation_id, bulk_steps.c.outcome == "retried")
        .group_by(step_table.c.status)
    )
    counted: dict[str, int] = dict(map(tuple, found))
    done, parked = counted.get("done", 0), counted.get("parked", 0)
    ended = counted.get("cancelled", 0)
    return {"came_done": done, "came_parked": parked, "under_way": sum(counted.values()) - done - parked - ended}


def recent(conn: Connection, limit: int = 50) -> list[dict]:
    """The newest operations."""
    return [
        view(conn, one)
        for one in conn.execute(select(bulk_operations.c.id).order_by(bulk_operations.c.id.desc()).limit(limit))
        .scalars()
        .all()
    ]
