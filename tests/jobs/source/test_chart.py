"""Everything of the chart, of the right patient: from servers that page, lie, repeat, misname themselves and mix people up."""

import base64
import json
from dataclasses import replace

import pytest

from integration.packets import stored as packets
from integration.store import packets as packet_rows
from tests.jobs.exchange import a_request, load_chart, patient
from tests.servers.unkind_source import b64, document, observation

pytestmark = pytest.mark.postgres
INNER = "http://fhir-app-01.internal:8080/fhir"


def complete(gathering, request_id: str, count: int) -> bool:
    view = gathering.exchange.view(request_id)
    return view["records"] == "verified" and len(gathering.at_bob("Observation")) == count


def test_pages_with_inner_links_and_repeated_entries_are_read_to_the_end(gathering):
    source = gathering.source
    source.put(*(observation(number) for number in range(7)))
    source.page_size, source.repeats, source.self_link, source.next_base = 2, True, INNER, INNER
    assert complete(gathering, gathering.gather(), 7)
    assert not any("internal" in each for each in source.asked)


def test_fewer_than_the_server_counts_is_no_chart(gathering):
    gathering.source.put(observation(1))
    gathering.source.total = 2
    request_id = gathering.gather()
    assert "the server counts 2, and 1 came" in gathering.message(request_id)
    assert gathering.exchange.find("bob", "Observation") == []


@pytest.mark.parametrize(
    "written",
    [
        "/Patient/p1",
        "{own}/Patient/p1",
        "{https}/Patient/p1",
        "Patient/p1/_history/3",
        " Patient/p1 ",
        "/fhir/Patient/p1",
    ],
)
def test_a_subject_in_any_spelling_of_the_patient_is_the_patient(gathering, written):
    source = gathering.source
    names = {"own": source.address.replace("http:", "HTTP:"), "https": source.address.replace("http:", "https:")}
    source.search_ignores_patient = True
    source.put(observation(1, written.format(**names)))
    assert complete(gathering, gathering.gather(), 1)
    [there] = gathering.exchange.find("bob", "Observation")
    [person] = gathering.exchange.find("bob", "Patient")
    assert there["subject"]["reference"] == f"Patient/{person['id']}"


@pytest.mark.parametrize("shown", ["full_url", "self_link"])
def test_another_address_is_learned_from_what_the_server_calls_itself_and_is_told(gathering, shown):
    source = gathering.source
    setattr(source, shown, INNER)
    source.put(
        observation(1, f"{INNER}/Patient/p1", performer=[{"reference": f"{INNER}/Practitioner/dr"}]),
        {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Learned"}]},
    )
    request_id = gathering.gather()
    assert complete(gathering, request_id, 1), gathering.message(request_id)
    [there] = gathering.exchange.find("bob", "Observation")
    assert there["subject"]["reference"].startswith("Patient/")
    assert there["performer"][0]["reference"].startswith("Practitioner/")
    assert gathering.findings()["address-learned"] == {INNER}


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": f"{INNER}/Patient/p1"},
        {"reference": "urn:uuid:6d1b0c52-6a7c-4b54-9d3d-111111111111"},
        {"reference": "Patient?identifier=urn:test:mrn|M1"},
        {"reference": "#someone"},
        {"reference": 5},
        {"reference": "Patient/"},
    ],
)
def test_a_record_whose_patient_cannot_be_told_stops_the_packet_and_is_named(gathering, subject):
    gathering.source.search_ignores_patient = True
    gathering.source.put(observation(1), observation(2, subject=subject))
    request_id = gathering.gather()
    assert "Observation/o2#subject: it cannot be told whether this is the patient" in gathering.message(request_id)
    assert gathering.exchange.find("bob", "Observation") == []


