"""Buttons that lead on from a parked step: send without an item, take its bytes as they are, send one again, skip an order."""

import shlex

from flask import url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration.store import findings as finding_store
from integration.store import handing_over, refused_orders, requests, resending, waivers
from integration.store.deliveries import Delivery
from integration.store.operations import NotPossible
from integration.store.requests import Request
from integration.views.texts import t
from integration.web import forms, world
from integration.web.operations.questions import Question
from mappings.model.delivery import DeliveryKind

Told = tuple[str, bool, str]


def item_of(given: MultiDict) -> str:
    """The item that a button or a person named."""
    return given.get("item", "")[:1300].replace("\x00", "").strip()


def _wanted(given: MultiDict, hint: str) -> tuple[dict, ...]:
    """A field for the item, when the button did not name one."""
    named = {"name": "item", "label": t("waive.item"), "hint": hint, "value": item_of(given)}
    return () if item_of(given) else (named,)


def _fields(row: Request, given: MultiDict) -> dict[str, list[str]]:
    return {"request": [row.id], **({"item": [item_of(given)]} if item_of(given) else {})}


def _back(row: Request) -> str:
    return url_for("requests.show", request_id=row.id)


def ask_waive(conn: Connection, given: MultiDict) -> Question:
    """Send without an item; the consultant is notified."""
    row, item = requests.get(conn, given.get("request", "")), item_of(given)
    what = t("waive.what", item=item or t("waive.it"), place=world.place_name(row.fulfiller))
    title, option = t("waive.title", item=item or t("waive.one")), shlex.quote(item or "Type/id")
    return _about_item(title, t("waive.button"), row, given, (what, t("waive.undone")), option)


def do_waive(conn: Connection, given: MultiDict, reason: str) -> Told:
    """Waive it."""
    return _waived(conn, given, reason, as_it_is=False)


def ask_accept(conn: Connection, given: MultiDict) -> Question:
    """Take a document's bytes as they are, though the hash its record states is another one."""
    row, item = requests.get(conn, given.get("request", "")), item_of(given)
    title, option = t("accept.title", item=item or t("waive.one")), shlex.quote(item or "Type/id#path")
    return _about_item(title, t("accept.button"), row, given, (t("accept.what"),), f"{option} --as-it-is")


def _about_item(
    title: str, button: str, row: Request, given: MultiDict, what: tuple[str, ...], option: str
) -> Question:
    return Question(
        title,
        button,
        what,
        _fields(row, given),
        f"second-opinion waive {row.id} {option} --reason …",
        back=_back(row),
        inputs=_wanted(given, t("waive.hint")),
        danger=True,
    )


def do_accept(conn: Connection, given: MultiDict, reason: str) -> Told:
    """Accept it."""
    return _waived(conn, given, reason, as_it_is=True)


def _waived(conn: Connection, given: MultiDict, reason: str, *, as_it_is: bool) -> Told:
    request_id = requests.get(conn, given.get("request", "")).id
    done = waivers.waive(conn, request_id, item_of(given), actor=forms.actor(), reason=reason, as_it_is=as_it_is)
    return in_words(done), True, ""


def in_words(done: waivers.Waived) -> str:
    """What a waiver did, for whoever gave it."""
    said = t("accept.done" if done.waiver.as_it_is else "waive.done", item=done.waiver.item)
    if done.left:
        return f"{said} {t('waive.left', n=len(done.left), items=', '.join(done.left[:5]))}"
    return f"{said} {t('waive.due', n=done.due)}" if done.due else said


def ask_undo(conn: Connection, given: MultiDict) -> Question:
    """Take a waiver back before anything went without the item."""
    row, item = requests.get(conn, given.get("request", "")), item_of(given)
    if item not in {each.item for each in waivers.in_force(conn, row.id)}:
        raise NotPossible(t("undo-waiver.gone", item=item))
    return Question(
        t("undo-waiver.title", item=item),
        t("undo-waiver.button"),
        (t("undo-waiver.what"),),
        _fields(row, given),
        f"second-opinion waive {row.id} {shlex.quote(item)} --undo --reason …",
        back=_back(row),
    )


def do_undo(conn: Connection, given: MultiDict, reason: str) -> Told:
    """Undo it."""
    row = requests.get(conn, given.get("request", ""))
    gone = waivers.undo(conn, row.id, item_of(given), actor=forms.actor(), reason=reason)
    return t("undo-waiver.done", item=gone.item), True, ""


