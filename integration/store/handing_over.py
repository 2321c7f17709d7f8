"""A person's word about a document on its way: it is there, or it is not there and may be sent again."""

import re

from sqlalchemy import Connection, Row, func, select

from integration.store import audit, deliveries, sendings, steps
from integration.store.operations import NotPossible, open_step_of
from integration.store.resending import delivery_of
from integration.store.sendings import Sending
from mappings.model.delivery import ENDED, DeliveryKind, DeliveryStatus
from mappings.model.roads import Level
from mappings.model.sending import SendingState

_ENCOUNTER = re.compile(r"Encounter/[A-Za-z0-9.-]{1,64}")


def confirm(conn: Connection, delivery_id: str, *, actor: str, reason: str) -> Row:
    """It is in the other system, or was handed over: ``actor`` answers for it. Raises NotPossible."""
    delivery, row = _open(conn, delivery_id)
    _end(conn, delivery, row, SendingState.HANDED_OVER, level=Level.HANDED_OVER, receipt={**row.receipt, "by": actor})
    audit.record(conn, actor, "delivery.handed-over", row.request_id, subject=delivery_id, reason=reason)
    return delivery


def send_again(conn: Connection, delivery_id: str, *, actor: str, reason: str) -> Row:
    """It was looked for there and is not there: it is sent once more. Raises NotPossible."""
    delivery, row = _open(conn, delivery_id)
    if row.state != SendingState.BEGUN:
        raise NotPossible(f"delivery {delivery_id} is not in doubt: there is nothing to say that it is not there")
    _end(conn, delivery, row, SendingState.ABSENT)
    audit.record(conn, actor, "delivery.not-there", row.request_id, subject=delivery_id, reason=reason)
    return delivery


def name_encounter(conn: Connection, request_id: str, reference: str, *, actor: str, reason: str) -> None:
    """The visit in the primary care EHR that the report belongs to; it is read, and held against the patient, before it is used.

    Raises NotPossible.
    """
    if not _ENCOUNTER.fullmatch(reference):
        raise NotPossible("give the visit as Encounter/<id>, as it is called in that EHR; no address, no other type")
    steps.lock_with_request(conn, request_id)
    returning = deliveries.of_request(conn, request_id, DeliveryKind.REPORT)
    if not returning or returning[0].status in ENDED:
        raise NotPossible(f"no report of request {request_id} waits to be returned")
    deliveries.set_encounter(conn, returning[0].id, reference)
    audit.record(conn, actor, "delivery.encounter", request_id, subject=f"{returning[0].id} {reference}", reason=reason)
    step_id = open_step_of(conn, returning[0].id)
    if step_id is not None and steps.make_due(conn, step_id):
        deliveries.move(conn, returning[0].id, DeliveryStatus.RETRYING)


def _open(conn: Connection, delivery_id: str) -> tuple[Row, Sending]:
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    delivery = delivery_of(conn, delivery_id)
    rows = sendings.of_delivery(conn, delivery_id)
    if delivery.status in ENDED:
        raise NotPossible(f"delivery {delivery_id} is {delivery.status}: nothing is open about it")
    if not rows:
        raise NotPossible(f"nothing of delivery {delivery_id} is on its way to be handed over")
    return delivery, rows[-1]


def _end(conn: Connection, delivery: Row, row: Sending, state: SendingState, **values: object) -> None:
    step_id = open_step_of(conn, delivery.id)
    if step_id is None or not steps.make_due(conn, step_id):
        raise NotPossible(f"a worker is just at delivery {delivery.id}: try again in a moment")
    now = conn.execute(select(func.now())).scalar_one()
    sendings.end(conn, row.endpoint, row.identifier, state, now, **values)
    deliveries.move(conn, delivery.id, DeliveryStatus.RETRYING)
