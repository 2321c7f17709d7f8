"""The newest report of a request beside the first opinion, for pages: its own words, and who has read it."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import Engine

from integration import fhir_json
from integration.packets.payloads import Payloads
from integration.packets.pdf_words import words_of_pdf
from integration.store import acknowledgments, audit, reports, requests
from integration.store.reports import Report
from integration.views.opinion import Opinion, ReportDocument
from mappings.document_reference import attachments, inline_bytes
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest
from mappings.written_report import QUESTION, WrittenParts, read_written_report, sections, unwrapped

LARGEST_SHOWN = 200_000  # characters of one document
_PAGE_NUMBER = re.compile(r"^page \d+ of \d+$", re.M | re.I)
NO_WORDS = "there are no words to show; open it as it is"


def opinion(engine: Engine, payloads: Payloads, request_id: str, *, actor: str, reason: str | None = None) -> Opinion:
    """What was asked, what the first opinion was, and what the newest report says; the look of ``actor`` is recorded first.

    Raises UnknownRequest. A document whose words cannot be shown says why.
    """
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        report, said = reports.newest(conn, request_id), acknowledgments.of_request(conn, request_id)
        subject = f"report {report.revision}" if report else None
        audit.record(conn, actor, "opinion.looked-at", request_id, subject=subject, reason=reason)
    if report is None:
        return Opinion(request_id, content, None, (), tuple(said))
    parts = _parts(payloads, report)
    documents = tuple(each_once(_as_typed(each, content, parts) for each in _documents(payloads, report)))
    return Opinion(request_id, content, report, documents, tuple(said), parts)


def _parts(payloads: Payloads, report: Report) -> WrittenParts:
    """What its author coded in it: nothing is derived from its words."""
    try:
        return read_written_report(fhir_json.loads(payloads.get(report.resource_sha256)))
    except (ExchangeError, ValueError):
        return WrittenParts(None)  # what stands in the place of its documents says why


def _as_typed(document: ReportDocument, content: SecondOpinionRequest, parts: WrittenParts) -> ReportDocument:
    """A text that was broken into lines for systems of 80 columns, with its paragraphs as they were typed: a phone breaks them itself."""
    if not document.words or parts.report is None:
        return document
    own = [each for _, paragraphs in sections(parts.report) for each in paragraphs]
    asked = [f"{QUESTION}{content.question}"] if content.question else []
    return replace(document, words=unwrapped(document.words, [*asked, *own]))


def each_once(documents: Iterable[ReportDocument]) -> Iterator[ReportDocument]:
    """The documents, each told whether one before it says the same, word for word: a text and its PDF.

    White space, and the lines in which a PDF numbers its pages, are no words.
    """
    seen: dict[str, int] = {}
    for number, each in enumerate(documents, 1):
        words = "".join(_PAGE_NUMBER.sub("", each.words or "").split())
        yield replace(each, same_as=seen.get(words)) if words and not each.why else each
        seen.setdefault(words, number)


def _documents(payloads: Payloads, report: Report) -> Iterator[ReportDocument]:
    try:
        resource = fhir_json.loads(payloads.get(report.resource_sha256))
        found = list(attachments(resource))
        hashes = json.loads(payloads.get(report.bytes_sha256)) if report.bytes_sha256 else []
        data = [payloads.get(each) for each in hashes] or [inline_bytes(at.attachment) or b"" for at in found]
    except (ExchangeError, ValueError, LookupError):
        yield ReportDocument("", 0, None, "its bytes are not in the payload store: they may not be restored yet")
        return
    kinds = [at.attachment.get("contentType") for at in found]
    for number, each in enumerate(data):
        yield _document(each, str(kinds[number]) if number < len(kinds) and kinds[number] else "")


def _document(data: bytes, content_type: str) -> ReportDocument:
    """Its words as they stand in it, where it is text or a PDF that holds words."""
    words, why = _words(data, content_type.partition(";")[0].strip().lower())
    if words and len(words) > LARGEST_SHOWN:
        words, why = words[:LARGEST_SHOWN], f"only the first {LARGEST_SHOWN} characters are shown; open it as it is"
    return ReportDocument(content_type, len(data), words, why)


def _words(data: bytes, kind: str) -> tuple[str | None, str]:
    if not data:
        return None, "it was not fetched yet"
    if kind == "text/plain":
        return data.decode("utf-8", "replace"), ""
    if kind == "application/pdf" or data[:5] == b"%PDF-":
        found = words_of_pdf(data, seconds=10)
        if isinstance(found, str):
            return None, found
        pictures = f"{found.pictures} pictures in it are not shown here; open it as it is" if found.pictures else ""
        return (found.words, pictures) if found.words.strip() else (None, NO_WORDS)
    return None, NO_WORDS
