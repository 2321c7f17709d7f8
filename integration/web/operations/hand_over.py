"""A document that a person carries: it is downloaded, handed over, and then they say to whom, when and how; or take that back."""

import io
from collections.abc import Mapping

from flask import Blueprint, Response, abort, send_file, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration import fhir_json
from integration.packets.zipped import handed_zip
from integration.store import deliveries, hand_overs, handing_over, leaving
from integration.store.deliveries import Delivery
from integration.store.operations import NotPossible, WrongWords
from integration.store.resending import delivery_of
from integration.store.sendings import Sending
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import who
from integration.web.operations import looks, ways_on
from integration.web.operations import requests as request_pages
from integration.web.operations.packets import download_of
from integration.web.operations.questions import Question
from mappings.document_reference import attachments, inline_bytes
from mappings.model.causes import cause_named
from mappings.model.delivery import DeliveryKind
from mappings.model.hand_over import MAX_NAME, MAX_NOTE, ByWay, Typed
from mappings.model.leaving import Going, Reason, why_not

Told = tuple[str, bool, str]
blueprint = pages.sentences(
    Blueprint("hand_over", __name__, url_prefix="/requests/<request_id>/deliveries/<delivery_id>")
)


@blueprint.post("/report")
def report(request_id: str, delivery_id: str) -> ResponseReturnValue:
    """The report's own documents as they are: one as it is, several as a zip."""
    return _download(request_id, delivery_id, whole=False)


@blueprint.post("/packet")
def packet(request_id: str, delivery_id: str) -> ResponseReturnValue:
    """The documents, the DocumentReference over them and their hashes, as one zip."""
    return _download(request_id, delivery_id, whole=True)


def _download(request_id: str, delivery_id: str, *, whole: bool) -> Response:
    with world.engine().connect() as conn:
        delivery = deliveries.get(conn, delivery_id)
        found = handing_over.to_carry(conn, delivery_id)
    if delivery is None or delivery.request_id != request_id or not found:
        abort(404, t("hand.nothing"))
    return looks.recorded(
        "delivery.downloaded",
        request_id,
        subject=f"{delivery_id} {'packet' if whole else 'report'}",
        show=lambda: _leaves(found, whole=whole),
        refuse=lambda status, why: request_pages.delivery_page_of(request_id, delivery_id, status, error=why),
    )


def _leaves(found: list[Sending], *, whole: bool) -> Response:
    """It leaves by a person's hand: the gate is asked, and writes it down, before the first byte."""
    bodies, first = [world.payloads().get(str(each.sha256)) for each in found], found[0]
    documents = [each for body in bodies for each in _documents(fhir_json.loads(body))]
    size = sum(len(data) for data, _ in documents)
    going = Going("DocumentReference", tuple(each.value for each in found), size)
    about = {"delivery": first.delivery_id, "road": first.road}
    with world.engine().begin() as conn:
        asks = world.config().asks_consent(first.endpoint)
        stand = leaving.stand(conn, first.request_id, first.endpoint, asks_consent=asks)
        why = why_not(Reason.REPORT, going, stand)
        action, of = leaving.KEPT if why else leaving.LEAVES, (first.request_id, first.endpoint, Reason.REPORT, going)
        leaving.record(conn, *of, action, actor=forms.actor(), about=about, why=why)
    if why:
        return pages.problem(t("hand.kept"), cause_named(why).happened, 409)
    if not whole and len(documents) == 1:
        return download_of(*documents[0], first.delivery_id)
    data = handed_zip(documents, bodies if whole else ())
    return send_file(io.BytesIO(data), "application/zip", as_attachment=True, download_name=f"{first.delivery_id}.zip")


def _documents(resource: Mapping) -> list[tuple[bytes, str | None]]:
    inline = (
        (inline_bytes(each.attachment), each.attachment.get("contentType")) for each in attachments(dict(resource))
    )
    return [(data, kind) for data, kind in inline if data is not None]


