"""Polling a placer's EHR: no order is lost without a word, and no order and no bad day of one EHR stops the others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from integration.store import actions, findings, schedules, steps
from integration.store.tables import findings as finding_table
from integration.store.tables import requests, watermarks
from integration.store.tables import steps as step_table
from jobs.engine import run_step
from jobs.steps import poll_requests
from tests.jobs.exchange import load_chart
from tests.jobs.test_loop import order_of, polled
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
QUESTIONS = {
    "resourceType": "Communication",
    "status": "completed",
    "payload": [{"contentString": "Can I wait?"}],
    "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PATAST"}]},
}


def key_of(order: dict) -> str:
    return f"alice:ServiceRequest/{order['id']}"


def rows_of(exchange, *columns) -> list[tuple]:
    with exchange.engine.connect() as conn:
        return [
            tuple(row)
            for row in conn.execute(select(*(finding_table.c[name] for name in columns)).order_by(finding_table.c.id))
        ]


def configure(exchange, **alice) -> None:
    """Another configuration of Alice's endpoint, as after a restart."""
    endpoints = {
        **exchange.world.config.endpoints,
        "alice": exchange.world.config.endpoints["alice"].model_copy(update=alice),
    }
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"endpoints": endpoints}))


def poll(exchange) -> None:
    """Poll Alice's EHR now, and do nothing else that is due."""
    with exchange.engine.begin() as conn:
        schedules.make_due(conn, "poll_requests alice")
    while (step := poll_step(exchange)).status in ("due", "waiting"):
        with exchange.engine.begin() as conn:
            conn.execute(
                update(step_table)
                .where(step_table.c.id == step.id)
                .values(status="leased", lease_no=step.lease_no + 1, lease_until=text("now() + interval '1 minute'"))
            )
        run_step(exchange.world, exchange.heartbeat, step.id, step.lease_no + 1)


def poll_step(exchange):
    with exchange.engine.connect() as conn:
        return conn.execute(
            select(step_table).where(step_table.c.kind == "poll_requests").order_by(step_table.c.id.desc()).limit(1)
        ).one()


@pytest.fixture
def scrolled(monkeypatch):
    """Searches begin after everything there is: only what is remembered is looked at."""
    monkeypatch.setattr(poll_requests, "OVERLAP", timedelta(minutes=-10))


def test_an_order_without_a_fulfiller_is_an_alarm_and_is_taken_in_when_there_is_one(operator, scrolled):
    exchange = operator.exchange
    configure(exchange, default_fulfiller=None)
    order = exchange.put("alice", order_of(load_chart(exchange)))
    poll(exchange)
    poll(exchange)
    assert polled(exchange) == [] and rows_of(exchange, "cause", "count", "severity") == [("no-fulfiller", 1, "error")]
    operator.check()
    [message] = [
        message
        for about, message in operator.open().items()
        if about == ("order-refused", f"alice ServiceRequest/{order['id']}")
    ]
    assert "no default_fulfiller is configured" in message
    configure(exchange, default_fulfiller="bob")
    poll(exchange)
    assert polled(exchange) == [key_of(order)]
    operator.check()
    assert not [rule for rule, _ in operator.open() if rule == "order-refused"]
    with exchange.engine.connect() as conn:
        assert rows_of(exchange, "request_id", "severity") == [
            (conn.execute(select(requests.c.id)).scalar_one(), "info")
        ]


@pytest.mark.long
def test_another_refused_order_is_another_alarm_and_one_that_is_withdrawn_is_over(operator, scrolled):
    exchange = operator.exchange
    chart = load_chart(exchange)
    first = exchange.put("alice", order_of(chart, priority="stat"))
    poll(exchange)
    second = exchange.put("alice", order_of(chart, intent="proposal"))
    with exchange.engine.begin() as conn:
        conn.execute(watermarks.delete())
    poll(exchange)
    operator.check()
    refused = {subject for rule, subject in operator.open() if rule == "order-refused"}
    assert refused == {f"alice ServiceRequest/{each['id']}" for each in (first, second)} and polled(exchange) == []
    exchange.change("alice", first, status="revoked")
    poll(exchange)
    operator.check()
    assert {subject for rule, subject in operator.open() if rule == "order-refused"} == {
        f"alice ServiceRequest/{second['id']}"
    }
    operator.check(60 * 24 * findings.LOOKED_FOR.days + 5)
    assert not [rule for rule, _ in operator.open() if rule == "order-refused"]
    with exchange.engine.connect() as conn:
        found, _ = findings.without_request(conn)
    assert [findings.state(row, operator.now) for row in found] == ["given-up", "over"]


