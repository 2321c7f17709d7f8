"""The consult report: found among what the fulfiller shows, read, and written back to the primary care EHR.

https://hl7.org/fhir/R4/documentreference.html  https://hl7.org/fhir/R4/diagnosticreport.html
Servers show one scanned report both ways (US Core); both readings carry the same attachments, so compare those.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mappings import codes
from mappings.addresses import Bases
from mappings.codes import as_dict, as_dicts, as_text
from mappings.document_reference import (
    DOC_STATUSES,
    STATUSES,
    AttachmentAt,
    attachments,
    to_attachment,
    to_document_reference,
)
from mappings.identifiers import identifiers_in, local_reference, source_identifier, to_identifier
from mappings.model.errors import MappingError
from mappings.model.request import Identifier
from mappings.times import as_date_time, as_instant

KINDS = ("DocumentReference", "DiagnosticReport")
# https://hl7.org/fhir/R4/valueset-diagnostic-report-status.html
REPORT_STATUSES = (
    "registered",
    "partial",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "appended",
    "cancelled",
    "entered-in-error",
    "unknown",
)
_CHANGED = ("amended", "corrected", "appended")


@dataclass(frozen=True)
class ReportReading:
    """What a report says about itself. ``problems`` are cause words (report.not-final, ...)."""

    kind: str
    reference: str | None
    identifier: Identifier | None
    version: str | None
    status: str | None
    doc_status: str | None
    patient: str | None
    related: tuple[str, ...]
    related_identifiers: tuple[Identifier, ...]
    replaces: tuple[str, ...]
    attachments: tuple[AttachmentAt, ...]
    date: str | None
    period_end: str | None
    is_consult_note: bool
    final: bool
    amended: bool
    retracted: bool
    problems: tuple[str, ...] = ()

    @property
    def preliminary(self) -> bool:
        """Not final yet, and something that may be shown meanwhile."""
        said = (self.status, self.doc_status)
        return not self.final and self.stands and ("preliminary" in said or self.status == "partial")

    @property
    def stands(self) -> bool:
        """False when it is marked as an error, or as superseded by another."""
        return not self.retracted and self.status != "superseded"


def read_report(resource: dict, base: Bases = None) -> ReportReading:
    """One report; a MappingError only for another kind of resource. ``base``: the server it was read from."""
    kind = as_dict(resource).get("resourceType")
    if kind not in KINDS:
        raise MappingError("resourceType", "is neither DocumentReference nor DiagnosticReport")
    return _complete(resource, _read_document(resource, base) if kind == KINDS[0] else _read_diagnostic(resource), base)


def to_return_first(readings: Sequence[ReportReading]) -> ReportReading:
    """The report to return of several: one that stands, is not replaced by another of them, is a consult note, is final."""
    replaced = {each for reading in readings for each in reading.replaces}
    return min(
        readings,
        key=lambda each: (not each.stands, each.reference in replaced, not each.is_consult_note, not each.final),
    )


def successor(readings: Sequence[ReportReading], source: str) -> ReportReading | None:
    """The one that says it replaces ``source``, directly or through others; None unless it stands and is final."""
    line: set[str | None] = {source}
    newest: ReportReading | None = None
    left = [each for each in readings if not each.retracted and each.reference != source]
    while following := next((each for each in left if line & {*each.replaces}), None):
        left.remove(following)
        line.add(following.reference)
        newest = following
    return newest if newest and newest.stands and newest.final else None


def carries_the_same(one: ReportReading, other: ReportReading) -> bool:
    """True when both are one document shown in two ways: the same attachments."""
    said = [
        [(at.target or at.attachment.get("url"), at.attachment.get("data")) for at in each.attachments]
        for each in (one, other)
    ]
    return bool(said[0]) and said[0] == said[1]


def points_to(reading: ReportReading, service_request: str | None, identifier: Identifier) -> bool:
    """True when a report says itself that it answers this request: by reference there, or by the request's identifier."""
    return service_request in reading.related or identifier in reading.related_identifiers


