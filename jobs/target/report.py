"""One revision of the consult report as a document on its way to the primary care EHR, and the copies of earlier ones there."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Row

from integration import fhir_json
from integration.fhir.transport import TOO_LARGE
from integration.store import deliveries, links, reports, sendings
from integration.store.reports import Report
from integration.store.sendings import Sending
from jobs.patients import find_patient
from jobs.report_bytes import documents_of, list_of
from jobs.target.looking import find_one
from jobs.target.sending import Document, look_up
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.consult_report import ReportReading, documents_in, read_report, to_returned_report
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.outgoing import Outgoing, visible_reference
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.model.sending import SendingState

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


@dataclass
class Returning:
    """One revision on its way to the placer."""

    ctx: Context
    row: Row
    request: SecondOpinionRequest
    report: Report
    delivery_id: str

    @property
    def document(self) -> Document:
        """As it is walked along the roads."""
        roads = [str(each) for each in self.ctx.endpoint(self.row.placer).road_names]
        return Document(self.row.placer, self.delivery_id, self._identifier(), self.item_at, roads)

    def item_at(self, endpoint: str) -> Outgoing:
        """For the patient of that endpoint. Raises NeedsPerson."""
        patient = find_patient(self.ctx, endpoint, self.request.patient)
        return self._retraction(patient) if self.report.state == "retracted" else self._item(patient)

    def _identifier(self) -> Identifier:
        return report_identifier(self.ctx, self.report.revision)

    def _item(self, patient: str) -> Outgoing:
        replaced = next(copies_there(self.ctx, self.row.placer, self.report.revision), None)
        return self._outgoing(patient, self._resource(patient, replaced), replaced)

    def _retraction(self, patient: str) -> Outgoing:
        """The copy that we wrote is marked as an error, never deleted."""
        ctx, placer = self.ctx, self.row.placer
        copy = next(copies_there(ctx, placer, self.report.revision), None)
        resource = {} if copy is None else _as_written(ctx, placer, self.report.revision)
        if copy is None and not _was_handed_over(ctx, placer, self.report.revision):
            raise NeedsPerson("retraction-unknown", f"the retracted report was never written to {placer}")
        return self._outgoing(patient, resource, copy, retracts=True)

    def _outgoing(self, patient: str, resource: dict, replaced: str | None, *, retracts: bool = False) -> Outgoing:
        ctx, revision = self.ctx, self.report.revision
        with ctx.world.engine.begin() as conn:
            encounter = deliveries.encounter_of(conn, ctx.request_id)
        return Outgoing(
            request_id=ctx.request_id,
            delivery_id=self.delivery_id,
            identifier=self._identifier(),
            visible=visible_reference(ctx.request_id, revision),
            resource=resource,
            patient=patient,
            author=ctx.endpoint(self.row.fulfiller).name,
            replaces=report_identifier(ctx, revision - 1) if replaced else None,
            replaces_reference=replaced,
            encounter=encounter,
            retracts=retracts,
        )

    def _resource(self, patient: str, replaced: str | None) -> dict:
        ctx, row, report = self.ctx, self.row, self.report
        reading = read_report(fhir_json.loads(ctx.world.payloads.get(report.resource_sha256)), ctx.bases(row.fulfiller))
        for problem in reading.problems:
            unknown = "the report says something of itself that is not understood"
            ctx.finding(problem, REMARKS.get(problem, unknown), report.source)
        (data, content_type), *more = self._documents(reading)
        return to_returned_report(
            reading=reading,
            bytes=data,
            content_type=content_type,
            more=more,
            request_id=ctx.request_id,
            identifier=self._identifier(),
            patient=patient,
            service_request=self.request.service_request or own_identifier(ctx, "ServiceRequest", ctx.request_id),
            revision=report.revision if replaced else 1,
            amends=_amends(ctx, report.revision),
            replaces=replaced,
            author_display=ctx.endpoint(row.fulfiller).name,
        )

    def _documents(self, reading: ReportReading) -> list[tuple[bytes, str]]:
        """The report's own documents, all of them; which bytes they are is kept, because others may stand there tomorrow."""
        ctx, row, report = self.ctx, self.row, self.report
        found = documents_in(reading)
        if not found:
            raise NeedsPerson("report-without-document", f"{report.source} at {row.fulfiller} holds no document")
        if len(found) < len(reading.attachments):
            left = len(reading.attachments) - len(found)
            ctx.finding(
                "report-many-attachments",
                f"{left} of {len(reading.attachments)} attachments of the report were not returned: they are empty, or not "
                "the report itself",
                report.source,
                "error",
            )
        documents = self._read(reading)
        for data, _ in documents:  # who opens the report here sees what was returned
            ctx.world.payloads.put(data)
        digest = ctx.world.payloads.put(list_of([data for data, _ in documents]))
        with ctx.transaction() as conn:
            reports.set_returned(conn, ctx.request_id, report.revision, digest)
        return documents

    def _read(self, reading: ReportReading) -> list[tuple[bytes, str]]:
        """No more than could be returned."""
        limit = self.ctx.endpoint(self.row.placer).limits.max_inline_bytes
        try:
            documents = documents_of(self.ctx, self.row.fulfiller, reading, max_bytes=limit)
        except PermanentError as error:
            if error.cause != TOO_LARGE:
                raise
            raise self._too_large(f"more than {limit}", limit) from None
        size = sum(len(data) for data, _ in documents)
        if size > limit:
            raise self._too_large(size, limit)
        return documents

    def _too_large(self, size: object, limit: int) -> NeedsPerson:
        return NeedsPerson("report-too-large", f"the report has {size} bytes; {self.row.placer} takes {limit} inline")


