"""The loop, step by step, over real HTTP and a real database."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from integration.store import operations
from tests.jobs.exchange import a_request, load_chart, report_on

pytestmark = pytest.mark.postgres
OURS = "https://second-opinion.example/ids"


def test_the_loop_closes_and_everything_is_there_once(exchange):
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    view = exchange.view(request_id)
    assert view["status"] == "requested" and view["records"] == "verified", view
    assert view["gathered"] == view["sent"] == view["verified"] == len(chart)
    for each in chart.values():
        found = exchange.find(
            "bob", each["resourceType"], identifier=f"urn:test:alice|{each['resourceType']}/{each['id']}"
        )
        assert len(found) == 1, each["resourceType"]
    exchange.answer()
    exchange.watch()
    view = exchange.view(request_id)
    assert view["status"] == "completed" and view["closed"] and view["report_verified"]
    [report] = exchange.find("alice", "DocumentReference", identifier=f"{OURS}|DocumentReference/{request_id}-report-1")
    assert report["subject"]["reference"] == f"Patient/{chart['patient']['id']}"
    assert view["missing_to_close"] == []


def test_documents_travel_where_resources_are_not_taken(make_exchange):
    exchange = make_exchange(accepts="documents")
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    view = exchange.view(request_id)
    assert view["gathered"] == view["sent"] == view["verified"] == len(chart)
    assert len(exchange.find("bob", "DocumentReference")) == 2
    assert exchange.find("bob", "Observation") == []


def test_a_document_inside_its_record_travels_like_any_other(make_exchange):
    exchange = make_exchange(accepts="documents")
    chart = load_chart(exchange)
    subject, letter = chart["condition"]["subject"], b"%PDF-1.4 a letter of the first doctor"
    inside = {"contentType": "application/pdf", "data": base64.b64encode(letter).decode()}
    exchange.put(
        "alice",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": subject,
            "content": [{"attachment": inside}],
        },
    )
    exchange.put(
        "alice",
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "subject": subject,
            "code": {"text": "pathology"},
            "presentedForm": [inside, {"contentType": "text/plain", "data": base64.b64encode(b"words").decode()}],
        },
    )
    request_id = exchange.submit(a_request())
    exchange.drain()
    view = exchange.view(request_id)
    assert view["gathered"] == view["sent"] == view["verified"] == len(chart) + 2
    there = [
        base64.b64decode(each["content"][0]["attachment"]["data"]) for each in exchange.find("bob", "DocumentReference")
    ]
    assert there.count(letter) == 1 and len(there) == 3, "the summary, the letter by address, and this one once"


def test_single_creates_where_there_are_no_transactions(make_exchange):
    exchange = make_exchange(capabilities="{transaction: false, conditional_create: false}")
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.view(request_id)["verified"] == len(chart)
    [encounter] = exchange.find("bob", "Encounter")
    [condition] = exchange.find("bob", "Condition")
    assert encounter["diagnosis"][0]["condition"]["reference"] == f"Condition/{condition['id']}"


def test_a_second_request_about_the_same_patient_creates_no_record_twice(exchange):
    load_chart(exchange)
    exchange.submit(a_request())
    exchange.drain()
    before = len(exchange.find("bob", "Observation"))
    second = exchange.submit(a_request(key="k2"))
    exchange.drain()
    assert len(exchange.find("bob", "Observation")) == before
    view = exchange.view(second)
    assert view["gathered"] == view["verified"]


def test_an_unknown_patient_waits_for_a_person_who_links(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [cause] = exchange.parked(request_id)
    assert cause.startswith("patient-") and exchange.find("bob", "Observation") == []
    there = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]})
    with exchange.engine.begin() as conn:
        operations.link_patient(conn, request_id, "bob", f"Patient/{there['id']}", actor="test", confirmed=True)
    exchange.drain()
    view = exchange.view(request_id)
    assert view["records"] == "verified"
    assert {each["subject"]["reference"] for each in exchange.find("bob", "Observation")} == {f"Patient/{there['id']}"}


def test_a_missing_attachment_makes_no_smaller_packet(exchange):
    chart = load_chart(exchange)
    exchange.change(
        "alice", chart["document"], content=[{"attachment": {"contentType": "text/plain", "url": "Binary/gone"}}]
    )
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["record-partial"]
    assert exchange.find("bob", "Patient") == []


def test_an_amended_report_is_returned_and_a_retracted_one_is_marked(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    report = exchange.answer()
    exchange.watch()
    report = exchange.change(
        "bob", report, docStatus="amended", content=report_on({"for": {}, "focus": {}}, "we disagree")["content"]
    )
    exchange.watch()
    [second] = exchange.find("alice", "DocumentReference", identifier=f"{OURS}|DocumentReference/{request_id}-report-2")
    assert second["relatesTo"][0]["code"] == "replaces"
    exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    [second] = exchange.find("alice", "DocumentReference", identifier=f"{OURS}|DocumentReference/{request_id}-report-2")
    [first] = exchange.find("alice", "DocumentReference", identifier=f"{OURS}|DocumentReference/{request_id}-report-1")
    assert (first["status"], second["status"]) == ("superseded", "entered-in-error")


def test_a_corrected_result_travels_as_a_delta(exchange):
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    corrected = exchange.change(
        "alice", chart["observation-3"], status="corrected", valueQuantity={"value": 2.5, "unit": "g/dL"}
    )
    exchange.watch()
    [there] = exchange.find("bob", "Observation", identifier=f"urn:test:alice|Observation/{corrected['id']}")
    assert there["status"] == "corrected" and there["valueQuantity"]["value"] == 2.5
    assert [each["version"] for each in exchange.view(request_id)["packets"]] == [1, 2]
    assert exchange.view(request_id)["verified"] == len(chart)


def test_a_completed_task_without_report_stays_open_with_a_finding(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [task] = exchange.find("bob", "Task")
    exchange.change("bob", task, status="completed")
    exchange.watch()
    assert exchange.view(request_id)["status"] == "requested" and "report-missing" in exchange.causes()


def test_a_report_about_another_patient_is_not_returned(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    other = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    [task] = exchange.find("bob", "Task")
    report = {**report_on(task, "opinion"), "subject": {"reference": f"Patient/{other['id']}"}}
    exchange.answer(report=report)
    exchange.watch()
    assert exchange.parked(request_id) == ["report-other-patient"]
    assert len(exchange.find("alice", "DocumentReference")) == 1


def test_a_rejection_reaches_the_request_with_its_reason(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [task] = exchange.find("bob", "Task")
    exchange.change("bob", task, status="rejected", statusReason={"text": "out of scope"})
    exchange.watch()
    view = exchange.view(request_id)
    assert (view["status"], view["status_reason"]) == ("rejected", "out of scope")


def test_cancelling_before_work_began_tells_the_consultant(exchange):
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="the patient changed their mind")
    exchange.drain()
    [task] = exchange.find("bob", "Task")
    assert task["status"] == "cancelled" and exchange.view(request_id)["status"] == "cancelled"


@pytest.mark.parametrize(
    "act",
    [
        lambda conn, request_id: operations.cancel(
            conn, request_id, actor="test", reason="the patient changed their mind"
        ),
        lambda conn, request_id: operations.link_patient(conn, request_id, "bob", "Patient/1", actor="test"),
    ],
    ids=["cancel", "link"],
)
def test_a_person_waits_for_a_worker_and_not_against_it(exchange, act):
    load_chart(exchange)
    request_id = exchange.submit(a_request())

    def at_once():
        with exchange.engine.begin() as conn:
            act(conn, request_id)

    with ThreadPoolExecutor() as pool, exchange.engine.begin() as worker:
        worker.execute(text("SELECT id FROM steps FOR UPDATE"))  # as every commit of a worker begins
        person = pool.submit(at_once)
        time.sleep(0.3)
        assert not person.done()
        worker.execute(text("SET LOCAL lock_timeout = '1s'"))
        worker.execute(text("SELECT id FROM requests FOR UPDATE"))
        worker.commit()
        person.result(10)


def test_a_repeated_submit_changes_nothing_and_a_changed_one_is_refused(exchange):
    from integration.store.requests import KeyReused

    load_chart(exchange)
    assert exchange.submit(a_request()) == exchange.submit(a_request())
    with pytest.raises(KeyReused):
        exchange.submit(a_request(question="Something else?"))


def test_a_polled_order_is_recognised_by_code_and_its_status_mirrored(exchange):
    chart = load_chart(exchange)
    order = exchange.put("alice", order_of(chart))
    in_words = {"reasonCode": [{"text": "a second opinion, in words only"}]}
    exchange.put("alice", {name: value for name, value in order.items() if name != "id"} | in_words)
    exchange.poll()
    exchange.poll()
    from sqlalchemy import select

    from integration.store.tables import requests

    with exchange.engine.connect() as conn:
        [row] = conn.execute(select(requests)).all()
    assert row.key == f"alice:ServiceRequest/{order['id']}", exchange.causes()
    exchange.answer()
    exchange.watch()
    exchange.drain()
    [mirrored] = [each for each in exchange.find("alice", "ServiceRequest") if each["id"] == order["id"]]
    assert mirrored["status"] == "completed"


def order_of(chart: dict, **elements) -> dict:
    """Alice's own ServiceRequest for a second opinion."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "priority": "routine",
        "code": {"text": "second opinion"},
        "subject": {"reference": f"Patient/{chart['patient']['id']}"},
        "requester": {"reference": f"Practitioner/{chart['practitioner']['id']}"},
        "performerType": {"coding": [{"system": "http://snomed.info/sct", "code": "394593009"}]},
        "reasonCode": [
            {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0336", "code": "S"}],
                "text": "Is surgery needed?",
            }
        ],
        "contained": [{"resourceType": "Practitioner", "id": "first-doctor", "name": [{"family": "Charlie"}]}],
        "extension": [
            {
                "url": "https://second-opinion.example/fhir/StructureDefinition/first-opinion",
                "extension": [
                    {"url": "doctor", "valueReference": {"reference": "#first-doctor"}},
                    {"url": "diagnosis", "valueCodeableConcept": {"text": "synthetic diagnosis"}},
                ],
            }
        ],
        **elements,
    }


