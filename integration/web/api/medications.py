"""The medications of a patient with what is said of them, and the patient's questions."""

from integration import medications as lists
from integration import patient_questions
from integration.store.operations import NotPossible
from integration.store.revisions import RevisionRefused
from integration.views.medications import view
from integration.web import forms, world
from integration.web.access import consented
from integration.web.api.answers import Done
from integration.web.api.record_answers import Medications, Questions
from integration.web.api.record_bodies import KeepQuestions, ReviewMedications
from integration.web.api.routes import get, post
from integration.web.problems import Problem
from mappings.medications import What


@get("/requests/<request_id>/medications", refuses=("unknown",))
def medications(request_id: str) -> Medications:
    """The medications as the chart says them, and what was said of each. The look is recorded."""
    limit = consented.limit(request_id)
    found = lists.shown(world.engine(), world.payloads(), request_id, actor=forms.actor(), reason="API", limit=limit)
    return Medications.model_validate(view(found))


@post("/requests/<request_id>/medications", refuses=("wrong-body", "unknown", "not-possible"))
def review_medications(request_id: str, body: ReviewMedications) -> Done:
    """Say what is taken. It goes with the next packet as statements; the chart stays as it is."""
    try:
        lists.review(
            world.engine(),
            world.payloads(),
            request_id,
            after=body.review,
            list_sha256=body.list_sha256,
            informant=body.informant,
            said={
                **dict.fromkeys(body.taking, (What.TAKING, "")),
                **dict.fromkeys(body.not_taking, (What.NOT_TAKING, "")),
                **{key: (What.DIFFERENTLY, words) for key, words in body.differently.items()},
            },
            also=body.also,
            actor=forms.actor(),
        )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Kept. It goes with the next packet.")


@get("/requests/<request_id>/questions", refuses=("unknown",))
def questions(request_id: str) -> Questions:
    """The patient's questions in their order. The look is recorded."""
    row, found = patient_questions.look_at(world.engine(), request_id, actor=forms.actor(), reason="API")
    return Questions(request_id=request_id, version=row.version, questions=found)


@post("/requests/<request_id>/questions", refuses=("wrong-body", "unknown", "not-possible"))
def keep_questions(request_id: str, body: KeepQuestions) -> Done:
    """Keep them in this order, as a version of the request; where it was sent already it travels as a correction."""
    try:
        plan = patient_questions.keep(
            world.engine(),
            world.config(),
            request_id,
            body.questions,
            body.version,
            actor=forms.actor(),
            reason=body.reason,
        )
    except (NotPossible, RevisionRefused) as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message=f"Kept as version {plan.version} of the request.")
