"""What follows when a step goes on later or waits for a person: its delivery says so, and giving up is a finding."""

from sqlalchemy import Connection, Row

from integration.store import deliveries, requests
from integration.store.findings import record
from mappings.model.delivery import DeliveryStatus
from mappings.model.findings import Finding
from mappings.model.states import Records
from mappings.model.steps import RECORD_KINDS


def follow(
    conn: Connection, step: Row, status: DeliveryStatus, cause: str, message: str, action: str | None = None
) -> None:
    """The step was postponed (RETRYING) or parked (PARKED)."""
    if step.delivery_id:
        deliveries.move(conn, step.delivery_id, status, cause=cause, message=message, action=action)
    if status is DeliveryStatus.PARKED and step.kind in RECORD_KINDS and step.request_id:
        requests.set_records(conn, step.request_id, Records.BLOCKED)


def give_up(conn: Connection, step: Row, cause: str, message: str, action: str) -> None:
    """The step was parked because it cannot go on by itself."""
    record(
        conn,
        [Finding(cause, message, f"step {step.kind}", "error")],
        request_id=step.request_id,
        delivery_id=step.delivery_id,
        endpoint=step.endpoint,
    )
    follow(conn, step, DeliveryStatus.PARKED, cause, message, action)
