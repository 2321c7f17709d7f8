"""Start reading here: the command line. It builds configuration, database, servers, web and worker, and hands them on."""
import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import Engine

from integration.config import Config, load_config
from integration.database import Database, open_database
from integration.fhir.servers import Servers
from integration.log import set_up_logging
from integration.payloads import Payloads
from integration.store import operations
from jobs.world import World
from mappings.model.errors import ExchangeError, FileError

EXIT_FAILED, EXIT_WRONG_USAGE = 1, 2
ME = f"cli {os.environ.get('USER') or os.environ.get('LOGNAME') or os.getuid()}"


def main() -> None:
    """Run the command line; every error is a sentence and an exit code."""
    cli(prog_name="second-opinion")


class Sentences(click.Group):
    """Turns the Exchange's own errors into sentences: 1 it failed, 2 wrong usage or configuration."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except FileError as error:
            click.echo(str(error), err=True)
            ctx.exit(EXIT_WRONG_USAGE)
        except ExchangeError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            ctx.exit(130)


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_path", type=click.Path(path_type=Path), envvar="SECOND_OPINION_CONFIG",
              help="The configuration file; config.yaml in this folder when it is not given.")
@click.option("--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]), show_default=True)
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None, log_level: str) -> None:
    """Second Opinion Exchange: records to the consultant before the visit, the report back to primary care, verified."""
    set_up_logging(log_level)
    ctx.obj = config_path


def with_json(command):
    """Adds --json: one JSON value on standard output instead of words."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def show(value, as_json: bool, words: str | None = None) -> None:
    """Print a result for a person or a program."""
    click.echo(json.dumps(value, default=str) if as_json or words is None else words)


def read_config(ctx: click.Context) -> Config:
    """The configuration named on the command line or found here."""
    return load_config(ctx.find_root().obj, os.environ)


@contextlib.contextmanager
def database_of(config: Config, *, migrate: bool = True, name: str = "second-opinion") -> Iterator[Database]:
    """The database, up to date, with a row for each endpoint."""
    database = open_database(config, application_name=name)
    try:
        if migrate:
            database.migrate()
        else:
            database.check_current()
        with database.engine.begin() as conn:
            operations.register_endpoints(conn, config)
        yield database
    finally:
        database.close()


def make_world(config: Config, engine: Engine) -> World:
    """Everything a step works on."""
    return World(config=config, engine=engine, servers=Servers(config), payloads=Payloads(config.payloads.url))


@contextlib.contextmanager
def opened(ctx: click.Context) -> Iterator[tuple[Config, Engine]]:
    """Configuration and engine for a short command."""
    config = read_config(ctx)
    with database_of(config) as database:
        yield config, database.engine


# --- running -----------------------------------------------------------------------------------------------------


