"""Alarms are told: once, to whom it concerns, after they last, again when over; whatever dies or does not answer meanwhile."""
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from sqlalchemy import insert, select, text, update

from integration.config import load_config
from integration.queue import dispatch
from integration.store import alarms, notices, requests, steps
from integration.store.tables import alarms as alarm_table
from integration.store.tables import attempts, endpoints, told_alarms
from integration.store.tables import notices as notice_table
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from jobs.check_alarms import make_due
from jobs.engine import limits_of
from tests.integration.fhir.endpoints import free_port
from tests.integration.told import Hook, MailServer
from tests.jobs.exchange import a_request

pytestmark = pytest.mark.postgres
SECRET = "whsec_c3ludGhldGljIHNlY3JldA=="


class Operator:
    """An exchange whose alarms are told, with a clock that is moved by hand."""

    def __init__(self, exchange, mail_port: int, hook_address: str = "", **alerts):
        self.exchange, self.engine = exchange, exchange.engine
        told = [{"name": "ops", "email": "ops@example.org", "min_interval_minutes": 0}]
        if hook_address:
            told.append({"name": "pager", "webhook": hook_address, "secret_env": "PAGER_SECRET", "min_interval_minutes": 0})
        self.alerts = {"for_minutes": 5, "recovered_minutes": 10, "send_to": told,
                       "smtp": {"host": "127.0.0.1", "port": mail_port, "security": "none", "from_address": "exchange@example.org"}, **alerts}
        self.file = exchange.config.data_dir.parent / "config.yaml"
        self.without = self.file.read_text().partition("\nalerts:")[0]
        self.configure()
        self.start, self.minutes = datetime.now(UTC), 0
        exchange.clock = lambda: self.now

    def configure(self, **alerts) -> None:
        """Another `alerts` section, as after a restart."""
        self.alerts |= alerts
        self.file.write_text(f"{self.without}\nalerts: {json.dumps(self.alerts)}\n")
        self.exchange.world = replace(self.exchange.world, config=load_config(self.file))

    @property
    def now(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)

    def check(self, minutes: float = 0) -> None:
        """Let time pass, then look at the alarms and send what is due."""
        self.minutes += minutes
        with self.engine.begin() as conn:
            make_due(conn)
        self.exchange.drain(hurry=False)

    def alarm(self, *subjects: str, rule: str = "endpoint-down") -> None:
        """Make exactly these endpoints be down."""
        with self.engine.begin() as conn:
            conn.execute(update(endpoints).values(breaker="closed"))
            for subject in subjects:
                conn.execute(text("INSERT INTO endpoints (key, identifier_system, concurrency, rate, breaker) VALUES (:key, '', 1, 1, 'half-open') "
                                  "ON CONFLICT (key) DO UPDATE SET breaker = 'half-open'"), {"key": subject})
                conn.execute(insert(attempts).values(step_id=1, kind="push_records", endpoint=subject, lease_no=1, outcome="temporary",
                                                     cause="network", started_at=self.now, finished_at=self.now - timedelta(minutes=30)))

    def open(self) -> dict[tuple[str, str], str]:
        with self.engine.connect() as conn:
            return {(row.rule, row.subject): row.message for row in alarms.open_alarms(conn)}

    def rows(self, *columns) -> list[tuple]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(select(*(notice_table.c[name] for name in columns)).order_by(notice_table.c.id))]

    def silence(self, rule: str, subject: str, hours: float) -> None:
        with self.engine.begin() as conn:
            alarms.silence(conn, rule, subject, self.now + timedelta(hours=hours), self.now, actor="test", reason="maintenance")


@pytest.fixture
def mails():
    with MailServer() as server:
        yield server


@pytest.fixture
def operator(exchange, mails, monkeypatch):
    """Only what a test does raises an alarm: polls of the two quiet endpoints are fresh."""
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    return Operator(exchange, mails.port)


def subjects(mails) -> list[str]:
    return [str(mail["Subject"]).removeprefix("[Second Opinion Exchange] ") for mail in mails.mails]


# --- told once, and again when over ---


def test_an_alarm_is_told_once_when_it_lasts_and_once_when_it_is_over(operator, mails):
    operator.alarm("bob")
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")] and mails.mails == []      # raised, and does not last yet
    operator.check(4.9)
    assert mails.mails == []
    operator.check(0.2)
    assert subjects(mails) == ["bob does not answer"]
    for _ in range(3):
        operator.check(5)
    assert len(mails.mails) == 1
    operator.alarm()
    operator.check(5)
    assert operator.open() == {} and len(mails.mails) == 1
    operator.check(10)
    operator.check(10)
    assert subjects(mails) == ["bob does not answer", "Over: bob does not answer"]
    assert mails.mails[0]["Message-ID"] != mails.mails[1]["Message-ID"]
    assert "over since" in mails.mails[1].get_content()


