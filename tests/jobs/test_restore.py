"""A backup of any moment, restored when everything has already been sent: nothing is there twice, and the loop closes."""

import io
import itertools
import os
import re
import tarfile
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from integration.backups.backup import BackupFailed, back_up
from integration.backups.restore import RestoreRefused, mark_restored, restore
from integration.packets.payloads import Payloads
from integration.postgres.database import connect
from integration.postgres.embedded import ROLE
from integration.queue import dispatch
from integration.store.tables import audit, steps
from jobs.engine import limits_of, run_step
from mappings.model.errors import ExchangeError
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
        body = re.sub(rb',"ifNoneExist":"[^"]*"', b"", body)
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
    for where, kinds in (
        (
            "bob",
            (
                "Patient",
                "Practitioner",
                "Encounter",
                "Condition",
                "Observation",
                "DocumentReference",
                "ServiceRequest",
                "Task",
                "Communication",
            ),
        ),
        ("alice", ("DocumentReference",)),
    ):
        for kind in kinds:
            for resource in servers.find(where, kind):
                for each in resource.get("identifier", ()):
                    if each.get("system") in ("urn:test:alice", "https://second-opinion.example/ids"):
                        counted[where, kind, each["value"]] += 1
    return counted


MOMENTS = [0, 5, 8]  # before the request is taken in, before the push has told us all, after the request was sent


@pytest.mark.parametrize(("accepts", "honest"), [("resources", False), ("documents", True)])
@pytest.mark.every
def test_a_restored_backup_sends_nothing_twice(servers, exchange_on, new_database, tmp_path, accepts, honest):
    check_moments(servers, exchange_on, new_database, tmp_path, accepts, honest, MOMENTS)


@pytest.mark.long
@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.parametrize("honest", [True, False])
def test_a_restored_backup_of_any_moment_sends_nothing_twice(
    servers, exchange_on, new_database, tmp_path, accepts, honest
):
    check_moments(servers, exchange_on, new_database, tmp_path, accepts, honest, range(100))


def check_moments(servers, exchange_on, new_database, tmp_path, accepts, honest, moments) -> None:
    """Back up before every step, go on to the end, then restore each of ``moments`` into an empty database and go on."""
    if not honest:
        servers.app = without_conditional_create(servers.app)
    original = exchange_on("original", new_database(migrated=True), accepts=accepts)
    backups: list[Path] = []

    def keep() -> None:
        backups.append(back_up(original.engine, original.payloads, tmp_path / f"backup-{len(backups)}.tar").path)

    keep()  # the request itself is not in this one
    request_id = original.submit(a_request())
    step_by_step(original, keep)
    servers.answer()
    with original.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
    step_by_step(original, keep)
    assert original.view(request_id)["closed"]
    expected = times_there(servers)
    assert set(expected.values()) == {1} and len(backups) > max(MOMENTS)
    for backup in [backups[moment] for moment in moments if moment < len(backups)]:
        again = exchange_after_restore(exchange_on, new_database(), backup, accepts=accepts)
        assert again.submit(a_request()) == request_id
        again.drain()
        again.watch()
        again.watch()
        view = again.view(request_id)
        assert times_there(servers) == expected, backup.name
        assert view["closed"], (backup.name, [(each["kind"], each["cause"], each["message"]) for each in view["owed"]])


def exchange_after_restore(exchange_on, database, backup: Path, **kwargs) -> Exchange:
    """Restore into an empty database and an empty payload folder, and start on it."""
    folder = backup.with_suffix("")
    restore(database, Payloads(folder / "data" / "payloads"), backup, actor="test")
    return exchange_on(folder.name, database, **kwargs)


def copies(servers, exchange_on, new_database, tmp_path) -> tuple[Exchange, Path]:
    """An Exchange that has sent the records and the request, and its backup."""
    original = exchange_on("original", new_database(migrated=True))
    original.submit(a_request())
    original.drain()
    return original, back_up(original.engine, original.payloads, tmp_path / "backup.tar").path


def test_a_backup_is_one_private_file_and_work_goes_on_meanwhile(servers, exchange_on, new_database, tmp_path):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.glob("*backup.tar*")] == ["backup.tar"]
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert (
        names[-1] == "manifest.json"
        and "database/hosted_versions" in names
        and not any("procrastinate" in each for each in names)
    )
    assert sum(each.startswith("payloads/") for each in names) == len(list(original.payloads.all())) > 3


def test_every_row_comes_back_and_the_restore_is_audited(servers, exchange_on, new_database, tmp_path):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    database = new_database()
    done = restore(database, Payloads(tmp_path / "payloads"), path, actor="operator")
    assert done.open_steps == 2 and done.payloads == len(list(original.payloads.all()))
    with database.engine.begin() as conn, original.engine.begin() as before:
        for table in ("requests", "links", "deliveries", "delivery_items", "attempts", "settings", "endpoints"):
            rows = [sorted(map(repr, each.execute(text(f"SELECT * FROM {table}")).all())) for each in (conn, before)]
            assert rows[0] == rows[1], table
        newest = conn.execute(select(audit).order_by(audit.c.id.desc()).limit(1)).one()
        assert (newest.action, newest.actor) == ("database.restored", "operator") and newest.detail["rows"] == done.rows
        assert (
            conn.execute(select(steps.c.lease_no)).scalars().all()
            and conn.execute(
                text("INSERT INTO steps (kind, endpoint, status) VALUES ('x', 'bob', 'due') RETURNING lease_no")
            ).scalar_one()
            > 1000
        )


