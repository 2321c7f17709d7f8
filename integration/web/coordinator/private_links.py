"""Private links for the patient of a request: made here, shown once, revoked; and what was opened by them."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration.packets.private_letter import to_pdf
from integration.store import audit, private_links, requests
from integration.store.operations import NotPossible, WrongWords
from integration.store.private_links import Made
from integration.views.private_letter import letter_of
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.model.private_link import DAYS, MAX_DAYS, MAX_FAILURES, Language, OpenedBy, TypedLink

blueprint = pages.sentences(Blueprint("private_links", __name__, url_prefix="/requests/<request_id>/private-links"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Every link of the request, how it stands, and what it opened. The look is recorded."""
    return _page(request_id)


@blueprint.post("")
def make(request_id: str) -> ResponseReturnValue:
    """Make one. The answer to this form is the only place where the link, and a code, are ever shown."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    typed = TypedLink(forms.typed("opened_by"), forms.typed("days", 9), forms.typed("language", 9))
    try:
        with world.engine().begin() as conn:
            made = private_links.make(conn, request_id, typed, actor=forms.actor())
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong))
    return _page(request_id, made=made)


@blueprint.post("/letter")
def letter(request_id: str) -> ResponseReturnValue:
    """The link that was just made as a sheet of paper. It comes in the form, and stands in no address; what opens it is not on it."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    token = forms.typed("link", 100)
    try:
        with world.engine().begin() as conn:
            link = private_links.for_letter(conn, request_id, token, actor=forms.actor())
            placer = requests.get(conn, request_id).placer
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    made = to_pdf(letter_of(link, _address(token), world.config(), placer))
    answer = Response(made, content_type="application/pdf")
    answer.headers["Content-Disposition"] = 'attachment; filename="letter.pdf"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/<int:private_link>/revoke")
def revoke(request_id: str, private_link: int) -> ResponseReturnValue:
    """Close one for good, and end what it opened."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    if not forms.typed("reason"):
        return _page(request_id, 400, error=t("action.no_reason"))
    try:
        with world.engine().begin() as conn:
            private_links.revoke(conn, request_id, private_link, actor=forms.actor(), reason=forms.typed("reason"))
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    return forms.told(t("private_links.revoked"), url_for("private_links.show", request_id=request_id))


def _page(
    request_id: str,
    status: int = 200,
    *,
    error: str = "",
    wrong: dict[str, str] | None = None,
    made: Made | None = None,
) -> Response:
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "private-links.looked-at", request_id)
        links, devices = private_links.of_request(conn, request_id), private_links.devices(conn, request_id)
    return pages.render(
        "private_links.html",
        status,
        row=row,
        links=links,
        devices=devices,
        error=error,
        wrong=wrong or {},
        made=made,
        address=_address(made.token) if made else "",
        ways=list(OpenedBy),
        languages=list(Language),
        days=DAYS,
        most=MAX_DAYS,
        failures=MAX_FAILURES,
    )


def _address(token: str) -> str:
    """Where the patient opens it: by the address that others reach us at."""
    return f"{world.config().web.public_url or world.config().web.address}/p/{token}"
