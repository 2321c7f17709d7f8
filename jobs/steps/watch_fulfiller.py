"""Watch the Task and the report at the fulfiller: progress, opinion, amendments and retractions."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration import fhir_json
from integration.store import findings, further_opinions, reports, requests
from integration.store.reports import Report
from integration.store.requests import Request
from integration.store.steps import NextStep
from jobs.report_bytes import documents_of, hash_list
from jobs.steps.find_report import check_report, find_reports, find_unnamed, name_others, read_at
from jobs.steps.send_request import find_own
from jobs.watching import REPORT, TASK
from jobs.world import Context, Outcome
from mappings.fulfillment import (
    Compared,
    Found,
    OnReport,
    OnTask,
    choose,
    compare_with_stored,
    event_of,
    is_settled,
    must_look_for_successor,
    must_look_further,
    on_task,
    successor_among,
)
from mappings.model.errors import MappingError, NeedsPerson, PermanentError
from mappings.model.states import FINAL, Actor, Status
from mappings.task import TaskReading, read_task, to_business_status
from mappings.written_report import read_written_report

ENDED = FINAL - {Status.COMPLETED}


def watch_fulfiller(ctx: Context) -> Outcome:
    """Read the Task; apply what the table of transitions allows; fetch the report when the opinion is given."""
    row = ctx.row()
    status = Status(row.status)
    if status in ENDED:
        return Outcome()
    if status is Status.COMPLETED:
        return _watch_report(ctx, row)
    again = TASK.next_look(ctx.now, _quiet_since(ctx), every_seconds=ctx.world.config.schedules.watch_seconds)
    reading = _read_task(ctx, row)
    match on_task(reading.status, is_news=_is_news(ctx, reading)):
        case OnTask.LOOK_FOR_REPORT:
            return _completed(ctx, row, reading, again)
        case OnTask.NOTHING:
            return Outcome(again_at=again)
    moved = reading.status is not None and reading.status is not status
    return Outcome(
        again_at=again,
        next_steps=(NextStep("mirror_status", row.placer, deadline=row.records_due_at),) if moved else (),
        apply=[lambda conn: _store_event(conn, ctx, row, reading)],
    )


def _quiet_since(ctx: Context) -> datetime:
    """When the fulfiller last said something, or the watch began."""
    with ctx.world.engine.begin() as conn:
        last = reports.last_event(conn, ctx.request_id)
    return max(last or ctx.step.created_at, ctx.step.created_at)


def _read_task(ctx: Context, row: Request) -> TaskReading:
    reference = find_own(ctx, row.fulfiller, "Task")
    task = ctx.server(row.fulfiller).read_if_there(reference) if reference else None
    if reference is None or task is None:
        raise NeedsPerson("task-gone", f"{reference or 'our Task'} is no longer at {row.fulfiller}")
    if task.get("businessStatus") == to_business_status("request-sent"):
        # Still as we wrote it: a consultant who moves only Task.status has said nothing by it, and no conflict.
        task = {key: value for key, value in task.items() if key != "businessStatus"}
    reading = read_task(task)
    for cause in reading.findings:
        ctx.finding(cause, "the Task says something that is not applied", reference)
    return reading


def _is_news(ctx: Context, reading: TaskReading) -> bool:
    """False for a version already seen: a repeated event does nothing."""
    with ctx.world.engine.begin() as conn:
        return not reports.was_seen(conn, ctx.request_id, _version(reading))


def _version(reading: TaskReading) -> str:
    """What tells one state of the Task from another, also at a server that counts no versions and keeps no time."""
    if reading.version:
        return reading.version
    said = reading.last_updated or hashlib.sha256(" ".join(reading.outputs).encode()).hexdigest()
    return f"{said}/{reading.status}"


def _store_event(conn: Connection, ctx: Context, row: Request, reading: TaskReading) -> None:
    """Store the event; move the status when the fulfiller may, else flag it."""
    event = event_of(Status(row.status), reading.status)
    applied = event.to is not None and requests.advance(
        conn, ctx.request_id, event.to, Actor.FULFILLER, reason=reading.reason
    )
    if event.refused is not None:
        findings.record(
            conn,
            [
                findings.Finding(
                    "inbound.illegal",
                    f"the fulfiller moved the Task {event.refused}; stored, not applied",
                    f"Task {row.status}-{reading.status}",
                )
            ],
            request_id=ctx.request_id,
            endpoint=row.fulfiller,
        )
    reports.add_event(conn, ctx.request_id, _version(reading), reading.status, applied=applied, why=event.refused)


def _completed(ctx: Context, row: Request, reading: TaskReading, again: datetime | None) -> Outcome:
    """Completed counts only with a final report that resolves, is about this patient and this request.

    A preliminary one is returned as what it is, and the final one is waited for.
    """
    found, unread = find_reports(ctx, row, reading.outputs)
    if must_look_further(found, has_unread=unread):
        found += [each for each in find_unnamed(ctx, row) if each.name not in {known.name for known in found}]
    choice = choose(found, has_unread=unread)
    report = choice.report
    if report is None:
        ctx.finding(
            "report-missing",
            "the Task is completed, and neither an output of it nor anything that points to the request is a report that can "
            "be read; the request stays open",
            "Task",
            "error",
        )
        return Outcome(again_at=again)
    check_report(ctx, row, report)
    name_others(ctx, row, reading.outputs, report, found)
    if choice.do is not OnReport.RETURN:
        return _not_final(ctx, row, report, again, is_returned=choice.do is OnReport.RETURN_PRELIMINARY)
    with ctx.world.engine.begin() as conn:
        earlier = reports.of_request(conn, ctx.request_id)

    def commit(conn: Connection) -> None:
        _store_event(conn, ctx, row, reading)
        _store_report(conn, ctx, report, revision=len(earlier) + 1, state=reports.FINAL)
        reports.report_found(conn, ctx.request_id)
        reports.wake_return(conn, ctx.request_id)

    # the watch goes on: an amended or retracted report is returned too
    return Outcome(again_at=again, next_steps=(_return(row),), apply=[commit])


def _not_final(ctx: Context, row: Request, report: Found, again: datetime | None, *, is_returned: bool) -> Outcome:
    """The consultant completed the Task before the report was final: the request stays open until it is."""
    ctx.finding(
        "report-not-final",
        f"the Task is completed and {report.name} is {report.reading.doc_status or report.reading.status}: it is "
        f"{'returned as that, ' if is_returned else ''}and the final report is waited for",
        "Task",
        "error",
    )
    with ctx.world.engine.begin() as conn:
        earlier = reports.of_request(conn, ctx.request_id)
    if not is_returned or earlier and not _differs(ctx, row, earlier[-1], report):
        return Outcome(again_at=again)

    def commit(conn: Connection) -> None:
        _store_report(conn, ctx, report, revision=len(earlier) + 1, state=reports.PRELIMINARY)
        reports.wake_return(conn, ctx.request_id)

    return Outcome(again_at=again, next_steps=(_return(row),), apply=[commit])


def _return(row: Request) -> NextStep:
    return NextStep("return_report", row.placer, deadline=row.records_due_at)


def _store_report(conn: Connection, ctx: Context, found: Found, *, revision: int, state: str) -> None:
    said = read_written_report(found.resource).report
    reports.add(
        conn,
        ctx.request_id,
        revision,
        source=found.name,
        version=found.reading.version,
        state=state,
        resource_sha256=ctx.world.payloads.put(fhir_json.dumps(found.resource)),
        diagnosis=said.diagnosis if said else None,
        plan=said.plan if said else None,
    )
    further_opinions.report_changed(conn, ctx.request_id, is_retracted=state == reports.RETRACTED)


def _watch_report(ctx: Context, row: Request) -> Outcome:
    """After completion: a newer version of the report is an amendment, entered-in-error a retraction, a new output may replace it."""
    config = ctx.world.config
    with ctx.world.engine.begin() as conn:
        known = reports.of_request(conn, ctx.request_id)
    if ctx.now - known[0].created_at > timedelta(days=config.records.watch_days):
        return Outcome()
    newest = known[-1]
    again = REPORT.next_look(ctx.now, newest.created_at, every_seconds=config.schedules.watch_seconds)
    found = read_at(ctx, row, newest.source)
    if found is None:
        ctx.finding(
            "report-gone",
            "the returned report is no longer at the fulfiller; it was not marked as retracted",
            newest.source,
            "error",
        )
    elif found.reading.status != "superseded" and _differs(ctx, row, newest, found):
        return _revised(ctx, row, found, newest.revision + 1, again)
    return _look_for_successor(ctx, row, known, found, again)


def _differs(ctx: Context, row: Request, newest: Report, found: Found) -> bool:
    """True when this is another report than the one stored: by version where the server counts them, by content, by its bytes."""
    stored = fhir_json.loads(ctx.world.payloads.get(newest.resource_sha256))
    compared = compare_with_stored(newest.source, newest.source_version, stored, found)
    return compared is Compared.OTHER or compared is Compared.BY_BYTES and _has_other_bytes(ctx, row, newest, found)


def _has_other_bytes(ctx: Context, row: Request, newest: Report, found: Found) -> bool:
    """True when its documents are not those that were returned: a file may be replaced at its address, and nothing else changes."""
    if newest.bytes_sha256 is None:
        return False
    try:
        documents = documents_of(ctx, row.fulfiller, found.reading)
    except (PermanentError, MappingError) as error:
        ctx.finding(
            "report-bytes-gone", f"the returned report's document cannot be read any more: {error}", found.name, "error"
        )
        return False
    return hash_list([data for data, _ in documents]) != ctx.world.payloads.get(newest.bytes_sha256)


def _look_for_successor(
    ctx: Context, row: Request, known: list[Report], found: Found | None, again: datetime | None
) -> Outcome:
    """What the Task names since the report was returned: a document that replaces it is the next revision, all else a finding."""
    reading = _task_if_there(ctx, row)
    is_news = reading is not None and _is_news(ctx, reading)
    if reading is None or not must_look_for_successor(found, is_news=is_news):
        return Outcome(again_at=again)
    newest, sources = known[-1], {each.source for each in known}
    others, unread = find_reports(ctx, row, reading.outputs, besides=sources)
    following = successor_among(others, newest.source)
    if following is not None:
        return _revised(ctx, row, following, newest.revision + 1, again)
    if found is not None and found.reading.status == "superseded":
        ctx.finding(
            "report-superseded",
            "the returned report is marked as superseded and no output of the Task says it replaces it",
            newest.source,
            "error",
        )
    name_others(ctx, row, reading.outputs, found, others, besides=sources)
    settled = is_settled(others, is_news=is_news, has_unread=unread)
    return Outcome(again_at=again, apply=[lambda conn: _store_event(conn, ctx, row, reading)] if settled else [])


def _task_if_there(ctx: Context, row: Request) -> TaskReading | None:
    try:
        return _read_task(ctx, row)
    except NeedsPerson as error:  # the report itself is still watched
        ctx.finding(
            error.cause, "the Task is no longer at the fulfiller; a report named only by it would not be seen", "Task"
        )
        return None


def _revised(ctx: Context, row: Request, found: Found, revision: int, again: datetime | None) -> Outcome:
    if not found.reading.retracted:
        check_report(ctx, row, found)

    def commit(conn: Connection) -> None:
        state = reports.RETRACTED if found.reading.retracted else reports.AMENDED
        _store_report(conn, ctx, found, revision=revision, state=state)
        reports.wake_return(conn, ctx.request_id)

    return Outcome(again_at=again, next_steps=(_return(row),), apply=[commit])
