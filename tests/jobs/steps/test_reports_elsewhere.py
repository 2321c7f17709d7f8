"""Reports as consultants really leave them: not named, by another address, inside the Task, not final, replaced in place, misdated."""

import base64
from dataclasses import replace

import pytest
from sqlalchemy import select

from integration.fhir.server import FhirServer
from integration.store import operations
from integration.store.tables import findings, reports, requests
from tests.jobs.exchange import http, load_chart, report_on
from tests.jobs.steps.test_reports import asked, copy_of, text_of
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


def causes_of(exchange, severity: str = "error") -> set[str]:
    with exchange.engine.connect() as conn:
        return set(conn.execute(select(findings.c.cause).where(findings.c.severity == severity)).scalars())


def complete(exchange, *outputs: dict, **elements) -> dict:
    """Dr Bob completes the Task with these outputs."""
    [task] = exchange.find("bob", "Task")
    task = exchange.change("bob", task, status="in-progress")
    made = {"output": [{"type": {"text": "report"}, **each} for each in outputs]} if outputs else {}
    return exchange.change("bob", task, status="completed", **made, **elements)


def by_reference(report: dict, base: str = "") -> dict:
    return {"valueReference": {"reference": f"{base}{report['resourceType']}/{report['id']}"}}


def inline(words: str) -> dict:
    return {"contentType": "text/plain", "data": base64.b64encode(words.encode()).decode()}


@pytest.mark.parametrize("kind", ["DocumentReference", "DiagnosticReport", "by identifier"])
@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_a_report_that_no_output_names_is_found_by_what_it_points_to(make_exchange, kind, accepts):
    exchange = make_exchange(accepts=accepts)
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    stranger = {**report_on(task, "about something else"), "context": {}}
    exchange.put("bob", stranger)
    if kind == "DiagnosticReport":
        report = {
            "resourceType": kind,
            "status": "final",
            "code": {"text": "opinion"},
            "subject": task["for"],
            "basedOn": [task["focus"]],
            "presentedForm": [inline("we agree")],
        }
    else:
        report = report_on(task, "we agree")
    if kind == "by identifier":
        own = {"system": "https://second-opinion.example/ids", "value": f"ServiceRequest/{request_id}"}
        report["context"] = {"related": [{"type": "ServiceRequest", "identifier": own}]}
    complete(exchange)
    exchange.watch()
    assert "report-missing" in causes_of(exchange) and exchange.view(request_id)["status"] != "completed"
    exchange.put("bob", report)
    exchange.watch()
    assert exchange.view(request_id)["closed"] and text_of(copy_of(exchange, request_id, 1)) == ["we agree"]
    assert "report-missing" not in causes_of(exchange)


