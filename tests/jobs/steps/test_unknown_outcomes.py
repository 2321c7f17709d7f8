"""Answers that never come, servers without or with a false conditional create, late indexes, silent changes."""

import json
import re

import pytest

from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy, swallow_first_writes

pytestmark = pytest.mark.postgres


def each_once(exchange, chart):
    for each in chart.values():
        found = exchange.find(
            "bob", each["resourceType"], identifier=f"urn:test:alice|{each['resourceType']}/{each['id']}"
        )
        assert len(found) == 1, f"{len(found)} x {each['resourceType']}"


def loop(exchange):
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    return request_id, chart


@pytest.mark.parametrize("ignores_conditions", [False, True], ids=["honest", "ignores conditions"])
@pytest.mark.parametrize(
    "capabilities",
    ["{}", "{transaction: false}", "{conditional_create: false}", "{conditional_create: false, transaction: false}"],
)
def test_swallowed_answers_double_nothing(make_exchange, capabilities, ignores_conditions):
    def without_conditions(method, path, headers, body):
        """Some servers ignore the condition, whatever they say of themselves."""
        if ignores_conditions:
            del headers["If-None-Exist"]
            body = re.sub(rb',"ifNoneExist":"[^"]*"', b"", body)
        return body

    exchange = make_exchange(
        capabilities=capabilities,
        before={"bob": lambda url: LyingProxy(url, ask=without_conditions, tell=swallow_first_writes(4))},
    )
    request_id, chart = loop(exchange)
    view = exchange.view(request_id)
    assert view["records"] == "verified", view["owed"]
    each_once(exchange, chart)
    assert len(exchange.find("bob", "Task")) == len(exchange.find("bob", "ServiceRequest")) == 1
    assert [each for each in view["attempts"] if each["outcome"] == "unknown"]


def test_a_swallowed_report_is_returned_once(make_exchange):
    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=swallow_first_writes(1))})
    request_id, _ = loop(exchange)
    exchange.answer()
    exchange.watch()
    view = exchange.view(request_id)
    assert view["closed"]
    reports = [each for each in exchange.find("alice", "DocumentReference") if "11488-4" in json.dumps(each)]
    assert len(reports) == 1


@pytest.mark.long
def test_an_empty_body_with_a_location_is_enough(make_exchange):
    def empty(method, path, answer):
        status, headers, body = answer
        return (status, headers, b"") if method == "POST" and not path.endswith("/bob") else answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=empty)})
    request_id, chart = loop(exchange)
    assert exchange.view(request_id)["verified"] == len(chart)


def test_a_silently_changed_value_is_found_by_the_read_back(make_exchange):
    def change(method, path, headers, body):
        return body.replace(b'"value":1.5', b'"value":1.6', 1) if method == "POST" else body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=change)})
    request_id, _ = loop(exchange)
    assert exchange.parked(request_id) == ["verify-different"]
    assert exchange.find("bob", "Task") == []


def test_a_silently_dropped_element_is_found_by_the_read_back(make_exchange):
    def drop(method, path, headers, body):
        return re.sub(rb',"valueQuantity":\{[^}]*\}', b"", body, count=1) if method == "POST" else body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=drop)})
    request_id, _ = loop(exchange)
    assert exchange.parked(request_id) == ["verify-different"]


def test_an_index_that_is_late_is_waited_for_and_nothing_is_sent_again(make_exchange):
    blind = [12]

    def late(method, path, answer):
        if method == "GET" and "identifier=" in path and "/Patient" not in path and blind[0] > 0:
            blind[0] -= 1
            return answer[0], answer[1], b'{"resourceType":"Bundle","type":"searchset","entry":[]}'
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=late)})
    request_id, chart = loop(exchange)
    assert exchange.view(request_id)["verified"] == len(chart)
    each_once(exchange, chart)


def test_a_server_that_loses_what_it_accepted_is_told_to_a_person_and_nothing_is_resent(make_exchange):
    def lose(method, path, answer):
        if method == "GET" and "/Observation" in path:
            return (
                (404, [("Content-Type", "application/fhir+json")], b'{"resourceType":"OperationOutcome","issue":[]}')
                if "?" not in path
                else (200, answer[1], b'{"resourceType":"Bundle","type":"searchset"}')
            )
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=lose)})
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain(hurry=False)  # while the index may lag it waits, and spends no attempt in a hurry
    exchange.later(minutes=5)
    exchange.watch()
    assert exchange.parked(request_id) == ["verify-missing"]


