"""Dispatch: choosing, by deadline and limits, which due steps run now, and handing them to the engine.

One short transaction per endpoint. The endpoint row is locked by its own statement, so that the counts after it see
a fresh snapshot: ``SKIP LOCKED`` on the steps alone reached 15 live steps against a limit of 4.
"""
from dataclasses import dataclass

import procrastinate
from procrastinate import SyncPsycopgConnector
from sqlalchemy import Connection, Engine, text

JOB_NAME = "run_step"
QUEUE = "steps"
# A second App with a sync connector that is never opened: a worker's own app would use its async one (traps.md).
_deferrer = procrastinate.App(connector=SyncPsycopgConnector())


@dataclass(frozen=True)
class Dispatched:
    """One step handed to the engine."""

    step_id: int
    lease_no: int


@dataclass(frozen=True)
class Limits:
    """What bounds dispatch beside the endpoint's own limits."""

    lease_seconds: float = 30.0
    max_live: int = 64           # leased steps over all endpoints: no more than workers can start within a lease
    max_lost: int = 5            # leases lost by dying workers before a step is parked


def dispatch(engine: Engine, limits: Limits) -> int:
    """Promote waiting steps, then dispatch every endpoint that has work. Returns how many were handed over."""
    with engine.begin() as conn:
        promote(conn)
    with engine.connect() as conn:
        keys = [row.endpoint for row in conn.execute(_ENDPOINTS_WITH_WORK, {"lease": limits.lease_seconds})]
    return sum(len(dispatch_endpoint(engine, key, limits)) for key in keys)


def dispatch_endpoint(engine: Engine, endpoint: str, limits: Limits) -> list[Dispatched]:
    """One transaction for one endpoint:

    1. lock its row (another dispatcher has it: do nothing), 2. reap expired leases, 3. see how much room there is,
    4. claim due steps by deadline, one per request, 5. defer their jobs on the same connection.
    """
    with engine.begin() as conn:
        row = conn.execute(_LOCK_ENDPOINT, {"endpoint": endpoint}).one_or_none()
        if row is None:
            return []
        reap(conn, endpoint, limits)
        room = _room(conn, row, limits)
        if room <= 0:
            return []
        claimed = _claim(conn, endpoint, room, limits.lease_seconds)
        if claimed:
            conn.execute(_SPEND, {"endpoint": endpoint, "count": len(claimed)})
            _defer(conn, claimed)
        return claimed


def promote(conn: Connection) -> int:
    """Waiting steps whose time has come become due, in batches."""
    return conn.execute(_PROMOTE).rowcount


def reap(conn: Connection, endpoint: str, limits: Limits) -> int:
    """A lease that ran out means its worker died or froze: the step is due again."""
    reaped = conn.execute(_REAP, {"endpoint": endpoint, "max_lost": limits.max_lost, "lease": limits.lease_seconds}).all()
    return len(reaped)


def _room(conn: Connection, row, limits: Limits) -> int:
    if row.paused or row.breaker_open:
        return 0
    conn.execute(_REFILL, {"endpoint": row.key, "tokens": row.refilled})
    counts = conn.execute(_COUNT_LEASED, {"endpoint": row.key}).one()
    room = min(row.concurrency - counts.here, limits.max_live - counts.everywhere, int(row.refilled))
    return min(room, 1 - counts.here) if row.breaker != "closed" else room


def _claim(conn: Connection, endpoint: str, room: int, lease_seconds: float) -> list[Dispatched]:
    rows = conn.execute(_CLAIM, {"endpoint": endpoint, "room": room, "lease": lease_seconds})
    return [Dispatched(row.id, row.lease_no) for row in rows]


def _defer(conn: Connection, claimed: list[Dispatched]) -> None:
    deferrer = _deferrer.configure_task(JOB_NAME, allow_unknown=True, queue=QUEUE,
                                        connection=conn.connection.driver_connection)
    deferrer.batch_defer(*({"step_id": step.step_id, "lease_no": step.lease_no} for step in claimed))


