"""Makes what was gathered into an immutable packet, its delivery, and the step that sends it."""

from sqlalchemy import Connection

from integration import fhir_json
from integration.packets import stored as packets
from integration.store import deliveries, links, requests
from integration.store.steps import NextStep
from jobs.source.attachments import attachment_items
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryKind
from mappings.model.packet import Manifest


def pack(ctx: Context, request, patient: str, chart: dict[str, dict], *, base: int | None) -> Outcome:
    """Fetch attachments, write bytes, and make packet, delivery and the next step in the step's own commit."""
    lines = [fhir_json.dumps(resource) for resource in chart.values()]
    items = [packets.resource_item(resource, line) for resource, line in zip(chart.values(), lines, strict=True)]
    items += attachment_items(ctx, request, chart)
    version = (base or 0) + 1
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, request.placer)
    manifest = Manifest(
        packet_id=f"{ctx.request_id}-p{version}",
        request_id=ctx.request_id,
        source_endpoint=request.placer,
        identifier_system=system,
        patient=patient,
        gathered_at=ctx.now.isoformat(timespec="seconds"),
        items=tuple(items),
    )
    digest = packets.store(ctx.world.payloads, manifest, lines)
    delivery_id = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, version)

    def commit(conn: Connection) -> None:
        note_gathered(conn, ctx)  # whose records these are was not corrected meanwhile
        packets.insert(conn, manifest, digest, version)
        deliveries.create(
            conn,
            ctx.request_id,
            request.fulfiller,
            DeliveryKind.RECORDS,
            version=version,
            packet_id=manifest.packet_id,
            sources=chart,
            deadline=requests.get(conn, ctx.request_id).records_due_at,
        )

    following = NextStep("match_people", request.fulfiller, delivery_id=delivery_id, deadline=ctx.row().records_due_at)
    return Outcome(next_steps=(following,), apply=[commit])


def note_gathered(conn: Connection, ctx: Context) -> None:
    """The chart was read for the request's content as it is now. Raises Revised when it was corrected meanwhile."""
    ctx.must_be_current(conn)
    requests.set_gathered(conn, ctx.request_id, ctx.read_version)
