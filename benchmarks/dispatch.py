"""Dispatch and the queue page with 100,000 due and 1,000,000 finished steps and deliveries; the plans PostgreSQL chose."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import Engine, event, text

from benchmarks.common import Row, below, cpu_of, fresh_database, milliseconds, percentile, postgres, say
from integration import queue
from integration.packets.payloads import Payloads
from integration.postgres.database import connect
from integration.queue import Limits, dispatch, dispatch_endpoint
from integration.settings.config import Config, load_config
from integration.web import create_app

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "query-plans.md"
ENDPOINTS, REQUESTS, DONE_EACH, PARKED = 20, 200_000, 5, 2_000  # half of the requests still owe a step
DISPATCHES, VIEWS, ROUNDS = 300, 20, 20
DISPATCH_AIM, PAGE_AIM = 5, 300  # milliseconds at p95
LIMITS = Limits()
SOME = 123_456  # the request that is looked for: one of the finished half
VIEWED = {
    "what needs a person (first page)": "/queue",
    "second page": "",
    "due": "/queue?q=state:due",
    "done": "/queue?q=state:done",
    "all": "/queue?q=state:all",
    "one endpoint, due": "/queue?q=state:due endpoint:e7",
    "one kind": "/queue?q=kind:records",
    "due within 3 days": "/queue?q=state:due due:<3d",
    "search a cause": "/queue?q=error:timeout",
    "search a cause nobody has": "/queue?q=state:all error:nothing-like-this",
    "search a request id": f"/queue?q=state:all request:r{SOME:020d}",
    "search the beginning of one": f"/queue?q=state:all r{SOME:020d}"[:-3],
    "search a patient": f"/queue?q=state:all patient:{hashlib.md5(str(SOME).encode()).hexdigest()}",
    "of urgent requests": "/queue?q=priority:urgent",
    "failures in groups": "/failures",
    "numbers of a year": "/numbers?days=365",
    "one request": f"/requests/r{SOME:020d}",
}
ASKED = f"""
    INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash, records_due_at, closed_at)
    SELECT 'r' || lpad(n::text, 20, '0'), 'k' || n, 'e' || n % {ENDPOINTS}, 'e' || (n + 1) % {ENDPOINTS},
           CASE WHEN n <= {REQUESTS} / 2 THEN 'draft' ELSE 'completed' END,
           (ARRAY['routine', 'routine', 'routine', 'urgent', 'asap'])[n % 7 % 5 + 1], '{{}}', '', md5(n::text),
           now() + n % 60 * interval '1 day', CASE WHEN n > {REQUESTS} / 2 THEN now() END
    FROM generate_series(1, {REQUESTS}) n"""
OWED = f"""
    INSERT INTO steps (request_id, priority, kind, endpoint, status, deadline, attempts, cause, message, action, first_attempt_at)
    SELECT id, priority, 'gather_records', placer, CASE WHEN n % ({REQUESTS} / 2 / {PARKED}) = 0 THEN 'parked' ELSE 'due' END, records_due_at,
           CASE WHEN n % 10 = 0 THEN 3 ELSE 0 END, CASE WHEN n % 10 = 0 THEN (ARRAY['timeout', 'http-503', 'not-fhir'])[n / 10 % 3 + 1] END,
           CASE WHEN n % 10 = 0 THEN 'synthetic' END, CASE WHEN n % 10 = 0 THEN 'Retry.' END, CASE WHEN n % 10 = 0 THEN now() END
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM requests WHERE closed_at IS NULL) r"""
FINISHED = f"""
    INSERT INTO steps (request_id, priority, kind, endpoint, status, deadline, created_at, finished_at)
    SELECT id, priority, (ARRAY['gather_records', 'push_records', 'verify_records', 'return_report', 'mirror_status'])[k], fulfiller, 'done',
           records_due_at, now() - n * interval '10 seconds', now() - n * interval '10 seconds'
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM requests) r, generate_series(1, {DONE_EACH}) k"""
DELIVERED = f"""
    INSERT INTO deliveries (id, request_id, endpoint, kind, version, status, deadline, updated_at)
    SELECT 'd' || id || k, id, fulfiller, 'records', k, 'verified', records_due_at, now() - n * interval '10 seconds'
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM requests) r, generate_series(1, {DONE_EACH}) k"""


def run(folder: Path, *, write: bool) -> list[Row]:
    """Fill a fresh database, measure, explain."""
    config = load_config(configuration(folder), {})
    with fresh_database(config) as database:
        fill(database.embedded.admin_url("second_opinion"))
        say("  filled")
        plans: list[tuple[str, str]] = []
        web = connect(database.url, fresh_plans=True)  # as the web process does
        app = create_app(config, web.engine, Payloads(config.payloads.url)).test_client()
        rows = [*page_rows(app, web.engine, plans), *dispatch_rows(database.engine, config, plans)]
        web.close()
        if write:
            PAGE.write_text(plans_page(plans), "utf-8")
        return rows


def configuration(folder: Path) -> Path:
    """A config.yaml with many endpoints that nobody is behind."""
    path = folder / "config.yaml"
    endpoints = {
        f"e{number}": {
            "base_url": f"http://127.0.0.1:9/{number}",
            "role": "both",
            "name": f"Practice {number}",
            "limits": {"requests_per_second": 10_000},
        }
        for number in range(ENDPOINTS)
    }
    path.write_text(json.dumps({"data_dir": str(folder / "data"), "endpoints": endpoints}), "utf-8")
    return path


def fill(url: str) -> None:
    """Rows as years of work leave them; foreign keys are not checked because the statements make them right."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("SET synchronous_commit = off")
        for statement in (ASKED, FINISHED, OWED, DELIVERED, "VACUUM ANALYZE", "CHECKPOINT"):
            conn.execute(statement)


