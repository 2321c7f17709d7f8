"""Several requests at once: what they share is created once, and nobody holds the database while a packet is read."""
import contextlib
import dataclasses
import re
import threading
import time

import psycopg
import pytest
from sqlalchemy import select, text

from integration.payloads import Payloads
from integration.queue import dispatch
from integration.store import one_at_a_time
from integration.store.one_at_a_time import alone
from integration.store.tables import endpoints, steps
from jobs.engine import limits_of, run_step
from mappings.model.errors import TemporaryError
from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


def leased(exchange):
    dispatch(exchange.engine, limits_of(exchange.world))
    with exchange.engine.connect() as conn:
        return conn.execute(select(steps.c.id, steps.c.lease_no, steps.c.kind).where(steps.c.status == "leased")).all()


def until_people_are_matched(exchange):
    """Does what comes before; returns the leased steps that match people."""
    while others := [step for step in leased(exchange) if step.kind != "match_people"]:
        for step in others:
            run_step(exchange.world, exchange.heartbeat, step.id, step.lease_no)
    return leased(exchange)


def test_two_requests_at_once_create_the_people_they_share_once(make_exchange):
    together = threading.Barrier(2)

    def without_conditions(method, path, headers, body):
        """The condition is not looked at, and who creates first waits a while for the other one to be as far."""
        del headers["If-None-Exist"]
        if method == "POST" and re.search("/(Patient|Practitioner)$", path):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.4)
            together.reset()
        return body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=without_conditions)})
    chart = load_chart(exchange, observations=1)
    ids = [exchange.submit(a_request(key=key)) for key in ("first", "second")]
    racing = [threading.Thread(target=run_step, args=(exchange.world, exchange.heartbeat, step.id, step.lease_no))
              for step in until_people_are_matched(exchange)]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join(30)
    exchange.drain()
    assert len(racing) == 2 and {exchange.view(each)["records"] for each in ids} == {"verified"}
    for kind in ("patient", "practitioner"):
        kind, own = chart[kind]["resourceType"], f"urn:test:alice|{chart[kind]['resourceType']}/{chart[kind]['id']}"
        assert len(exchange.find("bob", kind, identifier=own)) == 1, kind


def test_who_waits_too_long_goes_back_and_blames_no_endpoint(exchange, monkeypatch):
    monkeypatch.setattr(one_at_a_time, "WAIT_SECONDS", 0.1)
    chart = load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    with alone(exchange.engine, "bob", "urn:test:alice", f"Practitioner/{chart['practitioner']['id']}"):
        for step in until_people_are_matched(exchange):
            run_step(exchange.world, exchange.heartbeat, step.id, step.lease_no)
    with exchange.engine.connect() as conn:
        waiting = conn.execute(select(steps.c.status, steps.c.cause).where(steps.c.kind == "match_people")).one()
        failures = conn.execute(select(endpoints.c.failures).where(endpoints.c.key == "bob")).scalar_one()
    assert (tuple(waiting), failures) == (("waiting", "made-elsewhere"), 0)
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"


def test_a_turn_ends_with_the_session_that_holds_it_and_leaves_nothing_behind(database):
    with alone(database.engine, "bob", "urn:test", "1"):
        with alone(database.engine, "bob", "urn:test", "2"), pytest.raises(TemporaryError), \
                alone(database.engine, "bob", "urn:test", "1", wait_seconds=0):
            pass
        with database.engine.connect() as conn:
            conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
        with alone(database.engine, "bob", "urn:test", "1", wait_seconds=2):
            pass
    with database.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one() == 0
    assert database.engine.pool.checkedout() == 0


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_no_packet_is_read_between_two_statements(make_exchange, database, accepts):
    """Sessions idle in a transaction are ended after 5 s; a large packet from far away takes longer."""
    exchange, held = make_exchange(accepts=accepts), []

    class Watched(Payloads):
        def get(self, digest):
            for _ in range(20):         # others (pages, heartbeat) come and go; ours would stay
                [count] = watch.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' "
                                        "AND datname = current_database()").fetchone()
                if count == 0:
                    break
                time.sleep(0.02)
            held.append(count)
            return super().get(digest)

    load_chart(exchange, observations=1)
    with psycopg.connect(database.url, autocommit=True) as watch:
        exchange.world = dataclasses.replace(exchange.world, payloads=Watched(exchange.config.payloads.url))
        request_id = exchange.submit(a_request())
        exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"
    assert held and not any(held), f"{sum(map(bool, held))} of {len(held)} reads inside a transaction"
