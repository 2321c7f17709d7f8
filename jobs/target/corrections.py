"""What a packet corrects: which earlier copies it replaces, and marking them at the endpoint as no longer current."""

from contextlib import suppress
from dataclasses import dataclass, field

from integration.packets import stored as packets
from integration.packets.stored import Packet
from integration.store import deliveries
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery, Item
from jobs.target.writing import version_of
from jobs.world import Context
from mappings.model.delivery import DeliveryKind
from mappings.model.errors import PermanentError
from mappings.model.packet import Manifest
from mappings.rendition import Correction


@dataclass(frozen=True)
class Earlier:
    """What went before a packet; nothing for the first one."""

    correction: Correction | None = None
    patient: dict | None = None  # their record as an earlier packet had it
    replaced_summary: str | None = None  # DocumentReference/id there: everything in it is corrected by now
    appended_summary: str | None = None
    superseded: tuple[str, ...] = ()  # every document there that is no longer current
    replaced: dict[str, str] = field(default_factory=dict)  # place of an original -> the earlier copy there

    def replaced_original(self, of: str) -> str | None:
        """The earlier copy of the original at this place."""
        return self.replaced.get(of)


@dataclass(frozen=True)
class _Sent:
    """An earlier packet and where its documents are."""

    manifest: Manifest
    items: dict[str, Item]


def earlier_than(ctx: Context, delivery: Delivery, packet: Packet) -> Earlier:
    """Compare a packet with those before it."""
    if delivery.version == 1:
        return Earlier()
    with ctx.world.engine.begin() as conn:
        rows = [row for row in packet_rows.of_request(conn, ctx.request_id) if row.version < delivery.version]
        items = {row.version: deliveries.items(conn, _delivery_id(ctx, row.version)) for row in rows}
    sent = [_Sent(packets.manifest_of(ctx.world.payloads, row.manifest_sha256), items[row.version]) for row in rows]
    known = frozenset(item.source for each in sent for item in each.manifest.resources)
    whole, partly = _summaries(sent, packet.manifest)
    replaced = _originals(sent, packet.manifest)
    return Earlier(
        correction=Correction(delivery.version - 1, sent[0].manifest.gathered_at, known),
        patient=_patient(ctx, sent, packet),
        replaced_summary=next(iter(_targets(whole, "document:rendition")), None),
        appended_summary=next(iter(_targets(partly, "document:rendition")), None),
        superseded=tuple(dict.fromkeys([*_summary_targets(whole), *replaced.values()])),
        replaced=replaced,
    )


def is_replaced(ctx: Context, delivery: Delivery) -> bool:
    """True when later packets corrected everything that the summary of this delivery shows."""
    with ctx.world.engine.begin() as conn:
        rows = packet_rows.of_request(conn, ctx.request_id)
    manifests = {row.version: packets.manifest_of(ctx.world.payloads, row.manifest_sha256) for row in rows}
    later = {source for version, each in manifests.items() if version > delivery.version for source in _told(each)}
    return bool(later) and _told(manifests[delivery.version]) <= later


def _delivery_id(ctx: Context, version: int) -> str:
    return deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, version)


def _summaries(sent: list[_Sent], manifest: Manifest) -> tuple[list[_Sent], list[_Sent]]:
    """The earlier packets that are corrected as a whole by now, and the others; newest first."""
    whole: list[_Sent] = []
    partly: list[_Sent] = []
    later = _told(manifest)
    for each in reversed(sent):
        (whole if _told(each.manifest) <= later else partly).append(each)
        later |= _told(each.manifest)
    return whole, partly


def _told(manifest: Manifest) -> set[str]:
    """Of which records a packet says something: those it carries, and those it takes back."""
    return {item.source for item in manifest.items if item.kind in ("resource", "withdrawn")}


def _targets(sent: list[_Sent], name: str) -> list[str]:
    return [item.target for each in sent if (item := each.items.get(name)) is not None and item.target]


def _summary_targets(sent: list[_Sent]) -> list[str]:
    """Of all volumes, and of what stands beside them."""
    return [
        item.target
        for each in sent
        for name, item in each.items.items()
        if name.startswith("document:rendition") and item.target
    ]


def _originals(sent: list[_Sent], manifest: Manifest) -> dict[str, str]:
    """Where an original has other bytes now: its place -> the newest earlier copy there, unless those bytes are still in use."""
    newest = {item.of: item.sha256 for item in _attachments(manifest)}
    before: dict[str, tuple[str, str]] = {}
    for each in sent:
        for item in _attachments(each.manifest):
            at_target = each.items.get(f"document:{item.sha256[:32]}")
            if at_target is not None and at_target.target:
                before[item.of] = (item.sha256, at_target.target)
    in_use = set(newest.values()) | {digest for of, (digest, _) in before.items() if of not in newest}
    return {
        of: before[of][1] for of, digest in newest.items() if of in before and before[of][0] not in {digest, *in_use}
    }


def _attachments(manifest: Manifest) -> list:
    return [item for item in manifest.items if item.kind == "attachment"]


def _patient(ctx: Context, sent: list[_Sent], packet: Packet) -> dict | None:
    """The patient's record from the newest packet that holds it."""
    source = packet.manifest.patient
    if source in packet.resources:
        return packet.resources[source]
    for each in reversed(sent):
        earlier = packets.load_records(ctx.world.payloads, each.manifest)
        if source in earlier.resources:
            return earlier.resources[source]
    return None


def supersede(ctx: Context, endpoint: str, reference: str, what: str) -> None:
    """A copy of ours that is no longer right does not say that it stands: servers need not draw that from ``relatesTo``."""
    there = ctx.server(endpoint).read_if_there(reference)
    if there and there.get("status") == "current" and not _is_superseded(ctx, endpoint, there):
        ctx.finding(
            "copy-not-superseded",
            f"{reference} at {endpoint} is {what} and still says it is current: ask there to have it marked",
            reference,
            "error",
        )


def _is_superseded(ctx: Context, endpoint: str, there: dict) -> bool:
    """Marks it and reads it back; False when the server does not let us, or does not do it."""
    server, reference = ctx.server(endpoint), f"DocumentReference/{there['id']}"
    ctx.lease.before_write()
    with suppress(PermanentError):
        server.update({**there, "status": "superseded"}, if_match=version_of(there))
    return server.read(*reference.split("/")).get("status") != "current"
