"""Watches look less and less often while nothing changes, and come after everything else."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from integration.queue import dispatch_endpoint
from integration.store.tables import steps
from jobs.engine import limits_of
from jobs.watching import CHART, CHART_AFTERWARDS, REPORT, TASK, Pace
from tests.jobs.exchange import a_request, load_chart

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pace", "every", "quiet", "wait"),
    [
        (TASK, 60, timedelta(minutes=10), 60),
        (TASK, 60, timedelta(hours=10), 360),
        (TASK, 60, timedelta(days=9), 900),
        (TASK, 3600, timedelta(days=9), 3600),
        (REPORT, 60, timedelta(days=10), 8640),
        (REPORT, 60, timedelta(days=800), 86400),
        (CHART, 900, timedelta(hours=2), 900),
        (CHART, 900, timedelta(days=1), 3600),
        (CHART, 900, timedelta(days=20), 14400),
        (CHART_AFTERWARDS, 900, timedelta(days=20), 72000),
        (CHART, 900, timedelta(hours=-5), 900),
    ],
)
def test_the_wait_is_a_share_of_the_quiet_within_bounds(pace, every, quiet, wait):
    assert (pace.next_look(NOW, NOW - quiet, every_seconds=every) - NOW).total_seconds() == wait


def looks(pace: Pace, every: float, days: int) -> int:
    at, number = NOW, 0
    while at < NOW + timedelta(days=days):
        at, number = pace.next_look(at, NOW, every_seconds=every), number + 1
    return number


def test_a_thousand_quiet_requests_leave_most_of_an_endpoints_requests_to_others():
    """At 20 requests a second: thirty searches for each look at a chart, two reads for each at a report."""
    assert 1000 * 30 * looks(CHART, 900, 30) / (30 * 86400) < 20 / 5
    assert 10_000 * 2 * looks(REPORT, 60, 90) / (90 * 86400) < 20 / 5


def waits(exchange, kind: str) -> float:
    with exchange.engine.connect() as conn:
        at = conn.execute(
            select(steps.c.next_attempt_at).where(steps.c.kind == kind, steps.c.status == "waiting")
        ).scalar_one()
    return (at - exchange.clock()).total_seconds()


@pytest.mark.postgres
def test_a_quiet_request_is_watched_less_often_and_a_change_makes_it_often_again(exchange):
    chart = load_chart(exchange)
    exchange.submit(a_request())
    exchange.drain()
    assert 800 < waits(exchange, "watch_chart") <= 900 and 3500 < waits(exchange, "watch_fulfiller") <= 3600
    exchange.later(days=2)
    exchange.watch()
    assert 7000 < waits(exchange, "watch_chart") <= 7200
    exchange.change("alice", chart["observation-3"], status="corrected", valueQuantity={"value": 3.5, "unit": "g"})
    exchange.watch()
    exchange.clock = lambda: datetime.now(UTC)
    exchange.watch()
    assert 800 < waits(exchange, "watch_chart") <= 900


@pytest.mark.postgres
def test_a_chart_is_watched_after_everything_else_that_is_due(exchange):
    load_chart(exchange)
    exchange.submit(a_request())
    exchange.drain()
    with exchange.engine.begin() as conn:
        conn.execute(update(steps).where(steps.c.kind == "watch_chart").values(status="due"))
        conn.execute(text("UPDATE endpoints SET concurrency = 1"))
    exchange.submit(a_request(key="k2"))
    [first] = dispatch_endpoint(exchange.engine, "alice", limits_of(exchange.world))
    with exchange.engine.connect() as conn:
        assert conn.execute(select(steps.c.kind).where(steps.c.id == first.step_id)).scalar_one() == "gather_records"


@pytest.mark.postgres
def test_what_a_watch_finds_travels_with_the_deadline_of_the_request(exchange):
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request(wanted_by="2035-05-05"))
    exchange.drain()
    exchange.change("alice", chart["observation-3"], status="corrected", valueQuantity={"value": 3.5, "unit": "g"})
    exchange.watch()
    with exchange.engine.connect() as conn:
        due = {
            row.deadline
            for row in conn.execute(
                select(steps.c.deadline).where(
                    steps.c.request_id == request_id,
                    steps.c.kind.in_(("match_people", "push_records", "verify_records")),
                )
            )
        }
    assert len(due) == 1 and due.pop().year == 2035


@pytest.mark.parametrize("wanted_by", ["2035-05-05", None])
def test_watches_come_after_all_that_ends_and_what_they_find_does_not(exchange, wanted_by):
    """However many requests are watched, however late: their watches keep no new request from its turn."""
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(wanted_by=wanted_by))
    exchange.drain()
    exchange.answer()
    exchange.watch()
    with exchange.engine.connect() as conn:
        due = {row.kind: row.deadline for row in conn.execute(select(steps).where(steps.c.request_id == request_id))}
    last = max(deadline for kind, deadline in due.items() if not kind.startswith("watch_"))
    assert last < due["watch_fulfiller"] < due["watch_chart"]
    assert due["push_records"] == due["return_report"] == due["mirror_status"]
