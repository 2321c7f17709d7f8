"""Check what no single step can see, endpoints that rest for long and all the rules of config.yaml, and have it told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import alarm_rules, alarms, endpoint_health, notices, open_work, own_steps
from integration.store.endpoint_health import Down
from integration.store.open_work import Unknown
from jobs.world import Context, Outcome
from mappings.model.causes import cause_named

ENDPOINT_DOWN, UNKNOWN_KIND = "endpoint-down", "unknown-kind"
DOWN_AFTER = timedelta(minutes=10)
UNKNOWN_AFTER = timedelta(minutes=15)  # a rolling upgrade is over by then


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong since a moment, and what an operator should do about it."""

    subject: str
    since: datetime | None
    message: str


def check_alarms(ctx: Context) -> Outcome:
    """Raise what lasts, recover what is over, make the notices about both; all in the step's own commit."""
    now = ctx.now

    def commit(conn: Connection) -> None:
        down = [_down(row, ctx.world.config) for row in endpoint_health.down(conn)]
        alarms.set_open(conn, ENDPOINT_DOWN, lasting(down, now, DOWN_AFTER), now)
        unknown = [_unknown(row) for row in open_work.of_unknown_kinds(conn)]
        alarms.set_open(conn, UNKNOWN_KIND, lasting(unknown, now, UNKNOWN_AFTER), now)
        alarm_rules.apply(conn, ctx.world.config, now)
        notices.make_due_notices(conn, ctx.world.config, now)

    return Outcome(apply=[commit])


def lasting(troubles: list[Trouble], now: datetime, after: timedelta) -> dict[str, str]:
    """``{subject: message}`` of what has lasted long enough to tell somebody."""
    return {each.subject: each.message for each in troubles if each.since is not None and now - each.since >= after}


def _down(row: Down, config: Config) -> Trouble:
    if row.since is None:
        return Trouble(row.key, None, "")
    endpoint = config.endpoints.get(row.key)
    call = f"Call {endpoint.contact}." if endpoint and endpoint.contact else "Call its contact."
    return Trouble(
        row.key,
        row.since,
        f"Nothing has succeeded at {row.key} since {row.since:%Y-%m-%d %H:%M} UTC. {cause_named(row.cause).happened} "
        f"What is due there waits. {call}",
    )


def _unknown(row: Unknown) -> Trouble:
    return Trouble(row.kind, row.since, f"no worker knows {row.kind}; {row.number} step(s) wait. Upgrade the workers.")


def make_due(conn: Connection) -> None:
    """It runs under our own name: no endpoint's breaker or pause holds it back."""
    own_steps.make_due(conn, "check_alarms")
