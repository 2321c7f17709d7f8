"""Many machines on one external PostgreSQL: limits hold exactly, kills and database restarts lose and double nothing."""

import os
import signal
import time
from pathlib import Path

import pytest

from integration.postgres.postmaster import postmaster_pid
from tests.chaos.machines import CONCURRENCY, LeaseSampler, Machines
from tests.jobs.exchange import Exchange

pytestmark = [pytest.mark.chaos, pytest.mark.postgres]


@pytest.mark.long
def test_two_webs_and_four_workers_share_the_work_within_limits_and_survive_kills(folder, servers):
    with Machines(folder, alice=servers.alice, bob=servers.bob, webs=2, workers=4) as machines:
        for number in range(12):
            machines.load(number)
        with LeaseSampler(machines.postgres.url) as sampler:
            for number in range(12):
                machines.submit(number)
                if number % 2:
                    machines.kill("web" if number % 6 == 5 else "worker")
                    time.sleep(0.5)
            machines.settle(240)
        assert machines.wrong() == []
        assert sampler.most["bob"] == CONCURRENCY and max(sampler.most.values()) <= CONCURRENCY, (
            sampler.most,
            sampler.samples,
        )
        assert sampler.samples > 100
        [(parked,)] = machines.rows("SELECT count(*) FROM steps WHERE status = 'parked'")
        assert parked == 0


@pytest.mark.long
def test_a_database_that_restarts_all_the_time_and_goes_away_loses_nothing(folder, servers):
    check_restarts(folder, servers, restarts=5, away_seconds=8)


@pytest.mark.long
def test_a_database_away_for_two_minutes_loses_nothing(folder, servers):
    check_restarts(folder, servers, restarts=20, away_seconds=120)


def check_restarts(folder: Path, servers: Exchange, *, restarts: int, away_seconds: float) -> None:
    """Fast shutdowns and kills of PostgreSQL under load, then an outage, during which nothing is acknowledged."""
    with Machines(folder, alice=servers.alice, bob=servers.bob, webs=1, workers=2) as machines:
        for number in range(restarts + 3):
            machines.load(number)
        for number in range(restarts):
            machines.submit(number)
            restart(machines, kill=bool(number % 2))
            time.sleep(machines.random.uniform(1, 3))
        machines.submit(restarts)
        machines.submit(restarts + 1)
        machines.postgres.stop()
        gone_at = time.monotonic()
        time.sleep(1)
        assert not machines.ready(machines.ports[0])
        with pytest.raises(TimeoutError):
            machines.submit(restarts + 2, seconds=1)
        time.sleep(max(0, away_seconds - (time.monotonic() - gone_at)))
        machines.postgres.start()
        machines.submit(restarts + 2)
        machines.settle(240)
        assert machines.wrong() == []
        assert machines.rows("SELECT count(*) FROM steps WHERE status = 'parked'") == [(0,)]
        assert set(machines.rows("SELECT rule, recovered_at IS NOT NULL FROM alarms WHERE rule = 'database-away'")) == {
            ("database-away", True)
        }


def restart(machines: Machines, *, kill: bool) -> None:
    if kill:
        os.kill(postmaster_pid(machines.postgres.cluster), signal.SIGKILL)
        time.sleep(0.3)
    else:
        machines.postgres.stop()
    machines.postgres.start()
