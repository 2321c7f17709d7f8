"""Orders of an EHR: what is ours is none, what is plain is taken in, what was changed is followed, what is odd stops no other."""

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from integration.store import endpoints, operations, orders, steps
from integration.store.links import SystemChanged
from integration.store.tables import findings, links, polls, requests
from integration.store.tables import steps as step_table
from jobs.steps.taking_in import is_address
from tests.jobs.exchange import a_request, load_chart, patient
from tests.jobs.test_loop import order_of, polled

pytestmark = pytest.mark.postgres
SECOND_OPINION = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0336", "code": "S"}]}
OURS = "https://second-opinion.example/ids"


def plain_order(chart: dict, **elements) -> dict:
    """What an EHR sends without knowing of us; an element that is None is not there."""
    made = {
        "resourceType": "ServiceRequest",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-servicerequest"]},
        "status": "active",
        "intent": "order",
        "code": {**SECOND_OPINION, "text": "Second opinion"},
        "subject": {"reference": f"Patient/{chart['patient']['id']}"},
        "requester": {"display": "Alice Archer, MD"},
        "performer": [{"display": "Bob Bishop, MD"}],
        "reasonCode": [{"text": "Operate on the LEFT kidney?"}],
        **elements,
    }
    return {name: value for name, value in made.items() if value is not None}


def causes_of(exchange, request_id: str | None = None) -> dict[str, str]:
    """``{cause: message}`` of findings, of a request or all."""
    wanted = [findings.c.request_id == request_id] if request_id else []
    with exchange.engine.connect() as conn:
        return {row.cause: row.message for row in conn.execute(select(findings).where(*wanted))}


def only_request(exchange) -> str:
    with exchange.engine.connect() as conn:
        return conn.execute(select(requests.c.id)).scalar_one()


def poll_as(exchange, key: str) -> None:
    with exchange.engine.begin() as conn:
        steps.create(conn, "poll_requests", key)
    exchange.drain()


def sweep_again(exchange) -> None:
    """The next poll looks at everything, as once a day."""
    with exchange.engine.begin() as conn:
        conn.execute(polls.update().values(swept_at=None))


def at_bob(exchange) -> list[str]:
    [there] = exchange.find("bob", "ServiceRequest")
    return [reason["text"] for reason in there["reasonCode"]]


# What is plain


def test_a_plain_order_is_taken_in_and_what_it_does_not_tell_is_asked_before_anything_goes(operator):
    exchange = operator.exchange
    chart = load_chart(exchange)
    exchange.put("alice", plain_order(chart))
    exchange.poll()
    request_id = only_request(exchange)
    assert exchange.parked(request_id) == ["information-missing"] and exchange.find("bob", "Patient") == []
    assert "does not say: the first opinion" in causes_of(exchange)["information-missing"]
    with exchange.engine.begin() as conn:
        operations.retry_step(conn, exchange.view(request_id)["owed"][0]["id"], actor="test", reason="as it is")
    exchange.drain()
    assert at_bob(exchange) == ["Operate on the LEFT kidney?"] and exchange.view(request_id)["status"] == "requested"


@pytest.mark.long
def test_what_is_completed_in_the_ehr_lets_a_plain_order_go(exchange):
    chart = load_chart(exchange)
    order = exchange.put("alice", plain_order(chart))
    exchange.poll()
    request_id = only_request(exchange)
    whole = order_of(chart)
    exchange.change("alice", order, extension=whole["extension"], contained=whole["contained"])
    exchange.poll()
    assert exchange.parked(request_id) == [] and at_bob(exchange)[0] == "Operate on the LEFT kidney?"
    assert "synthetic diagnosis" in at_bob(exchange)


def test_an_order_without_a_question_never_goes_without_one(exchange):
    order = plain_order(load_chart(exchange))
    order.pop("reasonCode")
    exchange.put("alice", order)
    exchange.poll()
    request_id = only_request(exchange)
    with exchange.engine.begin() as conn:
        operations.retry_step(conn, exchange.view(request_id)["owed"][0]["id"], actor="test", reason="as it is")
    exchange.drain()
    assert exchange.parked(request_id) == ["information-missing"] and exchange.find("bob", "Task") == []


# What was changed


