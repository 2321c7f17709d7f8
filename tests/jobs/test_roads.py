"""A document that no system answered for: a person's word decides, and it is audited; nothing is sent on a guess."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

import second_opinion
from integration.backups.restore import look_before_sending
from integration.store import handing_over, operations
from integration.store.operations import NotPossible
from integration.store.tables import audit, deliveries
from mappings.model.hand_over import Typed
from tests.jobs.test_vendor_loops import EPIC, Loop
from tests.servers.vendors.charts import load
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.meditech import Meditech
from tests.servers.vendors.oracle_health import OracleHealth

pytestmark = pytest.mark.postgres


def report_of(loop: Loop):
    with loop.exchange.engine.connect() as conn:
        return conn.execute(
            select(deliveries).where(deliveries.c.request_id == loop.request_id, deliveries.c.kind == "report")
        ).one()


def run(loop: Loop, tmp_path, database, command: str, *more: str):
    arguments = ["--config", str(tmp_path / "config.yaml"), "deliveries", command, report_of(loop).id]
    return CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
        second_opinion.cli, [*arguments, *more, "--reason", "seen by the front desk", "--json"]
    )


def by_word(loop: Loop, tmp_path, database, command: str, *more: str) -> dict:
    result = run(loop, tmp_path, database, command, *more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def handed(at: datetime | None = None) -> tuple[str, ...]:
    when = (at or datetime.now(UTC)).isoformat()
    return ("--to", "Front desk", "--at", when, "--by-way", "fax", "--by", "Nora Field", "--note", "two pages")


@pytest.fixture
def to_hand_over(make_exchange):
    """A report for an EHR that takes nothing over a wire."""
    with Meditech() as vendor:
        loop = Loop(vendor, make_exchange, "profile: meditech")
        loop.ask()
        loop.answer()
        loop.go_on()
        assert loop.exchange.parked(loop.request_id) == ["to-hand-over"] and loop.writes() == 0
        yield loop


def told(loop: Loop) -> list[tuple[str, str]]:
    with loop.exchange.engine.connect() as conn:
        rows = conn.execute(select(audit.c.action, audit.c.reason).where(audit.c.action.like("delivery.%")))
        return [tuple(row) for row in rows]


@pytest.fixture
def in_doubt(make_exchange):
    """A report that was sent to an EHR that lets us read nothing, and whose answer never came."""
    with Epic() as vendor:
        vendor.unregister_reads()
        loop = Loop(vendor, make_exchange, EPIC)
        loop.ask()
        vendor.faults.swallow = 1
        loop.answer()
        loop.go_on()
        assert loop.exchange.parked(loop.request_id) == ["sent-perhaps"]
        yield loop


def test_a_retry_alone_never_sends_it_again(in_doubt):
    for _ in range(3):
        with in_doubt.exchange.engine.begin() as conn:
            operations.retry_delivery(conn, report_of(in_doubt).id, actor="test")
        in_doubt.go_on()
    assert in_doubt.writes() == 1 and in_doubt.exchange.parked(in_doubt.request_id) == ["sent-perhaps"]


def test_who_found_it_closes_the_loop_by_their_word(in_doubt, tmp_path, database):
    by_word(in_doubt, tmp_path, database, "confirm")
    in_doubt.go_on()
    assert in_doubt.view["closed"] and in_doubt.writes() == 1 and report_of(in_doubt).level == "handed-over"
    view = in_doubt.view
    assert report_of(in_doubt).status == "handed-over" and report_of(in_doubt).verified_at is None
    assert (view["closed_level"], view["report_level"], view["report_verified"]) == (
        "handed-over",
        "handed-over",
        False,
    )
    [closing] = [each for each in view["audit"] if each["action"] == "request.closed"]
    assert closing["detail"] == {"level": "handed-over", "road": "fhir-document"}
    assert told(in_doubt) == [("delivery.handed-over", "seen by the front desk")]


@pytest.mark.long
def test_who_did_not_find_it_has_it_sent_once_more(in_doubt, tmp_path, database):
    by_word(in_doubt, tmp_path, database, "send-again")
    in_doubt.go_on()
    assert in_doubt.writes() == 2
    assert in_doubt.exchange.parked(in_doubt.request_id) == ["level-too-low"], "it may still not be read there"
    assert told(in_doubt) == [("delivery.not-there", "seen by the front desk")]


def test_nobody_says_it_of_what_is_not_in_doubt(in_doubt, tmp_path, database):
    by_word(in_doubt, tmp_path, database, "confirm")
    with in_doubt.exchange.engine.begin() as conn, pytest.raises(NotPossible):
        handing_over.send_again(conn, report_of(in_doubt).id, actor="test", reason="twice")
    in_doubt.go_on()
    with in_doubt.exchange.engine.begin() as conn, pytest.raises(NotPossible, match="seen by the front desk"):
        handing_over.confirm(conn, report_of(in_doubt).id, typed=Typed(by="x"), actor="test", reason="twice")


def test_what_nobody_can_take_over_a_wire_is_handed_over_by_a_person(to_hand_over, tmp_path, database):
    loop = to_hand_over
    said = by_word(loop, tmp_path, database, "confirm", *handed())["hand_over"]
    assert (said["to"], said["by_way"], said["by"], said["note"]) == ("Front desk", "fax", "Nora Field", "two pages")
    loop.go_on()
    assert loop.view["closed"] and report_of(loop).level == "handed-over"
    assert (report_of(loop).road, loop.sending()["state"]) == ("download", "handed-over")
    assert loop.view["closed_known"].startswith("handed over to Front desk on ")
    assert loop.view["closed_known"].endswith("by fax, says Nora Field")


def test_a_hand_over_that_cannot_be_is_refused_with_each_mistake(to_hand_over, tmp_path, database):
    early = run(to_hand_over, tmp_path, database, "confirm", *handed(datetime(2020, 1, 1, tzinfo=UTC)))
    assert early.exit_code == 1 and "before the document existed" in early.output
    silent = run(to_hand_over, tmp_path, database, "confirm")
    assert silent.exit_code == 1 and all(each in silent.output for each in ("to whom", "say when", "say how"))
    assert to_hand_over.exchange.parked(to_hand_over.request_id) == ["to-hand-over"] and told(to_hand_over) == []


@pytest.mark.long
def test_the_second_of_two_who_say_it_is_told_of_the_first(to_hand_over, tmp_path, database):
    by_word(to_hand_over, tmp_path, database, "confirm", *handed())
    second = run(to_hand_over, tmp_path, database, "confirm", *handed())
    assert second.exit_code == 1 and "said at" in second.output and "seen by the front desk" in second.output
    to_hand_over.go_on()
    late = run(to_hand_over, tmp_path, database, "confirm", *handed())
    assert late.exit_code == 1 and "said at" in late.output
    assert len(told(to_hand_over)) == 1


def test_a_word_that_was_a_mistake_is_taken_back_and_the_loop_is_open_again(to_hand_over, tmp_path, database):
    loop = to_hand_over
    by_word(loop, tmp_path, database, "confirm", *handed())
    loop.go_on()
    assert loop.view["closed"]
    by_word(loop, tmp_path, database, "take-back")
    assert not loop.view["closed"] and loop.view["closed_level"] is None
    loop.go_on(2)
    assert loop.exchange.parked(loop.request_id) == ["to-hand-over"] and loop.sending()["state"] == "waiting"
    assert report_of(loop).status == "parked" and loop.view["report_level"] is None
    actions = [each["action"] for each in loop.view["audit"]]
    assert {"delivery.taken-back", "request.reopened"} <= set(actions)
    nothing = run(loop, tmp_path, database, "take-back")
    assert nothing.exit_code == 1 and "nobody has confirmed" in nothing.output
    by_word(loop, tmp_path, database, "confirm", *handed())
    loop.go_on()
    assert loop.view["closed"] and loop.view["closed_level"] == "handed-over" and loop.writes() == 0


@pytest.mark.long
def test_a_word_is_taken_back_before_anything_came_of_it(in_doubt, tmp_path, database):
    by_word(in_doubt, tmp_path, database, "confirm")
    by_word(in_doubt, tmp_path, database, "take-back")
    in_doubt.go_on(2)
    assert in_doubt.exchange.parked(in_doubt.request_id) == ["sent-perhaps"] and in_doubt.writes() == 1


def test_a_report_that_is_too_large_for_the_wire_is_carried(make_exchange):
    with Epic() as vendor:
        loop = Loop(vendor, make_exchange, f"{EPIC}, roads: [fhir-document, download]")
        loop.ask()
        limits = replace_limit(loop, 3)
        with limits:
            loop.answer()
            loop.go_on(2)
        assert loop.exchange.parked(loop.request_id) == ["to-hand-over"] and loop.writes() == 0
        [tried] = loop.sending()["tried"]
        assert (tried["road"], tried["cause"]) == ("fhir-document", "report-too-large")


@pytest.mark.long
def test_while_nobody_knows_what_became_of_a_send_no_size_opens_another_road(make_exchange):
    with Epic() as vendor:
        vendor.unregister_reads()
        loop = Loop(vendor, make_exchange, f"{EPIC}, roads: [fhir-document, download]")
        loop.ask()
        vendor.faults.swallow = 1
        loop.answer()
        loop.go_on(2)
        assert loop.exchange.parked(loop.request_id) == ["sent-perhaps"]
        with replace_limit(loop, 3):
            with loop.exchange.engine.begin() as conn:
                operations.retry_delivery(conn, report_of(loop).id, actor="test")
            loop.go_on(2)
        assert loop.sending()["road"] == "fhir-document" and loop.sending()["state"] == "begun" and loop.writes() == 1


@contextmanager
def replace_limit(loop: Loop, size: int) -> Iterator[None]:
    """As if config.yaml said another ``max_inline_bytes`` of the placer."""
    limits = loop.exchange.config.endpoints["alice"].limits
    before = limits.max_inline_bytes
    object.__setattr__(limits, "max_inline_bytes", size)
    try:
        yield
    finally:
        object.__setattr__(limits, "max_inline_bytes", before)


@pytest.mark.long
def test_a_person_says_which_visit_the_report_belongs_to(make_exchange, tmp_path, database):
    with Epic() as vendor:
        loop = Loop(vendor, make_exchange, "profile: epic")
        loop.ask()
        loop.answer()
        loop.go_on()
        assert loop.exchange.parked(loop.request_id) == ["encounter-unclear"] and loop.ours == []
        run = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke
        arguments = ["--config", str(tmp_path / "config.yaml"), "requests", "encounter", loop.request_id]
        wrong = run(second_opinion.cli, [*arguments, "Visit/1", "--reason", "asked"])
        assert wrong.exit_code == 1 and "Encounter/" in wrong.output
        result = run(second_opinion.cli, [*arguments, loop.visit, "--reason", "asked the front desk", "--json"])
        assert result.exit_code == 0, result.output
        loop.go_on()
        loop.must_have_closed()


def test_a_visit_of_somebody_else_is_refused(make_exchange):
    with Epic() as vendor:
        other, visit = load(vendor, 2)
        loop = Loop(vendor, make_exchange, "profile: epic")
        loop.ask()
        loop.answer()
        loop.go_on()
        with loop.exchange.engine.begin() as conn:
            handing_over.name_encounter(conn, loop.request_id, visit, actor="test", reason="a slip")
        loop.go_on()
        assert loop.exchange.parked(loop.request_id) == ["encounter-other-patient"]
        assert vendor.ours_of(other) == [] and loop.ours == []


def forget_the_return(loop: Loop) -> None:
    """As a backup from before the report was returned, restored: nothing here knows that it was."""
    with loop.exchange.engine.begin() as conn:
        conn.execute(text("DELETE FROM sendings"))
        conn.execute(text("DELETE FROM links WHERE value LIKE '%-report-%'"))
        conn.execute(text("UPDATE deliveries SET status = 'retrying' WHERE kind = 'report'"))
        conn.execute(text("UPDATE steps SET status = 'waiting', next_attempt_at = now() WHERE kind = 'return_report'"))
        look_before_sending(conn, actor="test")


@pytest.mark.parametrize(
    ("vendor", "profile"),
    [(Epic, EPIC), (OracleHealth, "profile: oracle-health, document: {encounter_choice: newest}")],
)
def test_after_a_restore_what_stands_there_is_found_and_not_sent_again(make_exchange, vendor, profile):
    with vendor() as started:
        loop = Loop(started, make_exchange, profile)
        loop.ask()
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        [there] = loop.ours
        forget_the_return(loop)
        loop.go_on()
        assert loop.writes() == 1 and [each.reference for each in loop.ours] == [there.reference]
        assert loop.sending()["reference"] == there.reference


@pytest.mark.long
def test_after_a_restore_where_nothing_can_be_read_a_person_is_asked(make_exchange):
    with Epic() as started:
        started.unregister_reads()
        loop = Loop(started, make_exchange, EPIC)
        loop.ask()
        loop.answer()
        loop.go_on()
        forget_the_return(loop)
        with loop.exchange.engine.begin() as conn:
            conn.execute(text("UPDATE steps SET status = 'cancelled' WHERE kind = 'verify_report'"))
        loop.go_on()
        assert loop.writes() == 1 and "sent-perhaps" in loop.exchange.parked(loop.request_id)
