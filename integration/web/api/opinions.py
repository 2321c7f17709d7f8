"""Whether a clinician has read a request's report, and what was decided."""

from integration.store import acknowledgments, reports, requests
from integration.store.operations import NotPossible
from integration.views.opinion import view
from integration.web import forms, world
from integration.web.api.answers import Done
from integration.web.api.bodies import AcknowledgmentBody, Because
from integration.web.api.request_answers import ReadingOfReport
from integration.web.api.routes import get, post
from integration.web.problems import Problem
from mappings.model.acknowledgment import TypedAcknowledgment


@get("/requests/<request_id>/acknowledgments", refuses=("unknown",))
def reading_of_report(request_id: str) -> ReadingOfReport:
    """Who has read which revision of the report, and what was decided. The look is recorded."""
    with world.engine().begin() as conn:
        found = acknowledgments.looked_at(conn, request_id, actor=forms.actor())
        return ReadingOfReport.model_validate(view(request_id, reports.newest(conn, request_id), found))


@post("/requests/<request_id>/acknowledgments", refuses=("wrong-body", "unknown", "not-possible"))
def acknowledge(request_id: str, body: AcknowledgmentBody) -> Done:
    """A clinician has read the newest revision, and this was decided with the patient."""
    at = body.at.isoformat() if body.at else ""
    typed = TypedAcknowledgment(str(body.revision), body.by, at, body.decision, body.note)
    try:
        with world.engine().begin() as conn:
            new = acknowledgments.add(conn, request_id, typed, actor=forms.actor())
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=new, message="Kept." if new else "That was said already.")


@post(
    "/requests/<request_id>/acknowledgments/<int:acknowledgment>/take-back",
    refuses=("wrong-body", "unknown", "not-possible"),
)
def take_back_acknowledgment(request_id: str, acknowledgment: int, body: Because) -> Done:
    """That word was a mistake; it stays to be seen, and the report waits to be read again."""
    try:
        with world.engine().begin() as conn:
            requests.get(conn, request_id)
            acknowledgments.take_back(conn, request_id, acknowledgment, actor=forms.actor(), reason=body.reason)
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Taken back.")
