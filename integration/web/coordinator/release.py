"""Which report the patient may read on their own page: released by the primary doctor, and taken back."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration.store import audit, releases, reports, requests
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world

blueprint = pages.sentences(Blueprint("release", __name__, url_prefix="/requests/<request_id>/release"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Whether the patient may read the newest report, and who said so. The look is recorded."""
    return _page(request_id)


@blueprint.post("")
def release(request_id: str) -> ResponseReturnValue:
    """The doctor lets the patient read it."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    try:
        with world.engine().begin() as conn:
            is_new = releases.release(
                conn, request_id, forms.typed("revision", 9), forms.typed("by"), actor=forms.actor()
            )
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    words = t("release.done") if is_new else t("release.known")
    return forms.told(words, url_for("release.show", request_id=request_id))


@blueprint.post("/take-back")
def take_back(request_id: str) -> ResponseReturnValue:
    """The page does not show it any more."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    if not forms.typed("reason"):
        return _page(request_id, 400, t("action.no_reason"))
    try:
        with world.engine().begin() as conn:
            releases.take_back(conn, request_id, actor=forms.actor(), reason=forms.typed("reason"))
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return forms.told(t("release.undone"), url_for("release.show", request_id=request_id))


def _page(request_id: str, status: int = 200, error: str = "") -> Response:
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "release.looked-at", request_id)
        report, said = reports.newest(conn, request_id), releases.of_request(conn, request_id)
        open_to_patient = releases.released(conn, request_id)
    return pages.render(
        "release.html", status, row=row, report=report, said=said, is_released=open_to_patient is not None, error=error
    )
