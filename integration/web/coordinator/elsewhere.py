"""Records of another provider's system: named for a request, who the patient is there, what was read, stopped."""

from collections.abc import Mapping

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine

from integration import patients, record_sources
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import audit, requests
from integration.store.operations import NotPossible, WrongWords
from integration.views.texts import t
from integration.web import forms, pages, world

blueprint = pages.sentences(Blueprint("elsewhere", __name__, url_prefix="/requests/<request_id>/records-elsewhere"))


@blueprint.get("")
def listed(request_id: str) -> ResponseReturnValue:
    """Whose records are gathered for the request, and the form to name a provider."""
    return _list(request_id, 200)


@blueprint.post("")
def gather(request_id: str) -> ResponseReturnValue:
    """Gather from one more, now. A refusal shows the page again with what was typed."""
    if refused := _refused():
        return _list(request_id, *refused)
    said = dict(number=forms.typed("number", 100), system=forms.typed("system", 300), reason=forms.typed("reason"))
    try:
        made = record_sources.gather(
            world.engine(), world.config(), request_id, forms.typed("source"), actor=forms.actor(), **said
        )
    except WrongWords as error:
        return _list(request_id, 400, t("sources.wrong"), error.wrong)
    except NotPossible as error:
        return _list(request_id, 409, str(error))
    told = t("elsewhere.named" if made else "elsewhere.named_before")
    return forms.told(told, url_for("elsewhere.listed", request_id=request_id))


@blueprint.get("/<at>")
def show(request_id: str, at: str) -> ResponseReturnValue:
    """What was read at one provider, and who the patient could be there. It says what records are about: the look is recorded."""
    return _one(request_id, at, 200)


@blueprint.post("/<at>/patient")
def choose(request_id: str, at: str) -> ResponseReturnValue:
    """A person says which of those found there is the patient; where the two differ they say so twice."""
    reason, reference = forms.typed("reason"), forms.typed("reference", 300)
    if refused := _refused():
        return _one(request_id, at, *refused)
    record_sources.one(*_house(), request_id, at)  # else it is no business of who asks
    try:
        if not reference:
            raise NotPossible(t("compare.nobody"))
        confirmed = bool(forms.typed("confirmed"))
        patients.link(*_house(), request_id, at, reference, actor=forms.actor(), reason=reason, confirmed=confirmed)
    except NotPossible as error:
        return _one(request_id, at, 409, str(error))
    return forms.told(t("compare.linked"), url_for("elsewhere.listed", request_id=request_id))


@blueprint.post("/<at>/stop")
def stop(request_id: str, at: str) -> ResponseReturnValue:
    """It is not wanted any more; what was sent of it is taken back."""
    if refused := _refused():
        return _one(request_id, at, *refused)
    try:
        record_sources.stop(world.engine(), request_id, at, actor=forms.actor(), reason=forms.typed("reason"))
    except NotPossible as error:
        return _one(request_id, at, 409, str(error))
    return forms.told(t("elsewhere.stopped"), url_for("elsewhere.listed", request_id=request_id))


def _refused() -> tuple[int, str] | None:
    if not forms.is_ours():
        return 403, forms.refusal()
    return None if forms.typed("reason") else (400, t("action.no_reason"))


def _house() -> tuple[Engine, Payloads, Config]:
    return world.engine(), world.payloads(), world.config()


def _list(request_id: str, status: int, error: str = "", wrong: Mapping[str, str] = {}) -> Response:
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "elsewhere.listed", request_id)
    return pages.render(
        "elsewhere.html",
        status,
        request_id=request_id,
        found=record_sources.standing(*_house(), request_id),
        places=record_sources.choices(world.config(), row.placer, row.fulfiller),
        error=error,
        wrong=wrong,
        form=request.form,
    )


def _one(request_id: str, endpoint: str, status: int, error: str = "") -> Response:
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "elsewhere.looked-at", request_id, subject=endpoint)
    found = record_sources.one(*_house(), request_id, endpoint)
    compared = patients.comparison(*_house(), request_id, endpoint) if found.source.is_open else None
    return pages.render(
        "elsewhere_one.html",
        status,
        request_id=request_id,
        found=found,
        compared=compared,
        error=error,
        form=request.form,
    )
