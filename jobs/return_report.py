"""Return the consult report to the primary care EHR: one DocumentReference with inline bytes, and once."""
from sqlalchemy import select

from integration import fhir_json
from integration.store import deliveries, links
from integration.store.steps import NextStep
from integration.store.tables import reports
from jobs.match_people import find_patient
from jobs.world import Context, Outcome
from jobs.writing import ensure_document, own_identifier
from mappings.consult_report import read_report, to_returned_report
from mappings.document_reference import inline_bytes
from mappings.model.delivery import DeliveryKind, DeliveryStatus
from mappings.model.errors import NeedsPerson
from mappings.model.request import Identifier


def return_report(ctx: Context) -> Outcome:
    """Fetch the report's bytes at the fulfiller, write them at the placer, keep what was sent for the read-back."""
    row, request = ctx.row(), ctx.request()
    report = _newest(ctx)
    resource = fhir_json.loads(ctx.world.payloads.get(report.resource_sha256))
    patient = find_patient(ctx, row.placer, request.patient)
    with ctx.transaction() as conn:
        delivery_id = deliveries.create(conn, ctx.request_id, row.placer, DeliveryKind.REPORT, version=report.revision)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
    identifier = report_identifier(ctx, report.revision)
    if report.state == "retracted":
        sent, reference = _retract(ctx, row, report)
    else:
        sent = _to_send(ctx, row, request, report, resource, patient, identifier)
        reference = ensure_document(ctx, row.placer, sent, identifier)
    _keep(ctx, delivery_id, identifier, sent, reference)
    return Outcome(next_steps=(NextStep("verify_report", row.placer, delivery_id=delivery_id),),
                   apply=[lambda conn: deliveries.move(conn, delivery_id, DeliveryStatus.SENT)])


def report_identifier(ctx: Context, revision: int) -> Identifier:
    """The stable identifier of one revision of the returned report."""
    return own_identifier(ctx, "DocumentReference", f"{ctx.request_id}-report-{revision}")


def _newest(ctx: Context):
    with ctx.world.engine.begin() as conn:
        return conn.execute(select(reports).where(reports.c.request_id == ctx.request_id)
                            .order_by(reports.c.revision.desc()).limit(1)).one()


def _to_send(ctx: Context, row, request, report, resource: dict, patient: str, identifier: Identifier) -> dict:
    reading = read_report(resource)
    data, content_type = _bytes(ctx, row, report, reading)
    limit = ctx.endpoint(row.placer).limits.max_inline_bytes
    if len(data) > limit:
        raise NeedsPerson("report-too-large", f"the report has {len(data)} bytes; {row.placer} takes {limit} inline",
                          "Send it another way and tell the primary care provider, or raise limits.max_inline_bytes.")
    replaced = _at_placer(ctx, row.placer, report.revision - 1)
    ours = own_identifier(ctx, "ServiceRequest", ctx.request_id)
    return to_returned_report(reading=reading, bytes=data, content_type=content_type, request_id=ctx.request_id,
                              identifier=identifier, patient=patient, service_request=request.service_request or ours,
                              revision=report.revision, replaces=replaced,
                              author_display=ctx.endpoint(row.fulfiller).name)


def _bytes(ctx: Context, row, report, reading) -> tuple[bytes, str]:
    """The report's own bytes: inline, or read from the fulfiller."""
    if not reading.attachments:
        raise NeedsPerson("report-without-document", f"{report.source} at {row.fulfiller} holds no document",
                          "Ask the consulting provider to attach the report to it, then retry.")
    if len(reading.attachments) > 1:
        ctx.finding("report-many-attachments", f"the report has {len(reading.attachments)} attachments; the first was returned, "
                    "the others stay at the fulfiller", report.source, "error")
    attachment = reading.attachments[0].attachment
    said = attachment.get("contentType")
    data = inline_bytes(attachment)
    if data is not None:
        return data, said or "application/octet-stream"
    content = ctx.server(row.fulfiller).binary(attachment["url"], content_type=said,
                                               max_bytes=ctx.world.config.records.max_attachment_bytes)
    return content.data, said or content.content_type


def _at_placer(ctx: Context, placer: str, revision: int) -> str | None:
    """``DocumentReference/id`` of an earlier revision there."""
    if revision < 1:
        return None
    identifier = report_identifier(ctx, revision)
    with ctx.world.engine.begin() as conn:
        return links.find(conn, placer, identifier.system, [identifier.value]).get(identifier.value)


def _retract(ctx: Context, row, report) -> tuple[dict, str]:
    """Mark the copy we wrote as entered-in-error; never delete it."""
    reference = next((found for revision in range(report.revision - 1, 0, -1)
                      if (found := _at_placer(ctx, row.placer, revision))), None)
    if reference is None:
        raise NeedsPerson("retraction-unknown", f"the retracted report was never written to {row.placer}",
                          "Nothing of it is at the primary care EHR; park this delivery.")
    server = ctx.server(row.placer)
    there = server.read(*reference.split("/"))
    if there.get("status") != "entered-in-error":
        there |= {"status": "entered-in-error", "docStatus": "entered-in-error"}
        ctx.lease.before_write()
        server.update(there, if_match=(there.get("meta") or {}).get("versionId"))
    return there, reference


def _keep(ctx: Context, delivery_id: str, identifier: Identifier, sent: dict, reference: str) -> None:
    """The item is named by the identifier the resource at the placer really carries."""
    own = next((each["value"] for each in sent.get("identifier", []) if each.get("system") == identifier.system), identifier.value)
    digest = ctx.world.payloads.put(fhir_json.dumps(sent))
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [dict(source=own, status="sent", target=reference,
                                                       sent_sha256=digest, created_by_us=True)])
