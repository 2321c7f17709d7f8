"""Tells the consulting provider where records came from that are none of the chart itself: a Provenance beside them, where it is taken.

By the ledger and the road of what goes beside a report (jobs/target/beside.py). None keeps anything open: what cannot go is a finding.
"""

from collections.abc import Iterator

from integration.packets import stored as packets
from integration.store import deliveries, received_records, record_sources
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from jobs.target.beside import is_known, send_beside
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.elsewhere import beginning
from mappings.instants import in_whole_seconds
from mappings.model.delivery import ARRIVED, DeliveryKind, ItemStatus
from mappings.model.leaving import Reason
from mappings.model.outgoing import Outgoing
from mappings.model.packet import Manifest
from mappings.provenance import to_provenance
from mappings.received import PREFIX, is_received
from mappings.record_origins import Sent, Told, origins

LEFT = "record-origin-left"
KIND = "Provenance"


def is_wanted(ctx: Context, endpoint: str, manifest: Manifest) -> bool:
    """Whether there is something to say there: documents say it in their words."""
    at = ctx.endpoint(endpoint)
    return (
        at.accepts == "resources"
        and KIND in at.habits.beside
        and any(is_received(each.source) for each in manifest.items)
    )


def tell_origins(ctx: Context, endpoint: str) -> None:
    """Each once, for every packet that arrived. Raises TemporaryError only: what else goes wrong is said as a finding."""
    if KIND not in ctx.capabilities(endpoint).creates:
        return
    with ctx.world.engine.begin() as conn:
        arrived = deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)
    arrived = [each for each in reversed(arrived) if each.endpoint == endpoint and each.status in ARRIVED]
    of = {each.version: each for each in arrived}
    for told in origins((_sent(ctx, each) for each in arrived), _places(ctx)):
        _tell(ctx, of[told.version], told)


def _sent(ctx: Context, delivery: Delivery) -> Sent:
    with ctx.world.engine.begin() as conn:
        packet = packet_rows.one(conn, delivery.packet)
        items = deliveries.items(conn, delivery.id).values()
    there = {
        each.source: each.target
        for each in items
        if each.target
        and each.created_by_us is not False
        and each.status == ItemStatus.VERIFIED
        and is_received(each.source)
    }
    return Sent(delivery.version, packets.manifest_of(ctx.world.payloads, packet.manifest_sha256), there)


def _places(ctx: Context) -> dict[str, str]:
    """What each place is called that records came from, by how their ids begin."""
    return dict(_named_places(ctx))


def _named_places(ctx: Context) -> Iterator[tuple[str, str]]:
    with ctx.world.engine.begin() as conn:
        sources = record_sources.of_request(conn, ctx.request_id)
        records = received_records.of_request(conn, ctx.request_id)
    for each in sources:
        known = ctx.config.endpoints.get(each.endpoint)
        yield beginning(each.id), known.name if known else each.endpoint
    for record in records:
        if record.accepted_at:
            yield f"{PREFIX}{record.id}", record.what_it_says.came_from or record.source or ""


def _tell(ctx: Context, delivery: Delivery, told: Told) -> None:
    identifier = own_identifier(ctx, KIND, f"{ctx.request_id}-origin-{told.name}")
    if is_known(ctx, delivery.endpoint, identifier):
        return
    made = to_provenance(
        targets=told.targets,
        recorded=in_whole_seconds(delivery.created_at),
        exchange_name=ctx.config.exchange.name,
        on_behalf_of_display=ctx.endpoint(ctx.row().placer).name,
        activity=told.activity,
        came_from=told.came_from,
    )
    item = Outgoing(
        request_id=ctx.request_id,
        delivery_id=delivery.id,
        identifier=identifier,
        visible=f"the {KIND} about {told.targets[0]}",
        resource=made,
        patient="",
        called="request",
    )
    send_beside(ctx, delivery.endpoint, item, KIND, Reason.ASKED, it="the records are", left=LEFT)
