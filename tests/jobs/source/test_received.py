"""What arrives from elsewhere joins the next packet, stands at the consultant byte for byte, and is taken back from there."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from integration import checklists, medications, received, received_at_home
from integration.received import Classified
from integration.store import received_records
from integration.store.tables import received_records as arrived
from integration.store.tables import requests, steps
from mappings.model.checklist import State
from tests.integration.arriving import made
from tests.jobs.exchange import a_request, http, load_chart

pytestmark = pytest.mark.postgres


def hand_in(exchange, request_id, data=None, name="path.pdf", kind="pathology-report") -> str:
    """Uploads and accepts one file; returns its id."""
    world = (exchange.engine, exchange.payloads, exchange.config)
    record, _ = received.receive(*world, request_id, [data or made.pdf()], name=name, claimed=None, actor="ann")
    said = Classified(kind=kind, source="Elsewhere Hospital", dated="2026-05-30", author="Dr. Dee", is_theirs=True)
    received.accept(exchange.engine, exchange.config, request_id, record.id, record.version, said, actor="ann")
    return record.id


def take_back(exchange, request_id, record_id, because="wrong-patient") -> None:
    with exchange.engine.begin() as conn:
        version = received_records.one(conn, request_id, record_id).version
    house = (exchange.engine, exchange.config)
    received.end(*house, request_id, record_id, version, because, actor="ann", reason="it was Bea's")


def documents_at_bob(exchange) -> list[dict]:
    """Those that came by hand, of whatever form the endpoint takes."""
    return [each for each in exchange.find("bob", "DocumentReference") if "Elsewhere Hospital" in json.dumps(each)]


def watches(exchange) -> list[int]:
    """The open ones of charts."""
    open_ones = select(steps.c.id).where(steps.c.kind == "watch_chart", steps.c.status.not_in(("done", "cancelled")))
    with exchange.engine.connect() as conn:
        return list(conn.execute(open_ones).scalars())


def bytes_of(document: dict) -> bytes:
    return base64.b64decode(document["content"][0]["attachment"]["data"])


def items(exchange, request_id, kind):
    today = datetime.now(UTC).date()
    world = (exchange.engine, exchange.payloads, exchange.config)
    found = checklists.completeness(*world, request_id, today, actor="test")
    return next(each for each in found.items if each.rule.kind == kind)


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_a_received_record_travels_is_read_back_and_is_taken_back_when_it_was_the_wrong_patients(
    make_exchange, accepts
):
    exchange = make_exchange(accepts=accepts)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert items(exchange, request_id, "pathology-report").state is State.MISSING
    record_id = hand_in(exchange, request_id)
    assert items(exchange, request_id, "pathology-report").state is State.FOUND  # by what was said of it
    exchange.drain()  # the watch is due at once
    [there] = documents_at_bob(exchange)
    assert bytes_of(there) == made.pdf() and there["status"] == "current"
    assert exchange.view(request_id)["records"] == "verified" and exchange.parked(request_id) == []
    item = items(exchange, request_id, "pathology-report")
    assert item.state is State.FOUND
    assert [each.why for each in item.evidence] == ["a person put it here"]
    with exchange.engine.connect() as conn:
        assert received_records.carried_in(conn, request_id) == {
            f"DocumentReference/received-{record_id}": ["verified"]
        }
    take_back(exchange, request_id, record_id)
    assert items(exchange, request_id, "pathology-report").state is State.MISSING
    exchange.drain()
    [there] = documents_at_bob(exchange)
    assert there["status"] == "entered-in-error"
    assert exchange.view(request_id)["records"] == "verified" and exchange.parked(request_id) == []
    assert "record-withdrawn" in exchange.causes()
    [task] = exchange.find("bob", "Task")
    assert "1 withdrawn, not to be used" in json.dumps(task.get("note", []))


@pytest.mark.long
def test_it_is_taken_back_when_the_visit_is_over_and_nothing_is_watched_any_more(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    record_id = hand_in(exchange, request_id)
    exchange.drain()
    with exchange.engine.begin() as conn:
        seen = datetime.now(UTC) - timedelta(days=100)
        conn.execute(update(requests).values(visit_at=seen, updated_at=seen))
        conn.execute(update(arrived).values(accepted_at=seen))  # in the second of the reading it is looked at once more
    exchange.watch()
    assert not watches(exchange)
    take_back(exchange, request_id, record_id)
    exchange.drain()
    [there] = documents_at_bob(exchange)
    assert there["status"] == "entered-in-error"
    with exchange.engine.begin() as conn:
        conn.execute(update(arrived).values(ended_at=seen))
    exchange.watch()
    assert not watches(exchange)


def test_what_cannot_be_taken_back_any_more_is_told(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    record_id = hand_in(exchange, request_id)
    exchange.drain()
    with exchange.engine.begin() as conn:
        conn.execute(update(requests).values(status="cancelled"))
    take_back(exchange, request_id, record_id)
    assert "withdrawal-not-sent" in exchange.causes()


@pytest.mark.long
def test_it_goes_with_the_first_packet_and_says_only_what_was_said(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    record_id = hand_in(exchange, request_id)
    waits, _ = received.receive(
        exchange.engine,
        exchange.payloads,
        exchange.config,
        request_id,
        [made.TEXT],
        name="a.txt",
        claimed=None,
        actor="ann",
    )
    exchange.drain()
    [there] = documents_at_bob(exchange)
    assert there["type"] == {"text": "Pathology report"} and "category" not in there
    assert there["author"] == [{"display": "Dr. Dee"}] and there["context"]["period"] == {"start": "2026-05-30"}
    attachment = there["content"][0]["attachment"]
    assert attachment["contentType"] == "application/pdf" and attachment["creation"] == "2026-05-30"
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(made.pdf()).digest()
    assert {"system": "urn:test:alice", "value": f"DocumentReference/received-{record_id}"} in there["identifier"]
    assert waits.id not in json.dumps(exchange.find("bob", "DocumentReference"))  # nobody said what it is
    assert len(exchange.view(request_id)["deliveries"]) == 2  # its records, and the request
    exchange.watch()
    assert len([each for each in exchange.view(request_id)["deliveries"] if each["kind"] == "records"]) == 1


@pytest.mark.long
def test_images_travel_whole_with_the_study_that_they_are(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    disc = made.zipped({"IM1": made.dicom(1), "IM2": made.dicom(2)})
    record_id = hand_in(exchange, request_id, disc, "cd.zip", kind="")
    exchange.drain()
    [study] = exchange.find("bob", "ImagingStudy")
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
    assert (study["numberOfInstances"], study["modality"][0]["code"]) == (2, "CT")
    assert study["series"][0]["bodySite"] == {"display": "ABDOMEN"}
    [there] = documents_at_bob(exchange)
    assert bytes_of(there) == disc
    assert there["context"]["related"] == [{"reference": f"ImagingStudy/{study['id']}"}]
    assert exchange.view(request_id)["records"] == "verified"
    take_back(exchange, request_id, record_id, "wrong-record")
    exchange.drain()
    exchange.watch()
    [study] = exchange.find("bob", "ImagingStudy")
    assert study["status"] == "entered-in-error" and documents_at_bob(exchange)[0]["status"] == "entered-in-error"


def test_taken_back_before_it_was_sent_it_never_goes(make_exchange):
    exchange = make_exchange(patients="match")  # waits for a person: the packet is made, nothing is sent
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    record_id = hand_in(exchange, request_id)
    exchange.drain()
    assert exchange.parked(request_id)
    take_back(exchange, request_id, record_id)
    with exchange.engine.connect() as conn:
        assert received_records.carried_in(conn, request_id) == {f"DocumentReference/received-{record_id}": ["queued"]}
    exchange.put("bob", {**{k: v for k, v in exchange.find("alice", "Patient")[0].items() if k not in ("id", "meta")}})
    from integration.store import operations

    for step in exchange.view(request_id)["owed"]:
        if step["status"] == "parked":
            with exchange.engine.begin() as conn:
                operations.retry_step(conn, step["id"], actor="test")
    exchange.drain()
    exchange.watch()
    assert documents_at_bob(exchange) == [] and exchange.view(request_id)["records"] == "verified"


def test_a_document_that_a_client_writes_to_the_practice_counts_with_the_next_look(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [patient] = exchange.find("alice", "Patient")
    exchange.put(
        "alice",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "type": {"coding": [{"system": "http://loinc.org", "code": "11526-1"}]},
            "subject": {"reference": f"Patient/{patient['id']}"},
            "author": [{"display": "Elsewhere Hospital laboratory"}],
            "description": "Pathology study, from Elsewhere Hospital",
            "content": [
                {"attachment": {"contentType": "application/pdf", "data": base64.b64encode(made.pdf()).decode()}}
            ],
        },
    )
    exchange.watch()
    [there] = documents_at_bob(exchange)
    assert bytes_of(there) == made.pdf() and there["author"] == [{"display": "Elsewhere Hospital laboratory"}]
    assert items(exchange, request_id, "pathology-report").evidence


@pytest.mark.long
def test_what_the_patient_says_of_a_medication_travels_beside_the_chart(make_exchange):
    exchange = make_exchange()
    made = load_chart(exchange)
    subject = {"reference": f"Patient/{made['patient']['id']}"}
    order = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Metformin 500 mg"},
        "subject": subject,
    }
    chart = exchange.put("alice", order)
    request_id = exchange.submit(a_request())
    exchange.drain()
    world = (exchange.engine, exchange.payloads)
    found = medications.read(*world, request_id)
    [entry] = found.listed.entries
    said = dict(list_sha256=found.listed.sha256, informant="patient", actor="ann")
    medications.review(*world, request_id, after=0, said={entry.key: ("not-taking", "")}, also=["sage tea"], **said)
    exchange.drain()
    there = {each["medicationCodeableConcept"]["text"]: each for each in exchange.find("bob", "MedicationStatement")}
    [theirs] = exchange.find("bob", "MedicationRequest")
    assert there["Metformin 500 mg"]["status"] == "not-taken"
    assert there["Metformin 500 mg"]["derivedFrom"] == [{"reference": f"MedicationRequest/{theirs['id']}"}]
    assert there["sage tea"]["meta"]["security"][0]["code"] == "PATAST"
    assert (
        exchange.find("alice", "MedicationStatement") == []
        and exchange.find("alice", "MedicationRequest")[0]["meta"]["versionId"] == chart["meta"]["versionId"]
    )
    assert medications.read(*world, request_id).is_confirmed
    review = medications.read(*world, request_id).review
    medications.review(*world, request_id, after=review.id, said={entry.key: ("taking", "")}, also=[], **said)
    exchange.drain()
    there = {each["medicationCodeableConcept"]["text"]: each for each in exchange.find("bob", "MedicationStatement")}
    assert there["Metformin 500 mg"]["status"] == "active" and there["sage tea"]["status"] == "entered-in-error"
    assert exchange.view(request_id)["records"] == "verified" and exchange.parked(request_id) == []


def test_a_practice_without_an_ehr_keeps_it_at_its_hosted_endpoint_and_it_travels_once(make_exchange):
    exchange = make_exchange(hosted=True)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    record_id = hand_in(exchange, request_id)
    exchange.drain()
    exchange.watch()
    [kept] = documents_at(exchange, "alice")
    [attachment] = [each["attachment"] for each in kept["content"]]
    raw = http.get(f"{exchange.alice}/{attachment['url']}", headers={"Accept": "application/pdf"}, timeout=10)
    assert raw.content == made.pdf() and attachment["size"] == len(made.pdf())
    assert kept["subject"]["reference"] == f"Patient/{exchange.find('alice', 'Patient')[0]['id']}"
    [said] = exchange.find("alice", "Provenance")
    assert said["target"] == [{"reference": f"DocumentReference/{kept['id']}"}]
    assert said["agent"][0]["who"] == {"display": "ann"} and said["entity"][0]["what"] == {
        "display": "Elsewhere Hospital"
    }
    exchange.later(days=2)
    exchange.watch()  # the whole chart is read again, and it is in it now
    assert len(documents_at_bob(exchange)) == 1 == len(documents_at(exchange, "alice")) and not exchange.parked(
        request_id
    )
    take_back(exchange, request_id, record_id)
    exchange.drain()
    assert [each["status"] for each in documents_at(exchange, "alice")] == ["entered-in-error"]
    assert [each["status"] for each in documents_at_bob(exchange)] == ["entered-in-error"]
    assert len(exchange.find("alice", "Provenance")) == 2 and not exchange.parked(request_id)


def test_what_is_too_large_for_a_resource_stands_there_too_with_its_study_and_is_read_block_by_block(
    make_exchange, monkeypatch
):
    monkeypatch.setattr(received_at_home, "LARGEST", 100)
    exchange = make_exchange(hosted=True)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    disc = made.zipped({"IM1": made.dicom(1), "IM2": made.dicom(2)})
    record_id = hand_in(exchange, request_id, disc, "cd.zip", kind="")
    exchange.drain()
    exchange.watch()
    [kept], [study] = documents_at(exchange, "alice"), exchange.find("alice", "ImagingStudy")
    assert kept["context"]["related"] == [{"reference": f"ImagingStudy/{study['id']}"}]
    assert study["subject"] == kept["subject"] and study["numberOfInstances"] == 2
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
    address = f"{exchange.alice}/{kept['content'][0]['attachment']['url']}"
    raw = http.get(address, headers={"Accept": "*/*"}, timeout=10)
    assert raw.content == disc and raw.headers["Content-Length"] == str(len(disc))
    assert raw.headers["Content-Type"] == kept["content"][0]["attachment"]["contentType"]
    assert raw.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    as_json = http.get(address, headers={"Accept": "application/fhir+json"}, timeout=10)
    assert as_json.status_code == 406 and "ask for its own type" in as_json.json()["issue"][0]["diagnostics"]
    exchange.later(days=2)
    exchange.watch()  # the whole chart is read again, and both are in it now
    assert len(exchange.find("bob", "ImagingStudy")) == 1 == len(documents_at_bob(exchange))
    exchange.submit(a_request(key="k2"))
    exchange.drain()
    exchange.watch()
    assert [bytes_of(each) for each in documents_at_bob(exchange)] == [
        disc
    ] * 2  # as a record of the chart, of a later request
    take_back(exchange, request_id, record_id)
    exchange.drain()
    assert [each["status"] for each in documents_at(exchange, "alice")] == ["entered-in-error"]
    assert [each["status"] for each in exchange.find("alice", "ImagingStudy")] == ["entered-in-error"]


def documents_at(exchange, where) -> list[dict]:
    return [each for each in exchange.find(where, "DocumentReference") if "Elsewhere Hospital" in json.dumps(each)]
