"""Something to read about the diagnosis, for the coordinator to hand to the patient."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from integration import health_library
from integration.store import audit, requests
from integration.web import forms, pages, world

blueprint = pages.sentences(Blueprint("library", __name__, url_prefix="/requests/<request_id>/library"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What the configured library has for the request's diagnosis. The look is recorded: it says what the patient has."""
    with world.engine().begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        audit.record(conn, forms.actor(), "library.looked-at", request_id)
    diagnosis = content.first_opinion.diagnosis if content.first_opinion is not None else None
    library = world.config().health_library
    shelf = health_library.about(world.engine(), library, diagnosis, request.args.get("language", ""))
    return pages.render("library.html", shelf=shelf, diagnosis=diagnosis, request_id=request_id)