def dispatch_rows(engine: Engine, config: Config, plans: list) -> list[Row]:
    """One endpoint with room, one without, and a whole round over all; the floor tells what the disk and a busy machine add."""
    keys = list(config.endpoints) * (DISPATCHES // ENDPOINTS)
    claims = between(engine, [lambda key=key: dispatch_endpoint(engine, key, LIMITS) for key in keys])
    dispatch_endpoint(engine, "e3", LIMITS)
    busy, theirs = time.process_time(), cpu_of(postgres())
    full = milliseconds(lambda: dispatch_endpoint(engine, "e3", LIMITS), DISPATCHES)
    busy, theirs = (
        (now - before) / DISPATCHES * 1000
        for now, before in ((time.process_time(), busy), (cpu_of(postgres()), theirs))
    )
    finish_leased(engine)
    rounds = between(engine, [lambda: dispatch(engine, LIMITS)] * ROUNDS)
    floor = milliseconds(lambda: touch(engine), DISPATCHES)
    explain_dispatch(engine, plans)
    return [
        *pair("dispatch_endpoint that claims 4 steps", claims, DISPATCH_AIM, f"{DISPATCHES} calls"),
        *pair(
            "dispatch_endpoint without room",
            full,
            DISPATCH_AIM,
            f"CPU a call: {busy:.2g} ms ours, {theirs:.2g} ms PostgreSQL's",
        ),
        *pair("floor: one row updated and committed", floor, None, "what the disk and the machine's load alone cost"),
        *pair(
            f"dispatch over {ENDPOINTS} endpoints, up to {4 * ENDPOINTS} steps",
            rounds,
            None,
            f"{ROUNDS} rounds; one every 2 s in production",
        ),
    ]


def between(engine: Engine, calls: list[Callable[[], object]]) -> list[float]:
    """Milliseconds of each call, with all leased steps finished after it."""
    taken = []
    for call in calls:
        taken += milliseconds(call, 1)
        finish_leased(engine)
    return taken


def touch(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("UPDATE endpoints SET rate = rate WHERE key = 'e3'"))


def finish_leased(engine: Engine) -> None:
    """What the workers would do between two dispatches."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE requests SET live_step = NULL WHERE live_step IS NOT NULL AND id IN "
                "(SELECT request_id FROM steps WHERE status = 'leased')"
            )
        )
        conn.execute(
            text("UPDATE steps SET status = 'done', finished_at = now(), lease_until = NULL WHERE status = 'leased'")
        )
        conn.execute(text("DELETE FROM procrastinate_jobs"))


def page_rows(app, engine: Engine, plans: list) -> list[Row]:
    """Each page with its HTML, as Flask makes it."""
    rows = []
    for name, address in VIEWED.items():
        address = address or following(app)
        with explained(engine, f"{name}: `{address.split('&after')[0].split('?after')[0]}`", plans):
            view(app, address)
        taken = milliseconds(lambda address=address: view(app, address), VIEWS)
        rows += pair(f"page: {name}", taken, PAGE_AIM)
    return rows


def view(app, address: str) -> str:
    answer = app.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answers {answer.status_code}")
    return answer.text


def following(app) -> str:
    """The address of the queue's second page."""
    return re.search(r'href="(/queue\?[^"]*after=[^"]*)"', view(app, "/queue"))[1].replace("&amp;", "&")


def pair(what: str, taken: list[float], aim: float | None, note: str = "") -> list[Row]:
    """p50 for the picture, p95 for the aim."""
    median, slow = percentile(taken, 0.5), percentile(taken, 0.95)
    note = "; ".join(filter(None, [note, f"p50 {median:.3g} ms"]))
    return [Row(f"{what}, p95", slow, "ms", note)] if aim is None else [below(f"{what}, p95", slow, "ms", aim, note)]


@contextmanager
def explained(engine: Engine, title: str, plans: list[tuple[str, str]]) -> Iterator[None]:
    """Explain every statement of the ``with`` block right before it runs, and take back what explaining changed."""
    busy = False

    def before(_conn, cursor, statement, parameters, _context, _many) -> None:
        nonlocal busy
        if busy or not re.match(r"\s*(SELECT|UPDATE|WITH)\b", statement):
            return
        busy = True
        raw = cursor.connection
        with raw.cursor() as other, raw.transaction(force_rollback=True):
            other.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON, BUFFERS OFF) {statement}", parameters)
            plans.append((title, f"{squeezed(statement)}\n\n{plan_of(other)}"))
        busy = False

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", before)


