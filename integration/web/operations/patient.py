"""Who a request is about: masked until somebody asks for it, and each look is recorded before anything is shown."""

from flask import Blueprint

from integration.store import audit, requests
from integration.web import forms, pages, world
from integration.web.operations import requests as request_pages
from mappings.model.request import HumanName, SecondOpinionRequest

blueprint = pages.sentences(Blueprint("patient", __name__, url_prefix="/requests"))


@blueprint.post("/<request_id>")
def look(request_id: str):
    """The request's page with its patient shown: 1. the form is ours, 2. the look is recorded, 3. only then it is read."""
    if not forms.is_ours():
        return request_pages.page(request_id, 403, patient_error=forms.refusal())
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, forms.actor(), "patient.looked-at", request_id)
    with world.engine().connect() as conn:
        content = requests.content(requests.get(conn, request_id))
    return request_pages.page(request_id, patient=facts(content))


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
