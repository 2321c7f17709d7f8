"""Send the request itself: patient's questions, ServiceRequest, and last the Task the consultant works from."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from integration import checklists, fhir_json, suitability
from integration.packets import stored as packets
from integration.store import bookings, deliveries, links, requests, revisions, sendings, steps
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from integration.store.requests import Request
from integration.store.steps import NextStep
from jobs.gate import ACTOR
from jobs.patients import current_patient
from jobs.target.asking import create_once, must_take_requests
from jobs.target.changing import change
from jobs.target.documents import current_summaries, keep_renewed
from jobs.target.people import resolve_practitioner
from jobs.target.records import write
from jobs.target.renewing import ensure_current, says_it
from jobs.target.sending import what_became_of
from jobs.target.waiving import note_of
from jobs.target.writing import find_one, own_identifier
from jobs.world import Context, Outcome
from mappings.checklists.telling import news, note
from mappings.codes import as_dict
from mappings.communication import to_patient_questions, withdrawn
from mappings.model.delivery import ARRIVED, DeliveryKind, DeliveryStatus
from mappings.model.errors import NeedsPerson, TemporaryError
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Actor, Status, Visit
from mappings.revision import correction_note, in_words
from mappings.service_request import Refs, to_service_request
from mappings.task import ENDED, TaskInput, to_task, wanted_until, with_note

MAX_INPUTS = 50


def send_request(ctx: Context) -> Outcome:
    """The records are verified: now the consultant is asked, or told of a correction.

    The Task goes last, so that what it names is there; before a correction is written it is looked at first.
    """
    request, row = ctx.request(), ctx.row()
    version, endpoint, system = ctx.version, request.fulfiller, ctx.world.config.exchange.identifier_system
    delivery_id = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.REQUEST, version)
    if Status(row.status) in FINAL:
        return _too_late(ctx, delivery_id)
    patient = current_patient(ctx, request)
    with ctx.world.engine.begin() as conn:
        records = [
            each for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS) if each.status in ARRIVED
        ]
    must_take_requests(ctx, endpoint)
    corrected = _begin(ctx, endpoint, version, row.records_due_at)
    if corrected:
        _must_be_open(ctx, endpoint)
    requester = resolve_practitioner(ctx, endpoint, request.requester)
    performer = resolve_practitioner(ctx, endpoint, request.consultant)
    _renew_summaries(ctx, endpoint, version, delivery_id, patient)
    inputs = [each for sent in reversed(records) for each in _record_inputs(ctx, sent)]
    documents = [each["valueReference"]["reference"] for each in inputs]
    service_request = _write(
        ctx,
        endpoint,
        delivery_id,
        to_service_request(
            request,
            request_id=ctx.request_id,
            refs=Refs(
                patient=patient,
                requester=requester,
                performer=performer,
                supporting_info=tuple(dict.fromkeys(documents)),
                case=row.case,
                based_on=_first_of_case(ctx, row),
            ),
            identifier_system=system,
        ),
    )
    questions = _write_questions(ctx, endpoint, delivery_id, request, service_request, patient)
    task = to_task(
        request_id=ctx.request_id,
        identifier_system=system,
        service_request=service_request,
        patient=patient,
        requester=requester,
        owner=performer,
        authored_at=request.authored_at or row.created_at.isoformat(timespec="seconds"),
        wanted_by=_wanted_by(request, row),
        inputs=_inputs(inputs, questions),
        case=row.case,
    )
    corrected_note = _what_is_corrected(ctx, version, corrected) if corrected else None
    for said in filter(None, (note_of(ctx), _all_the_same(ctx), corrected_note, _not_there(ctx, ()))):
        task = with_note(task, said)
    _write(ctx, endpoint, delivery_id, task)

    def commit(conn: Connection) -> None:
        ctx.must_be_current(conn)  # else the next version goes at once
        deliveries.move(conn, delivery_id, DeliveryStatus.SENT)
        requests.advance(conn, ctx.request_id, Status.REQUESTED, Actor.EXCHANGE)

    return Outcome(next_steps=(NextStep("verify_request", endpoint, delivery_id=delivery_id),), apply=[commit])


def _begin(ctx: Context, endpoint: str, version: int, due_at: datetime | None) -> int | None:
    """Begin the delivery of this version; it replaces earlier ones that were not verified.

    Returns the version that the fulfiller has (at least in part), None when nothing was ever on its way there.
    """
    with ctx.transaction() as conn:
        earlier = [
            each for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.REQUEST) if each.version < version
        ]
        for each in earlier:
            deliveries.move(conn, each.id, DeliveryStatus.CANCELLED, message=f"version {version} replaces it")
        if steps.cancel_open(conn, ctx.request_id, reason=f"version {version} replaces it", kinds=("verify_request",)):
            steps.create(
                conn, "watch_fulfiller", endpoint, request_id=ctx.request_id, deadline=steps.AFTER_WORK, at=ctx.now
            )
        delivery_id = deliveries.create(
            conn, ctx.request_id, endpoint, DeliveryKind.REQUEST, version=version, deadline=due_at
        )
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
    seen = [each.version for each in earlier if each.sent_at is not None]
    return (seen or [earlier[-1].version])[0] if earlier else None


def _first_of_case(ctx: Context, row: Request) -> tuple[dict, ...]:
    """The request that began the case, by its identifier: it stands at other systems, or not yet anywhere."""
    if row.case == row.id:
        return ()
    identifier = own_identifier(ctx, "ServiceRequest", row.case)
    return ({"type": "ServiceRequest", "identifier": identifier.model_dump()},)


def _must_be_open(ctx: Context, endpoint: str) -> None:
    """Raises NeedsPerson when the consultant has ended the Task: a correction would change what was answered already."""
    reference = find_own(ctx, endpoint, "Task")
    if reference is None:
        return
    task = ctx.server(endpoint).read_if_there(reference)
    status = "gone" if task is None else task.get("status")
    if status in (*ENDED, "gone"):
        raise NeedsPerson(
            "correction-too-late", f"{reference} at {endpoint} is {status}: the correction was not written"
        )


def _too_late(ctx: Context, delivery_id: str) -> Outcome:
    """The request has ended before this version could be sent: said, and nothing is written."""
    ctx.finding(
        "correction-not-sent",
        "the request ended before a correction could be sent; the fulfiller never saw it",
        delivery_id,
        "error",
    )
    return Outcome(
        apply=[
            lambda conn: deliveries.move(
                conn, delivery_id, DeliveryStatus.CANCELLED, message="the request ended before"
            )
        ]
    )


def _what_is_corrected(ctx: Context, version: int, since: int) -> str:
    """For whoever works from the Task: which fields differ from what they saw; no values."""
    with ctx.world.engine.begin() as conn:
        paths = [
            path for each in revisions.versions(conn, ctx.request_id) if each.version > since for path in each.fields
        ]
    return f"The request was corrected (version {version}): {in_words(paths)}."


def _renew_summaries(ctx: Context, endpoint: str, version: int, delivery_id: str, patient: str) -> None:
    """Where records went as documents, the summary tells of the request too: it is brought up to date with it."""
    if ctx.endpoint(endpoint).accepts != "documents":
        return
    with ctx.world.engine.begin() as conn:
        older = [
            each
            for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)
            if revisions.has_begun(each) and (each.request_version or 1) != version
        ]
    for records in older:
        for document in current_summaries(ctx, records, patient, version):
            sending = write(ctx, records, document.resource, anew=True)
            keep_renewed(ctx, records, document, sending.reference)
            with ctx.transaction() as conn:
                item = dict(source=sending.value, created_by_us=True, sent_sha256=sending.sha256)
                deliveries.mark_items(conn, delivery_id, [item | dict(status="sent", target=sending.reference)])
        with ctx.transaction() as conn:
            deliveries.note_request_version(conn, records.id, version, anew=True)


def tell_correction(ctx: Context) -> Outcome:
    """Corrected records are verified: the Task says so to whoever works from it, and names them.

    A Task that is not there yet names them when it is sent. One that has ended is told too, and a person with it.
    """
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
        sent = [each for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.REQUEST) if each.sent_at]
        before = deliveries.bytes_sent(conn, ctx.request_id, own_identifier(ctx, "Task", ctx.request_id).value)
    task = find_own(ctx, delivery.endpoint, "Task")
    if task is None or not sent or not before:
        return Outcome()
    if Status(ctx.row().status) in FINAL:
        ctx.finding(
            "correction-after-end",
            f"records were corrected after the request had ended; {task} at {delivery.endpoint} says so. Call the consultant",
            delivery.id,
            "error",
        )
    written = fhir_json.loads(ctx.world.payloads.get(before[0]))
    noted = with_note(written, _what_changed(ctx, delivery))
    known = {as_dict(each.get("valueReference")).get("reference") for each in written.get("input", ())}
    more = [each for each in _record_inputs(ctx, delivery) if each["valueReference"]["reference"] not in known]
    resource = {**noted, "input": [*written.get("input", ()), *more]} if more else noted
    _write(ctx, delivery.endpoint, sent[0].id, resource)
    _read_back(ctx, delivery.endpoint, sent[0].id, resource)
    return Outcome()


def tell_missing(ctx: Context) -> Outcome:
    """The Task says what is not there and by when it is wanted as that is now; one that is not sent yet says so when it is."""
    endpoint, request, row = ctx.step.endpoint, ctx.request(), ctx.row()
    with ctx.world.engine.begin() as conn:
        sent = [each for each in deliveries.of_request(conn, ctx.request_id, DeliveryKind.REQUEST) if each.sent_at]
        before = deliveries.bytes_sent(conn, ctx.request_id, own_identifier(ctx, "Task", ctx.request_id).value)
    if not sent or not before or Status(row.status) in FINAL:
        return Outcome()
    written = fhir_json.loads(ctx.world.payloads.get(before[0]))
    said = _not_there(ctx, [each.get("text", "") for each in written.get("note", ())])
    resource = with_note(written, said) if said is not None else written
    resource = wanted_until(resource, _wanted_by(request, row))
    if resource != written:
        _write(ctx, endpoint, sent[0].id, resource)
        _read_back(ctx, endpoint, sent[0].id, resource)
    return Outcome()


def _wanted_by(request: SecondOpinionRequest, row: Request) -> str | None:
    """The visit, once there is one: then the opinion is given. Before, the day that was asked for."""
    if row.visit == Visit.BOOKED and row.visit_at is not None:
        return row.visit_at.isoformat(timespec="seconds")
    return request.wanted_by.isoformat() if request.wanted_by else None


def _not_there(ctx: Context, told: Sequence[str]) -> str | None:
    """What the checklist asks for and the consultant does not get, or that it is all there now; None: nothing new."""
    world, today = ctx.world, ctx.now.date()
    now = checklists.told_not_there(world.engine, world.payloads, world.config, ctx.request_id, today)
    return news(note(now, today), told)


def _read_back(ctx: Context, endpoint: str, delivery_id: str, task: dict) -> None:
    """Raises TemporaryError until the Task there says it."""
    identifier = own_identifier(ctx, "Task", ctx.request_id)
    if not says_it(ctx, endpoint, task, identifier):
        raise TemporaryError(
            f"the Task at {endpoint} does not say yet what was corrected", endpoint=endpoint, cause="not-readable-yet"
        )
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [dict(source=identifier.value, status="verified")])


def _what_changed(ctx: Context, delivery: Delivery) -> str:
    """For whoever works from the Task: how many records, of which types, by which delivery; no values."""
    with ctx.world.engine.begin() as conn:
        packet = packet_rows.one(conn, delivery.packet)
        older = [row for row in packet_rows.of_request(conn, ctx.request_id) if row.version < delivery.version]
    manifest = packets.manifest_of(ctx.world.payloads, packet.manifest_sha256)
    return correction_note(manifest, packets.sources_of(ctx.world.payloads, older), delivery.version - 1)


def _record_inputs(ctx: Context, delivery: Delivery) -> list[dict]:
    """Inputs of the Task for what a delivery of records carried: its documents, or else what it corrected."""
    with ctx.world.engine.begin() as conn:
        items = sorted(deliveries.items(conn, delivery.id).items())
    label = "records" if delivery.version == 1 else f"correction {delivery.version - 1} of the records"
    first = delivery.version == 1
    targets = [item.target for _, item in items if item.target and (not first or item.target.startswith(_DOCUMENT))]
    if any(name.startswith("document:") for name, _ in items):
        targets = [item.target for name, item in items if item.target and name.startswith("document:")]
    chosen = list(dict.fromkeys(targets))
    if len(chosen) > MAX_INPUTS:
        ctx.finding(
            "inputs-cut",
            f"the Task names {MAX_INPUTS} of {len(chosen)} documents; all of them are at the fulfiller",
            delivery.id,
            severity="info",
        )
    return [{"type": {"text": label}, "valueReference": {"reference": target}} for target in chosen[:MAX_INPUTS]]


_DOCUMENT = "DocumentReference/"  # of the records, the documents; a correction names all that it corrects


def _write_questions(
    ctx: Context, endpoint: str, delivery_id: str, request: SecondOpinionRequest, service_request: str, patient: str
) -> str | None:
    """The patient's questions; those asked before and no longer are marked, never deleted."""
    identifier = own_identifier(ctx, "Communication", ctx.request_id)
    with ctx.world.engine.begin() as conn:
        before = deliveries.bytes_sent(conn, ctx.request_id, identifier.value)
    if request.patient_questions:
        return _write(
            ctx,
            endpoint,
            delivery_id,
            to_patient_questions(
                request.patient_questions,
                request_id=ctx.request_id,
                identifier_system=identifier.system,
                service_request=service_request,
                patient=patient,
            ),
        )
    if before:
        _write(ctx, endpoint, delivery_id, withdrawn(fhir_json.loads(ctx.world.payloads.get(before[0]))))
    return None


