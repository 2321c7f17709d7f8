"""What goes without being sent: what a person said to send without, and the kinds of record that the patient's consent leaves home.

Both are left out of the packet that is sent, told to the consultant, and marked on the delivery. Of what the patient left home
only the kinds are told, whether there is something of them or not: to say that there is a sensitive record would tell it.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace

from integration.packets import stored
from integration.packets.consented import Kept, consented
from integration.packets.stored import Packet
from integration.store import deliveries
from integration.store import packets as packet_rows
from integration.store.waivers import Waiver, covers
from jobs.world import Context
from mappings.document_reference import attachments
from mappings.model.consent import BY_THE_PATIENT, LEFT_HOME, Consent
from mappings.model.delivery import ItemStatus
from mappings.model.packet import ManifestItem

# https://hl7.org/fhir/R4/extension-data-absent-reason.html
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_SAYS_BYTES = ("data", "_data", "url", "_url", "hash", "_hash", "size", "_size")


def without_waived(ctx: Context, packet: Packet, consent: Consent | None) -> Packet:
    """The packet as it goes: waived items are in its manifest as such, which the cover of the summary lists.

    ``consent``: that by which its records were, or are, chosen.
    """
    packet = consented(packet, consent, _before(ctx, packet, consent))
    gone = [each for each in ctx.waivers() if not each.as_it_is]
    items = tuple(_as_sent(item, gone) for item in packet.manifest.items)
    waived = {item.of or item.source for item in items if item.kind == "waived"}
    if not waived:
        return packet
    kept = {item.source for item in items if item.kind == "resource"}
    resources = _Stripped(packet.resources, kept, waived)
    return replace(packet, manifest=packet.manifest.model_copy(update={"items": items}), resources=resources)


def _before(ctx: Context, packet: Packet, consent: Consent | None) -> list[Packet]:
    """It may refer to what stayed home of earlier packets."""
    is_limited = consent is not None and consent.left_home
    return packets_so_far(ctx, until=packet.manifest.packet_id) if is_limited else []


def packets_so_far(ctx: Context, until: str | None = None) -> list[Packet]:
    """The packets of the request, the oldest first; those before ``until``."""
    with ctx.world.engine.connect() as conn:
        rows = packet_rows.of_request(conn, ctx.request_id)
    ids = [row.id for row in rows]
    before = rows[: ids.index(until)] if until in ids else rows
    return [stored.load(ctx.world.payloads, row.manifest_sha256) for row in before]


class _Stripped(Kept):
    """The resources that go, without the documents that are waived."""

    def __init__(self, resources: Mapping[str, dict], kept: set[str], waived: set[str]):
        super().__init__(resources, kept)
        self._waived = waived

    def __getitem__(self, source: str) -> dict:
        return _without_documents(source, super().__getitem__(source), self._waived)


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


def mark_waived(ctx: Context, delivery_id: str, gathered: Packet, packet: Packet) -> None:
    """The delivery says which items it goes without; what had arrived before it was left out stays marked as it is."""
    named = {item.source for item in packet.manifest.waived} | {item.source for item in gathered.manifest.resources}
    left_out = named - packet.resources.keys()
    with ctx.transaction() as conn:
        known = {source for source, item in deliveries.items(conn, delivery_id).items() if item.target is None}
        marks = [dict(source=source, status=ItemStatus.WAIVED) for source in sorted(left_out & known)]
        deliveries.mark_items(conn, delivery_id, marks)


def note_of(ctx: Context) -> str | None:
    """For whoever works from the Task: what the records lack, what it is and why; None when they lack nothing."""
    gone, consent = [each for each in ctx.waivers() if not each.as_it_is], ctx.consent()
    home = consent.consent.left_home if consent else ()
    said = [f"{each.item} ({each.what}): {each.reason}" for each in gone]
    said += [f"{', '.join(LEFT_HOME[kind] for kind in home)}: {BY_THE_PATIENT}"] if home else []
    return f"The records were sent without: {'; '.join(said)}." if said else None


def _as_sent(item: ManifestItem, gone: list[Waiver]) -> ManifestItem:
    place = item.of or item.source
    waiver = next((each for each in gone if covers(each.item, place)), None)
    if waiver is None or item.kind not in ("resource", "attachment"):
        return item
    return ManifestItem(source=item.source, kind="waived", size=0, sha256=item.sha256, of=place, why=why(waiver))


def why(waiver: Waiver) -> str:
    """Who decided that, and the reason."""
    return f"sent without it by decision of {waiver.actor}: {waiver.reason}"