def polled(exchange) -> list[str]:
    """Keys of all requests."""
    from sqlalchemy import select

    from integration.store.tables import requests

    with exchange.engine.connect() as conn:
        return list(conn.execute(select(requests.c.key)).scalars())


def test_a_poll_overlaps_so_that_a_late_commit_is_seen(exchange):
    from datetime import UTC, datetime

    from integration.store.tables import watermarks

    exchange.put("alice", order_of(load_chart(exchange)))
    time.sleep(1.1)  # the search is by whole seconds
    with exchange.engine.begin() as conn:  # the server has shown a resource that was stamped later
        conn.execute(
            watermarks.insert().values(endpoint="alice", kind="ServiceRequest", value=datetime.now(UTC).isoformat())
        )
    exchange.poll()
    assert len(polled(exchange)) == 1


def test_an_emergency_is_refused_with_a_finding(exchange):
    chart = load_chart(exchange)
    exchange.put("alice", order_of(chart, priority="stat"))
    exchange.poll()
    assert polled(exchange) == [] and "request-unreadable" in exchange.causes()


def test_a_revoked_order_cancels_the_request(exchange):
    chart = load_chart(exchange)
    order = exchange.put("alice", order_of(chart))
    exchange.poll()
    exchange.change("alice", order, status="revoked")
    exchange.poll()
    [task] = exchange.find("bob", "Task")
    assert task["status"] == "cancelled"


def test_a_created_patient_still_refers_to_its_doctor(exchange):
    chart = load_chart(exchange)
    exchange.change(
        "alice", chart["patient"], generalPractitioner=[{"reference": f"Practitioner/{chart['practitioner']['id']}"}]
    )
    exchange.submit(a_request())
    exchange.drain()
    [there] = exchange.find("bob", "Patient")
    [doctor] = exchange.find(
        "bob", "Practitioner", identifier=f"urn:test:alice|Practitioner/{chart['practitioner']['id']}"
    )
    assert there["generalPractitioner"][0]["reference"] == f"Practitioner/{doctor['id']}"
    assert not {cause for cause in exchange.causes() if cause.startswith("verify-")}