@cli.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run everything on this machine: database, web, workers and schedules."""
    from jobs.self_check import restarts_teller
    from jobs.supervisor import Child, Supervisor

    config = read_config(ctx)
    options = ["--config", str(ctx.find_root().obj)] if ctx.find_root().obj else []
    options += ["--log-level", logging.getLevelName(logging.getLogger("second_opinion").getEffectiveLevel()).lower()]
    with database_of(config) as database:
        children = [Child("web", [*options, "web"])]
        children += [Child(f"worker-{number}", [*options, "worker", "--name", f"{socket.gethostname()}-{number}"])
                     for number in range(1, config.engine.workers + 1)]
        click.echo(f"Second Opinion Exchange: {config.web.address}/", err=True)
        watch = database.embedded.ensure_running if database.embedded else (lambda: None)
        Supervisor(children, each_second=watch, tell=restarts_teller(database.engine)).run()


@cli.command()
@click.pass_context
def web(ctx: click.Context) -> None:
    """Run the pages, the API and the hosted FHIR endpoints."""
    import waitress

    from integration.web import create_app

    config = read_config(ctx)
    with database_of(config, migrate=False, name="second-opinion web") as database:
        app = create_app(config, database.engine, Payloads(config.payloads.url))
        waitress.serve(app, host=config.web.host, port=config.web.port, threads=16, ident=None,
                       max_request_body_size=64 << 20, channel_timeout=60)


@cli.command()
@click.option("--name", default=socket.gethostname(), help="How this worker is called in logs.")
@click.pass_context
def worker(ctx: click.Context, name: str) -> None:
    """Run a worker: does due steps, and ticks the schedules."""
    from jobs import engine, schedule, self_check

    config = read_config(ctx)
    with database_of(config, migrate=False, name=f"second-opinion worker {name}") as database:
        world = make_world(config, database.engine)
        ticker = schedule.start(world)
        try:
            asyncio.run(engine.work(world, database.psycopg_url, name=name))
        finally:
            ticker.shutdown(wait=False)
            self_check.SelfCheck(world)()       # an outage that ended us is noted before we go


@cli.command()
@click.option("--exit", "exit_at_end", is_flag=True, help="End by itself when the loop is closed.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the demo keeps its data.")
@with_json
@click.pass_context
def demo(ctx: click.Context, exit_at_end: bool, data_dir: Path | None, as_json: bool) -> None:
    """Watch one synthetic second opinion travel the whole loop over real HTTP."""
    from jobs.demo import run_demo

    ctx.exit(run_demo(data_dir, exit_at_end=exit_at_end, as_json=as_json))


# --- requests ----------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
@click.pass_context
def submit(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Take in a second opinion request from FILE (YAML or JSON). The same request twice is the same request."""
    from integration.request_file import load_request
    from integration.store import requests

    with opened(ctx) as (config, engine):
        request = load_request(file)
        check_endpoints(config, request, str(file))
        with engine.begin() as conn:
            request_id, new = requests.take_in(conn, request, actor=ME)
    show({"request_id": request_id, "new": new}, as_json,
         f"{request_id} {'taken in' if new else 'was taken in before; nothing changed'}")


def check_endpoints(config: Config, request, file: str) -> None:
    """Raises RequestError when a request names endpoints that are not configured for that role."""
    from integration.request_file import endpoint_mistakes
    from mappings.model.errors import RequestError

    mistakes = endpoint_mistakes(config, request, file)
    if mistakes:
        raise RequestError(mistakes)


@cli.command("map")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def map_(file: Path) -> None:
    """Print the FHIR Bundle a request FILE becomes; sends nothing, needs no configuration."""
    from integration import fhir_json
    from integration.request_file import load_request
    from integration.store.requests import request_id_of
    from mappings.preview import to_bundle

    request = load_request(file)
    bundle = to_bundle(request, request_id=request_id_of(request.key), authored_at=datetime.now(UTC).isoformat(timespec="seconds"))
    click.echo(json.dumps(json.loads(fhir_json.dumps(bundle)), indent=2, ensure_ascii=False))


@cli.group()
def requests() -> None:
    """Second opinion requests."""


@requests.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def requests_list(ctx: click.Context, limit: int, as_json: bool) -> None:
    """The newest requests."""
    from sqlalchemy import select

    from integration.store.tables import requests as table

    with opened(ctx) as (_, engine), engine.connect() as conn:
        rows = conn.execute(select(table.c.id, table.c.status, table.c.records, table.c.placer, table.c.fulfiller,
                                   table.c.created_at, table.c.closed_at)
                            .order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)).all()
    show([row._asdict() for row in rows], as_json, "\n".join(
        f"{row.id}  {'closed' if row.closed_at else row.status:<12} records {row.records:<12} {row.placer} to {row.fulfiller}"
        for row in rows) or "no requests yet")