@pytest.mark.parametrize("form", ["resources", "documents"])
@pytest.mark.long
def test_left_to_right_reaches_the_consultant(make_exchange, form):
    exchange = make_exchange(accepts=form)
    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    words = [{**order["reasonCode"][0], "text": "Operate on the RIGHT kidney?"}]
    exchange.change("alice", order, reasonCode=words)
    exchange.poll()
    exchange.poll()
    assert at_bob(exchange)[0] == "Operate on the RIGHT kidney?"
    [task] = exchange.find("bob", "Task")
    assert {"text": "The request was corrected (version 2): question."} in task["note"]
    with exchange.engine.connect() as conn:
        assert conn.execute(select(requests.c.version)).scalar_one() == 2


@pytest.mark.long
def test_a_change_that_is_shown_late_is_followed_by_the_daily_look(exchange, monkeypatch):
    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    exchange.change("alice", order, priority="urgent")
    with exchange.engine.begin() as conn:  # the search for changes passes it by
        conn.execute(
            text("UPDATE watermarks SET value = '2036-01-01T00:00:00+00:00', updated_at = now() + interval '1 day'")
        )
    from jobs.steps import poll_requests

    monkeypatch.setattr(poll_requests, "OVERLAP", -poll_requests.OVERLAP)
    exchange.poll()
    [there] = exchange.find("bob", "ServiceRequest")
    assert there["priority"] == "routine"
    sweep_again(exchange)
    exchange.poll()
    [there] = exchange.find("bob", "ServiceRequest")
    assert there["priority"] == "urgent"


def test_another_subject_stops_everything_and_alarms(exchange):
    chart = load_chart(exchange)
    order = exchange.put("alice", order_of(chart))
    other = exchange.put(
        "alice", patient(identifier=[{"system": "urn:test:mrn", "value": "M2"}], birthDate="1970-01-01")
    )
    exchange.poll()
    request_id = only_request(exchange)
    exchange.change("alice", order, subject={"reference": f"Patient/{other['id']}"})
    exchange.poll()
    assert "order-other-patient" in causes_of(exchange, request_id)
    assert set(exchange.parked(request_id)) == {"order-other-patient"} and at_bob(exchange)[0] == "Is surgery needed?"


@pytest.mark.long
def test_what_a_person_corrected_otherwise_stays_and_is_named(exchange):
    from integration.store import requests as request_store
    from integration.store import revisions

    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    request_id = only_request(exchange)
    with exchange.engine.begin() as conn:
        content = request_store.content(request_store.get(conn, request_id))
        revisions.revise(
            conn, request_id, content.model_copy(update={"question": "Mine?"}), actor="test", reason="they phoned"
        )
    words = [{**order["reasonCode"][0], "text": "Theirs?"}]
    exchange.change("alice", order, reasonCode=words, priority="urgent")
    exchange.poll()
    [there] = exchange.find("bob", "ServiceRequest")
    assert at_bob(exchange)[0] == "Mine?" and there["priority"] == "urgent"
    assert "question was changed in the order" in causes_of(exchange, request_id)["order-change-conflict"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"status": "on-hold"}, "order-status"),
        ({"priority": "stat"}, "order-change-unread"),
        ({"reasonCode": [], "code": {"text": "something else"}}, "order-status"),
        ({"patientInstruction": "fasting"}, "order-changed"),
    ],
)
def test_what_cannot_be_followed_is_told(exchange, change, cause):
    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    exchange.change("alice", order, **change)
    exchange.poll()
    assert cause in causes_of(exchange, only_request(exchange)) and at_bob(exchange)[0] == "Is surgery needed?"


def test_an_order_that_is_gone_is_told_and_nothing_is_drawn_from_it(exchange):
    from tests.jobs.exchange import http

    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    answer = http.delete(f"{exchange.alice}/ServiceRequest/{order['id']}", timeout=10)
    if answer.status_code >= 400:
        with exchange.engine.begin() as conn:
            conn.execute(text("UPDATE orders SET reference = 'ServiceRequest/gone'"))
    sweep_again(exchange)
    exchange.poll()
    request_id = only_request(exchange)
    assert exchange.view(request_id)["status"] == "requested" and "order-gone" in causes_of(exchange)


# What is ours


