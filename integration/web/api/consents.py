"""What the patient agrees to for a request, and a statement of it recorded."""

from integration.store import consents
from integration.store.operations import WrongWords
from integration.views.consent import read, view
from integration.web import forms, pages, problems, world
from integration.web.api.answers import Done
from integration.web.api.bodies import ConsentBody
from integration.web.api.request_answers import ConsentStands
from integration.web.api.routes import get, post
from mappings.model.consent import TypedConsent
from mappings.model.errors import Mistake


@get("/requests/<request_id>/consent", refuses=("unknown",))
def consent(request_id: str) -> ConsentStands:
    """How the patient's consent stands: what may leave, to whom, until when; and every statement. The look is recorded."""
    with world.engine().begin() as conn:
        consents.looked_at(conn, request_id, actor=forms.actor(), reason="API")
        return ConsentStands.model_validate(view(read(conn, world.config(), request_id, pages.now().date())))


@post("/requests/<request_id>/consent", refuses=("wrong-body", "unknown", "not-possible"))
def record_consent(request_id: str, body: ConsentBody) -> Done:
    """Record what the patient says. The newest statement stands and is obeyed when the next thing is about to leave."""
    typed = TypedConsent(
        body.said,
        str(body.seen or ""),
        tuple(body.kinds),
        tuple(body.recipients),
        body.until.isoformat() if body.until else "",
        body.how,
        body.by,
        body.note,
    )
    try:
        with world.engine().begin() as conn:
            done = consents.record(conn, request_id, typed, actor=forms.actor(), hosted=world.config().hosted_endpoints)
    except WrongWords as error:
        raise problems.wrong(
            "wrong-body", [Mistake("", None, field, words) for field, words in error.wrong.items()]
        ) from error
    return Done(changed=done.is_new, message="Recorded." if done.is_new else "That was recorded already.")
