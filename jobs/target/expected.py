"""What a packet is to be at an endpoint that takes resources: each record with its attachments inside, and what deciding needs."""

import copy
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from integration import fhir_json
from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.settings.config import Endpoint
from integration.store import links
from jobs.target.separate_binaries import SeparateBinary, separate_binaries
from jobs.world import Context
from mappings.addresses import comparable
from mappings.codes import as_dict, as_text
from mappings.document_reference import attachments
from mappings.identifiers import identifiers_in
from mappings.model.findings import Finding
from mappings.model.packet import ManifestItem
from mappings.packet_actions import Item


@dataclass(frozen=True)
class Expected:
    """What stands, or is to stand, at a target: records by what they are called at the source, in the packet's order."""

    resources: Mapping[str, dict]  # attachments inside, references as at the source
    items: dict[str, Item]
    beside: dict[str, SeparateBinary]  # documents that stand beside their record


def expected(ctx: Context, endpoint: str, packet: packets.Packet) -> Expected:
    """Of a whole packet. A record that cannot be written as it is has its trouble in its item, and stops no other."""
    beside = separate_binaries(ctx, endpoint, packet)
    resources, troubles = _with_attachments(ctx, endpoint, packet, beside)
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, endpoint)
    source = ctx.world.config.endpoints.get(packet.manifest.source_endpoint)
    is_home = source is not None and is_same_server(source, ctx.endpoint(endpoint))
    gathered_at, hashes = moment(packet.manifest.gathered_at), _content_hashes(packet.manifest.items)
    items = {}
    for each in packet.manifest.resources:
        resource = packet.resources[each.source]
        whole = hashes[each.source]
        items[each.source] = Item(
            each.source,
            _as_cut(whole, resource) if each.source in packet.cut else whole,
            each.sha256,
            moment(as_dict(resource.get("meta")).get("lastUpdated")),
            gathered_at,
            each.source if is_home else original_of(resource, system),
            troubles.get(each.source),
            each.version,
            whole,
        )
    patient = items.get(packet.manifest.patient)  # who that is at the target was decided before, by more than a number
    if patient is not None:
        items[patient.source] = replace(patient, original=None)
    return Expected(resources, items, beside)


def _as_cut(whole: str, resource: dict) -> str:
    """Another content: when the patient agrees to more, the record is to be brought up to date."""
    return hashlib.sha256(whole.encode() + fhir_json.dumps(resource)).hexdigest()


def is_same_server(one: Endpoint, other: Endpoint) -> bool:
    """True when both endpoints are one FHIR server, however it is configured."""
    return one.key == other.key or comparable(one.base_url) == comparable(other.base_url)


def original_of(resource: dict, target_system: str) -> str | None:
    """``Type/id`` at the target of the record this one is a copy of: it carries the identifier we give to that server's own."""
    kind = resource.get("resourceType")
    for identifier in identifiers_in(resource):
        if identifier.system == target_system and identifier.value.startswith(f"{kind}/"):
            return identifier.value
    return None


def moment(text: object) -> datetime | None:
    """A FHIR instant as a time; None when it is none, or names no zone."""
    try:
        found = datetime.fromisoformat(as_text(text) or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


class WithAttachments(Mapping[str, dict]):
    """The records of a packet with what was fetched for them inside; each is made when it is asked for."""

    def __init__(self, packet: packets.Packet, payloads: Payloads, outside: Collection[str], beside: Collection[str]):
        self._records, self._payloads = packet.resources, payloads
        self._inside: dict[str, list[ManifestItem]] = {}
        for item in packet.manifest.items:
            if item.kind == "attachment" and item.source not in outside and item.of not in beside:
                self._inside.setdefault(item.source, []).append(item)

    def __getitem__(self, source: str) -> dict:
        resource, items = self._records[source], self._inside.get(source, ())
        of = {item.of: (self._payloads.get(item.sha256), item.content_type) for item in items if item.of is not None}
        return packets.inline(copy.deepcopy(resource), of, attachments) if of else resource

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __contains__(self, source: object) -> bool:
        return source in self._records

    def __len__(self) -> int:
        return len(self._records)


def _with_attachments(
    ctx: Context, endpoint: str, packet: packets.Packet, beside: Mapping[str, SeparateBinary]
) -> tuple[Mapping[str, dict], dict[str, Finding]]:
    """The resources with what was fetched for them inside, and those that cannot be."""
    limit, troubles = ctx.endpoint(endpoint).limits.max_inline_bytes, {}
    for item in packet.manifest.items:
        if item.kind == "attachment" and item.size > limit and item.of not in beside:
            troubles[item.source] = Finding(
                "attachment-too-large",
                f"it has {item.size} bytes, and {endpoint} takes {limit} inside a record",
                item.of or item.source,
                "error",
            )
    return WithAttachments(packet, ctx.world.payloads, troubles, beside), troubles


def _content_hashes(items: Iterable[ManifestItem]) -> Mapping[str, str]:
    """One hash for each record and the bytes of its attachments: a document may change under the same address."""
    parts: dict[str, list[str]] = {}
    for item in (each for each in items if each.kind in ("resource", "attachment")):
        parts.setdefault(item.source, []).append(f"{item.of or ''} {item.sha256}")
    return {
        source: each[0].split()[-1] if len(each) == 1 else hashlib.sha256("\n".join(sorted(each)).encode()).hexdigest()
        for source, each in parts.items()
    }
