"""Push a packet to the fulfiller: as resources in bounded chunks, or as documents; each once."""

from sqlalchemy import Connection

from integration.packets import stored as packets
from integration.store import deliveries, requests
from integration.store import packets as packet_rows
from integration.store.steps import NextStep
from jobs.patients import current_patient
from jobs.target.again import look_again
from jobs.target.documents import push_documents
from jobs.target.resources import push_resources
from jobs.target.waiving import mark_waived, without_waived
from jobs.target.withdrawing import withdraw
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryStatus
from mappings.model.states import Records


def push_records(ctx: Context) -> Outcome:
    """Send what is not there yet; every chunk's links are stored before the next chunk goes."""
    patient, consent = current_patient(ctx, ctx.request()), ctx.consent()
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
        packet_row = packet_rows.one(conn, delivery.packet)
    with ctx.transaction() as conn:
        deliveries.move(conn, delivery.id, DeliveryStatus.SENDING)
        deliveries.note_request_version(conn, delivery.id, requests.version_now(conn, ctx.request_id))
        deliveries.note_consent(conn, delivery.id, consent.id if consent else None)
        delivery = deliveries.one(conn, delivery.id)
    gathered = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    packet = without_waived(ctx, gathered, consent.consent if consent else None)
    mark_waived(ctx, delivery.id, gathered, packet)
    look_again(ctx, delivery, packet)
    withdraw(
        ctx, delivery, gathered
    )  # first: a record that has to wait for a person must not keep a wrong one standing
    if ctx.endpoint(delivery.endpoint).accepts == "resources":
        push_resources(ctx, delivery, packet)
    else:
        push_documents(ctx, delivery, packet, patient)

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, DeliveryStatus.SENT)
        requests.set_records(conn, ctx.request_id, Records.SENT)

    return Outcome(next_steps=(NextStep("verify_records", delivery.endpoint, delivery_id=delivery.id),), apply=[commit])
