"""Fixtures shared by all tests: a real PostgreSQL, and a fresh migrated database for each test that asks."""

import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from integration.postgres.database import Database, connect
from integration.postgres.embedded import ROLE, EmbeddedPostgres
from tests.lent import Lending, administer

TEMPLATE = "migrated"
UNSAFE = {  # what makes a database survive a crash, and no test of this server crashes it
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "256MB",
}
_numbers = itertools.count(1)
for _name in [one for one in os.environ if one.startswith(("PG", "SECOND_OPINION_DATABASE"))]:
    del os.environ[_name]  # a developer's own settings must not reach a test


class CompiledTemplates(BytecodeCache):
    """Every test has an app of its own; to compile its templates anew took a seventh of the time of all tests of pages."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}
_builder, _builders = Rule._compile_builder, {}
WHOLE_LOOPS = Path(__file__).with_name("jobs")
_statements, _dialects = LRUCache(5000), []


def _builder_once(rule: Rule, append_unknown: bool = True):
    """How a rule builds an address depends on what it says alone: to compile 250 of them twice for each app took half of its time."""
    key = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
    if key not in _builders:
        _builders[key] = _builder(rule, append_unknown)
    return _builders[key]


Rule._compile_builder = _builder_once


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One embedded server for the whole run; do not stop it, start your own for that."""
    folder = Path(tempfile.mkdtemp(prefix="second-opinion-tests-", dir=_in_memory()))
    folder.chmod(0o711)  # pytest's own folders are closed to the account PostgreSQL runs as when we are root
    server = EmbeddedPostgres(folder / "data", settings=UNSAFE)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> str | None:
    """Where there is room in memory: making a database of 10 MB for a test takes 0.03 s there, and up to 0.6 s on a busy disk."""
    try:
        return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 << 30 and os.access("/dev/shm", os.W_OK) else None
    except OSError:
        return None


@pytest.fixture(scope="session")
def database_template(postgres: EmbeddedPostgres) -> str:
    """A migrated database that nobody is connected to, so that it can be copied."""
    administer(postgres, f"CREATE DATABASE {TEMPLATE} OWNER {ROLE}")
    database = connect(postgres.url_of(TEMPLATE))
    database.migrate()
    database.close()
    return TEMPLATE


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """A fresh database without tables."""
    yield from _new_database(postgres, "template1")


@pytest.fixture(scope="session")
def lending(postgres: EmbeddedPostgres, database_template: str) -> Iterator[Lending]:
    """Who lends each test a migrated database."""
    made = Lending(postgres, database_template, _share_statements)
    yield made
    made.end()


@pytest.fixture
def database(lending: Lending) -> Iterator[Database]:
    """A migrated database without a row, this test's own while it runs."""
    with lending.lent() as database:
        yield database
        _end_timers()


def _new_database(server: EmbeddedPostgres, template: str) -> Iterator[Database]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    administer(server, f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template} STRATEGY FILE_COPY")
    database = connect(server.url_of(name), application_name=name)
    _share_statements(database.engine)
    try:
        yield database
    finally:
        _end_timers()
        database.close()
        administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _share_statements(engine: Engine) -> None:
    """What SQLAlchemy made of a statement in one test serves the next: each has an engine of its own."""
    if not _dialects:
        engine.connect().close()  # a dialect knows its server from the first connection on
        _dialects.append(engine.dialect)
    engine.dialect, engine._compiled_cache = _dialects[0], _statements


def _end_timers() -> None:
    """An app's log of accesses tries its database again and again: that one is gone, and what it says stands in other tests."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


@pytest.fixture(scope="session")
def hapi_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One HAPI FHIR server for all tests that look at HAPI itself; a start takes 20 s and more."""
    from tests.servers.hapi import Hapi
    from tests.servers.process import ServerUnavailable

    with Hapi(logs=tmp_path_factory.mktemp("hapi")) as hapi:
        try:
            url = hapi.start(name="shared", heap="1500m")
        except ServerUnavailable as reason:
            pytest.skip(str(reason))
        yield url


def pytest_addoption(parser: pytest.Parser) -> None:
    """The end-to-end suite runs against any two R4 servers."""
    parser.addoption("--placer", help="base URL of the placer's FHIR server; without it local HAPI servers are started")
    parser.addoption("--fulfiller", help="base URL of the fulfiller's FHIR server")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes (``-n``): what shares the two HAPI servers stays in one, and so does what kills processes."""
    for item in items:
        for marker in ("hapi", "chaos"):
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.xdist_group(marker))
                break
    _leave_cases_of_loops_to_test_long(items)


def _leave_cases_of_loops_to_test_long(items: list[pytest.Item]) -> None:
    """Of a test in tests/jobs that is asked of many cases, each with a database, the first runs in ``make test``; ``every`` keeps all."""
    seen = set()
    for item in items:
        if item.path.is_relative_to(WHOLE_LOOPS) and hasattr(item, "callspec") and "database" in item.fixturenames:
            test = (item.path, item.originalname)
            if test in seen and not item.get_closest_marker("every"):
                item.add_marker(pytest.mark.long)
            seen.add(test)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Groups that are not kept together would start HAPI servers in each process, and kill in all of them."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    loose = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
    if loose:
        raise pytest.UsageError(f"pytest-xdist does not keep {loose[0]} with its group: this pytest is too new for it")


EXPECTED_SKIPS = (
    "SECOND_OPINION_DATA",
    "orthanc",
    "Orthanc",
    "promtool is not here",
    "prometheus is not here",
    "root may enter every folder",
)  # what CI may do without


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI an unexpected skip is a failure: a check that did not run is no check."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    reasons = [
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in reporter.stats.get("skipped", ())
    ]
    unexpected = sorted({reason for reason in reasons if not any(word in reason for word in EXPECTED_SKIPS)})
    if unexpected and exitstatus == 0:
        reporter.write_line("UNEXPECTED SKIPS (CI):\n  " + "\n  ".join(unexpected), red=True)
        session.exitstatus = 1
