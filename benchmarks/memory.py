"""Memory of one worker over time: whole loops, one after the other, between two hosted endpoints."""

import base64
import contextlib
import http.client
import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine, text

from benchmarks.common import Row, fresh_database, say
from benchmarks.engine import answers, running, until
from integration.settings.config import load_config
from integration.store import requests
from tests.chaos.consultant import Consultant
from tests.e2e.test_third_party import free_port
from tests.jobs.exchange import a_request

WARM_UP_MINUTES, SAMPLE_SECONDS = 3, 10
OPEN_LOOPS, PAUSE_SECONDS = (
    4,
    1.0,
)  # a new loop begins each second while fewer than four are open: steady, not as fast as can be
OBSERVATIONS, DOCUMENT_BYTES = 60, 60_000
CLOSED = text("SELECT count(*) FROM requests WHERE closed_at IS NOT NULL")
PACKETS = text("SELECT coalesce(avg(bytes), 0) FROM packets")
MB = 1e6


@dataclass
class Process:
    """What one process holds: (seconds, bytes) samples of its resident memory."""

    name: str
    process: psutil.Process
    samples: list[tuple[float, int]] = field(default_factory=list)

    def sample(self, seconds: float) -> None:
        """Look now; the clock starts at the first look."""
        self.samples.append((seconds if self.samples else 0.0, self.process.memory_info().rss))

    def at(self, minute: float) -> float:
        """Megabytes, at the last sample before a minute ended."""
        return [rss for seconds, rss in self.samples if seconds <= minute * 60][-1] / MB

    def slope(self) -> float:
        """Megabytes an hour after the warm-up, by least squares."""
        points = [(seconds / 3600, rss / MB) for seconds, rss in self.samples if seconds >= WARM_UP_MINUTES * 60]
        middle, height = (sum(each) / len(points) for each in zip(*points, strict=True))
        return sum((x - middle) * (y - height) for x, y in points) / sum((x - middle) ** 2 for x, _ in points)


def run(folder: Path, *, write: bool, minutes: float) -> list[Row]:
    """One web and one worker process, as they are; a consultant answers."""
    path = configuration(folder)
    config = load_config(path, {})
    command = [sys.executable, "-m", "second_opinion", "--config", str(path)]
    with (
        fresh_database(config) as database,
        running([[*command, "web"], [*command, "worker", "--name", "bench"]]) as processes,
    ):
        until(lambda: answers(config.web.port), "the web process")
        watched = [
            Process(name, psutil.Process(process.pid))
            for name, process in zip(("web", "worker"), processes, strict=True)
        ]
        with Consultant(config.endpoints["bob"].base_url):
            begun = steady(database.engine, config.web.port, watched, minutes)
        with database.engine.connect() as conn:
            closed, size = conn.execute(CLOSED).scalar_one(), float(conn.execute(PACKETS).scalar_one())
    what = f"{closed} loops closed of {begun}, packets of {size / 1000:.0f} kB, {minutes:g} minutes"
    return [row for each in reversed(watched) for row in rows(each, minutes, what)]


def rows(process: Process, minutes: float, what: str) -> list[Row]:
    each_minute = ", ".join(f"{process.at(minute):.0f}" for minute in range(1, int(minutes) + 1))
    return [
        Row(f"{process.name}: RSS after start", process.at(0), "MB"),
        Row(f"{process.name}: RSS after the warm-up of {WARM_UP_MINUTES} minutes", process.at(WARM_UP_MINUTES), "MB"),
        Row(f"{process.name}: RSS at the end", process.at(minutes), "MB", f"each minute: {each_minute}"),
        Row(f"{process.name}: slope after the warm-up", process.slope(), "MB/h", what),
    ]


def configuration(folder: Path) -> Path:
    """Everything as it is by default, but for a consultant who answers at once: watches are short and end."""
    path, port = folder / "config.yaml", free_port()
    endpoints = {
        name: {
            "base_url": f"http://127.0.0.1:{port}/fhir/{name}",
            "role": role,
            "identifier_system": f"urn:bench:{name}",
            "accepts": "resources",
            "patients": "create",
            "limits": {"requests_per_second": 500},
        }
        for name, role in (("alice", "placer"), ("bob", "fulfiller"))
    }
    path.write_text(
        json.dumps(
            {
                "data_dir": str(folder / "data"),
                "endpoints": endpoints,
                "web": {"port": port},
                "hosted": [{"practice": name, "name": name} for name in endpoints],
                "records": {"watch_days": 0},
                "schedules": {"watch_seconds": 2, "poll_requests_seconds": 60},
            }
        ),
        "utf-8",
    )
    return path


def steady(engine: Engine, port: int, watched: list[Process], minutes: float) -> int:
    """Loops until the time is over; returns how many were begun."""
    began, begun, sampled = time.monotonic(), 0, -SAMPLE_SECONDS
    while (seconds := time.monotonic() - began) < minutes * 60:
        with engine.connect() as conn:
            closed = conn.execute(CLOSED).scalar_one()
        if seconds - sampled >= SAMPLE_SECONDS:
            for each in watched:
                each.sample(seconds)
            if int(seconds / 60) > int(sampled / 60):
                held = ", ".join(f"{each.name} {each.samples[-1][1] / MB:.1f} MB" for each in watched)
                say(f"  minute {seconds / 60:.0f}: {closed} loops, {held}")
            sampled = seconds
        if begun - closed < OPEN_LOOPS:
            begin(engine, port, begun)
            begun += 1
        time.sleep(PAUSE_SECONDS)
    for each in watched:
        each.sample(minutes * 60)
    return begun


def begin(engine: Engine, port: int, number: int) -> None:
    """A patient of Alice with a chart of their own, and a request about them."""
    mrn = {"system": "urn:bench:mrn", "value": f"M{number}"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(
            "POST", "/fhir/alice", json.dumps(chart(mrn, number)), {"Content-Type": "application/fhir+json"}
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the hosted endpoint answers {answer.status}")
    patient = {
        "identifiers": [mrn],
        "name": {"family": f"Bench{number}", "given": ["Casey"]},
        "birth_date": "1960-01-01",
    }
    with engine.begin() as conn:
        requests.take_in(conn, a_request(key=f"memory-{number}", patient=patient), actor="bench")


def chart(mrn: dict, number: int) -> dict:
    """A transaction: patient, results, a letter; random, so that nothing is stored once for all."""
    chance, subject = random.Random(number), {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}
    made = [
        {
            "resourceType": "Patient",
            "identifier": [mrn],
            "name": [{"family": f"Bench{number}", "given": ["Casey"]}],
            "birthDate": "1960-01-01",
            "gender": "female",
        }
    ]
    made += [
        {
            "resourceType": "Observation",
            "status": "final",
            "subject": subject,
            "code": {"text": f"result {index}"},
            "note": [{"text": chance.randbytes(150).hex()}],
            "valueQuantity": {"value": chance.random(), "unit": "g"},
        }
        for index in range(OBSERVATIONS)
    ]
    letter = base64.b64encode(chance.randbytes(DOCUMENT_BYTES)).decode()
    made.append(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": subject,
            "type": {"text": "letter"},
            "content": [{"attachment": {"contentType": "text/plain", "data": letter}}],
        }
    )
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{index:012d}",
                "resource": each,
                "request": {"method": "POST", "url": each["resourceType"]},
            }
            for index, each in enumerate(made)
        ],
    }
