"""Two real R4 servers for the end-to-end suite: local HAPI, or any by ``--placer URL --fulfiller URL``."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.jobs.exchange import Exchange

RUN = f"urn:uuid:{uuid.uuid4()}"  # identifiers of this run only: a shared server keeps what others wrote


@dataclass(frozen=True)
class Servers:
    """Base URLs of the two EHRs."""

    placer: str
    fulfiller: str


@pytest.fixture(scope="session")
def servers(request, tmp_path_factory) -> Servers:
    """The placer is the server that other tests look at too; the fulfiller is one of its own."""
    placer, fulfiller = request.config.getoption("--placer"), request.config.getoption("--fulfiller")
    if placer and fulfiller:
        yield Servers(placer.rstrip("/"), fulfiller.rstrip("/"))
        return
    from tests.servers.hapi import Hapi, build
    from tests.servers.process import ServerUnavailable

    try:
        build()
        with (
            Hapi(tmp_path_factory.mktemp("hapi")) as hapi,
            ThreadPoolExecutor(1) as pool,
        ):  # a start takes 15 to 25 s each
            starting = pool.submit(hapi.start, name="fulfiller")
            yield Servers(request.getfixturevalue("hapi_url"), starting.result())
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