def _inputs(records: list[dict], questions: str | None) -> list[TaskInput]:
    inputs = [TaskInput(text=each["type"]["text"], reference=each["valueReference"]["reference"]) for each in records]
    return inputs + ([TaskInput(text="patient questions", reference=questions)] if questions else [])


def _write(ctx: Context, endpoint: str, delivery_id: str, resource: dict) -> str:
    """Write one of our resources under its own identifier; the bytes are kept before they go, for corrections and read-back."""
    identifier = own_identifier(ctx, resource["resourceType"], ctx.request_id)
    item = dict(
        source=identifier.value, created_by_us=True, sent_sha256=ctx.world.payloads.put(fhir_json.dumps(resource))
    )
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [item])
    create_once(ctx, endpoint, delivery_id, resource, identifier)
    reference = ensure_current(ctx, endpoint, resource, identifier)
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery_id, [item | dict(status="sent", target=reference)])
    return reference


def find_own(ctx: Context, endpoint: str, kind: str) -> str | None:
    """``Type/id`` of our ServiceRequest or Task at an endpoint."""
    identifier = own_identifier(ctx, kind, ctx.request_id)
    with ctx.world.engine.begin() as conn:
        return links.find(conn, endpoint, identifier.system, [identifier.value]).get(identifier.value)


