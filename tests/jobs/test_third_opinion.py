"""A further opinion in the same case: what the two requests share, what goes along, and what follows a correction."""

import base64
import hashlib
from collections import Counter

import pytest
import requests as http

from integration.store import requests, revisions
from integration.store.tables import findings
from integration.store.tables import requests as request_table
from mappings.model.errors import RequestError
from mappings.model.request import SecondOpinionRequest
from mappings.model.written_report import Agreement, WrittenReport
from mappings.written_report import to_extension
from tests.jobs.exchange import a_request, load_chart, patient, report_on
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
SAID_YES = {"answer": "yes", "said_by": "the patient", "said_on": "2026-05-02"}
WRITTEN = WrittenReport(Agreement.AGREES, Agreement.DIFFERS, "we agree", signed_by="Dr. Bob Example")
OURS = "urn:second-opinion-exchange"


def third(first: str, **fields) -> SecondOpinionRequest:
    return a_request(**{"key": "k3", "fulfiller": "carol", "follows": first, "opinion_number": 3, **fields})


def answered(exchange, words: str = "we agree") -> tuple[str, dict]:
    """The first request of the case, its report back at Alice."""
    load_chart(exchange)
    first = exchange.submit(a_request())
    exchange.drain()
    coded = {"extension": [to_extension(WRITTEN)], "date": "2026-06-18T16:30:00-07:00"}
    report = exchange.answer(report={**report_on(exchange._requested(), words), **coded})
    exchange.watch()
    assert len(exchange.find("alice", "Composition")) == 1, "what it says in codes stands beside it"
    return first, report


def words_at_carol(exchange) -> list[tuple[str, str]]:
    """(status, words) of every document there that tells an opinion."""
    found = []
    for each in exchange.find("carol", "DocumentReference"):
        data = each["content"][0]["attachment"].get("data") or ""
        words = base64.b64decode(data).decode("utf-8", "replace")
        found += [(each["status"], words)] if words.startswith("we ") else []
    return found


def correct(exchange, request_id: str, said: dict | None) -> None:
    with exchange.engine.begin() as conn:
        now = requests.content(requests.get(conn, request_id))
        made = SecondOpinionRequest.model_validate({**now.model_dump(mode="json"), "earlier_opinions": said})
        revisions.revise(conn, request_id, made, actor="ann", reason="the patient called")


def test_a_third_request_is_based_on_the_first_and_shares_its_requisition(exchange):
    first, _ = answered(exchange)
    exchange.submit(third(first))
    exchange.drain()
    [asked] = exchange.find("carol", "ServiceRequest")
    [before] = exchange.find("bob", "ServiceRequest")
    assert asked["requisition"] == before["requisition"]
    assert [each["identifier"]["value"] for each in asked["basedOn"]] == [f"ServiceRequest/{first}"]
    [task] = exchange.find("carol", "Task")
    assert task["groupIdentifier"] == asked["requisition"]


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_the_second_opinion_goes_along_when_the_patient_said_so(make_exchange, accepts):
    exchange = make_exchange(accepts=accepts)
    first, _ = answered(exchange)
    request_id = exchange.submit(third(first, earlier_opinions=SAID_YES))
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"
    assert words_at_carol(exchange) == [("current", "we agree")]
    found = exchange.find("carol", "DocumentReference")
    [there] = [each for each in found if _title(each).startswith("Opinion 2 of Dr Bob")]
    if accepts == "resources":
        assert [each["display"] for each in there["author"]] == ["Dr Bob"]
        assert "the patient said on 2026-05-02 that it goes along" in there["description"]


def _title(document: dict) -> str:
    return document["content"][0]["attachment"].get("title") or ""


@pytest.mark.parametrize("said", [None, {**SAID_YES, "answer": "no"}])
@pytest.mark.long
def test_unknown_is_not_yes_and_the_copy_in_the_chart_stays_too(exchange, said):
    first, _ = answered(exchange)
    request_id = exchange.submit(third(first, earlier_opinions=said))
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified" and words_at_carol(exchange) == []
    assert exchange.find("carol", "Composition") == [] and "earlier-opinion-kept-out" in exchange.causes()


@pytest.mark.long
def test_a_copy_that_was_filed_by_another_road_is_known_by_its_bytes(exchange):
    chart = load_chart(exchange)
    first = exchange.submit(a_request())
    exchange.drain()
    exchange.answer(report={**report_on(exchange._requested(), "x"), "content": [{"attachment": PDF}]})
    exchange.watch()
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    filed = {"resourceType": "DocumentReference", "status": "current", "subject": subject}
    exchange.put("alice", {**filed, "content": [{"attachment": PDF}]})
    request_id = exchange.submit(third(first))
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"
    assert PDF["data"] not in str(exchange.find("carol", "DocumentReference"))


