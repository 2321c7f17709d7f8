"""Whole loops where the report reaches the EHR as an HL7 v2 message: what stands at the engine, and what is done when it is silent."""

import socket

import pytest
from sqlalchemy import select, text

from integration.listening.listener import Listener
from integration.listening.taking import Taking
from integration.store import handing_over, operations
from integration.store.tables import audit, requests
from tests.integration.listening.asking import ask
from tests.jobs.doomed import Doomed, hurry, lease_runs_out
from tests.jobs.test_roads import forget_the_return, report_of
from tests.jobs.test_vendor_loops import Loop
from tests.mappings.hl7v2.orders import REF
from tests.servers.mllp_engine import MllpEngine
from tests.servers.vendors.charts import MRN
from tests.servers.vendors.meditech import Meditech

pytestmark = pytest.mark.postgres
CLOSES = "closes_on: [read-back, accepted, handed-over]"


class EngineLoop(Loop):
    """A Meditech-like placer that only shows over FHIR, and the engine through which documents come."""

    def __init__(self, vendor: Meditech, engine: MllpEngine, make_exchange, more: str = "", also: str = CLOSES):
        self.engine = engine
        section = (
            f"{{host: 127.0.0.1, port: {engine.port}, encryption: none, ack_timeout_seconds: 5, sending_facility: EXCHANGE, "
            f"receiving_application: EHR, receiving_facility: HILLSIDE{more}}}"
        )
        super().__init__(vendor, make_exchange, f"profile: meditech, hl7v2: {section}, {also}")

    def numbers(self) -> dict[str, int]:
        return self.engine.standing()

    def must_stand_once(self, revision: int = 1) -> None:
        assert self.view["closed"], (self.view["owed"], self.exchange.causes())
        assert self.numbers() == {f"{self.request_id}-{revision}": 1}


@pytest.fixture
def loop_of(make_exchange):
    """Makes a loop up to the consultant's answer: keys of ``hl7v2``, keys of the endpoint, habits of the engine."""
    opened = []

    def make(more: str = "", also: str = CLOSES, **habits) -> EngineLoop:
        vendor, engine = Meditech().__enter__(), MllpEngine(**habits).__enter__()
        opened.extend((vendor, engine))
        loop = EngineLoop(vendor, engine, make_exchange, more, also)
        loop.ask()
        return loop

    yield make
    for each in opened:
        each.__exit__(None, None, None)


DROPS = ", drops_duplicates: true"


def test_a_report_is_filed_once_and_its_leaving_is_a_row_of_the_audit_trail(loop_of):
    loop = loop_of()
    loop.exchange.answer()
    loop.go_on()
    loop.must_stand_once()
    sending = loop.sending()
    assert (sending["road"], sending["level"], sending["reference"]) == ("hl7v2", "accepted", f"{loop.request_id}-1")
    assert sending["control_id"] == loop.engine.arrived[0].control_id
    with loop.exchange.engine.connect() as conn:
        rows = conn.execute(select(audit.c.reason, audit.c.detail).where(audit.c.action == "data.leaves")).all()
    [(reason, detail)] = [tuple(row) for row in rows if row.detail["kind"] == "MDM^T02"]
    assert reason == "report-return" and detail["bytes"] == len(loop.engine.arrived[0].raw)


def test_by_default_an_acknowledgment_alone_closes_no_loop(loop_of):
    loop = loop_of(also="closes_on: [read-back, handed-over]")
    loop.exchange.answer()
    loop.go_on(rounds=3)
    assert loop.exchange.parked(loop.request_id) == ["level-too-low"] and len(loop.engine.arrived) == 1


@pytest.mark.parametrize("fault", ["swallow", "drop"])
def test_where_repeats_are_dropped_a_silent_engine_gets_the_same_message_once_more(loop_of, fault):
    loop = loop_of(DROPS, drops_duplicates=True)
    loop.engine.faults = [fault]
    loop.exchange.answer()
    loop.go_on()
    loop.must_stand_once()
    first, second = loop.engine.arrived
    assert first.raw == second.raw and loop.sending()["sends"] == 2


@pytest.mark.long
def test_it_is_repeated_no_more_often_than_is_said_and_then_a_person_is_asked(loop_of):
    loop = loop_of(DROPS, drops_duplicates=True)
    loop.engine.faults = ["swallow", "half", "swallow"]
    loop.exchange.answer()
    loop.go_on(rounds=3)
    for _ in range(2):
        with loop.exchange.engine.begin() as conn:
            operations.retry_delivery(conn, report_of(loop).id, actor="test")
        loop.go_on(rounds=2)
    assert loop.exchange.parked(loop.request_id) == ["sent-perhaps"] and len(loop.engine.arrived) == 2


@pytest.mark.long
def test_a_refusal_of_the_repeat_says_nothing_of_the_first(loop_of):
    loop = loop_of(DROPS)
    loop.engine.faults = ["swallow", "nak:AE"]
    loop.exchange.answer()
    loop.go_on(rounds=3)
    assert loop.exchange.parked(loop.request_id) == ["sent-perhaps"] and loop.sending()["state"] == "begun"
    assert len(loop.engine.arrived) == 2


