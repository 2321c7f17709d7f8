"""An item that a person wants sent again: looked at where it was written, so that only what is missing or differs is written."""

from integration import fhir_json
from integration.packets.stored import Packet
from integration.store import deliveries, links, sendings
from integration.store.deliveries import Delivery, Item
from jobs.target.writing import own_identifier, version_of
from jobs.world import Context
from mappings.model.delivery import ItemStatus
from mappings.model.link import Link


def look_again(ctx: Context, delivery: Delivery, packet: Packet) -> None:
    """For each such item: what is not there is forgotten, and the push creates it; what is there is brought up to date."""
    with ctx.world.engine.begin() as conn:
        wanted = {
            source: item
            for source, item in deliveries.items(conn, delivery.id).items()
            if item.status == ItemStatus.AGAIN
        }
        pairs = {source: _pair(ctx, packet, source) for source in wanted}
        known = links.find_rows(conn, delivery.endpoint, pairs.values())
    for source, item in wanted.items():
        link = known.get(pairs[source])
        if link is not None:
            _look(ctx, delivery.endpoint, source, item, link)


def _pair(ctx: Context, packet: Packet, source: str) -> tuple[str, str]:
    """The identifier by which it is known there."""
    name = source.removeprefix("document:")
    if name == source:
        return packet.manifest.identifier_system, source
    own = own_identifier(ctx, "DocumentReference", f"{packet.manifest.packet_id}-{name}")
    return own.system, own.value


def _look(ctx: Context, endpoint: str, source: str, item: Item, link: Link) -> None:
    there = ctx.server(endpoint).read_if_there(link.reference)
    if there is None:
        with ctx.transaction() as conn:
            links.forget(conn, endpoint, link.system, link.value)
            sendings.forget(conn, endpoint, [(link.system, link.value)])
        ctx.finding("item-sent-again", f"{link.reference} is not at {endpoint} anymore: it is created again", source)
    elif item.sent_sha256 and source.startswith("document:"):
        written = fhir_json.loads(ctx.world.payloads.get(link.sha256 or item.sent_sha256))
        ctx.lease.before_write()
        ctx.server(endpoint).update({**written, "id": there["id"]}, if_match=version_of(there))
        ctx.finding("item-sent-again", f"{link.reference} is at {endpoint}: it was brought up to date", source)
    else:
        with ctx.transaction() as conn:
            links.doubt_content(conn, endpoint, link.system, link.value)
        ctx.finding("item-sent-again", f"{link.reference} is at {endpoint}: it is brought up to date", source)
