"""Push a packet to the fulfiller: as resources in bounded chunks, or as documents; each once."""

import copy
from collections.abc import Iterable

from sqlalchemy import Connection

from integration import fhir_json
from integration.fhir.server import identifier_token
from integration.packets import stored as packets
from integration.packets.pdf import findings as pdf_findings
from integration.packets.pdf import to_pdf
from integration.store import deliveries, links, requests, revisions
from integration.store.one_at_a_time import alone
from integration.store.steps import NextStep
from jobs.target.writing import ensure_created, ensure_document, own_identifier
from jobs.world import Context, Outcome
from mappings import codes
from mappings.bundle import break_cycles, for_single_create, for_update, identity_of, plan, read_response, transaction
from mappings.document_reference import attachments, to_document_reference
from mappings.identifiers import identifiers_in, source_identifier
from mappings.model.delivery import DeliveryStatus
from mappings.model.errors import NeedsPerson, TemporaryError
from mappings.model.request import Code, Identifier
from mappings.model.states import Records

LOOK_BATCH = 40  # identifiers in one search: 40 x ~60 bytes stays under common 8 KB URL limits
CHUNK_BYTES = 8_000_000
MEANWHILE_SECONDS = 2.0  # a push of the same chart may take minutes: the step goes back rather than hold a thread


def push_records(ctx: Context) -> Outcome:
    """Send what is not there yet; every chunk's links are stored before the next chunk goes."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.get(conn, ctx.step.delivery_id)
        packet_row = packets.by_id(conn, delivery.packet_id)
    with ctx.transaction() as conn:
        deliveries.move(conn, delivery.id, DeliveryStatus.SENDING)
        deliveries.say_with(conn, delivery.id, requests.version_now(conn, ctx.request_id))
        delivery = deliveries.get(conn, delivery.id)
    packet = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    if ctx.endpoint(delivery.endpoint).accepts == "resources":
        push_resources(ctx, delivery, packet)
    else:
        push_documents(ctx, delivery, packet)

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, DeliveryStatus.SENT)
        requests.set_records(conn, ctx.request_id, Records.SENT)

    return Outcome(next_steps=(NextStep("verify_records", delivery.endpoint, delivery_id=delivery.id),), apply=[commit])


def push_resources(ctx: Context, delivery, packet) -> None:
    """While no other request's packet of the same chart is: both hold the same records, and servers race on conditional creates."""
    manifest = packet.manifest
    with alone(
        ctx.world.engine,
        ctx.step,
        delivery.endpoint,
        manifest.identifier_system,
        manifest.patient,
        wait_seconds=MEANWHILE_SECONDS,
    ):
        ResourcePush(ctx, delivery, packet).run()


def prepared_resources(ctx: Context, packet, endpoint: str) -> dict[str, dict]:
    """``{source: resource}`` with attachments inline, ready for reference rewriting.

    Raises NeedsPerson when an attachment is larger than the endpoint takes inline.
    """
    of = packet.attachment_bytes(ctx.world.payloads)
    limit = ctx.endpoint(endpoint).limits.max_inline_bytes
    large = sorted(place for place, (data, _) in of.items() if len(data) > limit)
    if large:
        raise NeedsPerson(
            "attachment-too-large",
            f"{len(large)} attachment(s) are larger than the {limit} bytes that "
            f"{endpoint} takes inline: {', '.join(large[:5])}",
            "Agree another way for these with the endpoint's contact, or raise limits.max_inline_bytes.",
        )
    touched = {place.split("#")[0] for place in of}
    return {
        source: packets.inline(copy.deepcopy(resource), of, attachments) if source in touched else resource
        for source, resource in packet.resources.items()
    }


