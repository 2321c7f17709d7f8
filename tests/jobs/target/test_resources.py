"""Records at an endpoint that takes resources: corrections, second requests, what the other side added, what it refuses."""

import json

import pytest
from sqlalchemy import text

from integration.store import operations
from tests.jobs.exchange import a_request, load_chart, patient

pytestmark = pytest.mark.postgres


def at_bob(exchange, item: dict) -> list[dict]:
    return exchange.find("bob", item["resourceType"], identifier=f"urn:test:alice|{item['resourceType']}/{item['id']}")


def sent(exchange, **fields) -> str:
    request_id = exchange.submit(a_request(**fields))
    exchange.drain()
    return request_id


def of_exchange(exchange, sql: str, **values):
    with exchange.engine.begin() as conn:
        return conn.execute(text(sql), values).all() if sql.startswith("select") else conn.execute(text(sql), values)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "corrected", "valueQuantity": {"value": 9.5, "unit": "g/dL"}},
        {"note": [{"text": "specimen hemolyzed, disregard"}]},
        {"bodySite": {"text": "left"}},
    ],
    ids=["a value", "a note", "another element"],
)
def test_a_second_request_carries_what_was_corrected_since_the_first(exchange, change):
    chart = load_chart(exchange)
    sent(exchange)
    exchange.change("alice", chart["observation-3"], **change)
    second = sent(exchange, key="k2")
    [there] = at_bob(exchange, chart["observation-3"])
    assert exchange.view(second)["records"] == "verified" and not exchange.parked(second)
    assert {name: there[name] for name in change} == change


@pytest.mark.long
def test_a_third_and_a_fourth_request_find_everything_as_it_should_be(exchange):
    """Each request's order is mirrored into the chart, which is then another one."""
    load_chart(exchange)
    for number in range(3):
        request_id = sent(exchange, key=f"k{number}")
        exchange.answer()
        exchange.watch()
        assert exchange.view(request_id)["closed"] and not exchange.parked(request_id)


def test_a_second_request_writes_nothing_anew_that_did_not_change(exchange):
    chart = load_chart(exchange)
    sent(exchange)
    before = {each["id"]: each["meta"]["versionId"] for each in exchange.find("bob", "Observation")}
    sent(exchange, key="k2")
    assert {each["id"]: each["meta"]["versionId"] for each in exchange.find("bob", "Observation")} == before
    assert len(at_bob(exchange, chart["observation-1"])) == 1


def test_an_older_delta_retried_does_not_undo_a_newer_one(exchange):
    chart = load_chart(exchange)
    first, second = sent(exchange), sent(exchange, key="k2")
    observation = exchange.change("alice", chart["observation-3"], valueQuantity={"value": 2, "unit": "g/dL"})

    def look_again(request_id):
        of_exchange(
            exchange,
            "update steps set next_attempt_at = now() where kind = 'watch_chart' and request_id = :id",
            id=request_id,
        )
        exchange.drain()

    with exchange.engine.begin() as conn:
        operations.pause(conn, "bob", True, actor="t", reason="r")
    look_again(first)
    [(delivery,)] = of_exchange(
        exchange,
        "select delivery_id from steps where request_id = :id and kind in ('match_people', 'push_records') and status <> 'done'",
        id=first,
    )
    with exchange.engine.begin() as conn:
        operations.park_delivery(conn, delivery, actor="t", reason="agree with the lab first")
        operations.pause(conn, "bob", False, actor="t")
    exchange.change("alice", observation, valueQuantity={"value": 3, "unit": "g/dL"})
    look_again(second)
    with exchange.engine.begin() as conn:
        operations.retry_delivery(conn, delivery, actor="t", reason="r")
    exchange.drain()
    assert at_bob(exchange, observation)[0]["valueQuantity"]["value"] == 3
    assert exchange.view(first)["records"] == "verified" and "newer-at-target" in exchange.causes()