def test_a_dead_endpoint_opens_its_breaker_and_is_probed_later(make_exchange):
    down = [True]

    def dead(method, path, headers, body):
        return (
            (
                503,
                [("Content-Type", "application/fhir+json"), ("Retry-After", "1")],
                b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"transient"}]}',
            )
            if down[0]
            else body
        )

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=dead)})
    chart = load_chart(exchange)
    ids = [exchange.submit(a_request(key=f"k{number}")) for number in range(3)]
    exchange.drain()
    from sqlalchemy import select, text, update

    from integration.store.tables import endpoints

    with exchange.engine.connect() as conn:
        assert conn.execute(select(endpoints.c.breaker).where(endpoints.c.key == "bob")).scalar_one() == "half-open"
    down[0] = False
    for _ in range(6):
        with exchange.engine.begin() as conn:
            conn.execute(update(endpoints).values(breaker_until=text("now() - interval '1 second'")))
        exchange.drain()
    assert [exchange.view(each)["verified"] for each in ids] == [len(chart)] * 3, [
        exchange.view(each)["owed"] for each in ids
    ]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((200, [("Content-Type", "text/html")], b"<html>login</html>"), "endpoint-unusable"),
        (
            (
                200,
                [("Content-Type", "application/fhir+json")],
                b'{"resourceType":"CapabilityStatement","fhirVersion":"5.0.0"}',
            ),
            "endpoint-unusable",
        ),
        (
            (200, [("Content-Type", "application/fhir+json")], b'{"resourceType":"Conformance","fhirVersion":"1.0.2"}'),
            "endpoint-unusable",
        ),
    ],
)
def test_an_endpoint_that_is_no_r4_server_is_said_before_anything_is_read(make_exchange, answer, cause):
    exchange = make_exchange(
        before={
            "alice": lambda url: LyingProxy(
                url, ask=lambda method, path, headers, body: answer if path.endswith("/metadata") else body
            )
        }
    )
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == [cause]
    assert exchange.find("bob", "Patient") == []


@pytest.mark.parametrize("lie", ["other origin", "loop"])
def test_a_server_that_lies_about_paging_makes_no_smaller_packet(make_exchange, lie):
    def lying(method, path, answer):
        if method == "GET" and "/Observation?" in path:
            bundle = json.loads(answer[2])
            url = "http://elsewhere.example/fhir?page=2" if lie == "other origin" else path
            bundle["link"] = [{"relation": "next", "url": url}]
            return answer[0], answer[1], json.dumps(bundle).encode()
        return answer

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=lying)})
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["record-partial"]


@pytest.mark.long
def test_a_subsetted_resource_makes_no_packet(exchange):
    chart = load_chart(exchange)
    exchange.change(
        "alice",
        chart["observation-1"],
        meta={"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]},
    )
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["record-partial"]


@pytest.mark.long
def test_a_dangling_reference_is_a_finding_and_the_rest_travels(exchange):
    chart = load_chart(exchange)
    exchange.change("alice", chart["observation-1"], performer=[{"reference": "Practitioner/never-was"}])
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.view(request_id)["verified"] == len(chart)
    assert "reference-unresolved" in exchange.causes()


def test_a_wrong_attachment_hash_makes_no_packet(exchange):
    chart = load_chart(exchange)
    attachment = {**chart["document"]["content"][0]["attachment"], "hash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    exchange.change("alice", chart["document"], content=[{"attachment": attachment}])
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["record-partial"]


@pytest.mark.long
def test_an_attachment_too_large_for_the_target_waits_for_a_person(make_exchange):
    import requests as http

    exchange = make_exchange(capabilities="{binary_create: false}")
    chart = load_chart(exchange)
    binary = http.post(
        f"{exchange.alice}/Binary", data=b"x" * 300_000, headers={"Content-Type": "text/plain"}, timeout=10
    )
    url = binary.headers["Location"].split("/_history")[0].split("/fhir/alice/")[-1]
    exchange.change("alice", chart["document"], content=[{"attachment": {"contentType": "text/plain", "url": url}}])
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["attachment-too-large"]


@pytest.mark.parametrize(
    ("capabilities", "ignores_conditions"),
    [("{}", True), ("{transaction: false}", False), ("{conditional_create: false, transaction: false}", True)],
)
def test_what_has_its_own_only_identifier_is_recognised_by_it(make_exchange, capabilities, ignores_conditions):
    """A QuestionnaireResponse or Composition has one identifier; where that is taken, ours is nowhere on it."""
    swallowed = []

    def without_conditions(method, path, headers, body):
        if ignores_conditions:
            del headers["If-None-Exist"]
            body = re.sub(rb',"ifNoneExist":"[^"]*"', b"", body)
        return body

    def swallow_theirs(method, path, answer):
        made = path + answer[2].decode() if method == "POST" else ""
        kinds = [kind for kind in ("QuestionnaireResponse", "Composition") if kind in made and kind not in swallowed]
        swallowed.extend(kinds)
        return None if kinds else answer

    exchange = make_exchange(
        capabilities=capabilities,
        before={"bob": lambda url: LyingProxy(url, ask=without_conditions, tell=swallow_theirs)},
    )
    chart = load_chart(exchange, observations=1)
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    own = {
        "system": "urn:ietf:rfc:3986",
        "value": "urn:uuid:5f1c2d8e-0000-4000-8000-00000000000a",
    }  # one number for both types
    exchange.put(
        "alice", {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": subject, "identifier": own}
    )
    exchange.put(
        "alice",
        {
            "resourceType": "Composition",
            "status": "final",
            "subject": subject,
            "identifier": own,
            "title": "letter",
            "type": {"text": "letter"},
            "date": "2026-01-01",
            "author": [{"display": "synthetic"}],
        },
    )
    request_id = exchange.submit(a_request())
    exchange.drain()
    view = exchange.view(request_id)
    assert swallowed and view["records"] == "verified", view["owed"]
    for kind in ("QuestionnaireResponse", "Composition"):
        assert len(exchange.find("bob", kind)) == 1, kind
    assert "duplicate-at-target" not in exchange.causes()
