"""Dispatch: choosing, by deadline and limits, which due steps run now, and handing them to the engine.

One short transaction per endpoint, in two exchanges with the database. The endpoint row is locked by its own statement, so
that the count after it sees a fresh snapshot: ``SKIP LOCKED`` on the steps alone reached 15 live steps against a limit of 4.
What an endpoint may have depends on nothing that another endpoint does.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, Engine, text

from integration.postgres.driver import driver
from integration.settings.config import Config
from integration.store import parking, steps, totals
from integration.store.steps import Step
from integration.store.tables import SUSPECT
from mappings.model.causes import CAUSES
from mappings.model.steps import AttemptOutcome

JOB_NAME = "run_step"
QUEUE = "steps"
PROMOTED_AT_ONCE = 1000
PROMOTIONS = 20  # in one dispatch; the next one goes on
AGAIN_SECONDS = 0.01
STEP_SECONDS = 2.0  # what a slow step takes: so many are handed over as can start before their leases run out
REST_SECONDS = 10.0  # doubled with each further loss, and spread
WORKER_LOST = "worker-lost"


@dataclass(frozen=True)
class Dispatched:
    """One step handed to the engine."""

    step_id: int
    lease_no: int


@dataclass(frozen=True)
class Limits:
    """What bounds dispatch beside the endpoint's own limits."""

    lease_seconds: float = 25.0
    threads: int = 64  # of one worker
    concurrencies: tuple[int, ...] = ()  # of all endpoints
    max_lost: int = 5  # leases lost by dying workers before a step is parked


def limits_of(config: Config) -> Limits:
    """What config.yaml says."""
    return Limits(
        config.engine.lease_seconds,
        config.engine.concurrency,
        tuple(endpoint.limits.concurrency for endpoint in config.endpoints.values()),
    )


def dispatch(engine: Engine, limits: Limits) -> int:
    """Promote waiting steps, then dispatch every endpoint that has work. Returns how many were handed over."""
    for _ in range(PROMOTIONS):
        with engine.begin() as conn:
            if promote(conn) < PROMOTED_AT_ONCE:
                break
    with engine.connect() as conn:
        keys = conn.execute(_ENDPOINTS_WITH_WORK, {"lease": limits.lease_seconds}).scalars().all()
    first = [dispatch_endpoint(engine, key, limits) for key in keys]
    busy = [key for key, claimed in zip(keys, first, strict=True) if claimed is None]
    if busy:  # who held it may not have seen what is due since
        time.sleep(AGAIN_SECONDS)
    return sum(len(claimed or ()) for claimed in (*first, *(dispatch_endpoint(engine, key, limits) for key in busy)))


def dispatch_endpoint(engine: Engine, endpoint: str, limits: Limits) -> list[Dispatched] | None:
    """One transaction for one endpoint:

    1. lock its row (None: another dispatcher has it) and count its live steps, 2. reap leases that ran out,
    3. claim due steps by deadline, one per request, as far as there is room, and defer their jobs.
    """
    given = {"endpoint": endpoint, "lease": limits.lease_seconds, "queue": QUEUE, "job": JOB_NAME}
    with engine.begin() as conn:
        raw = driver(conn)
        with raw.pipeline():  # sent together, done one after the other
            locked, counted = raw.execute(LOCK, given), raw.execute(COUNT, given)
            row, (live, expired) = locked.fetchone(), counted.fetchone() or (0, 0)
        if row is None:
            return None
        if expired:
            live -= reap(conn, endpoint, limits)
        concurrency, rests, probes, workers = row
        room = most_at(concurrency, rests, probes, workers, limits) - live
        if room <= 0:
            return []
        with raw.pipeline():
            claimed = raw.execute(claim(room), given)
            raw.commit()
            return [Dispatched(*step) for step in claimed.fetchall()]


def has_workers(conn: Connection) -> bool:
    """True when some worker has been heard of in the last half minute."""
    return conn.execute(_WORKERS).scalar_one()


def forget_lost_jobs(conn: Connection) -> None:
    """Remove the engine's jobs that nobody will finish: their worker died, and their steps have been dispatched again since."""
    conn.execute(_LOST_JOBS)


