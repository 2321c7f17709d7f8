"""An order that was changed in its EHR after it was taken in: the consultant gets the change, or a person is told why not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from integration import fhir_json
from integration.store import findings, orders, requests, revisions
from integration.store.orders import Order
from integration.store.storable import storable
from jobs.world import Context
from mappings.codes import as_dict
from mappings.model.causes import cause_named
from mappings.model.errors import ExchangeError, TemporaryError
from mappings.model.findings import Finding
from mappings.model.request import SecondOpinionRequest
from mappings.order import changed_elements
from mappings.polled_order import Stop, change_of, status_in_words
from mappings.revision import in_words

LONGEST_SUBJECT = 200
OTHER_PATIENT = "order-other-patient"


@dataclass(frozen=True)
class Read:
    """What an order says now, and what it points to that is not there."""

    request: SecondOpinionRequest
    gone: tuple[str, ...] = ()


def follow_order(
    ctx: Context, key: str, known: Order, order: dict, read: Callable[[], Read]
) -> Callable[[Connection], object]:
    """What a change of a known order leads to, as a change for a commit."""
    try:
        now = read()
    except TemporaryError:
        raise
    except ExchangeError as error:
        message = f"the order was changed in its EHR, and what it says now is not understood: {error}"
        return lambda conn: _tell(conn, key, known, "order-change-unread", message)
    return lambda conn: _follow(conn, ctx, key, known, order, now.request)


def tell_status(key: str, known: Order, order: dict) -> Callable[[Connection], object]:
    """A person is told that the order is not what it was; the request goes on."""
    message = f"the order {status_in_words(order.get('status'))}; the request goes on as it is"
    return lambda conn: _tell(conn, key, known, "order-status", message)


def is_changed(known: Order, order: dict) -> bool:
    """Whether it says something else than when it was last followed; that a server touched it is no change."""
    return known.sha256 != digest(_plain(order))


def _follow(conn: Connection, ctx: Context, key: str, known: Order, order: dict, after: SecondOpinionRequest) -> None:
    before = known.said() or revisions.first(conn, known.request_id)
    now = requests.content(requests.get(conn, known.request_id))
    change = change_of((known.subject, _subject(order)), before, after, now)
    if isinstance(change, Stop):
        _stop(conn, key, known)
        return
    for field in change.conflicts:
        words = in_words([field])
        _tell(
            conn,
            key,
            known,
            "order-change-conflict",
            f"{words} was changed in the order, and a person corrected it here to something else, which stays. Agree which is "
            "right, and correct the request or the order",
            f"#{field}",
        )
    if change.request is not None:
        _revise(conn, key, known, change.request)
    elif change.tell_the_rest:
        _tell_of_the_rest(conn, ctx, key, known, order)
    keep(conn, ctx, known.request_id, key, known.reference, order, after)


def _revise(conn: Connection, key: str, known: Order, request: SecondOpinionRequest) -> None:
    try:
        with conn.begin_nested():
            revisions.revise(
                conn,
                known.request_id,
                request,
                actor=f"poll {key}",
                reason="the order was changed in the placer's EHR",
                of_coverage=True,
            )
    except revisions.RevisionRefused as error:
        _tell(
            conn,
            key,
            known,
            "order-change-refused",
            f"the order was changed in its EHR, and the request was not: {error}",
        )


def _tell_of_the_rest(conn: Connection, ctx: Context, key: str, known: Order, order: dict) -> None:
    """What is no part of a request is not sent; that it was changed is told all the same."""
    if known.sha256 is None:
        return  # what it was before was not kept
    before = fhir_json.loads(ctx.world.payloads.get(known.sha256))
    elements = changed_elements(before, order)
    if elements:
        names = ", ".join(each for each in elements if each.isalpha())[:200]
        _tell(
            conn,
            key,
            known,
            "order-changed",
            f"the order was changed in its EHR in what is no part of the request ({names}); the consultant is not told of it",
            severity="warning",
        )


def _stop(conn: Connection, key: str, known: Order) -> None:
    message = (
        f"the order is about another patient in its EHR now: nothing more is sent for request {known.request_id}; what was "
        "sent before is about the patient it named then"
    )
    to_do = cause_named(OTHER_PATIENT).to_do
    orders.stop_sending(conn, known.request_id, cause=OTHER_PATIENT, message=message)
    _tell(conn, key, known, OTHER_PATIENT, f"{message}. {to_do}")


def _tell(
    conn: Connection, key: str, known: Order, cause: str, message: str, where: str = "", *, severity: str = "error"
) -> None:
    found = Finding(cause, message, f"{known.reference}{where}", severity)
    findings.record(conn, [found], request_id=known.request_id, endpoint=key)


def _subject(order: dict) -> str | None:
    told = as_dict(order.get("subject")).get("reference")
    return storable(told, LONGEST_SUBJECT) if isinstance(told, str) else None


def keep(
    conn: Connection,
    ctx: Context,
    request_id: str,
    key: str,
    reference: str,
    order: dict,
    request: SecondOpinionRequest,
) -> None:
    """Note what the order says, for whoever follows it."""
    orders.note(
        conn,
        request_id,
        key,
        reference,
        sha256=ctx.world.payloads.put(fhir_json.dumps(_plain(order))),
        came_sha256=digest(order),
        subject=_subject(order),
        body=requests.body_of(request)[0],
    )


def digest(order: dict) -> str:
    """One value for all that an order says."""
    return hashlib.sha256(fhir_json.dumps(order)).hexdigest()


def _plain(order: dict) -> dict:
    return {name: value for name, value in order.items() if name != "meta"}
