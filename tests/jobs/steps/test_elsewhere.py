"""Records of another provider's system: gathered because a person named it, as the patient's, each once, corrected and taken back."""

import base64
import json
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from integration import asking, patients, record_sources
from integration.packets import stored as packets
from integration.store import operations
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible, WrongWords
from integration.store.tables import audit
from mappings.model.source_ask import AskWord
from tests.jobs.exchange import a_request, load_chart, patient
from tests.servers.lying import LyingProxy
from tests.servers.unkind_source import UnkindSource, b64, document, observation

pytestmark = pytest.mark.postgres
LETTER = b"synthetic letter of the lab"


@pytest.fixture
def lab():
    """Mercy Lab: the same patient under an id that Alice's server may give to somebody else, three results, a document."""
    own = patient(id="p1", meta={"versionId": "1"})
    doctor = {"resourceType": "Practitioner", "id": "dr1", "name": [{"family": "Mercy"}]}
    results = [observation(number, performer=[{"reference": "Practitioner/dr1"}]) for number in range(3)]
    paper = document({"contentType": "text/plain", "url": "Binary/b1"}, author=[{"reference": "Practitioner/dr1"}])
    with UnkindSource(own, *results, paper) as server:
        server.page_size = 2
        server.held["Practitioner/dr1"] = json.dumps(doctor)
        server.binaries = {"/fhir/Binary/b1": LETTER}
        server.also = lambda path, query: (
            (200, server.binaries[path], "text/plain") if path in server.binaries else None
        )
        yield server


@pytest.fixture
def exchange(make_exchange, lab):
    return make_exchange(others=lines(lab))


def lines(lab, more="") -> str:
    return (
        f'  lab: {{base_url: "{lab.address}", role: source, name: Mercy Lab, identifier_system: "urn:test:lab"{more}}}\n'
        '  refuser: {base_url: "http://127.0.0.1:1/fhir", role: source}\n'
    )


def started(exchange, **fields) -> str:
    load_chart(exchange)
    request_id = exchange.submit(a_request(**fields))
    exchange.drain()
    return request_id


def gather(exchange, request_id, endpoint="lab", *, number="", system="") -> None:
    said = dict(number=number, system=system, actor="ann", reason="they had the scan done there")
    record_sources.gather(exchange.engine, exchange.config, request_id, endpoint, **said)
    exchange.drain()


def stands(exchange, request_id):
    return record_sources.standing(exchange.engine, exchange.payloads, exchange.config, request_id)[0]


def at_bob(exchange, kind="Observation") -> list[dict]:
    """What came from the lab."""
    return [each for each in exchange.find("bob", kind) if "urn:test:lab" in json.dumps(each)]


def look_again(exchange, **delta) -> None:
    exchange.later(**delta or {"hours": 5})
    exchange.watch()
    exchange.watch()


def packed(exchange, request_id) -> set[str]:
    with exchange.engine.connect() as conn:
        rows = packet_rows.of_request(conn, request_id)
    return {name for row in rows for name in packets.load(exchange.payloads, row.manifest_sha256).resources}


def test_what_is_there_joins_the_next_packet_about_the_charts_patient_and_says_where_it_came_from(exchange, lab):
    request_id = started(exchange)
    before = len(exchange.find("bob", "Observation"))
    gather(exchange, request_id)
    assert not exchange.parked(request_id) and stands(exchange, request_id).state == "there"
    came = at_bob(exchange)
    assert len(came) == 3 and len(exchange.find("bob", "Observation")) == before + 3  # every page
    [subject] = {each["subject"]["reference"] for each in exchange.find("bob", "Observation")}
    assert all(each["subject"]["reference"] == subject for each in came)
    own = [each for each in came[0]["identifier"] if each["system"] == "urn:test:lab"]
    assert own[0]["value"].startswith("Observation/o") and own[0]["assigner"] == {"display": "Mercy Lab"}
    [paper] = at_bob(exchange, "DocumentReference")
    assert base64.b64decode(paper["content"][0]["attachment"]["data"]) == LETTER
    [doctor] = [each for each in exchange.find("bob", "Practitioner") if each["name"][0]["family"] == "Mercy"]
    assert came[0]["performer"] == [{"reference": f"Practitioner/{doctor['id']}"}]
    assert len(exchange.find("bob", "Patient")) == 1
    known = {each.source: each.where for each in stands(exchange, request_id).records}
    assert known["Observation/o1"] == "sent" == known["DocumentReference/d1"]
    asked = len(lab.asked)
    look_again(exchange)
    assert len(lab.asked) > asked and len(at_bob(exchange)) == 3  # watched, and nothing twice


