"""What is to stand at an endpoint that takes documents: made once, its bytes kept, and counted against the packet."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from integration import checklists, fhir_json
from integration.packets import stored as packets
from integration.packets.originals import Contents, Original, contents
from integration.packets.pdf import findings as pdf_findings
from integration.packets.pdf import lacking, to_pdfs
from integration.packets.stored import Packet
from integration.store import revisions
from integration.store.deliveries import Delivery
from jobs.target.corrections import Earlier
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings import codes
from mappings.checklists.telling import on_cover
from mappings.codes import as_dict, as_dicts, as_text
from mappings.document_reference import attachments, inline_bytes, to_document_reference
from mappings.model.errors import NeedsPerson
from mappings.model.request import Code
from mappings.rendition import OTHER
from mappings.rendition import as_text as in_plain_text
from mappings.rendition.names import names_of

SUMMARY = "document:rendition"
TITLE = "First-opinion records"
PDF, TEXT = "application/pdf", "text/plain; charset=utf-8"
SHORT = 32  # characters of a hash that name an original


@dataclass(frozen=True)
class Document:
    """One DocumentReference to write, and its name among the delivery's items."""

    name: str
    resource: dict


@dataclass(frozen=True)
class _Page:
    """What one document holds, before it becomes a DocumentReference."""

    name: str
    title: str
    content_type: str
    data: bytes
    type_code: Code = codes.RECORDS_SUMMARY
    replaces: str | None = None
    appends: str | None = None
    of: str | None = None  # the place of the original in the packet


def documents_of(
    ctx: Context, delivery: Delivery, packet: Packet, patient: str, earlier: Earlier
) -> Iterator[Document]:
    """Everything of a packet as documents, one after the other, the summary first.

    Raises NeedsPerson at the end, naming them, when a document of the packet was in none.
    """
    held, sent = contents(packet), set()
    for page in _pages(ctx, delivery, packet, held, earlier):
        document = _as_document(ctx, delivery, packet, patient, page)
        sent |= {hashlib.sha256(data).hexdigest() for data in _bytes_in(document)}
        yield document
    _must_be_whole(held, sent)


def summaries_of(
    ctx: Context, delivery: Delivery, packet: Packet, patient: str, earlier: Earlier, version: int
) -> list[Document]:
    """The readable summary of a packet alone, with what a version of the request says."""
    pages = _summary(ctx, delivery, packet, contents(packet), earlier, version)
    return [_as_document(ctx, delivery, packet, patient, page) for page in pages]


def name_of(sha256: str) -> str:
    """What an original of these bytes is called among the delivery's items."""
    return f"document:{sha256[:SHORT]}"


def _pages(ctx: Context, delivery: Delivery, packet: Packet, held: Contents, earlier: Earlier) -> Iterator[_Page]:
    yield from _summary(ctx, delivery, packet, held, earlier, delivery.request_version or 1)
    seen = set(held.printed)
    for each in held.originals:
        if each.sha256 not in seen:  # one document shown twice is sent once
            seen.add(each.sha256)
            yield _original(ctx, packet, each, earlier)


def _summary(
    ctx: Context, delivery: Delivery, packet: Packet, held: Contents, earlier: Earlier, version: int
) -> Iterator[_Page]:
    """The PDF, in volumes; what its fonts cannot show as text; and as it came what could not be shown at all."""
    with ctx.world.engine.begin() as conn:
        request = revisions.content(conn, ctx.request_id, version)
    rendition = packets.rendition_of(
        packet,
        ctx.world.payloads,
        request,
        printed=held.printed,
        correction=earlier.correction,
        patient=earlier.patient,
    )
    rendition = on_cover(rendition, *_not_there(ctx, packet))
    correction = earlier.correction
    formats = ctx.endpoint(delivery.endpoint).habits.formats
    title = f"Correction {correction.number} to {TITLE.lower()}" if correction else TITLE
    relation: dict[str, Any] = dict(replaces=earlier.replaced_summary, appends=earlier.appended_summary)
    ctx.found += rendition.findings
    if formats and PDF not in formats:  # made of the records, not of pages: every letter is in it
        words = in_plain_text(rendition).encode("utf-8", "backslashreplace")
        yield _Page("rendition", title, TEXT, words, **relation)
        yield from _raw(packet, rendition.unshown)
        return
    ctx.found += pdf_findings(rendition)
    volumes = to_pdfs(rendition, max_bytes=_limit(ctx, delivery))
    for number, volume in enumerate(volumes, 1):
        name = "rendition" if number == 1 else f"rendition-{number}"
        said = f"{title}, volume {number} of {len(volumes)}" if len(volumes) > 1 else title
        yield _Page(name, said, PDF, volume, **(relation if number == 1 else {}))
    if other := lacking(rendition):
        words = in_plain_text(rendition, other).encode("utf-8", "backslashreplace")
        yield _Page("rendition-letters", f"{OTHER}: {title}", TEXT, words)
    yield from _raw(packet, rendition.unshown)


