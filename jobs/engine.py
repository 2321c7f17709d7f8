"""The engine: Procrastinate runs what was dispatched; a step is done under its lease and committed once."""

import asyncio
import logging
import random
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import procrastinate
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from integration import queue
from integration.packets.payloads import PayloadsAway
from integration.postgres.health import is_away
from integration.queue import JOB_NAME, QUEUE, Limits, dispatch_endpoint
from integration.store import endpoint_health, findings, parking, steps, totals
from integration.store.pace import Paced
from integration.store.steps import LeaseLost, Step
from integration.store.storable import storable
from jobs import gate, traces
from jobs.steps import (
    ask_payer,
    ask_source,
    book_visit,
    gather_coverage,
    gather_elsewhere,
    gather_records,
    match_people,
    mirror_status,
    poll_requests,
    push_records,
    return_report,
    send_request,
    tell_origins,
    verify_delivery,
    watch_chart,
    watch_fulfiller,
    watch_source,
    watch_visit,
    write_consent,
    write_received,
    write_visit,
)
from jobs.upkeep import (
    bulk_retry,
    check_alarms,
    endpoint_check,
    prepare_reading,
    prune,
    send_alerts,
    sync_directory,
)
from jobs.world import Context, Lease, Outcome, Revised, World
from mappings.model.causes import cause_named
from mappings.model.delivery import RetryPolicy, next_attempt_at
from mappings.model.errors import (
    ExchangeError,
    NeedsPerson,
    PartialError,
    TemporaryError,
    UnknownOutcome,
)
from mappings.model.findings import Finding
from mappings.model.steps import AttemptOutcome

log = logging.getLogger("second_opinion.engine")

JOBS = {
    "poll_requests": poll_requests.poll_requests,
    "gather_records": gather_records.gather_records,
    "gather_coverage": gather_coverage.gather_coverage,
    "watch_chart": watch_chart.watch_chart,
    "watch_visit": watch_visit.watch_visit,
    "write_consent": write_consent.write_consent,
    "write_received": write_received.write_received,
    "write_visit": write_visit.write_visit,
    "book_visit": book_visit.book_visit,
    "match_people": match_people.match_people,
    "push_records": push_records.push_records,
    "verify_records": verify_delivery.verify_records,
    "send_request": send_request.send_request,
    "tell_correction": send_request.tell_correction,
    "cancel_request": send_request.cancel_request,
    "verify_request": verify_delivery.verify_request,
    "watch_fulfiller": watch_fulfiller.watch_fulfiller,
    "return_report": return_report.return_report,
    "verify_report": verify_delivery.verify_report,
    "mirror_status": mirror_status.mirror_status,
    "ask_source": ask_source.ask_source,
    "ask_payer": ask_payer.ask_payer,
    "watch_source": watch_source.watch_source,
    "gather_elsewhere": gather_elsewhere.gather_elsewhere,
    "watch_elsewhere": gather_elsewhere.gather_elsewhere,
    "tell_missing": send_request.tell_missing,
    "tell_origins": tell_origins.tell_origins,
    "prune": prune.prune,
    "bulk_retry": bulk_retry.bulk_retry,
    "check_alarms": check_alarms.check_alarms,
    "send_alerts": send_alerts.send_alerts,
    "check_endpoints": endpoint_check.check_endpoints,
    "sync_directory": sync_directory.sync_directory,
    "prepare_reading": prepare_reading.prepare_reading,
}
MAX_STEP_SECONDS = 1800  # a step that runs longer loses its lease: a hung thread must not hold it for ever
UNKNOWN_KIND_SECONDS = 30.0
AWAY_SECONDS = 30.0  # how long what needs the payload store waits before it is tried again
DATABASE_AWAY, MAX_PUT_BACKS = "database-away", 10  # after so many in a row each counts as an attempt


class Heartbeat:
    """Renews the leases of the steps this process runs, a third of the lease apart."""

    def __init__(self, seconds: float):
        self._every = seconds / 3
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True).start()

    def add(self, lease: Lease) -> None:
        """Start renewing."""
        with self._lock:
            self._leases.add(lease)

    def remove(self, lease: Lease) -> None:
        """Stop renewing."""
        with self._lock:
            self._leases.discard(lease)

    def _beat(self) -> None:
        while True:
            time.sleep(self._every)
            with self._lock:
                leases = [lease for lease in self._leases if time.monotonic() - lease.begun < MAX_STEP_SECONDS]
            for lease in leases:
                self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        try:
            lease.renew()
        except LeaseLost:
            self.remove(lease)
        except Exception as error:  # the database is away: the next beat tries again, before_write() refuses meanwhile
            log.warning(
                "lease not renewed", extra={"action": "renew", "step_id": lease.step_id, "error": type(error).__name__}
            )


