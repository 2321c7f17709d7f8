"""Requests per second, over all processes, seen by the server they go to."""

import subprocess
import sys
import threading
import time
from bisect import bisect_left
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from integration.fhir.servers import Servers
from integration.store.pace import LATE_SECONDS, LONGEST_WAIT_SECONDS, TRIES, Paced, parallel_requests, wait_for_turn
from tests.integration.fhir.endpoints import answer, endpoint, world
from tests.integration.store.hammer import THREADS
from tests.jobs.test_queue import add_endpoint

pytestmark = pytest.mark.postgres
RATE, CONCURRENCY = 20, 8
BURST = 2
PROCESSES, REQUESTS_EACH = 4, 20
PATIENT = b'{"resourceType": "Patient", "id": "1"}'


@pytest.fixture
def engine(database):
    with database.engine.begin() as conn:
        add_endpoint(conn, "lakeview", concurrency=CONCURRENCY, rate=RATE)
    return database.engine


@pytest.fixture
def waits(engine):
    """Takes a turn and tells how long it was to wait for; no time passes."""

    def wait():
        slept = []
        wait_for_turn(engine, "lakeview", sleep=slept.append, clock=lambda: sum(slept))
        return slept[0]

    return wait


def set_next(engine, seconds):
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO pace VALUES ('lakeview', clock_timestamp() + make_interval(secs => :seconds)) "
                "ON CONFLICT (endpoint) DO UPDATE SET next_at = excluded.next_at"
            ),
            {"seconds": seconds},
        )


def most_within(times, seconds):
    """The most arrivals that any span of so many seconds holds."""
    times = sorted(times)
    return max(bisect_left(times, begun + seconds) - number for number, begun in enumerate(times))


@pytest.mark.parametrize(
    ("concurrency", "rate", "width"), [(4, 20, 4), (16, 5, 3), (8, 1, 2), (1, 0.1, 1), (64, 60, 9), (8, 100, 8)]
)
def test_as_many_steps_as_an_endpoint_bears_never_want_more_turns_than_may_wait(concurrency, rate, width):
    assert parallel_requests(concurrency, rate) == width
    assert width == 1 or concurrency * width <= rate * max(LONGEST_WAIT_SECONDS, 2 * concurrency / rate)


@pytest.mark.long
def test_four_processes_together_never_ask_more_often_than_the_endpoint_allows(database, engine):
    arrivals = []

    def behave(handler):
        arrivals.append(time.monotonic())
        answer(handler, body=PATIENT)

    with world(behave) as server:
        command = [
            sys.executable,
            "-m",
            "tests.integration.store.hammer",
            database.url,
            server.base_url,
            str(REQUESTS_EACH),
        ]
        hammers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
        assert [hammer.stdout.readline() for hammer in hammers] == [b"ready\n"] * PROCESSES
        for hammer in hammers:  # all at once
            hammer.stdin.write(b"\n")
            hammer.stdin.flush()
        assert [hammer.wait(60) for hammer in hammers] == [0] * PROCESSES
    assert len(arrivals) == PROCESSES * REQUESTS_EACH
    held_up = PROCESSES * THREADS  # on its way; the next one of that thread only goes when it is answered
    for seconds in (1, 2, 3):
        assert most_within(arrivals, seconds) <= RATE * seconds + BURST + held_up


def test_turns_are_one_after_the_other_and_unused_time_gives_a_small_burst_only(engine, waits):
    set_next(engine, -3600)
    waited = [waits() for _ in range(BURST + 5)]
    assert waited[:BURST] == [0.0] * BURST
    assert all(0 < wait for wait in waited[BURST + 3 :])
    assert waited[-1] - waited[-2] == pytest.approx(1 / RATE, abs=0.04)


def test_a_first_request_goes_at_once_without_a_burst(engine, waits):
    assert waits() == 0.0
    assert waits() > 0


def test_who_would_wait_too_long_takes_no_turn_and_is_sent_back(engine, waits):
    set_next(engine, LONGEST_WAIT_SECONDS + 1)
    with pytest.raises(Paced, match="lakeview"):
        waits()
    with engine.connect() as conn:
        left = conn.execute(text("SELECT extract(epoch FROM next_at - clock_timestamp()) FROM pace")).scalar_one()
    assert left < LONGEST_WAIT_SECONDS + 1


def test_a_slow_endpoint_still_lets_a_step_ask_from_all_its_threads(engine, waits):
    with engine.begin() as conn:
        conn.execute(text("UPDATE endpoints SET rate = 0.1"))
    waited = [waits() for _ in range(CONCURRENCY)]
    assert waited[-1] == pytest.approx(10 * (CONCURRENCY - 1), abs=1)


def test_turns_go_on_at_once_when_the_databases_clock_was_set_back(engine, waits):
    set_next(engine, 3600)
    assert waits() == 0.0


def test_who_is_frozen_past_its_turn_takes_another_one(engine):
    clock, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds + (LATE_SECONDS + 0.1 if len(slept) == 1 else 0)

    wait_for_turn(engine, "lakeview", sleep=sleep, clock=lambda: clock[0])
    assert len(slept) == 2
    with pytest.raises(Paced):
        wait_for_turn(engine, "lakeview", sleep=lambda _: None, clock=iter(range(2 * TRIES)).__next__)


def test_each_endpoint_has_its_own_turns_and_waiting_holds_no_connection(database, engine):
    with engine.begin() as conn:
        add_endpoint(conn, "hillside", rate=RATE)
    set_next(engine, 0.5)
    waiting = [threading.Thread(target=wait_for_turn, args=(engine, "lakeview")) for _ in range(6)]
    for each in waiting:
        each.start()
    time.sleep(0.2)
    assert engine.pool.checkedout() == 0
    wait_for_turn(engine, "hillside", sleep=lambda seconds: pytest.fail("hillside waited") if seconds else None)
    for each in waiting:
        each.join()


def test_the_turn_comes_first_then_the_word_whether_to_write_and_neither_is_needed_for_what_is_not_sent():
    said = []
    with world(lambda handler: (said.append("sent"), answer(handler, body=PATIENT))) as server:
        servers = Servers(
            SimpleNamespace(endpoints={"lakeview": endpoint(server.base_url)}),
            before=lambda name: said.append(f"turn at {name}"),
        )
        seen = servers.server("lakeview").observed(lambda exchange: None, lambda going: said.append("may write"))
        seen.read("Patient", "1")
        assert said == ["turn at lakeview", "sent"]
        said.clear()
        seen.transport.request("POST", "", body=b"{}", write=True)
        assert said == ["turn at lakeview", "may write", "sent"]
        said.clear()
        with pytest.raises(Exception, match="neither base_url nor file_paths"):
            seen.transport.request("GET", "http://elsewhere.invalid/Patient")
        assert said == []
        servers.close()
