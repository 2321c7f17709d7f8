"""A stopped step in plain language: what happened, what a person may do about it, and the buttons that do it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from integration.views.texts import t
from mappings.model.causes import WAYS, Cause, Way, cause_named
from mappings.model.steps import RECORD_KINDS, StepKind

ITEMS_SHOWN = 3
TO_HAND_OVER = "to-hand-over"
Pressed = tuple[str, str, dict[str, str]]  # words, action and fields of a button
OF_RECORDS = (*RECORD_KINDS, StepKind.WATCH_CHART)
OTHER_HASH = "do not have the hash"  # in the sentence of a document whose bytes are not what its record says


@dataclass(frozen=True)
class Button:
    """A page that asks, then does: ``action`` (a button's name, or with a dot a page) with ``fields``. ``is_first``: what to press before anything else."""

    words: str
    action: str
    fields: dict[str, str]
    is_first: bool = False


def explain(row: Any) -> tuple[str, str]:
    """What happened and what to do, for a step, delivery or group (anything with cause, action and maybe message).

    A cause that is not declared, as of a newer version, shows what is stored with the step.
    """
    known = cause_named(row.cause)
    happened = known.happened or getattr(row, "message", None) or row.cause or ""
    return happened, known.to_do or getattr(row, "action", None) or ""


def buttons(step: Row) -> list[Button]:
    """What a person may press about an open step, the way that leads on first."""
    if step.status == "parked":
        return list(_of_parked(step, cause_named(step.cause)))
    retry = t("queue.retry") if step.attempts else t("queue.do_now")
    found = [Button(retry, "retry", _seen(step), bool(step.attempts))] if step.status == "waiting" else []
    return found + [Button(t("queue.park"), "park", _seen(step))] if step.status in ("waiting", "due") else found


def _of_parked(step: Row, known: Cause) -> Iterator[Button]:
    """A button for each way on that applies to this step; Retry always, and first only where it can help."""
    first = next((way for way in known.ways if way in _WAYS), None)
    for way in (*known.ways, *(() if Way.RETRY in known.ways else (Way.RETRY,))):
        made = list(_WAYS[way](step)) if way in _WAYS else []
        for number, (words, action, fields) in enumerate(made):
            leads = way is first and number == 0 and way not in (Way.CANCEL, Way.ENDPOINT)
            yield Button(words, action, fields, leads and (way is not Way.RETRY or known.retry_helps))


def _seen(step: Row) -> dict[str, str]:
    return {"step": f"{step.id}:{step.lease_no}:{step.status}"}


def _items(step: Row) -> list[str]:
    return list(getattr(step, "items", None) or ()) if not callable(getattr(step, "items", None)) else []


def _retry(step: Row) -> Iterator[Pressed]:
    yield t("queue.retry"), "retry", _seen(step)


def _waive(step: Row) -> Iterator[Pressed]:
    if step.request_id is None or step.kind not in OF_RECORDS:
        return
    for item in _items(step)[:ITEMS_SHOWN]:
        yield t("queue.waive", item=item), "waive", {"request": step.request_id, "item": item}
        if "#" in item and OTHER_HASH in (step.message or ""):
            yield t("queue.accept", item=item), "accept", {"request": step.request_id, "item": item}
    if len(_items(step)) != 1:
        yield t("queue.waive_other"), "waive", {"request": step.request_id}


def _resend(step: Row) -> Iterator[Pressed]:
    if step.delivery_id is None:
        return
    for item in _items(step)[:ITEMS_SHOWN]:
        yield t("queue.resend", item=item), "resend", {"delivery": step.delivery_id, "item": item}
    if len(_items(step)) != 1:
        yield t("queue.resend_other"), "resend", {"delivery": step.delivery_id}


def _confirm(step: Row) -> Iterator[Pressed]:
    if step.delivery_id is not None:
        yield t("queue.confirm"), "confirm", {"delivery": step.delivery_id}
    if step.delivery_id is not None and step.request_id is not None and step.cause == TO_HAND_OVER:
        where = {"request_id": step.request_id, "delivery_id": step.delivery_id}
        yield t("hand.open"), "requests.delivery", where


def _send_again(step: Row) -> Iterator[Pressed]:
    if step.delivery_id is not None:
        yield t("queue.send_again"), "send-again", {"delivery": step.delivery_id}


def _should_ask(step: Row) -> Iterator[Pressed]:
    if step.request_id is not None:
        yield t("suitability.title"), WAYS[Way.GO_ON].action or "", {"request_id": step.request_id}


def _consent(step: Row) -> Iterator[Pressed]:
    if step.request_id is not None:
        yield t("consent.title"), WAYS[Way.CONSENT].action or "", {"request_id": step.request_id}


def _link(step: Row) -> Iterator[Pressed]:
    if step.request_id is not None:
        yield t("queue.link"), WAYS[Way.LINK].action or "", {"request_id": step.request_id, "at": step.endpoint}


def _cancel(step: Row) -> Iterator[Pressed]:
    if step.request_id is not None:
        yield t("request.cancel"), "cancel", {"request": step.request_id}


def _pause(step: Row) -> Iterator[Pressed]:
    yield t("queue.pause"), "pause", {"at": step.endpoint}


_WAYS = {
    Way.RETRY: _retry,
    Way.WAIVE: _waive,
    Way.RESEND: _resend,
    Way.CONFIRM: _confirm,
    Way.SEND_AGAIN: _send_again,
    Way.GO_ON: _should_ask,
    Way.CONSENT: _consent,
    Way.LINK: _link,
    Way.CANCEL: _cancel,
    Way.ENDPOINT: _pause,
}
