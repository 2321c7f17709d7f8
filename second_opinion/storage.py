"""Commands about what we stand on: configuration, database, backup and restore."""

from pathlib import Path

import click

from mappings.model.errors import ExchangeError
from second_opinion.house import EXIT_FAILED, ME, bare_database, cli, opened, progress_of, read_config, show, with_json


@cli.group()
def check() -> None:
    """Check before you run."""


@check.command("config")
@with_json
@click.pass_context
def check_config(ctx: click.Context, as_json: bool) -> None:
    """Check the configuration; every mistake at once with file and line. A running database is asked for practices that are gone."""
    from integration.practices import gone_where_it_runs
    from integration.settings.remarks import remarks

    config = read_config(ctx)
    said = [*remarks(config), *gone_where_it_runs(config)]
    show(
        {"endpoints": list(config.endpoints), "ok": True, "remarks": said},
        as_json,
        "\n".join([f"the configuration is right: {len(config.endpoints)} endpoint(s)", *said]),
    )


@cli.group()
def database() -> None:
    """The PostgreSQL of the Exchange."""


@database.command("start")
@with_json
@click.pass_context
def database_start(ctx: click.Context, as_json: bool) -> None:
    """Start the embedded database and leave it running until database stop."""
    from integration.postgres.embedded import EmbeddedPostgres

    config = read_config(ctx)
    if config.database.url or config.database.url_file:
        raise ExchangeError(
            "database.url names a PostgreSQL of yours, which the Exchange does not start; nothing was done. "
            "For an embedded one set neither database.url, database.url_file nor SECOND_OPINION_DATABASE_URL"
        )
    embedded = EmbeddedPostgres(config.data_dir)
    embedded.start()
    embedded.leave_running()
    show({"running": True}, as_json, "the embedded database runs")


@database.command("stop")
@with_json
@click.pass_context
def database_stop(ctx: click.Context, as_json: bool) -> None:
    """Stop the embedded database, unless serve or another command uses it."""
    from integration.postgres.embedded import EmbeddedPostgres

    stopped = EmbeddedPostgres(read_config(ctx).data_dir).stop_for_good()
    show({"stopped": stopped}, as_json, "stopped" if stopped else "it was not running")


@database.command("migrate")
@with_json
@click.pass_context
def database_migrate(ctx: click.Context, as_json: bool) -> None:
    """Bring the tables up to date."""
    from integration.postgres.database import open_database

    config = read_config(ctx)
    opened_database = open_database(config)
    try:
        opened_database.migrate()
    finally:
        opened_database.close()
    show({"current": True}, as_json, "the tables are up to date")


@database.command("restored")
@with_json
@click.pass_context
def database_restored(ctx: click.Context, as_json: bool) -> None:
    """Say that you restored the database yourself (a snapshot, point-in-time recovery): look before sending anything."""
    from integration.backups.restore import mark_restored

    with bare_database(read_config(ctx)) as opened_database:
        steps = mark_restored(opened_database, actor=ME)
    show({"open_steps": steps}, as_json, f"marked: {steps} open step(s), and all to come, look before they send")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
@click.pass_context
def backup(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Write database and payloads to FILE while work goes on. It holds patient data: keep it as such."""
    from integration.backups.backup import back_up
    from integration.packets.payloads import Payloads

    with opened(ctx) as (config, engine), progress_of("payloads") as progress:
        written = back_up(engine, Payloads(config.payload_store), file, progress=progress)
    show(
        {
            "file": str(file),
            "rows": written.rows,
            "payloads": written.payloads,
            "bytes": written.bytes,
            "damaged": written.damaged,
        },
        as_json,
        f"{file}: {written.rows} rows, {written.payloads} payloads, {written.bytes} bytes",
    )
    if written.damaged:
        click.echo(
            f"Error: {len(written.damaged)} payload(s) are missing or changed in the store and not in the backup: "
            f"{', '.join(each[:12] for each in written.damaged[:5])}. Restore them from an older backup.",
            err=True,
        )
        ctx.exit(EXIT_FAILED)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Throw away what the database holds now.")
@with_json
@click.pass_context
def restore(ctx: click.Context, file: Path, replace: bool, as_json: bool) -> None:
    """Restore a backup FILE. From then on everything is looked for before it is sent: nothing is sent twice."""
    from integration.backups.restore import restore as restore_file
    from integration.packets.payloads import Payloads

    config = read_config(ctx)
    with bare_database(config) as opened_database, progress_of("payloads") as progress:
        done = restore_file(
            opened_database, Payloads(config.payload_store), file, replace=replace, actor=ME, progress=progress
        )
    show(
        {"made_at": done.made_at, "rows": done.rows, "payloads": done.payloads, "open_steps": done.open_steps},
        as_json,
        f"restored as of {done.made_at}: {done.rows} rows, {done.payloads} payloads; {done.open_steps} open step(s) look before they send",
    )