PDF = {"contentType": "application/pdf", "data": base64.b64encode(b"%PDF-1.4 synthetic").decode()}


@pytest.mark.long
def test_who_was_asked_third_gets_a_correction_of_the_second_opinion(exchange):
    first, report = answered(exchange)
    request_id = exchange.submit(third(first, earlier_opinions=SAID_YES))
    exchange.drain()
    content = report_on({"for": {}, "focus": {}}, "we disagree")["content"]
    report = exchange.change("bob", report, docStatus="amended", content=content)
    exchange.watch()  # Bob's report is returned; Carol's packet follows
    exchange.drain()
    assert ("current", "we disagree") in words_at_carol(exchange)
    assert ("current", "we agree") not in words_at_carol(exchange)
    exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    exchange.drain()
    assert [status for status, _ in words_at_carol(exchange)] == ["entered-in-error"]
    assert exchange.view(request_id)["records"] == "verified" and exchange.parked(request_id) == []


def test_a_retracted_opinion_never_goes_along(exchange):
    first, report = answered(exchange)
    exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    exchange.submit(third(first, earlier_opinions=SAID_YES))
    exchange.drain()
    assert words_at_carol(exchange) == []


@pytest.mark.long
def test_the_patient_says_otherwise_later(exchange):
    first, _ = answered(exchange)
    request_id = exchange.submit(third(first))
    exchange.drain()
    assert words_at_carol(exchange) == []
    correct(exchange, request_id, SAID_YES)
    exchange.drain()
    assert words_at_carol(exchange) == [("current", "we agree")]
    correct(exchange, request_id, {**SAID_YES, "answer": "no"})
    exchange.drain()
    assert words_at_carol(exchange) == [("entered-in-error", "we agree")]
    assert exchange.parked(request_id) == []


def test_who_takes_back_the_yes_before_the_packet_left_is_obeyed(exchange):
    first, _ = answered(exchange)
    request_id = exchange.submit(third(first, earlier_opinions=SAID_YES))
    with exchange.engine.begin() as conn:
        from integration.store.tables import endpoints

        conn.execute(endpoints.update().where(endpoints.c.key == "carol").values(paused=True))
    exchange.drain()
    correct(exchange, request_id, None)
    with exchange.engine.begin() as conn:
        conn.execute(endpoints.update().where(endpoints.c.key == "carol").values(paused=False))
    exchange.drain()
    assert words_at_carol(exchange) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"follows": "rnothing"}, "names no earlier request"),
        ({"patient": {"identifiers": [{"system": "urn:test:mrn", "value": "M2"}]}}, "about another patient"),
        ({"follows": requests.request_id_of("k3")}, "names this request itself"),
    ],
)
def test_a_case_is_of_one_patient_and_has_a_first_request(exchange, fields, words):
    first = exchange.submit(a_request())
    with pytest.raises(RequestError, match=words):
        exchange.submit(third(first, **fields))
    assert exchange.submit(third(first)) != first


def test_a_requisition_of_two_patients_is_refused(exchange):
    shared = {"requisition": {"system": "urn:test:req", "value": "R1"}}
    first = exchange.submit(a_request(**shared))
    same = exchange.submit(a_request(key="k2", fulfiller="carol", **shared))
    with exchange.engine.connect() as conn:
        assert [each.id for each in requests.of_case(conn, first)] == [first, same]
    other = {"identifiers": [{"system": "urn:test:mrn", "value": "M2"}]}
    with pytest.raises(RequestError, match=f"is shared with request {first}, which is about another patient"):
        exchange.submit(a_request(key="k4", patient=other, **shared))


@pytest.mark.long
def test_later_ones_join_the_case_and_do_not_travel_backwards(exchange):
    first, _ = answered(exchange)
    request_id = exchange.submit(third(first, earlier_opinions=SAID_YES))
    fourth = exchange.submit(third(request_id, key="k5", fulfiller="bob", opinion_number=4))
    with exchange.engine.connect() as conn:
        assert [each.id for each in requests.of_case(conn, first)] == [first, request_id, fourth]


def polled_cases(exchange) -> dict[str, str]:
    """``{key: key of the request that began its case}``"""
    with exchange.engine.connect() as conn:
        found = [requests.Request.from_row(row) for row in conn.execute(request_table.select())]
    keys = {each.id: each.key for each in found}
    return {each.key: keys[each.case] for each in found}


