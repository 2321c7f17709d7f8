"""The pages over a loop that really ran: nothing stands on them that should not, and content opens only when recorded."""

import io
import json
import re
import zipfile
from html import unescape

import pytest
from sqlalchemy import select

from integration.store import endpoints, schedules
from integration.store.tables import audit
from jobs import schedule
from jobs.engine import JOBS
from mappings.model.steps import KINDS, StepKind, kind_words
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres
PRIVATE = ("Synthetic-Test", "1960-01-01", "we agree", "Is surgery needed?", "first opinion letter")


@pytest.fixture
def closed(exchange):
    """A closed loop: (exchange, request id, a browser)."""
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    exchange.answer()
    exchange.watch()
    return exchange, request_id, exchange.app.test_client()


def audited(exchange, action: str) -> list:
    with exchange.engine.connect() as conn:
        return conn.execute(select(audit).where(audit.c.action == action)).all()


def token(client, address: str) -> str:
    return unescape(re.search(r'name="token" value="([^"]+)"', client.get(address).text).group(1))


def test_a_closed_request_shows_both_sides_every_step_and_no_patient_data(closed):
    _, request_id, client = closed
    page = client.get(f"/requests/{request_id}").text
    assert "The loop is closed" in page and "Dr Alice" in page and "Dr Bob" in page
    assert all(
        words in page
        for words in (
            kind_words("gather_records"),
            kind_words("push_records"),
            kind_words("verify_report"),
            "request.closed",
        )
    )
    for address in (
        f"/requests/{request_id}",
        f"/requests/{request_id}/packet",
        f"/requests/{request_id}/deliveries/{request_id}-records-1",
        "/queue?q=state:all",
        "/numbers",
        "/endpoints",
    ):
        page = client.get(address)
        assert page.status_code == 200 and not any(word in page.text for word in PRIVATE), address


def test_the_manifest_lists_every_item_with_its_hash(closed):
    exchange, request_id, client = closed
    page = client.get(f"/requests/{request_id}/packet").text
    view = exchange.view(request_id)
    assert page.count('name="item"') == view["gathered"] + 1 and "DocumentReference" in page
    assert (
        "<summary>Documents " in page and "<summary>Attached files " in page and "<summary>People and places " in page
    )
    assert len(set(re.findall(r'<code title="([0-9a-f]{64})"', page))) > view["gathered"] - 2


def test_content_opens_only_with_our_form_and_a_reason_and_the_look_is_recorded(closed):
    exchange, request_id, client = closed
    address = f"/requests/{request_id}/packet"
    item = unescape(re.search(r'name="item" value="([^"]*Patient/[^"]*)"', client.get(address).text).group(1))
    fields = {"token": token(client, address), "item": item, "reason": "call from the ward"}
    for wrong, status in (({"token": ""}, 403), ({"reason": " "}, 400)):
        answer = client.post(f"{address}/look", data={**fields, **wrong})
        assert answer.status_code == status and "Synthetic-Test" not in answer.text
    assert client.get(f"{address}/look").status_code == 405 and audited(exchange, "packet.looked-at") == []
    answer = client.post(f"{address}/look", data=fields)
    assert "Synthetic-Test" in answer.text and answer.headers["Cache-Control"] == "no-store"
    [row] = audited(exchange, "packet.looked-at")
    assert (row.request_id, row.subject, row.reason) == (request_id, item, "call from the ward")
    assert client.post(f"{address}/look", data={**fields, "item": f"{request_id}-p1 Patient/none"}).status_code == 404


def test_an_original_document_comes_as_a_download_that_cannot_run(closed):
    _, request_id, client = closed
    address = f"/requests/{request_id}/packet"
    item = unescape(re.search(r'name="item" value="([^"]*#[^"]*)"', client.get(address).text).group(1))
    answer = client.post(f"{address}/look", data={"token": token(client, address), "item": item, "reason": "x"})
    assert answer.data == b"first opinion letter" and "attachment" in answer.headers["Content-Disposition"]
    assert "sandbox" in answer.headers["Content-Security-Policy"] and answer.content_type == "application/octet-stream"


def test_the_whole_packet_can_be_downloaded_and_that_is_recorded(closed):
    exchange, request_id, client = closed
    address = f"/requests/{request_id}/packet"
    answer = client.post(
        f"{address}/download", data={"token": token(client, address), "reason": "for the tumour board"}
    )
    names = zipfile.ZipFile(io.BytesIO(answer.data)).namelist()
    assert "packet-1/manifest.json" in names and "packet-1/records.pdf" in names
    assert [row.reason for row in audited(exchange, "packet.downloaded")] == ["for the tumour board"]


