"""Everything that leaves passes one gate: it is recorded before it goes, and stops when the request no longer stands."""

import json
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from integration.store import operations, patient_links
from integration.store.tables import audit
from jobs import gate
from jobs.upkeep.endpoint_check import TestPatient, checked
from mappings.model.leaving import REASON_OF_STEP, Going, Reason, Stand, why_not
from second_opinion.endpoint_check import lines
from tests.jobs.exchange import a_request, load_chart, patient
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy


def rows(exchange, action="data.leaves"):
    with exchange.engine.connect() as conn:
        return conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)).all()


def writes(exchange):
    return [(name, *each) for name, proxy in exchange.proxies.items() for each in proxy.log if each[0] != "GET"]


@pytest.mark.postgres
@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_each_write_of_a_whole_loop_is_a_row_that_says_why_and_nothing_of_the_patient(make_exchange, accepts):
    exchange = make_exchange(accepts=accepts, before={"alice": LyingProxy, "bob": LyingProxy})
    chart = load_chart(exchange, observations=2)
    exchange.put("alice", order_of(chart))
    exchange.poll()
    exchange.change("alice", chart["condition"], code={"text": "corrected"})
    exchange.watch()
    exchange.answer()
    exchange.watch()
    exchange.watch()
    left = rows(exchange)
    assert len(left) == len(writes(exchange)) > 5
    assert {each.subject for each in left} == {"alice", "bob"} and {each.actor for each in left} == {"exchange"}
    assert {each.reason for each in left} >= {"asked-by-request", "report-return", "status", "correction"}
    assert all(each.detail["bytes"] > 0 and each.detail["kind"] and each.request_id for each in left)
    report = [each for each in left if each.reason == "report-return"]
    id_ = report[0].request_id
    there = [f"DocumentReference/{id_}-report-1", f"Provenance/{id_}-returned-1", f"Communication/{id_}-returned-1"]
    assert [each.detail["items"][0] for each in report] == there
    told = json.dumps([dict(each._mapping) for each in left], default=str)
    assert not [word for word in ("Synthetic-Test", "Ada", "M1", "1960", "surgery", "lab 0") if word in told]
    assert rows(exchange, "data.kept") == []


def in_the_middle(exchange, do):
    """When the first records go to Bob, ``do()`` happens before they are there."""
    done = []

    def ask(method, path, headers, body):
        if method == "POST" and b'"Observation"' in body and not done:
            done.append(do())
        return body

    exchange.proxies["bob"].ask = ask
    return done


def cancelled_in_the_middle(make_exchange):
    """(exchange, request id): five results go one by one to Bob, and the request is cancelled when the first is on its way."""
    exchange = make_exchange(capabilities="{transaction: false}", before={"bob": LyingProxy})
    load_chart(exchange, observations=5)
    request_id = exchange.submit(a_request())

    def cancel():
        with exchange.engine.begin() as conn:
            operations.cancel(conn, request_id, actor="test", reason="not wanted")

    done = in_the_middle(exchange, cancel)
    exchange.drain()
    assert done
    return exchange, request_id


@pytest.mark.postgres
def test_a_request_that_is_cancelled_while_its_records_go_sends_no_further_ones(make_exchange):
    exchange, request_id = cancelled_in_the_middle(make_exchange)
    assert len(exchange.find("bob", "Observation")) == 1, "the one that was on its way"
    [kept] = rows(exchange, "data.kept")
    assert kept.reason == "asked-by-request: request-withdrawn" and kept.subject == "bob"
    view = exchange.view(request_id)
    assert exchange.parked(request_id) == [] and view["status"] == "cancelled", view["owed"]
    assert "request-withdrawn" in {each["cause"] for each in view["attempts"]}


@pytest.mark.postgres
def test_what_goes_one_by_one_is_named_in_a_row_before_the_first_of_it(make_exchange):
    exchange = make_exchange(capabilities="{transaction: false}", before={"bob": LyingProxy})
    load_chart(exchange, observations=5)
    unnamed = []

    def ask(method, path, headers, body):
        if method == "POST" and path.rpartition("/")[2] in ("Observation", "Condition", "Encounter"):
            told = {item for row in rows(exchange) for item in row.detail["items"]}
            sent = {each["value"] for each in json.loads(body)["identifier"]}
            unnamed.extend([] if sent & told else [path])
        return body

    exchange.proxies["bob"].ask = ask
    exchange.submit(a_request())
    exchange.drain()
    records = [each for each in rows(exchange) if each.detail["items"][0].split("/")[0] in ("Observation", "Encounter")]
    named = [item for each in records for item in each.detail["items"]]
    assert unnamed == [] and len(set(named)) == len(named), "each in one row, and that stood before"
    assert len(records) < len(named) and all(each.detail["count"] == len(each.detail["items"]) for each in records)
    assert rows(exchange, "data.unsent") == []