def limits_of(world: World) -> Limits:
    """Dispatch limits from the configuration."""
    return queue.limits_of(world.config)


def run_step(world: World, heartbeat: Heartbeat, step_id: int, lease_no: int) -> None:
    """Do one dispatched step, then make its endpoints' next steps run.

    A stale (step, lease) pair does nothing: the lease is the only claim that counts.
    """
    seconds = world.config.engine.lease_seconds
    step = _started(world, step_id, lease_no, seconds)
    if step is None:
        return
    lease = Lease(world.engine, step_id, lease_no, seconds)
    ctx, began = Context(world, step, lease), time.time()
    heartbeat.add(lease)
    try:
        touched = _attempt(ctx)
    finally:
        heartbeat.remove(lease)
    traces.trace_attempt(ctx, began)
    for endpoint in touched:
        dispatch_endpoint(world.engine, endpoint, limits_of(world))


def _started(world: World, step_id: int, lease_no: int, seconds: float) -> Step | None:
    """Begin it; once more when the connection turns out to be one that the server ended meanwhile."""
    try:
        return steps.start(world.engine, step_id, lease_no, seconds)
    except SQLAlchemyError as error:
        if not is_away(error):
            raise
    return steps.start(world.engine, step_id, lease_no, seconds)


def _attempt(ctx: Context) -> set[str]:
    """Run the job body and commit what came of it. Returns the endpoints that may have work now."""
    if ctx.step.kind not in JOBS:  # a newer version's, in a rolling upgrade: its worker takes it
        return _put_back(
            ctx, "unknown-kind", f"this worker does not know {ctx.step.kind}; a newer one does it", UNKNOWN_KIND_SECONDS
        )
    try:
        return _try(ctx)
    except PayloadsAway as error:
        return _put_back(ctx, error.cause, str(error), AWAY_SECONDS)
    except Paced as error:
        return _put_back(
            ctx,
            error.cause,
            str(error),
            error.seconds * (1 + random.random()),
            TemporaryError(str(error), cause=error.cause),
        )
    except SQLAlchemyError as error:
        if not is_away(error):
            raise
        again_and_again = TemporaryError(
            "the database went away under this step again and again: it may be the step that is too "
            "much for it, or for this machine",
            cause=DATABASE_AWAY,
        )
        return _put_back(
            ctx, DATABASE_AWAY, "the database did not answer; the step goes on now that it does", 1.0, again_and_again
        )


def _try(ctx: Context) -> set[str]:
    """One attempt; what the house itself lacks (database, payload store, a turn) is raised, all else ends here."""
    began, started_at = time.monotonic(), ctx.now
    try:
        outcome = JOBS[ctx.step.kind](ctx)
        _commit(ctx, outcome, started_at, began)
        return {ctx.step.endpoint, *(new.endpoint for new in outcome.next_steps)}
    except LeaseLost:
        log.warning("lease lost", extra=_ids(ctx.step, "lease-lost"))
    except (PayloadsAway, Paced):
        raise
    except (Revised, gate.ConsentChanged) as error:
        _again(ctx, error, started_at)
    except gate.Withdrawn as error:
        _ended(ctx, error, started_at)
    except ExchangeError as error:
        _failed(ctx, error, started_at, began)
    except Exception as error:
        if is_away(error):
            raise
        log.error("step raised", extra={**_ids(ctx.step, "bug"), "error": type(error).__name__, "at": _place_of(error)})
        _failed(ctx, _as_bug(error), started_at, began)
    return {ctx.step.endpoint}


