"""A person's word about a document on its way: it is there or was handed over, it is not there, or that word was a mistake."""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, select

from integration.store import audit, deliveries, hand_overs, reports, requests, sendings, steps
from integration.store.deliveries import Delivery
from integration.store.operations import NotPossible, WrongWords, open_step_of
from integration.store.resending import delivery_of
from integration.store.sendings import Sending
from mappings.model.delivery import ENDED, DeliveryKind, DeliveryStatus
from mappings.model.hand_over import HandOver, Typed, read_hand_over
from mappings.model.outgoing import number_in
from mappings.model.roads import Level
from mappings.model.sending import SendingState

_TO_A_VISIT = (DeliveryKind.REPORT, DeliveryKind.RECORDS)  # a report waits longer than the records that went before it
_OF_A_REPORT = ("return_report", "verify_report")
NOTHING_MORE = Typed()
_ENCOUNTER = re.compile(r"Encounter/[A-Za-z0-9.-]{1,64}")


def is_carried(conn: Connection, delivery_id: str) -> bool:
    """Nothing of what is open was sent: whoever says that it is there has carried it."""
    found = [each for each in sendings.of_delivery(conn, delivery_id) if _is_report(each) and not each.is_there]
    return bool(found) and all(map(_is_carried, found))


def to_carry(conn: Connection, delivery_id: str) -> list[Sending]:
    """Of a report what a person carries, with its bytes; nothing where it was sent, or is not made yet."""
    return [each for each in sendings.of_delivery(conn, delivery_id) if _is_report(each) and _may_be_carried(each)]


def _may_be_carried(row: Sending) -> bool:
    was_made = row.sha256 is not None and row.begun_at is None
    return was_made and row.state in (SendingState.WAITING, SendingState.HANDED_OVER)


def _is_carried(row: Sending) -> bool:
    return row.state in (SendingState.WAITING, SendingState.IMPOSSIBLE)


def confirm(
    conn: Connection,
    delivery_id: str,
    item: str = "",
    called: str = "",
    typed: Typed = NOTHING_MORE,
    *,
    actor: str,
    reason: str,
) -> Delivery:
    """It is in the other system, or was handed over: ``actor`` answers for it. Raises NotPossible, WrongWords.

    ``typed``: of a report, who handed it over, to whom, when and how; without ``item`` of all its documents that are open.
    ``item``: which document of the delivery, as it is listed (``document:...``); needed where several records are open, or
    some documents of a report were sent and others have to be carried. ``called``: ``Type/id`` there, needed of a request: it is read
    back, and its Task is watched.
    """
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    earlier = hand_overs.in_force(conn, delivery_id)
    if earlier and not any(_is_unsure(each) for each in sendings.of_delivery(conn, delivery_id) if _is_report(each)):
        raise NotPossible(_already(earlier[0]))
    delivery, rows = _open(conn, delivery_id, item)
    if delivery.kind != DeliveryKind.REPORT and any((typed.to, typed.at, typed.by_way, typed.note)):
        raise NotPossible("to whom, when and how is kept of a report; of this say which document, and why")
    said = _said(conn, delivery, rows, typed) if delivery.kind == DeliveryKind.REPORT else None
    for row in rows:
        receipt = {**row.receipt, "by": actor}
        if not row.value.startswith("DocumentReference/"):
            _name_there(conn, row, called, receipt)
        else:
            if said is not None:
                hand_overs.add(conn, row, said, actor=actor, reason=reason)
            _end(conn, row, SendingState.HANDED_OVER, level=Level.HANDED_OVER, receipt=receipt)
        audit.record(conn, actor, "delivery.handed-over", row.request_id, subject=_named(row), reason=reason)
    _go_on(conn, delivery)
    return delivery


def _said(conn: Connection, delivery: Delivery, rows: Sequence[Sending], typed: Typed) -> HandOver:
    now = conn.execute(select(func.now())).scalar_one()
    report = reports.revision(conn, delivery.request_id, delivery.version)
    since = report.created_at if report is not None else delivery.created_at
    said, wrong = read_hand_over(typed, is_carried=_is_carried(rows[0]), there_since=since, now=now)
    if said is None:
        raise WrongWords(wrong)
    return said


def _name_there(conn: Connection, row: Sending, called: str, receipt: dict[str, object]) -> None:
    kind = row.value.partition("/")[0]
    if not re.fullmatch(rf"{kind}/[A-Za-z0-9.-]{{1,64}}", called):
        raise NotPossible(f"say what {row.value} is called there, as {kind}/<id>: its progress is read there")
    _end(conn, row, SendingState.TAKEN, reference=called, level=Level.UNVERIFIABLE, receipt=receipt)


def _already(said: Row) -> str:
    return f"{said.actor} said at {said.created_at:%Y-%m-%d %H:%M} UTC that delivery {said.delivery_id} is there: {said.reason}"