def documents_in(reading: ReportReading) -> list[AttachmentAt]:
    """The Attachments that are the report: its own, else those inside what it contains; only those with bytes or an address."""
    usable = [
        each
        for each in reading.attachments
        if as_text(each.attachment.get("data")) or as_text(each.attachment.get("url"))
    ]
    own = [
        each for each in usable if each.path.startswith((f"{reading.kind}.content[", f"{reading.kind}.presentedForm["))
    ]
    return own or usable


def to_returned_report(
    *,
    reading: ReportReading,
    bytes: bytes,
    content_type: str,
    request_id: str,
    identifier: Identifier,
    patient: str,
    service_request: str | Identifier,
    revision: int,
    replaces: str | None,
    author_display: str | None,
    more: Sequence[tuple[bytes, str]] = (),
    amends: bool | None = None,
) -> dict:
    """The report as one DocumentReference for the primary care EHR; ``more``: further documents of it, with their types.

    ``patient`` and ``service_request`` are the EHR's own; ``revision`` counts from 1, and from 2 on ``replaces``
    names the EHR's copy of the one before. ``amends``: False when what it replaces was only preliminary. A retracted report
    is written as entered-in-error.
    """
    if revision > 1 and not replaces:
        raise MappingError("DocumentReference.relatesTo", "a later revision must name the copy it replaces")
    titles = _titles(reading, revision, 1 + len(more))
    made = to_document_reference(
        identifier=identifier,
        patient=patient,
        type_code=codes.CONSULTATION_NOTE,
        title=titles[0],
        content_type=content_type,
        data=bytes,
        date=reading.date,
        period_end=reading.period_end,
        related=_related(service_request, identifier.system, request_id),
        author=[{"display": author_display}] if author_display else [],
        replaces=replaces,
        status="entered-in-error" if reading.retracted else "current",
        doc_status=_doc_status(reading, revision > 1 if amends is None else amends),
    )
    made["content"] += [
        {"attachment": to_attachment(kind, data, title)} for (data, kind), title in zip(more, titles[1:], strict=True)
    ]
    return made


def _read_document(resource: dict, base: Bases) -> dict:
    status, doc_status = resource.get("status"), resource.get("docStatus")
    links = as_dicts(resource.get("relatesTo"))
    context = as_dict(resource.get("context"))
    return {
        "status": as_text(status),
        "doc_status": as_text(doc_status),
        "type": resource.get("type"),
        "related": as_dicts(context.get("related")),
        "replaces": _references(
            (as_dict(each.get("target")) for each in links if each.get("code") == "replaces"), base
        ),
        "date": as_text(resource.get("date")),
        "period_end": as_text(as_dict(context.get("period")).get("end")),
        "conclusion": None,
        # Many EHRs leave docStatus out: current then has to do.
        "final": status == "current" and doc_status in (None, "final", "amended"),
        "amended": doc_status == "amended" or any(each.get("code") in ("replaces", "appends") for each in links),
        "retracted": "entered-in-error" in (status, doc_status),
        "problems": _status_problems(status, STATUSES, doc_status),
    }


def _read_diagnostic(resource: dict) -> dict:
    status = resource.get("status")
    period = as_dict(resource.get("effectivePeriod")).get("end")
    return {
        "status": as_text(status),
        "doc_status": None,
        "type": resource.get("code"),
        "related": as_dicts(resource.get("basedOn")),
        "replaces": (),
        "date": as_text(resource.get("issued")),
        "period_end": as_text(resource.get("effectiveDateTime")) or as_text(period),
        "conclusion": as_text(resource.get("conclusion")),
        "final": status == "final" or status in _CHANGED,
        "amended": status in _CHANGED,
        "retracted": status == "entered-in-error",
        "problems": _status_problems(status, REPORT_STATUSES, None),
    }


