"""A report of several documents at a system that takes one to a resource: all of them arrive, each once; the loop waits for all.

Oracle Health: "exactly one content, its bytes inside" (tests/servers/vendors/test_oracle_health.py).
"""

import base64
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from integration.packets.text_pdf import pdf_of_text
from integration.store import handing_over
from mappings.model.hand_over import Typed
from tests.jobs.doomed import Doomed, hurry, lease_runs_out
from tests.jobs.exchange import report_on
from tests.jobs.test_roads import by_word, handed, report_of
from tests.jobs.test_vendor_loops import Loop
from tests.servers.vendors.oracle_health import OracleHealth

pytestmark = pytest.mark.postgres
ORACLE = "profile: oracle-health, document: {encounter_choice: newest}"
OPINION, IMAGE = b"We agree: operate.", b"\x89PNG\r\n\x1a\n synthetic"
TEXT, PDF = ("text/plain; charset=utf-8", OPINION), ("application/pdf", pdf_of_text("table", "Results"))


def content(*documents: tuple[str, bytes]) -> list[dict]:
    return [{"attachment": {"contentType": kind, "data": base64.b64encode(data).decode()}} for kind, data in documents]


def answer(loop: Loop, *documents: tuple[str, bytes]) -> dict:
    [task] = loop.exchange.find("bob", "Task", status="requested")
    return loop.exchange.answer(report={**report_on(task, ""), "content": content(*documents)})


def ledger(loop: Loop) -> list[tuple[str, str, str | None]]:
    """Of each document: its name after the request's, its road, what is known of it."""
    with loop.exchange.engine.connect() as conn:
        rows = conn.execute(
            text("SELECT value, road, level FROM sendings WHERE value LIKE '%-report-%' ORDER BY value")
        )
        return [(row.value.partition("-report-")[2], row.road, row.level) for row in rows]


def standing(loop: Loop) -> dict[str, tuple[bytes, str]]:
    """By what a person searches for: the bytes there, and the status."""
    found = {}
    for each in loop.ours:
        found[each.resource["description"].rpartition("SOE ref ")[2].removeprefix(loop.request_id)] = (
            each.data,
            each.resource["status"],
        )
    return found


@pytest.fixture
def oracle(make_exchange) -> Iterator[Loop]:
    with OracleHealth() as vendor:
        loop = Loop(vendor, make_exchange, ORACLE)
        loop.ask()
        yield loop


def test_all_of_them_go_each_once_and_the_loop_closes_on_all(oracle):
    answer(oracle, TEXT, PDF, TEXT)
    oracle.go_on()
    assert standing(oracle) == {
        "-1": (OPINION, "current"),
        "-1.2": (PDF[1], "current"),
        "-1.3": (OPINION, "current"),
    }, oracle.view["owed"]
    assert ledger(oracle) == [(each, "fhir-document", "read-back") for each in ("1", "1.2", "1.3")]
    assert oracle.view["closed_level"] == "read-back" and oracle.writes() == 3
    assert "document 2 of 3" in oracle.ours[1].resource["description"]


def test_an_answer_that_never_arrives_doubles_none_of_them(oracle):
    answer(oracle, TEXT, PDF)
    told = []

    def swallow_the_second(method, path):
        told.append(path)
        if len(told) == 1:
            oracle.vendor.faults.swallow = 1

    oracle.vendor.faults.written = swallow_the_second
    oracle.go_on()
    assert oracle.vendor.faults.met == {"swallow": 1} and len(oracle.ours) == oracle.writes() == 2
    assert oracle.view["closed"], oracle.view["owed"]


def test_a_worker_that_is_killed_between_them_leaves_each_once(oracle, tmp_path, database):
    answer(oracle, TEXT, PDF)
    doomed, told = Doomed(tmp_path, database), []

    def die_at_the_second(method, path):
        told.append(path)
        if len(told) == 2:
            doomed.die()

    oracle.vendor.faults.written = die_at_the_second
    hurry(oracle.exchange.engine)
    doomed.wait()
    assert doomed.deaths == 1 and len(oracle.ours) == 2
    lease_runs_out(oracle.exchange.engine)
    oracle.go_on()
    assert len(oracle.ours) == oracle.writes() == 2 and oracle.view["closed"], oracle.view["owed"]


@pytest.fixture
def changed_in_between(oracle) -> Loop:
    """The first document is there, the primary care EHR was away for the second, and meanwhile other bytes stand at the consultant."""
    report = answer(oracle, TEXT, PDF)
    oracle.vendor.faults.written = lambda *_: setattr(oracle.vendor.faults, "away", True)
    oracle.go_on(rounds=1)
    oracle.vendor.faults.written, oracle.vendor.faults.away = lambda *_: None, False
    assert set(standing(oracle)) == {"-1"}
    oracle.exchange.change("bob", report, content=content(TEXT, ("application/pdf", PDF[1] + b"%")))
    return oracle