@pytest.mark.long
def test_orders_of_an_ehr_are_one_case_by_what_they_are_based_on_and_by_requisition(exchange):
    chart = load_chart(exchange)
    shared = {"requisition": {"system": "urn:test:req", "value": "R1"}}
    first = exchange.put("alice", order_of(chart))
    based_on = [{"reference": f"ServiceRequest/{first['id']}"}]
    second = exchange.put("alice", order_of(chart, basedOn=based_on, **shared))
    third = exchange.put("alice", order_of(chart, **shared))
    exchange.poll()
    began = f"alice:ServiceRequest/{first['id']}"
    assert polled_cases(exchange) == {f"alice:ServiceRequest/{each['id']}": began for each in (first, second, third)}


@pytest.mark.long
def test_a_chain_of_orders_without_a_first_and_a_requisition_of_two_patients_are_refused_aloud(exchange):
    chart = load_chart(exchange)
    one = exchange.put("alice", order_of(chart, status="draft"))
    two = exchange.put("alice", order_of(chart, basedOn=[{"reference": f"ServiceRequest/{one['id']}"}]))
    exchange.change("alice", one, status="active", basedOn=[{"reference": f"ServiceRequest/{two['id']}"}])
    shared = {"requisition": {"system": "urn:test:req", "value": "R1"}}
    other = exchange.put("alice", patient(identifier=[{"system": "urn:test:mrn", "value": "M2"}]))
    taken = exchange.put("alice", order_of(chart, **shared))
    exchange.poll()
    exchange.put("alice", {**order_of(chart, **shared), "subject": {"reference": f"Patient/{other['id']}"}})
    exchange.poll()
    assert list(polled_cases(exchange)) == [f"alice:ServiceRequest/{taken['id']}"]
    with exchange.engine.connect() as conn:
        said = conn.execute(findings.select().where(findings.c.cause == "request-case-refused")).all()
    assert len(said) == 3 and any("which is about another patient" in each.message for each in said)


def document(exchange, chart: dict, data: bytes, **stated) -> tuple[dict, str]:
    """A letter at Alice whose bytes stand at an address; the resource and that address."""
    binary = http.post(f"{exchange.alice}/Binary", data=data, headers={"Content-Type": "application/pdf"}, timeout=10)
    place = binary.headers["Location"].split("/_history")[0].split("/fhir/alice/")[-1]
    made = {"resourceType": "DocumentReference", "status": "current", "type": {"text": "letter"}}
    made |= {"subject": {"reference": f"Patient/{chart['patient']['id']}"}}
    attachment = {"contentType": "application/pdf", "url": place, **stated}
    return exchange.put("alice", {**made, "content": [{"attachment": attachment}]}), place


def sha1(data: bytes) -> str:
    return base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


@pytest.mark.long
def test_a_document_is_not_fetched_twice_where_its_source_states_that_it_is_the_same(make_exchange, record_property):
    exchange = make_exchange(before={"alice": LyingProxy})
    chart = load_chart(exchange)
    letters = [b"%PDF-1.4 letter " + bytes([48 + number]) * 1000 for number in range(6)]
    stated = [document(exchange, chart, each, hash=sha1(each), size=len(each)) for each in letters]
    silent, place_of_silent = document(exchange, chart, b"%PDF-1.4 no hash")
    log = exchange.proxies["alice"].log
    first = exchange.submit(a_request())
    exchange.drain()
    before = reads(log)
    replaced = b"%PDF-1.4 another"
    http.put(f"{exchange.alice}/{stated[0][1]}", data=replaced, headers={"Content-Type": "application/pdf"}, timeout=10)
    content = [
        {"attachment": {**stated[0][0]["content"][0]["attachment"], "hash": sha1(replaced), "size": len(replaced)}}
    ]
    exchange.change("alice", stated[0][0], content=content)
    log.clear()
    request_id = exchange.submit(third(first))
    exchange.drain()
    after = reads(log)
    print(f"reads of the first gathering {before}, of the second {after}")
    record_property("reads", str((before, after)))
    fetched = {path.rpartition("/alice/")[2] for _, path in log if "/Binary/" in path}
    assert {place_of_silent, stated[0][1]} <= fetched, "what states no hash, or another one, is fetched"
    assert not fetched & {place for _, place in stated[1:]}
    assert exchange.view(request_id)["records"] == "verified"
    data = [
        base64.b64decode(each["content"][0]["attachment"]["data"])
        for each in exchange.find("carol", "DocumentReference")
    ]
    assert sorted(each for each in data if b"PDF" in each) == sorted([*letters[1:], replaced, b"%PDF-1.4 no hash"])


def reads(log: list) -> dict[str, int]:
    """How many requests read bytes of documents, single resources, and searches."""
    found = Counter("bytes" if "/Binary/" in path else "search" if "?" in path else "read" for _, path in log)
    return dict(found)
