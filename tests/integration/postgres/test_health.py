"""Can the database be used, and if not, why; a full disk is in tests/chaos/test_out_of_room.py."""

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import InternalError

from integration.postgres import health as database_health
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
