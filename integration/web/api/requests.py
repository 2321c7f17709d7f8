"""Requests: take one in (idempotent by key), see where it stands, cancel it; its deliveries item by item."""

from dataclasses import asdict

from flask import request

from integration.settings.request_file import endpoint_mistakes, load_request
from integration.store import deliveries, request_list
from integration.store import requests as store
from integration.views.levels import told
from integration.views.requests import delivery_page, request_view
from integration.web import taking_in, world
from integration.web.access import consented, scope
from integration.web.api.acting import act_or_refuse
from integration.web.api.answers import Done
from integration.web.api.bodies import (
    Because,
    CancelRequest,
    ConfirmDelivery,
    ItemsQuery,
    ResendItem,
    SendAgain,
    UndoWaiver,
    WaiveItem,
)
from integration.web.api.request_answers import Delivery, DeliveryPage, Item, Request, RequestLine, TakenIn
from integration.web.api.routes import get, post, read_json
from integration.web.problems import Problem
from mappings.model.errors import RequestError
from mappings.model.request import SecondOpinionRequest


@post("/requests", statuses=(201, 200), refuses=("wrong-body", "key-reused"), body=SecondOpinionRequest)
def create() -> tuple[TakenIn, int, dict]:
    """Take in a second opinion request. 201: it is new; 200: the same request is known already and nothing changed."""
    read_json()
    made = load_request(request.get_data(), "request body")
    mistakes = endpoint_mistakes(world.config(), made, "request body")
    if mistakes:
        raise RequestError(mistakes)
    request_id, new = taking_in.take_in(made, "request body")
    return TakenIn(request_id=request_id, new=new), 201 if new else 200, {"Location": f"/api/requests/{request_id}"}


@get("/requests")
def listed() -> list[RequestLine]:
    """The newest requests, at most 100; for people of practices, theirs."""
    with world.engine().connect() as conn:
        return [RequestLine.model_validate(row) for row in request_list.newest(conn, 100, scope.mine())]


@get("/requests/<request_id>", refuses=("unknown",))
def show(request_id: str) -> Request:
    """One request: status, tracks, counts, what is owed, attempts, findings, audit. Ids and words only."""
    with world.engine().begin() as conn:
        view, hidden = request_view(conn, request_id), consented.hides(conn, request_id)
    view["findings"] = [each for each in view["findings"] if not hidden(each["path"] or "")]
    return Request.model_validate(view)


@get("/requests/<request_id>/items", refuses=("unknown",))
def items(request_id: str) -> list[Item]:
    """The items of a request's records deliveries: source, target, status."""
    with world.engine().begin() as conn:
        view, hidden = request_view(conn, request_id), consented.hides(conn, request_id)
        return [
            Item.model_validate(item)
            for each in view["deliveries"]
            if each["kind"] == "records"
            for item in deliveries.items_by_source(conn, each["id"])
            if not hidden(item.source)
        ]


@get("/requests/<request_id>/deliveries/<delivery_id>", refuses=("wrong-query", "unknown"))
def delivery(request_id: str, delivery_id: str, query: ItemsQuery) -> DeliveryPage:
    """One delivery with one page of its items, by source."""
    with world.engine().connect() as conn:
        found = delivery_page(conn, request_id, delivery_id, status=query.status, after=query.after, limit=query.limit)
        if found is None:
            raise Problem("unknown", "There is no such delivery of this request.")
        row, page, following = found
        hidden = consented.hides(conn, request_id)
        return DeliveryPage(
            delivery=Delivery.model_validate(told(conn, [asdict(row)])[0]),
            counts=deliveries.counts(conn, delivery_id),
            items=[Item.model_validate(item) for item in page if not hidden(item.source)],
            next=following,
        )


@post("/requests/<request_id>/cancel", refuses=("wrong-body", "unknown", "not-possible"))
def cancel(request_id: str, body: CancelRequest) -> Done:
    """Cancel a request: what is still owed stops, and the consulting provider is told."""
    seen = body.seen
    if seen is None:
        with world.engine().connect() as conn:
            seen = store.get(conn, request_id).status
    return act_or_refuse("cancel", body.reason, request=request_id, seen=seen)


@post("/requests/<request_id>/waivers", refuses=("wrong-body", "unknown", "not-possible"))
def waive(request_id: str, body: WaiveItem) -> Done:
    """Send without one item; the consulting provider is told. With `as_it_is`: send its bytes although their hash differs."""
    return act_or_refuse("accept" if body.as_it_is else "waive", body.reason, request=request_id, item=body.item)


@post("/requests/<request_id>/waivers/undo", refuses=("wrong-body", "unknown", "not-possible"))
def undo_waiver(request_id: str, body: UndoWaiver) -> Done:
    """Take a waiver back, before the packet is made or sent."""
    return act_or_refuse("undo-waiver", body.reason, request=request_id, item=body.item)


@post("/deliveries/<delivery_id>/confirm", refuses=("wrong-body", "unknown", "not-possible"))
def confirm(delivery_id: str, body: ConfirmDelivery) -> Done:
    """Say that a document is in the other system, or to whom it was handed, when and how: the loop closes on your word."""
    said = body.model_dump(mode="json", exclude_none=True, exclude={"reason"})
    return act_or_refuse("confirm", body.reason, delivery=delivery_id, **said)


@post("/deliveries/<delivery_id>/take-back", refuses=("wrong-body", "unknown", "not-possible"))
def take_back(delivery_id: str, body: Because) -> Done:
    """Say that a confirmed hand-over was a mistake: the delivery waits again, and a loop that closed on it is open again."""
    return act_or_refuse("take-back", body.reason, delivery=delivery_id)


@post("/deliveries/<delivery_id>/send-again", refuses=("wrong-body", "unknown", "not-possible"))
def send_again(delivery_id: str, body: SendAgain) -> Done:
    """Say that a document whose outcome is unknown is not in the other system: it is sent once more."""
    return act_or_refuse("send-again", body.reason, delivery=delivery_id, item=body.item or "")


@post("/deliveries/<delivery_id>/resend", refuses=("wrong-body", "unknown", "not-possible"))
def resend(delivery_id: str, body: ResendItem) -> Done:
    """Look at one item where it was sent, then create or update it there alone."""
    return act_or_refuse("resend", body.reason, delivery=delivery_id, item=body.item)
