"""Ticks: none missed, none doubled, whatever the clocks do and however many nodes tick."""

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import apscheduler.executors.base
import apscheduler.schedulers.base
import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import func, select, text

from integration.store import audit, operations
from integration.store import steps as steps_store
from integration.store.schedules import EPOCH
from integration.store.tables import audit as audit_table
from integration.store.tables import steps, ticks
from jobs import schedule as schedule_module
from jobs.schedule import MAX_MISSED, Schedule, every, housekeeping, missed, tick

NOON = datetime(2030, 6, 15, 12, tzinfo=UTC)
MINUTELY = every(60)


def cron(line: str) -> CronTrigger:
    return CronTrigger.from_crontab(line, timezone=UTC)


def test_after_a_pause_every_fire_time_is_made_up_for_once():
    found = missed(MINUTELY, NOON, NOON + timedelta(minutes=5, seconds=30))
    assert found == [NOON + timedelta(minutes=number) for number in range(1, 6)]
    assert missed(MINUTELY, NOON, NOON) == [] and missed(MINUTELY, NOON, NOON - timedelta(hours=1)) == []


def test_a_schedule_never_ticked_begins_with_the_latest_fire_time_of_a_minute():
    assert missed(every(7), None, EPOCH + timedelta(seconds=7 * 1000 + 3)) == [EPOCH + timedelta(seconds=7000)]
    assert missed(cron("0 3 * * *"), None, NOON) == []
    assert missed(cron("0 12 * * *"), None, NOON + timedelta(seconds=20)) == [NOON]


def test_a_long_outage_is_made_up_for_in_portions():
    now, last, found = NOON + timedelta(days=2), NOON, []
    while portion := missed(MINUTELY, last, now):
        assert len(portion) <= MAX_MISSED
        found, last = found + portion, portion[-1]
    assert len(found) == len(set(found)) == 2880


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"])
def test_daylight_saving_misses_and_doubles_nothing(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for year in (2026, 2028):
            start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
            days = (end - start).days
            assert ticks_of(cron("30 2 * * *"), start, end) == [
                start + timedelta(days=day, hours=2, minutes=30) for day in range(days)
            ]
            assert len(ticks_of(every(3600), start, end)) == days * 24
    finally:
        monkeypatch.undo()
        time.tzset()


def ticks_of(trigger, start: datetime, end: datetime) -> list[datetime]:
    """What a node claims that looks every now and then."""
    found, last, now = [], start - timedelta(seconds=1), start
    while now < end:
        portion = [each for each in missed(trigger, last, now) if each < end]
        found, last = found + portion, portion[-1] if portion else last
        now += timedelta(minutes=170)
    found += list(missed(trigger, last, end - timedelta(seconds=1)))
    return [each for each in found if each >= start]


def test_a_leap_day_is_a_day():
    start, end = datetime(2028, 2, 27, tzinfo=UTC), datetime(2028, 3, 2, tzinfo=UTC)
    assert [each.strftime("%m-%d") for each in ticks_of(cron("0 3 * * *"), start, end)] == [
        "02-27",
        "02-28",
        "02-29",
        "03-01",
    ]
    assert missed(cron("0 3 29 2 *"), datetime(2028, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)) == [
        datetime(2028, 2, 29, 3, tzinfo=UTC),
        datetime(2032, 2, 29, 3, tzinfo=UTC),
    ]


@pytest.fixture
def counted(database):
    """A world with a schedule each of whose ticks leaves one audit row."""

    def made(trigger):
        return Schedule("counted", trigger, lambda conn: audit.record(conn, "test", "ticked"))

    return SimpleNamespace(
        world=SimpleNamespace(engine=database.engine, now=lambda: pytest.fail("a node's own clock was asked")),
        engine=database.engine,
        schedule=made,
        runs=lambda: _count(database.engine, audit_table, "ticked"),
    )


def _count(engine, table, action: str) -> int:
    with engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(table).where(table.c.action == action)).scalar_one()


@pytest.mark.postgres
def test_a_thousand_ticks_by_six_nodes_are_a_thousand_runs(counted):
    schedule, start = counted.schedule(every(1)), NOON
    with counted.engine.begin() as conn:
        conn.execute(ticks.insert().values(job="counted", fire_time=start))
    claims, barrier = [], threading.Barrier(6)

    def node(number: int) -> None:
        for second in range(8, 1001, 8):  # all six at once, each a little later than the other
            barrier.wait()
            claims.append(
                tick(counted.world, schedule, now=start + timedelta(seconds=second, milliseconds=37 * number))
            )

    nodes = [threading.Thread(target=node, args=(number,)) for number in range(6)]
    for each in nodes:
        each.start()
    for each in nodes:
        each.join()
    assert counted.runs() == sum(claims) == 1000
    with counted.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(ticks)).scalar_one() == 1001


