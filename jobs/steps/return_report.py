"""Return the consult report to the primary care EHR, once, by the first of its roads that takes it."""

from contextlib import nullcontext

from sqlalchemy import Connection

from integration.store import deliveries, reports, steps
from integration.store.reports import Report
from integration.store.sendings import Sending
from integration.store.steps import NextStep
from jobs.patients import find_patient
from jobs.target.corrections import supersede
from jobs.target.report import Returning, copies_there, most_documents
from jobs.target.sending import ROADS_OVER_FHIR, remember_link, send_document
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryKind, DeliveryStatus
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.leaving import Reason
from mappings.model.roads import Level, lowest


def return_report(ctx: Context) -> Outcome:
    """Fetch the report's bytes at the fulfiller, walk its roads to the placer, keep what was sent for the read-back."""
    row, request, report = ctx.row(), ctx.request(), _newest(ctx)
    find_patient(ctx, row.placer, request.patient)
    with ctx.transaction() as conn:
        delivery_id = deliveries.create(conn, ctx.request_id, row.placer, DeliveryKind.REPORT, version=report.revision)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
        ctx.step = steps.set_delivery(
            conn, ctx.step, delivery_id
        )  # whatever becomes of the step is said of the delivery too
    returning = Returning(ctx, row, request, report, delivery_id)
    with ctx.for_the_reason(Reason.WITHDRAWAL) if returning.is_retracted else nullcontext():
        sent = _send(ctx, returning)
    _supersede(ctx, row.placer, report.revision, len(sent))

    def commit(conn: Connection) -> None:
        for each in sent:
            _keep(conn, each)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENT)
        deliveries.set_level(
            conn, delivery_id, sent[0].road, lowest(Level(each.level or Level.UNVERIFIABLE) for each in sent)
        )
        _end_earlier(conn, ctx, report.revision)

    return Outcome(next_steps=(NextStep("verify_report", row.placer, delivery_id=delivery_id),), apply=[commit])


def _send(ctx: Context, returning: Returning) -> list[Sending]:
    """All documents of the report, each once. One that cannot go keeps no other back; then what became of it is raised."""
    sent, left = [send_document(ctx, returning.document)], dict[str, NeedsPerson | PermanentError]()
    for each in returning.following(sent[0]):
        document = each.document
        try:
            sent.append(send_document(ctx, document))
        except (NeedsPerson, PermanentError) as error:
            left[document.identifier.value] = error
    for name, why in left.items():
        ctx.finding(
            "report-document-left", f"{name} did not go with the other documents of the report: {why}", name, "error"
        )
    if left:
        raise next(iter(left.values()))
    return sent


def _end_earlier(conn: Connection, ctx: Context, revision: int) -> None:
    """What is open for earlier revisions ends: their copy is replaced or marked, and reading it back would say the wrong thing."""
    reason = f"revision {revision} of the report replaces it"
    steps.cancel_open(conn, ctx.request_id, reason=reason, kinds=("verify_report",))
    for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.REPORT):
        if each.version < revision:
            deliveries.move(conn, each.id, DeliveryStatus.CANCELLED, message=reason)


def _newest(ctx: Context) -> Report:
    with ctx.world.engine.begin() as conn:
        return reports.of_request(conn, ctx.request_id)[-1]


def _supersede(ctx: Context, placer: str, before: int, documents: int) -> None:
    """Where a copy is a resource it says of itself that it no longer stands; on other roads what replaces it says so.

    ``documents``: of how many this revision is: a further one of an earlier revision is replaced by none.
    """
    for number in range(1, most_documents(ctx, placer, before) + 1):
        for copy in copies_there(ctx, placer, before, number):
            if copy.resource is not None and copy.road in ROADS_OVER_FHIR:
                _mark(ctx, copy.at, copy.resource)
            elif number > documents:
                _say_it_stands(ctx, copy.at, copy.reference or copy.identifier.value, "nothing replaces it")


def _mark(ctx: Context, at: str, reference: str) -> None:
    try:
        supersede(ctx, at, reference, "an earlier revision of the report")
    except PermanentError as error:
        _say_it_stands(ctx, at, reference, f"cannot be marked ({error.cause})")


def _say_it_stands(ctx: Context, at: str, name: str, why: str) -> None:
    words = f"{name} at {at} is of an earlier revision of the report and {why}: ask there to have it marked"
    ctx.finding("copy-not-superseded", words, name, "error")


def _keep(conn: Connection, sending: Sending) -> None:
    """The item of the delivery, and the link by which others find it, as far as it has a name there."""
    own = sending.identifier
    item = dict(source=own.value, created_by_us=True, status="sent")
    known = dict(target=sending.reference, sent_sha256=sending.sha256)
    deliveries.mark_items(conn, sending.delivery_id, [item | {key: value for key, value in known.items() if value}])
    remember_link(conn, sending)
