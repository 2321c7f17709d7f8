"""The one database: connects to the embedded or an external PostgreSQL and keeps its schema up to date."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Engine, create_engine, text

from integration.embedded_postgres import EmbeddedPostgres
from mappings.model.errors import ExchangeError

if TYPE_CHECKING:
    from integration.config import Config

OLDEST_POSTGRES = 14
CONNECT_TIMEOUT_SECONDS = 10
# A frozen process of ours may not hold an endpoint's row for longer (design: fencing).
SESSION_OPTIONS = "-c idle_in_transaction_session_timeout=2000 -c timezone=UTC"
MIGRATION_LOCK = 5_736_201_417
MIGRATIONS = Path(__file__).parent / "migrations"


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
            found = MigrationContext.configure(connection).get_current_revision()
        if found is None:
            return SchemaState.EMPTY
        scripts = ScriptDirectory.from_config(alembic_config())
        if found == scripts.get_current_head():
            return SchemaState.CURRENT
        known = {script.revision for script in scripts.walk_revisions()}
        return SchemaState.OLDER if found in known else SchemaState.NEWER

    def is_current(self) -> bool:
        return self.schema_state() is SchemaState.CURRENT

    def check_current(self) -> None:
        """For web and workers, which never change the schema themselves."""
        state = self.schema_state()
        if state is SchemaState.NEWER:
            raise ExchangeError(_NEWER)
        if state is not SchemaState.CURRENT:
            raise ExchangeError(f"the tables in the database are {_SAID[state]}: run second-opinion database migrate")

    def migrate(self) -> None:
        """Brings the schema up to date in one transaction; any number of processes may call it at once."""
        if self.schema_state() is SchemaState.NEWER:
            raise ExchangeError(_NEWER)
        config = alembic_config()
        with self.engine.begin() as connection:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Closes our connections, and stops the embedded server if this process owns it."""
        self.engine.dispose()
        if self.embedded is not None:
            self.embedded.stop()


def open_database(config: Config, *, application_name: str = "second-opinion", pool_size: int = 10) -> Database:
    """The external database of ``database.url``, else the embedded one (started, or joined) in ``data_dir``."""
    if (url := _external_url(config)) is not None:
        return connect(url, application_name=application_name, pool_size=pool_size)
    embedded = EmbeddedPostgres(config.data_dir)
    try:
        database = connect(embedded.start(), application_name=application_name, pool_size=pool_size)
    except BaseException:
        embedded.stop()
        raise
    database.embedded = embedded
    return database


def connect(url: str, *, application_name: str = "second-opinion", pool_size: int = 10) -> Database:
    """Connects once to see that the server is there and new enough, and makes the engine.

    Everything libpq understands may stand in the address (several hosts, sslmode, passfile, ...).
    """
    url = url.replace("postgresql+psycopg://", "postgresql://", 1)
    conninfo = _conninfo(url, application_name)
    _check_server(conninfo, url)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo),
                           pool_pre_ping=True, pool_size=pool_size, max_overflow=pool_size)
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


def _conninfo(url: str, application_name: str) -> str:
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:  # its message may repeat the whole address
        raise ExchangeError("database.url cannot be read: it should look like "
                            "postgresql://user@host:5432/second_opinion") from None
    options = " ".join(filter(None, [str(given.get("options") or ""), SESSION_OPTIONS]))
    return make_conninfo(url, application_name=application_name, options=options,
                         connect_timeout=given.get("connect_timeout") or CONNECT_TIMEOUT_SECONDS)


def _check_server(conninfo: str, url: str) -> None:
    try:
        with psycopg.connect(conninfo) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as exc:
        raise ExchangeError(f"the database {masked(url)} cannot be reached ({_reason(exc, conninfo)}): "
                            "check database.url, and that the server is running and lets us in") from None
    if version < OLDEST_POSTGRES * 10_000:
        raise ExchangeError(f"the database {masked(url)} is PostgreSQL {version // 10_000}, and the Exchange "
                            f"needs {OLDEST_POSTGRES} or newer")


def _reason(exc: psycopg.Error, conninfo: str) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    password = conninfo_to_dict(conninfo).get("password")
    reason = lines[0] if lines else "no reason given"
    return reason.replace(str(password), "***") if password else reason


def alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


_SAID = {SchemaState.EMPTY: "not there yet", SchemaState.OLDER: "older than this version of the Exchange needs"}
_NEWER = ("the tables in the database were made by a newer version of the Exchange: "
          "install that version here too (it cannot be turned back)")
