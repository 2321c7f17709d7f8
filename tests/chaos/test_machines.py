"""Many machines on one external PostgreSQL: limits hold exactly, kills and database restarts lose and double nothing."""
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.postmaster import postmaster_pid
from tests.chaos.consultant import Consultant
from tests.chaos.machines import CONCURRENCY, LeaseSampler, Machines
from tests.jobs.exchange import Exchange

pytestmark = [pytest.mark.chaos, pytest.mark.postgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's: another run closes that to the account PostgreSQL runs as when we are root."""
    made = Path(tempfile.mkdtemp(prefix="second-opinion-machines-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def servers(tmp_path, database):
    """Alice's and Bob's servers, on a database that is not the Exchange's; Dr Bob answers."""
    made = Exchange(tmp_path, database)
    with Consultant(made.bob):
        yield made
    made.close()


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
            machines.settle(90)
        assert machines.wrong() == []
        assert sampler.most["bob"] == CONCURRENCY and max(sampler.most.values()) <= CONCURRENCY, (sampler.most, sampler.samples)
        assert sampler.samples > 100
        [(parked,)] = machines.rows("SELECT count(*) FROM steps WHERE status = 'parked'")
        assert parked == 0


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
        machines.settle(90)
        assert machines.wrong() == []
        assert machines.rows("SELECT count(*) FROM steps WHERE status = 'parked'") == [(0,)]
        assert set(machines.rows("SELECT rule, recovered_at IS NOT NULL FROM alarms WHERE rule = 'database-away'")) == {("database-away", True)}


def restart(machines: Machines, *, kill: bool) -> None:
    if kill:
        os.kill(postmaster_pid(machines.postgres.cluster), signal.SIGKILL)
        time.sleep(0.3)
    else:
        machines.postgres.stop()
    machines.postgres.start()