def test_a_correction_keeps_what_the_fulfiller_added(exchange):
    chart = load_chart(exchange)
    request_id = sent(exchange)
    [there] = exchange.find("bob", "Patient")
    mine = {"system": "urn:bob:mrn", "value": "B-77"}
    exchange.change(
        "bob", there, identifier=[*there["identifier"], mine], telecom=[{"system": "phone", "value": "555"}]
    )
    [observation] = at_bob(exchange, chart["observation-1"])
    exchange.change("bob", observation, note=[{"text": "reviewed: artefact"}])
    exchange.change("alice", chart["patient"], address=[{"city": "Elsewhere"}])
    first = exchange.change("alice", chart["observation-1"], valueQuantity={"value": 1.6, "unit": "g/dL"})
    exchange.watch()
    exchange.change("alice", first, valueQuantity={"value": 1.7, "unit": "g/dL"})
    exchange.watch()  # what was kept the first time is not taken for ours the second time
    [now] = exchange.find("bob", "Patient")
    assert mine in now["identifier"] and now["telecom"] and now["address"] == [{"city": "Elsewhere"}]
    [observation] = at_bob(exchange, chart["observation-1"])
    assert observation["note"] == [{"text": "reviewed: artefact"}] and observation["valueQuantity"]["value"] == 1.7
    assert exchange.view(request_id)["records"] == "verified" and not exchange.parked(request_id)


def test_what_both_sides_changed_waits_for_a_person_and_all_else_goes_on(exchange):
    chart = load_chart(exchange)
    request_id = sent(exchange)
    [there] = at_bob(exchange, chart["observation-1"])
    exchange.change("bob", there, valueQuantity={**there["valueQuantity"], "value": 7})
    for name in ("observation-1", "observation-2"):
        exchange.change("alice", chart[name], valueQuantity={"value": 9, "unit": "g/dL"})
    exchange.watch()
    assert exchange.parked(request_id) == ["changed-at-target"]
    assert at_bob(exchange, chart["observation-1"])[0]["valueQuantity"]["value"] == 7
    assert at_bob(exchange, chart["observation-2"])[0]["valueQuantity"]["value"] == 9


@pytest.mark.long
def test_what_the_fulfiller_changed_after_it_was_verified_does_not_park_the_next_request(exchange):
    chart = load_chart(exchange)
    sent(exchange)
    [there] = at_bob(exchange, chart["observation-1"])
    exchange.change("bob", there, status="amended", valueQuantity={"value": 7})
    second = sent(exchange, key="k2")
    assert exchange.view(second)["records"] == "verified" and "changed-since-verified" in exchange.causes()
    assert at_bob(exchange, chart["observation-1"])[0]["status"] == "amended"


def test_a_record_that_came_from_the_target_is_linked_there_and_not_written(exchange):
    chart = load_chart(exchange)
    mine = exchange.put("bob", {"resourceType": "Observation", "status": "final", "code": {"text": "of bob"}})
    there = exchange.put("bob", patient())
    mine = exchange.change("bob", mine, subject={"reference": f"Patient/{there['id']}"})
    copied = exchange.put(
        "alice",
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "of bob"},
            "subject": {"reference": f"Patient/{chart['patient']['id']}"},
            "identifier": [{"system": "urn:test:bob", "value": f"Observation/{mine['id']}"}],
        },
    )
    pointing = exchange.change(
        "alice", chart["observation-1"], hasMember=[{"reference": f"Observation/{copied['id']}"}]
    )
    request_id = sent(exchange)
    assert exchange.view(request_id)["records"] == "verified", exchange.parked(request_id)
    assert not at_bob(exchange, copied)
    assert at_bob(exchange, pointing)[0]["hasMember"] == [{"reference": f"Observation/{mine['id']}"}]
    assert exchange.find("bob", "Observation", _id=mine["id"])[0]["meta"]["versionId"] == mine["meta"]["versionId"]


@pytest.mark.parametrize("kind", ["Practitioner", "Organization", "Location"])
@pytest.mark.long
def test_people_and_places_that_came_from_the_target_are_linked_there_and_not_written(exchange, kind):
    chart = load_chart(exchange, observations=1)
    name = [{"family": "Bob"}] if kind == "Practitioner" else "Bob's practice"
    mine = exchange.put("bob", {"resourceType": kind, "name": name})
    own = [{"system": "urn:test:bob", "value": f"{kind}/{mine['id']}"}]
    copied = exchange.put("alice", {"resourceType": kind, "name": name, "identifier": own})
    reference = {"reference": f"{kind}/{copied['id']}"}
    where = {"performer": [reference]} if kind != "Location" else {"extension": [_at(reference)]}
    pointing = exchange.change("alice", chart["observation-0"], **where)
    request_id = sent(exchange)
    assert exchange.view(request_id)["records"] == "verified", exchange.parked(request_id)
    assert not at_bob(exchange, copied)
    [there] = at_bob(exchange, pointing)
    assert f"{kind}/{mine['id']}" in json.dumps(there)
    assert exchange.find("bob", kind, _id=mine["id"])[0]["meta"]["versionId"] == mine["meta"]["versionId"]


