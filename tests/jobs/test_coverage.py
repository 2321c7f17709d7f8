"""What insurers said reaches the consultant as recorded: from the order itself, and from a call that was written down."""

import base64
import io
from datetime import UTC, datetime

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from integration import coverage
from integration.store import insurances, requests, revisions
from integration.store.revisions import RevisionStale
from integration.store.tables import findings
from integration.views.coverage import view
from mappings.codes import EXTENSION_COVERAGE_ANSWER, EXTENSION_COVERAGE_INFORMATION
from tests.jobs.exchange import Exchange, a_request, load_chart
from tests.jobs.steps.test_orders import only_request, plain_order
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 5, 18, 0, tzinfo=UTC)
CALL = {
    "answer": "covered",
    "asked": "Second opinion visit",
    "insurer": "Example Health Plan",
    "given_at": "2026-03-05T10:15:00-06:00",
}


def record(exchange: Exchange, request_id: str, expected: int | None = None, **more):
    typed = {**CALL, **more}
    return coverage.record(
        exchange.engine, exchange.config, request_id, typed, NOW, expected_version=expected, actor="nora"
    )


def said_at_bob(exchange: Exchange, url: str) -> list[dict]:
    [order] = exchange.find("bob", "ServiceRequest")
    return [
        {
            part["url"]: next(value for name, value in part.items() if name.startswith("value"))
            for part in each["extension"]
        }
        for each in order["extension"]
        if each["url"] == url
    ]


def test_a_call_before_the_request_goes_and_a_later_one_both_reach_the_consultant(exchange):
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    record(exchange, request_id, required="yes", authorization="yes", authorization_number="A-998")
    exchange.drain()
    [said] = said_at_bob(exchange, EXTENSION_COVERAGE_ANSWER)
    assert (said["answer"], said["required-by-insurer"], said["authorization-number"]) == ("covered", "yes", "A-998")
    record(exchange, request_id, answer="not-covered", given_at="2026-03-05T11:00:00-06:00")
    exchange.drain()
    [said] = said_at_bob(exchange, EXTENSION_COVERAGE_ANSWER)
    assert said["answer"] == "not-covered" and "authorization-number" not in said
    assert exchange.parked(request_id) == [] and len(exchange.find("bob", "ServiceRequest")) == 1
    found = coverage.coverage(exchange.engine, request_id, NOW.date(), actor="nora")
    assert [each.id for each in found.answers] == ["answer-1", "answer-2"], "nothing is overwritten"


@pytest.mark.long
def test_where_records_go_as_documents_the_first_page_says_it(tmp_path, database):
    exchange = Exchange(tmp_path, database, accepts="documents")
    try:
        load_chart(exchange, observations=1)
        request_id = exchange.submit(a_request())
        record(exchange, request_id, reference="C-20417")
        exchange.drain()
        summary = next(
            each
            for each in exchange.find("bob", "DocumentReference")
            if each["content"][0]["attachment"]["title"] == "First-opinion records"
        )
        pages = PdfReader(io.BytesIO(base64.b64decode(summary["content"][0]["attachment"]["data"]))).pages
        words = " ".join("".join(page.extract_text() for page in pages).split())
        assert "Example Health Plan: covered" in words and "reference C-20417" in words
    finally:
        exchange.close()


@pytest.mark.long
def test_what_an_insurer_wrote_on_the_order_is_taken_in_followed_and_carried(exchange):
    chart = load_chart(exchange, observations=1)
    parts = [
        {"url": "coverage", "valueReference": {"reference": "Coverage/45"}},
        {"url": "covered", "valueCode": "covered"},
        {"url": "pa-needed", "valueCode": "someday"},
        {"url": "date", "valueDate": "2026-03-01"},
        {"url": "coverage-assertion-id", "valueString": "12345ABC"},
    ]
    extension = {"url": EXTENSION_COVERAGE_INFORMATION, "extension": parts}
    order = exchange.put("alice", plain_order(chart, extension=[extension]))
    exchange.poll()
    request_id = only_request(exchange)
    found = coverage.coverage(exchange.engine, request_id, NOW.date(), actor="nora")
    assert found.of_order[0].covered == "covered" and found.unknown_codes == ("pa-needed",)
    with exchange.engine.connect() as conn:
        causes = {row.cause for row in conn.execute(select(findings))}
    assert "coverage-code-unknown" in causes
    record(exchange, request_id)
    parts[1]["valueCode"], parts[2]["valueCode"] = "not-covered", "no-auth"
    exchange.change("alice", order, extension=[extension])
    exchange.poll()
    found = coverage.coverage(exchange.engine, request_id, NOW.date(), actor="nora")
    assert found.of_order[0].covered == "not-covered" and len(found.answers) == 1, "a person's word stays beside it"


