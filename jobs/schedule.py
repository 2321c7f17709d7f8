"""The ticker: APScheduler fires, a claimed tick makes a step due; it runs none. The only file that imports apscheduler."""
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from integration.queue import dispatch
from integration.store import steps
from integration.store.tables import ticks
from jobs.engine import limits_of
from jobs.world import World

log = logging.getLogger("second_opinion.schedule")
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)    # every node anchors intervals here, so that they share fire times
MAX_MISSED = 1000


@dataclass(frozen=True)
class Schedule:
    """One schedule: its name, trigger, and what a tick makes due."""

    name: str
    trigger: object
    make_due: Callable[[Connection], object]


def schedules(world: World) -> list[Schedule]:
    """The schedules of this configuration."""
    config, made = world.config, []
    for key, endpoint in config.endpoints.items():
        if endpoint.role in ("placer", "both"):
            made.append(Schedule(f"poll_requests {key}", every(config.schedules.poll_requests_seconds),
                                 lambda conn, key=key: steps.create(conn, "poll_requests", key)))
    first = next(iter(config.endpoints), None)
    if first is not None:
        made.append(Schedule("prune", CronTrigger.from_crontab(config.schedules.prune_cron, timezone=UTC),
                             lambda conn: steps.create(conn, "prune", first)))
    return made


def every(seconds: float) -> IntervalTrigger:
    """An interval anchored at the fixed epoch, UTC, without jitter."""
    return IntervalTrigger(seconds=max(1, round(seconds)), start_date=EPOCH, timezone=UTC)


def tick(world: World, schedule: Schedule, now: datetime | None = None) -> int:
    """Claim every fire time since the last claimed one; each claim makes its step due. Returns how many were ours.

    Job functions are not told their fire time, and a node may wake late: fire times follow from the last claim.
    """
    now = now or world.now()
    with world.engine.begin() as conn:
        last = conn.execute(select(func.max(ticks.c.fire_time)).where(ticks.c.job == schedule.name)).scalar_one()
    return sum(_claim(world, schedule, fire_time) for fire_time in missed(schedule.trigger, last, now))


def missed(trigger, last: datetime | None, now: datetime) -> list[datetime]:
    """Fire times after ``last`` up to ``now``; without a last one, only the latest possible."""
    fire_times, previous = [], last
    if previous is None:
        following = trigger.get_next_fire_time(None, now - timedelta(seconds=1))
        return [following] if following is not None and following <= now else []
    while len(fire_times) < MAX_MISSED:
        following = trigger.get_next_fire_time(previous, previous + timedelta(microseconds=1))
        if following is None or following > now:
            break
        fire_times.append(following)
        previous = following
    return fire_times


def _claim(world: World, schedule: Schedule, fire_time: datetime) -> bool:
    with world.engine.begin() as conn:
        claimed = conn.execute(insert(ticks).values(job=schedule.name, fire_time=fire_time).on_conflict_do_nothing())
        if claimed.rowcount:
            schedule.make_due(conn)
        return bool(claimed.rowcount)


def start(world: World) -> BackgroundScheduler:
    """Start ticking in this process; call ``shutdown()`` on what is returned. Web workers must not."""
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
    scheduler.add_job(_quiet(lambda: dispatch(world.engine, limits_of(world)), "dispatch"),
                      every(world.config.schedules.dispatch_seconds), name="dispatch")
    for schedule in schedules(world):
        scheduler.add_job(_quiet(lambda schedule=schedule: tick(world, schedule), schedule.name), schedule.trigger, name=schedule.name)
    scheduler.start()
    return scheduler


def _quiet(body: Callable[[], object], name: str) -> Callable[[], None]:
    """One failed tick (the database is away) is logged without its text and made up for by the next."""
    def run() -> None:
        try:
            body()
        except Exception as error:
            log.warning("tick failed", extra={"action": "tick", "schedule": name, "error": type(error).__name__})
    return run


def run_now(conn: Connection, world: World, name: str) -> bool:
    """Make a schedule's step due now; False when there is no schedule of that name."""
    schedule = next((each for each in schedules(world) if each.name == name), None)
    if schedule is not None:
        schedule.make_due(conn)
    return schedule is not None




def views(world: World) -> list[dict]:
    """Each schedule with its last claimed and next fire time and how late the last claim was, in seconds."""
    with world.engine.connect() as conn:
        rows = {row.job: row for row in conn.execute(
            select(ticks.c.job, func.max(ticks.c.fire_time).label("last"), func.max(ticks.c.claimed_at).label("claimed"))
            .group_by(ticks.c.job))}
    return [_view(schedule, rows.get(schedule.name), world.now()) for schedule in schedules(world)]


def _view(schedule: Schedule, row, now: datetime) -> dict:
    return {"name": schedule.name, "last": row.last if row else None,
            "drift_seconds": (row.claimed - row.last).total_seconds() if row else None,
            "next": schedule.trigger.get_next_fire_time(None, now)}