@pytest.mark.parametrize("name", ["subject", "patient", "beneficiary"])
@pytest.mark.every
def test_a_record_of_another_patient_is_left_out_and_named(gathering, name):
    kind = {"subject": "Procedure", "patient": "Device", "beneficiary": "Coverage"}[name]
    other = {"resourceType": kind, "id": "x", "status": "completed", name: {"reference": "Patient/p2"}}
    gathering.source.search_ignores_patient = True
    gathering.source.put(
        observation(1, **({"focus": [{"reference": "Coverage/x"}]} if kind == "Coverage" else {})), other
    )
    assert complete(gathering, gathering.gather(), 1)
    assert gathering.exchange.find("bob", kind) == []
    expected = "reference-unresolved" if kind == "Coverage" else "other-patient"
    assert expected in gathering.findings()


def test_who_performs_replaces_or_is_included_may_be_another_patient_and_is_not_sent(gathering):
    source = gathering.source
    source.held["Patient/p1"] = json.dumps(
        {**patient(), "id": "p1", "link": [{"other": {"reference": "Patient/old"}, "type": "replaces"}]}
    )
    stranger = {"resourceType": "Patient", "id": "p9", "name": [{"family": "Stranger"}]}
    source.put(stranger, observation(1, performer=[{"reference": "Patient/p9"}], subject={"reference": "Patient/p1"}))
    source.extra = [{"resource": stranger, "search": {"mode": "include"}}]
    request_id = gathering.gather()
    assert complete(gathering, request_id, 1), gathering.message(request_id)
    assert len(gathering.exchange.find("bob", "Patient")) == 1
    [there] = gathering.exchange.find("bob", "Observation")
    assert there["performer"][0]["identifier"]["value"] == "Patient/p9"
    assert gathering.findings()["other-patient"] == {"Patient/p9"}


@pytest.mark.long
def test_an_address_on_a_third_server_travels_as_an_identifier(gathering):
    elsewhere = "https://lab.example/fhir/Practitioner/7"
    gathering.source.put(observation(1, performer=[{"reference": elsewhere}]))
    assert complete(gathering, gathering.gather(), 1)
    [there] = gathering.exchange.find("bob", "Observation")
    assert there["performer"] == [
        {"type": "Practitioner", "identifier": {"system": "urn:ietf:rfc:3986", "value": elsewhere}}
    ]


@pytest.mark.parametrize("logical_id", ["a_b", "e" + "Ab3-" * 20])
@pytest.mark.long
def test_ids_that_real_servers_give_are_gathered_and_referred_to(gathering, logical_id):
    encounter = {
        "resourceType": "Encounter",
        "id": logical_id,
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p1"},
    }
    gathering.source.put(encounter, observation(1, encounter={"reference": f"Encounter/{logical_id}"}))
    assert complete(gathering, gathering.gather(), 1)
    [there] = gathering.exchange.find("bob", "Observation")
    [visit] = gathering.exchange.find("bob", "Encounter")
    assert there["encounter"]["reference"] == f"Encounter/{visit['id']}"


@pytest.mark.long
def test_an_adverse_event_is_searched_by_the_parameter_it_has(gathering):
    event = {"resourceType": "AdverseEvent", "id": "ae", "actuality": "actual", "subject": {"reference": "Patient/p1"}}
    gathering.source.put(observation(1), event)
    gathering.gather()
    assert any(each.startswith("/fhir/AdverseEvent?subject=Patient%2Fp1") for each in gathering.source.asked)
    assert "AdverseEvent" not in gathering.findings().get("type-not-offered", set())


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ('{"resourceType": "Observation", "note": "no-id"}', "Observation?patient entry"),
        ('{"resourceType": "Observation", "id": 5, "note": "no-id"}', "Observation?patient entry"),
        ('{"resourceType": "Observation", "id": "a/b", "note": "no-id"}', "Observation?patient entry"),
        ('{"resourceType": "Observation", "id": "o9", "subject": {"reference": "Patient/p1"}, "note": [{"text": "\\ud800"}]}', "Observation/o9"),
    ],
)  # fmt: skip
def test_what_is_no_resource_is_named_and_nothing_else_is_lost_with_it(gathering, raw, named):
    gathering.source.put(observation(1))
    gathering.source.put(raw, key="Observation/o9")
    request_id = gathering.gather()
    assert named in gathering.message(request_id) and "internal error" not in gathering.message(request_id)