@pytest.mark.parametrize(
    "mark",
    [
        {"identifier": [{"system": OURS, "value": "ServiceRequest/r1"}]},
        {"identifier": [{"system": "urn:test:bob", "value": "ServiceRequest/7"}]},
        {"meta": {"source": "{bob}/ServiceRequest/7"}},
        {"meta": {"source": "{BOB}/ServiceRequest/7/_history/2"}},
        {"meta": {"tag": [{"system": OURS, "code": "x"}]}},
    ],
)
def test_what_carries_our_mark_is_never_an_order(exchange, mark):
    if "source" in mark.get("meta", {}):
        upper = exchange.bob.replace("http://", "HTTPS://")  # as a proxy in front of it writes it
        mark = {"meta": {"source": mark["meta"]["source"].format(bob=exchange.bob, BOB=upper)}}
    exchange.put("alice", order_of(load_chart(exchange), **mark))
    exchange.poll()
    assert polled(exchange) == [] and causes_of(exchange) == {}


def test_what_we_wrote_there_is_never_an_order_also_where_the_server_dropped_our_mark(exchange):
    order = exchange.put("alice", order_of(load_chart(exchange)))
    with exchange.engine.begin() as conn:
        conn.execute(
            links.insert().values(
                endpoint="alice",
                system=OURS,
                value="ServiceRequest/r1",
                reference=f"ServiceRequest/{order['id']}",
                origin="created",
            )
        )
    other_name = "http://127.0.0.1:8080/fhir/alice/"  # also_known_as
    for base in ("", other_name, f"{exchange.alice}/"):
        based_on = [{"reference": f"{base}ServiceRequest/{order['id']}"}]
        exchange.put("alice", order_of(load_chart(exchange), basedOn=based_on))
    exchange.poll()
    assert polled(exchange) == [] and set(causes_of(exchange)) == {"order-derived"}


@pytest.mark.parametrize("own", ["{alice}", "http://127.0.0.1:8080/fhir/alice"])
def test_an_order_that_names_itself_by_an_address_of_its_own_server_is_no_mark(exchange, own):
    source = f"{own.format(alice=exchange.alice)}/ServiceRequest/7"
    order = exchange.put("alice", order_of(load_chart(exchange), meta={"source": source}))
    exchange.poll()
    assert polled(exchange) == [f"alice:ServiceRequest/{order['id']}"]


def test_an_identifier_of_the_ehr_that_only_begins_like_ours_is_no_mark(exchange):
    mine = [{"system": f"{OURS}/alice", "value": "ServiceRequest/1"}, {"system": OURS, "value": "42"}]
    order = exchange.put("alice", order_of(load_chart(exchange), identifier=mine))
    exchange.poll()
    assert polled(exchange) == [f"alice:ServiceRequest/{order['id']}"]


# Who it is


def renamed(exchange, **names: str) -> None:
    """Endpoints under other names, as after a restart."""
    renamed = {names.get(key, key): each for key, each in exchange.world.config.endpoints.items()}
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"endpoints": renamed}))
    exchange.world = replace(exchange.world, servers=type(exchange.world.servers)(exchange.world.config))
    with exchange.engine.begin() as conn:
        endpoints.register(conn, exchange.world.config)


@pytest.mark.long
def test_an_endpoint_under_another_name_takes_no_order_in_again(exchange):
    chart = load_chart(exchange)
    exchange.put("alice", order_of(chart))
    exchange.poll()
    renamed(exchange, alice="hillside")
    later = exchange.put("alice", order_of(chart))
    poll_as(exchange, "hillside")
    assert len(polled(exchange)) == 2 and f"hillside:ServiceRequest/{later['id']}" in polled(exchange)
    assert len(exchange.find("bob", "Task")) == 2


@pytest.mark.parametrize("gone", ["alice", "bob"])
@pytest.mark.parametrize("when", ["entered", "sent", "answered"])
def test_what_is_owed_to_an_endpoint_that_was_removed_says_so(exchange, gone, when):
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    if when != "entered":
        exchange.drain()
    if when == "answered":
        exchange.answer()
    renamed(exchange, **{gone: "other"})
    exchange.watch()
    assert set(exchange.parked(request_id)) == {"unknown-endpoint"}


@pytest.mark.long
def test_one_server_under_two_addresses_is_noticed_and_its_orders_are_taken_in_once(exchange):
    second = exchange.world.config.endpoints["alice"].model_copy(
        update={
            "key": "annex",
            "identifier_system": "urn:test:annex",
            "also_known_as": (),
            "hosted_practice": "",
            "base_url": exchange.alice.replace("127.0.0.1", "localhost"),
        }
    )
    configured = {**exchange.world.config.endpoints, "annex": second}
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"endpoints": configured}))
    exchange.world = replace(exchange.world, servers=type(exchange.world.servers)(exchange.world.config))
    with exchange.engine.begin() as conn:
        endpoints.register(conn, exchange.world.config)
    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    poll_as(exchange, "annex")
    assert len(polled(exchange)) == 1
    assert "annex and alice are one server" in causes_of(exchange).get("one-server", ""), causes_of(exchange)
    exchange.change("alice", order, priority="urgent")
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE orders SET came_sha256 = NULL"))
    poll_as(exchange, "annex")
    assert len(polled(exchange)) == 1


