"""The ticker: APScheduler fires, a claimed tick makes a step due; it runs none. The only file that imports apscheduler."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection

from integration.queue import dispatch
from integration.settings.config import Config
from integration.store import hints, steps, ticks
from integration.store import schedules as store
from integration.store.ticks import Tick
from jobs.engine import limits_of
from jobs.upkeep import check_alarms
from jobs.upkeep.self_check import SelfCheck
from jobs.world import World

log = logging.getLogger("second_opinion.schedule")
MAX_MISSED = 1000
FIRST_TICK_SECONDS = 60  # how late the very first tick of a schedule may be noticed
SET_BACK_SECONDS = 60  # a tick claimed further in the future than this: the database's clock was set back
SELF_CHECK_SECONDS = 5
CHECK_ALARMS_SECONDS = 60


@dataclass(frozen=True)
class Schedule:
    """One schedule: its name, trigger, and what a tick makes due."""

    name: str
    trigger: BaseTrigger
    make_due: Callable[[Connection], object]
    sees_to_time: bool = False  # the one that notices for all waiting steps when the clock was set back


def schedules(world: World) -> list[Schedule]:
    """The schedules of this configuration."""
    config = world.config
    return [
        Schedule(name, trigger, partial(store.make_due, name=name))
        for name in store.names(config)
        if (trigger := _trigger(config, name)) is not None
    ]


def _trigger(config: Config, name: str) -> BaseTrigger | None:
    if not store.is_by_cron(name):
        return every(config.schedules.poll_requests_seconds)
    cron = store.cron_of(config, name)
    return CronTrigger.from_crontab(cron, timezone=UTC) if cron else None


def housekeeping() -> list[Schedule]:
    """Our own, which no operator sets or runs."""
    return [Schedule("check_alarms", every(CHECK_ALARMS_SECONDS), check_alarms.make_due, sees_to_time=True)]


def every(seconds: float) -> IntervalTrigger:
    """An interval anchored at the fixed epoch, UTC, without jitter."""
    return IntervalTrigger(seconds=max(1, round(seconds)), start_date=store.EPOCH, timezone=UTC)


def tick(world: World, schedule: Schedule, now: datetime | None = None) -> int:
    """Claim every fire time since the last claimed one; each claim makes its step due. Returns how many were ours.

    Job functions are not told their fire time, and a node may wake late: fire times follow from the last claim. All nodes
    go by the database's clock: one node whose own clock is an hour ahead must not claim the hour away from the others.
    """
    with world.engine.begin() as conn:
        last, clock = ticks.last_and_clock(conn, schedule.name)
        now = now or clock
        if (
            last is not None
            and last - now > timedelta(seconds=SET_BACK_SECONDS)
            and isinstance(schedule.trigger, IntervalTrigger)
        ):
            last = _forget_future(conn, schedule, last, now)
    return sum(_claim(world, schedule, fire_time) for fire_time in missed(schedule.trigger, last, now))


def _forget_future(conn: Connection, schedule: Schedule, last: datetime, now: datetime) -> datetime | None:
    """The clock was set back: an interval goes on at once, not when the clock has caught up. A cron time counts once a day."""
    log.warning("the database's clock was set back", extra={"action": "clock-set-back", "schedule": schedule.name})
    forgotten = ticks.forget_after(conn, schedule.name, now)
    if forgotten and schedule.sees_to_time:  # of all nodes the one that forgot
        steps.bring_forward(conn, last - now)
    return ticks.last_and_clock(conn, schedule.name)[0]


def missed(trigger: BaseTrigger, last: datetime | None, now: datetime) -> list[datetime]:
    """Fire times after ``last`` up to ``now``; without a last one, only the latest of a minute."""
    previous = last or now - timedelta(seconds=FIRST_TICK_SECONDS)
    fire_times: list[datetime] = []
    while len(fire_times) < MAX_MISSED:
        following = trigger.get_next_fire_time(
            previous if last or fire_times else None, previous + timedelta(microseconds=1)
        )
        if following is None or following > now:
            break
        fire_times.append(following)
        previous = following
    return fire_times if last else fire_times[-1:]


def _claim(world: World, schedule: Schedule, fire_time: datetime) -> bool:
    with world.engine.begin() as conn:
        claimed = ticks.claim(conn, schedule.name, fire_time)
        if claimed:
            schedule.make_due(conn)
        return claimed


def start(world: World) -> BackgroundScheduler:
    """Start ticking in this process; call ``shutdown()`` on what is returned. Web workers must not."""
    scheduler = BackgroundScheduler(
        timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )
    scheduler.add_job(
        _quiet(lambda: dispatch(world.engine, limits_of(world)), "dispatch"),
        every(world.config.schedules.dispatch_seconds),
        name="dispatch",
    )
    scheduler.add_job(_quiet(partial(take_up_hints, world), "hints"), every(hints.EVERY_SECONDS), name="hints")
    scheduler.add_job(_quiet(SelfCheck(world), "self-check"), every(SELF_CHECK_SECONDS), name="self-check")
    for schedule in [*schedules(world), *housekeeping()]:
        scheduler.add_job(_quiet(partial(tick, world, schedule), schedule.name), schedule.trigger, name=schedule.name)
    scheduler.start()
    threading.Thread(target=_mind_the_clock, args=(scheduler,), name="clock", daemon=True).start()
    return scheduler


def take_up_hints(world: World) -> int:
    """Make due what endpoints said they have news of; in every worker, and each hint is taken by one."""
    endpoints = world.config.endpoints
    placers = {key for key, each in endpoints.items() if each.is_placer}
    fulfillers = {key for key, each in endpoints.items() if each.is_fulfiller}
    with world.engine.begin() as conn:
        return hints.take_up(conn, placers, fulfillers)


def _mind_the_clock(scheduler: BackgroundScheduler, seconds: float = 1.0) -> None:
    """When this machine's clock is set back, APScheduler would sleep until it has caught up: begin anew at once."""
    ahead = time.time() - time.monotonic()
    while scheduler.running:
        time.sleep(seconds)
        before, ahead = ahead, time.time() - time.monotonic()
        if ahead < before - 2 * seconds:
            log.warning(
                "this machine's clock was set back",
                extra={"action": "clock-set-back", "seconds": round(before - ahead)},
            )
            for job in scheduler.get_jobs():
                job.reschedule(job.trigger)


def _quiet(body: Callable[[], object], name: str) -> Callable[[], None]:
    """One failed tick (the database is away) is logged without its text and made up for by the next."""

    def run() -> None:
        try:
            body()
        except Exception as error:
            log.warning("tick failed", extra={"action": "tick", "schedule": name, "error": type(error).__name__})

    return run


def views(world: World) -> list[dict]:
    """Each schedule with its last claimed and next fire time and how late the last claim was, in seconds."""
    wanted = schedules(world)
    with world.engine.connect() as conn:
        last = ticks.last_of(conn, [each.name for each in wanted])
    return [_view(schedule, last.get(schedule.name), world.now()) for schedule in wanted]


def _view(schedule: Schedule, last: Tick | None, now: datetime) -> dict:
    return {
        "name": schedule.name,
        "last": last.fire_time if last else None,
        "drift_seconds": (last.claimed_at - last.fire_time).total_seconds() if last else None,
        "next": schedule.trigger.get_next_fire_time(None, now),
    }
