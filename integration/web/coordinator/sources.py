"""Asking a source for what is missing: a Task or a letter, what became of it, and asking again when a person says so."""

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime

from flask import Blueprint, Response, request, send_file, url_for
from flask.typing import ResponseReturnValue

from integration import asking, checklists
from integration.store import source_asks
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.views.sources import to_ask_for
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.model.hand_over import ByWay
from mappings.model.source_ask import BY_PERSON, MAX_ADDRESS, MAX_NAME, TypedHolder, standing

blueprint = pages.sentences(Blueprint("sources", __name__, url_prefix="/requests/<request_id>/sources"))


def _today() -> date:
    return datetime.now(UTC).date()


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What was asked of whom and how it stands, and a form to ask. The look is recorded, as that of the checklist."""
    return _page(request_id, 200)


@blueprint.post("")
def ask(request_id: str) -> ResponseReturnValue:
    """Ask a source for the chosen items. Nothing typed is lost: a refusal shows the page again with it."""
    if refused := _refused(request_id, needs_reason=True):
        return refused
    try:
        asking.ask(
            world.engine(),
            world.config(),
            request_id,
            items=tuple(request.form.getlist("item")),
            source=forms.typed("source"),
            elsewhere=TypedHolder(
                forms.typed("place"), forms.typed("address", (MAX_ADDRESS + 1) * MAX_NAME), forms.typed("fax")
            ),
            road=forms.typed("road"),
            what=forms.typed("what"),
            due=forms.typed("due"),
            today=_today(),
            actor=forms.actor(),
            reason=forms.typed("reason"),
        )
    except WrongWords as error:
        return _page(request_id, 400, t("sources.wrong"), error.wrong)
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return _told(request_id, "sources.asked")


@blueprint.post("/<int:ask_id>/say")
def say(request_id: str, ask_id: int) -> ResponseReturnValue:
    """Write down what became of it."""
    if refused := _refused(request_id):
        return refused
    try:
        with world.engine().begin() as conn:
            source_asks.say(
                conn,
                request_id,
                ask_id,
                forms.typed("word"),
                after=int(forms.typed("after") or 0) if forms.typed("after").isdigit() else 0,
                today=_today(),
                actor=forms.actor(),
                on=forms.typed("on"),
                by=forms.typed("by"),
                by_way=forms.typed("by_way"),
                note=forms.typed("note"),
            )
    except WrongWords as error:
        return _page(request_id, 400, t("sources.wrong"), error.wrong)
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return _told(request_id, "sources.kept")


@blueprint.post("/<int:ask_id>/again")
def again(request_id: str, ask_id: int) -> ResponseReturnValue:
    """Ask the same source for the same, once more."""
    if refused := _refused(request_id, needs_reason=True):
        return refused
    words = dict(today=_today(), actor=forms.actor(), reason=forms.typed("reason"))
    try:
        asking.ask_again(world.engine(), world.config(), request_id, ask_id, forms.typed("due"), **words)  # type: ignore[arg-type]
    except WrongWords as error:
        return _page(request_id, 400, t("sources.wrong"), error.wrong)
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return _told(request_id, "sources.asked")


@blueprint.post("/<int:ask_id>/letter")
def letter(request_id: str, ask_id: int) -> ResponseReturnValue:
    """The letter as PDF. It names the patient: that it left, and by whom, is recorded."""
    if refused := _refused(request_id):
        return refused
    try:
        data = asking.letter(
            world.engine(), world.payloads(), world.config(), request_id, ask_id, _today(), actor=forms.actor()
        )
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    name = f"{request_id}-{ask_id}-letter.pdf"
    return send_file(io.BytesIO(data), "application/pdf", as_attachment=True, download_name=name)


def _refused(request_id: str, *, needs_reason: bool = False) -> Response | None:
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    if needs_reason and not forms.typed("reason"):
        return _page(request_id, 400, t("action.no_reason"), {"reason": t("action.no_reason")})
    return None


def _told(request_id: str, message: str) -> Response:
    return forms.told(t(message), url_for("sources.show", request_id=request_id))


def _page(request_id: str, status: int, error: str = "", wrong: Mapping[str, str] = {}) -> Response:
    today = _today()
    of = (world.engine(), world.payloads(), world.config(), request_id, today)
    found = checklists.completeness(*of, actor=forms.actor())
    asked = asking.asks(world.engine(), world.config(), request_id)
    renewed = {each.renews for each in asked}
    return pages.render(
        "sources.html",
        status,
        found=found,
        wanted=to_ask_for(found),
        asked=[
            (each, standing(each, today), BY_PERSON.get(each.word, ()), each.id in renewed) for each in reversed(asked)
        ],
        asked_for=asking.whose_items(asked),
        kinds=found.catalog.kinds,
        places=[asking.holder_of(each) for each in world.config().endpoints.values()],
        ways=tuple(ByWay),
        today=today,
        error=error,
        wrong=wrong,
        form=request.form,
        at=request.endpoint,
        which=(request.view_args or {}).get("ask_id"),
    )