@pytest.mark.long
def test_a_backup_of_a_restored_database_restores_too(servers, exchange_on, new_database, tmp_path):
    _, path = copies(servers, exchange_on, new_database, tmp_path)
    database, payloads = new_database(), Payloads(tmp_path / "payloads")
    restore(database, payloads, path, actor="operator")
    second = back_up(database.engine, payloads, tmp_path / "second.tar")
    assert not second.damaged
    restore(new_database(), Payloads(tmp_path / "payloads-2"), second.path, actor="operator")


def test_a_database_that_holds_something_is_replaced_only_when_asked(servers, exchange_on, new_database, tmp_path):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    original.submit(a_request(key="later"))
    database = connect(_url_of(original), application_name="test")
    try:
        with pytest.raises(RestoreRefused, match="not empty"):
            restore(database, original.payloads, path, actor="operator")
        restore(database, original.payloads, path, replace=True, actor="operator")
    finally:
        database.close()
    with original.engine.connect() as conn:
        assert conn.execute(text("SELECT key FROM requests")).scalars().all() == ["k1"]


def _url_of(exchange: Exchange) -> str:
    with exchange.engine.connect() as conn:
        info = conn.connection.driver_connection.info
        return f"postgresql://{info.user}:{info.password}@/{info.dbname}?host={info.host}&port={info.port}"


def test_nothing_is_restored_under_a_working_worker(servers, exchange_on, new_database, tmp_path):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    database = connect(_url_of(original), application_name="test")
    worker = connect(_url_of(original), application_name="second-opinion worker one")
    try:
        with worker.engine.connect():
            for refused in (
                lambda: restore(database, original.payloads, path, replace=True, actor="operator"),
                lambda: mark_restored(database, actor="operator"),
            ):
                with pytest.raises(RestoreRefused, match="second-opinion worker one still works"):
                    refused()
        worker.close()
        assert mark_restored(database, actor="operator") == 2
    finally:
        worker.close()
        database.close()


@pytest.mark.parametrize("harm", ["cut", "changed row", "changed payload", "no tar", "gone"])
def test_a_damaged_file_is_refused_before_anything_changes(servers, exchange_on, new_database, tmp_path, harm):
    _, path = copies(servers, exchange_on, new_database, tmp_path)
    data = path.read_bytes()
    with tarfile.open(path) as tar:
        found = {name.split("/")[0]: tar.getmember(name) for name in tar.getnames() if tar.getmember(name).size > 10}
    if harm == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "no tar":
        path.write_bytes(b"nothing of ours" * 100)
    elif harm == "gone":
        path.unlink()
    else:
        at = found["database" if harm == "changed row" else "payloads"].offset_data + 5
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    database = new_database()
    with pytest.raises(ExchangeError):
        restore(database, Payloads(tmp_path / "payloads"), path, actor="operator")
    assert database.schema_state().value == "empty" and not (tmp_path / "payloads").exists()


@pytest.mark.long
def test_a_backup_tells_of_payloads_it_could_not_read_and_a_restore_mends_them(
    servers, exchange_on, new_database, tmp_path
):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    with original.engine.connect() as conn:
        digest = conn.execute(text("SELECT manifest_sha256 FROM packets")).scalar_one()
    stored = tmp_path / "original" / "data" / "payloads" / digest[:2] / digest
    stored.write_bytes(b"changed on disk")
    assert back_up(original.engine, original.payloads, tmp_path / "second.tar").damaged == (digest,)
    stored.unlink()
    assert back_up(original.engine, original.payloads, tmp_path / "third.tar").damaged == (digest,)
    stored.write_bytes(b"changed on disk")
    restore(new_database(), original.payloads, path, actor="operator")
    assert original.payloads.get(digest)


@pytest.mark.long
def test_a_backup_that_cannot_be_written_leaves_nothing(servers, exchange_on, new_database, tmp_path, monkeypatch):
    original, path = copies(servers, exchange_on, new_database, tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(
        Payloads, "get", lambda self, digest: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(BackupFailed, match="No space left"):
        back_up(original.engine, original.payloads, path)
    assert path.read_bytes() == before and [each.name for each in tmp_path.glob("*backup.tar*")] == ["backup.tar"]
    with pytest.raises(BackupFailed, match="cannot be written"):
        back_up(original.engine, original.payloads, tmp_path / "no such folder" / "backup.tar")


@pytest.mark.long
def test_a_backup_of_a_newer_version_is_refused_with_what_to_do(database, new_database, tmp_path):
    with database.engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    back_up(database.engine, Payloads(tmp_path / "payloads"), tmp_path / "backup")
    with pytest.raises(RestoreRefused, match="a newer version of the Exchange: restore with that version"):
        restore(new_database(), Payloads(tmp_path / "other"), tmp_path / "backup", actor="test")