def origins_at_bob(exchange) -> list[tuple[str, str, set[str]]]:
    """(what was done, where it came from, what it is about) of each Provenance, in order."""
    found = exchange.find("bob", "Provenance")
    made = [
        (
            each["activity"]["coding"][0]["code"],
            each["entity"][0]["what"]["display"],
            {one["reference"] for one in each["target"]},
        )
        for each in found
    ]
    return sorted(made, key=lambda each: ("CREATE", "UPDATE", "NULLIFY").index(each[0]))


def test_the_consultant_is_told_in_a_provenance_where_they_came_from_once_and_what_became_of_them(exchange, lab):
    request_id = started(exchange)
    assert origins_at_bob(exchange) == []
    gather(exchange, request_id)
    exchange.watch()
    came = {f"{each['resourceType']}/{each['id']}" for kind in ("Observation", "DocumentReference", "Practitioner") for each in at_bob(exchange, kind)}  # fmt: skip
    [told] = origins_at_bob(exchange)
    assert told == ("CREATE", "Mercy Lab", came) and len(came) == 5
    [made] = exchange.find("bob", "Provenance")
    [agent] = made["agent"]
    assert agent["who"]["display"] == "Second Opinion Exchange" and agent["onBehalfOf"]["display"] == "Dr Alice"
    with exchange.engine.connect() as conn:
        levels = conn.execute(text("SELECT level FROM sendings WHERE value LIKE 'Provenance/%'")).scalars().all()
    assert levels == ["read-back"]
    lab.put(observation(1, valueQuantity={"value": 99, "unit": "g/dL"}))
    lab.delete("Observation/o2")
    look_again(exchange)
    one = {f"Observation/{each['id']}" for each in at_bob(exchange) if each["valueQuantity"]["value"] == 99}
    off = {f"Observation/{each['id']}" for each in at_bob(exchange) if each["status"] == "entered-in-error"}
    assert origins_at_bob(exchange)[1:] == [("UPDATE", "Mercy Lab", one), ("NULLIFY", "Mercy Lab", off)]
    look_again(exchange)
    assert len(origins_at_bob(exchange)) == 3 and not exchange.parked(request_id)


def test_a_consultant_whose_system_takes_no_provenance_is_sent_none_and_nothing_waits(make_exchange, lab):
    exchange = make_exchange(others=lines(lab), at_bob="document: {beside: []}")
    gather(exchange, started(exchange))
    exchange.watch()
    assert len(at_bob(exchange)) == 3 and origins_at_bob(exchange) == []


def test_a_provenance_that_is_refused_is_a_finding_and_the_records_are_there(make_exchange, lab):
    def refuse(method, path, headers, body):
        return b"{}" if method == "POST" and path.endswith("/Provenance") else body

    exchange = make_exchange(others=lines(lab), before={"bob": lambda url: LyingProxy(url, ask=refuse)})
    request_id = started(exchange)
    gather(exchange, request_id)
    exchange.watch()
    assert len(at_bob(exchange)) == 3 and "record-origin-left" in exchange.causes()
    assert not exchange.parked(request_id) and exchange.view(request_id)["records"] == "verified"


