"""Long charts and a large document: CPU per record and memory of the worker, until everything was read back at a hosted endpoint."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import text

from benchmarks.common import Row, below, cpu_of, fresh_database, postgres, say
from benchmarks.engine import answers, running, until
from integration.settings.config import load_config
from integration.store import requests
from tests.e2e.test_third_party import free_port
from tests.jobs.exchange import a_request

RECORDS = tuple(int(each) for each in os.environ.get("BENCH_RECORDS", "1000,10000").split(","))
ATTACHMENT_BYTES = int(os.environ.get("BENCH_ATTACHMENT_BYTES", str(300 << 20)))
WAIT_SECONDS = 3600
MB = 1e6
STATE = text("SELECT records FROM requests")
STUCK = text("SELECT kind, cause, message FROM steps WHERE status = 'parked'")
DONE = text("SELECT count(*) FROM attempts WHERE kind = :kind AND outcome = 'done'")
COUNTED = text("SELECT count(*) FROM delivery_items WHERE status = 'verified'")
PHASES = ("gather_records", "match_people", "push_records", "verify_records")


@dataclass
class Measured:
    """One chart on its way: CPU seconds and wall seconds of each step, and the most that the worker held."""

    records: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    worker: float = 0.0
    others: float = 0.0
    peak: int = 0
    at_rest: int = 0
    stuck: str = ""

    @property
    def per_record(self) -> float:
        return self.worker / max(1, self.records) * 1000


def run(folder: Path, *, write: bool) -> list[Row]:
    """Charts of several lengths, then one large document."""
    rows, measured = [], []
    for records in RECORDS:
        measured.append(one(folder / f"records-{records}", records, 0))
        rows += rows_of(measured[-1], f"{records:,} records")
    if len(measured) > 1:
        first, last = measured[0], measured[-1]
        slope = (last.worker - first.worker) / max(1, last.records - first.records) * 1000
        rows.append(below("CPU of the worker for each further record", slope, "ms", 1.0))
    if ATTACHMENT_BYTES:
        document = one(folder / "document", 20, ATTACHMENT_BYTES)
        rows += rows_of(document, f"a document of {ATTACHMENT_BYTES / MB:.0f} MB", most=200)
    return rows


def rows_of(measured: Measured, what: str, most: float = 500) -> list[Row]:
    phases = ", ".join(f"{kind} {measured.cpu.get(kind, 0):.1f} s" for kind in PHASES)
    outcome = measured.stuck or f"{measured.records} items verified; CPU of all: {phases}"
    return [
        Row(f"{what}: CPU of the worker", measured.worker, "s", outcome),
        Row(
            f"{what}: CPU of the worker for each",
            measured.per_record,
            "ms",
            "what is the same for every chart included",
        ),
        Row(f"{what}: until read back", sum(measured.wall.values()), "s", "on this machine as busy as it was"),
        below(
            f"{what}: most memory of the worker",
            measured.peak / MB,
            "MB",
            most,
            f"{measured.at_rest / MB:.0f} MB at rest",
        ),
    ]


def one(folder: Path, records: int, attachment: int) -> Measured:
    """A fresh Exchange; the worker is started when all else is ready."""
    folder.mkdir()
    folder.chmod(0o711)
    port, path = free_port(), folder / "config.yaml"
    configuration(path, port, free_port())
    config, command = load_config(path, {}), [sys.executable, "-m", "second_opinion", "--config", str(path)]
    source = [sys.executable, "-m", "benchmarks.long_chart", str(port), str(records), str(attachment)]
    say(f"  {records} records, {attachment} bytes of document ...")
    with fresh_database(config) as database, running([source, [*command, "web"]]):
        until(lambda: answers(config.web.port), "the web process")
        until(lambda: answers(port), "the source")
        with running([[*command, "worker", "--name", "bench"]]) as (worker,):
            return watch(database.engine, psutil.Process(worker.pid))


def watch(engine, worker: psutil.Process) -> Measured:
    """Submit, then look until everything was verified or somebody would be asked."""
    time.sleep(3)
    measured = Measured(at_rest=worker.memory_info().rss)
    own_before, all_before, wall_before = cpu_of([worker]), cpu_of([worker, *postgres()]), time.monotonic()
    with engine.begin() as conn:
        requests.take_in(conn, a_request(), actor="bench")
    began = time.monotonic()
    with peak_of(worker, measured):
        for kind in PHASES:
            while not measured.stuck and not count(engine, kind):
                measured.stuck = stuck(engine)
                if time.monotonic() - began > WAIT_SECONDS:
                    measured.stuck = "it took too long"
                time.sleep(0.2)
            now, cpu = time.monotonic(), cpu_of([worker, *postgres()])
            measured.wall[kind], measured.cpu[kind] = now - wall_before, cpu - all_before
            wall_before, all_before = now, cpu
    measured.worker = cpu_of([worker]) - own_before
    with engine.connect() as conn:
        measured.records = conn.execute(COUNTED).scalar_one()
    return measured


@contextmanager
def peak_of(worker: psutil.Process, measured: Measured) -> Iterator[None]:
    """Look twenty times a second."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            measured.peak = max(measured.peak, worker.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def count(engine, kind: str) -> int:
    with engine.connect() as conn:
        return conn.execute(DONE, {"kind": kind}).scalar_one()


def stuck(engine) -> str:
    with engine.connect() as conn:
        return " ".join(f"{row.kind} parked: {row.cause} {row.message}" for row in conn.execute(STUCK))


def configuration(path: Path, source: int, web: int) -> None:
    """Everything as it is by default, but that no pace holds it up."""
    limits = {"requests_per_second": 2000}
    endpoints = {
        "alice": {
            "base_url": f"http://127.0.0.1:{source}/fhir",
            "role": "placer",
            "identifier_system": "urn:bench:alice",
        },
        "bob": {
            "base_url": "hosted:bob",
            "role": "fulfiller",
            "identifier_system": "urn:bench:bob",
            "accepts": "resources",
            "patients": "create",
        },
    }
    described = {
        "data_dir": str(path.parent / "data"),
        "endpoints": {name: each | {"limits": limits} for name, each in endpoints.items()},
        "web": {"port": web},
        "hosted": [{"practice": "bob", "name": "bob"}],
        "schedules": {"poll_requests_seconds": 3600},
    }
    path.write_text(json.dumps(described), "utf-8")
