"""The world where all goes well; a test breaks one thing."""

import pytest

from tests.jobs.exchange import Exchange
from tests.jobs.upkeep.alerted import mails, operator  # noqa: F401  (fixtures)


@pytest.fixture
def make_exchange(tmp_path, database):
    """Makes an Exchange with Alice's and Bob's endpoints; keyword arguments as `Exchange`."""
    made = []

    def make(**kwargs) -> Exchange:
        made.append(Exchange(tmp_path, database, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def exchange(make_exchange) -> Exchange:
    """Resources travel, patients may be created."""
    return make_exchange()