def test_where_nothing_is_known_of_repeats_a_person_looks_and_decides(loop_of):
    loop = loop_of()
    loop.engine.faults = ["drop"]
    loop.exchange.answer()
    loop.go_on(rounds=3)
    assert loop.exchange.parked(loop.request_id) == ["sent-perhaps"] and len(loop.engine.arrived) == 1
    with loop.exchange.engine.begin() as conn:
        handing_over.send_again(conn, report_of(loop).id, actor="test", reason="the chart was searched")
    loop.go_on()
    loop.must_stand_once()
    first, second = loop.engine.arrived
    assert (first.control_id, first.number) == (second.control_id, second.number)


def test_a_refusal_parks_by_its_codes_and_after_it_was_mended_goes_once(loop_of):
    loop = loop_of()
    loop.engine.faults = ["nak:AE"]
    loop.exchange.answer()
    loop.go_on(rounds=3)
    [step] = [each for each in loop.view["owed"] if each["kind"] == "return_report"]
    assert (step["status"], step["cause"]) == ("parked", "hl7v2-refused") and "PID-3 204" in step["message"]
    assert "Synthetic" not in step["message"] and loop.numbers() == {}
    with loop.exchange.engine.begin() as conn:
        operations.retry_step(conn, step["id"], actor="test")
    loop.go_on()
    loop.must_stand_once()


def test_a_worker_that_is_killed_between_send_and_answer_leaves_one_document(loop_of, tmp_path, database):
    loop = loop_of(DROPS, drops_duplicates=True)
    loop.answer(drain=False)
    doomed = Doomed(tmp_path, database)
    loop.engine.written = doomed.die
    hurry(loop.exchange.engine)
    doomed.wait()
    assert doomed.deaths == 1 and loop.numbers() == {f"{loop.request_id}-1": 1}
    lease_runs_out(loop.exchange.engine)
    loop.go_on()
    loop.must_stand_once()
    assert len(loop.engine.arrived) == 2


def test_an_amended_report_replaces_the_first_and_a_retracted_one_is_taken_back(loop_of):
    loop = loop_of()
    report = loop.exchange.answer()
    loop.go_on()
    loop.must_stand_once()
    report = loop.exchange.change("bob", report, docStatus="amended")
    loop.exchange.watch()
    loop.go_on()
    loop.must_stand_once(revision=2)
    assert loop.engine.documents[f"{loop.request_id}-1"].state == "obsolete"
    loop.exchange.change("bob", report, status="entered-in-error", docStatus="entered-in-error")
    loop.exchange.watch()
    loop.go_on()
    assert loop.numbers() == {} and [each.event for each in loop.engine.arrived] == ["T02", "T10", "T11"]
    assert loop.engine.arrived[2].field("TXA", 17) == "AU", "as the copy said of itself"


@pytest.mark.long
def test_after_a_restore_a_person_looks_before_it_goes_again(loop_of):
    loop = loop_of()
    loop.exchange.answer()
    loop.go_on()
    loop.must_stand_once()
    forget_the_return(loop)
    with loop.exchange.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET status = 'cancelled' WHERE kind = 'verify_report'"))
    loop.go_on()
    assert "sent-perhaps" in loop.exchange.parked(loop.request_id) and len(loop.engine.arrived) == 1


@pytest.mark.long
def test_an_order_that_came_as_a_message_is_answered_by_one_that_names_it(make_exchange):
    with Meditech() as vendor, MllpEngine() as engine:
        listen = (
            "encryption: none, host: 127.0.0.1, port: 0, sending_facility: HILLSIDE, order_system: 'urn:hill:orders'"
        )
        more = f", assigning_authorities: {{'{MRN}': HILL}}, listen: {{{listen}}}"
        loop = EngineLoop(vendor, engine, make_exchange, more)
        taking = Taking(loop.exchange.config, loop.exchange.engine, loop.exchange.payloads, "alice")
        listener = Listener(taking.listen, taking).start()
        try:
            assert ask(listener.port, REF) == ["AA"]
        finally:
            listener.stop()
        with loop.exchange.engine.connect() as conn:
            loop.request_id = conn.execute(select(requests.c.id)).scalar_one()
        loop.exchange.drain()
        assert loop.view["status"] == "requested", loop.view["owed"]
        loop.exchange.answer()
        loop.go_on()
        loop.must_stand_once()
        assert engine.arrived[0].field("TXA", 14) == "R-1^^urn:hill:orders^URI"


def test_the_gate_is_asked_when_all_is_ready_and_what_it_keeps_was_not_sent(loop_of, monkeypatch):
    loop, connect = loop_of(), socket.create_connection

    def unlink_and_connect(address, *rest):
        with loop.exchange.engine.begin() as conn:
            conn.execute(text("DELETE FROM patient_links WHERE endpoint = 'alice'"))
        return connect(address, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "create_connection", unlink_and_connect)
        loop.answer(drain=False)
        loop.go_on(rounds=2)
    [step] = [each for each in loop.view["owed"] if each["kind"] == "return_report"]
    assert (step["status"], step["cause"]) == ("parked", "patient-not-linked")
    assert loop.engine.arrived == [] and loop.sending()["state"] == "absent"
    with loop.exchange.engine.begin() as conn:
        operations.retry_step(conn, step["id"], actor="test")
    loop.go_on()
    loop.must_stand_once()