def _put_back(
    ctx: Context, cause: str, message: str, seconds: float, in_the_end: ExchangeError | None = None
) -> set[str]:
    """Give the step back without counting an attempt; while the database is away, until the lease has run out anyway.

    Ten times in a row at most when there is an error for ``in_the_end``: then each counts, so that a person is told.
    """
    if in_the_end is not None and ctx.step.cause == cause and ctx.step.put_backs >= MAX_PUT_BACKS:
        _failed(ctx, in_the_end, ctx.now, time.monotonic())
        return {ctx.step.endpoint}
    log.warning("step put back", extra={**_ids(ctx.step, "put-back"), "cause": cause})
    ctx.result = ("put-back", cause)
    until = time.monotonic() + ctx.lease.seconds
    while True:
        try:
            with ctx.transaction() as conn:
                steps.put_back(conn, ctx.step, ctx.now + timedelta(seconds=seconds), cause=cause, message=message)
            return {ctx.step.endpoint}
        except LeaseLost:
            return {ctx.step.endpoint}
        except SQLAlchemyError as error:
            if not is_away(error) or time.monotonic() > until:
                raise
            time.sleep(0.5)


def _commit(ctx: Context, outcome: Outcome, started_at: datetime, began: float) -> None:
    with ctx.transaction() as conn:
        for change in outcome.apply:
            change(conn)
        ctx.store_findings(conn)
        steps.finish(conn, ctx.step, again_at=outcome.again_at, next_steps=outcome.next_steps)
        if outcome.again_at is None or outcome.apply:  # an uneventful watch leaves no line of history
            ctx.exchanges.store(conn, steps.record_attempt(conn, ctx.step, started_at, AttemptOutcome.DONE))
        seconds = time.monotonic() - began
        endpoint_health.succeeded(conn, ctx.step.endpoint, round(seconds * 1000))
        word = AttemptOutcome.DONE if outcome.again_at is None else AttemptOutcome.AGAIN
        _count(conn, ctx.step, word, seconds)
    if outcome.again_at is None or outcome.apply:
        ctx.result = (word, "")
    log.info("step done", extra=_ids(ctx.step, "done"))


def _again(ctx: Context, error: Revised | gate.ConsentChanged, started_at: datetime) -> None:
    """Do it once more with the request, or the consent, as it is now: nobody's failure, so no attempt is spent."""
    cause = error.cause or "revised-meanwhile"
    with ctx.transaction() as conn:
        ctx.store_findings(conn)
        steps.put_back(conn, ctx.step, ctx.now, cause=cause, message=str(error))
        attempt_id = steps.record_attempt(
            conn, ctx.step, started_at, AttemptOutcome.AGAIN, cause=cause, message=str(error)
        )
        ctx.exchanges.store(conn, attempt_id)
    log.info("step goes again", extra=_ids(ctx.step, "again"))


def _ended(ctx: Context, error: gate.Withdrawn, started_at: datetime) -> None:
    """The request does not stand any more: what was begun for it ends here, and nothing follows from it."""
    with ctx.transaction() as conn:
        ctx.store_findings(conn)
        steps.finish(conn, ctx.step, again_at=None, next_steps=())
        attempt_id = steps.record_attempt(
            conn, ctx.step, started_at, AttemptOutcome.DONE, cause=error.cause, message=str(error)
        )
        ctx.exchanges.store(conn, attempt_id)
    log.info("step ended", extra=_ids(ctx.step, "ended"))


def _failed(ctx: Context, error: ExchangeError, started_at: datetime, began: float) -> None:
    """Record the attempt; later, or a person. The delivery and the records track follow."""
    step, policy = ctx.step, _retry_policy(ctx)
    attempts = step.attempts + 1
    at = next_attempt_at(
        policy, error, attempts=attempts, since=step.first_attempt_at or started_at, now=ctx.now, spread=random.random()
    )
    if at is not None and isinstance(error, UnknownOutcome):
        at = _look_at(ctx, at if attempts > 1 else ctx.now + timedelta(seconds=min(1.0, policy.first_retry_seconds)))
    word, message = cause_of(error), storable(str(error), 1000)
    with ctx.transaction() as conn:
        _beside(ctx, conn, "findings-not-stored", lambda: ctx.store_findings(conn))
        if at is None and ctx.was_revised(conn):
            at = ctx.now  # what was wrong may have been corrected meanwhile
        if at is None:
            parking.park_failed(conn, step, word, message, error.items)
        else:
            steps.postpone(conn, step, at, cause=word, message=message)
            parking.tell_retrying(conn, step, word, message)
        attempt_id = steps.record_attempt(
            conn,
            step,
            started_at,
            outcome_word(error),
            cause=word,
            message=message,
            status_code=getattr(error, "status_code", None),
        )
        _beside(ctx, conn, "exchanges-not-stored", lambda: ctx.exchanges.store(conn, attempt_id))
        if isinstance(error, (TemporaryError, UnknownOutcome)) and not cause_named(word).of_the_house:
            endpoint_health.failed(conn, step.endpoint, word, message)
        elif cause_named(word).of_all_there:
            endpoint_health.refused(conn, step.endpoint, word, message)
        _count(conn, step, outcome_word(error), time.monotonic() - began)
    ctx.result = (outcome_word(error), word)
    log.warning("step failed", extra={**_ids(step, "failed"), "cause": word, "parked": at is None})