@pytest.mark.postgres
def test_pruning_is_our_own_work_and_waits_for_no_endpoint(exchange):
    with exchange.engine.begin() as conn:
        for endpoint in exchange.config.endpoints:
            operations.pause(conn, endpoint, True, actor="test", reason="nobody is there")
        assert operations.run_schedule(conn, exchange.config, "prune", actor="test", reason="it is full")
        assert not operations.run_schedule(conn, exchange.config, "prune", actor="test", reason="again")
    assert _count(exchange.engine, audit_table, "schedule.run") == 1
    exchange.drain()
    with exchange.engine.connect() as conn:
        assert conn.execute(select(steps.c.status).where(steps.c.kind == "prune")).scalar_one() == "done"


@pytest.mark.postgres
def test_nodes_whose_own_clocks_are_wrong_claim_by_the_databases(counted):
    schedule = counted.schedule(every(1))
    tick(counted.world, schedule)
    with counted.engine.connect() as conn:
        latest, now = conn.execute(select(func.max(ticks.c.fire_time), func.statement_timestamp())).one()
    assert now - timedelta(seconds=3) < latest <= now


@pytest.mark.postgres
def test_a_clock_set_forward_an_hour_makes_up_and_one_set_back_goes_on_at_once(counted):
    schedule = counted.schedule(MINUTELY)
    with counted.engine.begin() as conn:
        conn.execute(ticks.insert().values(job="counted", fire_time=NOON))
    assert tick(counted.world, schedule, now=NOON + timedelta(hours=1)) == 60
    assert tick(counted.world, schedule, now=NOON + timedelta(minutes=30, seconds=1)) == 0  # set back by half an hour
    passed = [
        tick(counted.world, schedule, now=NOON + timedelta(minutes=30 + minute, seconds=1)) for minute in range(1, 60)
    ]
    assert passed == [1] * 59
    assert tick(counted.world, schedule, now=NOON + timedelta(minutes=88, seconds=59)) == 0  # a moment back: nothing


@pytest.mark.postgres
def test_what_waits_does_not_wait_longer_because_the_clock_was_set_back(counted):
    [schedule] = [each for each in housekeeping() if each.sees_to_time]
    with counted.engine.begin() as conn:
        conn.execute(ticks.insert().values(job=schedule.name, fire_time=NOON))
        step_id = steps_store.create(conn, "push_records", "lakeview", at=NOON + timedelta(minutes=15))
    for minutes in (0, 1):  # a second node, or a later tick, brings nothing forward again
        tick(counted.world, schedule, now=NOON - timedelta(minutes=60 - minutes))
        with counted.engine.connect() as conn:
            assert conn.execute(
                select(steps.c.next_attempt_at).where(steps.c.id == step_id)
            ).scalar_one() == NOON - timedelta(minutes=45)


@pytest.mark.postgres
def test_a_cron_time_counts_once_when_the_clock_is_set_back_over_it(counted):
    schedule = counted.schedule(cron("0 12 * * *"))
    with counted.engine.begin() as conn:
        conn.execute(ticks.insert().values(job="counted", fire_time=NOON - timedelta(days=1)))
    found = [
        tick(counted.world, schedule, now=NOON + timedelta(minutes=minute)) for minute in (-1, 0, 1, -59, -1, 0, 1, 60)
    ]
    assert sum(found) == 1 and tick(counted.world, schedule, now=NOON + timedelta(days=1)) == 1


@pytest.mark.postgres
def test_a_lease_and_a_breaker_survive_the_databases_clock_being_set_back(database):
    from integration.queue import Limits, dispatch
    from tests.jobs.test_queue import add_endpoint, owe

    with database.engine.begin() as conn:
        add_endpoint(conn, "lakeview")
    owe(database.engine, 3)
    assert dispatch(database.engine, Limits()) == 3
    with database.engine.begin() as conn:  # as if all this had been written an hour later than now
        conn.execute(text("UPDATE steps SET lease_until = lease_until + interval '1 hour'"))
        conn.execute(
            text("""UPDATE endpoints SET breaker = 'half-open',
                             breaker_until = now() + interval '1 hour 30 seconds', last_failure_at = now() + interval '1 hour'""")
        )
    assert dispatch(database.engine, Limits()) == 1  # the breaker's probe
    with database.engine.begin() as conn:
        assert conn.execute(select(func.max(steps.c.lost))).scalar_one() == 0


class _SetBack(datetime):
    """``datetime`` by a clock that somebody sets."""

    by = timedelta(0)

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.by


def test_a_ticker_whose_machine_is_set_back_an_hour_goes_on_within_seconds(monkeypatch):
    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", _SetBack)
    monkeypatch.setattr(apscheduler.executors.base, "datetime", _SetBack)
    monkeypatch.setattr(
        schedule_module,
        "time",
        SimpleNamespace(
            time=lambda: time.time() + _SetBack.by.total_seconds(), monotonic=time.monotonic, sleep=time.sleep
        ),
    )
    runs: list[float] = []
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(lambda: runs.append(time.monotonic()), every(1))
    scheduler.start()
    minder = threading.Thread(target=schedule_module._mind_the_clock, args=(scheduler, 0.2), daemon=True)
    minder.start()
    try:
        time.sleep(1.5)
        assert runs
        monkeypatch.setattr(_SetBack, "by", timedelta(hours=-1))
        set_back_at = time.monotonic()
        time.sleep(3)
        assert [each for each in runs if each > set_back_at + 1.1]
    finally:
        scheduler.shutdown(wait=False)
