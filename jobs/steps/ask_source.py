"""Ask a source for what is missing: one Task for each ask, once; and tell it of those that a person called off."""

from sqlalchemy import Connection

from integration import checklists
from integration.asking import holder_of
from integration.store import source_asks, steps
from integration.store.requests import Request
from integration.store.steps import NextStep
from jobs.gate import ACTOR
from jobs.patients import find_patient
from jobs.target.changing import change
from jobs.target.writing import ensure_created, own_identifier
from jobs.world import Context, Outcome
from mappings.data_request import to_data_request
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.leaving import Reason
from mappings.model.source_ask import Ask, AskWord
from mappings.model.states import FINAL
from mappings.source_letter import Wanted, wanted_of

NOT_TAKEN = (404, 405, 501)  # no such thing can be made there
STILL_OPEN = ("requested", "received", "accepted", "ready", "on-hold", "draft")


def ask_source(ctx: Context) -> Outcome:
    """Each ask of this endpoint that is not there yet. Where it takes no Task, or the patient is not surely found, a letter is the way."""
    endpoint, row = ctx.step.endpoint, ctx.row()
    with ctx.world.engine.connect() as conn:
        asks = source_asks.at_endpoint(conn, ctx.request_id, endpoint)
    for each in asks:
        if each.word is AskWord.CALLED_OFF:
            _call_off(ctx, endpoint, each)
    owed = [each for each in asks if each.word is None]
    if row.status in FINAL or not owed:
        return Outcome(next_steps=_watch(endpoint) if any(each.is_open for each in asks) else ())
    told = {each.id: _ask(ctx, row, endpoint, each) for each in owed}
    outcome = Outcome(next_steps=_watch(endpoint) if any(told.values()) else ())

    def commit(conn: Connection) -> None:
        for number, reference in told.items():
            _tell(conn, number, reference)
        if any(each.word is None for each in source_asks.at_endpoint(conn, ctx.request_id, endpoint)):
            outcome.again_at = ctx.now  # asked meanwhile

    outcome.apply.append(commit)
    return outcome


def _watch(endpoint: str) -> tuple[NextStep, ...]:
    return (NextStep("watch_source", endpoint, deadline=steps.AFTER_WORK),)


def _tell(conn: Connection, ask_id: int, reference: str | None) -> None:
    word = AskWord.SENT if reference else AskWord.NO_TASK
    source_asks.tell(conn, ask_id, word, actor=ACTOR, reference=reference or "")


def _ask(ctx: Context, row: Request, endpoint: str, ask: Ask) -> str | None:
    """``Task/id`` there; None where it cannot be asked by a Task."""
    if not ctx.capabilities(endpoint).task:
        return None
    request = ctx.request()
    try:
        patient = find_patient(ctx, endpoint, request.patient)
    except NeedsPerson as error:
        if endpoint in (row.placer, row.fulfiller):
            raise  # a person can say there who it is
        ctx.finding(
            error.cause, f"{endpoint} is asked by letter: who the patient is there is not sure", severity="info"
        )
        return None
    placer = ctx.endpoint(row.placer)
    task = to_data_request(
        name=f"{ctx.request_id}-ask-{ask.id}",
        identifier_system=ctx.world.config.exchange.identifier_system,
        patient=patient,
        requester=request.requester,
        asks=placer.name,
        owner=holder_of(ctx.endpoint(endpoint)).name,
        wanted=_wanted(ctx, row, ask),
        note=ask.what,
        authored_at=ask.at.isoformat(timespec="seconds"),
        due=ask.due,
    )
    try:
        return ensure_created(
            ctx, endpoint, task, own_identifier(ctx, "Task", f"{ctx.request_id}-ask-{ask.id}"), authored=True
        )
    except PermanentError as error:
        if error.status_code not in NOT_TAKEN:
            raise
        ctx.finding(
            "takes-no-task",
            f"{endpoint} does not take a Task ({error.status_code}): a letter is the way",
            severity="info",
        )
        return None


def _wanted(ctx: Context, row: Request, ask: Ask) -> tuple[Wanted, ...]:
    config, payloads = ctx.world.config, ctx.world.payloads
    found = checklists.judged(ctx.world.engine, payloads, config, ctx.request_id, ctx.now.date())
    return wanted_of(ask.items, found.items, found.catalog, {}, found.visit)


def _call_off(ctx: Context, endpoint: str, ask: Ask) -> None:
    """The source need not go on; what it has begun it ends itself."""
    reference = next((each.reference for each in ask.events if each.reference), "")
    task = ctx.server(endpoint).read_if_there(reference) if reference else None
    if task is None or task.get("status") not in STILL_OPEN:
        return
    said = {"status": "cancelled", "statusReason": {"text": "The records are not needed any more"}}
    with ctx.for_the_reason(Reason.CANCELLATION):
        is_done = change(ctx, endpoint, task, said)
    if not is_done:
        ctx.finding(
            "cancel-not-taken", f"{reference} at {endpoint} took the cancellation and does not say it", reference
        )
