"""Dispatch against a real PostgreSQL: limits, order, fencing, recovery."""

import datetime
import threading

import pytest
from sqlalchemy import func, select, text, update

from integration.queue import Limits, dispatch, dispatch_endpoint, fair_share, most_at, promote, reap
from integration.store import deliveries, steps
from integration.store.steps import LeaseLost
from integration.store.tables import attempts, endpoints, findings, requests
from integration.store.tables import steps as table
from mappings.model.delivery import DeliveryKind

pytestmark = pytest.mark.postgres
LIMITS = Limits(lease_seconds=30)
EIGHT_THREADS = Limits(threads=8, concurrencies=(4, 256))


@pytest.fixture
def engine(database):
    with database.engine.begin() as conn:
        add_endpoint(conn, "lakeview", concurrency=4)
    return database.engine


def add_endpoint(conn, key, concurrency=4, rate=1000.0):
    conn.execute(
        endpoints.insert().values(
            key=key, identifier_system=f"https://{key}.example", concurrency=concurrency, rate=rate
        )
    )


def add_request(conn, number):
    conn.execute(
        requests.insert().values(
            id=f"r{number}",
            key=f"k{number}",
            placer="hillside",
            fulfiller="lakeview",
            status="draft",
            priority="routine",
            body=b"{}",
            body_sha256="",
            patient_hash="",
        )
    )
    return f"r{number}"


def owe(engine, count, **kwargs):
    with engine.begin() as conn:
        return [
            steps.create(conn, "push_records", "lakeview", request_id=add_request(conn, number), **kwargs)
            for number in range(count)
        ]


def status_counts(engine):
    with engine.connect() as conn:
        return dict(conn.execute(select(table.c.status, func.count()).group_by(table.c.status)).all())


def test_it_never_leases_more_than_the_endpoint_allows_with_four_dispatchers(engine):
    owe(engine, 60)
    live, barrier = [], threading.Barrier(4)

    def dispatcher():
        for _ in range(12):
            barrier.wait()
            dispatch_endpoint(engine, "lakeview", LIMITS)
            if barrier.wait() == 0:
                live.append(status_counts(engine).get("leased", 0))
                finish_leased(engine)

    threads = [threading.Thread(target=dispatcher) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live == [4] * 12


def finish_leased(engine):
    with engine.begin() as conn:
        conn.execute(update(requests).values(live_step=None))
        conn.execute(update(table).where(table.c.status == "leased").values(status="done", lease_until=None))


@pytest.mark.parametrize(
    ("wanted", "seats", "share"),
    [([64, 4, 4], 64, 56), ([4] * 20, 64, 3), ([4, 4], 64, 4), ([256] * 300, 64, 1), ([1, 9, 9], 11, 5), ([], 64, 64)],
)
def test_seats_are_shared_so_that_all_fit_and_none_goes_without(wanted, seats, share):
    assert fair_share(wanted, seats) == share
    assert sum(min(each, share) for each in wanted) <= max(seats, len(wanted))


def test_an_endpoint_that_could_take_every_thread_leaves_some_for_the_others(engine):
    with engine.begin() as conn:
        add_endpoint(conn, "greedy", concurrency=256)
        for number in range(100):
            steps.create(conn, "push_records", "greedy", request_id=add_request(conn, 1000 + number))
    owe(engine, 3)
    assert len(dispatch_endpoint(engine, "greedy", EIGHT_THREADS)) == 6
    assert len(dispatch_endpoint(engine, "lakeview", EIGHT_THREADS)) == 3
    with engine.begin() as conn:  # two workers that are there, and one that is not any more
        conn.execute(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()), (now()), (now() - interval '1 minute')"
            )
        )
    assert len(dispatch_endpoint(engine, "greedy", EIGHT_THREADS)) == 12 - 6


