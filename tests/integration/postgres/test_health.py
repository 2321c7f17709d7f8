"""Can the database be used, and if not, why; a full disk is in tests/chaos/test_out_of_room.py."""

import time

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, InternalError

from integration.postgres import health as database_health
from integration.postgres.database import connect
from integration.postgres.health import is_away, problem

pytestmark = pytest.mark.postgres


def change(postgres, database, words: str) -> None:
    """ALTER DATABASE, for connections made from now on."""
    with database.engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    database.engine.dispose()
    with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} {words}")


def test_a_database_that_can_be_used_has_no_problem(database):
    assert problem(database.engine) is None


def test_looking_makes_the_server_write_to_its_disk(database):
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL work_mem = '64kB'"))
        plan = (
            connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {database_health._WRITES_TO_DISK.text}"))
            .scalars()
            .all()
        )
    assert "temp" in " ".join(plan) and "written=" in " ".join(plan)


def test_a_read_only_database_cannot_be_used_and_is_away(postgres, database):
    change(postgres, database, "SET default_transaction_read_only = on")
    assert problem(database.engine) == database_health.READ_ONLY
    with pytest.raises(InternalError) as refusal, database.engine.begin() as connection:
        connection.execute(text("DELETE FROM steps"))
    assert is_away(refusal.value)


def test_a_database_without_a_free_connection_says_so(postgres, database):
    change(postgres, database, "CONNECTION LIMIT 0")
    assert problem(database.engine) == database_health.NO_CONNECTION


def test_a_database_that_is_not_there_does_not_answer():
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect("host=/nowhere"))
    assert problem(engine) == database_health.DOES_NOT_ANSWER


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,  # 54001: too deep for the server's stack
        "SELECT " + ",".join(["1"] * 2_000),  # 54011: too many columns
        "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(5)",  # 57014: our own patience
        "SELECT 1/0",
        "SELECT no_such_column",
    ],
    ids=["too deep", "too many columns", "our own patience", "no such value", "no such column"],
)
def test_a_statement_that_can_never_work_is_our_mistake_and_not_a_database_that_is_away(database, statement):
    with pytest.raises(DBAPIError) as refusal, database.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert not is_away(refusal.value)


def test_more_parameters_than_a_statement_takes_is_our_mistake_too(database):
    with pytest.raises(DBAPIError) as refusal, database.engine.begin() as connection:
        connection.exec_driver_sql("SELECT " + ",".join(["%s"] * 70_000), tuple(range(70_000)))
    assert refusal.value.orig.sqlstate is None and not is_away(refusal.value)


def test_a_connection_that_the_server_ends_is_a_database_that_is_away(postgres, database):
    with pytest.raises(DBAPIError) as refusal, database.engine.begin() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        connection.execute(text("SELECT 1"))
    assert is_away(refusal.value)


def test_a_connection_that_cannot_be_made_is_a_database_that_is_away():
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect("host=/nowhere"))
    with pytest.raises(DBAPIError) as refusal:
        engine.connect()
    assert is_away(refusal.value)


def test_a_process_that_was_frozen_in_a_transaction_goes_on_later(database):
    with pytest.raises(DBAPIError) as refusal, database.engine.begin() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
        time.sleep(0.3)
        connection.execute(text("SELECT 1"))
    assert is_away(refusal.value)


def test_without_asking_first_one_statement_fails_after_a_restart_and_then_all_connections_are_new(postgres, database):
    worker = connect(database.url, pre_ping=False)
    try:
        with worker.engine.connect() as one, worker.engine.connect() as other:
            pids = [each.execute(text("SELECT pg_backend_pid()")).scalar_one() for each in (one, other)]
        with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
            for pid in pids:
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(DBAPIError) as refusal, worker.engine.begin() as connection:
            connection.execute(text("SELECT 1"))
        assert is_away(refusal.value)
        for _ in range(3):
            with worker.engine.begin() as one, worker.engine.begin() as other:
                assert one.execute(text("SELECT 1")).scalar_one() == other.execute(text("SELECT 1")).scalar_one()
    finally:
        worker.engine.dispose()
