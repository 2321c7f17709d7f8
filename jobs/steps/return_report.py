"""Return the consult report to the primary care EHR: one DocumentReference with inline bytes, and once."""

from collections.abc import Iterator

from sqlalchemy import Connection, Row

from integration import fhir_json
from integration.fhir.transport import TOO_LARGE
from integration.store import deliveries, links, reports, steps
from integration.store.reports import Report
from integration.store.steps import NextStep
from jobs.patients import find_patient
from jobs.report_bytes import documents_of, list_of
from jobs.target.corrections import supersede
from jobs.target.writing import ensure_document, find_one, own_identifier, version_of
from jobs.world import Context, Outcome
from mappings.consult_report import ReportReading, documents_in, read_report, to_returned_report
from mappings.model.delivery import DeliveryKind, DeliveryStatus
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.leaving import Reason
from mappings.model.request import Identifier, SecondOpinionRequest

REMARKS = {
    "report.no-patient": "the report names no patient",
    "report.date-not-an-instant": "the report's date is no instant (date, time and zone); it is returned without it",
    "report.period-not-a-date-time": "the time of the visit is no FHIR dateTime; the report is returned without it, or with its date",
    "report.not-final": "the report is not final",
    "report.superseded": "the report is marked as superseded",
    "report.unknown-status": "the report has a status that FHIR does not know",
    "report.unknown-doc-status": "the report has a document status that FHIR does not know",
    "report.no-attachment": "the report holds no document",
}


def return_report(ctx: Context) -> Outcome:
    """Fetch the report's bytes at the fulfiller, write them at the placer, keep what was sent for the read-back."""
    row, request = ctx.row(), ctx.request()
    report = _newest(ctx)
    resource = fhir_json.loads(ctx.world.payloads.get(report.resource_sha256))
    patient = find_patient(ctx, row.placer, request.patient)
    with ctx.transaction() as conn:
        delivery_id = deliveries.create(conn, ctx.request_id, row.placer, DeliveryKind.REPORT, version=report.revision)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
        ctx.step = steps.serve(conn, ctx.step, delivery_id)  # whatever becomes of the step is said of the delivery too
    identifier = report_identifier(ctx, report.revision)
    if report.state == "retracted":
        sent, reference = _retract(ctx, row, report)
    else:
        sent = _to_send(ctx, row, request, report, resource, patient, identifier)
        _keep(ctx, delivery_id, identifier, sent)
        reference = ensure_document(ctx, row.placer, sent, identifier)
    _supersede(ctx, row.placer, report.revision)
    _keep(ctx, delivery_id, identifier, sent, reference)

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery_id, DeliveryStatus.SENT)
        _end_earlier(conn, ctx, report.revision)

    return Outcome(next_steps=(NextStep("verify_report", row.placer, delivery_id=delivery_id),), apply=[commit])


def _end_earlier(conn: Connection, ctx: Context, revision: int) -> None:
    """What is open for earlier revisions ends: their copy is replaced or marked, and reading it back would say the wrong thing."""
    reason = f"revision {revision} of the report replaces it"
    steps.cancel_open(conn, ctx.request_id, reason=reason, kinds=("verify_report",))
    for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.REPORT):
        if each.version < revision:
            deliveries.move(conn, each.id, DeliveryStatus.CANCELLED, message=reason)


def report_identifier(ctx: Context, revision: int) -> Identifier:
    """The stable identifier of one revision of the returned report."""
    return own_identifier(ctx, "DocumentReference", f"{ctx.request_id}-report-{revision}")


def _newest(ctx: Context) -> Report:
    with ctx.world.engine.begin() as conn:
        return reports.of_request(conn, ctx.request_id)[-1]


def _to_send(
    ctx: Context,
    row: Row,
    request: SecondOpinionRequest,
    report: Report,
    resource: dict,
    patient: str,
    identifier: Identifier,
) -> dict:
    reading = read_report(resource, ctx.bases(row.fulfiller))
    for problem in reading.problems:
        ctx.finding(
            problem, REMARKS.get(problem, "the report says something of itself that is not understood"), report.source
        )
    documents = _documents(ctx, row, report, reading)
    size, limit = sum(len(data) for data, _ in documents), ctx.endpoint(row.placer).limits.max_inline_bytes
    if size > limit:
        raise _too_large(row.placer, size, limit)
    replaced = next(_copies_there(ctx, row.placer, report.revision), None)
    ours = own_identifier(ctx, "ServiceRequest", ctx.request_id)
    (data, content_type), *more = documents
    return to_returned_report(
        reading=reading,
        bytes=data,
        content_type=content_type,
        more=more,
        request_id=ctx.request_id,
        identifier=identifier,
        patient=patient,
        service_request=request.service_request or ours,
        revision=report.revision if replaced else 1,
        amends=_amends(ctx, report.revision),
        replaces=replaced,
        author_display=ctx.endpoint(row.fulfiller).name,
    )


