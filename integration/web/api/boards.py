"""Boards for programs: endpoints, schedules, deadlines, numbers, alarms, findings; pause, resume, run now."""

from sqlalchemy import Row

from integration.store import alarms as alarm_store
from integration.store import deadlines as deadline_store
from integration.store import endpoint_checks
from integration.store import findings as finding_store
from integration.store import schedules as schedule_store
from integration.views.endpoints import endpoint_board
from integration.views.schedules import schedule_board
from integration.web import pages, world
from integration.web.api.acting import act, act_or_refuse
from integration.web.api.answers import (
    Alarm,
    Alarms,
    Deadlines,
    Done,
    Due,
    DueColumn,
    EndpointCheck,
    Endpoints,
    EndpointState,
    Finding,
    Findings,
    Numbers,
    Schedule,
    Schedules,
)
from integration.web.api.bodies import Because, FindingsQuery, NumbersQuery
from integration.web.api.routes import get, post
from integration.web.problems import Problem
from integration.web.recent import numbers_of


@get("/endpoints")
def endpoints() -> Endpoints:
    """Each endpoint of the configuration: health, breaker, last success, step times, open steps."""
    with world.engine().connect() as conn:
        found = endpoint_board(conn, world.config(), pages.now())
    return Endpoints(items=[_endpoint(each) for each in found])


@post("/endpoints/<key>/pause", refuses=("wrong-body", "unknown"))
def pause_endpoint(key: str, body: Because) -> Done:
    """Send nothing to an endpoint until it is resumed."""
    _known_endpoint(key)
    return act("pause", body.reason, at=key)[0]


@post("/endpoints/<key>/resume", refuses=("wrong-body", "unknown"))
def resume_endpoint(key: str, body: Because) -> Done:
    """Send to an endpoint again."""
    _known_endpoint(key)
    return act("resume", body.reason, at=key)[0]


@get("/endpoints/<key>/check", refuses=("unknown",))
def endpoint_check(key: str) -> EndpointCheck:
    """What the last check of an endpoint found, and whether another one is asked for."""
    _known_endpoint(key)
    with world.engine().connect() as conn:
        last, asked = endpoint_checks.standing(conn).get(key, (None, None))
    return EndpointCheck(
        endpoint=key,
        done_at=last.done_at if last else None,
        asked_at=asked.asked_at if asked else None,
        found=last.found if last else None,
    )


@post("/endpoints/<key>/check", refuses=("wrong-body", "unknown"))
def check_endpoint(key: str, body: Because) -> Done:
    """Have an endpoint checked, reading only; `changed` is false when a check waits already."""
    _known_endpoint(key)
    return act("check-endpoint", body.reason, at=key)[0]


@get("/schedules")
def schedules() -> Schedules:
    """What happens by the clock: last, next, drift."""
    with world.engine().connect() as conn:
        found = schedule_board(conn, world.config(), pages.now())
    return Schedules(items=[_schedule(each) for each in found])


@post("/schedules/<name>/run", refuses=("wrong-body", "unknown"))
def run_schedule(name: str, body: Because) -> Done:
    """Make a schedule's step due now; `changed` is false when it is due or runs already."""
    if name not in schedule_store.names(world.config()):
        raise Problem("unknown", "There is no such schedule; see /api/schedules.")
    return act("run-schedule", body.reason, schedule=name)[0]


@get("/deadlines")
def deadlines() -> Deadlines:
    """Requests whose records are late, at risk, or due."""
    with world.engine().connect() as conn:
        board, undated = deadline_store.board(conn, pages.now()), deadline_store.undated(conn)
    columns = {
        name: DueColumn(number=number, items=[Due.model_validate(row._asdict()) for row in rows])
        for name, (number, rows) in board.items()
    }
    return Deadlines(**columns, undated=undated, risk_hours=deadline_store.RISK_HOURS)


@get("/numbers", refuses=("wrong-query",))
def numbers(query: NumbersQuery) -> Numbers:
    """Volume, times to verified records and returned report, and the loop-closure rate."""
    found = numbers_of(int(query.days))
    return Numbers.model_validate({"counted_at": found.counted_at, "summary": found.summary, "series": found.series})


@get("/alarms")
def alarms() -> Alarms:
    """Alarms that are open, oldest first."""
    with world.engine().connect() as conn:
        return Alarms(items=[Alarm.model_validate(row) for row in alarm_store.open_alarms(conn)])


@get("/findings", refuses=("wrong-query",))
def findings(query: FindingsQuery) -> Findings:
    """What polls found and no request holds: orders that were refused, polls that failed; newest first."""
    with world.engine().connect() as conn:
        found, following = finding_store.without_request(
            conn, endpoint=query.endpoint, after=query.after, limit=query.limit
        )
    return Findings(items=[_finding(row) for row in found], next=following)


@post("/findings/<int:finding_id>/skip", refuses=("wrong-body", "unknown", "not-possible"))
def skip_order(finding_id: int, body: Because) -> Done:
    """The refused order of a finding is dealt with: no alarm, not taken in, until it changes."""
    return act_or_refuse("skip-order", body.reason, finding=finding_id)


def _finding(row: Row) -> Finding:
    return Finding.model_validate({**row._asdict(), "state": finding_store.state(row, pages.now())})


def _known_endpoint(key: str) -> None:
    if key not in world.config().endpoints:
        raise Problem("unknown", "There is no such endpoint; see /api/endpoints.")


def _endpoint(view: dict) -> EndpointState:
    work, silent = view["work"], view["silent"]
    return EndpointState.model_validate(
        {
            **view,
            "open_steps": work.open if work else 0,
            "parked_steps": work.parked if work else 0,
            "oldest_due_at": work.oldest_due if work else None,
            "silent_seconds": silent and silent.total_seconds(),
        }
    )


def _schedule(view: dict) -> Schedule:
    last = view["last"]
    return Schedule.model_validate(
        {
            **view,
            "last_at": last and last.fire_time,
            "next_at": view["next"],
            "drift_seconds": view["drift"],
            "late_since": view["late"],
        }
    )
