"""PostgreSQL has no connection left, or its disk is full: nothing acknowledged is lost, and all goes on by itself."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from integration.postgres import health as database_health
from integration.postgres.embedded import EmbeddedPostgres
from tests.chaos.consultant import Consultant
from tests.chaos.machines import Machines, until
from tests.chaos.proxy import FaultProxy
from tests.chaos.run import Chaos

pytestmark = [pytest.mark.chaos, pytest.mark.postgres, pytest.mark.long]
CUT_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = 'second_opinion' AND application_name <> 'crowd'"""


class Crowd:
    """Other clients of the same PostgreSQL: they take every connection there is, ours too, until the ``with`` block ends."""

    def __init__(self, postgres: EmbeddedPostgres):
        self.url, self.admin_url = postgres.url, postgres.admin_url()
        self.full, self.stopping = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._crowd, daemon=True)

    def __enter__(self) -> "Crowd":
        self.thread.start()
        if not self.full.wait(60):
            self.__exit__()
            raise TimeoutError("the crowd never had every connection")
        return self

    def __exit__(self, *_) -> None:
        self.stopping.set()
        self.thread.join(20)

    def _crowd(self) -> None:
        with contextlib.ExitStack() as taken:
            admin = taken.enter_context(
                psycopg.connect(self.admin_url, autocommit=True)
            )  # its slot must not become free
            refused = 0  # times in a row, with no connection of ours to cut
            while not self.stopping.is_set():
                try:
                    taken.enter_context(psycopg.connect(self.url, application_name="crowd", connect_timeout=5))
                    refused = 0
                except psycopg.OperationalError:
                    refused = 0 if admin.execute(CUT_OTHERS).fetchall() else refused + 1
                    if refused >= 20:
                        self.full.set()
                    time.sleep(0.01)


def answer_to(url: str, body: bytes | None = None) -> int | None:
    """The status of an answer; None when there is none."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def missing(base: str) -> list[str]:
    """What readiness says is missing."""
    try:
        with urllib.request.urlopen(f"{base}/health/ready", timeout=20) as response:
            return json.load(response)["missing"]
    except urllib.error.HTTPError as error:
        return json.load(error)["missing"]


@pytest.mark.parametrize("seconds", [8, pytest.param(20, marks=pytest.mark.long)])
def test_no_connection_left_loses_nothing_counts_no_attempt_and_work_goes_on_by_itself(folder, servers, seconds):
    slow = FaultProxy(servers.bob, seed=1, rate=1.0, faults={"latency": 1})
    with (
        slow,
        Machines(
            folder,
            alice=servers.alice,
            bob=slow.address,
            webs=1,
            workers=2,
            settings={"max_connections": "40"},
            lease_seconds=30,
        ) as machines,
    ):
        for number in range(8):
            machines.load(number)
        for number in range(5):
            machines.submit(number)
        until(
            lambda: machines.rows("SELECT 1 FROM steps WHERE status = 'leased' AND endpoint = 'bob'"),
            "a step in flight",
        )
        web = f"http://127.0.0.1:{machines.ports[0]}"
        with Crowd(machines.postgres):
            end = time.monotonic() + seconds
            answers = set()
            while time.monotonic() < end:
                answers |= {(answer_to(f"{web}/health/ready"), answer_to(f"{web}/api/requests", machines.body(5)))}
                time.sleep(0.5)
            assert missing(web) == [database_health.NO_CONNECTION]
        assert answers == {(503, 503)}
        machines.wait_ready()
        slow.rate = 0.0
        for number in range(5, 8):
            machines.submit(number)
        machines.settle(240)
        assert machines.wrong() == []
        assert '"action": "put-back"' in (folder / "machines.log").read_text()
        assert machines.rows("SELECT outcome, cause FROM attempts WHERE outcome <> 'done' OR cause IS NOT NULL") == []
        until(
            lambda: machines.rows("SELECT rule, recovered_at IS NOT NULL FROM alarms") == [("database-away", True)],
            "the alarm",
        )


@pytest.fixture
def small_data_dir(folder) -> Iterator[Path]:
    """The data_dir of a chaos world, on a file system of 120 MiB."""
    made = folder / "data"
    made.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=120m,mode=0711", "tmpfs", made], capture_output=True
        ).returncode
        != 0
    ):
        pytest.skip("no right to mount a tmpfs: the disk-full test needs one")
    yield made
    subprocess.run(["umount", "-l", made], check=True)


def fill(path: Path) -> None:
    """Until not one page fits any more."""
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def test_a_full_disk_under_the_embedded_postgresql_loses_nothing_and_work_goes_on_by_itself(folder, small_data_dir):
    chaos = Chaos(folder, seed=3, requests=9, resources=5, rate=0.0)
    embedded, ballast = EmbeddedPostgres(small_data_dir), small_data_dir / "ballast"
    chaos.start()
    try:
        with chaos.proxies[0], chaos.proxies[1], Consultant(chaos.fulfiller):
            chaos.wait_ready()
            sources = [chaos.load_patient(number) for number in range(9)]
            ids = [chaos.submit(number) for number in range(3)]
            supervisor = chaos.exchange.pid
            until(
                lambda: fill(ballast) or database_health.DISK_FULL in missing(chaos.direct), "readiness to turn false"
            )
            if (
                answer_to(f"{chaos.direct}/api/requests", chaos.body(3)) == 201
            ):  # rows still fit into pages that are there
                ids.append(chaos.submit(3))
            write_ahead_until_it_ends(embedded)
            end = time.monotonic() + 10
            while time.monotonic() < end:
                fill(ballast)
                assert answer_to(f"{chaos.direct}/health/ready") in (503, None)
                assert answer_to(f"{chaos.direct}/api/requests", chaos.body(len(ids))) in (503, None)
                time.sleep(0.5)
            assert chaos.exchange.poll() is None, "serve ended"
            ballast.unlink()
            chaos.wait_ready()
            ids += [chaos.submit(number) for number in range(len(ids), 9)]
            open_ids, parked = chaos.settle(ids, 240)
            result = chaos.count(sources, ids, open_ids, parked)
            assert (result.lost, result.duplicated, result.stuck, result.parked) == (0, 0, 0, 0), result
            assert chaos.exchange.pid == supervisor, "serve was started again"
            with psycopg.connect(embedded.url, autocommit=True) as conn:
                told = "SELECT rule, recovered_at IS NOT NULL FROM alarms"
                until(lambda: ("database-away", True) in conn.execute(told).fetchall(), "the alarm")
                assert (
                    conn.execute(
                        "SELECT rule FROM alarms WHERE recovered_at IS NULL AND rule <> 'process-restarts'"
                    ).fetchall()
                    == []
                )
    finally:
        chaos.stop()


def write_ahead_until_it_ends(embedded: EmbeddedPostgres) -> None:
    """What many writers do to a full disk: the next segment of the write-ahead log does not fit, and PostgreSQL ends itself."""
    with contextlib.suppress(psycopg.Error), psycopg.connect(embedded.admin_url(), autocommit=True) as conn:
        while True:
            conn.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")
    until(lambda: not embedded.is_running(), "PostgreSQL to end")
