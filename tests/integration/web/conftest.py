"""The pages, with a fresh database."""

import pytest

from tests.integration.web.access.guarded import Guarded
from tests.integration.web.site import Site
from tests.jobs.conftest import exchange, make_exchange  # noqa: F401  (fixtures: a whole loop behind the pages)


@pytest.fixture
def site(tmp_path, database) -> Site:
    """Dr Alice asks; Dr Bob and Mercy Hospital answer; nothing has happened yet."""
    return Site(tmp_path, database)


@pytest.fixture
def guarded(tmp_path, database) -> Guarded:
    """The same, and nothing without signing in."""
    return Guarded(tmp_path, database)
