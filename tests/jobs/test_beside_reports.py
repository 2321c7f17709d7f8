"""Beside a report that is in the primary care EHR: where it came from, and that it came; each once, and only where it is taken."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from integration import fhir_json
from mappings.model.written_report import Agreement, WrittenReport
from mappings.written_report import read_written_report, to_extension
from tests.jobs.exchange import a_request, load_chart, report_on
from tests.jobs.test_report_documents import ORACLE
from tests.jobs.test_vendor_loops import EPIC, Loop
from tests.servers.lying import LyingProxy
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.oracle_health import OracleHealth

pytestmark = pytest.mark.postgres
KINDS = ("Provenance", "Communication")


def closed(exchange, **report) -> str:
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [task] = exchange.find("bob", "Task", status="requested")
    exchange.answer(report={**report_on(task, "we agree"), **report})
    exchange.watch()
    assert exchange.view(request_id)["closed"]
    return request_id


def beside(exchange) -> dict[str, list[dict]]:
    return {kind: exchange.find("alice", kind) for kind in KINDS}


def levels(exchange) -> dict[str, str | None]:
    with exchange.engine.connect() as conn:
        rows = conn.execute(text("SELECT value, level FROM sendings WHERE value LIKE '%-returned-%'"))
        return {row.value.partition("/")[0]: row.level for row in rows}


def test_both_are_there_once_read_back_and_say_what_is_known(exchange):
    request_id = closed(exchange, author=[{"display": "Dr. Robin Synthetic"}])
    [provenance], [notice] = beside(exchange).values()
    [report] = exchange.find("alice", "DocumentReference", type="11488-4")
    there = f"DocumentReference/{report['id']}"
    assert [each["reference"] for each in provenance["target"]] == [there]
    agents = {each["type"]["coding"][0]["code"]: each["who"]["display"] for each in provenance["agent"]}
    assert agents == {"transmitter": "Second Opinion Exchange", "author": "Dr. Robin Synthetic"}
    [source] = provenance["entity"]
    assert source["role"] == "source" and source["what"]["identifier"]["system"] == "urn:test:bob"
    assert [each["reference"] for each in notice["about"]] == [there] and notice["status"] == "completed"
    words = notice["payload"][0]["contentString"]
    assert f"SOE ref {request_id}-1" in words and "Dr Bob" in words and "agree" not in words
    assert levels(exchange) == dict.fromkeys(KINDS, "read-back")
    exchange.watch()
    exchange.watch()
    assert [len(each) for each in beside(exchange).values()] == [1, 1], "nor are they a change of the chart"
    assert len([each for each in exchange.view(request_id)["deliveries"] if each["kind"] == "records"]) == 1


@pytest.mark.long
def test_nobody_is_named_as_author_whom_the_report_does_not_name(exchange):
    closed(exchange, author=[{"reference": "Practitioner/of-bob"}])
    [provenance] = exchange.find("alice", "Provenance")
    assert len(provenance["agent"]) == 1


def test_an_answer_that_never_arrives_doubles_none(make_exchange):
    lost = []

    def lose(method, path, answer):
        kind = path.rpartition("/")[2]
        if method == "POST" and kind in KINDS and kind not in lost:
            lost.append(kind)
            return None
        return answer

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=lose)})
    closed(exchange)
    for _ in range(3):
        exchange.watch()
    assert [len(each) for each in beside(exchange).values()] == [1, 1] and lost == list(KINDS)


@pytest.mark.long
def test_what_is_refused_is_a_finding_and_the_loop_is_closed(make_exchange):
    def refuse(method, path, headers, body):
        return b"{}" if method == "POST" and path.endswith(KINDS) else body

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=refuse)})
    closed(exchange)
    assert [len(each) for each in beside(exchange).values()] == [0, 0]
    assert "report-beside-left" in exchange.causes()


WRITTEN = WrittenReport(Agreement.AGREES, Agreement.DIFFERS, "we agree in part", signed_by="Dr. Bob Example")
DATED = {"date": "2026-06-18T16:30:00-07:00"}


def compositions(exchange) -> list[dict]:
    return sorted(exchange.find("alice", "Composition"), key=lambda each: each["identifier"]["value"])


def test_the_parts_stand_beside_it_in_sections_and_codes_corrected_and_taken_back_with_it(exchange):
    request_id = closed(exchange, extension=[to_extension(WRITTEN)], **DATED)
    [made], [document] = compositions(exchange), exchange.find("alice", "DocumentReference", type="11488-4")
    assert read_written_report(made).report == WRITTEN and made["status"] == "final"
    assert [each["title"] for each in made["section"]] == [
        "Agreement with the first opinion",
        "Opinion",
        "Signed",
        "The report as text and PDF",
    ]
    assert made["section"][-1]["entry"] == [{"reference": f"DocumentReference/{document['id']}"}]
    assert levels(exchange)["Composition"] == "read-back" and "report-parts-stay" not in exchange.causes()

    [theirs] = exchange.find("bob", "DocumentReference", type="11488-4")
    other = replace(WRITTEN, plan=Agreement.AGREES)
    theirs = exchange.change("bob", theirs, docStatus="amended", extension=[to_extension(other)])
    exchange.watch()
    first, second = compositions(exchange)
    assert second["relatesTo"][0]["targetReference"]["reference"] == f"Composition/{first['id']}"
    assert second["status"] == "amended" and read_written_report(second).report == other
    exchange.change("bob", theirs, status="entered-in-error", docStatus="entered-in-error")
    exchange.watch()
    exchange.watch()
    assert [each["status"] for each in compositions(exchange)] == ["entered-in-error"] * 2
    assert all("docStatus" not in each for each in compositions(exchange))
    kinds = [each["kind"] for each in exchange.view(request_id)["deliveries"]]
    assert kinds.count("records") == 1, "nor are they a change of the chart"


def test_a_server_that_drops_the_codes_is_found_out(make_exchange):
    def forget(method, path, headers, body):
        if method != "POST" or not path.endswith("/Composition"):
            return body
        said = fhir_json.loads(body)
        del said["extension"]
        headers.replace_header("Content-Length", str(len(fhir_json.dumps(said))))
        return fhir_json.dumps(said)

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=forget)})
    closed(exchange, extension=[to_extension(WRITTEN)], **DATED)
    with exchange.engine.connect() as conn:
        found = conn.execute(text("SELECT path FROM findings WHERE path LIKE '%Composition/%extension%'")).all()
    assert found and levels(exchange)["Composition"] != "read-back"


def test_where_no_composition_goes_it_is_said_that_the_parts_stay(make_exchange):
    exchange = make_exchange(at_alice="document: {beside: [Provenance]}")
    closed(exchange, extension=[to_extension(WRITTEN)])
    assert compositions(exchange) == [] and "report-parts-stay" in exchange.causes()


@pytest.mark.parametrize(("vendor", "settings"), [(Epic, EPIC), (OracleHealth, ORACLE)], ids=["epic", "oracle"])
@pytest.mark.long
def test_it_is_off_where_a_communication_is_something_else(make_exchange, vendor, settings):
    with vendor() as server:
        loop = Loop(server, make_exchange, settings)
        loop.ask()
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert loop.writes() == 1 and not [path for _, path in server.writes() if path.endswith(KINDS)]
