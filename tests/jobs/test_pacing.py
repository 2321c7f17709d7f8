"""A step that must wait for its turn at an endpoint: it goes back without losing an attempt, and loses no lease unseen."""

import dataclasses
import time
from functools import partial

import pytest
from sqlalchemy import create_engine, select, text

from integration.fhir.servers import Servers
from integration.queue import dispatch_endpoint
from integration.store.pace import wait_for_turn
from integration.store.steps import LeaseLost
from integration.store.tables import attempts, endpoints
from integration.store.tables import steps as table
from jobs.engine import MAX_PUT_BACKS, limits_of, run_step
from jobs.world import FRESH_SECONDS, Context, Lease
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres


def with_before(exchange, before):
    """The exchange with a hook before each request to an endpoint."""
    exchange.world.servers.close()
    exchange.world = dataclasses.replace(exchange.world, servers=Servers(exchange.config, before=before))


def set_pace(exchange, key, seconds):
    with exchange.engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO pace VALUES (:key, clock_timestamp() + make_interval(secs => :seconds)) "
                "ON CONFLICT (endpoint) DO UPDATE SET next_at = excluded.next_at"
            ),
            {"key": key, "seconds": seconds},
        )


def gather_once(exchange):
    """Run the request's first step once."""
    [claimed] = dispatch_endpoint(exchange.engine, "alice", limits_of(exchange.world))
    run_step(exchange.world, exchange.heartbeat, claimed.step_id, claimed.lease_no)
    with exchange.engine.connect() as conn:
        return conn.execute(select(table).where(table.c.id == claimed.step_id)).one()


def test_a_step_whose_turn_is_too_far_goes_back_and_it_is_nobodys_failure(exchange):
    load_chart(exchange, observations=2)
    request_id = exchange.submit(a_request())
    with_before(exchange, partial(wait_for_turn, exchange.engine))
    set_pace(exchange, "alice", 15)
    step = gather_once(exchange)
    assert (step.status, step.cause, step.attempts, step.lost) == ("waiting", "paced", 0, 0)
    with exchange.engine.begin() as conn:
        assert conn.execute(select(attempts)).all() == []
        assert conn.execute(
            select(endpoints.c.failures, endpoints.c.breaker).where(endpoints.c.key == "alice")
        ).one() == (0, "closed")
        conn.execute(text("UPDATE endpoints SET rate = 1000"))
        conn.execute(text("UPDATE steps SET next_attempt_at = now()"))
    set_pace(exchange, "alice", 0)
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"


def test_a_step_that_never_gets_its_turns_is_told_to_a_person_in_the_end(exchange):
    load_chart(exchange, observations=2)
    request_id = exchange.submit(a_request())
    with_before(exchange, partial(wait_for_turn, exchange.engine))
    seen = []
    for _ in range(MAX_PUT_BACKS + exchange.config.retry.max_attempts):
        set_pace(exchange, "alice", 15)
        seen.append(gather_once(exchange).attempts)
        with exchange.engine.begin() as conn:
            conn.execute(text("UPDATE steps SET next_attempt_at = now(), status = 'due' WHERE status = 'waiting'"))
    assert seen == [0] * MAX_PUT_BACKS + [1, 2, 3, 4, 5]
    assert exchange.parked(request_id) == ["paced"]
    with exchange.engine.begin() as conn:
        assert conn.execute(
            select(endpoints.c.failures, endpoints.c.breaker).where(endpoints.c.key == "alice")
        ).one() == (0, "closed")


def test_a_database_that_is_away_when_a_turn_is_taken_lets_nothing_go_and_the_step_goes_back(exchange):
    load_chart(exchange, observations=2)
    exchange.submit(a_request())

    def away(_name):
        wait_for_turn(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"), "alice")

    with_before(exchange, away)
    step = gather_once(exchange)
    assert (step.status, step.cause, step.attempts) == ("waiting", "database-away", 0)


def test_a_write_that_waited_for_its_turn_asks_for_its_lease_again(exchange):
    """A worker frozen in that wait would else write under a lease that another one holds by then."""
    exchange.submit(a_request())
    [claimed] = dispatch_endpoint(exchange.engine, "alice", limits_of(exchange.world))

    def taken_over_meanwhile(_name):
        with exchange.engine.begin() as conn:
            conn.execute(text("UPDATE steps SET lease_no = lease_no + 1"))
        time.sleep(FRESH_SECONDS + 0.05)

    with_before(exchange, taken_over_meanwhile)
    with exchange.engine.connect() as conn:
        step = conn.execute(select(table)).one()
    ctx = Context(exchange.world, step, Lease(exchange.engine, claimed.step_id, claimed.lease_no, 30))
    ctx.lease.before_write()
    with pytest.raises(LeaseLost):
        ctx.server("bob").create({"resourceType": "Basic", "code": {"text": "synthetic"}})
    assert exchange.find("bob", "Basic") == []
