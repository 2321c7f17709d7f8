"""Joins what was gathered at other providers to the chart: as records of its patient, each once, and never what the chart has itself."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from integration.packets import stored as packets
from integration.packets.stored import Packet
from integration.store import links, patient_links, record_sources
from integration.store import packets as packet_rows
from integration.store.record_sources import RecordSource
from jobs.source.chart import Chart
from jobs.world import Context
from mappings.document_reference import inline_bytes
from mappings.elsewhere import Origin, is_of, name_of, same_records, translated
from mappings.model.errors import MappingError
from mappings.model.packet import ManifestItem
from mappings.received import ELSEWHERE, is_received
from mappings.references import find_attachments
from mappings.withdrawal import Carried, carried

STOPPED = "records of the provider that it came from are not wanted any more"
ANOTHER = "who the patient is at the provider that it came from was said otherwise"
_DOCUMENT = f"DocumentReference/{ELSEWHERE}"
HELD = "the practice that asks has it itself"


def join_elsewhere(ctx: Context, placer: str, chart: Chart) -> None:
    """Every provider that a person named; what is no longer wanted, gone there, or in the chart itself is taken back."""
    with ctx.world.engine.begin() as conn:
        sources = record_sources.of_request(conn, ctx.request_id)
    if not any(each.manifest_sha256 for each in sources):
        return
    stands = _carried(ctx)
    own = _Own(
        _ours(chart),
        {digest for of, digest in stands.attachments.items() if not is_received(of)} | _inside(chart),
    )
    for source in sources:
        if source.manifest_sha256 is None:
            continue
        if why := _why_not(ctx, source):
            chart.taken_back |= {each: why for each in stands.resources if is_of(source.id, each)}
        else:
            _Joining(ctx, placer, chart, source).join(own)
    chart.resources.sort()


def without_doubles(ctx: Context, chart: Chart, items: list[ManifestItem]) -> list[ManifestItem]:
    """The attachments without those of documents from elsewhere that the chart has byte for byte; their records go too."""
    came = [each for each in chart.resources if each.startswith(_DOCUMENT)]
    if not came:
        return items
    ours = {each.sha256 for each in items if not is_received(each.source)} | _inside(chart)
    found = _documents(items)
    for name in came:
        found.setdefault(name, set()).update(_hashes(chart.resources[name]))
    doubles = {each for each, hashes in found.items() if hashes and hashes <= ours}
    for name in doubles:
        _held(ctx, chart, name)
        del chart.resources[name]
    return [each for each in items if each.source not in doubles]


def _documents(items: list[ManifestItem]) -> dict[str, set[str]]:
    """{name: hashes of its bytes} of the documents that came from elsewhere."""
    found: dict[str, set[str]] = {}
    for each in items:
        if each.source.startswith(_DOCUMENT):
            found.setdefault(each.source, set()).add(each.sha256)
    return found


def _inside(chart: Chart) -> set[str]:
    """Hashes of the bytes that stand inside the chart's own documents."""
    own = (each for each in chart.resources if each.startswith("DocumentReference/") and not is_received(each))
    return {digest for each in own for digest in _hashes(chart.resources[each])}


def _hashes(document: dict) -> set[str]:
    """Of what stands inside it. What cannot be read has none: that is told where it is sent."""
    found = set()
    for at in find_attachments(document):
        with suppress(MappingError):
            if data := inline_bytes(at.attachment):
                found.add(hashlib.sha256(data).hexdigest())
    return found


def _held(ctx: Context, chart: Chart, name: str) -> None:
    ctx.finding("held-already", "another provider has a copy of it; it is sent once, from the chart", name, "info")
    chart.taken_back[name] = HELD


def _carried(ctx: Context) -> Carried:
    with ctx.world.engine.connect() as conn:
        rows = packet_rows.of_request(conn, ctx.request_id)
    return carried(packets.manifest_of(ctx.world.payloads, each.manifest_sha256) for each in rows)


def _ours(chart: Chart) -> list[tuple[str, dict]]:
    """What tells the chart's own records: their identifiers alone, for a chart may be long."""
    return [
        (source, {"identifier": chart.resources[source].get("identifier")})
        for source in chart.resources
        if not is_received(source)
    ]


def _why_not(ctx: Context, source: RecordSource) -> str:
    if not source.is_open:
        return STOPPED
    with ctx.world.engine.connect() as conn:
        link = patient_links.of(conn, ctx.request_id, source.endpoint)
    manifest = packets.manifest_of(ctx.world.payloads, source.manifest_sha256 or "")
    return "" if link is not None and link.reference == manifest.patient else ANOTHER


@dataclass(frozen=True)
class _Own:
    """What tells the chart's own: its records by their identifiers, and hashes of the bytes that it has or an earlier packet carried."""

    records: list[tuple[str, dict]]
    hashes: set[str]


class _Joining:
    """One provider's records."""

    def __init__(self, ctx: Context, placer: str, chart: Chart, source: RecordSource):
        self.ctx, self.placer, self.chart, self.source = ctx, placer, chart, source
        self.packet: Packet = packets.load(ctx.world.payloads, source.manifest_sha256 or "")

    def join(self, own: _Own) -> None:
        """What the chart does not have becomes part of it."""
        manifest, number = self.packet.manifest, self.source.id
        with self.ctx.world.engine.begin() as conn:
            system = links.frozen_system(conn, self.placer)
        theirs = ((each, self.packet.resources[each]) for each in self.packet.resources)
        same = same_records(own.records, theirs, system)
        held = set(same) | self._held_by_bytes(own.hashes)
        for each in sorted(held - {manifest.patient}):
            if each.partition("/")[0] not in ("Practitioner", "PractitionerRole", "Organization", "Location"):
                _held(self.ctx, self.chart, name_of(number, each))
        wanted = ((each, self.packet.resources[each]) for each in self.packet.resources if each not in held)
        for name, resource in translated(wanted, self.packet.resources, self._origin(), self.chart.patient, same):
            self.chart.resources[name] = resource
        self.chart.received += self._attachments()
        self.chart.taken_back |= {name_of(number, each): why for each, why in self.source.gone.items()}

    def _origin(self) -> Origin:
        manifest, endpoint = self.packet.manifest, self.ctx.config.endpoints.get(self.source.endpoint)
        bases = manifest.bases(endpoint.bases if endpoint else (manifest.identifier_system,))
        name = endpoint.name if endpoint else self.source.endpoint
        return Origin(self.source.id, name, manifest.identifier_system, bases, manifest.patient)

    def _held_by_bytes(self, ours: set[str]) -> set[str]:
        """Documents all of whose bytes are ``ours``."""
        found: dict[str, set[str]] = {}
        for each in self.packet.manifest.attachments:
            if each.source.startswith("DocumentReference/"):
                found.setdefault(each.source, set()).add(each.sha256)
        return {source for source, hashes in found.items() if hashes <= ours}

    def _attachments(self) -> Iterator[ManifestItem]:
        for each in self.packet.manifest.attachments:
            name = name_of(self.source.id, each.source)
            if name in self.chart.resources and each.of:
                of = f"{name}#{each.of.partition('#')[2]}"
                yield each.model_copy(update={"source": name, "of": of})