def test_a_notice_is_made_in_the_transaction_that_raises_the_alarm(operator, mails):
    operator.configure(for_minutes=0)
    operator.alarm("bob")
    operator.check()
    assert subjects(mails) == ["bob does not answer"]
    with operator.engine.connect() as conn:
        alarm, notice = conn.execute(select(alarm_table)).one(), conn.execute(select(notice_table)).one()
    assert alarm.raised_at == notice.created_at == alarm.notified_at and notice.alarm_ids == [alarm.id]
    assert (notice.status, notice.recipient, notice.channel, notice.kind) == ("sent", "ops", "e-mail", "raised")


def test_what_comes_and_goes_is_told_as_one(operator, mails):
    for _ in range(4):      # never lasts
        operator.alarm("bob")
        operator.check(4)
        operator.alarm()
        operator.check(4)
    assert mails.mails == []
    operator.alarm("bob")
    operator.check()
    operator.check(6)
    for _ in range(5):      # is never over for long
        operator.alarm()
        operator.check(4)
        operator.alarm("bob")
        operator.check(4)
    assert subjects(mails) == ["bob does not answer"]
    operator.alarm()
    operator.check()
    operator.check(11)
    assert subjects(mails) == ["bob does not answer", "Over: bob does not answer"]


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
    assert subjects(mails) == ["bob does not answer", "carol does not answer"]
    operator.check(60)
    assert subjects(mails)[2:] == ["Still: 2 endpoints do not answer"]
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
    assert subjects(mails) == ["carol does not answer"] and ("endpoint-down", "bob") in operator.open()
    operator.check(60 * 2)
    assert subjects(mails) == ["carol does not answer", "bob does not answer"]
    operator.silence("*", "*", hours=2)
    operator.alarm()
    operator.check()
    operator.check(60)
    assert len(mails.mails) == 2                # neither is the end told meanwhile
    operator.check(61)
    assert subjects(mails)[2:] == ["Over: 2 endpoints do not answer"]


def test_a_recipient_hears_of_its_rules_and_not_too_often(operator, mails):
    operator.configure(send_to=[{"name": "ops", "email": "ops@example.org", "min_interval_minutes": 30},
                                {"name": "boss", "email": "boss@example.org", "rules": ["loop_open"]}])
    for number in range(6):
        operator.alarm(*(f"e{each}" for each in range(number + 1)))
        operator.check(5.5)
    assert mails.tries == ["ops@example.org"] and subjects(mails) == ["e0 does not answer"]
    operator.check(25)
    assert subjects(mails) == ["e0 does not answer", "5 endpoints do not answer"]


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


def owed(operator, number: int, due_in: timedelta, **values) -> list[str]:
    with operator.engine.begin() as conn:
        ids = [requests.take_in(conn, a_request(key=f"k{each}"), actor="test")[0] for each in range(number)]
        conn.execute(update(request_table).values(records_due_at=operator.now + due_in, **values))
        conn.execute(update(step_table).values(status="done"))
    return ids


def test_a_webhook_is_told_beside_and_can_verify_it(operator, mails):
    with Hook() as hook:
        operator = Operator(operator.exchange, mails.port, hook.address, for_minutes=0)
        operator.alarm("bob")
        operator.check()
    assert len(mails.mails) == 1
    [(headers, body)] = hook.posted
    said = standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert (said["kind"], said["rule"], said["count"], said["alarms"][0]["subject"]) == ("raised", "endpoint-down", 1, "bob")
    assert sorted(operator.rows("recipient", "channel", "status")) == [("ops", "e-mail", "sent"), ("pager", "webhook", "sent")]


def test_the_database_that_was_away_is_told_on_return(operator, mails):
    with operator.engine.begin() as conn:
        alarms.note_past(conn, "database-away", "", "the database did not answer from 12:00:00 UTC on", operator.now - timedelta(minutes=20))
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
    operator.check(0.5)                         # not yet
    assert operator.rows("attempts") == [(1,)]
    for _ in range(3):
        operator.check(10)
    assert operator.rows("status", "attempts") == [("queued", 4)]
    with MailServer(port=port) as mails:
        operator.check(60)
        operator.check(60)
    assert subjects(mails) == ["bob does not answer"] and operator.rows("status", "last_error") == [("sent", None)]


