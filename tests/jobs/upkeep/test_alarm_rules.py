"""Each alarm rule raises and recovers from real rows."""

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, text, update

from integration.queue import reap
from integration.store import actions, deliveries, findings, operations, requests, steps
from integration.store.tables import LOOP_OPEN, RECORDS_OWED, attempts, endpoints
from integration.store.tables import audit as audit_table
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from jobs.engine import limits_of
from mappings.model.delivery import ARRIVED, DeliveryKind, DeliveryStatus
from mappings.model.findings import Finding
from mappings.model.states import FINAL, OPEN, Records, Status
from tests.jobs.exchange import a_request
from tests.jobs.upkeep.alerted import owed

pytestmark = pytest.mark.postgres


def attempts_of(
    operator,
    endpoint: str,
    done: int,
    failed: int,
    kind: str = "push_records",
    ago: float = 1,
    outcome: str = "temporary",
) -> None:
    row = dict(
        step_id=1,
        kind=kind,
        endpoint=endpoint,
        lease_no=1,
        started_at=operator.now,
        finished_at=operator.now - timedelta(minutes=ago),
    )
    with operator.engine.begin() as conn:
        conn.execute(insert(attempts), [{**row, "outcome": "done"}] * done + [{**row, "outcome": outcome}] * failed)


def test_failure_rate(operator):
    operator.configure(rules={"failure_rate": {"share": 0.5, "minimum_attempts": 10, "window_minutes": 30}})
    attempts_of(operator, "bob", done=5, failed=4)
    operator.check()
    assert operator.open() == {}  # too few
    attempts_of(operator, "bob", done=0, failed=1)
    attempts_of(operator, "alice", done=6, failed=5)  # below the share
    attempts_of(operator, "nobody", done=0, failed=50)  # not configured any more
    attempts_of(operator, "alice", done=0, failed=50, kind="watch_fulfiller")
    attempts_of(operator, "alice", done=0, failed=50, ago=31)
    attempts_of(operator, "alice", done=0, failed=50, outcome="lost")  # our workers died
    operator.check()
    assert operator.open() == {
        ("failure-rate", "bob"): "5 of 10 attempts at bob failed in the last 30 minutes. Look at the failures by cause."
    }
    operator.check(30)
    assert operator.open() == {}


def test_parked(operator):
    operator.configure(rules={"parked": {"more_than": 1, "older_than_minutes": 15}})
    with operator.engine.begin() as conn:
        ids = [steps.create(conn, f"kind{number}", "bob") for number in range(2)]
        conn.execute(
            update(step_table).values(
                status="parked", parked_at=operator.now, cause="x", created_at=operator.now - timedelta(days=9)
            )
        )
    operator.check(14)
    assert operator.open() == {}
    operator.check(2)
    assert operator.open() == {("parked", "bob"): "2 step(s) at bob have waited for a person for more than 15 minutes."}
    with operator.engine.begin() as conn:
        conn.execute(update(step_table).where(step_table.c.id == ids[0]).values(status="cancelled"))
    operator.check()
    assert operator.open() == {}


def test_every_way_to_park_a_step_says_when(exchange):
    with exchange.engine.begin() as conn:
        by_person, by_name, lost = (steps.create(conn, f"kind{number}", "bob", delivery_id="d") for number in range(3))
        actions.park_now(conn, by_person, actor="test", reason="x")
        operations.park_delivery(conn, "d", actor="test", reason="x")
        conn.execute(
            update(step_table)
            .where(step_table.c.id == lost)
            .values(status="leased", lost=9, started=True, lease_until=text("now() - interval '1 hour'"))
        )
        reap(conn, "bob", limits_of(exchange.world))
        rows = conn.execute(select(step_table)).all()
    assert {row.status for row in rows} == {"parked"} and all(row.parked_at for row in rows) and by_name


def test_every_way_to_park_says_the_same_everywhere(exchange):
    """Page, API, `steps park` and `deliveries park` are one verb: delivery, records track and audit row follow."""
    seen = []
    for way in ("steps", "deliveries"):
        request_id = exchange.submit(a_request(key=f"k-{way}"))
        with exchange.engine.begin() as conn:
            delivery_id = deliveries.create(conn, request_id, "bob", DeliveryKind.RECORDS)
            requests.set_records(conn, request_id, Records.GATHERING)
            step_id = steps.create(conn, "push_records", "bob", request_id=request_id, delivery_id=delivery_id)
            if way == "steps":
                actions.park_now(conn, step_id, actor="olga", reason="their maintenance")
            else:
                operations.park_delivery(conn, delivery_id, actor="olga", reason="their maintenance")
        with exchange.engine.begin() as conn:
            step = conn.execute(select(step_table).where(step_table.c.id == step_id)).one()
            delivery, row = deliveries.get(conn, delivery_id), requests.get(conn, request_id)
            told = conn.execute(
                select(audit_table).where(audit_table.c.request_id == request_id, audit_table.c.actor == "olga")
            ).one()
        seen.append(
            (
                step.status,
                step.cause,
                step.message,
                step.action,
                delivery.status,
                delivery.cause,
                row.records,
                told.action,
            )
        )
        assert told.subject == f"step {step_id}"
    assert seen[0] == seen[1]
    assert seen[0][4:] == ("parked", "parked-by-person", "blocked", "step.parked")


