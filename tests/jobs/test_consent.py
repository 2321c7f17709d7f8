"""A patient's consent is obeyed when the next thing is about to leave, also in the second in which records leave."""

import base64
import io
import json
import re
import threading
import time

import pytest
from pypdf import PdfReader
from sqlalchemy import text

from integration.store import consents, leaving, operations
from integration.store.operations import WrongWords
from mappings.model.consent import RecordKind, TypedConsent
from tests.jobs.exchange import a_request, load_chart
from tests.jobs.test_gate import in_the_middle, rows
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
ALL = tuple(RecordKind)
HOSTED = frozenset({"alice"})  # the fixture has it by its address alone


def say(exchange, request_id, said="given", kinds=ALL, to=("alice", "bob"), until=""):
    with exchange.engine.begin() as conn:
        stands = consents.newest(conn, request_id)
        typed = TypedConsent(
            said, str(stands.id) if stands else "", tuple(kinds), tuple(to), until, "in-person", "the patient"
        )
        return consents.record(conn, request_id, typed, actor="ann", hosted=HOSTED)


def there(exchange, *kinds):
    return [each for kind in kinds for each in exchange.find("bob", kind)]


def test_withdrawn_before_anything_left_nothing_leaves_and_given_again_all_of_it_does(make_exchange):
    exchange = make_exchange()
    load_chart(exchange, observations=2)
    request_id = exchange.submit(a_request())
    say(exchange, request_id, "withdrawn")
    exchange.drain()
    assert there(exchange, "Patient", "Practitioner", "Observation", "ServiceRequest", "DocumentReference") == []
    assert exchange.parked(request_id) == ["consent-withdrawn"]
    assert {each.reason for each in rows(exchange, "data.kept")} == {"asked-by-request: consent-withdrawn"}
    done = say(exchange, request_id)
    assert done.due == 1
    exchange.drain()
    assert exchange.parked(request_id) == [] and there(exchange, "Task")


def test_an_endpoint_that_asks_for_consent_gets_nothing_before_it_is_recorded(make_exchange):
    exchange = make_exchange(at_bob="consent: required")
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["consent-required"] and there(exchange, "Patient", "Task") == []
    say(exchange, request_id)
    exchange.drain()
    assert there(exchange, "Task")


def test_it_ends_on_its_last_day_and_holds_for_nobody_it_does_not_name(make_exchange):
    exchange = make_exchange()
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    say(exchange, request_id, to=("alice",))
    exchange.drain()
    assert exchange.parked(request_id) == ["consent-not-to-them"] and there(exchange, "Patient") == []
    say(exchange, request_id)
    with exchange.engine.begin() as conn:  # a day later it is over
        conn.execute(text("insert into consents (request_id, said, until, how, said_by, actor) "
                          "values (:id, 'given', current_date - 1, 'by-phone', 'the patient', 'ann')"), {"id": request_id})  # fmt: skip
    exchange.drain()
    assert exchange.parked(request_id) == ["consent-expired"] and there(exchange, "Patient") == []


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_kinds_that_the_patient_leaves_out_stay_home_and_the_consultant_is_told_which(make_exchange, accepts):
    exchange = make_exchange(accepts=accepts)
    chart = load_chart(exchange, observations=3)
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
    exchange.change("alice", chart["condition"], meta={"security": [label]})
    request_id = exchange.submit(a_request())
    say(exchange, request_id, kinds=[each for each in ALL if each not in ("results", "sensitive")])
    exchange.drain()
    assert exchange.parked(request_id) == []
    assert there(exchange, "Observation", "Condition") == [], "results stay home, and what is labeled"
    [task] = there(exchange, "Task")
    notes = " ".join(each["text"] for each in task["note"])
    assert "Test results and reports, Records labeled as sensitive: left out by the patient's choice" in notes
    assert chart["condition"]["id"] not in notes, "that there is one would tell it"
    documents = json.dumps(there(exchange, "DocumentReference"))
    assert "lab 0" not in documents
    view = exchange.view(request_id)
    [delivery] = [each for each in view["deliveries"] if each["kind"] == "records"]
    assert delivery["status"] == "verified"
    with exchange.engine.connect() as conn:
        marks = dict(conn.execute(text("select source, status from delivery_items where delivery_id = :id"), {"id": delivery["id"]}).all())  # fmt: skip
    left_out = {source for source, status in marks.items() if status == "waived"}
    assert {each.split("/")[0] for each in left_out} == {"Observation", "Condition", "Encounter"} and len(left_out) == 5
    assert there(exchange, "Encounter") == [], "its diagnosis is what is labeled"


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_what_would_tell_of_a_labeled_record_stays_with_it_and_follows_when_the_patient_agrees(make_exchange, accepts):
    exchange = make_exchange(accepts=accepts)
    chart = load_chart(exchange, observations=1)
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"}
    words, letter = "Geheimol 10 mg", base64.b64encode(b"a letter about Geheimol").decode()
    medication = exchange.put(
        "alice", {"resourceType": "Medication", "meta": {"security": [label]}, "code": {"text": words}}
    )
    order = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": subject,
        "medicationReference": {"reference": f"Medication/{medication['id']}", "display": words},
    }
    exchange.put("alice", order)
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": subject,
        "meta": {"security": [label]},
        "content": [{"attachment": {"contentType": "text/plain", "data": letter}}],
    }
    exchange.put("alice", document)
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "letter"},
        "subject": subject,
        "presentedForm": [{"contentType": "text/plain", "data": letter}],
    }
    exchange.put("alice", report)
    request_id = exchange.submit(a_request())
    say(exchange, request_id, kinds=[each for each in ALL if each != "sensitive"])
    exchange.drain()
    assert exchange.parked(request_id) == [] and there(exchange, "Task")
    kinds = ("Medication", "MedicationRequest", "DiagnosticReport", "DocumentReference", "Condition", "Binary", "Task")
    assert "Geheimol" not in _read(there(exchange, *kinds))
    exchange.watch()
    assert len(exchange.view(request_id)["packets"]) == 1, "it is not tried again and again"
    say(exchange, request_id)
    exchange.watch()
    assert exchange.parked(request_id) == [] and "Geheimol" in _read(there(exchange, *kinds))
    exchange.watch()
    assert len(exchange.view(request_id)["packets"]) == 2, "once"


