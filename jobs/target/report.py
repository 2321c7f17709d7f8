"""One revision of the consult report as a document on its way to the primary care EHR, and the copies of earlier ones there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from integration import fhir_json
from integration.fhir.transport import TOO_LARGE
from integration.roads.open import road_for
from integration.roads.road import Road
from integration.store import deliveries, further_opinions, links, reports, sendings
from integration.store.reports import Report
from integration.store.requests import Request
from integration.store.sendings import Sending
from jobs.patients import find_patient
from jobs.report_bytes import documents_of, hash_list
from jobs.target.looking import find_one
from jobs.target.sending import Document, TooLarge, place_of, way_of, what_became_of
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.consult_report import ReportReading, documents_in, read_report, to_returned_report
from mappings.fitting import part_of
from mappings.model.delivery import DeliveryKind
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.outgoing import Outgoing, number_in, report_name, visible_of
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.model.roads import RoadName

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


@dataclass(frozen=True)
class Copy:
    """A revision that stands there. ``at``: the endpoint that holds it; ``reference`` None: it is not known what it is called."""

    identifier: Identifier
    road: str
    at: str
    reference: str | None
    sha256: str | None = None  # of what was sent, where the ledger has it

    def named_by(self, road: Road) -> str | None:
        """What it is called where that road leads; a name given elsewhere may be another document there."""
        return self.reference if (self.road, self.at) == (road.name, road.at) else None

    @property
    def resource(self) -> str | None:
        """``DocumentReference/id`` where it is one."""
        is_one = self.reference is not None and self.reference.startswith("DocumentReference/")
        return self.reference if is_one else None


@dataclass
class Returning:
    """One revision on its way to the placer; or of one whose documents go one by one, the ``number``-th, cut from ``whole``."""

    ctx: Context
    row: Request
    request: SecondOpinionRequest
    report: Report
    delivery_id: str
    number: int = 1
    first: Sending | None = None  # the ledger's row of the first one
    whole: Mapping[str, Any] | None = None

    @property
    def is_retracted(self) -> bool:
        """Whether what is there is to be taken back."""
        return self.report.state == reports.RETRACTED

    @property
    def document(self) -> Document:
        """As it is walked along the roads. A copy is taken back by the road by which it went, or a person tells them."""
        roads = [str(each) for each in self.ctx.endpoint(self.row.placer).road_names]
        if self.is_retracted and (copy := self._newest_copy()) is not None:
            roads = list(dict.fromkeys((copy.road, RoadName.DOWNLOAD)))
        return Document(self.row.placer, self.delivery_id, self._identifier(), self.item_for, roads)

    def item_for(self, road: Road) -> Outgoing:
        """For the patient of where the road leads. Raises NeedsPerson."""
        patient, copy = find_patient(self.ctx, road.at, self.request.patient), self._newest_copy()
        if self.is_retracted:
            return self._retraction(patient, copy, road)
        replaced = copy.named_by(road) if copy else None
        cut = self.whole is not None
        resource = self._cut(patient, replaced, road) if cut else self._resource(patient, replaced, road)
        return self._outgoing(patient, resource, copy, road)

    def following(self, first: Sending) -> Iterator["Returning"]:
        """The further documents, after the first is there: those that the whole has, or those to be taken back."""
        whole, of = None, 1
        if self.is_retracted:
            of = most_documents(self.ctx, self.row.placer, self.report.revision)
        elif first.whole_sha256 is not None:
            whole = fhir_json.loads(self.ctx.world.payloads.get(first.whole_sha256))
            of = len(whole["content"])
        for number in range(2, of + 1):
            each = replace(self, number=number, first=first, whole=whole)
            if whole is not None or each._newest_copy() is not None:
                yield each

    def _cut(self, patient: str, replaced: str | None, road: Road) -> dict:
        """That document alone, related to the first one and to the copy that it replaces."""
        made, first = part_of(self.whole or {}, self.number), self.first
        known = first is not None and (first.road, place_of(self.ctx, first)) == (road.name, road.at)
        related = [("replaces", replaced), ("appends", first.reference if first is not None and known else None)]
        targets = [{"code": code, "target": {"reference": each}} for code, each in related if each]
        own = [self._identifier().model_dump()]
        return {**made, "identifier": own, "subject": {"reference": patient}, "relatesTo": targets}

    def _identifier(self) -> Identifier:
        return report_identifier(self.ctx, self.report.revision, self.number)

    def _newest_copy(self) -> Copy | None:
        return next(copies_there(self.ctx, self.row.placer, self.report.revision, self.number), None)

    def _retraction(self, patient: str, copy: Copy | None, road: Road) -> Outgoing:
        """The copy that we wrote is marked as an error, never deleted."""
        if copy is None:
            raise NeedsPerson("retraction-unknown", f"the retracted report was never written to {self.row.placer}")
        return self._outgoing(patient, self._as_it_went(copy), copy, road, retracts=True)

    def _as_it_went(self, copy: Copy) -> dict:
        """What is known of a copy, by the road by which it went."""
        road = road_for(way_of(self.ctx, self.row.placer), copy.road)
        if road is None or copy.sha256 is None:
            return {}
        return dict(road.resource_of(self.ctx.world.payloads.get(copy.sha256)))

    def _outgoing(
        self, patient: str, resource: dict, copy: Copy | None, road: Road, *, retracts: bool = False
    ) -> Outgoing:
        ctx = self.ctx
        with ctx.world.engine.begin() as conn:
            encounter = deliveries.encounter_of(conn, ctx.request_id, DeliveryKind.REPORT)
        return Outgoing(
            request_id=ctx.request_id,
            delivery_id=self.delivery_id,
            identifier=self._identifier(),
            visible=visible_of(ctx.request_id, self._identifier()),
            resource=resource,
            patient=patient,
            author=ctx.endpoint(self.row.fulfiller).name,
            replaces=copy.identifier if copy else None,
            replaces_reference=copy.named_by(road) if copy else None,
            encounter=encounter,
            retracts=retracts,
            part=(self.number, len(self.whole["content"])) if self.whole is not None else None,
        )

    def _resource(self, patient: str, replaced: str | None, road: Road) -> dict:
        ctx, row, report = self.ctx, self.row, self.report
        reading = read_report(fhir_json.loads(ctx.world.payloads.get(report.resource_sha256)), ctx.bases(row.fulfiller))
        for problem in reading.problems:
            unknown = "the report says something of itself that is not understood"
            ctx.finding(problem, REMARKS.get(problem, unknown), report.source)
        (data, content_type), *more = self._documents(reading, road)
        return to_returned_report(
            reading=reading,
            bytes=data,
            content_type=content_type,
            more=more,
            request_id=ctx.request_id,
            identifier=self._identifier(),
            patient=patient,
            service_request=self.request.service_request
            or self.request.placer_order
            or own_identifier(ctx, "ServiceRequest", ctx.request_id),
            revision=report.revision if replaced else 1,
            amends=_amends(ctx, report.revision),
            replaces=replaced,
            author_display=ctx.endpoint(row.fulfiller).name,
        )

    def _documents(self, reading: ReportReading, road: Road) -> list[tuple[bytes, str]]:
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
        documents = self._read(reading) if road.sends else documents_of(ctx, row.fulfiller, reading)
        for data, _ in documents:  # who opens the report here sees what was returned
            ctx.world.payloads.put(data)
        digest = ctx.world.payloads.put(hash_list([data for data, _ in documents]))
        with ctx.transaction() as conn:
            reports.set_returned(conn, ctx.request_id, report.revision, digest)
            further_opinions.report_changed(conn, ctx.request_id)
        return documents

    def _read(self, reading: ReportReading) -> list[tuple[bytes, str]]:
        """No more than could be sent."""
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

    def _too_large(self, size: object, limit: int) -> TooLarge:
        return TooLarge(f"the report has {size} bytes; {self.row.placer} takes {limit} inline")


def report_identifier(ctx: Context, revision: int, number: int = 1) -> Identifier:
    """The stable identifier of one revision of the returned report; ``number``: of its documents, where each goes for itself."""
    return own_identifier(ctx, "DocumentReference", report_name(ctx.request_id, revision, number))


def documents_sent(conn: Connection, delivery_id: str) -> list[Sending]:
    """The ledger's rows of a report: the first document, and the others in their order."""
    rows = [each for each in sendings.of_delivery(conn, delivery_id) if each.value.startswith("DocumentReference/")]
    return sorted(rows, key=lambda each: number_in(each.identifier))