def test_of_many_endpoints_each_has_some_of_what_can_start_before_leases_run_out(engine):
    many = Limits(lease_seconds=30, threads=8, concurrencies=(4, *[64] * 39))
    assert most_at(64, rests=False, probes=False, workers=1, limits=many) == 8 * 30 // 2 // 40
    assert most_at(64, rests=False, probes=False, workers=9, limits=many) == 9 * 8 * 30 // 2 // 40
    assert most_at(64, rests=False, probes=False, workers=1, limits=Limits(30, 1, (64,) * 500)) == 1


def test_it_takes_the_earliest_deadline_first(engine):
    with engine.begin() as conn:
        for number, day in enumerate([20, 5, 10, 1, 15]):
            steps.create(
                conn,
                "push_records",
                "lakeview",
                request_id=add_request(conn, number),
                deadline=datetime.datetime(2030, 1, day, tzinfo=datetime.UTC),
            )
    dispatch_endpoint(engine, "lakeview", LIMITS)
    with engine.connect() as conn:
        waiting = conn.execute(select(table.c.request_id).where(table.c.status == "due")).scalars().all()
    assert waiting == ["r0"]


def test_it_runs_one_step_of_a_request_at_a_time_also_across_endpoints(engine):
    with engine.begin() as conn:
        add_endpoint(conn, "hillside")
        request_id = add_request(conn, 1)
        steps.create(conn, "watch_fulfiller", "lakeview", request_id=request_id)
        steps.create(conn, "push_records", "lakeview", request_id=request_id)
        steps.create(conn, "mirror_status", "hillside", request_id=request_id)
    assert dispatch(engine, LIMITS) == 1


def test_a_lost_lease_is_due_again_and_the_frozen_worker_can_change_nothing(engine):
    [step_id] = owe(engine, 1)
    [first] = dispatch_endpoint(engine, "lakeview", LIMITS)
    assert steps.start(engine, step_id, first.lease_no, 30) is not None
    with engine.begin() as conn:
        conn.execute(update(table).values(lease_until=text("now() - interval '1 second'")))
    [second] = dispatch_endpoint(engine, "lakeview", LIMITS)
    assert second.lease_no == first.lease_no + 1
    assert steps.start(engine, step_id, first.lease_no, 30) is None
    assert not steps.renew(engine, step_id, first.lease_no, 30)
    with pytest.raises(LeaseLost):
        with steps.fenced(engine, step_id, first.lease_no):
            pass


def test_a_step_that_never_started_loses_no_attempt(engine):
    owe(engine, 1)
    dispatch_endpoint(engine, "lakeview", LIMITS)
    with engine.begin() as conn:
        conn.execute(update(table).values(lease_until=text("now() - interval '1 second'")))
    dispatch_endpoint(engine, "lakeview", LIMITS)
    with engine.connect() as conn:
        assert conn.execute(select(table.c.attempts, table.c.lost)).one() == (0, 0)


def lose_leases(engine):
    """Their worker died."""
    with engine.begin() as conn:
        conn.execute(
            update(table).where(table.c.status == "leased").values(lease_until=text("now() - interval '1 second'"))
        )


def rest(engine):
    """The back-off of what waits is over."""
    with engine.begin() as conn:
        conn.execute(update(table).where(table.c.status == "waiting").values(next_attempt_at=func.now()))


def work_with_one_that_kills(engine, poison, times):
    """Workers start whatever is handed over; those that hold ``poison`` die with all they have, others finish."""
    for _ in range(times):
        rest(engine)
        for claimed in [*(dispatch_endpoint(engine, "lakeview", LIMITS) or ()), *claimed_after_promotion(engine)]:
            steps.start(engine, claimed.step_id, claimed.lease_no, 30)
        with engine.connect() as conn:
            held = set(conn.execute(select(table.c.id).where(table.c.status == "leased")).scalars())
        lose_leases(engine) if poison in held else finish_leased(engine)


def claimed_after_promotion(engine):
    with engine.begin() as conn:
        promote(conn)
    return dispatch_endpoint(engine, "lakeview", LIMITS)