def test_it_goes_with_the_first_packet_when_it_is_named_in_time_and_that_it_was_asked_is_written_down(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    said = dict(number="", system="", actor="ann", reason="the scan")
    assert record_sources.gather(exchange.engine, exchange.config, request_id, "lab", **said)
    assert not record_sources.gather(exchange.engine, exchange.config, request_id, "lab", **said)
    exchange.drain()
    exchange.watch()
    assert len(at_bob(exchange)) == 3 and not exchange.parked(request_id)
    with exchange.engine.connect() as conn:
        rows = conn.execute(select(audit).where(audit.c.subject == "lab")).all()
    assert {each.action for each in rows} == {"elsewhere.named", "data.leaves"}
    assert all(each.detail["kind"] == "Patient" for each in rows if each.action == "data.leaves")


def test_what_the_chart_has_itself_is_not_sent_twice(exchange, lab):
    number = [{"system": "urn:accession", "value": "A-7"}]
    shared = [{"system": "urn:order", "value": "O-1"}]
    lab.put(observation(0, identifier=number), observation(1, identifier=shared), observation(2, identifier=shared))
    made = load_chart(exchange)
    subject = {"reference": f"Patient/{made['patient']['id']}"}
    exchange.put("alice", {**observation(9), "subject": subject, "identifier": number})
    text = {"contentType": "text/plain", "data": b64(LETTER)}
    exchange.put("alice", {**document(text), "subject": subject})
    request_id = exchange.submit(a_request())
    exchange.drain()
    gather(exchange, request_id)
    assert len(at_bob(exchange)) == 2 and not at_bob(exchange, "DocumentReference")
    assert "held-already" in exchange.causes()
    look_again(exchange)
    assert len(at_bob(exchange)) == 2 and not at_bob(exchange, "DocumentReference")


def test_a_correction_and_a_deletion_there_reach_the_consultant(exchange, lab):
    request_id = started(exchange)
    gather(exchange, request_id)
    lab.put(observation(1, valueQuantity={"value": 99, "unit": "g/dL"}))
    lab.delete("Observation/o2")
    look_again(exchange)
    found = {each["code"]["text"]: each for each in at_bob(exchange)}
    assert found["lab 1"]["valueQuantity"]["value"] == 99 and found["lab 1"]["status"] == "final"
    assert found["lab 2"]["status"] == "entered-in-error"
    assert {"record-withdrawn"} <= exchange.causes() and not exchange.parked(request_id)


def test_what_a_search_merely_hides_is_not_gone_and_many_at_once_wait_for_a_person(exchange, lab):
    lab.put(*[observation(number) for number in range(3, 12)])
    request_id = started(exchange)
    gather(exchange, request_id)
    lab.hidden = {"Observation/o1"}
    look_again(exchange)
    assert {each["status"] for each in at_bob(exchange)} == {"final"} and len(at_bob(exchange)) == 12
    for number in range(12):
        lab.delete(f"Observation/o{number}")
    look_again(exchange, hours=11)
    assert exchange.parked(request_id) == ["many-withdrawn"]
    assert {each["status"] for each in at_bob(exchange)} == {"final"}


def test_stopping_takes_back_what_was_sent(exchange):
    request_id = started(exchange)
    gather(exchange, request_id)
    record_sources.stop(exchange.engine, request_id, "lab", actor="ann", reason="it was another hospital")
    exchange.drain()
    assert {each["status"] for each in at_bob(exchange)} == {"entered-in-error"}
    assert stands(exchange, request_id).state == "stopped" and not exchange.parked(request_id)
    with pytest.raises(NotPossible, match="nothing is gathered"):
        record_sources.stop(exchange.engine, request_id, "lab", actor="ann", reason="again")
    gather(exchange, request_id)
    assert sorted(each["status"] for each in at_bob(exchange)) == ["entered-in-error"] * 3 + ["final"] * 3


def test_another_patients_record_never_enters_though_the_server_shows_everybodys(exchange, lab):
    lab.put(patient(id="p2", identifier=[{"system": "urn:test:mrn", "value": "M2"}]), observation(7, "Patient/p2"))
    lab.search_ignores_patient = True
    request_id = started(exchange)
    gather(exchange, request_id)
    assert len(at_bob(exchange)) == 3 and "other-patient" in exchange.causes()
    lab.put(observation(1, "Patient/p2"))  # it was filed under the wrong patient
    look_again(exchange)
    found = {each["code"]["text"]: each["status"] for each in at_bob(exchange)}
    assert found == {"lab 0": "final", "lab 1": "entered-in-error", "lab 2": "final"}


def test_a_merged_chart_asks_a_person_and_what_came_of_the_wrong_one_is_taken_back(exchange, lab):
    request_id = started(exchange)
    lab.put(patient(id="p1", active=False, link=[{"other": {"reference": "Patient/p9"}, "type": "replaced-by"}]))
    gather(exchange, request_id)
    [cause] = exchange.parked(request_id)
    assert cause.startswith("patient-") and not at_bob(exchange) and stands(exchange, request_id).state == "waits"
    lab.put(patient(id="p9"), observation(20, "Patient/p9"))
    house = (exchange.engine, exchange.payloads, exchange.config)
    patients.link(*house, request_id, "lab", "Patient/p9", actor="ann", reason="merged", confirmed=True)
    exchange.drain()
    assert [each["code"]["text"] for each in at_bob(exchange)] == ["lab 20"]
    with exchange.engine.begin() as conn:
        operations.unlink_patient(conn, request_id, "lab", actor="ann", reason="it is not her")
        operations.pause(conn, "lab", True, actor="ann")
    exchange.drain()
    assert [each["status"] for each in at_bob(exchange)] == ["entered-in-error"]


def test_who_is_not_found_by_the_requests_numbers_is_found_by_the_one_a_person_says(exchange, lab):
    own = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}}
    lab.put(patient(id="p1", identifier=[{**own, "system": "urn:lab:mrn", "value": "L-1"}]))
    request_id = started(exchange)
    gather(exchange, request_id)
    assert exchange.parked(request_id)[0].startswith("patient-") and not at_bob(exchange)
    gather(exchange, request_id, number="L-1", system="urn:lab:mrn")
    with exchange.engine.begin() as conn:
        for step_id in operations.patient_steps(conn, request_id, "lab"):
            operations.retry_step(conn, step_id, actor="ann", reason="the number is known")
    exchange.drain()
    assert len(at_bob(exchange)) == 3 and not exchange.parked(request_id)


