"""Commands about the parties' FHIR servers, and about what happens by the clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from second_opinion.house import (
    EXIT_FAILED,
    ID,
    ME,
    acting,
    cli,
    database_of,
    make_world,
    opened,
    progress_of,
    read_config,
    show,
    with_json,
    with_reason,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jobs.upkeep.endpoint_check import TestPatient


@cli.group()
def endpoints() -> None:
    """The parties' FHIR servers."""


@endpoints.command("list")
@with_json
@click.pass_context
def endpoints_list(ctx: click.Context, as_json: bool) -> None:
    """Configured endpoints and their health."""
    from integration.views.endpoints import endpoint_views

    with opened(ctx) as (config, engine), engine.connect() as conn:
        views = endpoint_views(conn, config)
    show(
        views,
        as_json,
        "\n".join(
            f"{view['key']:<16} {view['role']:<10} {view['health']:<12} {view['base_url']}"
            + (
                f"  reports by {', '.join(view['roads'])}; closes on {', '.join(view['closes_on'])}"
                if view["roads"]
                else ""
            )
            for view in views
        )
        or "no endpoints in the configuration",
    )


@endpoints.command("check")
@click.argument("name")
@click.option("--patient", metavar="Patient/ID", help="A TEST patient at the endpoint: searches are tried about them.")
@click.option(
    "--write", is_flag=True, help="Also write marked documents about --patient, read them back and take them away."
)
@click.option(
    "--encounter", metavar="Encounter/ID", help="A visit of --patient, where a document has to name one; with --write."
)
@with_json
@click.pass_context
def endpoints_check(
    ctx: click.Context, name: str, patient: str | None, write: bool, encounter: str | None, as_json: bool
) -> None:
    """Try what our flow needs at an endpoint; exit code 1 when it cannot be used."""
    from integration.fhir.one_server import same_as
    from jobs.upkeep.endpoint_check import check_now
    from second_opinion.endpoint_check import lines

    config = read_config(ctx)
    if name not in config.endpoints:
        raise click.UsageError(f"there is no endpoint {name}; configured: {', '.join(config.endpoints) or 'none'}")
    about = _test_patient(patient, write, encounter)
    with database_of(config) as database:
        servers = make_world(config, database.engine).servers
        found = check_now(config, database.engine, servers, name, about, actor=ME)
        others = [servers.server(key) for key, other in config.endpoints.items() if key != name]
        doubled = [] if found["problems"] else same_as(servers.server(name), others)
    found["same_server"] = [other for other, _ in doubled]
    said = [lines(found)]
    said += [f"  is one server with {other}: {seen} stands at both. Configure it once" for other, seen in doubled]
    show({key: value for key, value in found.items() if key != "sentences"}, as_json, "\n".join(said))
    ctx.exit(EXIT_FAILED if found["problems"] else 0)


def _test_patient(patient: str | None, write: bool, encounter: str | None) -> TestPatient | None:
    from jobs.upkeep.endpoint_check import TestPatient

    if patient is None and (write or encounter):
        raise click.UsageError("--write and --encounter go with --patient Patient/ID: a test patient, never a real one")
    if encounter and not write:
        raise click.UsageError("--encounter goes with --write: only what is written names a visit")
    for given, kind in ((patient, "Patient"), (encounter, "Encounter")):
        if given is not None and not re.fullmatch(rf"{kind}/[A-Za-z0-9.\-]{{1,64}}", given):
            raise click.UsageError(f"{given!r} is no {kind} of a FHIR server: write {kind}/ID")
    return TestPatient(patient, write, encounter) if patient is not None else None


def pause_command(paused: bool) -> Callable[..., None]:
    """Pause or resume, for all workers."""

    @click.argument("name")
    @with_reason()
    @with_json
    @click.pass_context
    def command(ctx: click.Context, name: str, reason: str, as_json: bool) -> None:
        with acting(ctx) as (_, engine), engine.begin() as conn:
            _pause(conn, name, paused, reason)
        show({"endpoint": name, "paused": paused}, as_json, f"{name}: {'paused' if paused else 'resumed'}")

    return command


def _pause(conn: Connection, name: str, paused: bool, reason: str) -> None:
    from integration.store import operations

    try:
        operations.pause(conn, name, paused, actor=ME, reason=reason)
    except operations.NotPossible as error:  # no such endpoint
        raise click.UsageError(str(error)) from None