def _not_there(ctx: Context, packet: Packet) -> tuple[tuple[str, ...], date]:
    world, today = ctx.world, ctx.now.date()
    told = checklists.told_not_there(world.engine, world.payloads, world.config, ctx.request_id, today, packet)
    return told, today


def _raw(packet: Packet, sources: Iterable[str]) -> Iterator[_Page]:
    for source in sources:
        name, data = hashlib.sha256(source.encode()).hexdigest()[:32], fhir_json.dumps(packet.resources[source])
        yield _Page(f"rendition-raw-{name}", f"{source} as it came", "application/fhir+json", data)


def _original(ctx: Context, packet: Packet, original: Original, earlier: Earlier) -> _Page:
    resource = packet.resources.get(original.source, {})
    data = original.inside if original.inside is not None else ctx.world.payloads.get(original.sha256)
    return _Page(
        original.sha256[:SHORT],
        _title(original, resource),
        original.content_type or "application/octet-stream",
        data,
        _type(resource),
        replaces=earlier.replaced_original(original.of),
        of=original.of,
    )


def _title(original: Original, resource: dict) -> str:
    """What the source calls it; always with the id by which the summary names it."""
    at = next((each for each in attachments(resource) if original.of.endswith(f"#{each.path}")), None)
    said = as_text(at.attachment.get("title")) if at else None
    said = said or (names_of([resource]).get(original.source) if resource else None)
    return (
        f"{said} (original of {original.source})"
        if said and said != original.source
        else f"Original of {original.source}"
    )


def _type(resource: dict) -> Code:
    """The source's own LOINC code for it, where it has one."""
    concept = as_dict(resource.get("type")) or as_dict(resource.get("code"))
    loinc = (each for each in as_dicts(concept.get("coding")) if each.get("system") == codes.SYSTEM_LOINC)
    code = next((each for each in loinc if as_text(each.get("code"))), None)
    if code is None:
        return codes.RECORDS_SUMMARY
    return Code(system=codes.SYSTEM_LOINC, code=code["code"], display=as_text(code.get("display")))


def _as_document(ctx: Context, delivery: Delivery, packet: Packet, patient: str, page: _Page) -> Document:
    if len(page.data) > _limit(ctx, delivery):
        raise NeedsPerson(
            "attachment-too-large",
            f"document {page.name} has {len(page.data)} bytes; {delivery.endpoint} takes {_limit(ctx, delivery)} inline",
            items=(page.of,) if page.of else (),
        )
    resource = to_document_reference(
        identifier=own_identifier(ctx, "DocumentReference", f"{packet.manifest.packet_id}-{page.name}"),
        patient=patient,
        type_code=page.type_code,
        title=page.title,
        content_type=page.content_type,
        data=page.data,
        date=packet.manifest.gathered_at,
        period_end=None,
        related=[],
        replaces=page.replaces,
        appends=page.appends,
        description=page.title,
    )
    return Document(f"document:{page.name}", resource)


def _limit(ctx: Context, delivery: Delivery) -> int:
    return ctx.endpoint(delivery.endpoint).limits.max_inline_bytes


def _bytes_in(document: Document) -> Iterator[bytes]:
    for content in document.resource["content"]:
        yield inline_bytes(content["attachment"]) or b""


def _must_be_whole(held: Contents, sent: set[str]) -> None:
    """Every document of the packet is in the summary or beside it: counted in what is going to be sent, by its bytes."""
    left = [each.of for each in held.originals if each.sha256 not in sent and each.sha256 not in held.printed]
    if left:
        raise NeedsPerson(
            "document-left-out",
            f"{len(left)} document(s) of the packet would be neither in the summary nor beside it: {', '.join(left[:5])}",
        )
