"""The consultant's report beside the first opinion, and the primary doctor's word: who has read it, and what was decided."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration import opinions
from integration.store import acknowledgments
from integration.store.operations import NotPossible, WrongWords
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import scope
from integration.web.access.scope import may_use
from mappings.model.acknowledgment import MAX_NOTE, Decision, TypedAcknowledgment

blueprint = pages.sentences(Blueprint("opinion", __name__, url_prefix="/requests/<request_id>/opinion"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Both opinions, and who has read the second. It shows what is wrong with a patient: the look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def acknowledge(request_id: str) -> ResponseReturnValue:
    """Keep who has read it. Nothing typed is lost: a refusal shows the page again with it."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    names = ("revision", "by", "at", "decision")
    typed = TypedAcknowledgment(**{name: forms.typed(name) for name in names}, note=forms.typed("note", MAX_NOTE + 1))
    try:
        with world.engine().begin() as conn:
            new = acknowledgments.add(conn, request_id, typed, actor=forms.actor())
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong))
    words = t("opinion.kept", by=typed.by) if new else t("opinion.known")
    return forms.told(words, url_for("opinion.show", request_id=request_id))


@blueprint.post("/<int:acknowledgment>/take-back")
def take_back(request_id: str, acknowledgment: int) -> ResponseReturnValue:
    """That word was a mistake; it stays to be seen."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    if not forms.typed("reason"):
        return _page(request_id, 400, error=t("action.no_reason"))
    try:
        with world.engine().begin() as conn:
            acknowledgments.take_back(
                conn, request_id, acknowledgment, actor=forms.actor(), reason=forms.typed("reason")
            )
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    return forms.told(t("opinion.undone"), url_for("opinion.show", request_id=request_id))


def _page(request_id: str, status: int, *, error: str = "", wrong: dict[str, str] | None = None) -> Response:
    found = opinions.opinion(world.engine(), world.payloads(), request_id, actor=forms.actor())
    return pages.render(
        "opinion.html",
        status,
        found=found,
        asks=may_use("opinion.acknowledge") and scope.mine().asks_for(found.content.placer),
        decisions=list(Decision),
        error=error,
        wrong=wrong or {},
        most=MAX_NOTE,
    )