def ask_resend(conn: Connection, given: MultiDict) -> Question:
    """Look at one item at the target, then send only that one."""
    delivery = resending.delivery_of(conn, given.get("delivery", ""))
    item = item_of(given)
    return Question(
        t("resend.title", item=item or t("waive.one"), place=world.place_name(delivery.endpoint)),
        t("resend.button"),
        (t("resend.what", place=world.place_name(delivery.endpoint)),),
        {"delivery": [delivery.id], **({"item": [item]} if item else {})},
        f"second-opinion deliveries resend {delivery.id} --item {shlex.quote(item or 'Type/id')} --reason …",
        back=url_for("requests.delivery", request_id=delivery.request_id, delivery_id=delivery.id),
        inputs=_wanted(given, t("resend.hint")),
    )


def do_resend(conn: Connection, given: MultiDict, reason: str) -> Told:
    """Send it again."""
    delivery = resending.resend(conn, given.get("delivery", ""), item_of(given), actor=forms.actor(), reason=reason)
    return t("resend.done", item=item_of(given), place=world.place_name(delivery.endpoint)), True, ""


def ask_send_again(conn: Connection, given: MultiDict) -> Question:
    """A person says that a document is not in the other system."""
    delivery = resending.delivery_of(conn, given.get("delivery", ""))
    place = world.place_name(delivery.endpoint)
    title, what = t("send-again.title", id=delivery.id, place=place), t("send-again.what", place=place)
    return about(delivery, given, "send-again", title, t("send-again.button"), what, danger=True)


def do_send_again(conn: Connection, given: MultiDict, reason: str) -> Told:
    """It is not there."""
    delivery = handing_over.send_again(
        conn, given.get("delivery", ""), item_of(given), actor=forms.actor(), reason=reason
    )
    return t("send-again.done", id=delivery.id, place=world.place_name(delivery.endpoint)), True, ""


def about(
    delivery: Delivery, given: MultiDict, name: str, title: str, button: str, what: str, *, danger: bool = False
) -> Question:
    """What a person says of a document of a delivery: which one, and what it is called there where that is asked."""
    of = f" --item {shlex.quote(item_of(given))}" if item_of(given) else ""
    return Question(
        title,
        button,
        (what,),
        {"delivery": [delivery.id], **({"item": [item_of(given)]} if item_of(given) else {})},
        f"second-opinion deliveries {name} {delivery.id}{of} --reason …",
        back=url_for("requests.delivery", request_id=delivery.request_id, delivery_id=delivery.id),
        danger=danger,
        inputs=_asked(delivery, given, name),
    )


def _asked(delivery: Delivery, given: MultiDict, name: str) -> tuple[dict, ...]:
    """A report is one document; of records a person says which, and of a request what it is called there too."""
    if delivery.kind == DeliveryKind.REPORT:
        return ()
    called = {"name": "called", "label": t("confirm.called"), "hint": t("confirm.called_hint"), "value": ""}
    is_request = delivery.kind == DeliveryKind.REQUEST and name == "confirm"
    return (*_wanted(given, t("confirm.hint")), *((called,) if is_request else ()))


def ask_skip(conn: Connection, given: MultiDict) -> Question:
    """An order that was refused is dealt with, until it changes."""
    finding = refused_orders.finding(conn, given.get("finding", ""))
    return Question(
        t("skip-order.title", order=finding_store.reference_of(finding.path), place=world.place_name(finding.endpoint)),
        t("skip-order.button"),
        (t("skip-order.what"),),
        {"finding": [str(finding.id)]},
        f"second-opinion findings skip {finding.id} --reason …",
        back=url_for("boards.findings"),
        lines=(f"{finding.cause}: {finding.message}",),
    )


def do_skip(conn: Connection, given: MultiDict, reason: str) -> Told:
    """Skip it."""
    finding = refused_orders.finding(conn, given.get("finding", ""))
    reference = refused_orders.skip(conn, str(finding.id), actor=forms.actor(), reason=reason)
    return t("skip-order.done", order=reference), True, ""


ACTIONS = {
    "waive": (ask_waive, do_waive),
    "accept": (ask_accept, do_accept),
    "undo-waiver": (ask_undo, do_undo),
    "resend": (ask_resend, do_resend),
    "send-again": (ask_send_again, do_send_again),
    "skip-order": (ask_skip, do_skip),
}