def test_an_unnamed_report_about_another_patient_is_not_returned(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    other = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    exchange.put("bob", {**report_on(task, "of another"), "subject": {"reference": f"Patient/{other['id']}"}})
    complete(exchange)
    exchange.watch()
    assert exchange.parked(request_id) == ["report-other-patient"] and copy_of(exchange, request_id, 1) is None


@pytest.mark.parametrize("spelled", ["absolute", "another case", "inner address", "valueUrl", "history"])
def test_an_output_by_any_address_of_the_server_is_followed(exchange, spelled):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    report = exchange.put("bob", report_on(task, "we agree"))
    bases = {
        "another case": exchange.bob.replace("http://", "HTTP://"),
        "inner address": "http://10.0.0.5:8080/fhir",
        "history": "",
    }
    output = by_reference(report, f"{bases.get(spelled, exchange.bob)}/" if spelled != "history" else "")
    if spelled == "history":
        output["valueReference"]["reference"] += "/_history/1"
    if spelled == "valueUrl":
        output = {"valueUrl": output["valueReference"]["reference"]}
    complete(exchange, output)
    exchange.watch()
    assert exchange.view(request_id)["closed"], causes_of(exchange)
    assert text_of(copy_of(exchange, request_id, 1)) == ["we agree"] and "report-many-outputs" not in causes_of(
        exchange
    )


@pytest.mark.long
def test_an_inner_address_of_a_report_about_nothing_of_ours_is_not_followed(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    report = exchange.put("bob", {**report_on(task, "not about this"), "context": {}})
    complete(exchange, by_reference(report, "http://10.0.0.5:8080/fhir/"))
    exchange.watch()
    assert not exchange.view(request_id)["closed"] and "report-missing" in causes_of(exchange)


@pytest.mark.parametrize("how", ["attachment", "contained", "file", "binary"])
def test_what_the_task_hands_over_itself_is_returned(exchange, how):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    answer = http.post(f"{exchange.bob}/Binary", data=b"we agree", headers={"Content-Type": "text/plain"}, timeout=10)
    place = f"{exchange.bob}/Binary/{answer.headers['Location'].split('/_history')[0].split('/')[-1]}"
    if how == "attachment":
        complete(exchange, {"valueAttachment": inline("we agree")})
    elif how == "contained":
        inside = {**report_on(task, "we agree"), "id": "opinion"}
        complete(exchange, {"valueReference": {"reference": "#opinion"}}, contained=[inside])
    elif how == "file":
        complete(exchange, {"valueUrl": place})
    else:
        complete(exchange, {"valueReference": {"reference": "Binary/" + place.split("/")[-1]}})
    exchange.watch()
    assert exchange.view(request_id)["closed"], causes_of(exchange)
    assert text_of(copy_of(exchange, request_id, 1)) == ["we agree"]
    exchange.watch()
    with exchange.engine.connect() as conn:
        assert conn.execute(select(reports.c.state)).scalars().all() == ["final"]


@pytest.mark.long
def test_a_preliminary_report_is_returned_as_that_and_the_final_one_closes(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    report = exchange.put("bob", {**report_on(task, "so far"), "docStatus": "preliminary"})
    complete(exchange, by_reference(report))
    for _ in range(2):
        exchange.watch()
    view, first = exchange.view(request_id), copy_of(exchange, request_id, 1)
    assert not view["closed"] and view["status"] != "completed" and "report-not-final" in causes_of(exchange)
    assert (first["docStatus"], text_of(first)) == ("preliminary", ["so far"])
    exchange.change("bob", report, docStatus="final", content=[{"attachment": inline("we agree")}])
    exchange.watch()
    second = copy_of(exchange, request_id, 2)
    assert exchange.view(request_id)["closed"] and "report-not-final" not in causes_of(exchange)
    assert (second["docStatus"], text_of(second)) == ("final", ["we agree"])
    assert copy_of(exchange, request_id, 1)["status"] == "superseded"


def test_other_bytes_at_the_same_address_are_an_amendment(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    answer = http.post(
        f"{exchange.bob}/Binary", data=b"benign", headers={"Content-Type": "application/pdf"}, timeout=10
    )
    place = answer.headers["Location"].split("/_history")[0].split("/fhir/bob/")[-1]
    report = {**report_on(task, ""), "content": [{"attachment": {"contentType": "application/pdf", "url": place}}]}
    exchange.answer(report=report)
    for _ in range(2):
        exchange.watch()
    assert exchange.view(request_id)["closed"] and copy_of(exchange, request_id, 2) is None
    http.put(f"{exchange.bob}/{place}", data=b"malignant", headers={"Content-Type": "application/pdf"}, timeout=10)
    for _ in range(3):
        exchange.watch()
    assert text_of(copy_of(exchange, request_id, 2)) == ["malignant"] and copy_of(exchange, request_id, 3) is None
    assert copy_of(exchange, request_id, 1)["status"] == "superseded"


@pytest.mark.parametrize(
    "end",
    ["2026-05-04T10:00:00", "2026-05-04T24:00:00Z", "2026-05-04", "2026-02-30", "04.05.2026", "2026-05-04T10:00Z"],
)
def test_no_report_is_lost_to_its_own_date(exchange, monkeypatch, end):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    odd = {"context": {"related": [task["focus"]], "period": {"end": end}}, "date": end}
    report = exchange.put("bob", report_on(task, "we agree"))
    reading = FhirServer.read

    def read(server, kind, logical_id, **how):
        return {**reading(server, kind, logical_id, **how), **(odd if logical_id == report["id"] else {})}

    monkeypatch.setattr(FhirServer, "read", read)  # our own endpoint would not store it
    complete(exchange, by_reference(report))
    exchange.watch()
    assert exchange.view(request_id)["closed"], (exchange.parked(request_id), causes_of(exchange))
    copy = copy_of(exchange, request_id, 1)
    assert copy.get("context", {}).get("period", {}).get("end") in (None, "2026-05-04")


def test_a_conclusion_in_words_is_the_report_where_no_document_is_attached(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    exchange.answer(
        report={
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
            "subject": task["for"],
            "basedOn": [task["focus"]],
            "conclusion": "Do not operate. 手術しない。",
        }
    )
    exchange.watch()
    assert exchange.view(request_id)["closed"]
    assert text_of(copy_of(exchange, request_id, 1)) == ["Do not operate. 手術しない。"]


@pytest.mark.long
def test_a_large_report_of_ten_scripts_arrives_byte_for_byte(exchange):
    words = "ok ✓ Ελληνικά русский עברית العربية हिन्दी 中文 日本語 한국어 አማርኛ "
    large = words * 25_000
    limits = exchange.world.config.endpoints["alice"].limits.model_copy(update={"max_inline_bytes": 1 << 25})
    alice = exchange.world.config.endpoints["alice"].model_copy(update={"limits": limits})
    endpoints = {**exchange.world.config.endpoints, "alice": alice}
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"endpoints": endpoints}))
    request_id = asked(exchange)
    exchange.answer(text_of_report=large)
    exchange.watch()
    view = exchange.view(request_id)
    assert view["closed"], (exchange.parked(request_id), causes_of(exchange))
    assert text_of(copy_of(exchange, request_id, 1)) == [large]


@pytest.mark.long
def test_a_report_for_a_cancelled_request_is_not_returned(exchange):
    request_id = asked(exchange)
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="not wanted")
    exchange.drain()
    [task] = exchange.find("bob", "Task")
    report = exchange.put("bob", report_on(task, "too late"))
    exchange.change("bob", task, status="completed", output=[{"type": {"text": "x"}, **by_reference(report)}])
    exchange.watch()
    assert exchange.view(request_id)["status"] == "cancelled" and copy_of(exchange, request_id, 1) is None


@pytest.mark.long
def test_the_mirror_changes_only_tasks_about_the_order(exchange, monkeypatch):
    chart = load_chart(exchange, observations=1)
    unrelated = exchange.put("alice", {"resourceType": "Task", "status": "requested", "intent": "order"})
    order = exchange.put("alice", order_of(chart))
    about = {"focus": {"reference": f"ServiceRequest/{order['id']}"}}
    mine = exchange.put("alice", {"resourceType": "Task", "status": "requested", "intent": "order", **about})
    asking = FhirServer.search_all

    def ignores_focus(server, kind, params=None, **how):
        return asking(server, kind, {} if "focus" in (params or {}) else params, **how)

    monkeypatch.setattr(FhirServer, "search_all", ignores_focus)
    exchange.poll()
    [task] = exchange.find("bob", "Task")
    exchange.change("bob", task, status="accepted")
    exchange.watch()
    states = {each["id"]: each["status"] for each in exchange.find("alice", "Task")}
    assert states == {unrelated["id"]: "requested", mine["id"]: "accepted"}


def test_a_status_that_the_asking_ehr_takes_and_does_not_keep_is_said(make_exchange):
    def deaf(url):
        return LyingProxy(url, ask=lambda method, path, headers, body: (200, [], b"") if method == "PUT" else body)

    exchange = make_exchange(before={"alice": deaf})
    order = exchange.put("alice", order_of(load_chart(exchange, observations=1)))
    exchange.poll()
    with exchange.engine.begin() as conn:
        request_id = conn.execute(select(requests.c.id)).scalar_one()
        operations.cancel(conn, request_id, actor="test", reason="not wanted")
    exchange.drain()
    assert [each["status"] for each in exchange.find("alice", "ServiceRequest", _id=order["id"])] == ["active"]
    found = {each["message"] for each in exchange.view(request_id)["findings"] if each["cause"] == "mirror-refused"}
    assert found == {f"alice took our update of ServiceRequest/{order['id']} and keeps what it said"}