def _read(resources) -> str:
    """All of it as text: what is base64 there, and in a PDF, is read."""
    text = json.dumps(resources)
    for data in re.findall(r'"data": "([^"]+)"', text):
        made = base64.b64decode(data)
        is_pdf = made.startswith(b"%PDF")
        text += "".join(each.extract_text() for each in PdfReader(io.BytesIO(made)).pages) if is_pdf else made.decode()
    return text


def test_a_reference_to_a_kind_that_stays_goes_along_when_the_patient_agrees_to_that_kind(make_exchange):
    exchange = make_exchange(accepts="resources")
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    say(exchange, request_id, kinds=[each for each in ALL if each != "history"])
    exchange.drain()
    [result] = there(exchange, "Observation")
    assert "encounter" not in result and there(exchange, "Encounter") == [] and exchange.parked(request_id) == []
    say(exchange, request_id)
    exchange.watch()
    [result], [visit] = there(exchange, "Observation"), there(exchange, "Encounter")
    assert result["encounter"]["reference"] == f"Encounter/{visit['id']}" and exchange.parked(request_id) == []


@pytest.mark.long
def test_a_consent_that_is_narrowed_while_records_go_one_by_one_keeps_the_rest_home(make_exchange):
    exchange = make_exchange(capabilities="{transaction: false}", before={"bob": LyingProxy})
    load_chart(exchange, observations=5)
    request_id = exchange.submit(a_request())
    done = in_the_middle(exchange, lambda: say(exchange, request_id, kinds=[each for each in ALL if each != "results"]))
    exchange.drain()
    assert done and exchange.parked(request_id) == []
    assert len(there(exchange, "Observation")) == 1, "the one that was on its way"
    assert "consent-changed" in {each["cause"] for each in exchange.view(request_id)["attempts"]}
    assert there(exchange, "Task")


def test_a_consent_that_is_withdrawn_while_records_go_one_by_one_lets_no_further_one_go(make_exchange):
    exchange = make_exchange(capabilities="{transaction: false}", before={"bob": LyingProxy})
    load_chart(exchange, observations=5)
    request_id = exchange.submit(a_request())
    done = in_the_middle(exchange, lambda: say(exchange, request_id, "withdrawn"))
    exchange.drain()
    assert done and len(there(exchange, "Observation")) == 1 and there(exchange, "Task") == []
    assert exchange.parked(request_id) == ["consent-withdrawn"]


