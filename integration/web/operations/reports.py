"""The consult report of a request, opened in a browser: the bytes that were returned to the primary care EHR."""

import json

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from integration import fhir_json
from integration.store import reports
from integration.store.reports import Report
from integration.store.requests import get as request_row
from integration.views.texts import t
from integration.web import pages, world
from integration.web.operations import looks
from integration.web.operations import requests as request_pages
from integration.web.operations.packets import download_of
from mappings.document_reference import attachments, inline_bytes
from mappings.model.errors import ExchangeError

blueprint = pages.sentences(Blueprint("reports", __name__, url_prefix="/requests/<request_id>/reports"))


@blueprint.post("/<int:revision>")
def look(request_id: str, revision: int) -> ResponseReturnValue:
    """One revision of the report. The look is recorded first, in its own transaction."""
    with world.engine().begin() as conn:
        request_row(conn, request_id)
        row = reports.revision(conn, request_id, revision)
    return looks.recorded(
        "report.looked-at",
        request_id,
        subject=f"report {revision}",
        show=lambda: _shown(row) if row is not None else pages.problem(t("problem.missing"), t("report.missing"), 404),
        refuse=lambda status, why: request_pages.page(request_id, status, report_error=why),
    )


def _returned(row: Report) -> bytes | None:
    """The first document that was returned; None when none was yet, or a restore did not bring its bytes back."""
    try:
        return world.payloads().get(json.loads(world.payloads().get(row.bytes_sha256))[0]) if row.bytes_sha256 else None
    except (ExchangeError, ValueError, LookupError):
        return None


def _shown(row: Report) -> Response:
    """The document's own bytes where it holds any; else the resource as it was read."""
    resource = fhir_json.loads(world.payloads().get(row.resource_sha256))
    name = f"report-{row.revision}"
    found = list(attachments(resource))
    for at in found:
        if data := inline_bytes(at.attachment):
            return download_of(data, at.attachment.get("contentType"), name)
    if (returned := _returned(row)) is not None:
        return download_of(returned, found[0].attachment.get("contentType") if found else None, name)
    return looks.page(
        t("report.content", n=row.revision),
        [looks.pretty("", resource)],
        back=f"/requests/{row.request_id}",
        back_words=t("request.title", id=row.request_id),
        cut_words=t("packet.cut"),
    )