# A lease that ends later than any lease can was given before the database's clock was set back.
_EXPIRED = """(lease_until < statement_timestamp()
               OR lease_until > statement_timestamp() + make_interval(secs => 3 * CAST(:lease AS double precision)))"""

_ENDPOINTS_WITH_WORK = text(f"""
    SELECT e.key AS endpoint FROM endpoints e
    WHERE EXISTS (SELECT 1 FROM steps s WHERE s.endpoint = e.key AND s.status = 'due')
       OR EXISTS (SELECT 1 FROM steps s WHERE s.endpoint = e.key AND s.status = 'leased' AND {_EXPIRED})""")

_LOCK_ENDPOINT = text("""
    SELECT key, concurrency, paused, breaker,
           breaker <> 'closed' AND breaker_until > statement_timestamp()
               AND coalesce(last_failure_at, '-infinity') <= statement_timestamp() AS breaker_open,
           LEAST(GREATEST(rate * 2, concurrency, 1),
                 tokens + rate * GREATEST(0, EXTRACT(EPOCH FROM statement_timestamp() - tokens_at))) AS refilled
    FROM endpoints WHERE key = :endpoint FOR NO KEY UPDATE SKIP LOCKED""")

_REFILL = text("UPDATE endpoints SET tokens = :tokens, tokens_at = statement_timestamp() WHERE key = :endpoint")
_SPEND = text("UPDATE endpoints SET tokens = tokens - :count WHERE key = :endpoint")

_COUNT_LEASED = text("""
    SELECT count(*) FILTER (WHERE endpoint = :endpoint) AS here, count(*) AS everywhere
    FROM steps WHERE status = 'leased'""")

_PROMOTE = text("""
    UPDATE steps SET status = 'due' WHERE id IN (
        SELECT id FROM steps WHERE status = 'waiting' AND next_attempt_at <= statement_timestamp()
        ORDER BY next_attempt_at LIMIT 1000 FOR UPDATE SKIP LOCKED)""")

# A step that never started (its job waited too long) loses no attempt.
_REAP = text(f"""
    WITH expired AS (
        SELECT id FROM steps WHERE endpoint = :endpoint AND status = 'leased' AND {_EXPIRED}
        FOR UPDATE SKIP LOCKED),
    reaped AS (
        UPDATE steps s SET
            attempts = attempts + started::int, lease_until = NULL, started = false,
            lost = lost + started::int,
            status = CASE WHEN lost + started::int >= :max_lost THEN 'parked' ELSE 'due' END,
            cause = CASE WHEN started THEN 'worker-lost' ELSE cause END,
            message = CASE WHEN started THEN 'the worker that did this step stopped answering' ELSE message END,
            action = CASE WHEN lost + started::int >= :max_lost
                     THEN 'Workers die at this step. Read the worker log, then retry it.' ELSE action END
        FROM expired x WHERE s.id = x.id RETURNING s.id, s.request_id),
    freed AS (
        UPDATE requests r SET live_step = NULL FROM reaped x
        WHERE r.id = x.request_id AND r.live_step = x.id RETURNING r.id)
    SELECT id, request_id FROM reaped""")

# requests.live_step is set in the same statement: two steps of one request never live at once, also across endpoints.
_CLAIM = text("""
    WITH candidate AS (
        SELECT s.id, s.request_id FROM steps s LEFT JOIN requests r ON r.id = s.request_id
        WHERE s.endpoint = :endpoint AND s.status = 'due' AND r.live_step IS NULL
        ORDER BY s.deadline, s.id LIMIT :room FOR UPDATE OF s SKIP LOCKED),
    reserved AS (
        UPDATE requests r SET live_step = c.id FROM candidate c
        WHERE r.id = c.request_id AND r.live_step IS NULL RETURNING r.live_step AS id),
    chosen AS (
        SELECT id FROM reserved UNION ALL SELECT id FROM candidate WHERE request_id IS NULL)
    UPDATE steps s SET status = 'leased', lease_no = lease_no + 1, started = false,
           lease_until = statement_timestamp() + make_interval(secs => :lease)
    FROM chosen WHERE s.id = chosen.id RETURNING s.id, s.lease_no""")
