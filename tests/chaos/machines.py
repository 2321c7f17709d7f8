"""Several machines on one computer: web and worker processes on an external PostgreSQL, kept alive as systemd would."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg

from integration.postgres.database import connect
from integration.postgres.embedded import EmbeddedPostgres
from jobs.supervisor import die_with_parent
from tests.chaos import oracle
from tests.chaos.away import AWAY
from tests.chaos.run import free_port

CONFIG = """\
data_dir: {folder}/data
payloads: {{url: {folder}/payloads}}
web: {{port: {port}}}
endpoints:
  alice: {{base_url: "{alice}", role: placer, identifier_system: "urn:machines:alice", limits: {limits}}}
  bob: {{base_url: "{bob}", role: fulfiller, identifier_system: "urn:machines:bob", accepts: resources, patients: create, limits: {limits}}}
schedules: {{dispatch_seconds: 1, poll_requests_seconds: 3600, watch_seconds: 1}}
retry: {{first_retry_seconds: 0.5, max_retry_seconds: 3, max_attempts: 100}}
engine: {{lease_seconds: {lease}, concurrency: 4}}
"""
ROOT = Path(__file__).parent.parent.parent
CONCURRENCY = 3
LIMITS = f"{{concurrency: {CONCURRENCY}, requests_per_second: 200, timeout_seconds: 10}}"
OURS = "https://second-opinion.example/ids"


class Machines:
    """``webs`` and ``workers`` processes between two servers that are none of theirs; their code is that in ``home``."""

    def __init__(
        self,
        folder: Path,
        *,
        alice: str,
        bob: str,
        webs: int,
        workers: int,
        seed: int = 1,
        home: Path = ROOT,
        settings: dict[str, str] | None = None,
        lease_seconds: int = 5,
    ):
        self.folder, self.alice, self.bob, self.random = folder, alice, bob, random.Random(seed)
        self.postgres = EmbeddedPostgres(folder / "postgres", settings={"fsync": "off", **(settings or {})})
        self.lease_seconds = lease_seconds
        self.ports = {number: free_port() for number in range(webs)}
        self.homes = {("web", number): home for number in range(webs)} | {
            ("worker", number): home for number in range(workers)
        }
        self.running: dict[tuple, subprocess.Popen] = {}
        self.log = (folder / "machines.log").open("ab")
        self.stopping, self.changing = threading.Event(), threading.Lock()
        self.sources: list[str] = []
        self.ids: list[str] = []

    def __enter__(self) -> "Machines":
        database = connect(self.postgres.start())
        database.migrate()
        database.close()
        threading.Thread(target=self._keep, daemon=True).start()
        self.wait_ready()
        return self

    def __exit__(self, *_) -> None:
        with self.changing:
            self.stopping.set()
        for process in self.running.values():
            process.kill()
            process.wait()
        self.postgres.stop()
        self.log.close()

    def _keep(self) -> None:
        """What ended is started again, as a unit file says."""
        while not self.stopping.wait(0.2):
            with self.changing:
                for role in self.homes:
                    if not self.stopping.is_set() and (
                        role not in self.running or self.running[role].poll() is not None
                    ):
                        self.running[role] = self._start(*role)

    def _start(self, kind: str, number: int) -> subprocess.Popen:
        arguments = [kind] if kind == "web" else [kind, "--name", f"machine-{number}"]
        return subprocess.Popen(
            self.command(kind, number, *arguments),
            stdout=self.log,
            stderr=self.log,
            cwd=self.homes[kind, number],
            env=self.environment,
            preexec_fn=die_with_parent,
        )

    def command(self, kind: str, number: int, *arguments: str) -> list[str]:
        """A command line of the Exchange with the configuration of a role; run it in a home, with ``environment``."""
        config = self.folder / f"config-{kind}-{number}.yaml"
        config.write_text(
            CONFIG.format(
                folder=self.folder,
                port=self.ports[number] if kind == "web" else 8080,
                alice=self.alice,
                bob=self.bob,
                limits=LIMITS,
                lease=self.lease_seconds,
            )
        )
        return [sys.executable, "-m", "second_opinion", "--config", str(config), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SECOND_OPINION_DATABASE_URL": self.postgres.url}

    def join(self, kind: str, number: int, home: Path) -> None:
        """One more machine, with the code in ``home``."""
        with self.changing:
            if kind == "web":
                self.ports[number] = free_port()
            self.homes[kind, number] = home

    def leave(self, kind: str, number: int, seconds: float = 40) -> None:
        """SIGTERM, and wait until it ended; it is not started again."""
        with self.changing:
            del self.homes[kind, number]
            if kind == "web":
                del self.ports[number]
        process = self.running.pop((kind, number))
        process.terminate()
        process.wait(seconds)

    def kill(self, kind: str) -> None:
        """SIGKILL one process of a role."""
        role = self.random.choice([role for role in self.homes if role[0] == kind])
        self.running[role].send_signal(signal.SIGKILL)

    def ready(self, port: int) -> bool:
        """What a load balancer asks."""
        with contextlib.suppress(*AWAY):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).status == 200
        return False

    def wait_ready(self, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not all(self.ready(port) for port in self.ports.values()):
            if time.monotonic() > until:
                raise TimeoutError(
                    f"not ready within {seconds} s: {(self.folder / 'machines.log').read_text()[-2000:]}"
                )
            time.sleep(0.2)

    def load(self, number: int, resources: int = 4) -> None:
        """A synthetic chart at Alice's server."""
        patient = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:machines:mrn", "value": f"M{number}"}],
            "name": [{"family": f"Machine{number:03}", "given": ["Casey"]}],
            "birthDate": "1960-01-01",
            "gender": "female",
        }
        made = post(f"{self.alice}/Patient", patient)
        self.sources.append(f"Patient/{made['id']}")
        for index in range(resources):
            made_result = post(
                f"{self.alice}/Observation",
                {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": f"result {index}"},
                    "subject": {"reference": f"Patient/{made['id']}"},
                    "valueQuantity": {"value": 1.5, "unit": "g"},
                },
            )
            self.sources.append(f"Observation/{made_result['id']}")

    def body(self, number: int) -> bytes:
        """A request as JSON."""
        return json.dumps(self._request(number)).encode()

    def _request(self, number: int) -> dict:
        return {
            "key": f"machines-{number}",
            "placer": "alice",
            "fulfiller": "bob",
            "question": "Is the plan right?",
            "patient": {
                "identifiers": [{"system": "urn:machines:mrn", "value": f"M{number}"}],
                "name": {"family": f"Machine{number:03}", "given": ["Casey"]},
                "birth_date": "1960-01-01",
            },
            "requester": {"name": {"family": "Alice"}},
            "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
            "first_opinion": {"doctor": {"name": {"family": "Bob"}}, "diagnosis": {"text": "synthetic diagnosis"}},
        }

    def submit(self, number: int, *, seconds: float = 60) -> str:
        """Hand in a request at any web, again until one acknowledges it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            url = f"http://127.0.0.1:{self.random.choice(list(self.ports.values()))}/api/requests"
            with contextlib.suppress(*AWAY):
                self.ids.append(post(url, self._request(number), "application/json")["request_id"])
                return self.ids[-1]
            time.sleep(0.2)
        raise TimeoutError("no web acknowledged the request")

    def rows(self, query: str) -> list[tuple]:
        """Ask the database; empty while it is away."""
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.postgres.url, connect_timeout=5) as conn:
            return conn.execute(query).fetchall()
        return []

    def settle(self, seconds: float) -> None:
        """Until every request that was acknowledged is closed."""
        until = time.monotonic() + seconds
        while {each for (each,) in self.rows("SELECT id FROM requests WHERE closed_at IS NOT NULL")} < set(self.ids):
            if time.monotonic() > until:
                left = self.rows(
                    "SELECT request_id, kind, status, cause, message FROM steps WHERE status <> 'done' "
                    "AND request_id IN (SELECT id FROM requests WHERE closed_at IS NULL)"
                )
                raise TimeoutError(f"not closed within {seconds} s: {left}")
            time.sleep(0.3)

    def wrong(self) -> list[oracle.Count]:
        """What the servers themselves show: lost or double."""
        found = [oracle.count_records(self.bob, "urn:machines:alice", self.sources)]
        found += [
            oracle.count_by_system(self.bob, kind, OURS, [f"{kind}/{each}" for each in self.ids])
            for kind in ("Task", "ServiceRequest")
        ]
        found.append(
            oracle.count_by_system(
                self.alice, "DocumentReference", OURS, [f"DocumentReference/{each}-report-1" for each in self.ids]
            )
        )
        return [each for each in found if each.lost or each.duplicated]


def post(url: str, body: dict, content_type: str = "application/fhir+json") -> dict:
    """POST JSON; raises OSError for anything but success."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": content_type, "Prefer": "return=representation"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def until(done: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)


class LeaseSampler:
    """Looks many times a second how many steps are under a lease at each endpoint."""

    def __init__(self, url: str):
        self.url, self.most, self.samples = url, {}, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "LeaseSampler":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(10)

    def _work(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:
            while not self._stop.wait(0.02):
                for endpoint, count in conn.execute(
                    "SELECT endpoint, count(*) FROM steps WHERE status = 'leased' GROUP BY 1"
                ):
                    self.most[endpoint] = max(self.most.get(endpoint, 0), count)
                self.samples += 1
