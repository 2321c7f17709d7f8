"""Commands about the visit of a request: when it is, by when the records have to be there, and what became of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.live_reads import LiveReads
    from integration.settings.config import Config
    from integration.visit_reading import House

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


@visits.command("times")
@click.argument("request_id")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="First day, as 2027-01-14. Default: when all records are there."
)
@with_json
@click.pass_context
def times(ctx: click.Context, request_id: str, since: datetime | None, as_json: bool) -> None:
    """Free times of the consulting provider for REQUEST_ID, read now."""
    from integration.free_times import look
    from integration.views.free_times import view
    from integration.visit_reading import read

    with opened(ctx) as (config, engine), _looking(config, engine) as reads:
        house = _house(config, engine)
        reading = read(house, request_id, datetime.now(UTC), actor=ME)
        found = view(look(house, reads, reading, since.date() if since else None, actor=ME))
    show(found, as_json, "\n".join(_times(found)))


@visits.command("book")
@click.argument("request_id")
@click.argument("slot")
@click.option("--start", required=True, help="When it begins, as `visits times` shows it: 2027-01-14T14:30:00-06:00.")
@CONFIRM
@with_reason(required=False)
@with_json
@click.pass_context
def book(
    ctx: click.Context,
    request_id: str,
    slot: str,
    start: str,
    confirm: tuple[str, ...],
    reason: str | None,
    as_json: bool,
) -> None:
    """Book the free time SLOT for REQUEST_ID: its server is asked by a step, and `visits show` says what came of it."""
    from integration.free_times import choose
    from integration.visits import Said, confirmed_of
    from mappings.times import in_utc

    begins = in_utc(start)
    if begins is None:
        raise click.BadParameter("write it with its offset, as 2027-01-14T14:30:00-06:00", param_hint="--start")
    with _acting(ctx, request_id, as_json) as house, _looking(house.config, house.engine) as reads:
        choose(
            house,
            reads,
            request_id,
            slot,
            begins,
            Said(datetime.now(UTC), ME, reason or "", confirmed=confirmed_of(confirm)),
        )


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
    from integration.visit_times import known_zone, start_of, zone_of
    from integration.visits import Said, change, confirmed_of
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


@contextmanager
def _looking(config: "Config", engine: "Engine") -> Iterator["LiveReads"]:
    from integration.live_reads import LiveReads

    reads = LiveReads.of(config, engine)
    try:
        yield reads
    finally:
        reads.close()


def _times(found: dict) -> list[str]:
    lines = [f"free at {found['endpoint']} from {found['since']} on, in {found['zone']}"]
    for each in found["times"]:
        warns = f"  needs --confirm {' --confirm '.join(each['warnings'])}" if each["warnings"] else ""
        lines.append(f"{each['slot']}  {each['start_at'].isoformat()}  {each['when']}  {each['with_whom']}{warns}")
    return lines + (["there are later ones: give a later --since"] if found["more"] else [])


def _house(config: "Config", engine: "Engine") -> "House":
    from integration.packets.payloads import Payloads
    from integration.visit_reading import House

    return House(engine, Payloads(config.payload_store), config)


def _view(house: "House", request_id: str, actor: str = "") -> dict:
    from integration.views.visit import view
    from integration.visit_reading import read

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
    if found["bookings"]:
        last = found["bookings"][-1]
        why = f" ({last['why']})" if last["why"] else ""
        lines.append(
            f"chosen  {last['start_at']:%Y-%m-%d %H:%M} UTC  {last['endpoint']} {last['slot']}: {last['status']}{why}"
        )
    lines += [f"needed  {each['label']} ({each['state']})" for each in found["owed"]]
    lines += [
        f"offered {each['start_at']:%Y-%m-%d %H:%M} UTC  {each['endpoint']} {each['reference']}"
        for each in found["offered"]
    ]
    return lines
