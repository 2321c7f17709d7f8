"""Slides, blocks and discs of a request: which are wanted, where each is, and how many were in it when somebody counted."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import checklists
from integration.store import parcels
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import who
from integration.web.access.roles import ANSWERING
from mappings.model.parcel import BY_THE_CONSULTANT, TypedMove, folded

blueprint = pages.sentences(Blueprint("parcels", __name__, url_prefix="/requests/<request_id>/parcels"))


def _today() -> date:
    return datetime.now(UTC).date()


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Each thing with its history. The look is recorded, as that of the checklist."""
    return _page(request_id, 200)


@blueprint.post("")
def add(request_id: str) -> ResponseReturnValue:
    """A thing that is wanted or on its way."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    words = dict(actor=forms.actor(), reason=forms.typed("reason"))
    try:
        checklists.add_parcel(
            world.engine(),
            world.config(),
            request_id,
            forms.typed("kind"),
            forms.typed("what"),
            forms.typed("source"),
            **words,
        )
    except WrongWords as error:
        return _page(request_id, 400, t("sources.wrong"), error.wrong)
    return forms.told(t("parcels.added"), url_for("parcels.show", request_id=request_id))


@blueprint.post("/<int:parcel_id>")
def move(request_id: str, parcel_id: int) -> ResponseReturnValue:
    """Write down what happened to it. Nothing typed is lost: a refusal shows the page again with it."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    typed = TypedMove(**{name: forms.typed(name) for name in TypedMove.__dataclass_fields__})
    after = int(forms.typed("after")) if forms.typed("after").isdigit() else 0
    if not may_say(typed.word):
        return _page(request_id, 403, t("parcels.not_yours"), {"word": t("parcels.not_yours")})
    try:
        with world.engine().begin() as conn:
            parcels.move(conn, request_id, parcel_id, typed, _today(), after=after, actor=forms.actor())
    except WrongWords as error:
        return _page(request_id, 400, t("sources.wrong"), error.wrong)
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return forms.told(t("parcels.kept"), url_for("parcels.show", request_id=request_id))


def may_say(word: str) -> bool:
    """Whoever sent it does not count it: that is the consultant's side."""
    asking = who.who()
    return word not in BY_THE_CONSULTANT or asking is None or not asking.roles.isdisjoint(ANSWERING)


def _page(request_id: str, status: int, error: str = "", wrong: Mapping[str, str] = {}) -> Response:
    today = _today()
    of = (world.engine(), world.payloads(), world.config(), request_id, today)
    found = checklists.completeness(*of, actor=forms.actor())
    with world.engine().connect() as conn:
        things = parcels.of_request(conn, request_id)
    return pages.render(
        "parcels.html",
        status,
        found=found,
        things=[(each, *folded(each)) for each in things],
        kinds={key: kind for key, kind in found.catalog.kinds.items() if kind.by_courier},
        theirs=BY_THE_CONSULTANT,
        may_say=may_say,
        today=today,
        error=error,
        wrong=wrong,
        form=request.form,
        at=request.endpoint,
        which=(request.view_args or {}).get("parcel_id"),
    )
