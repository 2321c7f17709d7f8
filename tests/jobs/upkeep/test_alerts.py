"""Alarms are told: once, to whom it concerns, after they last, again when over; whatever dies or does not answer meanwhile."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from sqlalchemy import insert, select, update

from integration.queue import dispatch
from integration.store import alarms, notices
from integration.store.tables import alarms as alarm_table
from integration.store.tables import notices as notice_table
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from integration.store.tables import told_alarms
from jobs.engine import limits_of
from jobs.upkeep.check_alarms import make_due
from tests.integration.fhir.endpoints import free_port
from tests.integration.notices.told import Hook, MailServer
from tests.jobs.upkeep.alerted import SECRET, Operator, owed

pytestmark = pytest.mark.postgres


def subjects(mails) -> list[str]:
    return [str(mail["Subject"]).removeprefix("[Second Opinion Exchange] ") for mail in mails.mails]


# --- told once, and again when over ---


def test_an_alarm_is_told_once_when_it_lasts_and_once_when_it_is_over(operator, mails):
    operator.alarm("bob")
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")] and mails.mails == []  # raised, and does not last yet
    operator.check(4.9)
    assert mails.mails == []
    operator.check(0.2)
    assert subjects(mails) == ["nothing succeeds at bob"]
    for _ in range(3):
        operator.check(5)
    assert len(mails.mails) == 1
    operator.alarm()
    operator.check(5)
    assert operator.open() == {} and len(mails.mails) == 1
    operator.check(10)
    operator.check(10)
    assert subjects(mails) == ["nothing succeeds at bob", "Over: nothing succeeds at bob"]
    assert mails.mails[0]["Message-ID"] != mails.mails[1]["Message-ID"]
    assert "over since" in mails.mails[1].get_content()


def test_a_notice_is_made_in_the_transaction_that_raises_the_alarm(operator, mails):
    operator.configure(for_minutes=0)
    operator.alarm("bob")
    operator.check()
    assert subjects(mails) == ["nothing succeeds at bob"]
    with operator.engine.connect() as conn:
        alarm, notice = conn.execute(select(alarm_table)).one(), conn.execute(select(notice_table)).one()
    assert alarm.raised_at == notice.created_at == alarm.notified_at and notice.alarm_ids == [alarm.id]
    assert (notice.status, notice.recipient, notice.channel, notice.kind) == ("sent", "ops", "e-mail", "raised")


def test_what_comes_and_goes_is_told_as_one(operator, mails):
    for _ in range(4):  # never lasts
        operator.alarm("bob")
        operator.check(4)
        operator.alarm()
        operator.check(4)
    assert mails.mails == []
    operator.alarm("bob")
    operator.check()
    operator.check(6)
    for _ in range(5):  # is never over for long
        operator.alarm()
        operator.check(4)
        operator.alarm("bob")
        operator.check(4)
    assert subjects(mails) == ["nothing succeeds at bob"]
    operator.alarm()
    operator.check()
    operator.check(11)
    assert subjects(mails) == ["nothing succeeds at bob", "Over: nothing succeeds at bob"]


def test_what_was_never_told_is_never_told_to_be_over(operator, mails):
    operator.alarm("bob")
    operator.check()
    operator.alarm()
    operator.check(1)
    operator.check(60)
    assert mails.mails == [] and operator.rows("id") == []


def test_it_reminds_while_it_lasts_and_of_all_at_once(operator, mails):
    operator.alarm("bob")
    operator.check()
    operator.check(6)
    operator.alarm("bob", "carol")
    operator.check(60 * 12)
    operator.check(6)
    operator.check(60 * 11)
    assert subjects(mails) == ["nothing succeeds at bob", "nothing succeeds at carol"]
    operator.check(60)
    assert subjects(mails)[2:] == ["Still: nothing succeeds at 2 endpoints"]
    operator.check(60 * 12)
    assert len(mails.mails) == 3
    operator.configure(remind_hours=0)
    operator.check(60 * 48)
    assert len(mails.mails) == 3


def test_a_silenced_alarm_shows_and_is_told_only_after(operator, mails):
    operator.silence("endpoint-down", "bob", hours=2)
    operator.alarm("bob", "carol")
    operator.check()
    operator.check(6)
    assert subjects(mails) == ["nothing succeeds at carol"] and ("endpoint-down", "bob") in operator.open()
    operator.check(60 * 2)
    assert subjects(mails) == ["nothing succeeds at carol", "nothing succeeds at bob"]
    operator.silence("*", "*", hours=2)
    operator.alarm()
    operator.check()
    operator.check(60)
    assert len(mails.mails) == 2  # neither is the end told meanwhile
    operator.check(61)
    assert subjects(mails)[2:] == ["Over: nothing succeeds at 2 endpoints"]


def test_a_recipient_hears_of_its_rules_and_not_too_often(operator, mails):
    operator.configure(
        send_to=[
            {"name": "ops", "email": "ops@example.org", "min_interval_minutes": 30},
            {"name": "boss", "email": "boss@example.org", "rules": ["loop_open"]},
        ]
    )
    for number in range(6):
        operator.alarm(*(f"e{each}" for each in range(number + 1)))
        operator.check(5.5)
    assert mails.tries == ["ops@example.org"] and subjects(mails) == ["nothing succeeds at e0"]
    operator.check(25)
    assert subjects(mails) == ["nothing succeeds at e0", "nothing succeeds at 5 endpoints"]


def test_many_at_once_are_one_mail_that_names_twenty(operator, mails):
    operator.configure(for_minutes=0)
    ids = owed(operator, 23, timedelta(hours=20))
    operator.check()
    [mail] = mails.mails
    assert mail["Subject"] == "[Second Opinion Exchange] the records of 23 requests are at risk"
    said = mail.get_content()
    assert sum(request_id in said for request_id in ids) == 20 and "and 3 more" in said
    for private in ("Synthetic-Test", "Ada", "M1", "surgery", "1960"):
        assert private not in said and private not in str(mail)
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(records="verified"))
    operator.check()
    operator.check(11)
    assert subjects(mails)[1:] == ["Over: the records of 23 requests are at risk"]


def test_a_webhook_is_told_beside_and_can_verify_it(operator, mails):
    with Hook() as hook:
        operator = Operator(operator.exchange, mails.port, hook.address, for_minutes=0)
        operator.alarm("bob")
        operator.check()
    assert len(mails.mails) == 1
    [(headers, body)] = hook.posted
    said = standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert (said["kind"], said["rule"], said["count"], said["alarms"][0]["subject"]) == (
        "raised",
        "endpoint-down",
        1,
        "bob",
    )
    assert sorted(operator.rows("recipient", "channel", "status")) == [
        ("ops", "e-mail", "sent"),
        ("pager", "webhook", "sent"),
    ]


def test_the_database_that_was_away_is_told_on_return(operator, mails):
    with operator.engine.begin() as conn:
        alarms.note_past(
            conn,
            "database-away",
            "",
            "the database did not answer from 12:00:00 UTC on",
            operator.now - timedelta(minutes=20),
        )
    operator.check()
    operator.check(30)
    assert subjects(mails) == ["the database did not answer for a while"]
    assert "over since" in mails.mails[0].get_content()


# --- when telling fails ---


def test_a_mail_server_that_is_down_gets_it_once_when_it_is_back(exchange):
    port = free_port()
    operator = Operator(exchange, port, for_minutes=0)
    operator.alarm("bob")
    operator.check()
    assert operator.rows("status", "attempts") == [("queued", 1)]
    [(error,)] = operator.rows("last_error")
    assert error.startswith(f"127.0.0.1:{port} refuses the connection: nothing listens there")
    operator.check(0.5)  # not yet
    assert operator.rows("attempts") == [(1,)]
    for _ in range(3):
        operator.check(10)
    assert operator.rows("status", "attempts") == [("queued", 4)]
    with MailServer(port=port) as mails:
        operator.check(60)
        operator.check(60)
    assert subjects(mails) == ["nothing succeeds at bob"] and operator.rows("status", "last_error") == [("sent", None)]


def test_a_dead_mail_server_is_asked_once_for_all_its_recipients_and_holds_no_webhook_up(exchange, monkeypatch):
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    with Hook() as hook:
        operator = Operator(exchange, free_port(), hook.address, for_minutes=0)
        operator.configure(
            send_to=[{"name": f"ops{number}", "email": f"ops{number}@example.org"} for number in range(3)]
            + operator.alerts["send_to"][1:]
        )
        operator.alarm("bob")
        operator.check()
    assert operator.rows("recipient", "status", "attempts") == [
        ("ops0", "queued", 1),
        ("ops1", "queued", 0),
        ("ops2", "queued", 0),
        ("pager", "sent", 1),
    ]
    assert len({error for _, error in operator.rows("recipient", "last_error")[:3]}) == 1


def test_a_recipient_that_is_refused_is_tried_once_and_holds_up_nobody_else(operator, mails):
    mails.answers["RCPT"] = "550 5.1.1 no such user"
    with Hook() as hook:
        operator = Operator(operator.exchange, mails.port, hook.address, for_minutes=0)
        operator.alarm("bob")
        owed(operator, 1, timedelta(hours=20))
        operator.check()
    assert [status for status, _ in sorted(operator.rows("status", "recipient"))] == ["queued"] * 2 + ["sent"] * 2
    assert len(mails.tries) == 1 and all(
        "no such user" in error for recipient, error in operator.rows("recipient", "last_error") if recipient == "ops"
    )


def test_what_cannot_be_told_for_a_day_is_an_alarm_and_after_three_what_is_open_is_told_anew(operator, mails):
    mails.answers["DATA"] = "451 4.3.0 try later"
    operator.configure(for_minutes=0, remind_hours=24)
    operator.alarm("bob")
    operator.check()
    operator.check(60 * 23)
    assert ("notices-unsent", "ops") not in operator.open()
    operator.check(62)
    assert "could not be told of alarms for a day: 1 notice(s)" in operator.open()[("notices-unsent", "ops")]
    operator.check(60 * 24)
    assert operator.rows("rule", "status") == [
        ("endpoint-down", "queued")
    ]  # no alarm mails about mail, and no reminder piles up
    operator.check(60 * 25)
    operator.check(1)
    assert operator.rows("kind", "status") == [("raised", "failed"), ("raised", "queued")]
    with operator.engine.connect() as conn:
        assert (
            notices.counts(conn) == {"queued": 0, "retrying": 1, "failed": 1}
            and len(notices.not_sent(conn, operator.now)) == 2
        )
    del mails.answers["DATA"]
    operator.check(60)
    operator.check(60)
    assert subjects(mails) == ["nothing succeeds at bob"] and ("notices-unsent", "ops") not in operator.open()


def test_a_recipient_that_is_removed_is_told_nothing_more(exchange):
    operator = Operator(exchange, free_port(), for_minutes=0)
    operator.alarm("bob")
    operator.check()
    operator.configure(send_to=[])
    operator.check(60)
    assert operator.rows("status") == [("dropped",)]
    with operator.engine.connect() as conn:
        assert conn.execute(select(told_alarms)).all() == []


KILLED = """
import os, signal, sys
from integration.settings.config import load_config
from integration.postgres.database import connect
from integration.fhir.servers import Servers
from integration.packets.payloads import Payloads
from integration.store import notices
from jobs.engine import Heartbeat, run_step
from jobs.world import World
config = load_config(sys.argv[1])
notices.sent = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)      # taken by the server, and not committed
world = World(config, connect(sys.argv[2]).engine, Servers(config), Payloads(config.payloads.url))
run_step(world, Heartbeat(30), int(sys.argv[3]), int(sys.argv[4]))
"""


def test_a_worker_that_is_killed_between_sending_and_its_commit_repeats_one_mail_with_the_same_id(
    operator, mails, database
):
    operator.configure(for_minutes=0)
    operator.start -= timedelta(minutes=1)  # the other process has the real clock
    operator.alarm("bob")
    with operator.engine.begin() as conn:
        conn.execute(
            insert(alarm_table).values(rule="parked", subject="bob", message="2 steps wait", raised_at=operator.now)
        )
        notices.make_due_notices(conn, operator.exchange.world.config, operator.now)
    assert dispatch(operator.engine, limits_of(operator.exchange.world)) == 1
    with operator.engine.connect() as conn:
        step = conn.execute(select(step_table).where(step_table.c.status == "leased")).one()
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, operator.file, database.url, str(step.id), str(step.lease_no)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -9, ended.stderr
    assert len(mails.mails) == 1 and operator.rows("status") == [("queued",)]
    with operator.engine.begin() as conn:
        conn.execute(
            update(step_table)
            .where(step_table.c.id == step.id)
            .values(lease_until=datetime.now(UTC) - timedelta(seconds=1))
        )
    operator.start += timedelta(minutes=1)
    operator.exchange.drain(hurry=False)
    operator.exchange.drain(hurry=False)
    assert operator.rows("status", "attempts") == [("sent", 1)]
    assert (
        len(mails.mails) == 2
        and len({mail["Message-ID"] for mail in mails.mails}) == 1
        and mails.raw[0] == mails.raw[1]
    )


def test_no_secret_is_in_a_row_or_a_log_line(operator, mails, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    mails.answers["RCPT"] = "550 no"
    with Hook(500) as hook:
        address = f"{hook.address}/token-in-the-address"
        monkeypatch.setenv("CHAT", address)
        operator = Operator(operator.exchange, mails.port, hook.address, for_minutes=0)
        operator.configure(send_to=[*operator.alerts["send_to"], {"name": "chat", "webhook_env": "CHAT"}])
        operator.alarm("bob")
        operator.check()
        operator.check(2)
    assert operator.rows("status", "attempts") == [("queued", 2)] * 3
    rows = str(operator.rows("last_error", "content", "key"))
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "token-in-the-address", "ops@example.org"):
        assert secret not in rows and secret not in "\n".join(
            record.getMessage() + str(vars(record))
            for record in caplog.records
            if record.name.startswith("second_opinion")
        )


def test_a_check_that_gave_up_goes_on_at_the_next_tick(operator, mails):
    with operator.engine.begin() as conn:
        make_due(conn)
        conn.execute(
            update(step_table).where(step_table.c.status == "due").values(status="parked", cause="internal-error")
        )
    operator.alarm("bob")
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")]
    with operator.engine.begin() as conn:
        make_due(conn)
        conn.execute(
            update(step_table).where(step_table.c.status == "due").values(status="parked", cause="parked-by-person")
        )
    operator.alarm()
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")]


def test_a_rule_that_is_switched_off_closes_its_alarms_and_tells_nobody(operator, mails):
    operator.configure(for_minutes=0, recovered_minutes=0)
    owed(operator, 2, timedelta(hours=1))
    operator.check()
    assert subjects(mails) == ["the records of 2 requests are at risk"]
    operator.configure(rules={"deadline_at_risk": {"enabled": False}})
    operator.check()
    operator.check(60)
    assert operator.open() == {} and len(mails.mails) == 1


def test_a_recipient_of_one_practice_is_told_of_its_requests_alone(operator, mails):
    ours = {"name": "bobs-desk", "email": "desk@example.org", "practices": ["bob"], "rules": ["deadline-late"]}
    theirs = {"name": "others", "email": "others@example.org", "practices": ["alice"], "rules": ["silence"]}
    operator.configure(for_minutes=0, send_to=[each | {"min_interval_minutes": 0} for each in (ours, theirs)])
    (request_id,) = owed(operator, 1, timedelta(hours=-1))
    operator.check()
    assert [(str(mail["To"]), request_id in mail.get_content()) for mail in mails.mails] == [("desk@example.org", True)]
