"""Several requests at once: what they share is created once, and nobody holds the database while a packet is read."""

import contextlib
import dataclasses
import re
import threading
import time
import uuid

import psycopg
import pytest
from sqlalchemy import select, text

from integration.packets.payloads import Payloads
from integration.queue import dispatch
from integration.store import one_at_a_time
from integration.store.one_at_a_time import exclusively
from integration.store.steps import LeaseLost
from integration.store.tables import endpoints, steps
from jobs.engine import limits_of, run_step
from jobs.target import resources
from mappings.model.errors import TemporaryError
from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


def leased(exchange):
    dispatch(exchange.engine, limits_of(exchange.world))
    with exchange.engine.connect() as conn:
        return conn.execute(select(steps.c.id, steps.c.lease_no, steps.c.kind).where(steps.c.status == "leased")).all()


def until(exchange, kind):
    """Does what comes before; returns the leased steps of that kind."""
    while others := [step for step in leased(exchange) if step.kind != kind]:
        for step in others:
            run_step(exchange.world, exchange.heartbeat, step.id, step.lease_no)
    return leased(exchange)


@pytest.mark.parametrize(
    ("at", "capabilities"), [("match_people", "{}"), ("push_records", "{}"), ("push_records", "{transaction: false}")]
)
def test_two_requests_at_once_create_what_they_share_once(make_exchange, at, capabilities):
    together = threading.Barrier(2)

    def without_conditions(method, path, headers, body):
        """The condition is not looked at, and who creates first waits a while for the other one to be as far."""
        del headers["If-None-Exist"]
        if method == "POST" and (at == "push_records" or re.search("/(Patient|Practitioner)$", path)):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.4)
            together.reset()
        return re.sub(rb',"ifNoneExist":"[^"]*"', b"", body)

    exchange = make_exchange(
        capabilities=capabilities, before={"bob": lambda url: LyingProxy(url, ask=without_conditions)}
    )
    chart = load_chart(exchange, observations=1)
    ids = [exchange.submit(a_request(key=key)) for key in ("first", "second")]
    racing = [
        threading.Thread(target=run_step, args=(exchange.world, exchange.heartbeat, step.id, step.lease_no))
        for step in until(exchange, at)
    ]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join(30)
    exchange.drain()
    assert len(racing) == 2 and {exchange.view(each)["records"] for each in ids} == {"verified"}
    for each in chart.values():
        own = f"urn:test:alice|{each['resourceType']}/{each['id']}"
        assert len(exchange.find("bob", each["resourceType"], identifier=own)) == 1, own


def test_what_another_request_left_unlinked_is_found_before_anything_is_sent(make_exchange):
    """Its answer was lost and it waits for a person: no link tells the second request what is there already."""

    def lose_the_first_transaction(method, path, answer):
        if method == "POST" and path.endswith("/bob") and not lost:
            return lost.append(path)
        return answer

    def without_conditions(method, path, headers, body):
        return re.sub(rb',"ifNoneExist":"[^"]*"', b"", body)

    lost: list[str] = []
    exchange = make_exchange(
        before={"bob": lambda url: LyingProxy(url, ask=without_conditions, tell=lose_the_first_transaction)}
    )
    chart = load_chart(exchange, observations=1)
    exchange.submit(a_request(key="first"))
    [push] = until(exchange, "push_records")
    run_step(exchange.world, exchange.heartbeat, push.id, push.lease_no)
    with exchange.engine.begin() as conn:
        assert (
            conn.execute(
                steps.update().where(steps.c.id == push.id, steps.c.cause == "cut").values(status="parked")
            ).rowcount
            == 1
        )
    second = exchange.submit(a_request(key="second"))
    exchange.drain()
    assert exchange.view(second)["records"] == "verified"
    for each in chart.values():
        own = f"urn:test:alice|{each['resourceType']}/{each['id']}"
        assert len(exchange.find("bob", each["resourceType"], identifier=own)) == 1, own


def another(engine):
    """A step that another worker has."""
    with engine.begin() as conn:
        return conn.execute(
            steps.insert()
            .values(
                kind=f"other-{uuid.uuid4()}",
                endpoint="alice",
                status="leased",
                lease_no=1,
                started=True,
                lease_until=text("now() + interval '1 minute'"),
            )
            .returning(steps)
        ).one()


def ended(engine, step):
    with engine.begin() as conn:
        conn.execute(steps.update().where(steps.c.id == step.id).values(status="done"))


@pytest.mark.parametrize(("kind", "shared"), [("match_people", "practitioner"), ("push_records", "patient")])
def test_who_waits_too_long_goes_back_and_blames_no_endpoint(exchange, monkeypatch, kind, shared):
    monkeypatch.setattr(one_at_a_time, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(resources, "MEANWHILE_SECONDS", 0.1)
    chart = load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    mine, other = until(exchange, kind), another(exchange.engine)
    with exclusively(
        exchange.engine, other, "bob", "urn:test:alice", f"{chart[shared]['resourceType']}/{chart[shared]['id']}"
    ):
        for step in mine:
            run_step(exchange.world, exchange.heartbeat, step.id, step.lease_no)
    ended(exchange.engine, other)
    with exchange.engine.connect() as conn:
        waiting = conn.execute(select(steps.c.status, steps.c.cause).where(steps.c.kind == kind)).one()
        failures = conn.execute(select(endpoints.c.failures).where(endpoints.c.key == "bob")).scalar_one()
    assert (tuple(waiting), failures) == (("waiting", "made-elsewhere"), 0)
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"


def test_what_a_step_holds_is_free_when_its_lease_is_gone(database):
    first, second = another(database.engine), another(database.engine)

    def take(step):
        with exclusively(database.engine, step, "bob", "urn:test", "1", wait_seconds=0):
            return True

    with exclusively(database.engine, first, "bob", "urn:test", "1"):
        with pytest.raises(TemporaryError):
            take(second)
        with database.engine.begin() as conn:  # its lease ran out, and a new one was given to another worker
            conn.execute(steps.update().where(steps.c.id == first.id).values(lease_no=2))
        assert take(second)
    with pytest.raises(LeaseLost):
        take(first)
    assert take(second) and database.engine.pool.checkedout() == 0


def test_of_many_at_once_one_is_inside(database):
    inside, most, done = [], [], []

    def go(step):
        for _ in range(5):
            with exclusively(database.engine, step, "bob", "urn:test", "1"):
                inside.append(step.id)
                most.append(len(inside))
                time.sleep(0.01)
                inside.remove(step.id)
        done.append(step.id)

    racing = [threading.Thread(target=go, args=(another(database.engine),)) for _ in range(6)]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join(30)
    assert len(done) == 6 and set(most) == {1}


@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.long
def test_no_packet_is_read_between_two_statements(make_exchange, database, accepts):
    """Sessions idle in a transaction are ended after 5 s; a large packet from far away takes longer."""
    exchange, held = make_exchange(accepts=accepts), []

    class Watched(Payloads):
        def get(self, digest):
            for _ in range(20):  # others (pages, heartbeat) come and go; ours would stay
                [count] = watch.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' "
                    "AND datname = current_database()"
                ).fetchone()
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