def take_back(conn: Connection, delivery_id: str, *, actor: str, reason: str) -> bool:
    """Every word on it was a mistake: the delivery waits again, and a loop that closed on it is open again. Raises NotPossible.

    True when the loop was closed by it.
    """
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    delivery, said = delivery_of(conn, delivery_id), hand_overs.in_force(conn, delivery_id)
    if not said:
        raise NotPossible(f"nobody has confirmed that delivery {delivery_id} is there")
    newest = deliveries.of_request(conn, delivery.request_id, DeliveryKind.REPORT)[0]
    if newest.id != delivery_id or delivery.status == DeliveryStatus.CANCELLED:
        raise NotPossible(f"delivery {delivery_id} is over: delivery {newest.id} took its place")
    _wait_again(conn, delivery)
    hand_overs.undo(conn, delivery_id, actor=actor, reason=reason)
    sent = filter(_is_report, sendings.of_delivery(conn, delivery_id))
    rows = {each.value if number_in(each.identifier) > 1 else "": each for each in sent}
    for each in said:
        row, before = rows[each.item], dict(level=each.level_before, ended_at=None)
        sendings.end(conn, row.endpoint, row.identifier, SendingState(each.state_before), each.created_at, **before)
        deliveries.set_level(conn, delivery_id, row.road, each.level_before)
    audit.record(conn, actor, "delivery.taken-back", delivery.request_id, subject=delivery_id, reason=reason)
    return requests.reopen(conn, delivery.request_id, delivery_id, actor=actor, reason=reason)


def _wait_again(conn: Connection, delivery: Delivery) -> None:
    """The report is returned once more: that step finds how the ledger stands, and asks again."""
    live = conn.execute(select(requests.requests.c.live_step).where(requests.requests.c.id == delivery.request_id))
    if (step_id := open_step_of(conn, delivery.id)) is not None and step_id == live.scalar_one():
        raise NotPossible(f"a worker is just at delivery {delivery.id}: try again in a moment")
    steps.cancel_open(conn, delivery.request_id, reason="a confirmation was taken back", kinds=_OF_A_REPORT)
    steps.create(conn, "return_report", delivery.endpoint, request_id=delivery.request_id, delivery_id=delivery.id)
    deliveries.move(conn, delivery.id, DeliveryStatus.RETRYING)


def send_again(conn: Connection, delivery_id: str, item: str = "", *, actor: str, reason: str) -> Delivery:
    """It was looked for there and is not there: it is sent once more. Raises NotPossible. ``item``: as in `confirm`."""
    delivery, rows = _open(conn, delivery_id, item)
    if len(rows) > 1:
        raise NotPossible(_say_which(delivery_id, rows))
    [row] = rows
    if row.state != SendingState.BEGUN:
        raise NotPossible(f"delivery {delivery_id} is not in doubt: there is nothing to say that it is not there")
    _go_on(conn, delivery)
    _end(conn, row, SendingState.ABSENT)
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


def _open(conn: Connection, delivery_id: str, item: str) -> tuple[Delivery, list[Sending]]:
    steps.lock_with_request(conn, delivery_of(conn, delivery_id).request_id)
    delivery = delivery_of(conn, delivery_id)
    rows = sendings.of_delivery(conn, delivery_id)
    if delivery.kind == DeliveryKind.REPORT:
        rows = [each for each in rows if _is_report(each)]  # what goes beside it waits for nobody
    if delivery.status in ENDED:
        raise NotPossible(f"delivery {delivery_id} is {delivery.status}: nothing is open about it")
    if not rows:
        raise NotPossible(f"nothing of delivery {delivery_id} is on its way to be handed over")
    return delivery, _chosen(rows, item, delivery_id)


def _chosen(rows: list[Sending], item: str, delivery_id: str) -> list[Sending]:
    """What is meant: the document named, else the only one that somebody could say something of; of a report all such."""
    if item:
        found = [each for each in rows if _is_called(each, item)]
    else:
        found = _in_question(rows) if len(rows) > 1 else rows
    if len(found) == 1 or found and all(map(_is_report, found)) and len({_is_carried(each) for each in found}) == 1:
        return found
    if item or not found:
        raise NotPossible(
            f"delivery {delivery_id} has no document {item[:120]}" if item else "nothing of it is in doubt"
        )
    raise NotPossible(_say_which(delivery_id, found))


def _in_question(rows: list[Sending]) -> list[Sending]:
    """Of a report first what is not there: what is there may still be read back."""
    absent = [each for each in rows if _is_report(each) and not each.is_there]
    return absent or [each for each in rows if _is_unsure(each)]


def _say_which(delivery_id: str, rows: list[Sending]) -> str:
    listed = ", ".join(each.value for each in rows)
    return f"several documents of delivery {delivery_id} are open; say which with --item: {listed}"


def _is_called(row: Sending, item: str) -> bool:
    """By its identifier, or by its name among the delivery's items."""
    name = item.removeprefix("document:")
    return item == row.value or name != item and row.value.endswith(f"-{name}")


def _is_unsure(row: Sending) -> bool:
    return not row.is_there or row.level == Level.UNVERIFIABLE


def _is_report(row: Sending) -> bool:
    return "-report-" in row.value


def _named(row: Sending) -> str:
    return row.delivery_id if _is_report(row) else f"{row.delivery_id} {row.value}"


def _end(conn: Connection, row: Sending, state: SendingState, **values: object) -> None:
    now = conn.execute(select(func.now())).scalar_one()
    sendings.end(conn, row.endpoint, row.identifier, state, now, **values)


def _go_on(conn: Connection, delivery: Delivery) -> None:
    """The step that waits for the word is due."""
    step_id = open_step_of(conn, delivery.id)
    if step_id is None or not steps.make_due(conn, step_id):
        raise NotPossible(f"a worker is just at delivery {delivery.id}: try again in a moment")
    deliveries.move(conn, delivery.id, DeliveryStatus.RETRYING)
