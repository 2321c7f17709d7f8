"""Two real R4 servers for the end-to-end suite: local HAPI, or any by ``--placer URL --fulfiller URL``."""
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.jobs.exchange import Exchange

RUN = f"urn:uuid:{uuid.uuid4()}"      # identifiers of this run only: a shared server keeps what others wrote


@dataclass(frozen=True)
class Servers:
    """Base URLs of the two EHRs."""

    placer: str
    fulfiller: str


@pytest.fixture(scope="session")
def servers(request, tmp_path_factory) -> Servers:
    """Started once for the whole run."""
    placer, fulfiller = request.config.getoption("--placer"), request.config.getoption("--fulfiller")
    if placer and fulfiller:
        yield Servers(placer.rstrip("/"), fulfiller.rstrip("/"))
        return
    from tests.servers.hapi import Hapi, build
    from tests.servers.process import ServerUnavailable
    try:
        build()
        logs = tmp_path_factory.mktemp("hapi")
        with Hapi(logs) as one, Hapi(logs) as other:
            with ThreadPoolExecutor(2) as pool:     # a start takes 15 to 25 s each
                started = [pool.submit(one.start, name="placer"), pool.submit(other.start, name="fulfiller")]
            yield Servers(*(each.result() for each in started))
    except ServerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real input nobody here wrote."""
    folder = os.environ.get("SECOND_OPINION_DATA", "")
    if not folder or not Path(folder, "synthea").is_dir():
        pytest.skip("SECOND_OPINION_DATA names no folder with synthea/: real charts are not here")
    return Path(folder)


@pytest.fixture
def make_exchange(tmp_path, database, servers):
    """An Exchange between the two servers."""
    made = []

    def make(**kwargs) -> Exchange:
        made.append(Exchange(tmp_path, database, alice=servers.placer, bob=servers.fulfiller, system=RUN, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()
