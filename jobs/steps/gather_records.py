"""Gather the first-opinion records at the placer into an immutable packet; partial is an error."""

from integration.store import listed_programs, requests, suitability_words
from integration.store.steps import NextStep
from jobs.patients import find_patient
from jobs.source.packing import pack
from jobs.source.received import attachments_of, read_whole
from jobs.world import Context, Outcome
from mappings.model.errors import NeedsPerson
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import Records
from mappings.suitability import judge, known_of


def gather_records(ctx: Context) -> Outcome:
    """Find the patient, read the chart with every page, close it over references, fetch every attachment, store it."""
    request = ctx.request()
    if request.question is None:
        raise NeedsPerson(
            requests.INFORMATION_MISSING,
            f"{request.order} of {request.placer} does not say: the question",
        )
    _must_suit(ctx, request)
    with ctx.transaction() as conn:
        requests.set_records(conn, ctx.request_id, Records.GATHERING)
    patient = find_patient(ctx, request.placer, request.patient)
    chart = read_whole(ctx, request, patient)
    attachments = attachments_of(ctx, request, chart)
    packed = pack(ctx, request, chart, list(chart.resources), attachments)
    if request.coverage:  # else a person asks for it: not every EHR shows it, and nothing waits for it
        packed.next_steps = (*packed.next_steps, NextStep("gather_coverage", request.placer))
    return packed


def _must_suit(ctx: Context, request: SecondOpinionRequest) -> None:
    """Raises NeedsPerson when the consulting program refuses it and nobody took it upon themselves to go on."""
    with ctx.world.engine.connect() as conn:
        answers = suitability_words.spoken(conn, ctx.request_id)
        listed = listed_programs.of_request(conn, requests.get(conn, ctx.request_id).directory_entry, request)
    program = ctx.config.intake(request.fulfiller)["program"]
    judged = judge(program, known_of(request, answers), requests.suits_on(request, ctx.now.date()), listed)
    if judged.stops:
        raise NeedsPerson(requests.PROGRAM_REFUSES, judged.message)