def test_the_packet_can_be_read_as_a_person_reads_records_and_that_is_recorded(closed):
    exchange, request_id, client = closed
    address = f"/requests/{request_id}/packet"
    assert client.post(f"{address}/read", data={"token": token(client, address), "reason": ""}).status_code == 400
    answer = client.post(f"{address}/read", data={"token": token(client, address), "reason": "before the visit"})
    sections = re.findall(r'<h2 id="section-[^"]*">([^<]+)</h2>', answer.text)
    assert "Synthetic-Test" in answer.text and len(sections) > 3 and answer.headers["Cache-Control"] == "no-store"
    assert [row.reason for row in audited(exchange, "packet.read")] == ["before the visit"]


def test_the_report_can_be_opened_with_a_reason_and_that_is_recorded(closed):
    exchange, request_id, client = closed
    page, address = f"/requests/{request_id}", f"/requests/{request_id}/reports/1"
    assert client.post(address, data={"token": token(client, page), "reason": " "}).status_code == 400
    answer = client.post(address, data={"token": token(client, page), "reason": "the doctor asks"})
    assert answer.status_code == 200 and "attachment" in answer.headers["Content-Disposition"]
    assert answer.data == b"we agree" and "sandbox" in answer.headers["Content-Security-Policy"]
    [row] = audited(exchange, "report.looked-at")
    assert (row.request_id, row.subject, row.reason) == (request_id, "report 1", "the doctor asks")
    missing = client.post(f"{page}/reports/9", data={"token": token(client, page), "reason": "x"})
    assert missing.status_code == 404


def test_the_numbers_know_the_closed_loop(closed):
    _, _, client = closed
    summary = client.get("/numbers.json?days=7").json["summary"]
    assert (summary["requests"], summary["closed"], summary["closure_rate"]) == (1, 1, 1.0) and summary[
        "records_median"
    ] > 0
    rows = client.get("/numbers.csv?days=7").text.splitlines()
    assert rows[0].startswith("start,requests,closed") and len(rows) == 8 and rows[-1].split(",")[1:3] == ["1", "1"]


def test_a_parked_match_is_linked_from_its_page_and_the_loop_goes_on(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    client = exchange.app.test_client()
    page = client.get(f"/requests/{request_id}").text
    address = unescape(re.search(r'href="(/requests/[^"]+/patient/bob)"', page).group(1))
    there = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]})
    fields = {"reference": "typed", "typed": f"Patient/{there['id']}", "reason": "called"}
    answer = client.post(f"{address}/link", data={"token": token(client, address), **fields})
    assert answer.status_code == 303
    exchange.drain()
    assert exchange.parked(request_id) == ["patient-no-shared-identifier"], "read, and not surely the patient"
    assert "first name" in client.get(address).text
    fields = {"reference": f"Patient/{there['id']}", "confirmed": "yes", "reason": "called"}
    answer = client.post(f"{address}/link", data={"token": token(client, address), **fields})
    assert answer.status_code == 303
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified"


def test_all_matching_is_retried_by_the_engine_itself(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange)
    ids = [exchange.submit(a_request(key=f"k{number}")) for number in range(3)]
    exchange.drain()
    client = exchange.app.test_client()
    address = "/actions/retry-matching?q=state:parked"
    fields = {"token": token(client, address), "q": "state:parked", "count": "3", "reason": "again"}
    assert client.post("/actions/retry-matching", data=fields).headers["Location"] == "/operations/1"
    exchange.drain()
    assert "3 retried, 0 had changed, 0 left, of 3" in client.get("/operations/1").text
    assert all(exchange.parked(one) for one in ids), "they were tried again, and parked again for the same reason"
    assert len(audited(exchange, "step.retried")) == 3


def test_the_pages_know_every_kind_of_step_and_every_schedule(exchange):
    assert set(JOBS) == set(StepKind) == set(KINDS), "mappings/model/steps.py and JOBS of jobs/engine.py must agree"
    for each in schedule.schedules(exchange.world):
        mine = schedules.next_fire(exchange.config, each.name, exchange.world.now())
        assert abs((mine - each.trigger.get_next_fire_time(None, exchange.world.now())).total_seconds()) < 61


def test_operations_run_under_no_configured_endpoint(exchange):
    with exchange.engine.begin() as conn:
        endpoints.register(conn, exchange.config)
    assert "(exchange)" not in json.dumps(exchange.app.test_client().get("/endpoints").text)