def _at(place: dict) -> dict:
    return {"url": "http://hl7.org/fhir/StructureDefinition/event-location", "valueReference": place}


@pytest.mark.long
def test_a_record_whose_original_is_gone_is_named_and_the_rest_is_written(exchange):
    chart = load_chart(exchange)
    lost = exchange.put(
        "alice",
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "of bob"},
            "subject": {"reference": f"Patient/{chart['patient']['id']}"},
            "identifier": [{"system": "urn:test:bob", "value": "Observation/gone"}],
        },
    )
    request_id = sent(exchange)
    assert exchange.parked(request_id) == ["original-gone"]
    [step] = [each for each in exchange.view(request_id)["owed"] if each["status"] == "parked"]
    assert f"Observation/{lost['id']}" in step["message"]
    assert at_bob(exchange, chart["observation-1"]) and not at_bob(exchange, lost)


@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
@pytest.mark.long
def test_a_resource_that_refers_to_itself_is_created_and_then_says_so(make_exchange, capabilities):
    exchange = make_exchange(capabilities=capabilities)
    chart = load_chart(exchange)
    own = chart["observation-1"]
    exchange.change("alice", own, hasMember=[{"reference": f"Observation/{own['id']}"}])
    request_id = sent(exchange)
    [there] = at_bob(exchange, own)
    assert there["hasMember"] == [{"reference": f"Observation/{there['id']}"}]
    assert exchange.view(request_id)["records"] == "verified"


@pytest.mark.parametrize("capabilities", ["{}", "{transaction: false}"])
@pytest.mark.long
def test_types_that_no_identifier_can_find_travel_like_all_others(make_exchange, capabilities):
    exchange = make_exchange(capabilities=capabilities)
    chart = load_chart(exchange)
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    event = {
        "resourceType": "AdverseEvent",
        "actuality": "actual",
        "subject": subject,
        "event": {"text": "anaphylaxis"},
    }
    note = {
        "resourceType": "Composition",
        "identifier": {"value": "doc-7"},
        "status": "final",
        "type": {"text": "note"},
        "date": "2025-01-01",
        "title": "Note",
        "author": [{"display": "x"}],
        "subject": subject,
    }
    with_own = {**note, "identifier": {"system": "urn:own", "value": "doc-8"}}
    made = [exchange.put("alice", each) for each in (event, note, with_own)]
    request_id = sent(exchange, records={"types": ["Observation", "AdverseEvent", "Composition"]})
    assert exchange.view(request_id)["records"] == "verified", exchange.parked(request_id)
    assert len(exchange.find("bob", "Composition")) == 2
    if "AdverseEvent" in {each["resourceType"] for each in made}:
        assert [each["event"] for each in exchange.find("bob", "AdverseEvent")] == [event["event"]]


@pytest.mark.long
def test_what_was_written_is_compared_also_after_the_mapping_changed(exchange, monkeypatch):
    """An upgrade between sending and reading back must not compare with what was never sent."""
    from jobs.target import creating, reading_back

    load_chart(exchange)
    whole = creating.draft

    def of_an_older_version(*args, **kwargs):
        made = whole(*args, **kwargs)
        made.body["language"] = "en"
        return made

    def of_a_newer_version(*args, **kwargs):
        raise AssertionError("what is read back is compared with what was written, not with what would be written now")

    monkeypatch.setattr(creating, "draft", of_an_older_version)
    monkeypatch.setattr(reading_back, "draft", of_a_newer_version)
    request_id = sent(exchange)
    assert exchange.view(request_id)["records"] == "verified", exchange.parked(request_id)
    assert all(each["language"] == "en" for each in exchange.find("bob", "Observation"))
