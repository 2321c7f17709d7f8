"""The earlier opinions of a case in the packet of a later request: only when the patient said so, and what we hold of them."""

import hashlib
import json
from collections.abc import Iterator

from integration import fhir_json
from integration.store import reports, requests
from integration.store.reports import Report
from integration.store.requests import Request
from jobs.report_bytes import UNKNOWN_TYPE
from jobs.source.chart import Chart
from jobs.world import Context
from mappings.codes import as_dicts, as_text
from mappings.consult_report import ReportReading, documents_in, read_report
from mappings.earlier_opinion import (
    RETRACTED,
    STAYS,
    EarlierOpinion,
    OpinionDocument,
    attachment_place,
    name_of,
    resource,
)
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest

KEPT_OUT = "earlier-opinion-kept-out"


def earlier_of(ctx: Context) -> list[tuple[Request, Report | None]]:
    """The requests of the case that came before this one, each with the newest report that is not preliminary."""
    row = ctx.row()
    with ctx.world.engine.connect() as conn:
        before = [each for each in requests.of_case(conn, row.case) if each.id != row.id and _came_first(each, row)]
        return [(each, reports.newest(conn, each.id)) for each in before]


def _came_first(each: Request, row: Request) -> bool:
    return (each.created_at, each.id) < (row.created_at, row.id)


def join_opinions(ctx: Context, request: SecondOpinionRequest, chart: Chart) -> None:
    """Each of them as a document of the patient; what may not go along, or was retracted, is taken back where it went."""
    for earlier, report in earlier_of(ctx):
        name = name_of(earlier.id)
        if not request.earlier_travel:
            chart.taken_back[name] = STAYS
        elif report is not None and report.state == reports.RETRACTED:
            chart.taken_back[name] = RETRACTED
        elif report is not None and report.bytes_sha256 is None:
            words = "the newest revision of an earlier opinion is not fetched yet; it goes along when it is"
            ctx.finding("earlier-opinion-waits", words, name, "info")
        elif report is not None:
            _join(chart, _opinion(ctx, request, earlier, report))
    chart.resources.sort()


def _join(chart: Chart, opinion: EarlierOpinion) -> None:
    name = name_of(opinion.request_id)
    chart.resources[name] = resource(opinion, chart.patient)
    for index, each in enumerate(opinion.documents):
        place = attachment_place(opinion.request_id, index)
        item = ManifestItem(
            source=name, kind="attachment", size=each.size, sha256=each.sha256, of=place, content_type=each.content_type
        )
        chart.received.append(item)


def _opinion(ctx: Context, request: SecondOpinionRequest, earlier: Request, report: Report) -> EarlierOpinion:
    found = fhir_json.loads(ctx.world.payloads.get(report.resource_sha256))
    reading, said = read_report(found), request.earlier_opinions
    endpoint = ctx.config.endpoints.get(earlier.fulfiller)
    return EarlierOpinion(
        request_id=earlier.id,
        number=requests.content(earlier).opinion_number,
        revision=report.revision,
        is_amended=report.state == reports.AMENDED,
        by=endpoint.name if endpoint else earlier.fulfiller,
        authors=tuple(filter(None, (as_text(each.get("display")) for each in as_dicts(found.get("author"))))),
        dated=reading.date,
        agreed=(said.said_by, said.said_on.isoformat()) if said else ("", ""),
        documents=tuple(_documents(ctx, report, reading)),
    )


def _documents(ctx: Context, report: Report, reading: ReportReading) -> Iterator[OpinionDocument]:
    kinds = [as_text(each.attachment.get("contentType")) for each in documents_in(reading)]
    for number, digest in enumerate(_hashes(ctx, report)):
        sha1, size = hashlib.sha1(usedforsecurity=False), 0
        for block in ctx.world.payloads.open(digest):
            sha1.update(block)
            size += len(block)
        kind = (kinds[number] if number < len(kinds) else None) or UNKNOWN_TYPE
        yield OpinionDocument(digest, sha1.hexdigest(), size, kind)


def _hashes(ctx: Context, report: Report) -> list[str]:
    return json.loads(ctx.world.payloads.get(report.bytes_sha256)) if report.bytes_sha256 else []


def without_copies(ctx: Context, chart: Chart, items: list[ManifestItem]) -> list[ManifestItem]:
    """The attachments without copies of the case's own reports that a chart holds, byte for byte; their records go too.

    They were filed there by whatever road: what goes along of an earlier opinion is what the patient agreed to.
    """
    with ctx.world.engine.connect() as conn:
        held = [each for one in requests.of_case(conn, ctx.row().case) for each in reports.of_request(conn, one.id)]
    known = {digest for each in held for digest in _hashes(ctx, each)}
    given = {each.source for each in chart.received}
    copies = {each.source for each in items if each.sha256 in known and each.source not in given}
    for source in copies:
        words = "it is the report of an opinion of this case; an earlier opinion goes along only as the patient said"
        ctx.finding(KEPT_OUT, words, source, "info")
        del chart.resources[source]
        chart.left_out.add(source)
    return [each for each in items if each.source not in copies]