@pytest.mark.long
def test_bytes_that_change_there_between_two_attempts_are_another_revision(changed_in_between):
    """What goes later is cut from what went first: the change is told as one, and nothing is mixed."""
    oracle = changed_in_between
    oracle.go_on(rounds=60, but=("watch_fulfiller",))  # the breaker rests first
    assert standing(oracle)["-1.2"][0] == PDF[1], oracle.view["owed"]
    oracle.exchange.watch()
    oracle.go_on()
    assert standing(oracle)["-2.2"] == (PDF[1] + b"%", "current"), oracle.view["owed"]


@pytest.mark.long
def test_a_change_that_is_seen_before_the_rest_went_is_returned_in_its_place(changed_in_between):
    """Of a revision that no longer stands nothing more goes; what went of it says so."""
    oracle = changed_in_between
    oracle.go_on(rounds=1, but=("return_report",))
    oracle.go_on(rounds=60)
    assert standing(oracle) == {
        "-1": (OPINION, "superseded"),
        "-2": (OPINION, "current"),
        "-2.2": (PDF[1] + b"%", "current"),
    }, oracle.view["owed"]
    assert oracle.view["closed_level"] == "read-back"


@pytest.mark.parametrize("left", [(PDF,), (PDF, PDF)], ids=["one", "two"])
@pytest.mark.long
def test_one_that_the_system_refuses_is_carried_and_the_loop_waits_for_the_word(oracle, tmp_path, database, left):
    kinds = [("image/png", IMAGE), *left, ("image/png", IMAGE + b"2")]
    answer(oracle, TEXT, *kinds)
    oracle.go_on()
    assert {key: data for key, (data, _) in standing(oracle).items()} == {
        "-1": OPINION,
        **{f"-1.{number}": PDF[1] for number in range(3, 3 + len(left))},
    }, "one that cannot go keeps no other back"
    assert oracle.exchange.parked(oracle.request_id) == ["to-hand-over"] and not oracle.view["closed"]
    assert "report-document-left" in oracle.exchange.causes()
    by_word(oracle, tmp_path, database, "confirm", *handed())
    oracle.go_on()
    assert oracle.view["closed_level"] == "handed-over" and report_of(oracle).status == "handed-over"
    assert {level for _, _, level in ledger(oracle)} == {"read-back", "handed-over"}
    with oracle.exchange.engine.begin() as conn:
        assert handing_over.take_back(conn, report_of(oracle).id, actor="test", reason="not the right patient's")
    oracle.go_on(rounds=2)
    assert oracle.exchange.parked(oracle.request_id) == ["to-hand-over"] and not oracle.view["closed"]


@pytest.mark.long
def test_a_word_on_one_of_them_leaves_the_other_open(oracle):
    answer(oracle, TEXT, ("image/png", IMAGE), ("image/png", IMAGE + b"2"))
    oracle.go_on()
    named = f"DocumentReference/{oracle.request_id}-report-1.2"
    when = oracle.exchange.clock().isoformat()
    with oracle.exchange.engine.begin() as conn:
        typed = Typed(by="Nora Field", to="Front desk", at=when, by_way="fax")
        handing_over.confirm(conn, report_of(oracle).id, named, typed=typed, actor="test", reason="gave it to them")
    oracle.go_on(rounds=2)
    assert oracle.exchange.parked(oracle.request_id) == ["to-hand-over"] and not oracle.view["closed"]
    [step] = [each for each in oracle.view["owed"] if each["kind"] == "return_report"]
    assert "report-1.3" in step["message"]


def test_a_correction_and_a_withdrawal_reach_every_one(oracle):
    report = answer(oracle, TEXT, PDF, PDF)
    oracle.go_on()
    report = oracle.exchange.change(
        "bob", report, docStatus="amended", content=content(("text/plain; charset=utf-8", b"We disagree."), PDF)
    )
    oracle.exchange.watch()
    oracle.go_on()
    assert standing(oracle) == {
        "-1": (OPINION, "superseded"),
        "-1.2": (PDF[1], "superseded"),
        "-1.3": (PDF[1], "superseded"),
        "-2": (b"We disagree.", "current"),
        "-2.2": (PDF[1], "current"),
    }, oracle.view["owed"]
    oracle.exchange.change("bob", report, status="entered-in-error")
    oracle.exchange.watch()
    oracle.go_on()
    now = {key: status for key, (_, status) in standing(oracle).items()}
    assert {now[each] for each in ("-2", "-2.2", "-1.3")} == {"entered-in-error"}, (now, oracle.view["owed"])


@pytest.mark.long
def test_a_document_that_is_too_large_there_opens_the_next_road(oracle):
    """413: surely not written."""
    oracle.vendor.faults.refuse = [(413, None)]
    answer(oracle, TEXT)
    oracle.go_on()
    assert oracle.exchange.parked(oracle.request_id) == ["to-hand-over"] and oracle.ours == []
    [step] = [each for each in oracle.view["owed"] if each["kind"] == "return_report"]
    assert "too large" in step["message"]
