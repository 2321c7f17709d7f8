"""What the chaos tests share: a folder for a world of processes, and two servers that are none of theirs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.consultant import Consultant
from tests.jobs.exchange import Exchange


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: those are closed to the account PostgreSQL runs as when we are root."""
    made = Path(tempfile.mkdtemp(prefix="second-opinion-chaos-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def servers(tmp_path, database) -> Iterator[Exchange]:
    """Alice's and Bob's servers, on a database that is not the Exchange's; Dr Bob answers."""
    made = Exchange(tmp_path, database)
    with Consultant(made.bob):
        yield made
    made.close()
