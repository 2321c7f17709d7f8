"""Links by which the patient carries the packet: made and shown once, who opened them, revoked."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration.health_links import making
from integration.health_links.making import Made, Wanted
from integration.store.operations import NotPossible, WrongWords
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.health_links import base_url, qr_of
from mappings.health_link import LinkProblem

blueprint = pages.sentences(Blueprint("health_links", __name__, url_prefix="/requests/<request_id>/health-links"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The links of a request and who opened them. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def make(request_id: str) -> ResponseReturnValue:
    """Make one, and show it: this once, because its key is kept nowhere."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    wanted = Wanted(
        days=forms.typed("days", 9),
        is_long_term=bool(forms.typed("is_long_term")),
        is_direct=forms.typed("opens") == "direct",
        is_theirs=bool(forms.typed("is_theirs")),
    )
    try:
        made = making.make(world.visits(), request_id, wanted, base_url(), actor=forms.actor())
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong))
    except (NotPossible, LinkProblem) as error:
        return _page(request_id, 409, error=str(error))
    return _page(request_id, 200, made=made)


@blueprint.post("/<link_id>/revoke")
def revoke(request_id: str, link_id: str) -> ResponseReturnValue:
    """It opens nothing any more."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    try:
        making.revoke(world.visits(), request_id, link_id, actor=forms.actor(), reason=forms.typed("reason"))
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    return forms.told(t("links.revoked"), url_for("health_links.show", request_id=request_id))


def _page(
    request_id: str, status: int, *, error: str = "", wrong: dict[str, str] | None = None, made: Made | None = None
) -> Response:
    found = making.listed(world.visits(), request_id, actor=forms.actor())
    return pages.render(
        "health_links.html",
        status,
        found=found,
        error=error,
        wrong=wrong or {},
        made=made,
        qr=qr_of(made.link, t("links.qr")) if made else "",
        typed=request.form,
        longest=world.config().health_links.longest_days,
        public=world.config().web.is_https,
    )
