"""Servers that ignore what they are asked: nothing foreign is linked, gathered, matched, written over or sent."""

import json

import pytest
from sqlalchemy import select

from integration.store import operations
from integration.store.tables import links, requests
from tests.jobs.exchange import a_request, load_chart, patient, report_on
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy, ignoring_searches, matching_anything

pytestmark = pytest.mark.postgres
WORDS = "of-a-stranger"


def strangers(exchange, where: str) -> dict[str, dict]:
    """One of everything that is nothing to us, about somebody else or about nobody; ``{Type/id: resource as stored}``."""
    person = exchange.put(where, patient(identifier=[{"system": "urn:x", "value": "9"}], name=[{"family": WORDS}]))
    subject = {"reference": f"Patient/{person['id']}", "display": WORDS}
    order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "code": {"text": WORDS}}
    order = exchange.put(where, {**order, "subject": subject})
    focus = {"reference": f"ServiceRequest/{order['id']}"}
    coded = {"status": "final", "code": {"text": WORDS}}
    note = {"attachment": {"contentType": "text/plain", "data": "eA==", "title": WORDS}}
    late = {"type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}, "status": "current"}
    others = [
        {"resourceType": "Practitioner", "name": [{"family": WORDS}]},
        {"resourceType": "Organization", "name": WORDS},
        {"resourceType": "Location", "name": WORDS},
        {"resourceType": "Observation", **coded, "subject": subject},
        {"resourceType": "Observation", **coded},
        {"resourceType": "Observation", **coded, "subject": {"reference": "Group/1", "display": WORDS}},
        {"resourceType": "Condition", "code": {"text": WORDS}, "subject": subject},
        {"resourceType": "Encounter", "status": "finished", "subject": subject, "class": {"code": "AMB"}},
        {"resourceType": "DocumentReference", **late, "subject": subject, "content": [note]},
        {"resourceType": "Communication", "status": "completed", "subject": subject, "payload": [{"contentString": WORDS}]},
        {"resourceType": "Task", "status": "received", "intent": "order", "for": subject, "focus": focus},
    ]  # fmt: skip
    made = [person, order, *(exchange.put(where, each) for each in others)]
    return {f"{each['resourceType']}/{each['id']}": each for each in made}


def must_stand(exchange, where: str, before: dict[str, dict]) -> None:
    """Nothing of the strangers was touched, linked, or is anywhere else."""
    for name, each in before.items():
        kind, logical_id = name.split("/")
        assert exchange.find(where, kind, _id=logical_id) == [each], name
    with exchange.engine.connect() as conn:
        linked = set(conn.execute(select(links.c.reference).where(links.c.endpoint == where)).scalars())
    assert not linked & before.keys()


def must_hold_nothing_of(exchange, where: str, others: dict[str, dict]) -> None:
    known = {json.dumps(each, sort_keys=True) for each in others.values()}
    kinds = {name.split("/")[0] for name in others}
    held = [each for kind in sorted(kinds) for each in exchange.find(where, kind)]
    came = [each for each in held if WORDS in json.dumps(each) and json.dumps(each, sort_keys=True) not in known]
    assert came == []


@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.parametrize("capabilities", ["{}", "{conditional_create: false, transaction: false}"])
def test_two_servers_that_ignore_every_parameter_show_us_nothing_that_is_taken_for_ours(
    make_exchange, accepts, capabilities
):
    exchange = make_exchange(
        accepts=accepts,
        capabilities=capabilities,
        patients="match",
        before={"alice": ignoring_searches, "bob": ignoring_searches},
    )
    chart = load_chart(exchange, observations=2)
    at_alice, at_bob = strangers(exchange, "alice"), strangers(exchange, "bob")
    exchange.put("bob", patient())
    order = exchange.put("alice", order_of(chart))
    focus = {"reference": f"ServiceRequest/{order['id']}"}
    mirror = exchange.put("alice", {"resourceType": "Task", "status": "draft", "intent": "order", "focus": focus})
    exchange.poll()
    with exchange.engine.connect() as conn:
        [request_id] = conn.execute(select(requests.c.id)).scalars()
    assert exchange.view(request_id)["records"] == "verified", exchange.view(request_id)["owed"]
    if accepts == "resources":
        assert len(exchange.find("bob", "Observation")) == 2 + 3
    at_alice |= strangers(exchange, "alice")
    exchange.watch()  # of the chart: a search by `_lastUpdated` that shows everything
    made = exchange.answer()
    exchange.watch()
    exchange.watch()
    assert exchange.view(request_id)["closed"], exchange.view(request_id)["owed"]
    returned = [each for each in exchange.find("alice", "DocumentReference") if "11488-4" in json.dumps(each)]
    assert len([each for each in returned if WORDS not in json.dumps(each)]) == 1 and made
    [mirrored] = exchange.find("alice", "Task", _id=mirror["id"])
    assert mirrored["status"] == "completed"
    for where, mine, others in (("alice", at_alice, at_bob), ("bob", at_bob, at_alice)):
        must_stand(exchange, where, mine)
        must_hold_nothing_of(exchange, where, others | mine)
    assert {"other-patient", "search-ignored"} <= exchange.causes()


def test_a_report_that_nobody_named_is_not_found_among_those_of_strangers(make_exchange):
    exchange = make_exchange(patients="match", before={"bob": ignoring_searches})
    load_chart(exchange, observations=1)
    exchange.put("bob", patient())
    request_id = exchange.submit(a_request())
    exchange.drain()
    others = strangers(exchange, "bob")
    stranger = next(each for name, each in others.items() if name.startswith("Task/"))
    exchange.put("bob", report_on(stranger, WORDS))
    [task] = [each for each in exchange.find("bob", "Task") if each["id"] != stranger["id"]]
    for status in ("accepted", "in-progress", "completed"):
        task = exchange.change("bob", task, status=status)
    exchange.watch()
    assert exchange.parked(request_id) == [] and not exchange.view(request_id)["closed"]
    assert exchange.find("alice", "DocumentReference", type="11488-4") == []


@pytest.mark.parametrize("which", ["Practitioner", "Encounter", "ServiceRequest"])
@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
@pytest.mark.every
def test_a_create_that_is_answered_with_a_stranger_links_nothing_and_asks_a_person(make_exchange, capabilities, which):
    others: dict[str, dict] = {}

    def whatever(kind: str) -> str | None:
        return next((each for each in others if kind == which and each.startswith(f"{kind}/")), None)

    def before(url):
        proxy = matching_anything(url, whatever)
        proxy.tell = in_transactions(whatever)
        return proxy

    exchange = make_exchange(capabilities=capabilities, patients="match", before={"bob": before})
    load_chart(exchange, observations=2)
    others |= {name: each for name, each in strangers(exchange, "bob").items() if not name.startswith("Patient/")}
    exchange.put("bob", patient())
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["condition-ignored"]
    must_stand(exchange, "bob", others)
    exchange.proxies["bob"].ask = lambda method, path, headers, body: body
    exchange.proxies["bob"].tell = lambda method, path, answer: answer
    with exchange.engine.begin() as conn:
        for step in exchange.view(request_id)["owed"]:
            if step["status"] == "parked":
                operations.retry_step(conn, step["id"], actor="test")
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified", exchange.view(request_id)["owed"]
    must_stand(exchange, "bob", others)


def in_transactions(whatever):
    """The same inside a transaction: what was made there is called by the name of a stranger."""

    def tell(method, path, answer):
        status, headers, body = answer
        if method != "POST" or b"transaction-response" not in body:
            return answer
        bundle = json.loads(body)
        for entry in bundle["entry"]:
            kind = entry["response"]["location"].rpartition("/_history")[0].split("/")[-2]
            if (there := whatever(kind)) is not None:
                entry["response"] |= {"status": "200 OK", "location": f"{there}/_history/1"}
                entry.pop("resource", None)
        return status, headers, json.dumps(bundle).encode()

    return tell


def test_a_read_that_is_answered_with_another_resource_of_the_type_is_written_over_by_nobody(make_exchange):
    swapped: dict[str, str] = {}

    def ask(method, path, headers, body):
        if method == "GET" and path.rpartition("/fhir/bob/")[2] in swapped:
            other = swapped[path.rpartition("/fhir/bob/")[2]]
            return 200, [("Content-Type", "application/fhir+json")], other.encode()
        return body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=ask)})
    chart = load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    others = strangers(exchange, "bob")
    name, stranger = next((name, each) for name, each in others.items() if name.startswith("Condition/"))
    [ours] = [each for each in exchange.find("bob", "Condition") if f"Condition/{each['id']}" != name]
    swapped[f"Condition/{ours['id']}"] = json.dumps(stranger)
    exchange.change("alice", chart["condition"], code={"text": "corrected"})
    exchange.watch()
    assert "wrong-resource" in str(exchange.view(request_id)), exchange.view(request_id)["owed"]
    must_stand(exchange, "bob", others)