@pytest.mark.postgres
def test_what_was_named_and_then_did_not_go_is_named_again_as_unsent(make_exchange):
    exchange, _ = cancelled_in_the_middle(make_exchange)
    [unsent] = rows(exchange, "data.unsent")
    there = {each["value"] for kind in ("Observation", "Encounter", "Condition", "DocumentReference")
             for found in exchange.find("bob", kind) for each in found["identifier"]}  # fmt: skip
    told = {item for row in rows(exchange) for item in row.detail["items"]}
    assert set(unsent.detail["items"]) <= told - there and unsent.detail["count"] >= 1
    assert told - set(unsent.detail["items"]) <= there | {f"{kind}/{each['id']}" for kind in
           ("Patient", "Practitioner") for each in exchange.find("alice", kind)}  # fmt: skip


@pytest.mark.postgres
def test_a_patient_who_is_unlinked_while_records_go_gets_no_further_ones(make_exchange):
    exchange = make_exchange(capabilities="{transaction: false}", before={"bob": LyingProxy})
    load_chart(exchange, observations=5)
    request_id = exchange.submit(a_request())

    def unlink():
        with exchange.engine.begin() as conn:
            patient_links.end(conn, request_id, "bob", actor="test")

    done = in_the_middle(exchange, unlink)
    exchange.drain()
    assert done and exchange.parked(request_id) == ["patient-not-linked"]
    assert len(exchange.find("bob", "Observation")) == 1


@pytest.mark.postgres
def test_a_server_that_did_not_come_through_the_gate_writes_nothing(exchange):
    with pytest.raises(RuntimeError, match="without passing the gate"):
        exchange.world.servers.server("bob").create(patient())
    assert exchange.find("bob", "Patient") == []


def test_a_step_that_is_there_to_read_has_no_reason_to_send():
    step = SimpleNamespace(kind="verify_records")
    with pytest.raises(LookupError, match="no reason"):
        gate.reason_of(SimpleNamespace(step=step, because=None))


CONTENT = {
    "asked-by-request", "correction", "report-return", "records-asked", "visit", "carried-by-patient", "coverage-asked",
}  # fmt: skip


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "requested"])
@pytest.mark.parametrize("reason", Reason)
def test_what_carries_content_goes_only_for_a_request_that_stands(status, reason):
    gone = Stand(status, cancel_requested=status != "requested", is_linked=True)
    carries = reason in CONTENT
    expected = "request-withdrawn" if carries and status != "requested" else ""
    assert why_not(reason, Going("Observation"), gone) == expected


def test_people_go_before_the_patient_is_linked_and_nothing_else_does():
    unlinked = Stand("requested", cancel_requested=False, is_linked=False)
    assert why_not(Reason.ASKED, Going("Practitioner"), unlinked) == ""
    assert why_not(Reason.ASKED, Going("Bundle"), unlinked) == "patient-not-linked"
    assert why_not(Reason.REPORT, Going("MDM^T02"), unlinked) == "patient-not-linked"
    assert why_not(Reason.WITHDRAWAL, Going("Observation"), unlinked) == ""
    assert set(REASON_OF_STEP.values()) <= set(Reason)


@pytest.mark.postgres
def test_a_check_that_writes_passes_the_gate_too_and_says_by_which_road_a_report_goes(exchange):
    there = exchange.put("bob", patient())
    found = checked(
        exchange.config,
        exchange.engine,
        exchange.world.servers,
        "bob",
        TestPatient(f"Patient/{there['id']}", write=True),
    )
    assert not found["problems"], found
    left = rows(exchange)
    assert left and {each.reason for each in left} == {"check"} and left[0].detail["kind"] == "DocumentReference"
    roads = {each["write"]: (each["road"], each["level"]) for each in found["writes"]}
    assert roads["records as documents"] == ("fhir-document", "read-back")
    assert "records as resources  fhir-transaction" in lines(found)
    json.dumps({name: value for name, value in found.items() if name != "sentences"}, default=str)