endpoints.command("pause", help="Send nothing to an endpoint until it is resumed.")(pause_command(True))
endpoints.command("resume", help="Send to an endpoint again.")(pause_command(False))


@endpoints.command("moved")
@click.argument("name")
@click.option("--look", is_flag=True, help="Only say what would hold; nothing is changed.")
@with_reason(help="How you know that it is the same server; kept in the audit trail.")
@with_json
@click.pass_context
def endpoints_moved(ctx: click.Context, name: str, look: bool, reason: str, as_json: bool) -> None:
    """Say that an endpoint is the same server at a new base_url: everything linked there is read and compared first."""
    from jobs.upkeep import endpoint_moved

    with acting(ctx) as (config, engine), progress_of("reading what is linked there") as progress:
        world = make_world(config, engine)
        found = endpoint_moved.compare_links(world, name, progress)
        if not look:
            found = endpoint_moved.move(world, name, found, actor=ME, reason=reason)
    lines = [
        f"  {each.reference} {each.why}{f' (request {each.request_id})' * bool(each.request_id)}" for each in found.lost
    ]
    show(
        {"endpoint": name, "changed": not look, **asdict(found)},
        as_json,
        "\n".join(
            [
                f"{name}: {found.was} is {found.now} now: {found.holds} of {found.looked_at} things linked there hold",
                *(["these do not, and are looked for again before anything is sent:", *lines] if lines else []),
                "nothing was changed" if look else f"{found.steps} step(s) that had stopped are due now",
            ]
        ),
    )


@cli.group("findings")
def findings_group() -> None:
    """What polls found and no request holds; findings of a request stand with it (requests show)."""


@findings_group.command("list")
@click.option("--endpoint", help="Only those at one endpoint.")
@click.option("--after", type=ID, metavar="ID", help="Go on after this finding.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def findings_list(ctx: click.Context, endpoint: str | None, after: int | None, limit: int, as_json: bool) -> None:
    """Orders that polls refused, and polls that failed, newest first."""
    from integration.store import findings

    now = datetime.now(UTC)
    with opened(ctx) as (_, engine), engine.connect() as conn:
        found, _ = findings.without_request(conn, endpoint=endpoint, after=after, limit=limit)
    views = [{**row._asdict(), "state": findings.state(row, now)} for row in found]
    show(views, as_json, "\n".join(_finding_line(view) for view in views) or "no finding")


@findings_group.command("skip")
@click.argument("finding_id", type=ID)
@with_reason()
@with_json
@click.pass_context
def findings_skip(ctx: click.Context, finding_id: int, reason: str, as_json: bool) -> None:
    """The refused order of a finding is dealt with: no alarm, and not taken in, until the order changes."""
    from integration.store import refused_orders

    with opened(ctx) as (_, engine), engine.begin() as conn:
        reference = refused_orders.skip(conn, str(finding_id), actor=ME, reason=reason)
    show({"finding_id": finding_id, "order": reference}, as_json, f"{reference} is skipped until it changes")


def _finding_line(view: dict) -> str:
    return f"{view['id']:<7} {view['endpoint'] or '':<16} {view['path']:<32} {view['cause']:<18} {view['state']:<15}  {view['message']}"


@cli.group()
def schedules() -> None:
    """What happens by the clock."""


@schedules.command("list")
@with_json
@click.pass_context
def schedules_list(ctx: click.Context, as_json: bool) -> None:
    """Schedules with their last tick."""
    from jobs.schedule import views

    with opened(ctx) as (config, engine):
        rows = views(make_world(config, engine))
    show(
        rows, as_json, "\n".join(f"{row['name']:<28} last {row['last'] or 'never'}  next {row['next']}" for row in rows)
    )


@schedules.command("run")
@click.argument("name")
@with_reason()
@with_json
@click.pass_context
def schedules_run(ctx: click.Context, name: str, reason: str, as_json: bool) -> None:
    """Make a schedule's step due now."""
    from integration.store import operations
    from integration.store.schedules import names

    with acting(ctx) as (config, engine), engine.begin() as conn:
        if name not in names(config):
            raise click.UsageError(f"there is no schedule {name!r}; see: second-opinion schedules list")
        made = operations.run_schedule(conn, config, name, actor=ME, reason=reason)
    show(
        {"schedule": name, "due": True, "changed": made},
        as_json,
        f"{name}: due now" if made else f"{name}: due or running already",
    )
