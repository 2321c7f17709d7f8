"""What a packet is to be at an endpoint that takes resources: each record with its attachments inside, and what deciding needs."""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from integration.packets import stored as packets
from integration.settings.config import Endpoint
from integration.store import links
from jobs.target.deciding import Item
from jobs.world import Context
from mappings.addresses import comparable
from mappings.codes import as_dict, as_text
from mappings.document_reference import attachments
from mappings.identifiers import identifiers_in
from mappings.model.findings import Finding
from mappings.model.packet import ManifestItem


@dataclass(frozen=True)
class Expected:
    """What stands, or is to stand, at a target: records by what they are called at the source, in the packet's order."""

    resources: dict[str, dict]  # attachments inside, references as at the source
    items: dict[str, Item]


def expected(ctx: Context, endpoint: str, packet: packets.Packet) -> Expected:
    """Of a whole packet. A record that cannot be written as it is has its trouble in its item, and stops no other."""
    resources, troubles = _with_attachments(ctx, endpoint, packet)
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, endpoint)
    source = ctx.world.config.endpoints.get(packet.manifest.source_endpoint)
    is_home = source is not None and is_same_server(source, ctx.endpoint(endpoint))
    gathered_at, hashes = moment(packet.manifest.gathered_at), _content_hashes(packet.manifest.items)
    items = {
        each.source: Item(
            each.source,
            hashes[each.source],
            each.sha256,
            moment(as_dict(packet.resources[each.source].get("meta")).get("lastUpdated")),
            gathered_at,
            each.source if is_home else original_of(packet.resources[each.source], system),
            troubles.get(each.source),
        )
        for each in packet.manifest.resources
    }
    patient = items.get(packet.manifest.patient)  # who that is at the target was decided before, by more than a number
    if patient is not None:
        items[patient.source] = replace(patient, original=None)
    return Expected(resources, items)


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


def _with_attachments(
    ctx: Context, endpoint: str, packet: packets.Packet
) -> tuple[dict[str, dict], dict[str, Finding]]:
    """The resources with what was fetched for them inside, and those that cannot be."""
    limit, resources, troubles = ctx.endpoint(endpoint).limits.max_inline_bytes, dict(packet.resources), {}
    by_source: dict[str, list[ManifestItem]] = {}
    for item in packet.manifest.items:
        if item.kind == "attachment":
            by_source.setdefault(item.source, []).append(item)
    for source, items in by_source.items():
        large = [item for item in items if item.size > limit]
        if large:
            troubles[source] = Finding(
                "attachment-too-large",
                f"it has {large[0].size} bytes, and {endpoint} takes {limit} inside a record",
                large[0].of or source,
                "error",
            )
            continue
        of = {item.of: (ctx.world.payloads.get(item.sha256), item.content_type) for item in items}
        resources[source] = packets.inline(copy.deepcopy(resources[source]), of, attachments)
    return resources, troubles


def _content_hashes(items: Iterable[ManifestItem]) -> Mapping[str, str]:
    """One hash for each record and the bytes of its attachments: a document may change under the same address."""
    parts: dict[str, list[str]] = {}
    for item in (each for each in items if each.kind in ("resource", "attachment")):
        parts.setdefault(item.source, []).append(f"{item.of or ''} {item.sha256}")
    return {
        source: each[0].split()[-1] if len(each) == 1 else hashlib.sha256("\n".join(sorted(each)).encode()).hexdigest()
        for source, each in parts.items()
    }
