"""Ask a payer's system whether a second opinion is covered, because a person pressed the button; and wait for what it says.

The insurance is read from the placer's EHR when it is asked for, and kept nowhere here. Nothing else is created at the payer's.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration import eligibility
from integration.fhir.failures import safe_issues
from integration.store import eligibility_asks
from integration.store.eligibility_asks import EligibilityAsk
from integration.store.revisions import RevisionRefused
from jobs.gate import ACTOR
from jobs.patients import find_patient
from jobs.target.writing import ensure_created, own_identifier
from jobs.world import Context, Outcome
from mappings.eligibility import Answered, is_about, read_answer, to_eligibility_request
from mappings.model.eligibility import AskWord
from mappings.model.errors import MappingError, PermanentError
from mappings.subject import whose

NOT_TAKEN = (400, 404, 405, 422, 501)
PATIENCE = timedelta(days=3)  # then a person calls


def ask_payer(ctx: Context) -> Outcome:
    """Each question of this payer that has no answer."""
    key = ctx.step.endpoint
    with ctx.world.engine.begin() as conn:
        asks = eligibility_asks.open_at(conn, ctx.request_id, key)
    for each in asks:
        reference = each.reference or _send(ctx, key, each)
        if reference is not None:
            _look(ctx, key, each, reference)
    with ctx.world.engine.begin() as conn:
        left = eligibility_asks.open_at(conn, ctx.request_id, key)
    return Outcome(again_at=_again(ctx.now, left))


def _again(now: datetime, left: list[EligibilityAsk]) -> datetime | None:
    """Soon at first, a tenth of the time that it has waited later."""
    if not left:
        return None
    waited = min(now - each.created_at for each in left)
    return now + max(timedelta(minutes=1), waited / 10)


def _send(ctx: Context, key: str, each: EligibilityAsk) -> str | None:
    """``CoverageEligibilityRequest/id`` there, once; None where it cannot be asked, which is told."""
    coverage = _coverage(ctx, each)
    if coverage is None:
        return None
    request, placer = ctx.request(), ctx.endpoint(ctx.row().placer)
    own = own_identifier(ctx, "CoverageEligibilityRequest", f"{ctx.request_id}-payer-{each.id}")
    resource = to_eligibility_request(
        request.patient,
        coverage,
        identifier=own.model_dump(include={"system", "value"}),
        service=each.service,
        day=each.service_on,
        asks=placer.name,
        insurer=ctx.endpoint(key).name,
        created=each.created_at.isoformat(timespec="seconds"),
    )
    try:
        reference = ensure_created(ctx, key, resource, own, authored=True)
    except MappingError as error:
        _refused(ctx, each, f"the insurance as the EHR has it cannot be sent: {error.path}")
        return None
    except PermanentError as error:
        if error.status_code not in NOT_TAKEN:
            raise
        issues = "; ".join(safe_issues(error.outcome or {}))
        _refused(ctx, each, f"{error.status_code}{f' ({issues})' if issues else ''}")
        return None
    with ctx.transaction() as conn:
        eligibility_asks.tell(conn, each.id, AskWord.SENT, reference=reference)
    return reference


def _coverage(ctx: Context, each: EligibilityAsk) -> dict | None:
    """The insurance as the EHR has it now; only this patient's."""
    request = ctx.request()
    server, bases = ctx.server(request.placer), ctx.bases(request.placer)
    patient = find_patient(ctx, request.placer, request.patient)
    coverage = server.read_if_there(each.coverage)
    if coverage is None:
        _refused(ctx, each, "the insurance is no longer in the EHR")
        return None
    if whose(coverage, server.read(*patient.split("/")), bases)[0] != "theirs":
        ctx.finding(
            "other-patient",
            "an insurance that is not this patient's was to be asked about; it was not",
            each.coverage,
            "error",
        )
        _refused(ctx, each, "the insurance is not this patient's")
        return None
    return coverage


def _refused(ctx: Context, each: EligibilityAsk, why: str) -> None:
    ctx.finding(
        "payer-not-asked",
        f"{each.endpoint} was not asked about {each.coverage}: {why}; call the insurer",
        each.coverage,
    )
    with ctx.transaction() as conn:
        eligibility_asks.tell(conn, each.id, AskWord.REFUSED, detail=why)


def _look(ctx: Context, key: str, each: EligibilityAsk, reference: str) -> None:
    """The newest response that answers this question; a queued one is no answer."""
    found = ctx.server(key).search_all("CoverageEligibilityResponse", {"request": reference})
    about = [one for one in found if is_about(one, reference, ctx.bases(key))]
    if found and not about:
        ctx.finding("search-ignored", f"{key} answers a search by the question with responses to others", reference)
    said = [(one, answer) for one in about if (answer := read_answer(one, each.service)) is not None]
    if said:
        newest, answer = max(said, key=lambda pair: (pair[1].given or "", str(pair[0].get("id"))))
        _keep(ctx, each, f"CoverageEligibilityResponse/{newest.get('id')}", answer)
    elif ctx.now - each.created_at > PATIENCE:
        ctx.finding("payer-silent", f"{key} has not answered for {PATIENCE.days} days: call the insurer", reference)
        with ctx.transaction() as conn:
            eligibility_asks.tell(conn, each.id, AskWord.SILENT)


def _keep(ctx: Context, each: EligibilityAsk, reference: str, answer: Answered) -> None:
    try:
        with ctx.transaction() as conn:
            _kept(conn, ctx, each, answer, reference)
    except RevisionRefused as error:
        ctx.finding("payer-answer-late", f"{reference} came when nothing is kept any more: {error}", reference, "info")
        with ctx.transaction() as conn:
            eligibility_asks.tell(conn, each.id, AskWord.REFUSED, detail="the request had ended when the answer came")


def _kept(conn: Connection, ctx: Context, each: EligibilityAsk, answer: Answered, reference: str) -> None:
    now = ctx.now.isoformat(timespec="seconds")
    eligibility.keep_answer(conn, ctx.world.config, each, answer, reference, actor=ACTOR, now=now)
