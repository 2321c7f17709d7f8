"""The road over HL7 v2 against a real engine: what each answer means, and that nothing leaves round the gate."""

from contextlib import contextmanager

import pytest

from integration.roads.hl7v2 import Hl7v2
from integration.roads.road import CannotTell, Impossible, NotAllowed, Prepared, Repeat, Taken
from jobs.target.sending import _wrote_nothing
from mappings.model.errors import PermanentError, UnknownOutcome
from mappings.model.roads import Level
from tests.integration.roads.attempts import document, way_to
from tests.servers.mllp_engine import MllpEngine
from tests.servers.vendors.charts import load
from tests.servers.vendors.meditech import Meditech

PARTIES = {"sending_facility": "EXCHANGE", "receiving_application": "EHR", "receiving_facility": "HILLSIDE"}


@contextmanager
def tried(engine: MllpEngine, **more):
    """The road into a Meditech-like EHR that has one patient, and that patient."""
    section = {
        "host": "127.0.0.1",
        "port": engine.port,
        "encryption": "none",
        "ack_timeout_seconds": 1.0,
        **PARTIES,
        **more,
    }
    with Meditech() as ehr:
        patient, _ = load(ehr)
        yield Hl7v2(way_to(ehr.url, "meditech", hl7v2=section)), patient


def prepared(road: Hl7v2, patient: str, **more) -> Prepared:
    made = road.prepare(document(patient, **more))
    assert isinstance(made, Prepared), made
    return made


def test_what_the_application_accepts_is_accepted():
    with MllpEngine() as engine, tried(engine) as (road, patient):
        made = prepared(road, patient)
        taken = road.send(made)
        assert isinstance(taken, Taken) and (taken.reference, taken.level) == ("R-77-1", Level.ACCEPTED)
        assert taken.receipt == {"acknowledgment": "AA", "control_id": made.control_id}
        [there] = engine.arrived
        assert there.control_id == made.control_id and there.raw == made.body
        [asked] = road.way.attempt.asked
        assert (asked.kind, asked.items, asked.size) == ("MDM^T02", (made.item.identifier.value,), len(made.body))
        [told] = road.way.attempt.exchanged
        assert (told.method, told.shown, told.cause) == ("MDM^T02", f"MLLP message {made.control_id}", "")
        assert told.sent_bytes == len(made.body) and told.received_bytes and told.request_body is None
        assert road.way.attempt.turns == 1


@pytest.mark.parametrize("fault", ["half", "swallow", "garbage", "other-id", "huge", "drop", "commit", "delay"])
def test_whatever_is_no_answer_to_this_message_leaves_it_in_doubt(fault):
    with MllpEngine(delay_seconds=2) as engine, tried(engine) as (road, patient):
        engine.faults = [fault]
        with pytest.raises(UnknownOutcome) as caught:
            road.send(prepared(road, patient))
        assert not _wrote_nothing(caught.value)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_refusal_is_told_by_codes_and_surely_left_nothing(code):
    with MllpEngine() as engine, tried(engine) as (road, patient):
        engine.faults = [f"nak:{code}"]
        with pytest.raises(PermanentError) as caught:
            road.send(prepared(road, patient))
        assert caught.value.cause == "hl7v2-refused" and _wrote_nothing(caught.value)
        assert f"{code} (PID-3 204)" in str(caught.value) and "Synthetic" not in str(caught.value)
        [told] = road.way.attempt.exchanged
        assert (told.cause, told.request_body, told.response_body) == ("hl7v2-refused", None, None)


def test_in_enhanced_mode_only_the_application_counts():
    with MllpEngine(enhanced=True) as engine, tried(engine, acknowledgment="enhanced") as (road, patient):
        taken = road.send(prepared(road, patient))
        assert isinstance(taken, Taken) and taken.level is Level.ACCEPTED
        assert (engine.arrived[0].field("MSH", 15), engine.arrived[0].field("MSH", 16)) == ("AL", "AL")


def test_an_engine_that_only_keeps_messages_says_little():
    with MllpEngine() as engine, tried(engine, acknowledgment="commit") as (road, patient):
        engine.faults = ["commit"]
        taken = road.send(prepared(road, patient))
        assert isinstance(taken, Taken) and taken.level is Level.UNVERIFIABLE


def test_a_doubled_answer_is_one_answer():
    with MllpEngine() as engine, tried(engine) as (road, patient):
        engine.faults = ["double"]
        assert isinstance(road.send(prepared(road, patient)), Taken)
        second = road.prepare(document(patient, revision=2, replaces="R-77-1"))
        assert isinstance(second, Prepared) and isinstance(road.send(second), Taken)
        assert engine.standing() == {"R-77-2": 1} and engine.documents["R-77-1"].state == "obsolete"


def test_one_that_was_sent_is_never_looked_up_and_repeated_only_where_repeats_are_dropped():
    with MllpEngine() as engine, tried(engine) as (road, patient):
        made = prepared(road, patient)
        asked = road.look_up(made, road.way.attempt.now)
        assert isinstance(asked, CannotTell) and asked.search_for == "SOE ref R-77-1"
        assert isinstance(road.read_back(made, "R-77-1"), NotAllowed) and engine.arrived == []
    with MllpEngine() as engine, tried(engine, drops_duplicates=True, resends=2) as (road, patient):
        asked = road.look_up(prepared(road, patient), road.way.attempt.now)
        assert isinstance(asked, Repeat) and asked.most_sends == 3


def test_what_it_cannot_take_is_impossible_by_this_road():
    with MllpEngine() as engine, tried(engine, character_set="ASCII") as (road, patient):
        found = road.prepare(document(patient, ("señor".encode(), "text/plain; charset=utf-8")))
        assert isinstance(found, Impossible) and "OBX-5" in found.message
    with Meditech() as ehr:
        assert isinstance(Hl7v2(way_to(ehr.url, "meditech")).can(), Impossible)


def test_what_had_no_place_is_said():
    with MllpEngine() as engine, tried(engine) as (road, patient):
        prepared(road, patient)
        assert "hl7v2-left-out" in road.way.attempt.causes


def test_a_report_of_ten_megabytes_goes_whole():
    data = b"%PDF-1.4 " + bytes(range(256)) * 40_000
    with MllpEngine() as engine, tried(engine, ack_timeout_seconds=30.0) as (road, patient):
        made = road.prepare(document(patient, (data, "application/pdf")))
        assert isinstance(made, Prepared) and isinstance(road.send(made), Taken)
        assert engine.arrived[0].raw == made.body and len(made.body) > 10_000_000
