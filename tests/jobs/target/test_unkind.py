"""The whole loop against a server that is not ours: it pages, names itself by an address nobody reaches, writes narrative, renames
what is contained, ignores parameters, is late, and refuses inside an answer that says 200."""

import time

import pytest

from integration.store import operations
from tests.jobs.exchange import a_request, load_chart
from tests.jobs.target.test_resources import sent
from tests.servers.unkind import Unkind

pytestmark = pytest.mark.postgres


@pytest.fixture
def unkind(make_exchange):
    """Makes an Exchange whose Dr Bob has such a server; gives both."""
    servers = []

    def make(*, capabilities="{}", **habits):
        servers.append(Unkind(**habits))
        return make_exchange(bob=servers[-1].url, capabilities=capabilities), servers[-1]

    yield make
    for each in servers:
        each.__exit__()


def named(server: Unkind, item: dict) -> list[dict]:
    return server.named("urn:test:alice", f"{item['resourceType']}/{item['id']}")


def why(exchange, request_id: str) -> object:
    """What parked, and what was found: shown when a test fails."""
    found = {(each["cause"], each["path"], each["message"]) for each in exchange.view(request_id)["findings"]}
    return exchange.parked(request_id), sorted(each for each in found if each[0] != "type-not-offered")


def submitted_and_waited_for(exchange) -> str:
    """A request, worked on by the real clock until its records are verified or parked."""
    request_id = exchange.submit(a_request())
    for _ in range(40):
        exchange.drain(hurry=False)
        if exchange.view(request_id)["records"] == "verified" or exchange.parked(request_id):
            break
        time.sleep(0.25)
    return request_id


def with_contained(exchange, chart) -> dict:
    """A prescription whose medicine stands inside it."""
    return exchange.put(
        "alice",
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{chart['patient']['id']}"},
            "contained": [{"resourceType": "Medication", "id": "med", "code": {"text": "synthetic"}}],
            "medicationReference": {"reference": "#med"},
        },
    )


@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}", "{conditional_create: false}"])
def test_a_chart_with_corrections_and_a_second_request_travel_whole_and_once(unkind, capabilities):
    exchange, bob = unkind(capabilities=capabilities)
    chart = load_chart(exchange)
    medicine = with_contained(exchange, chart)
    first = sent(exchange)
    assert exchange.view(first)["records"] == "verified", why(exchange, first)
    [observation] = named(bob, chart["observation-1"])
    bob.put({**observation, "note": [{"text": "theirs"}]})
    exchange.change("alice", chart["observation-1"], status="corrected", valueQuantity={"value": 9, "unit": "g/dL"})
    exchange.change("alice", medicine, status="stopped")
    exchange.watch()
    [observation] = named(bob, chart["observation-1"])
    assert observation["status"] == "corrected" and observation["note"] == [{"text": "theirs"}]
    assert [each["status"] for each in named(bob, medicine)] == ["stopped"]
    exchange.change("alice", chart["observation-2"], note=[{"text": "specimen hemolyzed"}])
    second = sent(exchange, key="k2")
    assert exchange.view(second)["records"] == "verified", why(exchange, second)
    assert named(bob, chart["observation-2"])[0]["note"] == [{"text": "specimen hemolyzed"}]
    assert not exchange.parked(first) and not exchange.parked(second)
    assert len(bob.of("Observation")) == 5 and len(bob.of("Patient")) == 1
    [encounter], [condition] = bob.of("Encounter"), bob.of("Condition")
    assert condition["encounter"]["reference"] == f"Encounter/{encounter['id']}"
    assert encounter["diagnosis"][0]["condition"]["reference"] == f"Condition/{condition['id']}"


@pytest.mark.parametrize("in_200", [True, False], ids=["inside an answer of 200", "all of it"])
@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
def test_a_refused_record_is_named_and_all_others_are_written(unkind, in_200, capabilities):
    exchange, bob = unkind(
        capabilities=capabilities,
        in_200=in_200,
        refuse=lambda each: "no" if each.get("code") == {"text": "lab 3"} else None,
    )
    chart = load_chart(exchange)
    request_id = sent(exchange)
    assert exchange.parked(request_id) == ["record-refused"]
    [step] = [each for each in exchange.view(request_id)["owed"] if each["status"] == "parked"]
    assert f"Observation/{chart['observation-3']['id']}" in step["message"] and step["attempts"] == 1
    assert len(bob.of("Observation")) == 4 and not named(bob, chart["observation-3"])
    assert all(len(named(bob, each)) == 1 for name, each in chart.items() if name not in ("observation-3", "patient"))


def test_what_points_to_a_refused_record_travels_without_it(unkind):
    exchange, bob = unkind(refuse=lambda each: "no" if each.get("code") == {"text": "lab 3"} else None)
    chart = load_chart(exchange)
    pointing = exchange.change(
        "alice", chart["observation-4"], hasMember=[{"reference": f"Observation/{chart['observation-3']['id']}"}]
    )
    sent(exchange)
    [there] = named(bob, pointing)
    assert there["hasMember"][0]["identifier"]["value"] == f"Observation/{chart['observation-3']['id']}"


