"""What stands at an endpoint that takes documents: one readable summary, and each original once; written, and read back."""

from integration.packets import stored as packets
from integration.packets.pdf import findings as pdf_findings
from integration.packets.pdf import to_pdf
from integration.store import deliveries, links, revisions
from jobs.target.checking import Check, differs, read_back
from jobs.target.writing import ensure_document, own_identifier
from jobs.world import Context
from mappings import codes
from mappings.document_reference import to_document_reference
from mappings.model.errors import NeedsPerson
from mappings.model.request import Code, Identifier


def push_documents(ctx: Context, delivery, packet) -> None:
    """The packet as a person reads it: one PDF of everything, and each original document once."""
    with ctx.world.engine.begin() as conn:
        patient = links.find(conn, delivery.endpoint, packet.manifest.identifier_system, [packet.manifest.patient])
    for document in documents_of(ctx, packet, delivery, patient[packet.manifest.patient]):
        reference = ensure_document(ctx, delivery.endpoint, document.resource, document.identifier)
        marks = [dict(source=document.name, status="sent", target=reference, created_by_us=True)]
        if document.carries:
            marks += [
                dict(source=source, status="sent", target=reference, created_by_us=True) for source in document.carries
            ]
        with ctx.transaction() as conn:
            deliveries.mark_items(conn, delivery.id, marks)


class Document:
    """One DocumentReference to write: its name among the items, identifier, resource, and the records it carries."""

    def __init__(self, name: str, identifier: Identifier, resource: dict, carries: tuple[str, ...] = ()):
        self.name, self.identifier, self.resource, self.carries = name, identifier, resource, carries


def documents_of(ctx: Context, packet, delivery, patient: str) -> list[Document]:
    """What travels to an endpoint that takes documents; the same packet and version of the request give the same bytes."""
    made = [_summary(ctx, packet, delivery, patient, delivery.request_version or 1)]
    seen: set[str] = set()
    for item in packet.manifest.items:
        if item.kind == "attachment" and item.sha256 not in seen:  # one document shown twice is sent once
            seen.add(item.sha256)
            made.append(_original(ctx, delivery, patient, item, packet))
    return made


def summary_of(ctx: Context, delivery, version: int) -> Document:
    """The readable summary of a records delivery, with what a version of the request says."""
    with ctx.world.engine.begin() as conn:
        packet_row = packets.by_id(conn, delivery.packet_id)
    packet = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    with ctx.world.engine.begin() as conn:
        patient = links.find(conn, delivery.endpoint, packet.manifest.identifier_system, [packet.manifest.patient])
    return _summary(ctx, packet, delivery, patient[packet.manifest.patient], version)


def _summary(ctx: Context, packet, delivery, patient: str, version: int) -> Document:
    with ctx.world.engine.begin() as conn:
        request = revisions.content(conn, ctx.request_id, version)
    rendition = packets.rendition_of(packet, ctx.world.payloads, request)
    ctx.found += [*rendition.findings, *pdf_findings(rendition)]
    return _document(
        ctx,
        delivery,
        patient,
        "rendition",
        to_pdf(rendition),
        "application/pdf",
        "First-opinion records",
        codes.RECORDS_SUMMARY,
        packet,
        tuple(packet.resources),
    )


def _original(ctx: Context, delivery, patient: str, item, packet) -> Document:
    resource = packet.resources[item.source]
    kind = next(
        (
            coding
            for coding in (resource.get("type") or resource.get("code") or {}).get("coding", [])
            if coding.get("system") == codes.SYSTEM_LOINC
        ),
        None,
    )
    type_code = (
        Code(system=kind["system"], code=kind["code"], display=kind.get("display")) if kind else codes.RECORDS_SUMMARY
    )
    return _document(
        ctx,
        delivery,
        patient,
        item.sha256[:32],
        ctx.world.payloads.get(item.sha256),
        item.content_type or "application/octet-stream",
        f"Original of {item.source}",
        type_code,
        packet,
        (),
    )


def _document(
    ctx: Context,
    delivery,
    patient: str,
    name: str,
    data: bytes,
    content_type: str,
    title: str,
    type_code: Code,
    packet,
    carries: tuple[str, ...],
) -> Document:
    limit = ctx.endpoint(delivery.endpoint).limits.max_inline_bytes
    if len(data) > limit:
        raise NeedsPerson(
            "attachment-too-large",
            f"document {name} has {len(data)} bytes; {delivery.endpoint} takes {limit} inline",
            "Agree another way with the endpoint's contact, or raise limits.max_inline_bytes.",
        )
    identifier = own_identifier(ctx, "DocumentReference", f"{packet.manifest.packet_id}-{name}")
    resource = to_document_reference(
        identifier=identifier,
        patient=patient,
        type_code=type_code,
        title=title,
        content_type=content_type,
        data=data,
        date=packet.manifest.gathered_at,
        period_end=None,
        related=[],
    )
    return Document(f"document:{name}", identifier, resource, carries)


def check_documents(ctx: Context, delivery, packet) -> Check:
    """Each document read back and compared, bytes by hash; the records it carries count with it."""
    server, check = ctx.server(delivery.endpoint), Check([], [], [])
    with ctx.world.engine.begin() as conn:
        patient = links.find(conn, delivery.endpoint, packet.manifest.identifier_system, [packet.manifest.patient])
        items = deliveries.items(conn, delivery.id)
    for document in documents_of(ctx, packet, delivery, patient[packet.manifest.patient]):
        item = items.get(document.name)
        read = read_back(server, item.target if item else None)
        if read is None:
            target = check.missing
        else:
            target = check.different if differs(ctx, document.resource, read, document.name) else check.verified
        target += [document.name, *document.carries]
    return check
