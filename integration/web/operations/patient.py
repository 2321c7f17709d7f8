"""Who a request is about: masked until somebody asks for it, and each look is recorded before anything is shown."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine

from integration import patients
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import audit, operations, requests
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.operations import requests as request_pages
from mappings.model.request import HumanName, SecondOpinionRequest

TYPED = "typed"  # the last choice: somebody no step has found
blueprint = pages.sentences(Blueprint("patient", __name__, url_prefix="/requests"))


@blueprint.post("/<request_id>")
def look(request_id: str) -> ResponseReturnValue:
    """The request's page with its patient shown: 1. the form is ours, 2. a reason is given, 3. the look is recorded, 4. it is read."""
    if not forms.is_ours():
        return request_pages.page(request_id, 403, patient_error=forms.refusal())
    reason = forms.typed("reason")
    if not reason:
        return request_pages.page(request_id, 400, patient_error=t("action.no_reason"))
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "patient.looked-at", request_id, reason=reason)
    with world.engine().connect() as conn:
        content = requests.content(requests.get(conn, request_id))
    return request_pages.page(request_id, patient=facts(content))


@blueprint.get("/<request_id>/patient/<at>")
def compare(request_id: str, at: str) -> ResponseReturnValue:
    """Who the patient is at an at, and who could be: what agrees and what differs, without a value of theirs."""
    return _compared(request_id, at)


@blueprint.post("/<request_id>/patient/<at>")
def compare_shown(request_id: str, at: str) -> ResponseReturnValue:
    """The same with both persons shown; a reason is given and recorded before anything is read."""
    reason = forms.typed("reason")
    if error := _not_allowed(reason):
        return _compared(request_id, at, *error)
    return _shown(request_id, at, reason)


@blueprint.post("/<request_id>/patient/<at>/link")
def link(request_id: str, at: str) -> ResponseReturnValue:
    """A person says which of them it is; where the two differ they say so twice."""
    reason, typed = forms.typed("reason"), forms.typed("typed", 300)
    reference = typed if request.form.get("reference") == TYPED else forms.typed("reference", 300)
    if error := _not_allowed(reason):
        return _compared(request_id, at, *error)
    try:
        if not reference:
            raise NotPossible(t("compare.nobody"))
        patients.link(
            *_house(),
            request_id,
            at,
            reference,
            actor=forms.actor(),
            reason=reason,
            confirmed=request.form.get("confirmed") == "yes",
        )
    except NotPossible as error:
        if request.form.get("shown") == "yes":
            return _shown(request_id, at, reason, 400, str(error))
        return _compared(request_id, at, 400, str(error))
    return forms.told(t("compare.linked"), url_for("requests.show", request_id=request_id))


@blueprint.post("/<request_id>/patient/<at>/unlink")
def unlink(request_id: str, at: str) -> ResponseReturnValue:
    """Undo a link; what went there meanwhile is told."""
    reason = forms.typed("reason")
    if error := _not_allowed(reason):
        return _compared(request_id, at, *error)
    try:
        with world.engine().begin() as conn:
            undone = operations.unlink_patient(conn, request_id, at, actor=forms.actor(), reason=reason)
    except NotPossible as error:
        return _compared(request_id, at, 409, str(error))
    told = t("compare.unlinked", sent=operations.in_words(undone.sent), reference=undone.reference)
    return forms.told(told, request.path.removesuffix("/unlink"))


def _not_allowed(reason: str) -> tuple[int, str] | None:
    if not forms.is_ours():
        return 403, forms.refusal()
    return None if reason else (400, t("action.no_reason"))


def _shown(request_id: str, endpoint: str, reason: str, status: int = 200, error: str = "") -> Response:
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "patient.compared", request_id, subject=endpoint, reason=reason)
    return _compared(request_id, endpoint, status, error, shown=True)


def _compared(request_id: str, endpoint: str, status: int = 200, error: str = "", *, shown: bool = False) -> Response:
    compared = patients.comparison(*_house(), request_id, endpoint)
    return pages.render(
        "compare.html",
        status,
        compared=compared,
        sent=operations.in_words(compared.sent),
        contact=getattr(world.config().endpoints.get(endpoint), "contact", None),
        shown=shown,
        error=error,
        reason=forms.typed("reason"),
        chosen=forms.typed("reference", 300),
        typed=forms.typed("typed", 300),
        confirmed=request.form.get("confirmed") == "yes",
    )


def _house() -> tuple[Engine, Payloads, Config]:
    return world.engine(), world.payloads(), world.config()


def facts(request: SecondOpinionRequest) -> list[tuple[str, list[str]]]:
    """What the panel shows, as the request says it: the name of a text, and the lines under it."""
    patient = request.patient
    return [
        ("name", [name_of(patient.name)] if patient.name else []),
        ("birth_date", [patient.birth_date.isoformat()] if patient.birth_date else []),
        ("identifiers", [f"{each.value} ({each.system})" for each in patient.identifiers]),
        ("diagnosis", [request.first_opinion.diagnosis.text] if request.first_opinion else []),
        ("reasons", [each.display or each.code for each in request.reasons]),
        ("question", [request.question] if request.question else []),
        ("questions", list(request.patient_questions)),
    ]


def name_of(name: HumanName) -> str:
    """Given names, then the family name."""
    return " ".join([*name.given, name.family])
