"""One item again: it is looked at where it was sent, then created or updated there alone."""

from sqlalchemy import Connection, Row, select

from integration.store import audit, deliveries, requests, steps
from integration.store.deliveries import Delivery
from integration.store.operations import NotPossible, open_step_of
from integration.store.tables import steps as step_table
from mappings.model.delivery import ENDED, DeliveryKind, DeliveryStatus
from mappings.model.states import FINAL, Records
from mappings.model.steps import StepKind

_SENDS = {
    DeliveryKind.RECORDS: StepKind.PUSH_RECORDS,
    DeliveryKind.REQUEST: StepKind.SEND_REQUEST,
    DeliveryKind.REPORT: StepKind.RETURN_REPORT,
}


def delivery_of(conn: Connection, delivery_id: str) -> Delivery:
    """A delivery. Raises NotPossible when there is none."""
    row = deliveries.get(conn, delivery_id)
    if row is None:
        raise NotPossible(f"there is no delivery {delivery_id[:120]}")
    return row


def resend(conn: Connection, delivery_id: str, item: str, *, actor: str, reason: str) -> Delivery:
    """Mark one item to be looked at and sent again, and make the step due that does it.

    Raises NotPossible: no such delivery or item, it was read back and found right, the request has ended, or a worker is
    just at it.
    """
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    delivery = delivery_of(conn, delivery_id)
    request = requests.get(conn, delivery.request_id)
    if request.status in FINAL and delivery.kind != DeliveryKind.REPORT:
        raise NotPossible(f"request {request.id} is {request.status}: nothing more is sent for it")
    if delivery.status in ENDED:
        raise NotPossible(f"delivery {delivery_id} is {delivery.status}: nothing of it is sent again")
    open_step = _of(conn, open_step_of(conn, delivery_id))
    if open_step is not None and open_step.status == "leased":
        raise NotPossible(f"step {open_step.id} of delivery {delivery_id} is running: try again in a moment")
    if not deliveries.mark_again(conn, delivery_id, item):
        raise NotPossible(f"delivery {delivery_id} has no item {item[:120]}")
    audit.record(conn, actor, "item.resent", request.id, subject=f"{delivery_id} {item}", reason=reason)
    _make_due(conn, delivery, open_step, reason=f"{item} is sent again")
    return delivery


def _of(conn: Connection, step_id: int | None) -> Row | None:
    return conn.execute(select(step_table).where(step_table.c.id == step_id)).one_or_none()


def _make_due(conn: Connection, delivery: Delivery, open_step: Row | None, *, reason: str) -> None:
    sends = _SENDS[DeliveryKind(delivery.kind)]
    if open_step is not None and open_step.kind == sends:
        steps.make_due(conn, open_step.id)
    else:
        if open_step is not None:
            steps.cancel_open(conn, delivery.request_id, reason=reason, kinds=(open_step.kind,))
        deadline = delivery.deadline
        steps.create(
            conn, sends, delivery.endpoint, request_id=delivery.request_id, delivery_id=delivery.id, deadline=deadline
        )
    deliveries.move(conn, delivery.id, DeliveryStatus.RETRYING)
    if delivery.kind == DeliveryKind.RECORDS:
        requests.set_records(conn, delivery.request_id, Records.GATHERING)