def test_what_cannot_be_had_is_told_and_keeps_neither_the_rest_nor_the_request(exchange, lab):
    lab.binaries = {}
    lab.put(observation(1, encounter={"reference": "Encounter/e9"}))
    request_id = started(exchange)
    gather(exchange, request_id)
    assert len(at_bob(exchange)) == 3 and not at_bob(exchange, "DocumentReference")
    remarks = {each.cause: each for each in stands(exchange, request_id).remarks}
    assert remarks["elsewhere-incomplete"].severity == "error"
    assert "DocumentReference/d1" in remarks["elsewhere-incomplete"].path and "reference-unresolved" in remarks
    assert exchange.view(request_id)["records"] == "verified" and not exchange.parked(request_id)
    lab.binaries = {"/fhir/Binary/b1": LETTER}
    look_again(exchange)
    assert len(at_bob(exchange, "DocumentReference")) == 1


def test_a_search_that_is_cut_off_or_a_server_that_is_away_parks_there_and_the_request_goes_on(exchange, lab):
    lab.total = 50
    request_id = started(exchange)
    gather(exchange, request_id)
    gather(exchange, request_id, "refuser")
    assert len(exchange.parked(request_id)) == 2 and not at_bob(exchange)
    assert {each.state for each in record_sources.standing(*house(exchange), request_id)} == {"waits"}
    assert exchange.view(request_id)["records"] == "verified"
    assert len(exchange.find("bob", "Task")) == 1


def house(exchange):
    return exchange.engine, exchange.payloads, exchange.config