def _amends(ctx: Context, revision: int) -> bool:
    """False for a first final report after preliminary ones: nothing that was final is changed by it."""
    with ctx.world.engine.begin() as conn:
        known = reports.of_request(conn, ctx.request_id)
    return any(each.state != reports.PRELIMINARY for each in known if each.revision < revision)


def _documents(ctx: Context, row: Row, report: Report, reading: ReportReading) -> list[tuple[bytes, str]]:
    """The report's own documents, all of them; which bytes they are is kept, because others may stand there tomorrow."""
    found = documents_in(reading)
    if not found:
        raise NeedsPerson(
            "report-without-document",
            f"{report.source} at {row.fulfiller} holds no document",
            "Ask the consulting provider to attach the report to it, then retry.",
        )
    if len(found) < len(reading.attachments):
        ctx.finding(
            "report-many-attachments",
            f"{len(reading.attachments) - len(found)} of {len(reading.attachments)} attachments of "
            "the report were not returned: they are empty, or not the report itself",
            report.source,
            "error",
        )
    limit = ctx.endpoint(row.placer).limits.max_inline_bytes
    try:  # no more is read than could be returned
        documents = documents_of(ctx, row.fulfiller, reading, max_bytes=limit)
    except PermanentError as error:
        if error.cause != TOO_LARGE:
            raise
        raise _too_large(row.placer, f"more than {limit}", limit) from None
    for data, _ in documents:  # who opens the report here sees what was returned
        ctx.world.payloads.put(data)
    digest = ctx.world.payloads.put(list_of([data for data, _ in documents]))
    with ctx.transaction() as conn:
        reports.set_returned(conn, ctx.request_id, report.revision, digest)
    return documents


def _too_large(placer: str, size: object, limit: int) -> NeedsPerson:
    return NeedsPerson(
        "report-too-large",
        f"the report has {size} bytes; {placer} takes {limit} inline",
        "Send it another way and tell the primary care provider, or raise limits.max_inline_bytes.",
    )


def _copies_there(ctx: Context, placer: str, before: int) -> Iterator[str]:
    """``DocumentReference/id`` of the copies there of revisions before this one, newest first."""
    return (found for revision in range(before - 1, 0, -1) if (found := _at_placer(ctx, placer, revision)))


def _at_placer(ctx: Context, placer: str, revision: int) -> str | None:
    """By its link, else by a search: the answer to writing it may have been lost."""
    identifier = report_identifier(ctx, revision)
    with ctx.world.engine.begin() as conn:
        linked = links.find(conn, placer, identifier.system, [identifier.value]).get(identifier.value)
    return linked or find_one(ctx, placer, "DocumentReference", identifier)


def _retract(ctx: Context, row: Row, report: Report) -> tuple[dict, str]:
    """Mark the copy we wrote as entered-in-error; never delete it."""
    reference = next(_copies_there(ctx, row.placer, report.revision), None)
    if reference is None:
        raise NeedsPerson(
            "retraction-unknown",
            f"the retracted report was never written to {row.placer}",
            "Nothing of it is at the primary care EHR; park this delivery.",
        )
    server = ctx.server(row.placer)
    there = server.read(*reference.split("/"))
    if there.get("status") != "entered-in-error":
        there |= {"status": "entered-in-error", "docStatus": "entered-in-error"}
        ctx.lease.before_write()
        with ctx.for_the_reason(Reason.WITHDRAWAL):
            server.update(there, if_match=version_of(there))
    return there, reference


def _supersede(ctx: Context, placer: str, before: int) -> None:
    for reference in _copies_there(ctx, placer, before):
        supersede(ctx, placer, reference, "an earlier revision of the report")


def _keep(ctx: Context, delivery_id: str, identifier: Identifier, sent: dict, reference: str | None = None) -> None:
    """What is written, before it goes; with its ``reference`` when it is there.

    The item is named by the identifier the resource at the placer really carries.
    """
    own = next(
        (each["value"] for each in sent.get("identifier", []) if each.get("system") == identifier.system),
        identifier.value,
    )
    item = dict(source=own, sent_sha256=ctx.world.payloads.put(fhir_json.dumps(sent)), created_by_us=True)
    if reference is not None:
        item |= dict(status="sent", target=reference)
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [item])
