"""A backup of any moment, restored when everything has already been sent: nothing is there twice, and the loop closes."""
import itertools
import json
import os
import re
import tarfile
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from integration.backup import back_up
from integration.database import connect
from integration.embedded_postgres import ROLE
from integration.payloads import Payloads
from integration.queue import dispatch
from integration.restore import RestoreRefused, mark_restored, restore
from integration.store.tables import audit, steps
from jobs.engine import limits_of, run_step
from tests.jobs.exchange import Exchange, a_request, load_chart

pytestmark = pytest.mark.postgres
_numbers = itertools.count(1)


@pytest.fixture
def new_database(postgres):
    """Makes databases of its own: without tables, or migrated."""
    made = []

    def make(*, migrated: bool = False):
        name = f"restore_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        made.append((name, connect(postgres.url_of(name), application_name="test")))
        if migrated:
            made[-1][1].migrate()
        return made[-1][1]

    yield make
    for name, database in made:
        database.close()
        with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def servers(exchange):
    """Alice's and Bob's servers, which live on while the Exchange beside them is restored."""
    load_chart(exchange, observations=3)
    return exchange


@pytest.fixture
def exchange_on(servers, tmp_path):
    """Makes an Exchange on a database, with its own folder, that works with ``servers``."""
    made = []

    def make(name, database, **kwargs) -> Exchange:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(Exchange(folder, database, alice=servers.alice, bob=servers.bob, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


def without_conditional_create(app):
    """A server that lies: it offers conditional create, and creates."""
    def wrapped(environ, start_response):
        environ.pop("HTTP_IF_NONE_EXIST", None)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = re.sub(rb'"ifNoneExist": ?"[^"]*",?', b"", body)
        body = body.replace(b",}", b"}")
        import io
        return app({**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}, start_response)
    return wrapped


def step_by_step(exchange: Exchange, before_each) -> None:
    """As ``drain``, one step at a time."""
    for _ in range(100):
        before_each()
        dispatch(exchange.engine, limits_of(exchange.world))
        with exchange.engine.connect() as conn:
            leased = conn.execute(select(steps.c.id, steps.c.lease_no).where(steps.c.status == "leased")).all()
        if not leased:
            return
        for step_id, lease_no in leased:
            run_step(exchange.world, exchange.heartbeat, step_id, lease_no)
    raise AssertionError("steps never came to an end")


def times_there(servers: Exchange) -> Counter:
    """How often each identifier of ours or of a source stands at Alice's and Bob's."""
    counted = Counter()
    for where, kinds in (("bob", ("Patient", "Practitioner", "Encounter", "Condition", "Observation", "DocumentReference",
                                  "ServiceRequest", "Task", "Communication")), ("alice", ("DocumentReference",))):
        for kind in kinds:
            for resource in servers.find(where, kind):
                for each in resource.get("identifier", ()):
                    if each.get("system") in ("urn:test:alice", "https://second-opinion.example/ids"):
                        counted[where, kind, each["value"]] += 1
    return counted


@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.parametrize("honest", [True, False])
def test_a_restored_backup_of_any_moment_sends_nothing_twice(servers, exchange_on, new_database, tmp_path, accepts, honest):
    if not honest:
        servers.app = without_conditional_create(servers.app)
    original = exchange_on("original", new_database(migrated=True), accepts=accepts)
    backups: list[Path] = []

    def keep() -> None:
        backups.append(back_up(original.engine, original.payloads, tmp_path / f"backup-{len(backups)}.tar").path)

    keep()                                                  # the request itself is not in this one
    request_id = original.submit(a_request())
    step_by_step(original, keep)
    servers.answer()
    with original.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
    step_by_step(original, keep)
    assert original.view(request_id)["closed"]
    expected = times_there(servers)
    assert set(expected.values()) == {1} and len(backups) > 8

    for backup in backups:
        database = new_database()
        again = exchange_after_restore(exchange_on, database, backup, accepts=accepts)
        assert again.submit(a_request()) == request_id
        again.drain()
        again.watch()
        again.watch()
        view = again.view(request_id)
        assert times_there(servers) == expected, backup.name
        assert view["closed"] or view["owed"], (backup.name, view)
        assert view["closed"], (backup.name, [(each["kind"], each["cause"], each["message"]) for each in view["owed"]])


def exchange_after_restore(exchange_on, database, backup: Path, **kwargs) -> Exchange:
    """Restore into an empty database and an empty payload folder, and start on it."""
    folder = backup.with_suffix("")
    restore(database, Payloads(folder / "data" / "payloads"), backup, actor="test")
    return exchange_on(folder.name, database, **kwargs)
