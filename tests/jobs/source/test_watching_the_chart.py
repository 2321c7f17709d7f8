"""What a source changes, takes back, re-files or replaces behind a reference after it was sent reaches the consultant's side."""

import json

import pytest

from integration.store import operations
from integration.views.requests import request_view
from tests.servers.unkind_source import b64, document, observation

pytestmark = pytest.mark.postgres
LETTER = {"contentType": "application/pdf", "url": "Binary/b1"}


def binary(data: bytes) -> dict:
    return {"resourceType": "Binary", "id": "b1", "contentType": "application/pdf", "data": b64(data)}


def a_day_later(gathering, days: int = 2) -> None:
    gathering.exchange.later(days=days)
    gathering.exchange.watch()


def test_a_deleted_record_is_taken_back(gathering):
    source = gathering.source
    source.put(observation(1), observation(2))
    request_id = gathering.gather()
    source.delete("Observation/o2")
    a_day_later(gathering)
    there = gathering.at_bob("Observation")
    assert {name: each["status"] for name, each in there.items()} == {"o1": "final", "o2": "entered-in-error"}
    assert gathering.exchange.view(request_id)["records"] == "verified"
    assert gathering.findings()["record-withdrawn"] == {"Observation/o2"}
    [task] = gathering.exchange.find("bob", "Task")
    assert "1 withdrawn, not to be used (Observation)" in json.dumps(task.get("note", []))


@pytest.mark.long
def test_a_small_chart_shows_at_every_look_what_is_gone(gathering):
    gathering.source.put(observation(1), observation(2))
    gathering.gather()
    gathering.source.delete("Observation/o2")
    gathering.exchange.watch()
    assert gathering.at_bob("Observation")["o2"]["status"] == "entered-in-error"


@pytest.mark.parametrize("shows", [True, False])
def test_a_record_that_was_filed_under_another_patient_is_taken_back(gathering, shows):
    source = gathering.source
    source.put(observation(1), observation(2))
    gathering.gather()
    source.put(observation(2, "Patient/other"))
    source.search_ignores_patient = shows
    a_day_later(gathering)
    assert gathering.at_bob("Observation")["o2"]["status"] == "entered-in-error"
    assert gathering.at_bob("Observation")["o2"]["subject"] == gathering.at_bob("Observation")["o1"]["subject"]


def test_what_a_search_merely_does_not_show_is_not_taken_back(gathering):
    source = gathering.source
    source.put(observation(1), observation(2))
    gathering.gather()
    source.hidden = {"Observation/o2"}
    a_day_later(gathering)
    assert gathering.at_bob("Observation")["o2"]["status"] == "final"
    assert "record-withdrawn" not in gathering.findings()


@pytest.mark.parametrize("how", ["gone", "another patient"])
def test_many_that_are_gone_at_once_wait_for_a_person_and_nothing_is_taken_back(gathering, how):
    source = gathering.source
    source.put(*(observation(number) for number in range(8)))
    request_id = gathering.gather()
    for number in range(1, 8):
        if how == "gone":
            source.delete(f"Observation/o{number}")
        else:
            source.put(observation(number, "Patient/other"))
    source.put(observation(0, status="corrected"))
    a_day_later(gathering)
    assert gathering.exchange.parked(request_id) == ["many-withdrawn"]
    assert "7 of 8 records" in gathering.message(request_id) and "Observation/o1" in gathering.message(request_id)
    assert {each["status"] for each in gathering.at_bob("Observation").values()} == {"final"}
    assert "record-withdrawn" not in gathering.findings()


@pytest.mark.long
def test_when_the_source_has_them_again_a_retry_goes_on(gathering):
    source = gathering.source
    source.put(*(observation(number) for number in range(8)))
    request_id = gathering.gather()
    held = dict(source.held)
    source.held = {name: each for name, each in held.items() if not name.startswith("Observation/")}
    a_day_later(gathering)
    source.held = held
    source.put(observation(0, status="corrected"))
    with gathering.exchange.engine.begin() as conn:
        [step] = [each for each in request_view(conn, request_id)["owed"] if each["status"] == "parked"]
        operations.retry_step(conn, step["id"], actor="test", reason="restored")
    gathering.exchange.drain()
    assert gathering.exchange.parked(request_id) == []
    assert gathering.at_bob("Observation")["o0"]["status"] == "corrected"


