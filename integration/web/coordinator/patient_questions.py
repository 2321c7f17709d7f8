"""The patient's questions: typed for them, put in their order, kept as a version of the request."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import patient_questions
from integration.store.operations import NotPossible
from integration.store.requests import Request
from integration.store.revisions import RevisionRefused, RevisionStale
from integration.views.texts import t
from integration.web import forms, pages, world

blueprint = pages.sentences(Blueprint("patient_questions", __name__, url_prefix="/requests/<request_id>/questions"))
REASON = "the patient's questions, as they are now"


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The questions in their order. The look is recorded."""
    row, questions = patient_questions.look_at(world.engine(), request_id, actor=forms.actor())
    return _page(row, questions, row.version)


@blueprint.post("")
def change(request_id: str) -> ResponseReturnValue:
    """Move, remove or add one in the form, or keep them all; a refusal shows the form with everything that was typed."""
    row, _ = patient_questions.look_at(world.engine(), request_id, actor=forms.actor())
    typed = [each.replace("\r\n", "\n") for each in request.form.getlist("question")]
    version = forms.typed("version", 9)
    expected = int(version) if version.isascii() and version.isdigit() else 0
    if not forms.is_ours():
        return _page(row, typed, expected, 403, forms.refusal())
    press, _, number = forms.typed("press").partition(" ")
    if press != "save":
        return _page(
            row,
            patient_questions.moved(typed, press, int(number) if number.isdigit() else 0),
            expected,
            says=t("questions.not_saved"),
        )
    try:
        plan = patient_questions.keep(
            world.engine(), world.config(), request_id, typed, expected, actor=forms.actor(), reason=REASON
        )
    except RevisionStale as error:
        return _page(row, typed, row.version, 409, str(error))
    except (RevisionRefused, NotPossible) as error:
        return _page(row, typed, expected, 409, str(error))
    return forms.told(t("questions.kept", n=plan.version), url_for("patient_questions.show", request_id=request_id))


def _page(
    row: Request, questions: list[str], version: int, status: int = 200, error: str = "", says: str = ""
) -> Response:
    return pages.render("questions.html", status, row=row, questions=questions, version=version, error=error, says=says)
