"""Steps per second with 1, 2 and 4 worker processes against no-op Procrastinate jobs; start latency; intake per second."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import procrastinate
import psutil
from procrastinate import SyncPsycopgConnector
from sqlalchemy import Engine, text

from benchmarks.common import Clock, Row, cpu_of, fresh_database, percentile, postgres, say
from benchmarks.noop_worker import PLAIN
from integration.queue import Limits, dispatch_endpoint
from integration.settings.config import Config, load_config
from integration.store.requests import request_id_of
from tests.e2e.test_third_party import free_port
from tests.jobs.exchange import a_request

ROOT = Path(__file__).parent.parent
ENDPOINTS, STEPS, STARTS, INTAKES, CLIENTS = 8, 800, 30, 500, 4
CONCURRENCY = 8  # of each endpoint
WAIT_SECONDS = 120
LIMITS = Limits()
STEPS_DUE = text("""
    WITH made AS (
        INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash)
        SELECT :run || n, :run || n, 'e0', 'e1', 'draft', 'routine', '{}', '', '' FROM generate_series(1, :count) n RETURNING id)
    INSERT INTO steps (request_id, kind, endpoint, status)
    SELECT id, :kind, 'e' || (row_number() OVER () % :endpoints), 'due' FROM made""")
OWED = text("SELECT count(*) FROM steps WHERE request_id LIKE :run || '%' AND status <> 'done'")
LEFT = text(f"SELECT count(*) FROM procrastinate_jobs WHERE queue_name = '{PLAIN}'")
# A step began when its attempt did; it could have begun when it was made.
LATENCIES = text("""
    SELECT a.kind, 1000 * extract(epoch FROM a.started_at - s.created_at) AS ms
    FROM attempts a JOIN steps s ON s.id = a.step_id WHERE s.request_id LIKE :run || '%' ORDER BY a.id""")

POSTED_OWED = text("SELECT count(*) FROM steps WHERE request_id = ANY(:ids) AND status <> 'done'")
POSTED = text("""
    SELECT 1000 * extract(epoch FROM a.started_at - s.created_at)
    FROM attempts a JOIN steps s ON s.id = a.step_id WHERE s.request_id = ANY(:ids) AND a.kind = 'gather_records' ORDER BY a.id""")


def run(folder: Path, *, write: bool) -> list[Row]:
    """Real worker and web processes on one fresh database."""
    path = configuration(folder)
    config = load_config(path, {})
    with fresh_database(config) as database:
        measured = [throughput(path, database, workers) for workers in (1, 2, 4)]
        rows = [row for each in measured for row in each]
        with workers_running(path, database.engine, 1):
            rows += [*latency(database.engine), *intake_latency(path, config, database.engine)]
        return rows + intake(path, config)


def configuration(folder: Path) -> Path:
    """Limits wide enough that only the engine itself limits; everything else as it is by default."""
    path = folder / "config.yaml"
    endpoints = {
        f"e{number}": {
            "base_url": f"http://127.0.0.1:9/{number}",
            "name": f"Practice {number}",
            "role": "placer" if number == 0 else "fulfiller",
            "limits": {"concurrency": CONCURRENCY, "requests_per_second": 10_000},
        }
        for number in range(ENDPOINTS)
    }
    path.write_text(
        json.dumps(
            {
                "data_dir": str(folder / "data"),
                "endpoints": endpoints,
                "web": {"port": free_port()},
                "schedules": {"poll_requests_seconds": 86400},
            }
        ),
        "utf-8",
    )
    return path


@contextlib.contextmanager
def workers_running(path: Path, engine: Engine, number: int, *options: str) -> Iterator[list[psutil.Process]]:
    """Worker processes that are ready; ended afterwards."""
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM procrastinate_workers"))
    command = [sys.executable, "-m", "benchmarks.noop_worker", "--config", str(path), *options]
    with running([[*command, "--name", f"bench-{each}"] for each in range(number)]) as processes:
        until(lambda: one(engine, text("SELECT count(*) FROM procrastinate_workers")) >= number, "workers")
        yield [psutil.Process(process.pid) for process in processes]


@contextlib.contextmanager
def running(commands: list[list[str]]) -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    try:
        for command in commands:
            processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Rate:
    """How fast, and at what cost: CPU milliseconds each, of the workers and of PostgreSQL."""

    per_second: float
    workers: float
    database: float
    memory: int

    @property
    def cpu(self) -> float:
        return self.workers + self.database

    def __str__(self) -> str:
        return f"CPU each: {self.workers:.2g} ms in the workers, {self.database:.2g} ms in PostgreSQL"


def throughput(path: Path, database, workers: int) -> list[Row]:
    """The same number of steps and of plain jobs, one after the other."""
    engine, run_name = database.engine, f"run{workers}-"
    with workers_running(path, engine, workers, "--plain") as processes:
        plain = rate(processes, lambda: defer_plainly(database.psycopg_url), lambda: one(engine, LEFT))
    with workers_running(path, engine, workers) as processes:
        steps = rate(
            processes, lambda: make_due(engine, run_name, "nothing", STEPS), lambda: one(engine, OWED, run=run_name)
        )
    say(f"  {workers} workers: {steps.per_second:.0f} steps/s, {plain.per_second:.0f} plain jobs/s")
    many = "1 worker" if workers == 1 else f"{workers} workers"
    return [
        Row(
            f"no-op steps, {many}",
            steps.per_second,
            "/s",
            f"{STEPS} at {ENDPOINTS} endpoints; {steps}; {steps.memory / 1e6:.0f} MB a worker",
        ),
        Row(
            f"no-op Procrastinate jobs, {many}",
            plain.per_second,
            "/s",
            f"{STEPS} without lease, limits and history; {plain}",
        ),
        Row(
            f"steps / jobs, {many}",
            steps.per_second / plain.per_second,
            "times",
            f"CPU of a step / of a job: {steps.cpu / plain.cpu:.1f}",
        ),
    ]


def rate(workers: list[psutil.Process], begin: Callable[[], object], left: Callable[[], int]) -> Rate:
    """From before all are made due until none is left."""
    watched = (workers, postgres())
    before = [cpu_of(each) for each in watched]
    began = time.perf_counter()
    begin()
    until(lambda: left() == 0, "the end", pause=0.05)
    seconds = time.perf_counter() - began
    busy = [1000 * (cpu_of(each) - old) / STEPS for each, old in zip(watched, before, strict=True)]
    return Rate(STEPS / seconds, *busy, max(each.memory_info().rss for each in workers))


def defer_plainly(url: str) -> None:
    app = procrastinate.App(connector=SyncPsycopgConnector(conninfo=url))
    with app.open():
        app.configure_task(PLAIN, allow_unknown=True, queue=PLAIN).batch_defer(
            *({"number": number} for number in range(STEPS))
        )


def make_due(engine: Engine, run_name: str, kind: str, count: int, endpoints: int = ENDPOINTS) -> None:
    """Requests with one due step each, dispatched once as the ticker would within 2 s."""
    with engine.begin() as conn:
        conn.execute(STEPS_DUE, {"run": run_name, "count": count, "kind": kind, "endpoints": endpoints})
    for number in range(endpoints):
        dispatch_endpoint(engine, f"e{number}", LIMITS)


def latency(engine: Engine) -> list[Row]:
    """How long a due step waits for its start in an idle worker."""
    for number in range(STARTS):
        make_due(engine, f"start{number:02d}-", "nothing_then_more", 1, endpoints=1)
        time.sleep(0.15)
    for number in range(STARTS):
        with engine.begin() as conn:
            conn.execute(STEPS_DUE, {"run": f"tick{number:02d}-", "count": 1, "kind": "nothing", "endpoints": 1})
        time.sleep(0.15)
    until(lambda: one(engine, OWED, run="start") + one(engine, OWED, run="tick") == 0, "the started steps")
    with engine.connect() as conn:
        started, ticked = (
            [tuple(row) for row in conn.execute(LATENCIES, {"run": run_name})] for run_name in ("start", "tick")
        )
    return [
        *spread(
            "start latency of a step that was dispatched",
            [ms for kind, ms in started if kind == "nothing_then_more"],
            "row written, dispatched, job fetched",
        ),
        *spread(
            "start latency of a following step",
            [ms for kind, ms in started if kind == "nothing"],
            "made due by the step before it",
        ),
        *spread(
            "start latency of a step nobody dispatched",
            [ms for _, ms in ticked],
            "it waits for the tick: every 2 s by default",
        ),
    ]


def intake_latency(path: Path, config: Config, engine: Engine) -> list[Row]:
    """How long the first step of a request waits for its start, from POST /api/requests on; one at a time."""
    names = [f"post-{number}" for number in range(STARTS)]
    with running([[sys.executable, "-m", "second_opinion", "--config", str(path), "web"]]):
        until(lambda: answers(config.web.port), "the web process")
        for name in names:
            post(
                config.web.port,
                [a_request(key=name, placer="e0", fulfiller="e1").model_dump_json(exclude_defaults=True)],
                [],
            )
            time.sleep(0.15)
        ids = [request_id_of(name) for name in names]
        until(lambda: one(engine, POSTED_OWED, ids=ids) == 0, "the posted requests")
    with engine.connect() as conn:
        taken = conn.execute(POSTED, {"ids": ids}).scalars().all()
    return spread("start latency after POST /api/requests", taken, "stored, dispatched by the web process, job fetched")


def spread(what: str, taken: list[float], note: str) -> list[Row]:
    return [
        Row(f"{what}, {name}", float(percentile(taken, share)), "ms", f"{note}; {len(taken)} of them")
        for name, share in (("p50", 0.5), ("p95", 0.95))
    ]


def intake(path: Path, config: Config) -> list[Row]:
    """POST /api/requests at a real web process, each with another key."""
    command = [sys.executable, "-m", "second_opinion", "--config", str(path), "web"]
    bodies = [
        a_request(key=f"intake-{number}", placer="e0", fulfiller="e1").model_dump_json(exclude_defaults=True)
        for number in range(INTAKES)
    ]
    with running([command]):
        until(lambda: answers(config.web.port), "the web process")
        taken: list[float] = []
        with Clock() as clock:
            threads = [
                threading.Thread(target=post, args=(config.web.port, bodies[each::CLIENTS], taken))
                for each in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    if len(taken) != INTAKES:
        raise RuntimeError(f"only {len(taken)} of {INTAKES} requests were taken in")
    return [
        Row(
            "intake through POST /api/requests",
            INTAKES / clock.wall,
            "/s",
            f"{INTAKES} requests by {CLIENTS} clients, stored with audit and first step",
        ),
        *spread("time of one POST /api/requests", taken, "as its client sees it"),
    ]


def post(port: int, bodies: list[str], taken: list[float]) -> None:
    """One client with one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body in bodies:
        with Clock() as clock:
            connection.request("POST", "/api/requests", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"POST /api/requests answers {answer.status}: {said[:200]!r}")
        taken.append(clock.wall * 1000)
    connection.close()


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def one(engine: Engine, statement, **parameters) -> int:
    with engine.connect() as conn:
        return conn.execute(statement, parameters).scalar_one()


def until(done: Callable[[], bool], what: str, pause: float = 0.1) -> None:
    """Wait, but not for ever."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {WAIT_SECONDS} s in vain for {what}")
        time.sleep(pause)