def report_identifier(ctx: Context, revision: int) -> Identifier:
    """The stable identifier of one revision of the returned report."""
    return own_identifier(ctx, "DocumentReference", f"{ctx.request_id}-report-{revision}")


def copies_there(ctx: Context, placer: str, before: int) -> Iterator[str]:
    """``DocumentReference/id`` of the copies there of revisions before this one, newest first.

    One whose answer was lost is looked up first. Raises TemporaryError or NeedsPerson while nobody knows.
    """
    return (found for revision in range(before - 1, 0, -1) if (found := _copy(ctx, placer, revision)))


def _copy(ctx: Context, placer: str, revision: int) -> str | None:
    sending = _sending(ctx, placer, revision)
    if sending is not None and sending.state == SendingState.BEGUN:
        look_up(ctx, sending)
        sending = _sending(ctx, placer, revision)
    if sending is not None:
        return sending.reference if sending.is_there else None
    identifier = report_identifier(ctx, revision)  # of an earlier version, or before a restore: there is no row
    with ctx.world.engine.begin() as conn:
        linked = links.find(conn, placer, identifier.system, [identifier.value]).get(identifier.value)
    if linked or ctx.endpoint(placer).habits.finds_by_identifier is False:
        return linked
    return find_one(ctx, placer, "DocumentReference", identifier)


def _sending(ctx: Context, placer: str, revision: int) -> Sending | None:
    with ctx.world.engine.begin() as conn:
        return sendings.find(conn, placer, report_identifier(ctx, revision))


def _as_written(ctx: Context, placer: str, before: int) -> dict:
    """The newest copy before this one as it was sent; empty where that is not known."""
    for revision in range(before - 1, 0, -1):
        sending = _sending(ctx, placer, revision)
        if sending is not None and sending.is_there and sending.sha256:
            return fhir_json.loads(ctx.world.payloads.get(sending.sha256))
    return {}


def _was_handed_over(ctx: Context, placer: str, before: int) -> bool:
    earlier = (_sending(ctx, placer, revision) for revision in range(before - 1, 0, -1))
    return any(each is not None and each.is_there for each in earlier)


def _amends(ctx: Context, revision: int) -> bool:
    """False for a first final report after preliminary ones: nothing that was final is changed by it."""
    with ctx.world.engine.begin() as conn:
        known = reports.of_request(conn, ctx.request_id)
    return any(each.state != reports.PRELIMINARY for each in known if each.revision < revision)