def most_at(concurrency: int, rests: bool, probes: bool, workers: int, limits: Limits) -> int:
    """How many steps may be live at an endpoint: what it bears, and never so many that other endpoints find no thread.

    Three quarters of the workers' threads at most, because it may hang; and its share of all that can start in time.
    """
    if rests:
        return 0
    threads = limits.threads * max(1, workers)
    startable = int(threads * limits.lease_seconds / STEP_SECONDS)
    return 1 if probes else max(1, min(concurrency, threads * 3 // 4, fair_share(limits.concurrencies, startable)))


def fair_share(wanted: Iterable[int], seats: int) -> int:
    """The most that each may take so that there are seats for all; whoever wants less leaves more for the others."""
    wanted = sorted(wanted)
    for number, each in enumerate(wanted):
        equal = seats // (len(wanted) - number)
        if each > equal:
            return max(1, equal)
        seats -= each
    return max(wanted, default=seats)


def promote(conn: Connection) -> int:
    """Waiting steps whose time has come become due, in batches."""
    return conn.execute(_PROMOTE).rowcount


def reap(conn: Connection, endpoint: str, limits: Limits) -> int:
    """A lease that ran out means its worker died or froze: the step is due again; one at which workers die again and again rests.

    Each loss is a line of history. A step that never started (its job waited too long) has lost nothing.
    """
    values = {"endpoint": endpoint, "max_lost": limits.max_lost, "lease": limits.lease_seconds}
    reaped = conn.execute(_REAP, {**values, "to_do": CAUSES[WORKER_LOST].to_do}).all()
    lost = [(Step.from_row(row), row.last_heard_of) for row in reaped if row.had_started]
    for step, heard_of in lost:
        said = step.message or ""
        steps.record_attempt(conn, step, heard_of, AttemptOutcome.LOST, cause=WORKER_LOST, message=said)
        if step.status == "parked":
            parking.tell_parked(conn, step, WORKER_LOST, said)
        else:
            parking.tell_retrying(conn, step, WORKER_LOST, said)
    for kind in sorted(step.kind for step, _ in lost):
        totals.count(conn, totals.STEP, 0.0, endpoint=endpoint, kind=kind, outcome=AttemptOutcome.LOST)
    return len(reaped)


# A lease that ends later than any lease can was given before the database's clock was set back.
_EXPIRED = """(lease_until < statement_timestamp()
               OR lease_until > statement_timestamp() + make_interval(secs => 3 * CAST(:lease AS double precision)))"""

_ENDPOINTS_WITH_WORK = text(f"""
    SELECT e.key FROM endpoints e
    WHERE NOT e.paused AND EXISTS (SELECT 1 FROM steps s WHERE s.endpoint = e.key AND s.status = 'due')
       OR EXISTS (SELECT 1 FROM steps s WHERE s.endpoint = e.key AND s.status = 'leased' AND {_EXPIRED})
    ORDER BY random()""")  # of several dispatchers each begins with another endpoint

# What dispatch commits is lost only together with all that came after it, so nobody waits for the disk. Tables may have grown
# since they were last analyzed, but every statement here has an index.
LOCK = """
    SELECT concurrency,
           paused OR breaker <> 'closed' AND breaker_until > statement_timestamp()
               AND coalesce(last_failure_at, '-infinity') <= statement_timestamp() AS rests,
           breaker <> 'closed' AS probes,
           (SELECT count(*) FROM procrastinate_workers
            WHERE last_heartbeat > statement_timestamp() - interval '30 seconds') AS workers
    FROM endpoints, set_config('synchronous_commit', 'off', true) AS nobody_waits,
         set_config('enable_seqscan', 'off', true) AS by_index
    WHERE key = %(endpoint)s FOR NO KEY UPDATE OF endpoints SKIP LOCKED"""

COUNT = f"""
    SELECT count(*), count(*) FILTER (WHERE {_EXPIRED.replace(":lease", "%(lease)s")})
    FROM steps WHERE endpoint = %(endpoint)s AND status = 'leased'"""

# Of suspects one at a time for an endpoint: whoever only shared a process with the one that kills it goes through without it.
_PROMOTE = text(f"""
    WITH ready AS (
        SELECT id FROM steps WHERE status = 'waiting' AND next_attempt_at <= statement_timestamp() AND lost < {SUSPECT}
        ORDER BY next_attempt_at LIMIT {PROMOTED_AT_ONCE} FOR UPDATE SKIP LOCKED),
    alone AS (
        SELECT DISTINCT ON (s.endpoint) s.id FROM steps s
        WHERE s.status = 'waiting' AND s.next_attempt_at <= statement_timestamp() AND s.lost >= {SUSPECT}
          AND NOT EXISTS (SELECT 1 FROM steps x WHERE x.endpoint = s.endpoint AND x.lost >= {SUSPECT} AND x.status IN ('due', 'leased'))
        ORDER BY s.endpoint, s.deadline, s.id)
    UPDATE steps SET status = 'due' WHERE id IN (SELECT id FROM ready UNION ALL SELECT id FROM alone) AND status = 'waiting'""")

_REAP = text(f"""
    WITH expired AS (
        SELECT id, started AS had_started, lost + started::int AS losses,
               lease_until - make_interval(secs => CAST(:lease AS double precision)) AS last_heard_of
        FROM steps WHERE endpoint = :endpoint AND status = 'leased' AND {_EXPIRED} FOR UPDATE SKIP LOCKED),
    reaped AS (
        UPDATE steps s SET
            attempts = attempts + started::int, lease_until = NULL, started = false, lost = losses,
            status = CASE WHEN losses >= :max_lost THEN 'parked' WHEN started AND losses >= {SUSPECT} THEN 'waiting' ELSE 'due' END,
            next_attempt_at = statement_timestamp() + CASE WHEN started AND losses >= {SUSPECT}
                THEN make_interval(secs => {REST_SECONDS} * power(2, losses - {SUSPECT}) * (1 + random())) ELSE interval '0' END,
            parked_at = CASE WHEN losses >= :max_lost THEN statement_timestamp() ELSE parked_at END,
            cause = CASE WHEN started THEN '{WORKER_LOST}' ELSE cause END,
            message = CASE WHEN started THEN 'the worker that did this step stopped answering' ELSE message END,
            action = CASE WHEN losses >= :max_lost THEN CAST(:to_do AS text) ELSE action END
        FROM expired x WHERE s.id = x.id
        RETURNING s.*, x.had_started, x.last_heard_of),
    freed AS (
        UPDATE requests r SET live_step = NULL FROM reaped x
        WHERE r.id = x.request_id AND r.live_step = x.id RETURNING r.id)
    SELECT * FROM reaped ORDER BY id""")


@lru_cache(None)
def claim(room: int) -> str:
    """The statement that claims so many due steps and defers their jobs; the number stands in it, so that PostgreSQL plans once.

    requests.live_step is set in the same statement: two steps of one request never live at once, also across endpoints.
    """
    return f"""
    WITH candidate AS (
        SELECT s.id, s.request_id FROM steps s LEFT JOIN requests r ON r.id = s.request_id
        WHERE s.endpoint = %(endpoint)s AND s.status = 'due' AND r.live_step IS NULL
        ORDER BY s.deadline, s.id LIMIT {room:d} FOR UPDATE OF s SKIP LOCKED),
    reserved AS (
        UPDATE requests r SET live_step = c.id FROM candidate c
        WHERE r.id = c.request_id AND r.live_step IS NULL RETURNING r.live_step AS id),
    chosen AS (
        SELECT id FROM reserved UNION ALL SELECT id FROM candidate WHERE request_id IS NULL),
    claimed AS (
        UPDATE steps s SET status = 'leased', lease_no = lease_no + 1, started = false,
               lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
        FROM chosen WHERE s.id = chosen.id RETURNING s.id, s.lease_no, s.deadline),
    deferred AS MATERIALIZED (
        SELECT procrastinate_defer_jobs_v1(array_agg(ROW(
            %(queue)s, %(job)s, 0, NULL, NULL, jsonb_build_object('step_id', id, 'lease_no', lease_no), NULL
        )::procrastinate_job_to_defer_v1 ORDER BY deadline, id)) FROM claimed HAVING count(*) > 0)
    SELECT id, lease_no FROM claimed, deferred"""


_WORKERS = text(
    "SELECT EXISTS (SELECT 1 FROM procrastinate_workers WHERE last_heartbeat > statement_timestamp() - interval '30 seconds')"
)
_LOST_JOBS = text("""
    DELETE FROM procrastinate_jobs j WHERE j.task_name = 'run_step' AND j.status IN ('doing', 'failed', 'todo')
      AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.id = (j.args->>'step_id')::bigint AND s.status = 'leased'
                      AND s.lease_no = (j.args->>'lease_no')::int)""")