def most_documents(ctx: Context, placer: str, before: int) -> int:
    """Of how many documents a revision before this one was at most, as they went."""
    with ctx.world.engine.begin() as conn:
        earlier = deliveries.of_request(conn, ctx.request_id, DeliveryKind.REPORT)
        rows = [row for each in earlier if each.version < before for row in documents_sent(conn, each.id)]
    return max((number_in(row.identifier) for row in rows if row.endpoint == placer), default=1)


def copies_there(ctx: Context, placer: str, before: int, number: int = 1) -> Iterator[Copy]:
    """The copies there of revisions before this one, newest first; ``number``: of which of its documents.

    One whose answer was lost is looked up first. Raises TemporaryError or NeedsPerson while nobody knows.
    """
    return (found for revision in range(before - 1, 0, -1) if (found := _copy(ctx, placer, revision, number)))


def _copy(ctx: Context, placer: str, revision: int, number: int) -> Copy | None:
    identifier = report_identifier(ctx, revision, number)
    with ctx.world.engine.begin() as conn:
        sending = sendings.find(conn, placer, identifier)
    if sending is None and number > 1:
        return None  # earlier versions sent none
    if sending is None:
        reference = _without_ledger(ctx, placer, identifier)
        return Copy(identifier, RoadName.FHIR_DOCUMENT, placer, reference) if reference else None
    sending = what_became_of(ctx, sending)
    if not sending.is_there:
        return None
    return Copy(identifier, sending.road, place_of(ctx, sending), sending.reference, sending.sha256)


def _without_ledger(ctx: Context, placer: str, identifier: Identifier) -> str | None:
    """Of an earlier version, or before a restore: by its link, else by a search."""
    with ctx.world.engine.begin() as conn:
        linked = links.find(conn, placer, identifier.system, [identifier.value]).get(identifier.value)
    if linked or ctx.endpoint(placer).habits.finds_by_identifier is False:
        return linked
    return find_one(ctx, placer, "DocumentReference", identifier)


def _amends(ctx: Context, revision: int) -> bool:
    """False for a first final report after preliminary ones: nothing that was final is changed by it."""
    with ctx.world.engine.begin() as conn:
        known = reports.of_request(conn, ctx.request_id)
    return any(each.state != reports.PRELIMINARY for each in known if each.revision < revision)
