"""Parking: a step gave up or a person stopped it. The one place where that is done, with what follows from it.

A delivery says the same as its step, a step about records blocks that track, and giving up is a finding.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection

from integration.store import audit, deliveries, requests, steps
from integration.store.findings import record
from integration.store.steps import Step
from mappings.model.delivery import DeliveryStatus
from mappings.model.findings import Finding
from mappings.model.states import Records
from mappings.model.steps import RECORD_KINDS

BY_PERSON = "parked-by-person"


def park_failed(conn: Connection, step: Step, cause: str, message: str, items: Iterable[str] = ()) -> None:
    """Inside the step's own lease: it cannot go on by itself. ``items``: what of the record it is about."""
    steps.park(conn, step, cause=cause, message=message, items=items)
    tell_parked(conn, step, cause, message)


def park_all(conn: Connection, *which: ColumnElement[bool], cause: str, message: str, path: str | None = None) -> int:
    """Park the waiting and due steps of a choice, because something was found out. Returns how many.

    ``path``: where that is, when it lies in something else than the step.
    """
    stopped = steps.stop(conn, *which, cause=cause, message=message)
    for step in stopped:
        tell_parked(conn, step, cause, message, path)
    return len(stopped)


def park_by_person(conn: Connection, step_id: int, *, actor: str, reason: str) -> Step | None:
    """A person stops a waiting or due step; what it would send is kept. None when it is neither."""
    for step in steps.stop(conn, steps.steps.c.id == step_id, cause=BY_PERSON, message=reason):
        _follow_parked(conn, step, BY_PERSON, reason)
        audit.record(conn, actor, "step.parked", step.request_id, subject=f"step {step.id}", reason=reason)
        return step
    return None


def tell_parked(conn: Connection, step: Step, cause: str, message: str, path: str | None = None) -> None:
    """What follows for a step that is parked already: a finding, its delivery, the records track."""
    found = Finding(cause, message, path or f"step {step.kind}", "error")
    record(conn, [found], request_id=step.request_id, delivery_id=step.delivery_id, endpoint=step.endpoint)
    _follow_parked(conn, step, cause, message)


def tell_retrying(conn: Connection, step: Step, cause: str, message: str) -> None:
    """The step was postponed: its delivery says so."""
    if step.delivery_id:
        deliveries.move(conn, step.delivery_id, DeliveryStatus.RETRYING, cause=cause, message=message)


def _follow_parked(conn: Connection, step: Step, cause: str, message: str) -> None:
    if step.delivery_id:
        deliveries.move(conn, step.delivery_id, DeliveryStatus.PARKED, cause=cause, message=message, action=step.action)
    if step.kind in RECORD_KINDS and step.request_id:
        requests.set_records(conn, step.request_id, Records.BLOCKED)
