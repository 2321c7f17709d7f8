"""The documents of a consult report as they stand at the fulfiller: read once to be returned, and again at each look."""

import hashlib
import json
from collections.abc import Iterable

from jobs.world import Context
from mappings.codes import as_text
from mappings.consult_report import ReportReading, documents_in
from mappings.document_reference import inline_bytes
from mappings.references import AttachmentAt

UNKNOWN_TYPE = "application/octet-stream"


def documents_of(
    ctx: Context, endpoint: str, reading: ReportReading, *, max_bytes: int | None = None
) -> list[tuple[bytes, str]]:
    """The report's own documents, all of them: bytes and content type; at most ``max_bytes`` each. Raises as reading does."""
    limit = ctx.world.config.records.max_attachment_bytes if max_bytes is None else max_bytes
    return [_document(ctx, endpoint, each, limit) for each in documents_in(reading)]


def hash_list(documents: Iterable[bytes]) -> bytes:
    """Which bytes they are, as it is kept: the SHA-256 of each, in order."""
    return json.dumps([hashlib.sha256(each).hexdigest() for each in documents]).encode()


def _document(ctx: Context, endpoint: str, at: AttachmentAt, limit: int) -> tuple[bytes, str]:
    """Its bytes: inline, or read from the fulfiller."""
    said = as_text(at.attachment.get("contentType"))
    data = inline_bytes(at.attachment)
    if data is not None:
        return data, said or UNKNOWN_TYPE
    address = at.target or at.attachment["url"]
    server, path = ctx.content_host(endpoint, address.strip()) or (ctx.server(endpoint), address)
    content = server.binary(path, content_type=said, max_bytes=limit)
    return content.data, said or content.content_type or UNKNOWN_TYPE