def _retry_policy(ctx: Context) -> RetryPolicy:
    """A poll waits no longer than the next one would come anyway: when an outage is over, orders are seen at once."""
    policy = ctx.world.config.retry
    if ctx.step.kind != "poll_requests":
        return policy
    longest = min(policy.max_retry_seconds, ctx.world.config.schedules.poll_requests_seconds)
    return replace(policy, max_retry_seconds=longest)


def _beside(ctx: Context, conn: Connection, cause: str, store: Callable[[], object]) -> None:
    """Store what is told beside a failure in a savepoint: when that fails too, the step still waits or parks, and says so."""
    try:
        with conn.begin_nested():
            store()
    except Exception as error:
        if is_away(error):
            raise
        log.error("not stored", extra={**_ids(ctx.step, cause), "error": type(error).__name__, "at": _place_of(error)})
        lost = Finding(
            cause,
            f"{type(error).__name__}: what this attempt found out could not be kept; the log says where",
            "",
            "error",
        )
        findings.record(conn, [lost], request_id=ctx.request_id, endpoint=ctx.step.endpoint)


def _look_at(ctx: Context, soon: datetime) -> datetime:
    """Looking is cheap, sending is not: soon, but not before the server's index must show what may have been written."""
    endpoint = ctx.world.config.endpoints.get(ctx.step.endpoint)
    return max(soon, ctx.now + timedelta(seconds=endpoint.limits.search_lag_seconds)) if endpoint else soon


def _count(conn: Connection, step: Step, outcome: str, seconds: float) -> None:
    totals.count(conn, totals.STEP, seconds, endpoint=step.endpoint, kind=step.kind, outcome=outcome)


def cause_of(error: ExchangeError) -> str:
    """Its word of mappings/model/causes.py; what has none is shown by its kind."""
    return error.cause or type(error).__name__


def outcome_word(error: ExchangeError) -> AttemptOutcome:
    """The attempt's outcome as stored."""
    for kind, word in (
        (UnknownOutcome, AttemptOutcome.UNKNOWN),
        (TemporaryError, AttemptOutcome.TEMPORARY),
        (NeedsPerson, AttemptOutcome.PERSON),
        (PartialError, AttemptOutcome.PERSON),
    ):
        if isinstance(error, kind):
            return word
    return AttemptOutcome.PERMANENT


def _as_bug(error: Exception) -> ExchangeError:
    """A mistake of ours, or the database away: tried again like a temporary error; no text, it may hold anything."""
    return TemporaryError(
        f"internal error {type(error).__name__}; details are in the worker's log",
        cause="internal-error",
        status_code=500,
    )


def _place_of(error: Exception) -> str:
    """Where it was raised, innermost last: code places only, because an exception's text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)


def _ids(step: Step, action: str) -> dict:
    return {
        "action": action,
        "step_id": step.id,
        "lease_no": step.lease_no,
        "kind": step.kind,
        "request_id": step.request_id,
        "endpoint": step.endpoint,
    }


def make_app(world: World, conninfo: str) -> procrastinate.App:
    """The Procrastinate app with our one job."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=4))
    heartbeat = Heartbeat(world.config.engine.lease_seconds)

    @app.task(name=JOB_NAME, queue=QUEUE)
    def run(step_id: int, lease_no: int) -> None:
        run_step(world, heartbeat, step_id, lease_no)

    return app


async def work(world: World, conninfo: str, *, name: str, stop: asyncio.Event | None = None) -> None:
    """Run a worker until it is told to stop (SIGTERM) or its loop ends; the supervisor restarts it then."""
    concurrency = world.config.engine.concurrency
    # asyncio's default pool has 6 threads on 2 cores, whatever concurrency says (traps.md)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(concurrency, thread_name_prefix="step"))
    app = make_app(world, conninfo)
    async with app.open_async():
        await app.run_worker_async(
            queues=[QUEUE],
            name=name,
            concurrency=concurrency,
            delete_jobs="successful",
            fetch_job_polling_interval=1.0,
            shutdown_graceful_timeout=20.0,
        )
