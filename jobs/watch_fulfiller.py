"""Watch the Task and the report at the fulfiller: progress, opinion, amendments and retractions."""
from datetime import timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from integration import fhir_json
from integration.store import findings, links, requests
from integration.store.steps import NextStep
from integration.store.tables import events, reports
from jobs.send_request import find_own
from jobs.world import Context, Outcome
from mappings.consult_report import ReportReading, read_report
from mappings.identifiers import local_reference
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.states import FINAL, Actor, Status, may_move
from mappings.task import read_task, to_business_status

ENDED = FINAL - {Status.COMPLETED}


def watch_fulfiller(ctx: Context) -> Outcome:
    """Read the Task; apply what the table of transitions allows; fetch the report when the opinion is given."""
    row = ctx.row()
    status = Status(row.status)
    if status in ENDED:
        return Outcome()
    if status is Status.COMPLETED:
        return _watch_report(ctx, row)
    again = ctx.now + timedelta(seconds=ctx.world.config.schedules.watch_seconds)
    reading = _read_task(ctx, row)
    if not _is_news(ctx, row, reading):
        return Outcome(again_at=again)
    if reading.status is Status.COMPLETED:
        return _completed(ctx, row, reading, again)
    moved = reading.status is not None and reading.status is not status
    return Outcome(again_at=again, next_steps=(NextStep("mirror_status", row.placer),) if moved else (),
                   apply=[lambda conn: _apply(conn, ctx, row, reading)])


def _read_task(ctx: Context, row):
    reference = find_own(ctx, row.fulfiller, "Task")
    try:
        task = ctx.server(row.fulfiller).read(*reference.split("/"))
    except PermanentError as error:
        if error.status_code in (404, 410):
            raise NeedsPerson("task-gone", f"{reference} is no longer at {row.fulfiller}",
                              "Ask the fulfiller's contact; cancel the request or have the Task restored, then retry.") from error
        raise
    if task.get("businessStatus") == to_business_status("request-sent"):
        # Still as we wrote it: a consultant who moves only Task.status has said nothing by it, and no conflict.
        task = {key: value for key, value in task.items() if key != "businessStatus"}
    reading = read_task(task)
    for cause in reading.findings:
        ctx.finding(cause, "the Task says something that is not applied", reference)
    return reading


def _is_news(ctx: Context, row, reading) -> bool:
    """False for a version already seen: a repeated event does nothing."""
    version = reading.version or f"{reading.last_updated}/{reading.status}"
    with ctx.world.engine.begin() as conn:
        seen = conn.execute(select(events.c.id).where(events.c.request_id == ctx.request_id, events.c.source == "Task",
                                                      events.c.version == version)).first()
    return seen is None


def _apply(conn: Connection, ctx: Context, row, reading, *, done: bool = True) -> None:
    """Store the event; move the status when the fulfiller may, else flag it."""
    status, current = reading.status, Status(row.status)
    applied, why = False, None
    if status is not None and status is not current and done:
        if may_move(current, status, Actor.FULFILLER):
            applied = requests.advance(conn, ctx.request_id, status, Actor.FULFILLER, reason=reading.reason)
        else:
            why = f"{current} to {status} is not allowed"
            findings.record(conn, [findings.Finding("inbound.illegal", f"the fulfiller moved the Task {why}; stored, not applied",
                                                    f"Task {current}-{status}")], request_id=ctx.request_id,
                            endpoint=row.fulfiller)
    version = reading.version or f"{reading.last_updated}/{reading.status}"
    conn.execute(insert(events).values(request_id=ctx.request_id, source="Task", version=version, status=status,
                                       applied=applied, why=why).on_conflict_do_nothing())


def _completed(ctx: Context, row, reading, again) -> Outcome:
    """Completed counts only with a report that resolves, is about this patient and this request."""
    report = _find_report(ctx, row, reading)
    if report is None:
        ctx.finding("report-missing", "the Task is completed and no output is a consult report; the request stays open",
                    f"Task {reading.version}", "error")
        return Outcome(again_at=again, apply=[lambda conn: _apply(conn, ctx, row, reading, done=False)])
    resource, found = report

    def commit(conn: Connection) -> None:
        _apply(conn, ctx, row, reading)
        _store_report(conn, ctx, resource, found, revision=1, state="final")

    # the watch goes on: an amended or retracted report is returned too
    return Outcome(again_at=again, next_steps=(NextStep("return_report", row.placer),), apply=[commit])