def cancel_request(ctx: Context) -> Outcome:
    """Tell the fulfiller: before work began the Task is cancelled; after that only the fulfiller may end it."""
    row = ctx.row()
    ended = Outcome(next_steps=(NextStep("mirror_status", row.placer),), apply=[lambda conn: _cancelled(conn, ctx)])
    task = find_own(ctx, row.fulfiller, "Task") or _task_nobody_answered_for(ctx, row.fulfiller)
    if task is None:
        return ended
    there = ctx.server(row.fulfiller).read(*task.split("/"))
    if there.get("status") in ("requested", "received", "accepted"):
        _tell_doubts(ctx)
        said = {"status": "cancelled", "statusReason": {"text": row.status_reason or "cancelled by the placer"}}
        if not change(ctx, row.fulfiller, there, said):
            words = f"{task} at {row.fulfiller} took the cancellation and does not say it: call the consultant"
            ctx.finding("cancel-not-taken", words, task, "error")
        return ended
    ctx.finding(
        "cancel-pending", "the consultant has begun; the cancellation waits for the fulfiller", severity="warning"
    )
    return Outcome()


def _all_the_same(ctx: Context) -> str:
    """Who asks although the program does not take it, and why, in the words that they wrote for it."""
    with ctx.world.engine.begin() as conn:
        return suitability.known(conn, ctx.world.config, ctx.request_id, ctx.now.date()).judged.told


