"""How a request's coverage stands, and an insurer's answer written down."""

from datetime import UTC, datetime

from integration import coverage as known
from integration import eligibility
from integration.store import insurances
from integration.views.coverage import view
from integration.web import forms, problems, world
from integration.web.api.answers import Done
from integration.web.api.before_visit_answers import Coverage, CoverageKept
from integration.web.api.bodies import Because, CoverageEntry, PayerAsked
from integration.web.api.routes import get, post
from mappings.coverage_typed import AnswerNotRight
from mappings.model.errors import Mistake


@get("/requests/<request_id>/coverage", refuses=("unknown",))
def coverage(request_id: str) -> Coverage:
    """What insurers said, which answers count for the visit and which are too old, and what to do next. The look is recorded."""
    found = known.coverage(world.engine(), request_id, datetime.now(UTC).date(), actor=forms.actor(), reason="API")
    return Coverage.model_validate(view(found))


@post("/requests/<request_id>/coverage", refuses=("wrong-body", "unknown", "not-possible"))
def record_coverage(request_id: str, body: CoverageEntry) -> CoverageKept:
    """Write down what an insurer said. A later answer counts instead; nothing is overwritten. The same one twice is one."""
    typed = {name: value for name, value in body.model_dump(exclude={"version"}).items() if value is not None}
    try:
        kept = known.record(
            world.engine(),
            world.config(),
            request_id,
            typed,
            datetime.now(UTC),
            expected_version=body.version,
            actor=forms.actor(),
        )
    except AnswerNotRight as error:
        mistakes = [Mistake("", None, field, words) for field, words in error.mistakes.items()]
        raise problems.wrong("wrong-body", mistakes) from error
    return CoverageKept(request_id=request_id, id=kept.id)


@post("/requests/<request_id>/coverage/read", refuses=("wrong-body", "unknown", "not-possible"))
def read_coverage(request_id: str, body: Because) -> Done:
    """Have the patient's insurance read from the EHR again."""
    with world.engine().begin() as conn:
        made = insurances.ask(conn, request_id, actor=forms.actor(), reason=body.reason)
    return Done(changed=made, message="It is read now." if made else "It is being read already.")


@post("/requests/<request_id>/coverage/payer", refuses=("wrong-body", "unknown", "not-possible"))
def ask_payer(request_id: str, body: PayerAsked) -> Done:
    """Ask an insurer's own system about one insurance of the patient: its name, sex and birth date, and the insurance are sent."""
    eligibility.ask(
        world.engine(),
        world.config(),
        request_id,
        body.payer,
        body.coverage,
        body.service,
        actor=forms.actor(),
        reason=body.reason,
    )
    return Done(
        changed=True, message="The insurer's system is being asked; `asked` of the coverage tells what came of it."
    )
