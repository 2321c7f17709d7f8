"""People first: patient, practitioners and organizations are resolved at the target before anything travels."""

from integration.packets import stored as packets
from integration.store import deliveries
from integration.store import packets as packet_rows
from integration.store.steps import NextStep
from jobs.patients import create_patient, resolve_patient
from jobs.target.asking import must_take_requests
from jobs.target.people import resolve_people
from jobs.watching import watch_visit_at_both
from jobs.world import Context, Outcome


def match_people(ctx: Context) -> Outcome:
    """Resolve the patient and, where resources travel, every person and place of the packet; one at a time."""
    request = ctx.request()
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
        packet_row = packet_rows.one(conn, delivery.packet)
    must_take_requests(ctx, delivery.endpoint)
    packet = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    patient = resolve_patient(ctx, request, packet)
    people = {}
    if ctx.endpoint(delivery.endpoint).accepts == "resources":
        people = resolve_people(ctx, delivery.endpoint, packet)
    if patient is None:  # created after the people, because it refers to its doctor and organization
        create_patient(ctx, request, packet, people)
    push = NextStep("push_records", delivery.endpoint, delivery_id=ctx.step.delivery_id)
    return Outcome(next_steps=(push,), apply=[lambda conn: watch_visit_at_both(conn, ctx, request)])