@pytest.mark.long
def test_what_comes_back_stands_again(gathering):
    source = gathering.source
    source.put(observation(1))
    gathering.gather()
    source.delete("Observation/o1")
    a_day_later(gathering)
    source.put(observation(1))
    a_day_later(gathering, 4)
    assert gathering.at_bob("Observation")["o1"]["status"] == "final"


@pytest.mark.long
def test_a_medication_that_changed_behind_a_reference_travels(gathering):
    source = gathering.source
    medication = {"resourceType": "Medication", "id": "m1", "code": {"text": "2.5 mg"}}
    order = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "medicationReference": {"reference": "Medication/m1"},
    }
    source.put(medication, order)
    gathering.gather()
    source.put({**medication, "code": {"text": "10 mg"}})
    a_day_later(gathering)
    assert gathering.at_bob("Medication")["m1"]["code"]["text"] == "10 mg"


def test_a_binary_that_was_replaced_under_its_id_is_a_new_packet_with_the_new_bytes(gathering):
    source = gathering.source
    source.put(document(LETTER), binary(b"%PDF benign"))
    request_id = gathering.gather()
    source.put(binary(b"%PDF malignant"))
    a_day_later(gathering)
    view = gathering.exchange.view(request_id)
    assert [(each["resources"], each["attachments"]) for each in view["packets"]] == [(2, 1), (1, 1)]
    [there] = gathering.exchange.find("bob", "DocumentReference")
    assert there["content"][0]["attachment"]["data"] == b64(b"%PDF malignant")
    source.asked.clear()
    a_day_later(gathering, 4)
    assert len(gathering.exchange.view(request_id)["packets"]) == 2
    assert "/fhir/Binary/b1" in source.asked


def test_a_change_that_a_search_by_time_shows_is_sent_with_all_else_that_changed(gathering):
    source = gathering.source
    source.put(observation(1), observation(2))
    gathering.gather()
    gathering.exchange.watch()
    source.put(observation(1, status="corrected"))
    source.delete("Observation/o2")
    gathering.exchange.watch()
    assert {name: each["status"] for name, each in gathering.at_bob("Observation").items()} == {
        "o1": "corrected",
        "o2": "entered-in-error",
    }


@pytest.mark.long
def test_the_watch_goes_on_as_long_as_the_request_is_open(gathering):
    source = gathering.source
    source.put(observation(1))
    request_id = gathering.gather(wanted_by="2035-06-01")
    a_day_later(gathering, 100)
    source.put(observation(1, status="corrected"))
    a_day_later(gathering, 200)
    assert gathering.at_bob("Observation")["o1"]["status"] == "corrected"
    assert "watch_chart" in {each["kind"] for each in gathering.exchange.view(request_id)["owed"]}


@pytest.mark.long
def test_a_server_that_ignores_the_time_it_is_asked_for_makes_no_delta(gathering):
    gathering.source.put(observation(1), document(LETTER), binary(b"%PDF"))
    request_id = gathering.gather()
    for days in (2, 4):
        a_day_later(gathering, days)
    assert len(gathering.exchange.view(request_id)["packets"]) == 1


@pytest.mark.long
def test_where_documents_are_taken_the_originals_of_a_withdrawn_record_are_taken_back_and_the_consultant_is_told(
    gathering,
):
    gathering.accepts = "documents"
    source = gathering.source
    kept = document(LETTER, id="d2")
    kept["content"][0]["attachment"] = {"contentType": "application/pdf", "data": b64(b"%PDF kept")}
    source.put(document(LETTER), binary(b"%PDF withdrawn"), kept, observation(1))
    request_id = gathering.gather()
    source.delete("DocumentReference/d1")
    a_day_later(gathering)
    assert gathering.exchange.view(request_id)["records"] == "verified", gathering.message(request_id)
    documents = gathering.exchange.find("bob", "DocumentReference")
    statuses = {each["content"][0]["attachment"].get("data"): each["status"] for each in documents}
    assert statuses[b64(b"%PDF withdrawn")] == "entered-in-error"
    assert statuses[b64(b"%PDF kept")] == "current"
    [task] = gathering.exchange.find("bob", "Task")
    assert "1 withdrawn, not to be used (DocumentReference)" in json.dumps(task.get("note", []))
