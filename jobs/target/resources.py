"""What stands at an endpoint that takes resources: each record of the packet once; written in chunks, and read back."""

import copy
from collections.abc import Iterable, Mapping

from integration import fhir_json
from integration.fhir.server import identifier_token
from integration.packets import stored as packets
from integration.store import deliveries, links
from integration.store.one_at_a_time import alone
from jobs.target.checking import Check, differs, read_back
from jobs.target.writing import ensure_created
from jobs.world import Context
from mappings.bundle import break_cycles, for_single_create, for_update, identity_of, plan, read_response, transaction
from mappings.document_reference import attachments
from mappings.identifiers import identifiers_in, source_identifier
from mappings.model.errors import NeedsPerson, TemporaryError
from mappings.model.request import Identifier

LOOK_BATCH = 40  # identifiers in one search: 40 x ~60 bytes stays under common 8 KB URL limits
CHUNK_BYTES = 8_000_000
MEANWHILE_SECONDS = 2.0  # a push of the same chart may take minutes: the step goes back rather than hold a thread


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
        self.base = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
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
        self._close_circles(resources)
        self._mark_rest(resources)

    def _close_circles(self, resources: dict[str, dict]) -> None:
        """An attempt that ended between the two writes of a circle left its first one without what it points to."""
        if self.ctx.looks_first and not self.can.transaction:
            for each in break_cycles(list(resources.values()), source_base=self.base).later:
                self._update(packets.source_of(each.resource), each.resource)

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


def check_resources(ctx: Context, delivery, packet) -> Check:
    """Search by what they are recognised by in batches (shows doubles too); by Location what the index does not show yet."""
    server, system = ctx.server(delivery.endpoint), packet.manifest.identifier_system
    with ctx.world.engine.begin() as conn:
        carried = packets.rows(conn, ctx.request_id)
    sources = packets.sources_of(ctx.world.payloads, carried)
    with ctx.world.engine.begin() as conn:
        rows = links.find_rows(conn, delivery.endpoint, [(system, source) for source in packet.resources])
        known = links.find(conn, delivery.endpoint, system, sources)
        items = deliveries.items(conn, delivery.id)
    origin = {source: row.origin for (_, source), row in rows.items()}
    ours = [resource for source, resource in packet.resources.items() if origin.get(source) == "created"]
    there = _read_all(ctx, server, system, ours, known)
    resources = prepared_resources(ctx, packet, delivery.endpoint)
    base = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
    check = Check([], [], [])
    for source, resource in resources.items():
        target = known.get(source) or items[source].target
        read = there.get(source) or read_back(server, target)
        if read is None:
            check.missing.append(source)
        elif origin.get(source) != "created":
            check.verified.append(source)  # matched there: it exists; its content is that side's own
        else:
            sent, _ = for_single_create(resource, links=known, identifier_system=system, source_base=base)
            (check.different if differs(ctx, sent, read, source, known) else check.verified).append(source)
    return check


def _read_all(ctx: Context, server, system: str, resources: list[dict], known: Mapping[str, str]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for source, there in search_by_identity(server, system, resources).items():
        found[source] = next((each for each in there if packets.source_of(each) == known.get(source)), there[0])
        if len(there) > 1:
            ctx.finding(
                "duplicate-at-target",
                f"{len(there)} resources hold this identifier: " + ", ".join(sorted(map(packets.source_of, there))[:5]),
                source,
                "error",
            )
    return found
