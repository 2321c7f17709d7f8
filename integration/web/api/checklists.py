"""How a request's records stand against its checklist, and what a person knows of it."""

from datetime import UTC, datetime

from integration import checklists
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from integration.views.checklist import view
from integration.web import forms, world
from integration.web.access import consented
from integration.web.api.answers import Done
from integration.web.api.before_visit_answers import Checklist
from integration.web.api.bodies import ChecklistWord
from integration.web.api.routes import get, post
from integration.web.problems import Problem


@get("/requests/<request_id>/checklist", refuses=("unknown",))
def checklist(request_id: str) -> Checklist:
    """Each item with its state, the reason, and the records that speak for it. The look is recorded."""
    today = datetime.now(UTC).date()
    found = checklists.completeness(
        world.engine(),
        world.payloads(),
        world.config(),
        request_id,
        today,
        actor=forms.actor(),
        reason="API",
        limit=consented.limit(request_id),
    )
    return Checklist.model_validate(view(found))


@post("/requests/<request_id>/checklist", refuses=("wrong-body", "unknown", "not-possible"))
def say_of_checklist(request_id: str, body: ChecklistWord) -> Done:
    """Answer a question, say that an item is requested, promised, waived or there, or where a record belongs."""
    try:
        checklists.say(
            world.engine(),
            world.payloads(),
            world.config(),
            request_id,
            Topic(body.topic),
            body.key,
            body.value,
            actor=forms.actor(),
            reason=body.reason,
        )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Kept, with your reason.")
