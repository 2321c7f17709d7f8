"""Beside a report that is in the primary care EHR: where it came from, and that it came; each once, and only where it is taken."""

import pytest
from sqlalchemy import text

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


def test_what_is_refused_is_a_finding_and_the_loop_is_closed(make_exchange):
    def refuse(method, path, headers, body):
        return b"{}" if method == "POST" and path.endswith(KINDS) else body

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=refuse)})
    closed(exchange)
    assert [len(each) for each in beside(exchange).values()] == [0, 0]
    assert "report-beside-left" in exchange.causes()


@pytest.mark.parametrize(("vendor", "settings"), [(Epic, EPIC), (OracleHealth, ORACLE)], ids=["epic", "oracle"])
def test_it_is_off_where_a_communication_is_something_else(make_exchange, vendor, settings):
    with vendor() as server:
        loop = Loop(server, make_exchange, settings)
        loop.ask()
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert loop.writes() == 1 and not [path for _, path in server.writes() if path.endswith(KINDS)]