def _find_report(ctx: Context, row, reading) -> tuple[dict, ReportReading] | None:
    for reference in reading.outputs:
        local = local_reference(reference, ctx.endpoint(row.fulfiller).base_url)
        if local is None or local.split("/")[0] not in ("DocumentReference", "DiagnosticReport"):
            continue
        try:
            resource = ctx.server(row.fulfiller).read(*local.split("/"))
        except PermanentError as error:
            if error.status_code not in (404, 410):
                raise
            ctx.finding("report-unresolved", f"the Task's output {local} is not there", local, "error")
            continue
        found = read_report(resource)
        _check_report(ctx, row, local, found)
        return resource, found
    return None


def _check_report(ctx: Context, row, reference: str, found: ReportReading) -> None:
    """Raises NeedsPerson for a report about another patient or another request."""
    server = ctx.server(row.fulfiller)
    request = requests.content(row)
    with ctx.world.engine.begin() as conn:
        known = {each.reference for each in links.find_rows(
            conn, row.fulfiller, [(i.system, i.value) for i in request.patient.identifiers]).values()}
    service_request = server.read(*find_own(ctx, row.fulfiller, "ServiceRequest").split("/"))
    known.add(service_request["subject"]["reference"])
    base = ctx.endpoint(row.fulfiller).base_url
    if local_reference(found.patient, base) not in {local_reference(each, base) for each in known}:
        raise NeedsPerson("report-other-patient", f"{reference} at {row.fulfiller} is about another patient than the request",
                          "Phone the consulting provider. Nothing was returned. Retry after they corrected it.")
    related = {local_reference(each, base) for each in found.related if "ServiceRequest/" in each}
    if related and f"ServiceRequest/{service_request['id']}" not in related:
        raise NeedsPerson("report-other-request", f"{reference} at {row.fulfiller} is related to another ServiceRequest",
                          "Phone the consulting provider. Nothing was returned. Retry after they corrected it.")


def _store_report(conn: Connection, ctx: Context, resource: dict, found: ReportReading, *, revision: int, state: str) -> None:
    digest = ctx.world.payloads.put(fhir_json.dumps(resource))
    conn.execute(insert(reports).values(
        id=f"{ctx.request_id}-report-{revision}", request_id=ctx.request_id,
        source=f"{resource['resourceType']}/{resource['id']}", source_version=found.version, revision=revision, state=state,
        resource_sha256=digest).on_conflict_do_nothing())


def _watch_report(ctx: Context, row) -> Outcome:
    """After completion: a newer version of the report is an amendment, entered-in-error a retraction."""
    config = ctx.world.config
    with ctx.world.engine.begin() as conn:
        newest = conn.execute(select(reports).where(reports.c.request_id == ctx.request_id)
                              .order_by(reports.c.revision.desc()).limit(1)).one()
        first_at = conn.execute(select(func.min(reports.c.created_at)).where(reports.c.request_id == ctx.request_id)).scalar_one()
    if ctx.now - first_at > timedelta(days=config.records.watch_days):
        return Outcome()
    again = ctx.now + timedelta(seconds=config.schedules.watch_seconds)
    try:
        resource = ctx.server(row.fulfiller).read(*newest.source.split("/"))
    except PermanentError as error:
        if error.status_code not in (404, 410):
            raise
        ctx.finding("report-gone", "the returned report is no longer at the fulfiller; it was not marked as retracted",
                    newest.source, "error")
        return Outcome(again_at=again)
    found = read_report(resource)
    if found.version == newest.source_version:
        return Outcome(again_at=again)
    state = "retracted" if found.retracted else "amended"
    return Outcome(again_at=again, next_steps=(NextStep("return_report", row.placer),), apply=[
        lambda conn: _store_report(conn, ctx, resource, found, revision=newest.revision + 1, state=state)])
