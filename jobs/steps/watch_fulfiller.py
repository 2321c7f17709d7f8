"""Watch the Task and the report at the fulfiller: progress, opinion, amendments and retractions."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from integration import fhir_json
from integration.store import findings, requests, steps
from integration.store.steps import NextStep
from integration.store.tables import events, reports
from integration.store.tables import steps as step_table
from jobs.steps.find_report import Found, check_report, find_reports, name_others, read_at
from jobs.steps.send_request import find_own
from jobs.watching import REPORT, TASK
from jobs.world import Context, Outcome
from mappings.consult_report import successor, to_return_first
from mappings.model.errors import NeedsPerson
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
    again = TASK.next_look(ctx.now, _quiet_since(ctx), every_seconds=ctx.world.config.schedules.watch_seconds)
    reading = _read_task(ctx, row)
    if reading.status is Status.COMPLETED:  # also one seen before: its report may be readable only now
        return _completed(ctx, row, reading, again)
    if not _is_news(ctx, row, reading):
        return Outcome(again_at=again)
    moved = reading.status is not None and reading.status is not status
    return Outcome(
        again_at=again,
        next_steps=(NextStep("mirror_status", row.placer, deadline=row.records_due_at),) if moved else (),
        apply=[lambda conn: _apply(conn, ctx, row, reading)],
    )


def _quiet_since(ctx: Context) -> datetime:
    """When the fulfiller last said something, or the watch began."""
    with ctx.world.engine.begin() as conn:
        last = conn.execute(
            select(func.max(events.c.created_at)).where(events.c.request_id == ctx.request_id)
        ).scalar_one()
    return max(last or ctx.step.created_at, ctx.step.created_at)


def _read_task(ctx: Context, row):
    reference = find_own(ctx, row.fulfiller, "Task")
    task = ctx.server(row.fulfiller).read_if_there(reference)
    if task is None:
        raise NeedsPerson(
            "task-gone",
            f"{reference} is no longer at {row.fulfiller}",
            "Ask the fulfiller's contact; cancel the request or have the Task restored, then retry.",
        )
    if task.get("businessStatus") == to_business_status("request-sent"):
        # Still as we wrote it: a consultant who moves only Task.status has said nothing by it, and no conflict.
        task = {key: value for key, value in task.items() if key != "businessStatus"}
    reading = read_task(task)
    for cause in reading.findings:
        ctx.finding(cause, "the Task says something that is not applied", reference)
    return reading


def _is_news(ctx: Context, row, reading) -> bool:
    """False for a version already seen: a repeated event does nothing."""
    version = _version(reading)
    with ctx.world.engine.begin() as conn:
        seen = conn.execute(
            select(events.c.id).where(
                events.c.request_id == ctx.request_id, events.c.source == "Task", events.c.version == version
            )
        ).first()
    return seen is None


def _version(reading) -> str:
    """What tells one state of the Task from another, also at a server that counts no versions and keeps no time."""
    if reading.version:
        return reading.version
    said = reading.last_updated or hashlib.sha256(" ".join(reading.outputs).encode()).hexdigest()
    return f"{said}/{reading.status}"


def _apply(conn: Connection, ctx: Context, row, reading) -> None:
    """Store the event; move the status when the fulfiller may, else flag it."""
    status, current = reading.status, Status(row.status)
    applied, why = False, None
    if status is not None and status is not current:
        if may_move(current, status, Actor.FULFILLER):
            applied = requests.advance(conn, ctx.request_id, status, Actor.FULFILLER, reason=reading.reason)
        else:
            why = f"{current} to {status} is not allowed"
            findings.record(
                conn,
                [
                    findings.Finding(
                        "inbound.illegal",
                        f"the fulfiller moved the Task {why}; stored, not applied",
                        f"Task {current}-{status}",
                    )
                ],
                request_id=ctx.request_id,
                endpoint=row.fulfiller,
            )
    conn.execute(
        insert(events)
        .values(
            request_id=ctx.request_id, source="Task", version=_version(reading), status=status, applied=applied, why=why
        )
        .on_conflict_do_nothing()
    )


def _completed(ctx: Context, row, reading, again) -> Outcome:
    """Completed counts only with a report that resolves, is about this patient and this request."""
    found, unread = find_reports(ctx, row, reading.outputs)
    first = to_return_first([each.reading for each in found]) if found else None
    if first is None or (unread and not first.is_consult_note):  # what cannot be read yet may be the consult note
        ctx.finding(
            "report-missing",
            "the Task is completed and no output is a consult report that can be read; the request stays open",
            f"Task {reading.version}",
            "error",
        )
        return Outcome(again_at=again)
    report = next(each for each in found if each.reading is first)
    check_report(ctx, row, first)
    name_others(ctx, row, reading.outputs, first, found)

    def commit(conn: Connection) -> None:
        _apply(conn, ctx, row, reading)
        _store_report(conn, ctx, report, revision=1, state="final")

    # the watch goes on: an amended or retracted report is returned too
    return Outcome(
        again_at=again, next_steps=(NextStep("return_report", row.placer, deadline=row.records_due_at),), apply=[commit]
    )


def _store_report(conn: Connection, ctx: Context, found: Found, *, revision: int, state: str) -> None:
    digest = ctx.world.payloads.put(fhir_json.dumps(found.resource))
    conn.execute(
        insert(reports)
        .values(
            id=f"{ctx.request_id}-report-{revision}",
            request_id=ctx.request_id,
            source=f"{found.resource['resourceType']}/{found.resource['id']}",
            source_version=found.reading.version,
            revision=revision,
            state=state,
            resource_sha256=digest,
        )
        .on_conflict_do_nothing()
    )


def _watch_report(ctx: Context, row) -> Outcome:
    """After completion: a newer version of the report is an amendment, entered-in-error a retraction, a new output may replace it."""
    config = ctx.world.config
    with ctx.world.engine.begin() as conn:
        known = conn.execute(
            select(reports).where(reports.c.request_id == ctx.request_id).order_by(reports.c.revision)
        ).all()
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
    elif found.reading.status != "superseded" and not _is_known(ctx, newest, found):
        return _revised(ctx, row, found, newest.revision + 1, again)
    return _look_for_successor(ctx, row, known, found, again)


def _is_known(ctx: Context, newest, found: Found) -> bool:
    """True when this is what was stored: by version where the server counts them, else by content."""
    if found.reading.version and newest.source_version:
        return found.reading.version == newest.source_version
    stored = fhir_json.loads(ctx.world.payloads.get(newest.resource_sha256))
    return {**stored, "meta": None} == {**found.resource, "meta": None}


def _look_for_successor(ctx: Context, row, known, found: Found | None, again) -> Outcome:
    """What the Task names since the report was returned: a document that replaces it is the next revision, all else a finding."""
    reading = _task_if_there(ctx, row)
    is_news, is_over = reading is not None and _is_news(ctx, row, reading), found is None or not found.reading.stands
    if reading is None or not (is_news or is_over):
        return Outcome(again_at=again)
    newest, sources = known[-1], {each.source for each in known}
    others, unread = find_reports(ctx, row, reading.outputs, besides=sources)
    following = successor([each.reading for each in others], newest.source)
    if following is not None:
        return _revised(
            ctx, row, next(each for each in others if each.reading is following), newest.revision + 1, again
        )
    if found is not None and found.reading.status == "superseded":
        ctx.finding(
            "report-superseded",
            "the returned report is marked as superseded and no output of the Task says it replaces it",
            newest.source,
            "error",
        )
    name_others(ctx, row, reading.outputs, found and found.reading, others, besides=sources)
    seen = is_news and not unread and all(each.reading.final for each in others)
    return Outcome(again_at=again, apply=[lambda conn: _apply(conn, ctx, row, reading)] if seen else [])


def _task_if_there(ctx: Context, row):
    try:
        return _read_task(ctx, row)
    except NeedsPerson as error:  # the report itself is still watched
        ctx.finding(
            error.cause, "the Task is no longer at the fulfiller; a report named only by it would not be seen", "Task"
        )
        return None


def _revised(ctx: Context, row, found: Found, revision: int, again) -> Outcome:
    if not found.reading.retracted:
        check_report(ctx, row, found.reading)

    def commit(conn: Connection) -> None:
        _store_report(conn, ctx, found, revision=revision, state="retracted" if found.reading.retracted else "amended")
        _wake_return(conn, ctx)

    return Outcome(
        again_at=again, next_steps=(NextStep("return_report", row.placer, deadline=row.records_due_at),), apply=[commit]
    )


def _wake_return(conn: Connection, ctx: Context) -> None:
    """A return that waits or gave up takes the newest report: it may succeed now. What a person parked stays parked."""
    waiting = select(step_table.c.id).where(
        step_table.c.request_id == ctx.request_id,
        step_table.c.kind == "return_report",
        step_table.c.cause.is_distinct_from("parked-by-person"),
    )
    for step_id in conn.execute(waiting).scalars():
        steps.make_due(conn, step_id)