@pytest.mark.long
def test_of_many_refused_orders_a_poll_reads_a_few_again_and_in_time_all(exchange, scrolled, monkeypatch):
    monkeypatch.setattr(poll_requests, "READ_AGAIN", 2)
    chart = load_chart(exchange)
    configure(exchange, default_fulfiller=None)
    for _ in range(5):
        exchange.put("alice", order_of(chart))
    poll(exchange)
    configure(exchange, default_fulfiller="bob")
    counts = []
    while len(polled(exchange)) < 5:
        poll(exchange)
        counts.append(len(polled(exchange)))
    assert counts == [2, 4, 5]


def test_a_clock_that_ran_ahead_hides_no_later_order(make_exchange):
    ahead: list[str] = []

    def an_hour_ahead(method, path, answer):
        status, headers, body = answer
        if not ahead or "ServiceRequest" not in path or method != "GET":
            return answer
        bundle = json.loads(body)
        for entry in bundle.get("entry", ()):
            if entry["resource"]["id"] in ahead:
                stamped = datetime.fromisoformat(entry["resource"]["meta"]["lastUpdated"]) + timedelta(hours=1)
                entry["resource"]["meta"]["lastUpdated"] = stamped.isoformat()
        body = json.dumps(bundle).encode()
        return (
            status,
            [(name, value) for name, value in headers if name.lower() not in ("content-length", "etag")],
            body,
        )

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=an_hour_ahead)})
    chart = load_chart(exchange)
    ahead.append(exchange.put("alice", order_of(chart))["id"])
    poll(exchange)
    with exchange.engine.connect() as conn:
        assert datetime.fromisoformat(conn.execute(select(watermarks.c.value)).scalar_one()) <= datetime.now(UTC)
    later = exchange.put("alice", order_of(chart))
    poll(exchange)
    assert key_of(later) in polled(exchange) and len(polled(exchange)) == 2


@pytest.mark.long
def test_a_watermark_of_the_future_that_was_stored_before_hides_nothing_either(exchange):
    with exchange.engine.begin() as conn:
        conn.execute(
            watermarks.insert().values(
                endpoint="alice", kind="ServiceRequest", value=(datetime.now(UTC) + timedelta(hours=1)).isoformat()
            )
        )
    order = exchange.put("alice", order_of(load_chart(exchange)))
    poll(exchange)
    assert polled(exchange) == [key_of(order)]


@pytest.mark.parametrize("status", [403, 500])
def test_an_order_that_points_to_what_we_may_not_read_stops_no_other_and_is_not_taken_in_by_half(make_exchange, status):
    refuses = [True]

    def ask(method, path, headers, body):
        return (status, [], b"") if refuses and method == "GET" and "/Communication/" in path else body

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=ask)})
    chart = load_chart(exchange)
    words = exchange.put("alice", {**QUESTIONS, "subject": {"reference": f"Patient/{chart['patient']['id']}"}})
    about = {"supportingInfo": [{"reference": f"Communication/{words['id']}"}]}
    half, whole = exchange.put("alice", order_of(chart, **about)), exchange.put("alice", order_of(chart))
    poll(exchange)
    assert polled(exchange) == [key_of(whole)]
    assert rows_of(exchange, "cause", "path") == [("request-incomplete", f"ServiceRequest/{half['id']}")]
    refuses.clear()
    poll(exchange)
    assert set(polled(exchange)) == {key_of(whole), key_of(half)}
    with exchange.engine.connect() as conn:
        assert (
            b"Can I wait?" in conn.execute(select(requests.c.body).where(requests.c.key == key_of(half))).scalar_one()
        )