def _complete(resource: dict, read: dict, base: Bases) -> ReportReading:
    found = tuple(attachments(resource, source_base=base)) or _in_words(read["conclusion"])
    patient = as_text(as_dict(resource.get("subject")).get("reference"))
    logical_id = as_text(resource.get("id"))
    named = to_identifier(resource.get("masterIdentifier")) or next(iter(identifiers_in(resource)), None)
    return ReportReading(
        kind=resource["resourceType"],
        reference=f"{resource['resourceType']}/{logical_id}" if logical_id else None,
        identifier=named,
        version=as_text(as_dict(resource.get("meta")).get("versionId")),
        status=read["status"],
        doc_status=read["doc_status"],
        patient=local_reference(patient, base) or patient,
        related=_references(read["related"], base),
        related_identifiers=tuple(filter(None, (to_identifier(each.get("identifier")) for each in read["related"]))),
        replaces=read["replaces"],
        attachments=found,
        date=as_instant(read["date"]),
        period_end=as_date_time(read["period_end"]) or as_date_time(read["date"]),
        is_consult_note=codes.has_code(read["type"], codes.CONSULTATION_NOTE),
        final=read["final"],
        amended=read["amended"],
        retracted=read["retracted"],
        problems=(*read["problems"], *_content_problems(read, patient, found)),
    )


def _status_problems(status: object, known: tuple[str, ...], doc_status: object) -> tuple[str, ...]:
    problems = [] if status in known else ["report.unknown-status"]
    if status == "superseded":
        problems.append("report.superseded")
    if doc_status is not None and doc_status not in DOC_STATUSES:
        problems.append("report.unknown-doc-status")
    return tuple(problems)


def _content_problems(read: dict, patient: str | None, found: tuple[AttachmentAt, ...]) -> list[str]:
    problems = [] if patient else ["report.no-patient"]
    if read["date"] and not as_instant(read["date"]):
        problems.append("report.date-not-an-instant")
    if read["period_end"] and not as_date_time(read["period_end"]):
        problems.append("report.period-not-a-date-time")
    if not found:
        problems.append("report.no-attachment")
    return problems if read["final"] or read["retracted"] else [*problems, "report.not-final"]


def _in_words(conclusion: str | None) -> tuple[AttachmentAt, ...]:
    """A report that holds no document and whose conclusion stands in words: these words are the document."""
    if conclusion is None:
        return ()
    data = base64.b64encode(conclusion.encode("utf-8", "replace")).decode("ascii")
    return (
        AttachmentAt("DiagnosticReport.conclusion", {"contentType": "text/plain; charset=utf-8", "data": data}, None),
    )


def _references(found: Iterable[dict], base: Bases) -> tuple[str, ...]:
    texts = (as_text(each.get("reference")) for each in found)
    return tuple(local_reference(text, base) or text for text in texts if text)


def _related(service_request: str | Identifier, system: str, request_id: str) -> list[dict]:
    """The EHR's own request, and ours by identifier so that a report can always be traced to it."""
    ours = {"type": "ServiceRequest", "identifier": source_identifier(system, "ServiceRequest", request_id)}
    if isinstance(service_request, Identifier):
        theirs = {"type": "ServiceRequest", "identifier": service_request.model_dump()}
        return [theirs] if theirs == ours else [theirs, ours]
    return [{"reference": service_request}, ours]


def _title(reading: ReportReading, revision: int) -> str:
    if reading.retracted:
        return "Second opinion consult report (retracted)"
    return "Second opinion consult report" if revision == 1 else f"Second opinion consult report, revision {revision}"


def _titles(reading: ReportReading, revision: int, count: int) -> list[str]:
    title = _title(reading, revision)
    return [title] if count == 1 else [f"{title} ({number} of {count})" for number in range(1, count + 1)]


def _doc_status(reading: ReportReading, amends: bool) -> str:
    if reading.retracted:
        return "entered-in-error"
    if reading.final:
        return "amended" if reading.amended or amends else "final"
    if reading.preliminary:
        return "preliminary"
    raise MappingError(f"{reading.kind}.status", "is neither final, preliminary nor entered-in-error: not returned")