def test_after_a_withdrawal_a_correction_stays_home_and_what_takes_something_back_still_goes(make_exchange):
    exchange = make_exchange()
    chart = load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    say(exchange, request_id, "withdrawn")
    exchange.change("alice", chart["condition"], code={"text": "corrected"})
    exchange.watch()
    assert "consent-withdrawn" in exchange.parked(request_id)
    assert "corrected" not in json.dumps(there(exchange, "Condition", "DocumentReference"))
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="the patient does not want it")
    exchange.drain()
    assert "cancellation" in {each.reason for each in rows(exchange)}, "it goes in any case"
    kept = {each.reason for each in rows(exchange, "data.kept")}
    assert kept and all(each.endswith("consent-withdrawn") for each in kept)


@pytest.mark.long
def test_what_was_left_home_follows_when_the_patient_agrees_to_more(make_exchange):
    exchange = make_exchange(accepts="resources")
    load_chart(exchange, observations=2)
    request_id = exchange.submit(a_request())
    say(exchange, request_id, kinds=[each for each in ALL if each != "results"])
    exchange.drain()
    assert there(exchange, "Task") and there(exchange, "Observation") == []
    exchange.watch()
    assert there(exchange, "Observation") == [] and len(exchange.view(request_id)["packets"]) == 1
    say(exchange, request_id)
    exchange.watch()
    assert len(there(exchange, "Observation")) == 2 and exchange.parked(request_id) == []
    exchange.watch()
    assert len(exchange.view(request_id)["packets"]) == 2, "once"


def test_of_a_withdrawal_and_a_leaving_at_the_same_moment_one_is_first_and_both_know_which(exchange):
    """Real transactions: while the gate decides and writes it down, a statement waits; what waits behind it sees it."""
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    order, started = [], threading.Event()

    def withdraw():
        started.set()
        say(exchange, request_id, "withdrawn")
        order.append("withdrawn")

    with exchange.engine.begin() as conn:
        stand = leaving.stand(conn, request_id, "bob", asks_consent=False)
        thread = threading.Thread(target=withdraw)
        thread.start()
        started.wait()
        time.sleep(0.3)
        order.append("left")
    thread.join(10)
    assert stand.consent == "" and order == ["left", "withdrawn"]
    with exchange.engine.begin() as conn:
        assert leaving.stand(conn, request_id, "bob", asks_consent=False).consent == "consent-withdrawn"


@pytest.mark.long
def test_many_at_once_each_leaving_is_before_the_withdrawal_or_is_kept(exchange):
    load_chart(exchange, observations=1)
    request_id, seen = exchange.submit(a_request()), []

    def leave():
        for _ in range(30):
            with exchange.engine.begin() as conn:
                stand = leaving.stand(conn, request_id, "bob", asks_consent=False)
                newest = consents.newest(conn, request_id)
                seen.append((stand.consent, newest.said if newest else None))

    threads = [threading.Thread(target=leave) for _ in range(4)]
    for each in threads:
        each.start()
    say(exchange, request_id, "withdrawn")
    for each in threads:
        each.join(30)
    assert len(seen) == 120 and set(seen) <= {("", None), ("consent-withdrawn", "withdrawn")}


@pytest.mark.long
def test_the_same_form_twice_is_one_statement_and_an_older_one_is_refused(exchange):
    request_id = exchange.submit(a_request())
    typed = TypedConsent("withdrawn", "", how="by-phone", by="the patient")
    with exchange.engine.begin() as conn:
        assert consents.record(conn, request_id, typed, actor="ann", hosted=HOSTED).is_new
        assert not consents.record(conn, request_id, typed, actor="ann", hosted=HOSTED).is_new
        with pytest.raises(WrongWords, match="another statement"):
            consents.record(
                conn,
                request_id,
                TypedConsent("given", "", ALL, ("bob",), how="by-phone", by="x"),
                actor="bo",
                hosted=HOSTED,
            )
        assert len(consents.of_request(conn, request_id)) == 1


@pytest.mark.long
def test_it_stands_as_a_consent_at_the_hosted_practice_that_asks_each_statement_a_version(make_exchange):
    exchange = make_exchange()
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    say(exchange, request_id, kinds=[each for each in ALL if each != "images"])
    exchange.drain()
    [there] = exchange.find("alice", "Consent")
    assert there["status"] == "active" and there["identifier"][0]["value"] == f"Consent/{request_id}"
    denied = {each["code"] for inner in there["provision"]["provision"] for each in inner["class"]}
    assert denied == {"ImagingStudy", "Media"}
    say(exchange, request_id, "withdrawn")
    exchange.drain()
    [gone] = exchange.find("alice", "Consent")
    assert gone["id"] == there["id"] and gone["status"] == "inactive" and gone["provision"]["type"] == "deny"
    assert {each.reason for each in rows(exchange)} >= {"consent"}
