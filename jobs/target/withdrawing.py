"""Takes back at an endpoint what a source took back: what we created there is marked entered-in-error, never deleted."""

from dataclasses import replace

from integration.packets import stored as packets
from integration.packets.stored import Packet
from integration.store import deliveries, links
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from jobs.target.checking import Check, read_back
from jobs.world import Context
from mappings.model.delivery import DeliveryKind
from mappings.model.leaving import Reason
from mappings.model.link import Link
from mappings.model.packet import ManifestItem
from mappings.withdrawal import carried, is_marked_in_error, marked_in_error


def withdraw(ctx: Context, delivery: Delivery, packet: Packet) -> None:
    """Mark each withdrawn record's copy, or the copies of its originals; what is not ours to change is told to a person.

    ``packet`` is as it was gathered, also what a person said to send without: earlier packets may have carried it.
    """
    if not packet.manifest.withdrawn:
        return
    as_resources = ctx.endpoint(delivery.endpoint).accepts == "resources"
    copies = _records(ctx, delivery, packet) if as_resources else _originals(ctx, delivery, packet)
    for item in packet.manifest.withdrawn:
        target = None
        for link in copies.get(item.source, ()):
            target = link.reference
            _mark(ctx, delivery.endpoint, item, link)
        with ctx.transaction() as conn:
            mark = dict(source=item.source, status="sent", target=target)
            deliveries.mark_items(conn, delivery.id, [mark])


def check_withdrawn(ctx: Context, delivery: Delivery, packet: Packet, check: Check) -> None:
    """Read them back: a copy that is ours says that it should never have existed, or is no longer there."""
    server = ctx.server(delivery.endpoint)
    with ctx.world.engine.begin() as conn:
        items = deliveries.items(conn, delivery.id)
    for withdrawn in packet.manifest.withdrawn:
        item = items.get(withdrawn.source)
        read = read_back(server, item.target if item else None)
        is_so = read is None or is_marked_in_error(read) or not _is_ours(ctx, delivery.endpoint, read)
        (check.verified if is_so else check.different).append(withdrawn.source)


def _is_ours(ctx: Context, endpoint: str, there: dict) -> bool:
    """False for what we merely matched, and for a type without such a mark: a person was told."""
    with ctx.world.engine.begin() as conn:
        known = links.of_reference(conn, endpoint, packets.source_of(there))
    return marked_in_error(there) is not None and any(link.origin == "created" for link in known)


def _records(ctx: Context, delivery: Delivery, packet: Packet) -> dict[str, list[Link]]:
    system = packet.manifest.identifier_system
    pairs = [(system, item.source) for item in packet.manifest.withdrawn]
    with ctx.world.engine.begin() as conn:
        rows = links.find_rows(conn, delivery.endpoint, pairs)
    return {source: [row] for (_, source), row in rows.items()}


def _originals(ctx: Context, delivery: Delivery, packet: Packet) -> dict[str, list[Link]]:
    """The documents there that are originals of the withdrawn records and of no record that still stands."""
    with ctx.world.engine.begin() as conn:
        rows = packet_rows.of_request(conn, ctx.request_id)
        sent = [
            deliveries.items(conn, deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, row.version))
            for row in rows
        ]
    own = packet.manifest
    manifests = [
        own if row.id == own.packet_id else packets.manifest_of(ctx.world.payloads, row.manifest_sha256) for row in rows
    ]
    in_use = set(carried(manifests).attachments.values())
    names: dict[str, set[str]] = {}
    for item in (each for manifest in manifests for each in manifest.items if each.kind == "attachment"):
        if item.sha256 not in in_use:
            names.setdefault(item.source, set()).add(f"document:{item.sha256[:32]}")
    targets = {name: item.target for items in sent for name, item in items.items() if item.target}
    wanted = {source: [targets[name] for name in sorted(found) if name in targets] for source, found in names.items()}
    with ctx.world.engine.begin() as conn:
        return {
            source: [link for each in references for link in links.of_reference(conn, delivery.endpoint, each)]
            for source, references in wanted.items()
        }


def _mark(ctx: Context, endpoint: str, item: ManifestItem, link: Link) -> None:
    server = ctx.server(endpoint)
    there = server.read_if_there(link.reference)
    if there is None or is_marked_in_error(there):
        return
    marked = marked_in_error(there)
    if link.origin != "created" or marked is None:
        why = "was there before" if link.origin != "created" else "is of a type that has no such mark"
        ctx.finding(
            "withdrawal-by-hand",
            f"{item.why}; {link.reference} at {endpoint} {why}: tell the endpoint's contact to take it back",
            item.source,
            "error",
        )
        return
    ctx.lease.before_write()
    with ctx.for_the_reason(Reason.WITHDRAWAL):
        written = server.update(marked, if_match=(there.get("meta") or {}).get("versionId"))
    with (
        ctx.transaction() as conn
    ):  # the bytes are none that a packet holds: should the record come back, it is written anew
        links.wrote(
            conn,
            endpoint,
            [
                replace(
                    link, version=written.version, sha256=None, written_in=None, ours_sha256=None, source_sha256=None
                )
            ],
        )
