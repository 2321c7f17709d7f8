"""A person's word about a document on its way: it is there, or it is not there and may be sent again."""

import re

from sqlalchemy import Connection, func, select

from integration.store import audit, deliveries, sendings, steps
from integration.store.deliveries import Delivery
from integration.store.operations import NotPossible, open_step_of
from integration.store.resending import delivery_of
from integration.store.sendings import Sending
from mappings.model.delivery import ENDED, DeliveryKind, DeliveryStatus
from mappings.model.roads import Level
from mappings.model.sending import SendingState

_TO_A_VISIT = (DeliveryKind.REPORT, DeliveryKind.RECORDS)  # a report waits longer than the records that went before it
_ENCOUNTER = re.compile(r"Encounter/[A-Za-z0-9.-]{1,64}")


def confirm(
    conn: Connection, delivery_id: str, item: str = "", called: str = "", *, actor: str, reason: str
) -> Delivery:
    """It is in the other system, or was handed over: ``actor`` answers for it. Raises NotPossible.

    ``item``: which document of the delivery, as it is listed (``document:...``); needed where several are open.
    ``called``: ``Type/id`` there, needed of a request: it is read back, and its Task is watched.
    """
    delivery, row = _open(conn, delivery_id, item)
    receipt = {**row.receipt, "by": actor}
    if delivery.kind == DeliveryKind.REQUEST:
        kind = row.value.partition("/")[0]
        if not re.fullmatch(rf"{kind}/[A-Za-z0-9.-]{{1,64}}", called):
            raise NotPossible(f"say what {row.value} is called there, as {kind}/<id>: its progress is read there")
        _end(conn, delivery, row, SendingState.TAKEN, reference=called, level=Level.UNVERIFIABLE, receipt=receipt)
    else:
        _end(conn, delivery, row, SendingState.HANDED_OVER, level=Level.HANDED_OVER, receipt=receipt)
    audit.record(conn, actor, "delivery.handed-over", row.request_id, subject=_named(row), reason=reason)
    return delivery


def send_again(conn: Connection, delivery_id: str, item: str = "", *, actor: str, reason: str) -> Delivery:
    """It was looked for there and is not there: it is sent once more. Raises NotPossible. ``item``: as in `confirm`."""
    delivery, row = _open(conn, delivery_id, item)
    if row.state != SendingState.BEGUN:
        raise NotPossible(f"delivery {delivery_id} is not in doubt: there is nothing to say that it is not there")
    _end(conn, delivery, row, SendingState.ABSENT)
    audit.record(conn, actor, "delivery.not-there", row.request_id, subject=_named(row), reason=reason)
    return delivery


def name_encounter(conn: Connection, request_id: str, reference: str, *, actor: str, reason: str) -> None:
    """The visit that what waits belongs to: a report to be returned, else records that a consulting provider's system takes
    to a visit only. It is read, and held against the patient, before it is used. Raises NotPossible.
    """
    if not _ENCOUNTER.fullmatch(reference):
        raise NotPossible("give the visit as Encounter/<id>, as it is called in that EHR; no address, no other type")
    steps.lock_with_request(conn, request_id)
    going = next(filter(None, (_unfinished(conn, request_id, each) for each in _TO_A_VISIT)), None)
    if going is None:
        raise NotPossible(f"nothing of request {request_id} waits for a visit: neither a report nor records")
    deliveries.set_encounter(conn, going.id, reference)
    audit.record(conn, actor, "delivery.encounter", request_id, subject=f"{going.id} {reference}", reason=reason)
    step_id = open_step_of(conn, going.id)
    if step_id is not None and steps.make_due(conn, step_id):
        deliveries.move(conn, going.id, DeliveryStatus.RETRYING)


def _unfinished(conn: Connection, request_id: str, kind: DeliveryKind) -> Delivery | None:
    newest = next(iter(deliveries.of_request(conn, request_id, kind)), None)
    return newest if newest is not None and newest.status not in ENDED else None


def _open(conn: Connection, delivery_id: str, item: str) -> tuple[Delivery, Sending]:
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    delivery = delivery_of(conn, delivery_id)
    rows = sendings.of_delivery(conn, delivery_id)
    if delivery.status in ENDED:
        raise NotPossible(f"delivery {delivery_id} is {delivery.status}: nothing is open about it")
    if not rows:
        raise NotPossible(f"nothing of delivery {delivery_id} is on its way to be handed over")
    return delivery, _chosen(rows, item, delivery_id)


def _chosen(rows: list[Sending], item: str, delivery_id: str) -> Sending:
    """The document that is meant: the one named, else the only one that somebody could say something of."""
    if item:
        found = [each for each in rows if _is_called(each, item)]
    else:
        found = [each for each in rows if _is_unsure(each)] if len(rows) > 1 else rows
    if len(found) == 1:
        return found[0]
    listed = ", ".join(each.value for each in rows if _is_unsure(each))
    if item or not listed:
        raise NotPossible(
            f"delivery {delivery_id} has no document {item[:120]}" if item else "nothing of it is in doubt"
        )
    raise NotPossible(f"several documents of delivery {delivery_id} are open; say which with --item: {listed}")


def _is_called(row: Sending, item: str) -> bool:
    """By its identifier, or by its name among the delivery's items."""
    name = item.removeprefix("document:")
    return item == row.value or name != item and row.value.endswith(f"-{name}")


def _is_unsure(row: Sending) -> bool:
    return not row.is_there or row.level == Level.UNVERIFIABLE


def _named(row: Sending) -> str:
    return row.delivery_id if "-report-" in row.value else f"{row.delivery_id} {row.value}"


def _end(conn: Connection, delivery: Delivery, row: Sending, state: SendingState, **values: object) -> None:
    step_id = open_step_of(conn, delivery.id)
    if step_id is None or not steps.make_due(conn, step_id):
        raise NotPossible(f"a worker is just at delivery {delivery.id}: try again in a moment")
    now = conn.execute(select(func.now())).scalar_one()
    sendings.end(conn, row.endpoint, row.identifier, state, now, **values)
    deliveries.move(conn, delivery.id, DeliveryStatus.RETRYING)
