"""The schedules a configuration has: their names, what a tick makes due, and when; the ticker itself lives with the jobs."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import own_steps, steps
from mappings.model.steps import StepKind

LEFT_PARKED = ("parked-by-person", "worker-lost")  # polls that only a person lets go on: workers die at the second
PRUNE, DIRECTORY = "prune", f"{StepKind.SYNC_DIRECTORY} "
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)  # every node anchors intervals here, so that they share fire times


def names(config: Config) -> list[str]:
    """The names, as in ``second-opinion schedules list``."""
    polls = [f"poll_requests {key}" for key, endpoint in config.endpoints.items() if endpoint.is_polled]
    directories = [f"{DIRECTORY}{key}" for key in config.directory.sources]
    return [*polls, *directories, *([PRUNE] if config.endpoints else [])]


def is_by_cron(name: str) -> bool:
    """Whether it goes by times of the day; others go by an interval."""
    return name == PRUNE or name.startswith(DIRECTORY)


def cron_of(config: Config, name: str) -> str | None:
    """Its five fields; None for an interval, and for a directory that is read only when somebody says so."""
    if name == PRUNE:
        return config.schedules.prune_cron
    source = config.directory.sources.get(name.removeprefix(DIRECTORY)) if name.startswith(DIRECTORY) else None
    return source.sync_cron if source is not None else None


def endpoint_of(name: str) -> str:
    """The endpoint a schedule's step runs under; none's when it is our own work."""
    return name.partition(" ")[2] or own_steps.OWN


def make_due(conn: Connection, name: str) -> bool:
    """Make its step due now, also one that gave up by itself: nobody else resumes it. False when one is open already."""
    kind, _, endpoint = name.partition(" ")
    return (
        steps.make_due_or_create(conn, kind, endpoint, left=LEFT_PARKED) if endpoint else own_steps.make_due(conn, kind)
    )


def next_fire(config: Config, name: str, now: datetime) -> datetime | None:
    """The next time it ticks; None when it never does by itself."""
    if is_by_cron(name):
        cron = cron_of(config, name)
        return next_cron(cron, now) if cron else None
    seconds = max(1, round(config.schedules.poll_requests_seconds))
    return EPOCH + timedelta(seconds=((now - EPOCH).total_seconds() // seconds + 1) * seconds)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def next_cron(cron: str, now: datetime) -> datetime | None:
    """The next time of five cron fields (0 is Monday, as in the ticker), within five years."""
    minutes, hours, days, months, weekdays = (
        _values(part, *bounds) for part, bounds in zip(cron.split(), _BOUNDS, strict=True)
    )
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(5 * 366):
        if day.month in months and day.day in days and day.weekday() in weekdays:
            times = (day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes))
            found = next((time for time in times if time > now), None)
            if found is not None:
                return found
        day += timedelta(days=1)
    return None


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        where, _, step = part.partition("/")
        first, _, last = where.partition("-")
        if where == "*":
            first, last = str(low), str(high)
        elif where in _DAYS:
            first = str(_DAYS.index(where))
        found |= set(range(int(first), int(last or (high if step else first)) + 1, int(step or 1)))
    return found
