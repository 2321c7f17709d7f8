"""Commands that run the Exchange: everything on one machine, or one role of it; and the demo."""
import asyncio
import logging
import socket
from pathlib import Path

import click

from integration.payloads import Payloads
from second_opinion.house import cli, database_of, make_world, read_config, with_json


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
