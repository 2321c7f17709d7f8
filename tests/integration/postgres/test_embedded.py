"""The embedded PostgreSQL, really started, killed, raced for and misled."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import psycopg
import pytest
from click.testing import CliRunner

from integration.postgres.database import open_database
from integration.postgres.embedded import EmbeddedPostgres
from integration.postgres.postmaster import postmaster_pid, wait_until
from mappings.model.errors import ExchangeError
from second_opinion import cli
from tests.reference_pages import ROOT

pytestmark = pytest.mark.postgres
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to run PostgreSQL as")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="second-opinion-embedded-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def ready_made() -> Iterator[Path]:
    """A stopped cluster to copy, which is faster than making one."""
    made = Path(tempfile.mkdtemp(prefix="second-opinion-embedded-"))
    made.chmod(0o711)
    server = EmbeddedPostgres(made / "data", settings={"fsync": "off"})
    server.start()
    server.stop()
    yield made / "data"
    shutil.rmtree(made)


@pytest.fixture
def server(folder: Path, ready_made: Path) -> Iterator[EmbeddedPostgres]:
    server = copied(ready_made, folder / "data")
    server.start()
    yield server
    server.stop()


def copied(ready_made: Path, data_dir: Path) -> EmbeddedPostgres:
    subprocess.run(["cp", "-a", ready_made, data_dir], check=True)
    return EmbeddedPostgres(data_dir, settings={"fsync": "off"})


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchone()[0]


def kill_postmaster(server: EmbeddedPostgres) -> int:
    pid = postmaster_pid(server.cluster)
    os.kill(pid, signal.SIGKILL)
    return pid


def start_in_another_process(data_dir: Path, then: str) -> subprocess.Popen:
    code = (
        "import sys, time; from integration.postgres.embedded import EmbeddedPostgres; "
        f"server = EmbeddedPostgres(sys.argv[1], settings={{'fsync': 'off'}}); server.start(); {then}"
    )
    temporary = tempfile.mkdtemp(dir=data_dir.parent)  # the wheel's own supervision breaks when these differ
    return subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": temporary},
    )


COME_AND_GO = """
import psycopg
for _ in range({rounds}):
    with psycopg.connect(server.start()) as connection:
        connection.execute("SELECT pg_sleep({seconds})")
    server.stop()
    time.sleep({seconds})
