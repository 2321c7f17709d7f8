"""How the schedules are, for pages and API: the last tick of each, the next one, and how late it is."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import endpoint_health, schedules, ticks
from integration.store.ticks import Tick


def schedule_board(conn: Connection, config: Config, now: datetime) -> list[dict]:
    """Each schedule with its last tick, the next one, and how late it is."""
    names, paused = schedules.names(config), endpoint_health.paused(conn)
    last = ticks.last_of(conn, names)
    return [_schedule(config, name, now, paused, last.get(name)) for name in names]


def _schedule(config: Config, name: str, now: datetime, paused: set[str], last: Tick | None) -> dict:
    seconds = None if schedules.is_by_cron(name) else config.schedules.poll_requests_seconds
    # A schedule that has ticked is late when two of its ticks are missing: no worker runs, or none may claim.
    expected = last.fire_time + timedelta(seconds=2 * seconds + 10) if last and seconds else None
    return {
        "name": name,
        "last": last,
        "next": schedules.next_fire(config, name, now),
        "drift": (last.claimed_at - last.fire_time).total_seconds() if last else None,
        "seconds": round(seconds) if seconds else None,
        "cron": schedules.cron_of(config, name),
        "paused": schedules.endpoint_of(name) in paused,
        "late": expected if expected and expected < now else None,
    }