def ask_confirm(conn: Connection, given: MultiDict) -> Question:
    """A person says that a document is in the other system, or to whom they handed it."""
    delivery = delivery_of(conn, given.get("delivery", ""))
    place, carried = world.place_name(delivery.endpoint), handing_over.is_carried(conn, delivery.id)
    title, what = t("confirm.title", id=delivery.id, place=place), t("confirm.what", place=place)
    if delivery.kind != DeliveryKind.REPORT:
        return ways_on.about(delivery, given, "confirm", title, t("confirm.button"), what)
    options = " --to … --at … --by-way handed" if carried else ""
    return Question(
        t("hand.title", id=delivery.id, place=place) if carried else title,
        t("hand.button" if carried else "confirm.button"),
        (t("hand.what", place=place) if carried else what, t("hand.no_patient")),
        {"delivery": [delivery.id]},
        f"second-opinion deliveries confirm {delivery.id}{options} --reason …",
        back=_page_of(delivery),
        inputs=tuple(_inputs(given, carried=carried)),
    )


def _inputs(given: MultiDict, *, carried: bool) -> list[dict]:
    asking = who.who()
    ways = [("", t("hand.choose")), *((way.value, t(f"by_way.{way}")) for way in ByWay)]
    whom: dict = {"name": "to", "label": t("hand.to"), "hint": t("hand.to_hint"), "length": MAX_NAME}
    at: dict = {"name": "at", "label": t("hand.at"), "hint": t("hand.at_hint"), "type": "datetime-local"}
    made: list[dict] = [whom, at, {"name": "by_way", "label": t("hand.by_way"), "choices": ways}] if carried else []
    by: dict = {"name": "by", "label": t("hand.by"), "hint": t("hand.by_hint"), "length": MAX_NAME}
    note: dict = {"name": "note", "label": t("hand.note"), "length": MAX_NOTE, "optional": True}
    default = {"by": asking.account if asking else ""}
    return [{**each, "value": given.get(each["name"], default.get(each["name"], ""))} for each in (*made, by, note)]


def do_confirm(conn: Connection, given: MultiDict, reason: str) -> Told:
    """It is there."""
    names = ("by", "to", "at", "by_way", "note")
    asking, typed = who.who(), {name: given.get(name, "").replace("\x00", "").strip() for name in names}
    typed["by"] = typed["by"] or (asking.account if asking else "")
    try:
        delivery = handing_over.confirm(
            conn,
            given.get("delivery", ""),
            ways_on.item_of(given),
            given.get("called", "").strip()[:100],
            Typed(**typed),
            actor=forms.actor(),
            reason=reason,
        )
    except WrongWords as error:
        words = "; ".join(f"{t(f'hand.{name}')}: {sentence}" for name, sentence in error.wrong.items())
        raise NotPossible(words) from None
    return t("confirm.done", id=delivery.id, place=world.place_name(delivery.endpoint)), True, ""


def ask_take_back(conn: Connection, given: MultiDict) -> Question:
    """That word was a mistake."""
    delivery = delivery_of(conn, given.get("delivery", ""))
    if not (said := hand_overs.in_force(conn, delivery.id)):
        raise NotPossible(t("take-back.none", id=delivery.id))
    place = world.place_name(delivery.endpoint)
    return Question(
        t("take-back.title", id=delivery.id, place=place),
        t("take-back.button"),
        (t("take-back.what", by=said[0].handed_by, place=place), t("take-back.loop")),
        {"delivery": [delivery.id]},
        f"second-opinion deliveries take-back {delivery.id} --reason …",
        back=_page_of(delivery),
        danger=True,
    )


def do_take_back(conn: Connection, given: MultiDict, reason: str) -> Told:
    """It waits again, and the loop with it."""
    delivery_id = given.get("delivery", "")
    opened = handing_over.take_back(conn, delivery_id, actor=forms.actor(), reason=reason)
    return t("take-back.reopened" if opened else "take-back.done", id=delivery_id), True, ""


def _page_of(delivery: Delivery) -> str:
    return url_for("requests.delivery", request_id=delivery.request_id, delivery_id=delivery.id)


ACTIONS = {"confirm": (ask_confirm, do_confirm), "take-back": (ask_take_back, do_take_back)}
