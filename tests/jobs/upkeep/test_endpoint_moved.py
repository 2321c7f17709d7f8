"""An endpoint whose address changed may be another server, where the same ids name other patients."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from integration.fhir.servers import Servers
from integration.store import endpoints, operations, sendings
from integration.store.tables import audit
from jobs.upkeep import endpoint_moved
from tests.jobs.exchange import a_request, load_chart, patient
from tests.jobs.steps.test_matching import at_bob, new_result
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


@pytest.fixture
def proxies():
    made = []

    def before(url):
        made.append(LyingProxy(url).__enter__())
        return made[-1].address

    yield before
    for each in made:
        each.__exit__()


def points_to(exchange, where, address):
    """config.yaml names another base_url for an endpoint, and the Exchange is started again."""
    endpoint = exchange.config.endpoints[where].model_copy(update={"base_url": address})
    config = exchange.config.model_copy(update={"endpoints": {**exchange.config.endpoints, where: endpoint}})
    exchange.world.servers.close()
    exchange.config, exchange.world = config, replace(exchange.world, config=config, servers=Servers(config))
    with exchange.engine.begin() as conn:
        endpoints.register(conn, config)


def done(exchange):
    chart = load_chart(exchange, observations=1)
    first = exchange.submit(a_request())
    exchange.drain()
    assert exchange.view(first)["records"] == "verified"
    return first, new_result(exchange, chart)


@pytest.mark.parametrize("where", ["bob", "alice"])
def test_nothing_goes_to_or_comes_from_an_address_nobody_confirmed(exchange, proxies, where):
    first, added = done(exchange)
    address = proxies(getattr(exchange, where))
    points_to(exchange, where, address)
    exchange.watch()
    second = exchange.submit(a_request(key="k2"))
    exchange.drain()
    assert set(exchange.parked(first) + exchange.parked(second)) == {"endpoint-moved"}
    assert at_bob(exchange, added) == [] and exchange.view(second)["verified"] == 0


def test_a_server_that_moved_is_looked_over_and_goes_on(exchange, proxies):
    first, added = done(exchange)
    points_to(exchange, "bob", proxies(exchange.bob))
    exchange.watch()
    assert at_bob(exchange, added) == []
    found = endpoint_moved.compare_links(exchange.world, "bob")
    assert found.lost == () and found.holds == found.looked_at > 5
    moved = endpoint_moved.move(exchange.world, "bob", found, actor="test", reason="new host name")
    exchange.watch()
    assert moved.steps and at_bob(exchange, added) and exchange.parked(first) == []
    with exchange.engine.connect() as conn:
        [row] = conn.execute(audit.select().where(audit.c.action == "endpoint.moved")).all()
    assert row.reason == "new host name" and row.subject == "bob"
    with pytest.raises(operations.NotPossible, match="has not moved"):
        endpoint_moved.compare_links(exchange.world, "bob")


@pytest.mark.long
def test_what_does_not_hold_at_the_new_address_is_listed_and_asked_anew(make_exchange, proxies):
    exchange = make_exchange(patients="match")
    there = exchange.put("bob", patient())
    first, added = done(exchange)
    points_to(exchange, "bob", proxies(exchange.bob))
    exchange.change("bob", there, name=[{"family": "Stranger", "given": ["Zoe"]}], birthDate="1999-09-09")
    found = endpoint_moved.compare_links(exchange.world, "bob")
    assert [(each.reference, each.request_id) for each in found.lost] == [(f"Patient/{there['id']}", first)]
    endpoint_moved.move(exchange.world, "bob", found, actor="test", reason="new host name")
    exchange.watch()
    assert at_bob(exchange, added) == [] and exchange.parked(first) == ["patient-name-differs"]


def test_another_server_is_refused(exchange, proxies):
    done(exchange)
    points_to(exchange, "bob", proxies(exchange.bob))
    with exchange.engine.begin() as conn:
        for table in ("hosted_index", "hosted_versions", "hosted_resources"):
            conn.execute(text(f"DELETE FROM {table} WHERE practice = 'bob'"))
    with pytest.raises(operations.NotPossible, match="that is another server"):
        endpoint_moved.compare_links(exchange.world, "bob")


def test_a_test_server_never_becomes_production(exchange, proxies):
    done(exchange)
    points_to(exchange, "bob", proxies(exchange.bob).replace("127.0.0.1", "fhir-test.localhost"))
    with pytest.raises(operations.NotPossible, match="one of them is a test server"):
        endpoint_moved.compare_links(exchange.world, "bob")


def test_a_server_that_says_it_is_another_one_stops_too(exchange):
    first, _ = done(exchange)
    with exchange.engine.begin() as conn:
        conn.execute(
            text("UPDATE endpoints SET says = :says, probed_at = now() - interval '2 days' WHERE key = 'bob'"),
            {"says": '{"software": "Other", "path": "/r4"}'},
        )
    second = exchange.submit(a_request(key="k2"))
    exchange.drain()
    assert exchange.parked(second) == ["endpoint-moved"] and first


@pytest.mark.long
def test_what_is_forgotten_may_be_sent_again(make_exchange):
    """The ledger says of what was taken that nothing goes again: not of what is not there any more."""
    exchange = make_exchange(accepts="documents")
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    with exchange.engine.begin() as conn:
        sent = sendings.of_delivery(conn, f"{request_id}-records-1")
        assert len(sent) == 3 and all(each.is_there and each.reference for each in sent)
        endpoints.forget_links(conn, "bob", [(sent[0].system, sent[0].value)])
    with exchange.engine.begin() as conn:
        left = {each.value: each for each in sendings.of_delivery(conn, f"{request_id}-records-1")}
    gone = left.pop(sent[0].value)
    assert (gone.state, gone.reference) == ("absent", None)
    assert [each.state for each in left.values()] == ["taken", "taken"]