def test_a_watch_that_ran_meanwhile_is_parked_all_the_same(exchange):
    """It runs every 20 seconds: the page is always a lease behind."""
    with exchange.engine.begin() as conn:
        step_id = steps.create(conn, "watch_fulfiller", "bob")
        conn.execute(step_table.update().values(lease_no=7, status="waiting"))
        assert actions.park(conn, actions.Seen(step_id, 3, "due"), actor="olga", reason="too loud").changed == 1


def test_silence_where_something_is_due(operator):
    with operator.engine.begin() as conn:
        steps.create(conn, "push_records", "bob")
        conn.execute(
            update(endpoints)
            .where(endpoints.c.key == "bob")
            .values(
                breaker="half-open",
                breaker_until=operator.now + timedelta(days=1),
                last_success_at=operator.now,
                paused=True,
            )
        )
    operator.check(61)
    assert ("silence", "bob") not in operator.open()  # paused: that is known
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
        conn.execute(
            text("INSERT INTO ticks (job, fire_time) VALUES ('poll_requests alice', :at)"), {"at": operator.now}
        )
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
    assert operator.open() == {
        (
            "silence",
            "alice",
        ): "No request has come from alice in the last 4 hours; in the same hours of the last three weeks "
        "there were at least 3 each."
    }
    operator.check(60 * 3)  # at these hours fewer came
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
    assert (
        list(operator.open()) == [("deadline-at-risk", request_id)]
        and request_id in operator.open()[("deadline-at-risk", request_id)]
    )
    operator.check(60 * 48)
    assert list(operator.open()) == [("deadline-late", request_id)]
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


def test_the_conditions_of_the_partial_indexes_say_what_the_states_say():
    assert all(f"'{status}'" in RECORDS_OWED for status in OPEN) and not any(
        f"'{status}'" in RECORDS_OWED for status in FINAL
    )
    assert all((f"'{status}'" in LOOP_OPEN) is (status in FINAL - {Status.COMPLETED}) for status in Status)


def found(
    operator, request_id: str, severity: str = "error", path: str = "Task/7", delivery_id: str | None = None
) -> None:
    with operator.engine.begin() as conn:
        wrong = Finding("report-missing", "the Task is completed and holds no report", path, severity)
        findings.record(conn, [wrong], request_id=request_id, delivery_id=delivery_id, endpoint="bob")


def test_an_error_of_a_request_is_an_alarm_at_once_and_over_with_the_request(operator):
    request_id, quiet = operator.exchange.submit(a_request(key="k-1")), operator.exchange.submit(a_request(key="k-2"))
    found(operator, quiet, severity="warning")
    found(operator, quiet, path="step push_records")  # parked: a rule of its own tells that
    operator.check()
    assert operator.open() == {}
    found(operator, request_id)
    operator.check()
    [(rule, message)] = operator.open().items()
    assert rule == ("request-error", request_id) and "holds no report" in message
    found(operator, request_id, path="Task/8")
    operator.check()
    assert "(and 1 more errors)" in operator.open()["request-error", request_id]
    with operator.engine.begin() as conn:
        conn.execute(update(request_table).values(status="completed", closed_at=func.now()))
    operator.check()
    assert operator.open() == {}


@pytest.mark.parametrize("arrived", sorted(ARRIVED))
def test_an_error_of_a_delivery_that_arrived_after_all_is_over(operator, arrived):
    request_id = operator.exchange.submit(a_request())
    with operator.engine.begin() as conn:
        delivery_id = deliveries.create(conn, request_id, "bob", DeliveryKind.RECORDS)
    found(operator, request_id, delivery_id=delivery_id)
    operator.check()
    assert ("request-error", request_id) in operator.open()
    with operator.engine.begin() as conn:
        deliveries.move(conn, delivery_id, DeliveryStatus.SENDING)
        deliveries.move(conn, delivery_id, DeliveryStatus.SENT)
        deliveries.move(conn, delivery_id, arrived)
    operator.check()
    assert operator.open() == {}


def test_an_unchanged_alarm_is_not_written_again(operator):
    owed(operator, 5, timedelta(hours=1))
    operator.check()
    operator.check(6)  # told, and marked so
    versions = text("SELECT id, xmin::text FROM alarms ORDER BY id")
    with operator.engine.connect() as conn:
        before = conn.execute(versions).all()
    operator.check(10)
    with operator.engine.connect() as conn:
        assert conn.execute(versions).all() == before and len(before) == 5