print("done")
"""
HANG_WHILE_STOPPING = """
import integration.postgres.embedded as module
module.shut_down = lambda cluster: (print("stopping", flush=True), time.sleep(60))
server.stop()
"""
SAY_AND_WAIT = "print(server.status().is_ours, flush=True); sys.stdin.read(); print(server.stop(), flush=True)"


def test_it_starts_from_nothing_with_durable_settings(folder):
    server = EmbeddedPostgres(folder / "data")
    server.start()
    try:
        assert ask(server.url, "SHOW fsync") == "on"
        assert ask(server.url, "SHOW timezone") == "UTC"
        assert ask(server.url, "SHOW listen_addresses") == ""
    finally:
        server.stop()


def test_the_exchange_itself_is_no_superuser(server):
    assert ask(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


@as_root
def test_started_by_root_it_runs_as_somebody_else(server):
    process = psutil.Process(postmaster_pid(server.cluster))
    assert process.uids().real != 0 and process.uids().effective != 0
    assert process.gids().real != 0
    assert (server.cluster.stat().st_mode & 0o777, server.cluster.stat().st_uid) == (0o700, process.uids().real)


def test_only_its_own_folders_are_opened_to_it(server, folder):
    assert folder.stat().st_mode & 0o777 == 0o711
    assert server.data_dir.stat().st_mode & 0o007 == 0
    assert (server.data_dir / "database.password").stat().st_mode & 0o777 == 0o600


def test_a_wrong_password_is_refused(server):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace("second_opinion:", "second_opinion:wrong", 1))


@as_root
def test_a_closed_parent_is_named_and_not_opened(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "data")
    with pytest.raises(ExchangeError, match=rf"may not enter {closed}.*chmod g\+x"):
        server.start()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0
    assert server.status().owner_pid is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_we_may_not_enter_ourselves_is_named(folder):
    (folder / "closed").mkdir(mode=0o000)
    try:
        with pytest.raises(ExchangeError, match="closed/data cannot be made .Permission denied."):
            EmbeddedPostgres(folder / "closed" / "data").start()
    finally:
        (folder / "closed").chmod(0o700)


@as_root
@pytest.mark.long
def test_the_fix_it_names_works(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "data", settings={"fsync": "off"})
    with pytest.raises(ExchangeError) as refusal:
        server.start()
    subprocess.run(["/bin/sh", "-c", str(refusal.value).split("or run: ")[1]], check=True)
    server.start()
    assert server.is_running()
    server.stop()


def test_rows_survive_a_killed_postmaster(server):
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    killed = kill_postmaster(server)
    assert server.ensure_running() is True
    assert server.ensure_running() is False
    assert postmaster_pid(server.cluster) != killed
    assert ask(server.url, "SELECT number FROM kept") == 42


@pytest.mark.long
def test_it_is_restarted_while_a_killed_one_left_a_busy_session(server):
    """The orphan ends by itself, or is ended: two servers must never share the folder."""
    busy = psycopg.connect(server.url)
    thread = threading.Thread(target=lambda: _swallow(busy, "SELECT pg_sleep(60)"), daemon=True)
    thread.start()
    time.sleep(0.3)
    kill_postmaster(server)
    server.ensure_running()
    assert server.is_running()
    thread.join(10)
    assert not thread.is_alive()


def test_the_supervisor_restarts_it(server):
    stop = threading.Event()
    thread = threading.Thread(target=server.supervise, args=(stop,), kwargs={"every_seconds": 0.1})
    thread.start()
    try:
        kill_postmaster(server)
        assert wait_until(server.is_running, 20)
    finally:
        stop.set()
        thread.join()


@pytest.mark.long
def test_the_supervisor_goes_on_trying_what_cannot_start_and_says_why(server, monkeypatch, caplog):
    monkeypatch.setattr("integration.postgres.embedded.RETRY_START_SECONDS", 0.1)
    settings, stop = server.cluster / "postgresql.conf", threading.Event()
    right = settings.read_text()
    settings.write_text("not a setting\n")
    kill_postmaster(server)
    thread = threading.Thread(target=server.supervise, args=(stop,), kwargs={"every_seconds": 0.1})
    thread.start()
    try:
        assert wait_until(lambda: caplog.text.count("cannot be started: PostgreSQL ended with code 1") >= 2, 20)
        assert re.search(r"ended with code 1: [^/]* FATAL: configuration file", caplog.text)
        settings.write_text(right)
        assert wait_until(server.is_running, 20)
    finally:
        stop.set()
        thread.join()


@pytest.mark.long
def test_a_killed_postmaster_is_not_running_even_as_a_zombie(server):
    pid = kill_postmaster(server)
    assert wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 5)
    assert not server.is_running()
    assert postmaster_pid(server.cluster) is None
    assert server.ensure_running() is True


@pytest.mark.skipif(not Path("/proc/sysvipc/shm").exists(), reason="shared memory is looked at the way Linux shows it")
@pytest.mark.long
def test_a_killed_one_leaves_no_shared_memory_once_restarted(server):
    maps = Path(f"/proc/{postmaster_pid(server.cluster)}/maps").read_text().split()
    named = {Path(word) for word in maps if word.startswith("/dev/shm/PostgreSQL.")}
    anonymous = (server.cluster / "postmaster.pid").read_text().split("\n")[6].split()[1]
    assert named and anonymous in Path("/proc/sysvipc/shm").read_text().split()
    kill_postmaster(server)
    server.ensure_running()
    assert not any(path.exists() for path in named)
    assert anonymous not in Path("/proc/sysvipc/shm").read_text().split()


def test_a_stale_pid_file_whose_number_was_reused_is_seen_through(server):
    """PostgreSQL believes any living process of its own account; so would pg_ctl."""
    kill_postmaster(server)
    owner = server.cluster.stat()
    bystander = subprocess.Popen(["sleep", "60"], user=owner.st_uid if os.geteuid() == 0 else None)
    try:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            _replace_first_line(server.cluster / name, str(bystander.pid))
        assert server.ensure_running() is True
        assert bystander.poll() is None
        assert postmaster_pid(server.cluster) != bystander.pid
    finally:
        bystander.kill()
        bystander.wait()


def test_processes_that_start_at_the_same_time_share_one_server(folder):
    processes = [start_in_another_process(folder / "data", SAY_AND_WAIT) for _ in range(3)]
    owners = [process.stdout.readline().strip() for process in processes]
    assert sorted(owners) == ["False", "False", "True"]
    server = EmbeddedPostgres(folder / "data")
    assert server.is_running()
    joined = [process for process, owner in zip(processes, owners, strict=False) if owner == "False"]
    for process in joined:
        assert process.communicate("", timeout=30)[0].strip() == "False"
    assert server.is_running()
    owner = processes[owners.index("True")]
    assert owner.communicate("", timeout=60)[0].strip() == "True"
    assert not server.is_running()


def test_a_server_whose_owner_was_killed_is_adopted(folder, ready_made):
    server = copied(ready_made, folder / "data")
    owner = start_in_another_process(folder / "data", SAY_AND_WAIT)
    owner.stdout.readline()
    pid = postmaster_pid(server.cluster)
    owner.kill()
    owner.wait()
    assert server.is_running()
    server.start()
    assert postmaster_pid(server.cluster) == pid
    assert server.status().is_ours
    assert server.stop() is True
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.long
def test_one_that_joined_takes_over_when_owner_and_server_died(folder, ready_made):
    server = copied(ready_made, folder / "data")
    owner = start_in_another_process(folder / "data", SAY_AND_WAIT)
    owner.stdout.readline()
    server.start()
    assert not server.status().is_ours
    owner.kill()
    owner.wait()
    kill_postmaster(server)
    assert server.ensure_running() is True
    assert server.status().is_ours
    server.stop()


@pytest.mark.long
def test_an_owner_that_leaves_hands_it_over_and_the_last_one_stops_it(folder, ready_made):
    server = copied(ready_made, folder / "data")
    owner = start_in_another_process(folder / "data", SAY_AND_WAIT)
    assert owner.stdout.readline().strip() == "True"
    with psycopg.connect(server.start()) as connection:
        assert owner.communicate("", timeout=60)[0].strip() == "False"
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(ExchangeError, match="in use by another process of the Exchange"):
        EmbeddedPostgres(folder / "data").stop_for_good()
    kill_postmaster(server)
    assert server.ensure_running() is True
    assert server.stop() is True
    assert not server.is_running()


@pytest.mark.long
def test_a_supervisor_who_joined_owns_it_and_restarts_it_whoever_else_opened_it(folder, ready_made):
    """Who does not look whether it lives must not own it: a web process beside serve, a long backup."""
    copied(ready_made, folder / "data")
    config = SimpleNamespace(database=SimpleNamespace(url=None, url_file=None), data_dir=folder / "data")
    opened, server, stop = open_database(config), EmbeddedPostgres(folder / "data"), threading.Event()
    server.start()
    thread = threading.Thread(target=server.supervise, args=(stop,), kwargs={"every_seconds": 0.1})
    thread.start()
    try:
        assert wait_until(lambda: server.status().is_ours, 20)
        kill_postmaster(server)
        assert wait_until(server.is_running, 20)
    finally:
        stop.set()
        thread.join()
    assert server.stop() is False
    opened.close()
    assert not server.is_running()


def test_who_comes_and_goes_never_stops_it_under_another(folder, ready_made):
    """Whether it is owned, handed over, being stopped or started anew: who asks gets an answer."""
    copied(ready_made, folder / "data")
    processes = []
    for number in range(4):
        then = "\n" + COME_AND_GO.format(rounds=4, seconds=0.05 + 0.07 * number)
        processes.append(start_in_another_process(folder / "data", then))
        time.sleep(0.13)
    assert [process.communicate("", timeout=120)[0].strip() for process in processes] == ["done"] * 4
    assert postmaster_pid(folder / "data" / "postgres") is None


@pytest.mark.long
def test_killed_owners_and_joiners_block_nobody(folder, ready_made):
    server = copied(ready_made, folder / "data")
    for offset in (0.0, 0.2, 0.7):
        others = [
            start_in_another_process(folder / "data", "\n" + COME_AND_GO.format(rounds=99, seconds=0.02))
            for _ in range(2)
        ]
        wait_until(lambda: server.status().owner_pid, 20)
        time.sleep(offset)
        for process in others:
            process.kill()
            process.wait()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert server.stop() is True
    assert postmaster_pid(server.cluster) is None


def test_one_who_joined_and_was_killed_does_not_keep_it_running(server):
    joined = start_in_another_process(server.data_dir, SAY_AND_WAIT)
    assert joined.stdout.readline().strip() == "False"
    joined.kill()
    joined.wait()
    assert server.stop() is True
    assert not server.is_running()


@pytest.mark.long
def test_nobody_joins_one_that_is_being_stopped_and_a_killed_stopper_blocks_nobody(folder, ready_made):
    server = copied(ready_made, folder / "data")
    stopper = start_in_another_process(folder / "data", "\n" + HANG_WHILE_STOPPING)
    assert stopper.stdout.readline().strip() == "stopping"
    with pytest.raises(ExchangeError, match=f"process {stopper.pid} is stopping the database"):
        server.start(timeout_seconds=0.3)
    stopper.kill()
    stopper.wait()
    server.start()
    assert server.stop() is True


def test_it_is_not_stopped_from_outside_while_somebody_owns_it(server):
    other = EmbeddedPostgres(server.data_dir)
    assert other.stop() is False
    with pytest.raises(ExchangeError, match=f"belongs to process {os.getpid()}"):
        other.stop_for_good()
    assert server.is_running()


@pytest.mark.long
def test_one_left_running_is_stopped_later(server):
    server.leave_running()
    other = EmbeddedPostgres(server.data_dir)
    assert other.is_running()
    assert other.stop_for_good() is True
    assert other.stop_for_good() is False
    assert not other.is_running()


@pytest.mark.long
def test_one_left_running_outlives_every_command_until_it_is_stopped(folder, ready_made):
    copied(ready_made, folder / "data")
    assert said(folder, "database", "start") == (0, "the embedded database runs\n")
    assert said(folder, "database", "migrate")[0] == 0
    assert said(folder, "database", "stop") == (0, "stopped\n")
    assert said(folder, "database", "migrate")[0] == 0
    assert said(folder, "database", "stop") == (0, "it was not running\n")


def test_an_external_database_is_not_started_by_us(folder):
    code, text = said(
        folder, "database", "start", SECOND_OPINION_DATABASE_URL="postgresql://exchange@db.invalid/exchange"
    )
    assert code == 1 and "database.url names a PostgreSQL of yours" in text
    assert not (folder / "data").exists()


def test_a_data_dir_that_is_a_file_is_said(folder):
    (folder / "data").write_text("")
    with pytest.raises(ExchangeError, match=f"Not a directory.: data_dir, {folder}/data, is a file"):
        EmbeddedPostgres(folder / "data").start()


@as_root
def test_a_data_dir_that_can_only_be_read_is_said(folder):
    (folder / "data").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder / "data"], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with pytest.raises(
            ExchangeError, match=f"Read-only file system.: data_dir, {folder}/data, can only be read: mount it"
        ):
            EmbeddedPostgres(folder / "data").start()
    finally:
        subprocess.run(["umount", folder / "data"], check=True)


def test_a_forked_child_does_not_keep_the_lock(server):
    child = os.fork()
    if child == 0:
        os._exit(1 if server.status().is_ours or server.stop() else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.is_running()


@pytest.mark.parametrize("name", ["d" * 120, "with, comma", "with space 'and' \"quotes\" é"])
@pytest.mark.long
def test_any_folder_name_will_do(folder, ready_made, name):
    server = copied(ready_made, folder / name)
    try:
        server.start()
        assert ask(server.url, "SELECT 1") == 1
        assert server.status().socket_dir.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        if (socket_dir := server.status().socket_dir) != server.cluster:
            socket_dir.rmdir()


def test_a_socket_folder_somebody_else_made_is_refused(folder, ready_made):
    server = copied(ready_made, folder / ("d" * 120))
    socket_dir = server.status().socket_dir
    socket_dir.mkdir(mode=0o777)
    try:
        with pytest.raises(ExchangeError, match=f"{socket_dir} must be a folder of .* that nobody else may enter"):
            server.start()
    finally:
        socket_dir.rmdir()


def test_a_half_made_cluster_is_made_anew(folder):
    staging = folder / "data" / "postgres.new"
    staging.mkdir(parents=True)
    (staging / "cluster").mkdir()
    (staging / "cluster" / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(folder / "data", settings={"fsync": "off"})
    server.start()
    assert not staging.exists()
    server.stop()


def test_a_cluster_of_another_version_is_named(server):
    server.stop()
    (server.cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(ExchangeError, match="made by PostgreSQL 16.*brings 18"):
        server.start()


def test_a_server_that_cannot_start_says_why(server):
    server.stop()
    broken = EmbeddedPostgres(server.data_dir, settings={"shared_buffers": "no number"})
    with pytest.raises(ExchangeError, match="ended with code 1: .*shared_buffers"):
        broken.start()
    assert broken.status().owner_pid is None
    server.start()
    assert server.stop() is True, "who could not start it still counts as one who uses it"


def test_a_lost_password_is_said_at_once(server):
    server.stop()
    (server.data_dir / "database.password").unlink()
    with pytest.raises(ExchangeError, match="database.password is missing"):
        server.start()


def test_values_do_not_reach_the_servers_log(server):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (name text UNIQUE)")
        for _ in range(2):
            try:
                connection.execute("INSERT INTO people VALUES ('Synthetic Person')")
            except psycopg.errors.UniqueViolation:
                pass
    text = (server.cluster / "server.log").read_text()
    assert "duplicate key" in text
    assert "Synthetic" not in text


def said(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    runner = CliRunner(env={"SECOND_OPINION_DATA_DIR": str(folder / "data"), **environment})
    result = runner.invoke(cli, ["--config", str(ROOT / "config.yaml"), *words])
    return result.exit_code, result.output


def _swallow(connection: psycopg.Connection, statement: str) -> None:
    try:
        connection.execute(statement)
    except psycopg.Error:
        pass


def _replace_first_line(path: Path, line: str) -> None:
    path.write_text("\n".join([line, *path.read_text().split("\n")[1:]]))
