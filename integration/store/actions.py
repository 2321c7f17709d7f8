"""Buttons that know what their page showed: one effect when two press at once, and both are told what happened."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select

from integration.store import operations, parking
from integration.store.arrays import any_of
from integration.store.tables import audit as audit_table
from integration.store.tables import steps
from mappings.model.steps import kind_words

CAN_RETRY = ("parked", "waiting")


@dataclass(frozen=True)
class Seen:
    """A step as the page showed it."""

    step_id: int
    lease_no: int
    status: str | None = None

    def __str__(self) -> str:
        return f"{self.step_id}:{self.lease_no}" + (f":{self.status}" if self.status else "")

    @classmethod
    def read(cls, text: str) -> "Seen | None":
        """From a form; None when it is none."""
        step_id, lease_no, status = [*text.split(":"), "", "", ""][:3]
        if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (step_id, lease_no)):
            return None
        return cls(int(step_id), int(lease_no), status or None)


@dataclass(frozen=True)
class Result:
    """What pressing a button did: how many steps changed, and what is told to who pressed."""

    changed: int
    message: str


def retry(conn: Connection, seen: Seen, *, actor: str, reason: str) -> Result:
    """Make a step due now, unless it moved on since the page was made."""
    step, moved = _locked(conn, seen, CAN_RETRY)
    if moved:
        return Result(0, moved)
    operations.retry_step(conn, step.id, actor=actor, reason=reason)
    return Result(1, f"Step {step.id} ({step.kind}, {step.endpoint}) is due now.")


def retry_many(conn: Connection, wanted: list[Seen], *, actor: str, reason: str) -> Result:
    """Retry selected steps; says how many had changed."""
    conn.execute(
        select(steps.c.id)
        .where(any_of(steps.c.id, {seen.step_id for seen in wanted}))
        .order_by(steps.c.id)
        .with_for_update()
    )
    results = [retry(conn, seen, actor=actor, reason=reason) for seen in sorted(wanted, key=lambda seen: seen.step_id)]
    changed = sum(each.changed for each in results)
    left = [each.message for each in results if not each.changed]
    return Result(
        changed,
        f"{changed} of {len(results)} due now."
        + (f" Left alone: {' '.join(left[:3])}" if left else "")
        + (f" And {len(left) - 3} more." if len(left) > 3 else ""),
    )


def park(conn: Connection, seen: Seen, *, actor: str, reason: str) -> Result:
    """Stop trying a step; what it would send is kept, and a person decides. Attempts meanwhile do not matter: it stops now."""
    step = conn.execute(select(steps).where(steps.c.id == seen.step_id).with_for_update()).one_or_none()
    if step is None:
        return Result(0, f"There is no step {seen.step_id}.")
    if parking.park_by_person(conn, step.id, actor=actor, reason=reason) is None:
        running = " Press Park once more in a moment." if step.status == "leased" else ""
        return Result(0, f"Step {step.id}: nothing done. {_since(conn, step, seen)}{running}")
    return Result(1, f"{kind_words(step.kind)} at {step.endpoint} is parked (step {step.id}).")


def park_now(conn: Connection, step_id: int, *, actor: str, reason: str) -> Result:
    """Park a step as it stands. Raises NotPossible when it is neither waiting nor due."""
    result = park(conn, Seen(step_id, 0), actor=actor, reason=reason)
    if not result.changed:
        raise operations.NotPossible(result.message)
    return result


def _locked(conn: Connection, seen: Seen, allowed: tuple[str, ...]) -> tuple:
    """The step under a row lock, and why nothing may be done to it, if so."""
    step = conn.execute(select(steps).where(steps.c.id == seen.step_id).with_for_update()).one_or_none()
    if step is None:
        return None, f"There is no step {seen.step_id}."
    stale = step.lease_no != seen.lease_no or seen.status not in (None, step.status)
    if step.status in allowed and not stale:
        return step, ""
    return step, f"Step {step.id}: nothing done. {_since(conn, step, seen)}"


def _since(conn: Connection, step: Row, seen: Seen) -> str:
    """What happened to a step since the page was made."""
    by = conn.execute(
        select(audit_table)
        .where(
            audit_table.c.request_id.is_not_distinct_from(step.request_id),
            audit_table.c.subject == f"step {step.id}",
            audit_table.c.at > func.now() - func.make_interval(0, 0, 0, 0, 1),
        )
        .order_by(audit_table.c.id.desc())
        .limit(1)
    ).one_or_none()
    words = (
        f"It was {seen.status} and is {step.status} now"
        if seen.status not in (None, step.status)
        else f"It is {step.status}"
    )
    tried = f", after {step.lease_no - seen.lease_no} more attempt(s)" if step.lease_no > seen.lease_no else ""
    who = f" ({by.action.split('.')[-1]} by {by.actor} at {by.at:%H:%M:%S} UTC)" if by is not None else ""
    return f"{words}{tried}{who}."