def test_of_two_who_write_at_once_neither_is_lost(exchange):
    request_id = exchange.submit(a_request())
    record(exchange, request_id, 1)
    with pytest.raises(RevisionStale, match="version 2 by nora"):
        record(exchange, request_id, 1, answer="unclear")
    record(exchange, request_id, None, answer="unclear")
    with exchange.engine.connect() as conn:
        kept = requests.content(requests.get(conn, request_id)).coverage_answers
    assert [each.answer for each in kept] == ["covered", "unclear"]


@pytest.mark.long
def test_a_correction_of_the_request_that_knows_nothing_of_it_keeps_what_insurers_said(exchange):
    request_id = exchange.submit(a_request())
    record(exchange, request_id)
    with exchange.engine.begin() as conn:
        revisions.revise(
            conn, request_id, a_request(question="Is surgery needed now?"), actor="nora", reason="said better"
        )
        content = requests.content(requests.get(conn, request_id))
    assert content.question == "Is surgery needed now?" and len(content.coverage_answers) == 1


def a_coverage(patient_id: str, **more) -> dict:
    """An insurance at Alice's."""
    return {
        "resourceType": "Coverage",
        "status": "active",
        "beneficiary": {"reference": f"Patient/{patient_id}"},
        "payor": [{"display": "Example Health Plan"}],
        "period": {"start": "2026-01-01", "end": "2026-03-10"},
        **more,
    }


def test_the_insurance_is_read_from_the_ehr_of_this_patient_alone(exchange):
    chart = load_chart(exchange, observations=1)
    insurer = exchange.put("alice", {"resourceType": "Organization", "name": "Harbor Health"})
    named = exchange.put(
        "alice",
        a_coverage(chart["patient"]["id"], payor=[{"reference": f"Organization/{insurer['id']}"}]),
    )
    exchange.put("alice", a_coverage(chart["patient"]["id"]))
    other = exchange.put("alice", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    theirs = exchange.put("alice", a_coverage(other["id"], payor=[{"display": "Another Plan"}]))
    request_id = exchange.submit(
        a_request(
            coverage=[f"Coverage/{named['id']}", f"Coverage/{theirs['id']}", "Coverage/gone"], wanted_by="2026-03-20"
        )
    )
    exchange.drain()
    found = coverage.coverage(exchange.engine, request_id, NOW.date(), actor="nora")
    assert len(found.insurances) == 2 and {"other-patient", "coverage-gone"} <= exchange.causes()
    assert {each.insurer for each in found.insurances} == {"Example Health Plan", insurer["name"]}
    shown = view(found)["insurances"]
    assert all(each["ends_before_the_visit"] and each["read_at"] for each in shown)
    assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"


@pytest.mark.long
def test_an_ehr_that_does_not_show_insurance_stops_nothing_and_a_person_may_ask_again(tmp_path, database):
    def ask(method, path, headers, body):
        if "/Coverage" in path:
            return 403, [("Content-Length", "0")], b""
        return body

    exchange = Exchange(tmp_path, database, before={"alice": lambda url: LyingProxy(url, ask=ask)})
    try:
        load_chart(exchange, observations=1)
        request_id = exchange.submit(a_request(coverage=["Coverage/1"]))
        exchange.drain()
        assert "coverage-not-read" in exchange.causes() and exchange.parked(request_id) == []
        assert exchange.view(request_id)["records"] == "verified"
        with exchange.engine.begin() as conn:
            assert insurances.ask(conn, request_id, actor="nora", reason="again")
            assert not insurances.ask(conn, request_id, actor="nora", reason="twice")
    finally:
        exchange.close()
