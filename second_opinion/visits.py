"""Commands about the visit of a request: when it is, by when the records have to be there, and what became of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.settings.config import Config
    from integration.visits import House

CONFIRM = click.option(
    "--confirm",
    type=click.Choice(["records", "closed"]),
    multiple=True,
    help="Keep the time all the same: earlier than the records can be there, or when the practice seems closed.",
)


@cli.group()
def visits() -> None:
    """When the patient sees the consultant, and by when the records have to be there."""


@visits.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """How the visit of REQUEST_ID stands, and what is still needed for it."""
    with opened(ctx) as (config, engine):
        found = _view(_house(config, engine), request_id, actor=ME)
    show(found, as_json, "\n".join(_lines(found)))


def _timed(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a time."""
    for option in reversed(
        (
            click.option("--day", required=True, help="Day, as 2027-01-14."),
            click.option("--time", "clock", required=True, help="Time, as 14:30, in the zone of the practice."),
            click.option("--minutes", type=click.IntRange(5, 1440), default=60, show_default=True, help="How long."),
            click.option("--place", default="", help="Where; it stands in the patient's calendar."),
            click.option("--with", "with_whom", default="", help="With whom."),
            click.option("--told-by", required=True, help="Who told you: a person or a desk."),
            click.option("--zone", help="Another zone than the practice's, as America/Chicago."),
            click.option("--which", type=click.Choice(["first", "second"]), help="In a night that has the time twice."),
            CONFIRM,
        )
    ):
        command = option(command)
    return command


@visits.command("record")
@click.argument("request_id")
@_timed
@with_reason(required=False)
@with_json
@click.pass_context
def record(ctx: click.Context, request_id: str, reason: str | None, as_json: bool, **typed: Any) -> None:
    """Record the visit of REQUEST_ID that was booked somewhere else."""
    _keep_time(ctx, request_id, "booked", reason or "", as_json, typed)


@visits.command("reschedule")
@click.argument("request_id")
@_timed
@with_reason()
@with_json
@click.pass_context
def reschedule(ctx: click.Context, request_id: str, reason: str, as_json: bool, **typed: Any) -> None:
    """The visit of REQUEST_ID is at another time."""
    _keep_time(ctx, request_id, "rescheduled", reason, as_json, typed)


@visits.command("link")
@click.argument("request_id")
@click.argument("endpoint")
@click.argument("reference")
@CONFIRM
@with_reason(required=False)
@with_json
@click.pass_context
def link(
    ctx: click.Context,
    request_id: str,
    endpoint: str,
    reference: str,
    reason: str | None,
    as_json: bool,
    confirm: tuple[str, ...],
) -> None:
    """The appointment REFERENCE that ENDPOINT shows is the visit of REQUEST_ID."""
    from integration.visits import Said, confirmed_of
    from integration.visits import link as link_visit

    with _acting(ctx, request_id, as_json) as house:
        said = Said(datetime.now(UTC), ME, reason or "", confirmed=confirmed_of(confirm))
        link_visit(house, request_id, endpoint, reference, said)


@visits.command("cancel")
@click.argument("request_id")
@click.option(
    "--because",
    type=click.Choice(["pat", "prov", "meds-inc", "other"]),
    default="other",
    show_default=True,
    help="The patient, the practice, records that were not there, or something else.",
)
@with_reason()
@with_json
@click.pass_context
def cancel(ctx: click.Context, request_id: str, because: str, reason: str, as_json: bool) -> None:
    """The visit of REQUEST_ID is canceled."""
    _became(ctx, request_id, "cancelled", reason, as_json, because)


@visits.command("no-show")
@click.argument("request_id")
@with_reason()
@with_json
@click.pass_context
def no_show(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """The patient did not come to the visit of REQUEST_ID."""
    _became(ctx, request_id, "no-show", reason, as_json)


@visits.command("completed")
@click.argument("request_id")
@with_reason(required=False)
@with_json
@click.pass_context
def completed(ctx: click.Context, request_id: str, reason: str | None, as_json: bool) -> None:
    """The visit of REQUEST_ID took place."""
    _became(ctx, request_id, "completed", reason or "", as_json)


def _keep_time(ctx: click.Context, request_id: str, word: str, reason: str, as_json: bool, typed: dict) -> None:
    from integration.store import requests
    from integration.visits import Said, change, confirmed_of, known_zone, start_of, zone_of
    from mappings.model.visit import Change, Slot

    now = datetime.now(UTC)
    with _acting(ctx, request_id, as_json) as house:
        with house.engine.connect() as conn:
            row = requests.get(conn, request_id)
        zone = known_zone(typed["zone"]) if typed["zone"] else zone_of(house.config, row, now)
        start = start_of(typed["day"], typed["clock"], zone, typed["which"] or "")
        end = start + timedelta(minutes=typed["minutes"])
        slot = Slot(start, zone.key, end, typed["place"], typed["with_whom"])
        said = Said(now, ME, reason, told_by=typed["told_by"], confirmed=confirmed_of(typed["confirm"]))
        change(house, request_id, Change(word), said, slot)


def _became(
    ctx: click.Context, request_id: str, word: str, reason: str, as_json: bool, cancelation: str | None = None
) -> None:
    from integration.visits import Said, change
    from mappings.model.visit import Change

    with _acting(ctx, request_id, as_json) as house:
        change(house, request_id, Change(word), Said(datetime.now(UTC), ME, reason, cancelation=cancelation))


@contextmanager
def _acting(ctx: click.Context, request_id: str, as_json: bool) -> Iterator["House"]:
    """What changing a visit needs; how it stands afterwards is shown."""
    with acting(ctx) as (config, engine):
        house = _house(config, engine)
        yield house
        found = _view(house, request_id)
    show(found, as_json, "\n".join(_lines(found)))


def _house(config: "Config", engine: "Engine") -> "House":
    from integration.packets.payloads import Payloads
    from integration.visits import House

    return House(engine, Payloads(config.payload_store), config)


def _view(house: "House", request_id: str, actor: str = "") -> dict:
    from integration.views.visit import view
    from integration.visits import read

    return view(read(house, request_id, datetime.now(UTC), actor=actor))


def _lines(found: dict) -> list[str]:
    current = found["current"]
    lines = [f"the visit: {found['visit']}" + (f", {current['when']}" if current else "")]
    if found["standing"]:
        lines.append(f"records due {found['records_due_at']:%Y-%m-%d %H:%M} UTC: {found['standing']}")
    if not found["calendar_known"]:
        lines.append("no calendar is configured for the consultant: Monday to Friday in UTC are counted")
    lines.append(f"the slowest: {found['slowest'] or 'nothing is missing'} ({found['lead_why']})")
    lines.append(f"the earliest visit with everything there is {found['earliest_visit']}")
    lines += [f"needed  {each['label']} ({each['state']})" for each in found["owed"]]
    lines += [
        f"offered {each['start_at']:%Y-%m-%d %H:%M} UTC  {each['endpoint']} {each['reference']}"
        for each in found["offered"]
    ]
    return lines