class ResourcePush:
    """One push of a packet as resources."""

    def __init__(self, ctx: Context, delivery, packet):
        self.ctx, self.delivery, self.packet = ctx, delivery, packet
        self.endpoint = delivery.endpoint
        self.system = packet.manifest.identifier_system
        self.base = ctx.endpoint(packet.manifest.source_endpoint).base_url
        self.server = ctx.server(self.endpoint)
        self.can = ctx.capabilities(self.endpoint)
        with ctx.world.engine.begin() as conn:
            carried = packets.rows(conn, ctx.request_id)
            self.another_was_here = packets.of_others(conn, ctx.request_id, packet.manifest.patient)
        sources = packets.sources_of(ctx.world.payloads, carried)
        with ctx.world.engine.begin() as conn:
            self.links = links.find(conn, self.endpoint, self.system, sources)
            rows = links.find_rows(conn, self.endpoint, [(self.system, source) for source in packet.resources])
        self.sent_before = {source: row for (_, source), row in rows.items()}

    def run(self) -> None:
        """Update what changed, look for what may be there already, create the rest."""
        resources = prepared_resources(self.ctx, self.packet, self.endpoint)
        self._update_changed(resources)
        missing = [resource for source, resource in resources.items() if source not in self.links]
        if self.ctx.looks_first or self.another_was_here or not self.can.conditional_create:
            self._look(missing)
            missing = [resource for resource in missing if packets.source_of(resource) not in self.links]
        chunks = plan(
            missing,
            chunk_size=self.ctx.endpoint(self.endpoint).limits.chunk_size,
            max_bytes=CHUNK_BYTES,
            source_base=self.base,
            size_of=lambda resource: len(fhir_json.dumps(resource)),
        )
        for chunk in chunks:
            self._send(chunk)
        self._mark_rest(resources)

    def _send(self, chunk: list[dict]) -> None:
        if self.can.transaction:
            self._send_transaction(chunk)
        else:
            self._send_singles(chunk)

    def _send_transaction(self, chunk: list[dict]) -> None:
        bundle = transaction(chunk, **self._how())
        self.ctx.lease.before_write()
        answer = self.server.transaction(bundle)
        results = read_response(bundle, answer)
        rows = []
        for resource, result in zip(chunk, results, strict=True):
            source = packets.source_of(resource)
            if result.location is None:
                raise TemporaryError(
                    f"{self.endpoint} gave no location for {source}; it is looked for next time",
                    endpoint=self.endpoint,
                    cause="no-location",
                )
            rows.append((source, result.location, result.version, result.status == 201))
        self._store(rows)

    def _send_singles(self, chunk: list[dict]) -> None:
        order = break_cycles(chunk, source_base=self.base)
        later = {packets.source_of(each.resource): each.resource for each in order.later}
        for resource in order.resources:
            source = packets.source_of(resource)
            prepared, _ = for_single_create(resource, **self._how(), later={each.target for each in order.later})
            ours = Identifier(**source_identifier(self.system, *source.split("/")))
            self.links[source] = ensure_created(
                self.ctx, self.endpoint, prepared, ours, known_as=identity_of(resource, self.system)
            )
            self._store([(source, self.links[source], None, True)])
        for source, resource in later.items():
            self._update(source, resource)

    def _update_changed(self, resources: dict[str, dict]) -> None:
        """A newer version of what we created is updated there; what we only matched is left to a person."""
        if self.delivery.version == 1:
            return
        for source, resource in resources.items():
            row = self.sent_before.get(source)
            if row is None:
                continue
            if row.origin == "created":
                self._update(source, resource)
            else:
                self.ctx.finding(
                    "correction-by-hand",
                    f"changed at the source; {row.reference} at {self.endpoint} is not ours to change",
                    source,
                    "error",
                )

    def _update(self, source: str, resource: dict) -> None:
        target = self.links[source]
        there = self.server.read(*target.split("/"))
        self.ctx.lease.before_write()
        written = self.server.update(
            for_update(resource, **self._how()), if_match=(there.get("meta") or {}).get("versionId")
        )
        self._store([(source, target, written.version, True)])

    def _look(self, resources: list[dict]) -> None:
        """Search the target for what an earlier attempt may have written."""
        found = search_by_identity(self.server, self.system, resources)
        self._store([(source, packets.source_of(there[0]), None, True) for source, there in found.items()])

    def _store(self, rows: list[tuple]) -> None:
        """Links and item marks of what was just written, in one fenced transaction."""
        shas = {item.source: item.sha256 for item in self.packet.manifest.resources}
        with self.ctx.transaction() as conn:
            links.remember_all(
                conn,
                self.endpoint,
                [
                    dict(
                        system=self.system,
                        value=source,
                        reference=target,
                        version=version,
                        sha256=shas.get(source),
                        origin="created",
                    )
                    for source, target, version, _ in rows
                ],
            )
            deliveries.mark_items(
                conn,
                self.delivery.id,
                [
                    dict(source=source, status="sent", target=target, created_by_us=ours)
                    for source, target, _, ours in rows
                ],
            )
        self.links |= {source: target for source, target, *_ in rows}

    def _mark_rest(self, resources: dict[str, dict]) -> None:
        """Items resolved before the packet (people) or found there: sent, with their target."""
        with self.ctx.transaction() as conn:
            known = deliveries.items(conn, self.delivery.id)
            deliveries.mark_items(
                conn,
                self.delivery.id,
                [
                    dict(
                        source=source,
                        status="sent",
                        target=self.links[source],
                        created_by_us=source in self.sent_before and self.sent_before[source].origin == "created",
                    )
                    for source in resources
                    if known[source].status == "queued"
                ],
            )

    def _how(self) -> dict:
        """What every rewriting needs."""
        return dict(links=self.links, identifier_system=self.system, source_base=self.base, findings=self.ctx.found)


def search_by_identity(server, system: str, resources: Iterable[dict]) -> dict[str, list[dict]]:
    """``{source: [resources at the target that carry what it is recognised by]}``, searched by type in batches."""
    wanted: dict[str, dict[Identifier, list[str]]] = {}
    for resource in resources:
        identity = identity_of(resource, system)
        if identity is not None:
            wanted.setdefault(resource["resourceType"], {}).setdefault(identity, []).append(packets.source_of(resource))
    found: dict[str, list[dict]] = {}
    for kind, sources in sorted(wanted.items()):
        for start in range(0, len(sources), LOOK_BATCH):
            batch = list(sources)[start : start + LOOK_BATCH]
            tokens = ",".join(identifier_token(each.system, each.value) for each in batch)
            for there in server.search_all(kind, {"identifier": tokens}):
                for source in {source for each in identifiers_in(there) for source in sources.get(each, ())}:
                    found.setdefault(source, []).append(there)
    return found


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