@pytest.mark.long
def test_orders_that_no_server_should_hold_stop_no_other(make_exchange):
    def tell(method, path, answer):
        status, headers, body = answer
        if method != "GET" or "ServiceRequest" not in path:
            return answer
        bundle = json.loads(body)
        odd = {**bundle["entry"][0]["resource"], "meta": {"lastUpdated": "yesterday"}}
        bundle["entry"] += [
            {"resource": {**odd, "id": "no address", "requester": None}},
            {"resource": {**odd, "subject": {"reference": "Patient/.."}, "id": "dots"}},
        ]
        return (
            status,
            [(name, value) for name, value in headers if name.lower() not in ("content-length", "etag")],
            json.dumps(bundle).encode(),
        )

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=tell)})
    order = exchange.put("alice", order_of(load_chart(exchange)))
    poll(exchange)
    assert polled(exchange) == [key_of(order)]
    assert {path.partition("#")[0] for (path,) in rows_of(exchange, "path")} == {
        "ServiceRequest/no address",
        "ServiceRequest/dots",
    }


def test_polls_that_gave_up_go_on_by_themselves_and_stay_an_alarm_until_one_succeeds(operator, monkeypatch):
    exchange = operator.exchange
    order = exchange.put("alice", order_of(load_chart(exchange)))
    real, page = exchange.config.endpoints["alice"].base_url, exchange.alice.rpartition("/fhir/")[0] + "/deadlines#"
    configure(exchange, base_url=page)
    exchange.world.servers.close()
    exchange.world = replace(exchange.world, servers=type(exchange.world.servers)(exchange.world.config))
    poll(exchange)
    first = poll_step(exchange)
    assert first.status == "parked"
    operator.check(16)
    assert ("parked", "alice") in operator.open()
    poll(exchange)
    again = poll_step(exchange)
    assert (again.id, again.status, again.attempts, again.parked_at) == (
        first.id,
        "parked",
        first.attempts + 1,
        first.parked_at,
    )
    with exchange.engine.begin() as conn:
        schedules.make_due(conn, "poll_requests alice")
        conn.execute(text("UPDATE endpoints SET paused = true WHERE key = 'alice'"))  # it is due and has not run yet
    operator.check()
    assert ("parked", "alice") in operator.open()
    configure(exchange, base_url=real)
    exchange.world.servers.close()
    exchange.world = replace(exchange.world, servers=type(exchange.world.servers)(exchange.world.config))
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE endpoints SET paused = false"))
    poll(exchange)
    assert polled(exchange) == [key_of(order)] and poll_step(exchange).status == "done"
    operator.check()
    assert ("parked", "alice") not in operator.open()
    assert rows_of(exchange, "path", "severity") == [("step poll_requests", "info")]


@pytest.mark.parametrize("cause", ["parked-by-person", "worker-lost"])
def test_a_poll_that_a_person_parked_or_that_kills_workers_stays_parked(exchange, cause):
    with exchange.engine.begin() as conn:
        step_id = steps.create(conn, "poll_requests", "alice")
        actions.park_now(conn, step_id, actor="test", reason="their maintenance")
        conn.execute(update(step_table).values(cause=cause))
    poll(exchange)
    assert poll_step(exchange).status == "parked"


@pytest.mark.long
def test_an_order_that_points_to_questions_which_are_gone_is_taken_in_and_says_so(exchange):
    chart = load_chart(exchange, observations=1)
    order = exchange.put("alice", order_of(chart, supportingInfo=[{"reference": "Communication/gone"}]))
    poll(exchange)
    with exchange.engine.connect() as conn:
        taken_in = conn.execute(select(requests.c.id).where(requests.c.key == key_of(order))).scalar_one()
    assert rows_of(exchange, "cause", "severity", "path", "request_id") == [
        ("order-reference-gone", "error", f"ServiceRequest/{order['id']} -> Communication/gone", taken_in)
    ]


@pytest.mark.long
def test_a_gateways_page_is_not_the_servers_word_that_questions_are_gone(make_exchange):
    def page(method, path, answer):
        return (
            (404, [("Content-Type", "text/html")], b"<html>not found</html>") if "/Communication/" in path else answer
        )

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=page)})
    chart = load_chart(exchange, observations=1)
    exchange.put("alice", order_of(chart, supportingInfo=[{"reference": "Communication/behind-a-gateway"}]))
    poll(exchange)
    assert rows_of(exchange, "cause") == [("request-incomplete",)]
    with exchange.engine.connect() as conn:
        assert conn.execute(select(requests.c.id)).all() == []
