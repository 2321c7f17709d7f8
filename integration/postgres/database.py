"""The one database: connects to the embedded or an external PostgreSQL and keeps its schema up to date."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from integration.postgres.embedded import EmbeddedPostgres
from mappings.model.errors import ExchangeError

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

    from integration.settings.config import Config

OLDEST_POSTGRES = 14
CONNECT_TIMEOUT_SECONDS = 10
# A frozen process of ours may not hold an endpoint's row for longer (design: fencing). 2 s took pages back on a busy machine.
SESSION_OPTIONS = "-c idle_in_transaction_session_timeout=5000 -c timezone=UTC"
# For the pages, where people search for anything: one plan for every value took 495 ms instead of 3 for the beginning of an id.
FRESH_PLANS = "-c plan_cache_mode=force_custom_plan -c statement_timeout=15000"  # nobody waits longer for a page
MIGRATION_LOCK = 5_736_201_417
MIGRATION_LOCK_SECONDS, MIGRATION_TRIES = 2, 30  # a backup of many gigabytes takes longer: then a person is told
FIRST_RELEASE = "0003"  # no code of an earlier revision is anywhere
MIGRATIONS = Path(__file__).parents[1] / "migrations"
log = logging.getLogger("second_opinion.database")


class SchemaState(Enum):
    """How the tables in the database compare with what this version of the Exchange expects."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


@dataclass
class Database:
    """A database we are connected to; ``embedded`` is set when it is our own."""

    url: str = field(repr=False)
    engine: Engine = field(repr=False)
    embedded: EmbeddedPostgres | None = None

    @property
    def psycopg_url(self) -> str:
        """For Procrastinate's connectors. Holds the password: never log it."""
        return self.url

    def schema_state(self) -> SchemaState:
        with self.engine.connect() as connection:
            found = revision_of(connection)
        if found is None:
            return SchemaState.EMPTY
        if found == max(known_revisions()):
            return SchemaState.CURRENT
        return SchemaState.OLDER if found in known_revisions() else SchemaState.NEWER

    def check_current(self) -> None:
        """For web and workers, which never change the schema themselves. Newer tables that bear this version will do:
        in a rolling upgrade they come first, and whatever ends meanwhile has to start again."""
        state = self.schema_state()
        if state is SchemaState.NEWER:
            self._check_bears_us()
        elif state is not SchemaState.CURRENT:
            raise ExchangeError(f"the tables in the database are {_SAID[state]}: run second-opinion database migrate")

    def migrate(self) -> None:
        """Brings the schema up to date in one transaction; any number of processes may call it at once.

        Work may go on meanwhile. Whoever reads a table for long (a backup) would make everybody wait behind us for it:
        so we wait only briefly, and try again.
        """
        state = self.schema_state()
        if state is SchemaState.NEWER:
            return self._check_bears_us()
        if state is SchemaState.CURRENT and self._says_its_oldest_code():
            return None  # what only migrations need takes longer to load than a short command may take
        for _ in range(MIGRATION_TRIES):
            try:
                return self._upgrade()
            except OperationalError as error:
                if not isinstance(error.orig, (LockNotAvailable, DeadlockDetected)):
                    raise
            time.sleep(MIGRATION_LOCK_SECONDS)
        raise ExchangeError(_BUSY)

    def _says_its_oldest_code(self) -> bool:
        with self.engine.connect() as connection:
            return oldest_code(connection) is not None

    def _upgrade(self) -> None:
        from alembic.command import (
            upgrade,  # a seventh of what a process needs to start, and only who migrates needs it
        )

        config = alembic_config()
        with self.engine.begin() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_SECONDS}s'"))
            config.attributes["connection"] = connection
            upgrade(config, "head")

    def _check_bears_us(self) -> None:
        with self.engine.connect() as connection:
            oldest = oldest_code(connection)
        if oldest not in known_revisions():
            raise ExchangeError(_NEWER)
        log.warning(
            "the tables are newer and bear this version: install the new one here too", extra={"action": "newer-tables"}
        )

    def close(self) -> None:
        """Closes our connections, and leaves the embedded server: the last one of us stops it."""
        self.engine.dispose()
        if self.embedded is not None:
            self.embedded.stop()


def known_revisions() -> set[str]:
    """The revisions that this version has, by the names of their files."""
    return {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None when there are none."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def oldest_code(connection: Connection) -> str | None:
    """The oldest revision whose code works on the tables as they are: whoever brought them up to date left it here."""
    said = connection.execute(
        text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")
    ).scalar_one_or_none()
    return said.removeprefix(_OLDEST_CODE) if said else None


def remember_oldest_code(connection: Connection, revision: str) -> None:
    """For env.py, when the tables are at ``revision``. One that does more than add says which code still works (``oldest_code``)."""
    from alembic.script import ScriptDirectory

    so_far = ScriptDirectory.from_config(alembic_config()).iterate_revisions(revision, "base")
    oldest = max(getattr(script.module, "oldest_code", FIRST_RELEASE) for script in so_far)
    if oldest_code(connection) != oldest:
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_OLDEST_CODE}{oldest}'"))