def test_a_record_that_makes_the_server_fail_is_found_and_named(unkind):
    exchange, bob = unkind(crash=lambda each: each.get("code") == {"text": "lab 3"})
    chart = load_chart(exchange)
    request_id = sent(exchange)
    assert exchange.parked(request_id) == ["record-refused"]
    assert len(bob.of("Observation")) == 4 and not named(bob, chart["observation-3"])


@pytest.mark.long
def test_a_server_that_refuses_everything_is_not_asked_for_each_record(unkind):
    exchange, bob = unkind(refuse=lambda each: "no" if each["resourceType"] == "Observation" else None)
    load_chart(exchange, observations=60)
    request_id = sent(exchange)
    assert exchange.parked(request_id) and len(bob.writes()) < 120


@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
def test_a_search_by_identifier_that_is_ignored_finds_nothing(unkind, capabilities):
    """It answers with everything there is, and conditional creates with it: what it answers belongs to others."""
    exchange, bob = unkind(
        capabilities=capabilities, ignores={"Observation": {"identifier"}, "Encounter": {"identifier"}}
    )
    for number in range(3):
        bob.put({"resourceType": "Observation", "status": "final", "code": {"text": f"of bob {number}"}})
        bob.put({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}})
    chart = load_chart(exchange)
    request_id = sent(exchange)
    assert exchange.view(request_id)["records"] == "verified", why(exchange, request_id)
    second = sent(exchange, key="k2")
    assert exchange.view(second)["records"] == "verified", why(exchange, second)
    assert len(bob.of("Observation")) == 8 and len(named(bob, chart["observation-1"])) == 1
    assert all(each["code"]["text"].startswith("of bob") or each["subject"] for each in bob.of("Observation"))


@pytest.mark.long
def test_an_index_that_is_late_is_waited_for(unkind):
    exchange, bob = unkind(late=0.5)
    load_chart(exchange)
    request_id = submitted_and_waited_for(exchange)
    assert exchange.view(request_id)["records"] == "verified", why(exchange, request_id)
    assert len(bob.of("Observation")) == 5


@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
def test_an_index_later_than_the_lag_is_no_other_patient(unkind, capabilities):
    """What is read back by id names the server's inner address: known from where it said that it keeps what was written."""
    exchange, bob = unkind(late=3600, capabilities=capabilities)
    load_chart(exchange)
    request_id = submitted_and_waited_for(exchange)
    assert exchange.view(request_id)["records"] == "verified", why(exchange, request_id)
    exchange.drain(hurry=False)
    assert len(bob.of("ServiceRequest")) == 1 and not exchange.parked(request_id), why(exchange, request_id)
    assert "address-learned" in exchange.causes()


@pytest.mark.long
def test_an_address_that_the_server_does_not_show_is_not_its_own(unkind):
    def answer(method, path, status, body):
        if method == "GET" and "/Observation/" in path:
            body = {**body, "subject": {"reference": body["subject"]["reference"].replace("inner.", "another.")}}
        return status, body

    exchange, _ = unkind(late=3600, answer=answer)
    load_chart(exchange)
    request_id = submitted_and_waited_for(exchange)
    assert exchange.parked(request_id) == ["verify-different"] and "other-patient" in exchange.causes()


@pytest.mark.long
def test_a_doubled_practitioner_parks_nothing(unkind):
    exchange, bob = unkind()
    chart = load_chart(exchange)
    ours = {"system": "urn:test:alice", "value": f"Practitioner/{chart['practitioner']['id']}"}
    doubles = [bob.put({"resourceType": "Practitioner", "id": name, "identifier": [ours]}) for name in ("b", "a")]
    request_id = sent(exchange)
    assert exchange.view(request_id)["records"] == "verified", why(exchange, request_id)
    assert "duplicate-at-target" in exchange.causes() and len(bob.of("Practitioner")) >= len(doubles)
    [encounter] = bob.of("Encounter")
    assert encounter["participant"][0]["individual"]["reference"] == "Practitioner/a"


def test_a_lost_answer_to_what_no_identifier_finds_is_looked_up_by_patient(unkind):
    lost = [1]

    def answer(method, path, status, body):
        if method == "POST" and path.rstrip("/").endswith("/fhir") and lost[0]:
            lost[0] -= 1
            return 504, None
        return status, body

    exchange, bob = unkind(answer=answer)
    chart = load_chart(exchange)
    exchange.put(
        "alice",
        {
            "resourceType": "AdverseEvent",
            "actuality": "actual",
            "subject": {"reference": f"Patient/{chart['patient']['id']}"},
            "event": {"text": "rash"},
        },
    )
    request_id = exchange.submit(a_request(records={"types": ["AdverseEvent", "Observation"]}))
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified", why(exchange, request_id)
    assert len(bob.of("AdverseEvent")) == 1 and len(bob.of("Observation")) == 5


@pytest.mark.parametrize("deaf", [("Task",), ()], ids=["deaf", "obedient"])
def test_a_cancellation_that_is_taken_and_not_done_is_told_as_an_error(unkind, deaf):
    exchange, server = unkind()
    load_chart(exchange)
    request_id = submitted_and_waited_for(exchange)
    server.habits["deaf"] = deaf
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="the patient withdrew")
    exchange.drain()
    found = {each["severity"] for each in exchange.view(request_id)["findings"] if each["cause"] == "cancel-not-taken"}
    assert (found, exchange.view(request_id)["status"]) == ({"error"} if deaf else set(), "cancelled")