def test_a_step_that_kills_its_workers_is_parked_and_those_that_died_with_it_are_done(engine):
    poison, *innocent = owe(engine, 4)
    with engine.begin() as conn:
        deliveries.create(conn, "r0", "lakeview", DeliveryKind.RECORDS)
        conn.execute(update(table).where(table.c.id == poison).values(delivery_id="r0-records-1"))
    work_with_one_that_kills(engine, poison, times=20)
    with engine.connect() as conn:
        assert dict(conn.execute(select(table.c.id, table.c.status)).all()) == {
            poison: "parked",
            **dict.fromkeys(innocent, "done"),
        }
        lost = dict(
            conn.execute(
                select(attempts.c.step_id, func.count())
                .where(attempts.c.outcome == "lost")
                .group_by(attempts.c.step_id)
            ).all()
        )
        assert lost == {poison: 5, **dict.fromkeys(innocent, 2)}  # alone from the third time on
        assert deliveries.get(conn, "r0-records-1").status == "parked"
        assert conn.execute(select(findings.c.cause, findings.c.severity)).all() == [("worker-lost", "error")]


def test_a_step_at_which_workers_died_twice_rests_longer_and_longer(engine):
    [step_id], rests, claimed = owe(engine, 1), [], dispatch_endpoint(engine, "lakeview", LIMITS)
    for _ in range(4):
        steps.start(engine, step_id, claimed[0].lease_no, 30)
        lose_leases(engine)
        claimed = dispatch_endpoint(engine, "lakeview", LIMITS)  # at once only after the first time
        with engine.connect() as conn:
            rests.append(conn.execute(select(func.extract("epoch", table.c.next_attempt_at - func.now()))).scalar_one())
        rest(engine)
        claimed = claimed or claimed_after_promotion(engine)
    assert rests[0] <= 0 and all(
        10 * 2**number - 1 <= seconds <= 20 * 2**number for number, seconds in enumerate(rests[1:])
    ), rests


def test_workers_that_died_count_in_a_row_and_an_attempt_that_failed_ends_it(engine):
    [step_id] = owe(engine, 1)
    for number in range(12):
        rest(engine)
        [claimed] = claimed_after_promotion(engine)
        step = steps.start(engine, step_id, claimed.lease_no, 30)
        if number % 3 < 2:
            lose_leases(engine)
            with engine.begin() as conn:
                reap(conn, "lakeview", LIMITS)
        else:
            with steps.fenced(engine, step_id, step.lease_no) as conn:
                steps.postpone(conn, step, datetime.datetime.now(datetime.UTC), cause="timeout", message="")
    with engine.connect() as conn:
        assert conn.execute(select(table.c.status, table.c.lost, table.c.attempts)).one() == ("waiting", 0, 12)


def test_paused_and_resting_endpoints_get_nothing_and_a_probe_goes_alone(engine):
    owe(engine, 5)
    with engine.begin() as conn:
        conn.execute(update(endpoints).values(paused=True))
    assert dispatch_endpoint(engine, "lakeview", LIMITS) == []
    with engine.begin() as conn:
        conn.execute(
            update(endpoints).values(paused=False, breaker="half-open", breaker_until=text("now() + interval '1 hour'"))
        )
    assert dispatch_endpoint(engine, "lakeview", LIMITS) == []
    with engine.begin() as conn:
        conn.execute(update(endpoints).values(breaker_until=text("now() - interval '1 second'")))
    assert len(dispatch_endpoint(engine, "lakeview", LIMITS)) == 1
    assert dispatch_endpoint(engine, "lakeview", LIMITS) == []


def test_the_job_and_the_lease_are_committed_together(engine):
    owe(engine, 1)
    dispatch_endpoint(engine, "lakeview", LIMITS)
    with engine.connect() as conn:
        args = conn.execute(text("SELECT args FROM procrastinate_jobs")).scalars().all()
    assert args == [{"step_id": 1, "lease_no": 1}]


def test_an_open_step_of_a_kind_is_not_made_twice(engine):
    with engine.begin() as conn:
        assert steps.create(conn, "poll_requests", "lakeview") is not None
        assert steps.create(conn, "poll_requests", "lakeview") is None