def explain_dispatch(engine: Engine, plans: list[tuple[str, str]]) -> None:
    """Its statements go by pipeline, which SQLAlchemy does not see: explain them as they are, and take it back."""
    given = {"endpoint": "e5", "lease": LIMITS.lease_seconds, "queue": queue.QUEUE, "job": queue.JOB_NAME}
    with engine.connect() as conn:
        raw = conn.connection.driver_connection
        with raw.cursor() as cursor, raw.transaction(force_rollback=True):
            for statement in (queue.LOCK, queue.COUNT, queue.claim(4)):
                cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY ON, BUFFERS OFF) {statement}", given)
                plans.append(("dispatch_endpoint", f"{squeezed(statement)}\n\n{plan_of(cursor)}"))


def plan_of(cursor) -> str:
    return "\n".join(line for (line,) in cursor.fetchall() if not line.lstrip().startswith("Planning Time"))


def squeezed(statement: str) -> str:
    return re.sub(
        r"\s+", " ", re.sub(r"SELECT steps\.id,.*?\sFROM", "SELECT steps.* FROM", statement, flags=re.S)
    ).strip()


def plans_page(plans: list[tuple[str, str]]) -> str:
    """Every statement of dispatch and of the queue page with its plan, once."""
    titles: dict[str, list[str]] = {}
    known: set[str] = set()
    for title, plan in plans:
        statement = plan.split("\n")[0]
        trivial = re.search(r"\b(alarms|saved_views|settings)\b", statement) or statement in known
        known.add(statement)
        if not trivial:
            titles.setdefault(title, []).append(plan)
    parts = [
        f"## {title}\n\n" + "\n\n".join(f"```text\n{plan}\n```" for plan in each) for title, each in titles.items()
    ]
    return HEAD.format(date=datetime.now(UTC).date()) + "\n\n".join(parts) + "\n"


HEAD = """\
<!-- Written by `python -m benchmarks --only dispatch --write`: run it again instead of editing. -->
# Query plans

What PostgreSQL 18 did on {date} for each statement of dispatch and of the queue page, with 100,000 open steps, 1,000,000 finished ones and as
many deliveries in the tables. What to look for: dispatch and the tabs read open steps by partial indexes and count the history only up to
10,000. One search does more: by the beginning of a request id it reads every step of those
requests. The web asks for fresh plans: after some equal searches on one connection PostgreSQL would choose one plan for any value,
which for the beginning of an id took 0.5 s instead of 5 ms. The times here are one run each; those of whole pages are in
[benchmarks](../reference/benchmarks.md). A statement that an earlier section shows is not shown again.

"""
