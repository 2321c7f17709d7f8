"""Whether a request should be asked of its program, and what a person answers."""

from datetime import UTC, datetime

from integration import suitability as stands
from integration.store.operations import NotPossible
from integration.views.suitability import view
from integration.web import forms, world
from integration.web.api.before_visit_answers import Suitability
from integration.web.api.bodies import SuitabilityAnswer
from integration.web.api.routes import get, post
from integration.web.problems import Problem


@get("/requests/<request_id>/suitability", refuses=("unknown",))
def suitability(request_id: str) -> Suitability:
    """What its program takes and refuses, what speaks against this request, what is to be answered. The look is recorded."""
    today = datetime.now(UTC).date()
    found = stands.standing(world.engine(), world.config(), request_id, today, actor=forms.actor(), reason="API")
    return Suitability.model_validate(view(found))


@post("/requests/<request_id>/suitability", refuses=("wrong-body", "unknown", "not-possible"))
def answer_suitability(request_id: str, body: SuitabilityAnswer) -> Suitability:
    """Answer a question by its key, say that it is an emergency, or go on though the program refuses."""
    today = datetime.now(UTC).date()
    try:
        found = stands.answer(
            world.engine(),
            world.config(),
            request_id,
            body.key,
            body.value,
            today,
            actor=forms.actor(),
            reason=body.reason,
        )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Suitability.model_validate(view(found))
