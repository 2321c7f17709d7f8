"""A report that is in the primary care EHR waits until a clinician has read it; a newer revision waits anew."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import second_opinion
from integration.store import acknowledgments, alarm_rules, alarms
from integration.store.operations import NotPossible, WrongWords
from mappings.model.acknowledgment import TypedAcknowledgment
from tests.jobs.exchange import Exchange, a_request, load_chart, report_on

pytestmark = pytest.mark.postgres
READ = {"by": "Dr. Alice", "decision": "keep-plan"}


def unread(exchange: Exchange, days: float) -> list[str]:
    """What the rule raises in so many days."""
    with exchange.engine.begin() as conn:
        alarm_rules.apply(conn, exchange.config, datetime.now(UTC) + timedelta(days=days))
        return [each.message for each in alarms.open_alarms(conn) if each.rule == "report-unread"]


def acknowledge(exchange: Exchange, request_id: str, revision: int, **typed: str) -> bool:
    with exchange.engine.begin() as conn:
        words = TypedAcknowledgment(**{**READ, "revision": str(revision), **typed})
        return acknowledgments.add(conn, request_id, words, actor="alice")


def answered(exchange: Exchange, **fields) -> tuple[str, dict]:
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(**fields))
    exchange.drain()
    report = exchange.answer()
    exchange.watch()
    return request_id, report


def test_who_has_read_it_is_asked_after_a_week_and_not_any_more_when_it_is_said(exchange):
    request_id, _ = answered(exchange)
    assert unread(exchange, 6) == []
    [message] = unread(exchange, 8)
    assert request_id in message and "revision 1" in message
    assert acknowledge(exchange, request_id, 1)
    assert unread(exchange, 8) == []
    assert not acknowledge(exchange, request_id, 1), "sent twice is said once"
    assert acknowledge(exchange, request_id, 1, decision="change-plan"), "another decision is another word"


@pytest.mark.long
def test_an_amended_and_a_retracted_report_wait_to_be_read_again_and_are_asked_for_sooner(exchange):
    request_id, report = answered(exchange)
    acknowledge(exchange, request_id, 1)
    content = report_on({"for": {}, "focus": {}}, "we disagree")["content"]
    report = exchange.change("bob", report, docStatus="amended", content=content)
    exchange.watch()
    assert unread(exchange, 1) == [] and "revision 2, amended" in unread(exchange, 3)[0]
    with pytest.raises(WrongWords, match="revision 2 is the newest"):
        acknowledge(exchange, request_id, 1)
    acknowledge(exchange, request_id, 2)
    exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    assert "retracted" in unread(exchange, 3)[0]


@pytest.mark.long
def test_what_was_read_before_it_came_to_the_ehr_is_not_asked_for(exchange):
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(priority="urgent"))
    exchange.drain()
    with pytest.raises(WrongWords, match="no report yet"):
        acknowledge(exchange, request_id, 1)
    with exchange.engine.begin() as conn, pytest.raises(NotPossible, match="no acknowledgment 9"):
        acknowledgments.take_back(conn, request_id, 9, actor="alice", reason="mistake")
    exchange.answer()
    exchange.watch()
    acknowledge(exchange, request_id, 1)
    with exchange.engine.begin() as conn:
        acknowledgments.arrived(conn, request_id, 1)
    assert unread(exchange, 30) == []


@pytest.mark.long
def test_the_commands_say_show_and_take_back(exchange, tmp_path, database):
    request_id, _ = answered(exchange)
    runner, arguments = (
        CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}),
        ["--config", str(tmp_path / "config.yaml"), "opinions"],
    )

    def run(*words: str):
        return runner.invoke(second_opinion.cli, [*arguments, *words])

    refused = run("acknowledge", request_id, "--revision", "2", "--by", "Dr. A", "--decision", "keep-plan")
    assert refused.exit_code == 1 and "revision 1 is the newest" in refused.output
    said = run("acknowledge", request_id, "--revision", "1", "--by", "Dr. A", "--decision", "keep-plan", "--json")
    assert json.loads(said.stdout)["changed"] is True
    [word] = json.loads(run("show", request_id, "--json").stdout)["acknowledgments"]
    assert word["read_by"] == "Dr. A" and "decided" in run("show", request_id).output
    assert run("take-back", request_id, str(word["id"]), "--reason", "another patient").exit_code == 0
    shown = json.loads(run("show", request_id, "--json").stdout)
    assert shown["standing"] == "unread" and shown["acknowledgments"][0]["undone_reason"] == "another patient"
    assert len(unread(exchange, 8)) == 1
