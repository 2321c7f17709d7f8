"""Checks are asked for once, kept in their order, and few of them; who asks while the step ends is not forgotten."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from integration.store import endpoint_checks
from integration.store.tables import endpoint_checks as table
from integration.store.tables import steps

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def keep(engine, endpoint, number):
    with engine.begin() as conn:
        endpoint_checks.keep(conn, endpoint, {"n": number}, NOW + timedelta(minutes=number), actor="test")


def ask(engine, endpoint="bob"):
    with engine.begin() as conn:
        return endpoint_checks.ask(conn, endpoint, actor="test", reason="test")


def open_steps(engine):
    with engine.connect() as conn:
        return conn.execute(select(steps.c.status).where(steps.c.kind == endpoint_checks.STEP)).scalars().all()


def test_the_newest_stands_and_ten_are_kept_of_each_endpoint(database):
    for number in range(12):
        keep(database.engine, "bob", number)
    keep(database.engine, "alice", 1)
    with database.engine.connect() as conn:
        assert endpoint_checks.last(conn, "bob").found == {"n": 11} and endpoint_checks.last(conn, "mercy") is None
        kept = conn.execute(select(table.c.found).where(table.c.endpoint == "bob").order_by(table.c.id)).scalars().all()
        assert [each["n"] for each in kept] == list(range(2, 12))
        assert {key: newest.found for key, (newest, _) in endpoint_checks.standing(conn).items()} == {
            "bob": {"n": 11},
            "alice": {"n": 1},
        }


def test_what_is_asked_for_twice_is_done_once_and_the_first_comes_first(database):
    assert ask(database.engine) and not ask(database.engine) and ask(database.engine, "alice")
    assert open_steps(database.engine) == ["due"]
    with database.engine.begin() as conn:
        first = endpoint_checks.waiting(conn)
        assert first.endpoint == "bob"
        endpoint_checks.done(conn, first, {"n": 1}, NOW)
        assert endpoint_checks.waiting(conn).endpoint == "alice"
    assert ask(database.engine), "done: it may be asked for again"


def test_who_asks_while_the_step_ends_waits_for_it_and_gets_a_step_of_their_own(database):
    ask(database.engine)
    asked = threading.Thread(target=ask, args=(database.engine, "alice"))
    with database.engine.begin() as conn:
        conn.execute(update(steps).where(steps.c.kind == endpoint_checks.STEP).values(status="done"))
        asked.start()
        asked.join(1)
        assert asked.is_alive(), "it waits for the end"
    asked.join(10)
    assert sorted(open_steps(database.engine)) == ["done", "due"]


def test_what_a_server_calls_itself_is_kept_whatever_it_is(database):
    found = {
        "software": "V\0endor\ud800" + "x" * 10_000,
        "searches": {"Patient": ["name"] * 1000},
        "tried": [{"says": "\0"}],
    }
    with database.engine.begin() as conn:
        endpoint_checks.keep(conn, "bob", found, NOW, actor="test")
        kept = endpoint_checks.last(conn, "bob").found
    assert kept["software"].startswith("V\ufffdendor") and len(kept["software"]) <= 4000
    assert "searches" not in kept and kept["tried"] == [{"says": "\ufffd"}]
