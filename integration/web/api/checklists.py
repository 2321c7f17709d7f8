"""How a request's records stand against its checklist, and what a person knows of it."""

from datetime import UTC, datetime

from integration.settings.checklist_files import load_catalog
from integration.store import audit, checklist_facts
from integration.store.operations import NotPossible
from integration.views.checklist import completeness, say, view
from integration.web import forms, world
from integration.web.api.answers import Done
from integration.web.api.bodies import ChecklistWord
from integration.web.api.request_answers import Checklist
from integration.web.api.routes import get, post
from integration.web.problems import Problem


@get("/requests/<request_id>/checklist", refuses=("unknown",))
def checklist(request_id: str) -> Checklist:
    """Each item with its state, the reason, and the records that speak for it. The look is recorded."""
    config = world.config()
    with world.engine().begin() as conn:
        found = completeness(
            conn, world.payloads(), config, load_catalog(config.checklists), request_id, datetime.now(UTC).date()
        )
        audit.record(conn, forms.actor(), "checklist.looked-at", request_id, reason="API")
    return Checklist.model_validate(view(found))


@post("/requests/<request_id>/checklist", refuses=("wrong-body", "unknown", "not-possible"))
def say_of_checklist(request_id: str, body: ChecklistWord) -> Done:
    """Answer a question, say that an item is requested, promised, waived or there, or where a record belongs."""
    topic = checklist_facts.Topic(body.topic)
    catalog = load_catalog(world.config().checklists)
    try:
        with world.engine().begin() as conn:
            say(
                conn,
                world.payloads(),
                world.config(),
                catalog,
                request_id,
                topic,
                body.key,
                body.value,
                actor=forms.actor(),
                reason=body.reason,
            )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Kept, with your reason.")
