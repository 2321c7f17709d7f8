"""A directory of doctors is read by the clock, or when somebody presses Run now: real HTTP, a real server with roles in it."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from integration.store import operations, zip_points
from integration.store.directory import staging
from integration.store.schedules import names, next_fire
from jobs.schedule import schedules, tick

pytestmark = pytest.mark.postgres
NAME = "sync_directory alice"
MONDAY = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


@pytest.fixture
def exchange(make_exchange):
    """Alice's server is a directory as well; where ZIP codes are is known."""
    made = make_exchange(more='directory: {sources: {alice: {sync_cron: "0 4 * * mon"}}}\n')
    with made.engine.begin() as conn:
        zip_points.fill(conn, [])
    return made


def doctor(exchange, family: str) -> None:
    person = exchange.put("alice", {"resourceType": "Practitioner", "name": [{"family": family, "given": ["Ada"]}]})
    who = {"reference": f"Practitioner/{person['id']}"}
    exchange.put("alice", {"resourceType": "PractitionerRole", "active": True, "practitioner": who})


def there(exchange) -> dict[str, str]:
    with exchange.engine.connect() as conn:
        return dict(conn.execute(text("SELECT family, state_now FROM directory_entries")).all())


def step(exchange):
    with exchange.engine.connect() as conn:
        found = text("SELECT * FROM steps WHERE kind = 'sync_directory' ORDER BY id DESC LIMIT 1")
        return conn.execute(found).one()


def run_now(exchange) -> None:
    with exchange.engine.begin() as conn:
        assert operations.run_schedule(conn, exchange.config, NAME, actor="test", reason="they told us of news")
    exchange.drain()


def test_it_is_read_when_its_time_has_come(exchange):
    doctor(exchange, "Synthetic-One")
    [schedule] = [each for each in schedules(exchange.world) if each.name == NAME]
    assert NAME in names(exchange.config) and next_fire(exchange.config, NAME, MONDAY) == MONDAY.replace(hour=4)
    assert tick(exchange.world, schedule, MONDAY.replace(hour=4, second=5)) == 1
    exchange.drain()
    assert there(exchange) == {"Synthetic-One": "active"} and step(exchange).status == "done"


def test_a_list_that_looks_cut_changes_nothing_and_waits_for_a_person(exchange):
    for number in range(14):
        doctor(exchange, f"Synthetic-{number}")
    run_now(exchange)
    assert len(there(exchange)) == 14
    for role in exchange.find("alice", "PractitionerRole")[:12]:
        exchange.change("alice", role, active=False)
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE directory_entries SET source_id = 'other-' || source_id WHERE id % 14 > 1"))
    run_now(exchange)
    waits = step(exchange)
    assert (waits.status, waits.cause) == ("parked", "directory-fewer") and "--fewer" in waits.message
    assert set(there(exchange).values()) == {"active"}


def test_another_load_that_is_under_way_is_waited_for(exchange):
    doctor(exchange, "Synthetic-One")
    with staging(exchange.engine):
        run_now(exchange)
        assert step(exchange).status == "waiting" and there(exchange) == {}
    exchange.watch()
    assert there(exchange) == {"Synthetic-One": "active"}
