"""Something to read about the diagnosis, for the coordinator to hand to the patient."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from integration import health_library
from integration.web import forms, pages, world

blueprint = pages.sentences(Blueprint("library", __name__, url_prefix="/requests/<request_id>/library"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What the configured library has for the request's diagnosis. The look is recorded: it says what the patient has."""
    library, language = world.config().health_library, request.args.get("language", "")
    shelf, diagnosis = health_library.looked_at(world.engine(), library, request_id, language, actor=forms.actor())
    return pages.render("library.html", shelf=shelf, diagnosis=diagnosis, request_id=request_id)
