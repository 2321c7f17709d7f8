"""Packets in the payload store: one pack of resource lines, attachments by hash, and the manifest over them."""

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from integration.packets.lines import Line, Lines, joined
from integration.packets.payloads import Payloads
from integration.store.packets import PacketRow
from mappings.addresses import local_reference
from mappings.decoding import media_type, words_of
from mappings.model.errors import ExchangeError, MappingError
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.references import AttachmentAt
from mappings.rendition import AttachedText, Correction, Rendition, render


@dataclass(frozen=True)
class Packet:
    """A packet as read back: ``resources`` maps source Type/id to the resource as received.

    ``cut``: those of them that are without what leads to a record that the patient's consent keeps home.
    """

    manifest: Manifest
    resources: Mapping[str, dict]
    cut: frozenset[str] = frozenset()


def source_of(resource: dict) -> str:
    """``Type/id`` of a resource at its source. Raises MappingError when it has no id that could name it."""
    kind, logical_id = resource.get("resourceType"), resource.get("id")
    if local_reference(f"{kind}/{logical_id}") != f"{kind}/{logical_id}" or not isinstance(logical_id, str):
        raise MappingError(f"{kind if isinstance(kind, str) else 'Resource'}.id", "it has no id that could name it")
    return f"{kind}/{logical_id}"


def resource_item(source: str, line: Line) -> ManifestItem:
    """The manifest line of one resource."""
    return ManifestItem(source=source, version=line.version, size=line.size, sha256=line.sha256)


def store(payloads: Payloads, manifest: Manifest, lines: Iterable[bytes]) -> str:
    """Write the pack and the manifest; returns the manifest's hash. ``lines`` follow ``manifest.resources``."""
    pack = payloads.put_stream(joined(lines)).sha256
    return payloads.put(
        manifest.model_copy(update={"pack_sha256": pack}).model_dump_json(exclude_defaults=True).encode()
    )


def manifest_of(payloads: Payloads, manifest_sha256: str) -> Manifest:
    """What a packet holds, without reading its records."""
    return Manifest.model_validate_json(payloads.get(manifest_sha256))


def sources_of(payloads: Payloads, packet_rows: Iterable[PacketRow], loaded: Packet | None = None) -> set[str]:
    """Sources of every record of these packets: a delta refers to what an earlier packet carried.

    ``loaded``: one of them that is read already; of a long chart a manifest takes 100 MB.
    """
    sources = set(loaded.resources if loaded is not None else ())
    for row in packet_rows:
        if loaded is None or row.id != loaded.manifest.packet_id:
            sources.update(item.source for item in manifest_of(payloads, row.manifest_sha256).resources)
    return sources


def load(payloads: Payloads, manifest_sha256: str) -> Packet:
    """Read a packet's manifest; its records are read when they are asked for, each checked against its hash."""
    return load_records(payloads, manifest_of(payloads, manifest_sha256))


def together(loaded: Iterable[Packet]) -> dict[str, Packet]:
    """``{Type/id: the packet that holds it as it was last}`` of a request's packets, the oldest first; without what was withdrawn."""
    newest: dict[str, Packet] = {}
    for packet in loaded:
        for item in packet.manifest.withdrawn:
            newest.pop(item.source, None)
        newest |= dict.fromkeys(packet.resources, packet)
    return newest


def load_records(payloads: Payloads, manifest: Manifest) -> Packet:
    """The same, where the manifest was read already: of a long chart it takes 100 MB."""
    index, at = {}, 0
    for item in manifest.resources:
        index[item.source] = Line(at, item.size, item.sha256, item.version)
        at += item.size + 1
    pack = payloads.spool(manifest.pack_sha256) if index else io.BytesIO()
    if index and pack.seek(0, io.SEEK_END) != at - 1:
        raise ExchangeError(f"packet {manifest.packet_id}: the pack does not fit its manifest")
    return Packet(manifest, Lines(pack, index))


def rendition_of(
    packet: Packet,
    payloads: Payloads,
    request: SecondOpinionRequest,
    *,
    printed: frozenset[str] = frozenset(),
    correction: Correction | None = None,
    patient: dict | None = None,
) -> Rendition:
    """The packet as something to read, the words of its plain-text attachments included.

    ``printed``: hashes of those whose words stand with their records; ``correction``, ``patient``: see `render`.
    """
    plain = {
        item.sha256: item.content_type
        for item in packet.manifest.items
        if item.kind == "attachment" and item.sha256 not in printed and media_type(item.content_type) == "text/plain"
    }
    words = {digest: words_of(payloads.get(digest), content_type) for digest, content_type in plain.items()}
    return render(
        manifest=packet.manifest,
        resources=list(packet.resources.values()),
        request=request,
        attachments=[AttachedText(sha256=digest, text=text) for digest, text in words.items() if text is not None],
        printed=printed,
        correction=correction,
        patient=patient,
    )


def inline(
    resource: dict, of: dict[str, tuple[bytes, str | None]], attachments_at: Callable[[dict], Iterable[AttachmentAt]]
) -> dict:
    """The resource with fetched attachments as inline bytes: url out, data, size and SHA-1 hash in."""
    for at in attachments_at(resource):
        fetched = of.get(f"{source_of(resource)}#{at.path}")
        if fetched is None or at.attachment.get("data"):  # what came inside passes as it is
            continue
        data, content_type = fetched
        at.attachment.pop("url", None)
        at.attachment["data"] = base64.b64encode(data).decode()
        at.attachment["size"] = len(data)
        at.attachment["hash"] = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
        if content_type and "contentType" not in at.attachment:
            at.attachment["contentType"] = content_type
    return resource