@requests.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def requests_show(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """One request: where it stands, what is owed, what was found."""
    from integration.web.reading import request_view

    with opened(ctx) as (_, engine), engine.begin() as conn:
        view = request_view(conn, request_id)
    show(view, as_json, json.dumps(view, indent=2, default=str))


@requests.command("cancel")
@click.argument("request_id")
@click.option("--reason", required=True, help="Why; the consultant reads it.")
@with_json
@click.pass_context
def requests_cancel(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """Cancel a request; the fulfiller is told."""
    with opened(ctx) as (_, engine), engine.begin() as conn:
        operations.cancel(conn, request_id, actor=ME, reason=reason)
    show({"request_id": request_id, "cancel_requested": True}, as_json, f"{request_id}: cancellation asked for")


@cli.group()
def deliveries() -> None:
    """Deliveries: a packet, request or report to an endpoint."""


@deliveries.command("list")
@click.option("--status", help="Only those, e.g. parked.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def deliveries_list(ctx: click.Context, status: str | None, limit: int, as_json: bool) -> None:
    """The newest deliveries."""
    from sqlalchemy import select

    from integration.store.tables import deliveries as table

    wanted = select(table).order_by(table.c.updated_at.desc(), table.c.id.desc()).limit(limit)
    with opened(ctx) as (_, engine), engine.connect() as conn:
        rows = conn.execute(wanted if status is None else wanted.where(table.c.status == status)).all()
    show([row._asdict() for row in rows], as_json,
         "\n".join(f"{row.id:<40} {row.status:<10} {row.endpoint:<16} {row.message or ''}" for row in rows) or "no deliveries")


@deliveries.command("show")
@click.argument("delivery_id")
@with_json
@click.pass_context
def deliveries_show(ctx: click.Context, delivery_id: str, as_json: bool) -> None:
    """One delivery and its items."""
    from integration.store import deliveries as store

    with opened(ctx) as (_, engine), engine.connect() as conn:
        row = store.get(conn, delivery_id)
        if row is None:
            raise operations.NotPossible(f"there is no delivery {delivery_id}")
        view = {**row._asdict(), "items": [item._asdict() for item in store.items(conn, delivery_id).values()]}
    show(view, as_json, json.dumps(view, indent=2, default=str))


def action_on_delivery(function, done: str):
    """A command that does one thing to one delivery, with a reason."""
    @click.argument("delivery_id")
    @click.option("--reason", default="", help="Why; kept in the audit trail.")
    @with_json
    @click.pass_context
    def command(ctx: click.Context, delivery_id: str, reason: str, as_json: bool) -> None:
        with opened(ctx) as (_, engine), engine.begin() as conn:
            function(conn, delivery_id, actor=ME, reason=reason)
        show({"delivery_id": delivery_id, "done": done}, as_json, f"{delivery_id}: {done}")
    return command


deliveries.command("retry", help="Try a parked or waiting delivery now.")(action_on_delivery(operations.retry_delivery, "due now"))
deliveries.command("park", help="Stop trying; a person decides.")(action_on_delivery(operations.park_delivery, "parked"))


@cli.group()
def patients() -> None:
    """Patients at endpoints."""


@patients.command("link")
@click.argument("request_id")
@click.argument("endpoint")
@click.argument("reference")
@click.option("--reason", default="", help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def patients_link(ctx: click.Context, request_id: str, endpoint: str, reference: str, reason: str, as_json: bool) -> None:
    """Say who the patient of REQUEST_ID is at ENDPOINT: REFERENCE is Patient/<id> there."""
    with opened(ctx) as (_, engine), engine.begin() as conn:
        operations.link_patient(conn, request_id, endpoint, reference, actor=ME, reason=reason)
    show({"request_id": request_id, "endpoint": endpoint, "reference": reference}, as_json, "linked; what waited for it is due now")


# --- steps and bulk operations: the twins of the queue page's buttons ----------------------------------------------


@cli.group("steps")
def steps_group() -> None:
    """Steps: what is owed, and when it is tried next."""


@steps_group.command("list")
@click.argument("filter_text", metavar="[FILTER]", default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def steps_list(ctx: click.Context, filter_text: str, limit: int, as_json: bool) -> None:
    """Steps that match FILTER, as in the search box of the queue page; without one, what needs a person."""
    from datetime import UTC, datetime

    from integration.store import filters, search

    wanted = filters.parse(filter_text)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        rows, _ = search.rows(conn, search.hashed(conn, wanted), datetime.now(UTC), limit=limit)
    show([row._asdict() for row in rows], as_json, "\n".join(
        f"{row.id:<8} {row.status:<9} {row.kind:<16} {row.endpoint:<16} {row.request_id or '':<22} {row.cause or ''}" for row in rows) or "nothing matches")


@steps_group.command("retry")
@click.argument("step_ids", nargs=-1, type=int)
@click.option("--matching", metavar="FILTER", help="Instead of ids: everything that matches, in the background.")
@click.option("--per-second", default=50, show_default=True, type=click.IntRange(1, 1000), help="Speed of --matching.")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@with_json
@click.pass_context
def steps_retry(ctx: click.Context, step_ids: tuple[int, ...], matching: str | None, per_second: int, reason: str, as_json: bool) -> None:
    """Try parked or retrying steps now: those with STEP_IDS, or all that match a filter."""
    from datetime import UTC, datetime

    from integration.store import bulk, filters, search

    if bool(step_ids) is (matching is not None):
        raise click.UsageError("give step ids or --matching FILTER, one of both")
    with opened(ctx) as (_, engine), engine.begin() as conn:
        if matching is None:
            for step_id in sorted(step_ids):
                operations.retry_step(conn, step_id, actor=ME, reason=reason)
            done, words = {"step_ids": step_ids}, f"{len(step_ids)} step(s) due now"
        else:
            wanted = search.hashed(conn, filters.parse(matching))
            operation_id = bulk.start_retry(conn, wanted, datetime.now(UTC), actor=ME, reason=reason, per_second=per_second)
            total = bulk.view(conn, operation_id)["total"]
            done, words = {"operation_id": operation_id, "total": total}, f"operation {operation_id} started: {total} step(s)"
    show(done, as_json, words)


@steps_group.command("park")
@click.argument("step_id", type=int)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@with_json
@click.pass_context
def steps_park(ctx: click.Context, step_id: int, reason: str, as_json: bool) -> None:
    """Stop trying a waiting or due step; a person decides."""
    from integration.store import actions

    with opened(ctx) as (_, engine), engine.begin() as conn:
        result = actions.park_now(conn, step_id, actor=ME, reason=reason)
    show({"step_id": step_id, "done": "parked"}, as_json, result.message)


@cli.group("operations")
def operations_group() -> None:
    """Bulk operations: one button on many steps."""


@operations_group.command("list")
@with_json
@click.pass_context
def operations_list(ctx: click.Context, as_json: bool) -> None:
    """The newest bulk operations and how far they came."""
    from integration.store import bulk

    with opened(ctx) as (_, engine), engine.connect() as conn:
        views = bulk.recent(conn)
    show(views, as_json, "\n".join(f"{view['id']:<6} {view['status']:<10} {view['retried']} retried, {view['changed']} moved on, {view['left']} left  "
                                   f"{view['filter']}" for view in views) or "no bulk operation yet")


@operations_group.command("stop")
@click.argument("operation_id", type=int)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@with_json
@click.pass_context
def operations_stop(ctx: click.Context, operation_id: int, reason: str, as_json: bool) -> None:
    """Stop a bulk operation; what it did stays done."""
    from integration.store import bulk

    with opened(ctx) as (_, engine), engine.begin() as conn:
        view = bulk.cancel(conn, operation_id, actor=ME, reason=reason)
    show(view, as_json, f"stopped: {view['retried']} retried, {view['changed']} had moved on, {view['left']} not touched")


# --- endpoints, schedules, packets -------------------------------------------------------------------------------


@cli.group()
def endpoints() -> None:
    """The parties' FHIR servers."""


@endpoints.command("list")
@with_json
@click.pass_context
def endpoints_list(ctx: click.Context, as_json: bool) -> None:
    """Configured endpoints and their health."""
    from integration.web.reading import endpoint_views

    with opened(ctx) as (config, engine), engine.connect() as conn:
        views = endpoint_views(conn, config)
    show(views, as_json, "\n".join(f"{view['key']:<16} {view['role']:<10} {view['health']:<12} {view['base_url']}" for view in views)
         or "no endpoints in the configuration")


@endpoints.command("check")
@click.argument("name")
@with_json
@click.pass_context
def endpoints_check(ctx: click.Context, name: str, as_json: bool) -> None:
    """Ask an endpoint what it can do; exit code 1 when it cannot be used."""
    from integration.fhir.capabilities import probe

    config = read_config(ctx)
    if name not in config.endpoints:
        raise click.UsageError(f"there is no endpoint {name}; configured: {', '.join(config.endpoints) or 'none'}")
    can = probe(Servers(config).server(name)).with_overrides(dict(config.endpoints[name].capabilities))
    show({"endpoint": name, "problems": list(can.problems), **can.to_json()}, as_json,
         "\n".join([f"{name}: {'usable' if not can.problems else 'NOT usable'}", *(f"  {line}" for line in can.sentences())]))
    ctx.exit(EXIT_FAILED if can.problems else 0)


def pause_command(paused: bool):
    """Pause or resume, for all workers."""
    @click.argument("name")
    @click.option("--reason", default="", help="Why; kept in the audit trail.")
    @with_json
    @click.pass_context
    def command(ctx: click.Context, name: str, reason: str, as_json: bool) -> None:
        with opened(ctx) as (_, engine), engine.begin() as conn:
            operations.pause(conn, name, paused, actor=ME, reason=reason)
        show({"endpoint": name, "paused": paused}, as_json, f"{name}: {'paused' if paused else 'resumed'}")
    return command


endpoints.command("pause", help="Send nothing to an endpoint until it is resumed.")(pause_command(True))
endpoints.command("resume", help="Send to an endpoint again.")(pause_command(False))


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
    show(rows, as_json, "\n".join(f"{row['name']:<28} last {row['last'] or 'never'}  next {row['next']}" for row in rows))


@schedules.command("run")
@click.argument("name")
@with_json
@click.pass_context
def schedules_run(ctx: click.Context, name: str, as_json: bool) -> None:
    """Make a schedule's step due now."""
    from jobs.schedule import run_now

    with opened(ctx) as (config, engine), engine.begin() as conn:
        if not run_now(conn, make_world(config, engine), name):
            raise click.UsageError(f"there is no schedule {name!r}; see: second-opinion schedules list")
    show({"schedule": name, "due": True}, as_json, f"{name}: due now")


@cli.group()
def packet() -> None:
    """Packets: what was gathered for a request."""


@packet.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def packet_show(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The manifests of a request's packets."""
    from integration import packets

    with opened(ctx) as (config, engine), engine.connect() as conn:
        payloads = Payloads(config.payloads.url)
        manifests = [packets.load(payloads, row.manifest_sha256).manifest for row in packets.rows(conn, request_id)]
    show([manifest.model_dump(mode="json") for manifest in manifests], as_json,
         "\n".join(f"{manifest.packet_id}: {len(manifest.resources)} resources, {len(manifest.items) - len(manifest.resources)} "
                   f"attachments, from {manifest.source_endpoint}" for manifest in manifests) or "no packet yet")


@packet.command("download")
@click.argument("request_id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def packet_download(ctx: click.Context, request_id: str, file: Path) -> None:
    """Write a request's packet to FILE as a zip: the readable PDF, the resources, the original documents, the manifest."""
    from integration.packet_zip import packet_zip

    with opened(ctx) as (config, engine), engine.begin() as conn:
        data = packet_zip(conn, Payloads(config.payloads.url), request_id)
    file.write_bytes(data)
    click.echo(f"{file}: {len(data)} bytes")


@cli.group()
def check() -> None:
    """Check before you run."""


@check.command("config")
@with_json
@click.pass_context
def check_config(ctx: click.Context, as_json: bool) -> None:
    """Check the configuration; every mistake at once with file and line."""
    config = read_config(ctx)
    show({"endpoints": list(config.endpoints), "ok": True}, as_json, f"the configuration is right: {len(config.endpoints)} endpoint(s)")


@cli.group()
def database() -> None:
    """The PostgreSQL of the Exchange."""


@database.command("start")
@click.pass_context
def database_start(ctx: click.Context) -> None:
    """Start the embedded database and leave it running."""
    from integration.embedded_postgres import EmbeddedPostgres

    embedded = EmbeddedPostgres(read_config(ctx).data_dir)
    embedded.start()
    embedded.leave_running()
    click.echo("the embedded database runs")


@database.command("stop")
@click.pass_context
def database_stop(ctx: click.Context) -> None:
    """Stop the embedded database, unless serve owns it."""
    from integration.embedded_postgres import EmbeddedPostgres

    stopped = EmbeddedPostgres(read_config(ctx).data_dir).stop_for_good()
    click.echo("stopped" if stopped else "it was not running")


@database.command("migrate")
@click.pass_context
def database_migrate(ctx: click.Context) -> None:
    """Bring the tables up to date."""
    config = read_config(ctx)
    opened_database = open_database(config)
    try:
        opened_database.migrate()
    finally:
        opened_database.close()
    click.echo("the tables are up to date")


@database.command("restored")
@with_json
@click.pass_context
def database_restored(ctx: click.Context, as_json: bool) -> None:
    """Say that you restored the database yourself (a snapshot, point-in-time recovery): look before sending anything."""
    from integration.restore import mark_restored

    with bare_database(read_config(ctx)) as opened_database:
        steps = mark_restored(opened_database, actor=ME)
    show({"open_steps": steps}, as_json, f"marked: {steps} open step(s), and all to come, look before they send")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
@click.pass_context
def backup(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Write database and payloads to FILE while work goes on. It holds patient data: keep it as such."""
    from integration.backup import back_up

    with opened(ctx) as (config, engine), progress_of("payloads") as progress:
        written = back_up(engine, Payloads(config.payloads.url), file, progress=progress)
    show({"file": str(file), "rows": written.rows, "payloads": written.payloads, "bytes": written.bytes, "damaged": written.damaged},
         as_json, f"{file}: {written.rows} rows, {written.payloads} payloads, {written.bytes} bytes")
    if written.damaged:
        click.echo(f"Error: {len(written.damaged)} payload(s) are missing or changed in the store and not in the backup: "
                   f"{', '.join(each[:12] for each in written.damaged[:5])}. Restore them from an older backup.", err=True)
        ctx.exit(EXIT_FAILED)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Throw away what the database holds now.")
@with_json
@click.pass_context
def restore(ctx: click.Context, file: Path, replace: bool, as_json: bool) -> None:
    """Restore a backup FILE. From then on everything is looked for before it is sent: nothing is sent twice."""
    from integration.restore import restore as restore_file

    config = read_config(ctx)
    with bare_database(config) as opened_database, progress_of("payloads") as progress:
        done = restore_file(opened_database, Payloads(config.payloads.url), file, replace=replace, actor=ME, progress=progress)
    show({"made_at": done.made_at, "rows": done.rows, "payloads": done.payloads, "open_steps": done.open_steps}, as_json,
         f"restored as of {done.made_at}: {done.rows} rows, {done.payloads} payloads; {done.open_steps} open step(s) look before they send")


@contextlib.contextmanager
def bare_database(config: Config) -> Iterator[Database]:
    """The database as it is: not brought up to date, nothing written."""
    opened_database = open_database(config, application_name="second-opinion restore")
    try:
        yield opened_database
    finally:
        opened_database.close()


@contextlib.contextmanager
def progress_of(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, when a terminal looks on."""
    stream = click.get_text_stream("stderr")
    with click.progressbar(length=1, label=label, file=stream, hidden=not stream.isatty()) as bar:
        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)
        yield progress



if __name__ == "__main__":
    main()