def test_a_dead_mail_server_is_asked_once_for_all_its_recipients_and_holds_no_webhook_up(exchange, monkeypatch):
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    with Hook() as hook:
        operator = Operator(exchange, free_port(), hook.address, for_minutes=0)
        operator.configure(send_to=[{"name": f"ops{number}", "email": f"ops{number}@example.org"} for number in range(3)] + operator.alerts["send_to"][1:])
        operator.alarm("bob")
        operator.check()
    assert operator.rows("recipient", "status", "attempts") == [("ops0", "queued", 1), ("ops1", "queued", 0), ("ops2", "queued", 0), ("pager", "sent", 1)]
    assert len({error for _, error in operator.rows("recipient", "last_error")[:3]}) == 1


def test_a_recipient_that_is_refused_is_tried_once_and_holds_up_nobody_else(operator, mails):
    mails.answers["RCPT"] = "550 5.1.1 no such user"
    with Hook() as hook:
        operator = Operator(operator.exchange, mails.port, hook.address, for_minutes=0)
        operator.alarm("bob")
        owed(operator, 1, timedelta(hours=20))
        operator.check()
    assert [status for status, _ in sorted(operator.rows("status", "recipient"))] == ["queued"] * 2 + ["sent"] * 2
    assert len(mails.tries) == 1 and all("no such user" in error for recipient, error in operator.rows("recipient", "last_error") if recipient == "ops")


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
    assert operator.rows("rule", "status") == [("endpoint-down", "queued")]     # no alarm mails about mail, and no reminder piles up
    operator.check(60 * 25)
    operator.check(1)
    assert operator.rows("kind", "status") == [("raised", "failed"), ("raised", "queued")]
    with operator.engine.connect() as conn:
        assert notices.counts(conn) == {"queued": 0, "retrying": 1, "failed": 1} and len(notices.troubled(conn, operator.now)) == 2
    del mails.answers["DATA"]
    operator.check(60)
    operator.check(60)
    assert subjects(mails) == ["bob does not answer"] and ("notices-unsent", "ops") not in operator.open()


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
from integration.config import load_config
from integration.database import connect
from integration.fhir.servers import Servers
from integration.payloads import Payloads
from integration.store import notices
from jobs.engine import Heartbeat, run_step
from jobs.world import World
config = load_config(sys.argv[1])
notices.sent = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)      # taken by the server, and not committed
world = World(config, connect(sys.argv[2]).engine, Servers(config), Payloads(config.payloads.url))
run_step(world, Heartbeat(30), int(sys.argv[3]), int(sys.argv[4]))
"""


def test_a_worker_that_is_killed_between_sending_and_its_commit_repeats_one_mail_with_the_same_id(operator, mails, database):
    operator.configure(for_minutes=0)
    operator.start -= timedelta(minutes=1)      # the other process has the real clock
    operator.alarm("bob")
    with operator.engine.begin() as conn:
        conn.execute(insert(alarm_table).values(rule="parked", subject="bob", message="2 steps wait", raised_at=operator.now))
        notices.tell(conn, operator.exchange.world.config, operator.now)
    assert dispatch(operator.engine, limits_of(operator.exchange.world)) == 1
    with operator.engine.connect() as conn:
        step = conn.execute(select(step_table).where(step_table.c.status == "leased")).one()
    ended = subprocess.run([sys.executable, "-c", KILLED, operator.file, database.url, str(step.id), str(step.lease_no)],
                           env={**os.environ, "PYTHONPATH": os.getcwd()}, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    assert len(mails.mails) == 1 and operator.rows("status") == [("queued",)]
    with operator.engine.begin() as conn:
        conn.execute(update(step_table).where(step_table.c.id == step.id).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    operator.start += timedelta(minutes=1)
    operator.exchange.drain(hurry=False)
    operator.exchange.drain(hurry=False)
    assert operator.rows("status", "attempts") == [("sent", 1)]
    assert len(mails.mails) == 2 and len({mail["Message-ID"] for mail in mails.mails}) == 1 and mails.raw[0] == mails.raw[1]


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
        assert secret not in rows and secret not in "\n".join(record.getMessage() + str(vars(record)) for record in caplog.records
                                                              if record.name.startswith("second_opinion"))


def test_a_check_that_gave_up_goes_on_at_the_next_tick(operator, mails):
    with operator.engine.begin() as conn:
        make_due(conn)
        conn.execute(update(step_table).where(step_table.c.status == "due").values(status="parked", cause="internal-error"))
    operator.alarm("bob")
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")]
    with operator.engine.begin() as conn:
        make_due(conn)
        conn.execute(update(step_table).where(step_table.c.status == "due").values(status="parked", cause="parked-by-person"))
    operator.alarm()
    operator.check()
    assert list(operator.open()) == [("endpoint-down", "bob")]


# --- each rule, from rows ---


def attempts_of(operator, endpoint: str, done: int, failed: int, kind: str = "push_records", ago: float = 1) -> None:
    row = dict(step_id=1, kind=kind, endpoint=endpoint, lease_no=1, started_at=operator.now, finished_at=operator.now - timedelta(minutes=ago))
    with operator.engine.begin() as conn:
        conn.execute(insert(attempts), [{**row, "outcome": "done"}] * done + [{**row, "outcome": "temporary"}] * failed)


def test_failure_rate(operator):
    operator.configure(rules={"failure_rate": {"share": 0.5, "minimum_attempts": 10, "window_minutes": 30}})
    attempts_of(operator, "bob", done=5, failed=4)
    operator.check()
    assert operator.open() == {}                                    # too few
    attempts_of(operator, "bob", done=0, failed=1)
    attempts_of(operator, "alice", done=6, failed=5)                # below the share
    attempts_of(operator, "nobody", done=0, failed=50)              # not configured any more
    attempts_of(operator, "alice", done=0, failed=50, kind="watch_fulfiller")
    attempts_of(operator, "alice", done=0, failed=50, ago=31)
    operator.check()
    assert operator.open() == {("failure-rate", "bob"): "5 of 10 attempts at bob failed in the last 30 minutes. Look at the failures by cause."}
    operator.check(30)
    assert operator.open() == {}


def test_parked(operator):
    operator.configure(rules={"parked": {"more_than": 1, "older_than_minutes": 15}})
    with operator.engine.begin() as conn:
        ids = [steps.create(conn, f"kind{number}", "bob") for number in range(2)]
        conn.execute(update(step_table).values(status="parked", parked_at=operator.now, cause="x", created_at=operator.now - timedelta(days=9)))
    operator.check(14)
    assert operator.open() == {}
    operator.check(2)
    assert operator.open() == {("parked", "bob"): "2 step(s) at bob have waited for a person for more than 15 minutes."}
    with operator.engine.begin() as conn:
        conn.execute(update(step_table).where(step_table.c.id == ids[0]).values(status="cancelled"))
    operator.check()
    assert operator.open() == {}


def test_every_way_to_park_a_step_says_when(exchange):
    from integration.queue import reap
    from integration.store import actions, operations
    with exchange.engine.begin() as conn:
        by_person, by_name, lost = (steps.create(conn, f"kind{number}", "bob", delivery_id="d") for number in range(3))
        actions.park_now(conn, by_person, actor="test", reason="x")
        operations.park_delivery(conn, "d", actor="test", reason="x")
        conn.execute(update(step_table).where(step_table.c.id == lost).values(status="leased", lost=9, started=True, lease_until=text("now() - interval '1 hour'")))
        reap(conn, "bob", limits_of(exchange.world))
        rows = conn.execute(select(step_table)).all()
    assert {row.status for row in rows} == {"parked"} and all(row.parked_at for row in rows) and by_name


def test_silence_where_something_is_due(operator):
    with operator.engine.begin() as conn:
        steps.create(conn, "push_records", "bob")
        conn.execute(update(endpoints).where(endpoints.c.key == "bob").values(
            breaker="half-open", breaker_until=operator.now + timedelta(days=1), last_success_at=operator.now, paused=True))
    operator.check(61)
    assert ("silence", "bob") not in operator.open()                # paused: that is known
    with operator.engine.begin() as conn:
        conn.execute(update(endpoints).values(paused=False))
    operator.check()
    assert "Nothing at bob has succeeded for more than 1 hour(s)" in operator.open()[("silence", "bob")]
    with operator.engine.begin() as conn:
        conn.execute(update(endpoints).where(endpoints.c.key == "bob").values(last_success_at=operator.now))
    operator.check()
    assert ("silence", "bob") not in operator.open()


def test_silence_of_a_poller(operator):
    with operator.engine.begin() as conn:
        conn.execute(text("INSERT INTO ticks (job, fire_time) VALUES ('poll_requests alice', :at)"), {"at": operator.now})
    operator.check(59)
    assert operator.open() == {}
    operator.check(2)
    assert "No poll of alice for requests has succeeded since" in operator.open()[("silence", "alice")]
    operator.exchange.poll()
    operator.check()
    assert operator.open() == {}
    operator.check(61)
    assert list(operator.open()) == [("silence", "alice")]


def test_silence_where_requests_usually_come(operator):
    operator.configure(rules={"silence": {"usual_hours": 4, "usual_requests": 3}})
    owed(operator, 9, timedelta(days=90), status="completed", closed_at=operator.now)
    when = [operator.now - timedelta(weeks=1 + number // 3, hours=2) for number in range(9)]
    with operator.engine.begin() as conn:
        conn.execute(update(endpoints).values(polled_at=operator.now + timedelta(days=9)))
        for at, row in zip(when, conn.execute(select(request_table.c.id)).all(), strict=True):
            conn.execute(update(request_table).where(request_table.c.id == row.id).values(created_at=at))
    operator.check()
    assert operator.open() == {("silence", "alice"): "No request has come from alice in the last 4 hours; in the same hours of the last three weeks "
                                                     "there were at least 3 each."}
    operator.check(60 * 3)                                          # at these hours fewer came
    assert operator.open() == {}
    operator.check(-60 * 3)
    with operator.engine.begin() as conn:
        requests.take_in(conn, a_request(key="new"), actor="test")
        conn.execute(update(step_table).values(status="done"))
    operator.check()
    assert operator.open() == {}


def test_deadline_at_risk_and_late(operator):
    [request_id] = owed(operator, 1, timedelta(hours=50))
    operator.check()
    assert operator.open() == {}
    operator.check(60 * 3)
    assert list(operator.open()) == [("deadline-at-risk", request_id)] and request_id in operator.open()[("deadline-at-risk", request_id)]
    operator.check(60 * 48)
    assert set(operator.open()) == {("deadline-at-risk", request_id), ("deadline-late", request_id)}
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(records="verified"))
    operator.check()
    assert operator.open() == {}
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(records="sent", status="cancelled"))
    operator.check()
    assert operator.open() == {}


@pytest.mark.parametrize("how", [{"status": "completed"}, {"status": "in-progress", "visit": "completed"}])
def test_loop_open_of_what_is_answered(operator, how):
    [request_id] = owed(operator, 1, timedelta(days=90), updated_at=operator.now, **how)
    operator.check(60 * 23)
    assert operator.open() == {}
    operator.check(61)
    assert f"Request {request_id} is answered" in operator.open()[("loop-open", request_id)]
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(closed_at=operator.now))
    operator.check()
    assert operator.open() == {}


def test_loop_open_of_what_is_old(operator):
    [request_id] = owed(operator, 1, timedelta(days=90), status="accepted")
    operator.check(60 * 24 * 29)
    assert ("loop-open", request_id) not in operator.open()
    operator.check(60 * 24 * 1 + 1)
    assert "more than 30 days ago" in operator.open()[("loop-open", request_id)]
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(status="rejected"))
    operator.check()
    assert ("loop-open", request_id) not in operator.open()


def test_a_rule_that_is_switched_off_closes_its_alarms_and_tells_nobody(operator, mails):
    operator.configure(for_minutes=0, recovered_minutes=0)
    owed(operator, 2, timedelta(hours=1))
    operator.check()
    assert subjects(mails) == ["the records of 2 requests are at risk"]
    operator.configure(rules={"deadline_at_risk": {"enabled": False}})
    operator.check()
    operator.check(60)
    assert operator.open() == {} and len(mails.mails) == 1


def test_the_conditions_of_the_partial_indexes_say_what_the_states_say():
    from integration.store.tables import LOOP_OPEN, RECORDS_OWED
    from mappings.model.states import FINAL, OPEN, Status
    assert all(f"'{status}'" in RECORDS_OWED for status in OPEN) and not any(f"'{status}'" in RECORDS_OWED for status in FINAL)
    assert all((f"'{status}'" in LOOP_OPEN) is (status in FINAL - {Status.COMPLETED}) for status in Status)


def test_an_unchanged_alarm_is_not_written_again(operator):
    owed(operator, 5, timedelta(hours=1))
    operator.check()
    operator.check(6)       # told, and marked so
    versions = text("SELECT id, xmin::text FROM alarms ORDER BY id")
    with operator.engine.connect() as conn:
        before = conn.execute(versions).all()
    operator.check(10)
    with operator.engine.connect() as conn:
        assert conn.execute(versions).all() == before and len(before) == 5