@pytest.mark.long
def test_an_order_that_was_also_entered_by_hand_is_one_request(exchange):
    from tests.jobs.exchange import a_request

    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.submit(a_request(service_request=f"ServiceRequest/{order['id']}"))
    exchange.poll()
    assert polled(exchange) == ["k1"]


@pytest.mark.long
def test_another_identifier_system_of_the_exchange_is_a_sentence_at_start(exchange):
    config = exchange.config.model_copy(
        update={"exchange": exchange.config.exchange.model_copy(update={"identifier_system": "urn:new"})}
    )
    with exchange.engine.begin() as conn, pytest.raises(SystemChanged, match="Set it back to the first one"):
        endpoints.register(conn, config)


# What is odd


ODD = [
    {
        "contained": [
            {"resourceType": "Practitioner", "id": "x", "identifier": [{"system": "http://x\ud800", "value": "1"}]}
        ],
        "requester": {"reference": "#x"},
    },
    {"identifier": "text"},
    {"requester": {"display": "\ud800"}, "reasonCode": [{**SECOND_OPINION, "text": "why \ud800?"}]},
    {"subject": "Patient/1"},
    {"subject": {"reference": 5}},
    {"contained": [5, None, {"id": 5}]},
    {"performer": "x", "performerType": [5]},
    {"extension": {"url": 5}},
    {"reasonCode": {"coding": "x", "text": 5}},
    {"occurrencePeriod": 5},
    {"authoredOn": ["x"]},
    {"meta": []},
    {"meta": {"lastUpdated": 5, "tag": 5}},
    {"id": "\ud800"},
    {"id": 5},
    {"basedOn": 5, "replaces": [None], "requisition": []},
    {"supportingInfo": [{"reference": "Communication/" + "x" * 300}]},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_order_stops_no_other(make_exchange, odd):
    import json

    from tests.servers.lying import LyingProxy

    def tell(method, path, answer):
        status, headers, body = answer
        if method != "GET" or "/ServiceRequest?" not in path or status != 200:
            return answer
        bundle = json.loads(body)
        good = bundle["entry"][0]["resource"]
        nested: dict = {"url": "x"}
        for _ in range(150):
            nested = {"url": "x", "extension": [nested]}
        deep = {**good, "id": "deep", "extension": [*good["extension"], nested]}
        bundle["entry"] = [
            {"resource": {**good, "id": "odd", **odd}},
            {"resource": deep},
            {"search": {}},
            *bundle["entry"],
        ]
        kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "etag")]
        return status, kept, json.dumps(bundle).encode()

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=tell)})
    order = exchange.put("alice", order_of(load_chart(exchange, observations=1)))
    with exchange.engine.begin() as conn:
        steps.create(conn, "poll_requests", "alice")
    exchange.drain()
    assert f"alice:ServiceRequest/{order['id']}" in polled(exchange)
    with exchange.engine.connect() as conn:
        assert set(conn.execute(select(step_table.c.status).where(step_table.c.kind == "poll_requests")).scalars()) == {
            "done"
        }
        assert "internal-error" not in set(conn.execute(select(findings.c.cause)).scalars())


@pytest.mark.long
def test_names_that_no_address_holds():
    assert (
        not is_address("ServiceRequest/..") and not is_address("ServiceRequest/a b") and is_address("ServiceRequest/1")
    )


@pytest.mark.long
def test_orders_are_known_by_the_keys_of_older_workers_too(exchange):
    order = exchange.put("alice", order_of(load_chart(exchange)))
    exchange.poll()
    with exchange.engine.begin() as conn:
        conn.execute(text("DELETE FROM orders"))
        found = orders.known(conn, ["alice"], [f"ServiceRequest/{order['id']}"])
    assert [each.placer for each in found.values()] == ["alice"]
    exchange.poll()
    assert len(polled(exchange)) == 1 and exchange.parked(only_request(exchange)) == []
