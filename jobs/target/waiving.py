"""What a person said to send without: left out of the packet that is sent, told to the consultant, marked on the delivery."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace

from integration.packets.stored import Packet
from integration.store import deliveries
from integration.store.waivers import Waiver, covers
from jobs.world import Context
from mappings.document_reference import attachments
from mappings.model.delivery import ItemStatus
from mappings.model.packet import ManifestItem

# https://hl7.org/fhir/R4/extension-data-absent-reason.html
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SAYS_BYTES = ("data", "_data", "url", "_url", "hash", "_hash", "size", "_size")


def without_waived(ctx: Context, packet: Packet) -> Packet:
    """The packet as it goes: waived items are in its manifest as such, which the cover of the summary lists."""
    gone = [each for each in ctx.waivers() if not each.as_it_is]
    items = tuple(_as_sent(item, gone) for item in packet.manifest.items)
    waived = {item.of or item.source for item in items if item.kind == "waived"}
    if not waived:
        return packet
    kept = {item.source for item in items if item.kind == "resource"}
    resources = _Kept(packet.resources, kept, waived)
    return replace(packet, manifest=packet.manifest.model_copy(update={"items": items}), resources=resources)


class _Kept(Mapping[str, dict]):
    """The resources that go, each read when it is asked for."""

    def __init__(self, resources: Mapping[str, dict], kept: set[str], waived: set[str]):
        self._resources, self._kept, self._waived = resources, kept, waived

    def __getitem__(self, source: str) -> dict:
        if source not in self._kept:
            raise KeyError(source)
        return _without_documents(source, self._resources[source], self._waived)

    def __iter__(self) -> Iterator[str]:
        return (source for source in self._resources if source in self._kept)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _without_documents(source: str, resource: dict, waived: set[str]) -> dict:
    """The resource without the address, bytes and hash of its waived documents: they would lead nowhere."""
    if not any(each.startswith(f"{source}#") for each in waived):
        return resource
    made = copy.deepcopy(resource)
    for at in attachments(made):
        if f"{source}#{at.path}" in waived:
            for name in _SAYS_BYTES:
                at.attachment.pop(name, None)
            at.attachment["_data"] = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
    return made


def mark_waived(ctx: Context, delivery_id: str, packet: Packet) -> None:
    """The delivery says which items it goes without."""
    left_out = {item.source for item in packet.manifest.waived} - packet.resources.keys()
    with ctx.transaction() as conn:
        known = deliveries.items(conn, delivery_id)
        marks = [dict(source=source, status=ItemStatus.WAIVED) for source in sorted(left_out & known.keys())]
        deliveries.mark_items(conn, delivery_id, marks)


def note_of(ctx: Context) -> str | None:
    """For whoever works from the Task: what the records lack, what it is and why; None when they lack nothing."""
    gone = [each for each in ctx.waivers() if not each.as_it_is]
    said = "; ".join(f"{each.item} ({each.what}): {each.reason}" for each in gone)
    return f"The records were sent without: {said}." if gone else None


def _as_sent(item: ManifestItem, gone: list[Waiver]) -> ManifestItem:
    place = item.of or item.source
    waiver = next((each for each in gone if covers(each.item, place)), None)
    if waiver is None or item.kind not in ("resource", "attachment"):
        return item
    return ManifestItem(source=item.source, kind="waived", size=0, sha256=item.sha256, of=place, why=why(waiver))


def why(waiver: Waiver) -> str:
    """Who decided that, and the reason."""
    return f"sent without it by decision of {waiver.actor}: {waiver.reason}"