def deep(levels: int) -> list:
    """An extension in an extension in an extension."""
    return [{"url": "a", "extension": deep(levels - 1)}] if levels else [{"url": "a", "valueString": "x"}]


@pytest.mark.parametrize(
    "odd",
    [
        {"meta": []},
        {"meta": {"versionId": 5}},
        {"identifier": "text"},
        {"identifier": [None, 5, {"system": 3}]},
        {"encounter": {"reference": 5}},
        {"encounter": {"reference": None}},
        {"encounter": "Encounter/1"},
        {"performer": {"reference": "Practitioner/none"}},
        {"note": [{"text": "nul \x00 inside"}]},
        {"extension": [[{"url": "a"}]]},
        {"extension": deep(150)},
    ],
)
def test_odd_shapes_stop_no_gathering(gathering, odd):
    gathering.source.put(observation(1, **odd), document({"contentType": 5, "data": "QUJD", "size": None}))
    request_id = gathering.gather()
    view = gathering.exchange.view(request_id)
    assert view["packets"] and view["packets"][0]["resources"] == 3, gathering.message(request_id)


def test_the_second_opinion_travels_with_a_third_and_not_with_its_own_request(exchange):
    """A returned report is part of the chart; only what came from the consultant's own system would go back."""
    load_chart(exchange)
    first = exchange.submit(a_request())
    exchange.drain()
    exchange.answer()
    exchange.watch()
    [returned] = [each for each in exchange.find("alice", "DocumentReference") if "we agree" in words_in(each)]
    [task] = exchange.find("bob", "Task")
    original = exchange.put("bob", observation(1, task["for"]["reference"]))
    copied = [{"system": "urn:test:bob", "value": f"Observation/{original['id']}"}]
    copy = exchange.put("alice", observation(1, returned["subject"]["reference"], identifier=copied))
    near_by = [{"system": "urn:test:bobby", "value": "Observation/7"}]
    near = exchange.put("alice", observation(2, returned["subject"]["reference"], identifier=near_by))
    third = exchange.submit(a_request(key="k3", opinion_number=3))
    exchange.drain()
    assert exchange.view(third)["records"] == "verified"
    at_bob = {one["value"] for kind in ("DocumentReference", "Observation") for each in exchange.find("bob", kind)
              for one in each.get("identifier", []) if one["system"] == "urn:test:alice"}  # fmt: skip
    assert {f"DocumentReference/{returned['id']}", f"Observation/{near['id']}"} <= at_bob
    assert f"Observation/{copy['id']}" not in at_bob
    exchange.later(days=2)
    exchange.watch()
    assert f"DocumentReference/{returned['id']}" not in sources_of(exchange, first)


def words_in(resource: dict) -> str:
    data = resource["content"][0]["attachment"].get("data") or ""
    return base64.b64decode(data).decode("utf-8", "replace")


def sources_of(exchange, request_id: str) -> set[str]:
    """What all packets of a request carried."""
    with exchange.engine.connect() as conn:
        return packets.sources_of(exchange.payloads, packet_rows.of_request(conn, request_id))


def test_a_packet_that_grows_too_large_stops_and_names_where(gathering):
    gathering.source.put(*(observation(number, note=[{"text": "x" * 100_000}]) for number in range(30)))
    gathering.source.put(document({"contentType": "application/pdf", "data": b64(b"%PDF" * 100_000)}))
    exchange = gathering.exchange
    records = exchange.world.config.records.model_copy(update={"max_packet_bytes": 2_000_000})
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"records": records}))
    said = gathering.message(gathering.gather())
    assert "larger than the 2000000 bytes of records.max_packet_bytes" in said and "Observation?patient entry 1" in said


@pytest.mark.long
def test_attachments_count_too(gathering):
    gathering.source.put(
        document(*({"contentType": "application/pdf", "data": b64(bytes([n]) * 400_000)} for n in range(3)))
    )
    exchange = gathering.exchange
    records = exchange.world.config.records.model_copy(update={"max_packet_bytes": 2_600_000})
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"records": records}))
    assert "DocumentReference/d1#content[2].attachment" in gathering.message(gathering.gather()).replace(
        "DocumentReference.content", "content"
    )
