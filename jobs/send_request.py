"""Send the request itself: patient's questions, ServiceRequest, and last the Task the consultant works from."""
from sqlalchemy import Connection

from integration import fhir_json
from integration.store import deliveries, links, requests, steps
from integration.store.steps import NextStep
from integration import packets
from jobs.match_people import resolve_practitioner
from jobs.world import Context, Outcome
from jobs.writing import ensure_created, own_identifier
from mappings.communication import to_patient_questions
from mappings.model.delivery import DeliveryKind, DeliveryStatus
from mappings.model.states import Actor, Status
from mappings.service_request import Refs, to_service_request
from mappings.task import TaskInput, to_task

MAX_INPUTS = 50


def send_request(ctx: Context) -> Outcome:
    """The records are verified: now the consultant is asked. The Task goes last, so that what it names is there."""
    request, row = ctx.request(), ctx.row()
    endpoint, system = request.fulfiller, ctx.world.config.exchange.identifier_system
    with ctx.world.engine.begin() as conn:
        packet = packets.rows(conn, ctx.request_id)[0]
        manifest = packets.load(ctx.world.payloads, packet.manifest_sha256).manifest
        patient = links.find(conn, endpoint, manifest.identifier_system, [manifest.patient])[manifest.patient]
        records = deliveries.items(conn, deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, 1))
    with ctx.transaction() as conn:
        delivery_id = deliveries.create(conn, ctx.request_id, endpoint, DeliveryKind.REQUEST, deadline=row.records_due_at)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
    requester = resolve_practitioner(ctx, endpoint, request.requester)
    performer = resolve_practitioner(ctx, endpoint, request.consultant)
    documents = sorted({item.target for item in records.values() if (item.target or "").startswith("DocumentReference/")})
    if len(documents) > MAX_INPUTS:
        ctx.finding("inputs-cut", f"the Task names {MAX_INPUTS} of {len(documents)} documents; all of them are at the fulfiller",
                    severity="info")
    service_request = _write(ctx, endpoint, delivery_id, to_service_request(
        request, request_id=ctx.request_id, refs=Refs(patient=patient, requester=requester, performer=performer,
                                                      supporting_info=tuple(documents)),
        identifier_system=system))
    questions = None
    if request.patient_questions:
        questions = _write(ctx, endpoint, delivery_id, to_patient_questions(
            request.patient_questions, request_id=ctx.request_id, identifier_system=system, service_request=service_request,
            patient=patient))
    _write(ctx, endpoint, delivery_id, to_task(
        request_id=ctx.request_id, identifier_system=system, service_request=service_request, patient=patient,
        requester=requester, owner=performer, authored_at=request.authored_at or row.created_at.isoformat(timespec="seconds"),
        wanted_by=request.wanted_by.isoformat() if request.wanted_by else None,
        inputs=_inputs(documents[:MAX_INPUTS], questions)))

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery_id, DeliveryStatus.SENT)
        requests.advance(conn, ctx.request_id, Status.REQUESTED, Actor.EXCHANGE)

    return Outcome(next_steps=(NextStep("verify_request", endpoint, delivery_id=delivery_id),), apply=[commit])


def _inputs(documents: list[str], questions: str | None) -> list[TaskInput]:
    inputs = [TaskInput(text="records", reference=reference) for reference in documents]
    return inputs + ([TaskInput(text="patient questions", reference=questions)] if questions else [])


def _write(ctx: Context, endpoint: str, delivery_id: str, resource: dict) -> str:
    """Create one of our resources by its own identifier and keep the bytes sent, for the read-back."""
    identifier = own_identifier(ctx, resource["resourceType"], ctx.request_id)
    reference = ensure_created(ctx, endpoint, resource, identifier, authored=True)
    digest = ctx.world.payloads.put(fhir_json.dumps(resource))
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [dict(source=identifier.value, status="sent",
                                                       target=reference, sent_sha256=digest, created_by_us=True)])
    return reference


def find_own(ctx: Context, endpoint: str, kind: str) -> str | None:
    """``Type/id`` of our ServiceRequest or Task at an endpoint."""
    identifier = own_identifier(ctx, kind, ctx.request_id)
    with ctx.world.engine.begin() as conn:
        return links.find(conn, endpoint, identifier.system, [identifier.value]).get(identifier.value)


def cancel_request(ctx: Context) -> Outcome:
    """Tell the fulfiller: before work began the Task is cancelled; after that only the fulfiller may end it."""
    row = ctx.row()
    task = find_own(ctx, row.fulfiller, "Task")
    if task is None:
        return Outcome(apply=[lambda conn: _cancelled(conn, ctx)])
    server = ctx.server(row.fulfiller)
    resource = server.read(*task.split("/"))
    if resource.get("status") in ("requested", "received", "accepted"):
        resource |= {"status": "cancelled", "statusReason": {"text": row.status_reason or "cancelled by the placer"}}
        ctx.lease.before_write()
        server.update(resource, if_match=(resource.get("meta") or {}).get("versionId"))
        return Outcome(apply=[lambda conn: _cancelled(conn, ctx)])
    ctx.finding("cancel-pending", "the consultant has begun; the cancellation waits for the fulfiller", severity="warning")
    return Outcome()


def _cancelled(conn: Connection, ctx: Context) -> None:
    requests.advance(conn, ctx.request_id, Status.CANCELLED, Actor.PLACER, reason="cancelled by the placer")
    steps.cancel_open(conn, ctx.request_id, reason="the request was cancelled")
