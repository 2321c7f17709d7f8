"""What the house itself lacks: it waits without losing or counting anything, tells, and goes on by itself."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from integration.packets.payloads import Payloads, PayloadsAway
from integration.queue import dispatch
from integration.store import alarms, steps
from integration.store.tables import alarms as alarm_table
from integration.store.tables import attempts
from integration.store.tables import steps as step_table
from jobs.engine import limits_of, run_step
from jobs.supervisor import OFTEN, OFTEN_SECONDS, Child, Supervisor
from jobs.upkeep import check_alarms
from jobs.upkeep.check_alarms import Trouble, lasting
from jobs.upkeep.self_check import SelfCheck, restarts_teller
from mappings.model.causes import CAUSES
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB that can be filled and made read-only."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True).returncode
        != 0
    ):
        pytest.skip("no right to mount a tmpfs: the disk-full test needs one")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def use(exchange, folder) -> None:
    """Keep the payloads of an exchange somewhere else."""
    exchange.payloads._folder = folder


def open_alarms(engine) -> list[tuple[str, str]]:
    with engine.connect() as conn:
        return [(row.rule, row.subject) for row in alarms.open_alarms(conn)]


def fill(folder) -> None:
    with pytest.raises(OSError, match="No space left"), open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.parametrize("harm", ["full", "read-only"])
def test_a_full_or_read_only_disk_loses_no_request_and_work_goes_on_by_itself(exchange, small_disk, harm):
    load_chart(exchange, observations=2)
    use(exchange, small_disk)
    fill(small_disk) if harm == "full" else subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    check = SelfCheck(exchange.world, "machine-1")
    request_id = exchange.submit(a_request())  # acknowledged: it is in the database
    dispatch_once(exchange)
    check()
    answer = exchange.app.test_client().get("/health/ready")
    assert answer.status_code == 503 and "payloads" in answer.get_data(as_text=True)
    assert open_alarms(exchange.engine) == [("payloads-away", "machine-1")]
    [step] = exchange.view(request_id)["owed"]
    assert (step["status"], step["cause"], step["attempts"]) == ("waiting", "payloads-away", 0)

    (small_disk / "ballast").unlink() if harm == "full" else subprocess.run(
        ["mount", "-o", "remount,rw", small_disk], check=True
    )
    check()
    assert open_alarms(exchange.engine) == []
    assert exchange.app.test_client().get("/health/ready").status_code == 200
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"
    exchange.answer()
    exchange.watch()
    assert exchange.view(request_id)["closed"]


def dispatch_once(exchange) -> None:
    """Do what is due, once."""
    dispatch(exchange.engine, limits_of(exchange.world))
    with exchange.engine.connect() as conn:
        leased = conn.execute(
            select(step_table.c.id, step_table.c.lease_no).where(step_table.c.status == "leased")
        ).all()
    for step_id, lease_no in leased:
        run_step(exchange.world, exchange.heartbeat, step_id, lease_no)


@pytest.mark.long
def test_a_file_size_limit_is_a_full_disk_too(tmp_path):
    """Needs no mount: the kernel refuses the write."""
    code = (
        "import resource, signal, sys; from integration.packets.payloads import Payloads, PayloadsAway\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "store = Payloads(sys.argv[1]); ok = store.put(b'small')\n"
        "for attempt in (lambda: store.put(b'x' * 4096), store.check_writable):\n"
        "    try: attempt()\n"
        "    except PayloadsAway as error: print('away')\n"
        "assert store.get(ok) == b'small' and list(store.all()) == [ok]"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.stdout == "away\naway\n", done.stderr


def test_an_object_store_that_does_not_answer_is_away_and_keeps_its_payloads():
    store = Payloads("memory://alarms")
    digest = store.put(b"bytes")
    store.check_writable()
    assert list(store.all()) == [digest]
    store._fs = SimpleNamespace(exists=refuse, pipe_file=refuse, cat_file=refuse)
    for attempt in (lambda: store.put(b"other"), lambda: store.get(digest), store.check_writable):
        with pytest.raises(PayloadsAway):
            attempt()


def refuse(*arguments, **kwargs):
    raise OSError(5, "Input/output error")


def test_a_step_of_a_kind_this_worker_does_not_know_waits_for_a_newer_one(exchange, monkeypatch):
    with exchange.engine.begin() as conn:
        step_id = steps.create(conn, "future_kind", "bob")
    for _ in range(5):
        dispatch_once(exchange)
        with exchange.engine.begin() as conn:
            step = conn.execute(select(step_table)).one()
            assert (step.status, step.attempts, step.lost, step.cause) == ("waiting", 0, 0, "unknown-kind")
            assert 25 < (step.next_attempt_at - datetime.now(UTC)).total_seconds() <= 30
            conn.execute(text("UPDATE steps SET next_attempt_at = now()"))
    with exchange.engine.connect() as conn:
        assert conn.execute(select(attempts)).all() == []
        assert conn.execute(text("SELECT failures FROM endpoints WHERE key = 'bob'")).scalar_one() == 0
    from jobs import engine
    from jobs.world import Outcome

    monkeypatch.setitem(engine.JOBS, "future_kind", lambda ctx: Outcome())  # the newer worker
    dispatch_once(exchange)
    with exchange.engine.connect() as conn:
        assert conn.execute(select(step_table.c.status).where(step_table.c.id == step_id)).scalar_one() == "done"


def test_an_unknown_kind_that_nobody_does_is_told_of(exchange):
    with exchange.engine.begin() as conn:
        steps.create(conn, "future_kind", "bob")
    dispatch_once(exchange)
    run_check(exchange)
    assert open_alarms(exchange.engine) == []
    exchange.later(minutes=20)
    run_check(exchange)
    assert open_alarms(exchange.engine) == [("unknown-kind", "future_kind")]


def run_check(exchange) -> None:
    with exchange.engine.begin() as conn:
        check_alarms.make_due(conn)
    dispatch_once(exchange)


def test_an_endpoint_that_rests_for_long_is_told_of_until_it_answers(exchange):
    with exchange.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE endpoints SET breaker = 'half-open', failures = 9, breaker_until = now(), "
                "last_failure_cause = 'http-429' WHERE key = 'bob'"
            )
        )
        conn.execute(
            attempts.insert().values(
                step_id=1,
                kind="push_records",
                endpoint="bob",
                lease_no=1,
                outcome="temporary",
                cause="network",
                started_at=datetime.now(UTC),
                finished_at=datetime.now(UTC),
            )
        )
    run_check(exchange)
    assert open_alarms(exchange.engine) == []
    exchange.later(minutes=11)
    run_check(exchange)
    run_check(exchange)
    assert open_alarms(exchange.engine) == [("endpoint-down", "bob")]
    with exchange.engine.connect() as conn:
        [alarm] = alarms.open_alarms(conn)
    assert "Nothing has succeeded at bob since" in alarm.message and "asks us to go slower" in alarm.message
    assert "answered nothing" not in alarm.message, "it answers: 429"
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE endpoints SET breaker = 'closed', last_success_at = now() WHERE key = 'bob'"))
    run_check(exchange)
    assert open_alarms(exchange.engine) == []


def test_what_lasts_is_told_and_what_is_new_or_over_is_not():
    old, new, never = (
        Trouble("a", NOW - timedelta(minutes=10), "m"),
        Trouble("b", NOW - timedelta(minutes=9), "m"),
        Trouble("c", None, ""),
    )
    assert lasting([old, new, never], NOW, timedelta(minutes=10)) == {"a": "m"}


def test_an_alarm_is_open_once_and_may_come_again(database):
    with database.engine.begin() as conn:
        assert alarms.raise_alarm(conn, "rule", "one", "first")
        assert not alarms.raise_alarm(conn, "rule", "one", "again")
        assert alarms.raise_alarm(conn, "rule", "two", "other")
        assert [row.message for row in alarms.open_alarms(conn)] == ["again", "other"]
        assert alarms.recover(conn, "rule", "one") and not alarms.recover(conn, "rule", "one")
        assert alarms.raise_alarm(conn, "rule", "one", "anew")
        alarms.set_open(conn, "rule", {"two": "still", "three": "new"})
        assert {row.subject for row in alarms.open_alarms(conn)} == {"two", "three"}
        assert conn.execute(text("SELECT count(*) FROM alarms")).scalar_one() == 4


def test_an_outage_of_the_database_is_noted_once_when_it_is_back(exchange, tmp_path):
    clock, checks = [datetime.now(UTC)], []
    for number in range(3):
        world = SimpleNamespace(
            engine=exchange.engine,
            payloads=exchange.payloads,
            now=lambda: clock[0],
            config=SimpleNamespace(data_dir=tmp_path / f"machine-{number}"),
        )
        checks.append(SelfCheck(world, f"machine-{number}"))
    away = SimpleNamespace(begin=lambda: (_ for _ in ()).throw(sqlalchemy_error()))
    for check in checks:
        check.world.engine = away
        check()
        check.world.engine = exchange.engine
    clock[0] += timedelta(seconds=2)
    checks[2]()  # a restart of two seconds is no outage
    assert recorded(exchange.engine) == []
    clock[0] += timedelta(seconds=60)
    for check in checks[:2]:
        SelfCheck(check.world, check.machine)()  # the worker has ended meanwhile, and is another one now
    assert recorded(exchange.engine) == [("database-away", True)]


def sqlalchemy_error():
    from sqlalchemy.exc import OperationalError

    return OperationalError("SELECT 1", {}, Exception("the server closed the connection"))


def recorded(engine) -> list[tuple[str, bool]]:
    with engine.connect() as conn:
        return [(row.rule, row.recovered_at is not None) for row in conn.execute(select(alarm_table))]


def test_a_process_that_ends_again_and_again_is_told_of(database):
    tell = restarts_teller(database.engine, "machine-1")
    supervisor = Supervisor([child := Child("worker-1", [])], tell=tell)
    child.process = SimpleNamespace(poll=lambda: None)
    for number in range(OFTEN):
        supervisor._judge(child, float(number))
        assert open_alarms(database.engine) == []
        child.ends.append(float(number))
    supervisor._judge(child, 5.0)
    supervisor._judge(child, 6.0)
    assert open_alarms(database.engine) == [("process-restarts", "machine-1 worker-1")]
    supervisor._judge(child, OFTEN_SECONDS + 1)
    assert open_alarms(database.engine) == []
    restarts_teller(SimpleNamespace(begin=lambda: (_ for _ in ()).throw(sqlalchemy_error())))("worker-1", True)


@pytest.fixture
def cut(monkeypatch):
    """The step ``prune`` under which the database goes away, every time."""
    from jobs import engine
    from jobs.world import Outcome

    def job(ctx):
        """Every connection of this database but ours ends, as in a restart."""
        with ctx.world.engine.begin() as conn:
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
                )
            )
        return Outcome()

    monkeypatch.setitem(engine.JOBS, "prune", job)


def test_a_step_that_no_database_survives_is_parked_in_the_end_and_no_endpoint_is_blamed(exchange, cut, monkeypatch):
    """It may ask too much: more than the server takes, or longer between two statements than it waits."""
    monkeypatch.setattr("jobs.engine.MAX_PUT_BACKS", 2)
    with exchange.engine.begin() as conn:
        steps.create(conn, "prune", "bob")
    seen = []
    for _ in range(2 + exchange.config.retry.max_attempts):
        dispatch_once(exchange)
        with exchange.engine.begin() as conn:
            step = conn.execute(select(step_table)).one()
            conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
        seen.append((step.status, step.attempts))
    assert seen == [("waiting", 0), ("waiting", 0), *[("waiting", each) for each in range(1, 5)], ("parked", 5)]
    assert (step.cause, step.action) == ("database-away", CAUSES["database-away"].to_do)
    with exchange.engine.connect() as conn:
        assert conn.execute(text("SELECT breaker, failures FROM endpoints WHERE key = 'bob'")).one() == ("closed", 0)


def test_a_step_under_which_the_database_goes_away_is_put_back_and_counts_no_attempt(exchange, cut):
    with exchange.engine.begin() as conn:
        steps.create(conn, "prune", "bob")
    dispatch_once(exchange)
    with exchange.engine.connect() as conn:
        step = conn.execute(select(step_table)).one()
        assert (step.status, step.attempts, step.lost, step.cause) == ("waiting", 0, 0, "database-away")
