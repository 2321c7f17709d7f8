"""Fetches the bytes behind every attachment of a chart; one that cannot be had makes the chart partial."""

from integration.fhir.server import FhirServer
from integration.packets.payloads import Stored
from jobs.world import Context
from mappings.document_reference import attachments, hash_form, inline_bytes
from mappings.model.errors import MappingError, PartialError, PermanentError
from mappings.model.packet import ManifestItem


def attachment_items(ctx: Context, request, chart: dict[str, dict]) -> list[ManifestItem]:
    """A manifest line for each attachment of the chart, its bytes stored. Raises PartialError naming all that are missing."""
    server, limit = ctx.server(request.placer), ctx.world.config.records.max_attachment_bytes
    fetched: dict[str, tuple[str, int, str | None]] = {}
    items, problems = [], []
    for source, resource in chart.items():
        for at in attachments(resource):
            try:
                item = _attachment_item(ctx, server, f"{source}#{at.path}", source, at.attachment, fetched, limit)
            except (MappingError, PermanentError) as error:
                problems.append(f"{source}#{at.path}: {error}")
                continue
            items += [item] if item is not None else []
    if problems:
        raise PartialError(problems)
    return items


def _attachment_item(
    ctx: Context, server: FhirServer, of: str, source: str, attachment: dict, fetched: dict, limit: int
) -> ManifestItem | None:
    if "data" in attachment:
        return _inline_item(ctx, of, source, attachment)
    url = attachment.get("url")
    if url is None:
        return None
    if url.startswith(("urn:", "data:", "#")) or "://" in url and not server.transport.is_ours(url):
        ctx.finding(
            "attachment-elsewhere", "the attachment is not on the placer's server; its address travels as it is", of
        )
        return None
    if url not in fetched:
        stored, content_type = server.save_binary(
            url, ctx.world.payloads.put_stream, content_type=attachment.get("contentType"), max_bytes=limit
        )
        fetched[url] = (stored.sha256, stored.size, content_type)
        _check_hash(ctx, of, attachment, stored)
    digest, size, content_type = fetched[url]
    return ManifestItem(
        source=source,
        kind="attachment",
        size=size,
        sha256=digest,
        of=of,
        content_type=attachment.get("contentType") or content_type,
    )


def _inline_item(ctx: Context, of: str, source: str, attachment: dict) -> ManifestItem | None:
    """What stands inside its resource is a document like any other; plain text is in the readable summary, word for word."""
    data, content_type = inline_bytes(attachment), attachment.get("contentType")
    if not data or (content_type or "").startswith("text/plain"):
        return None
    return ManifestItem(
        source=source,
        kind="attachment",
        size=len(data),
        sha256=ctx.world.payloads.put(data),
        of=of,
        content_type=content_type,
    )


def _check_hash(ctx: Context, of: str, attachment: dict, stored: Stored) -> None:
    if hash_form(attachment, lambda: ctx.world.payloads.open(stored.sha256)) not in ("sha1", "none"):
        raise PartialError([f"{of}: the bytes do not have the hash the resource states"])
    if "size" in attachment and int(attachment["size"]) != stored.size:
        ctx.finding("attachment-size", f"the resource states another size than the {stored.size} bytes read", of)