def _tell_doubts(ctx: Context) -> None:
    """Whose Task it is is looked at too; but a doubt never keeps the consultant from being told to stop."""
    try:
        current_patient(ctx, ctx.request())
    except NeedsPerson as error:
        ctx.finding(error.cause, f"{error}; the cancellation was told all the same", "Task", "error")


def _task_nobody_answered_for(ctx: Context, endpoint: str) -> str | None:
    """``Task/id`` where sending had begun and its answer was lost: it may be there without our knowing."""
    identifier = own_identifier(ctx, "Task", ctx.request_id)
    with ctx.world.engine.begin() as conn:
        begun = deliveries.of_request(conn, ctx.request_id, DeliveryKind.REQUEST)
        sending = sendings.find(conn, endpoint, identifier)
    if sending is not None:
        return what_became_of(ctx, sending).reference
    return find_one(ctx, endpoint, "Task", identifier) if begun else None


def _cancelled(conn: Connection, ctx: Context) -> None:
    requests.advance(conn, ctx.request_id, Status.CANCELLED, Actor.PLACER, reason="cancelled by the placer")
    for kind in (DeliveryKind.RECORDS, DeliveryKind.REQUEST):
        for delivery in deliveries.of_request(conn, ctx.request_id, kind):
            deliveries.move(conn, delivery.id, DeliveryStatus.CANCELLED, message="the request was cancelled")
    steps.cancel_open(conn, ctx.request_id, reason="the request was cancelled")
    bookings.end_all(conn, ctx.request_id, actor=ACTOR)
