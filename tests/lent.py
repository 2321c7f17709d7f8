"""One migrated database lent to test after test, emptied in between: a new one for each took a fifth of all time.

PostgreSQL's connections stay warm: each is as slow as ten others until it knows the tables it is asked about. Whatever a test
leaves that is no row (another table, statistics, a connection nobody gave back) makes the next test's database a new one.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from integration.postgres.database import Database, connect
from integration.postgres.embedded import ROLE, EmbeddedPostgres

LENT_AT_MOST = 500  # times
_numbers = itertools.count(1)
_EMPTY = """
CREATE FUNCTION pg_temp.empty(mine text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE each record; is_filled boolean;
BEGIN
  PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
      AND (state <> 'idle' OR application_name <> mine OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'));
  FOR each IN SELECT oid::regclass AS name FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each.name) INTO is_filled;
    IF is_filled THEN
      EXECUTE format('DELETE FROM %s', each.name);
      RETURN NEXT each.name::text;
    END IF;
  END LOOP;
  PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence WHERE pg_sequence_last_value(seqrelid) IS NOT NULL;
END $$
"""
_SHAPE = " UNION ALL ".join(
    f"SELECT '{which}', count(*), sum(xmin::text::bigint) FROM {which}"
    for which in (
        "pg_class",
        "pg_attribute",
        "pg_statistic",
        "pg_constraint",
        "pg_trigger",
        "pg_proc",
        "pg_db_role_setting",
        "alembic_version",
        "pg_database WHERE datname = current_database()",
    )
).replace("'pg_database WHERE datname = current_database()'", "'pg_database'")


class OverError(OperationalError):
    """What a thread that outlives its test gets from the database."""

    def __init__(self) -> None:
        super().__init__("the test that had this database is over", None, Exception())


class _Over:
    def connect(self) -> None:
        raise OverError

    def dispose(self) -> None:
        """Nothing is open."""

    def recreate(self) -> "_Over":
        return self


class _Shared:
    """A database and the connections to it."""

    def __init__(self, server: EmbeddedPostgres, template: str):
        self.server, self.name, self.times = server, f"test_{os.getpid()}_lent_{next(_numbers)}", 0
        administer(server, f"CREATE DATABASE {self.name} OWNER {ROLE} TEMPLATE {template} STRATEGY FILE_COPY")
        self.database = connect(server.url_of(self.name), application_name=self.name)
        self.database.engine.connect().close()  # a dialect knows its server from the first connection on
        self._admin = psycopg.connect(server.admin_url(self.name), autocommit=True)
        self._admin.execute("SET session_replication_role = replica")  # no foreign key and no trigger is in the way
        self._admin.execute(_EMPTY)
        self._shape = self._admin.execute(_SHAPE).fetchall()

    def lend(self) -> Database:
        """Another engine over the same connections."""
        self.times += 1
        warm = self.database.engine
        engine = Engine(warm.pool, warm.dialect, warm.url, hide_parameters=True)
        engine._compiled_cache = warm._compiled_cache
        return Database(self.database.url, engine)

    def take_back(self, lent: Database) -> bool:
        """False when it is not as it was made."""
        lent.engine.pool = _Over()
        if self.times >= LENT_AT_MOST or not self._is_given_back():
            return False
        try:
            emptied = [name for (name,) in self._admin.execute("SELECT pg_temp.empty(%s)", [self.name])]
            if emptied:  # rows would come into the gaps, and no longer stand in the order in which they were made
                self._admin.execute(f"VACUUM (TRUNCATE on, INDEX_CLEANUP on) {', '.join(emptied)}")
            return self._admin.execute(_SHAPE).fetchall() == self._shape
        except psycopg.Error:
            return False

    def _is_given_back(self) -> bool:
        deadline = time.monotonic() + 0.5
        while self.database.engine.pool.checkedout() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.database.engine.pool.checkedout()

    def drop(self) -> None:
        self._admin.close()
        self.database.close()
        administer(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")


class Lending:
    """Lends the one there is, and makes another when it came back changed."""

    def __init__(self, server: EmbeddedPostgres, template: str, statements: Callable[[Engine], None]):
        self._server, self._template, self._statements = server, template, statements
        self._shared: _Shared | None = None

    @contextmanager
    def lent(self) -> Iterator[Database]:
        if self._shared is None:
            self._shared = _Shared(self._server, self._template)
            self._statements(self._shared.database.engine)
        shared = self._shared
        database = shared.lend()
        try:
            yield database
        finally:
            if not shared.take_back(database):
                self.end()

    def end(self) -> None:
        if self._shared is not None:
            self._shared.drop()
            self._shared = None


def administer(server: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute(statement)