def test_whom_nobody_lends_records_of_is_refused_with_a_sentence(exchange):
    request_id = started(exchange)
    for endpoint, words in (("carol", "its role is not source"), ("bob", "takes part"), ("nobody", "choose one of")):
        with pytest.raises(WrongWords) as refused:
            gather(exchange, request_id, endpoint)
        assert words in refused.value.wrong["source"]
    with pytest.raises(WrongWords) as refused:
        gather(exchange, request_id, number="L-1")
    assert "say who gives this number" in refused.value.wrong["system"]
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="ann", reason="not needed")
    exchange.drain()
    with pytest.raises(NotPossible, match="cancelled"):
        gather(exchange, request_id)


# --- what a source gave because it was asked by a Task --------------------------------------------------------------


def asked_of(exchange, request_id, source) -> int:
    """Asks an endpoint by a Task, which is there afterwards."""
    day = exchange.clock().date()
    words = {"due": (day + timedelta(days=10)).isoformat(), "today": day, "actor": "ann", "reason": "the visit"}
    made = asking.ask(
        exchange.engine, exchange.config, request_id, items=("allergies",), source=source, road="task", **words
    )
    exchange.drain()
    return made


def answer_at(exchange, where, *references) -> None:
    """The source completes its Task and names these."""
    task = next(each for each in exchange.find(where, "Task") if "data-request" in str(each["code"]))
    outputs = [{"type": {"text": "record"}, "valueReference": {"reference": each}} for each in references]
    exchange.change(where, task, status="completed", output=outputs)
    look_again(exchange)


def allergy(subject) -> dict:
    return {
        "resourceType": "AllergyIntolerance",
        "patient": {"reference": subject},
        "code": {"text": "synthetic substance"},
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
    }


def test_what_another_endpoint_gives_by_its_task_is_gathered_there_and_nothing_else_of_it(exchange):
    request_id = started(exchange)
    subject = f"Patient/{exchange.put('carol', patient())['id']}"
    made, other = exchange.put("carol", allergy(subject)), exchange.put("carol", allergy(subject))
    number = asked_of(exchange, request_id, "carol")
    answer_at(exchange, "carol", f"AllergyIntolerance/{made['id']}")
    assert asking.one(exchange.engine, exchange.config, request_id, number).word is AskWord.ANSWERED
    [there] = exchange.find("bob", "AllergyIntolerance")
    assert f"AllergyIntolerance/{made['id']}" in json.dumps(there["identifier"]) and other["id"] not in json.dumps(
        there
    )
    assert not stands(exchange, request_id).source.whole and not exchange.parked(request_id)
    exchange.change("carol", made, code={"text": "another substance"})
    look_again(exchange, hours=12)
    assert [each["code"]["text"] for each in exchange.find("bob", "AllergyIntolerance")] == ["another substance"]


def test_what_a_task_names_at_another_server_is_read_there_when_it_lends_its_records(exchange, lab):
    request_id = started(exchange)
    number = asked_of(exchange, request_id, "alice")
    elsewhere = f"{lab.address}/Observation/o1"
    answer_at(exchange, "alice", elsewhere, "https://unknown.example.org/fhir/Observation/1")
    seen = asking.one(exchange.engine, exchange.config, request_id, number)
    assert seen.word is AskWord.ANSWERED and seen.last.outputs == (elsewhere,)
    assert "1 record at lab" in seen.last.note and "unknown.example.org" in seen.last.note
    assert [each["code"]["text"] for each in at_bob(exchange)] == ["lab 1"]


def test_another_patients_record_that_a_task_names_elsewhere_stays_there(exchange, lab):
    lab.put(patient(id="p2", identifier=[{"system": "urn:test:mrn", "value": "M2"}]), observation(7, "Patient/p2"))
    request_id = started(exchange)
    asked_of(exchange, request_id, "alice")
    answer_at(exchange, "alice", f"{lab.address}/Observation/o7")
    assert not at_bob(exchange) and len(exchange.find("bob", "Patient")) == 1