def open_database(config: Config, **how: Any) -> Database:
    """The external database of ``database.url``, else the embedded one (started, or joined) in ``data_dir``; ``how`` as `connect`."""
    if (url := _external_url(config)) is not None:
        return connect(url, **how)
    embedded = EmbeddedPostgres(config.data_dir)
    try:
        database = connect(embedded.start(), **how)
        embedded.disown()
    except BaseException:
        embedded.stop()
        raise
    database.embedded = embedded
    return database


def is_there(config: Config) -> bool:
    """True for a database of yours, and for an embedded one that runs already; nothing is started."""
    return _external_url(config) is not None or EmbeddedPostgres(config.data_dir).is_running()


def connect(
    url: str,
    *,
    application_name: str = "second-opinion",
    pool_size: int = 10,
    fresh_plans: bool = False,
    pre_ping: bool = True,
) -> Database:
    """Connects once to see that the server is there and new enough, and makes the engine.

    Everything libpq understands may stand in the address (several hosts, sslmode, passfile, ...). ``fresh_plans``, for
    the web: each statement is planned for its values and ends after 15 s. ``pre_ping``: each connection is asked before it
    is used; without, the first statement after a restart of the server fails, and then all connections are made anew.
    """
    url = url.replace("postgresql+psycopg://", "postgresql://", 1)
    conninfo = _conninfo(url, application_name, FRESH_PLANS if fresh_plans else "")
    _check_server(conninfo, url)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(conninfo),
        pool_pre_ping=pre_ping,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
    )  # an error's text must not hold values
    return Database(url, engine)


def _external_url(config: Config) -> str | None:
    """``database.url``, or what stands in ``database.url_file`` (a secret the machine hands us)."""
    if config.database.url or not config.database.url_file:
        return config.database.url
    try:
        return Path(config.database.url_file).read_text().strip()
    except OSError as exc:
        raise ExchangeError(f"database.url_file: {config.database.url_file} cannot be read ({exc.strerror})") from None


def masked(url: str) -> str:
    """The address without its password, for people and logs."""
    hidden = re.sub(r"(://[^:/?#@]*):.*@", r"\1:***@", url)
    return re.sub(r"(password=)('[^']*'|[^&\s]*)", r"\1***", hidden)


def _conninfo(url: str, application_name: str, more_options: str = "") -> str:
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:  # its message may repeat the whole address
        raise ExchangeError(
            f"database.url cannot be read: it should look like postgresql://user@host:5432/second_opinion; {_ESCAPES}"
        ) from None
    options = " ".join(filter(None, [str(given.get("options") or ""), SESSION_OPTIONS, more_options]))
    return make_conninfo(
        url,
        application_name=application_name,
        options=options,
        connect_timeout=given.get("connect_timeout") or CONNECT_TIMEOUT_SECONDS,
    )


def _check_server(conninfo: str, url: str) -> None:
    try:
        with psycopg.connect(conninfo) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as exc:
        raise ExchangeError(
            f"the database {masked(url)} cannot be reached ({_reason(exc, conninfo, url)}): "
            "check database.url, and that the server is running and lets us in"
        ) from None
    if version < OLDEST_POSTGRES * 10_000:
        raise ExchangeError(
            f"the database {masked(url)} is PostgreSQL {version // 10_000}, and the Exchange "
            f"needs {OLDEST_POSTGRES} or newer"
        )


def _reason(exc: psycopg.Error, conninfo: str, url: str) -> str:
    """The server's first words. Not where libpq may have taken a part of the password for the host or the port."""
    given = re.search(r"://[^:/?#@]*:(.*)@", url)
    if given and re.search("[@/]", given[1]):
        return _ESCAPES
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    password = conninfo_to_dict(conninfo).get("password")
    reason = lines[0] if lines else "no reason given"
    return reason.replace(str(password), "***") if password else reason


def in_words(error: SQLAlchemyError | psycopg.Error) -> str:
    """What went wrong with the database, as a sentence. Only words that name no value: a row may be about a patient."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or ""
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) and state.startswith(_NO_VALUES) else None
    if state == "42501":
        return f"the database does not let us ({said}): make the role in database.url the owner of its database and of its tables"
    if said:
        return f"the database cannot do it now ({said}); its log says more"
    name = f"{type(cause).__name__} {state}".strip()
    return f"the database did not do it ({name}); check that it runs and that second-opinion database migrate was run, and look into its log"


def alembic_config() -> AlembicConfig:
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


_ESCAPES = "in its password @ is written %40, / is %2F and % is %25"
# Classes of errors whose words name servers, schemas, tables and roles: connection, sign-in, rights, no room, locks, stopped.
_NO_VALUES = ("08", "28", "42501", "42P01", "3D", "3F", "25006", "53", "55P03", "40", "57")
_SAID = {SchemaState.EMPTY: "not there yet", SchemaState.OLDER: "older than this version of the Exchange needs"}
_BUSY = (
    "the tables cannot be changed while something else holds them, a backup for example: nothing was changed; "
    "wait until it is done, then run second-opinion database migrate again"
)
_OLDEST_CODE = "oldest code that works on these tables: "
_NEWER = (
    "the tables in the database were made by a newer version of the Exchange: "
    "install that version here too (it cannot be turned back)"
)
