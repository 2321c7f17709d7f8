"""Commands that run the Exchange: everything on one machine, or one role of it; and the demo."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mappings.model.errors import ExchangeError
from second_opinion.house import cli, database_of, make_world, read_config, with_json

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.settings.config import Config, Web

LET_GO_SECONDS = 5.0  # the web process of a serve that was killed lets go of the port within that


@cli.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run everything on this machine: database, web, workers and schedules."""
    from integration.settings.remarks import remarks
    from jobs.supervisor import Child, Supervisor
    from jobs.upkeep.self_check import restarts_teller

    config = read_config(ctx)
    options = ["--config", str(ctx.find_root().obj)] if ctx.find_root().obj else []
    options += ["--log-level", logging.getLevelName(logging.getLogger("second_opinion").getEffectiveLevel()).lower()]
    with database_of(config) as database:
        children = [Child("web", [*options, "web"])]
        children += [
            Child(f"worker-{number}", [*options, "worker", "--name", f"{socket.gethostname()}-{number}"])
            for number in range(1, config.engine.workers + 1)
        ]
        if any(each.hl7v2 and each.hl7v2.listen for each in config.endpoints.values()):
            children.append(Child("listen", [*options, "listen"]))
        check_port(config.web, LET_GO_SECONDS)
        for remark in remarks(config):
            click.echo(remark, err=True)
        click.echo(f"Second Opinion Exchange: {config.web.public_url or config.web.address}/", err=True)
        supervisor = Supervisor(children, tell=restarts_teller(database.engine))
        if database.embedded:
            threading.Thread(target=database.embedded.supervise, args=(supervisor.stopping,), daemon=True).start()
        supervisor.run()


@cli.command()
@click.pass_context
def web(ctx: click.Context) -> None:
    """Run the pages, the API and the hosted FHIR endpoints."""
    from integration.fhir.client_keys import fetcher
    from integration.packets.payloads import Payloads
    from integration.queue import limits_of
    from integration.waking import Waker
    from integration.web import create_app
    from integration.web.server import create_servers, upload_limits

    config = read_config(ctx)
    with database_of(config, migrate=False, name="second-opinion web", fresh_plans=True) as database:
        check_port(config.web)
        app = create_app(
            config,
            database.engine,
            Payloads(config.payload_store),
            Waker(database.engine, limits_of(config)),
            fetcher(config.web.client_keys.networks, config.web.client_keys.ca_file),
        )
        say_how_to_sign_in(config, database.engine)
        try:
            create_servers(
                app,
                host=config.web.host,
                port=config.web.port,
                limits=upload_limits(config),
                **proxy_options(config.web),
            ).run()
        finally:
            app.extensions["second_opinion"]["hosted_log"].stop()
            app.extensions["second_opinion"]["tracing"].stop()


def check_port(web: Web, wait_seconds: float = 0.0) -> None:
    """Raises ExchangeError when nothing can listen at the configured address, also after a wait."""
    until = time.monotonic() + wait_seconds
    while (why := _not_free(web)) and time.monotonic() < until:
        time.sleep(0.1)
    if why:
        raise ExchangeError(
            f"cannot listen at {web.host}, port {web.port} ({why}): stop what listens there, or change web.port or web.host"
        )


def _not_free(web: Web) -> str | None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or "not an address"
    return None


def proxy_options(web: Web) -> dict:
    """Behind a TLS proxy the address of who asks is what the proxy says, and nobody else may say it."""
    if web.public_url is None:
        return {}
    return {"trusted_proxy": web.trusted_proxy, "trusted_proxy_headers": {"x-forwarded-for"}}


def say_how_to_sign_in(config: Config, engine: Engine) -> None:
    """Say on standard error how the first account is made, while there is none."""
    from integration.store import accounts

    if config.web.needs_sign_in:
        with engine.connect() as conn:
            if not accounts.there_are_any(conn):
                click.echo(
                    "no account yet, so nobody can sign in: second-opinion accounts add NAME --role admin", err=True
                )


@cli.command()
@click.option("--name", default=socket.gethostname(), help="How this worker is called in logs.")
@click.pass_context
def worker(ctx: click.Context, name: str) -> None:
    """Run a worker: does due steps, and ticks the schedules."""
    from integration import tracing
    from jobs import engine, schedule
    from jobs.upkeep import self_check

    config = read_config(ctx)
    # a step whose statement fails because the server was restarted goes back and on: nobody has to ask first
    with database_of(config, migrate=False, name=f"second-opinion worker {name}", pre_ping=False) as database:
        world = dataclasses.replace(make_world(config, database.engine), tracing=tracing.start(config, name))
        ticker = schedule.start(world)
        try:
            asyncio.run(engine.work(world, database.psycopg_url, name=name))
        finally:
            world.tracing.stop()
            ticker.shutdown(wait=False)
            self_check.SelfCheck(world)()  # an outage that ended us is noted before we go


@cli.command()
@click.pass_context
def listen(ctx: click.Context) -> None:
    """Take the orders that sites send as HL7 v2 messages."""
    from integration.listening.listener import Listener
    from integration.listening.taking import Taking
    from integration.packets.payloads import Payloads

    config = read_config(ctx)
    with database_of(config, migrate=False, name="second-opinion listen") as database:
        payloads = Payloads(config.payload_store)
        listeners = [
            Listener(each.hl7v2.listen, Taking(config, database.engine, payloads, key))
            for key, each in config.endpoints.items()
            if each.hl7v2 and each.hl7v2.listen
        ]
        if not listeners:
            raise ExchangeError(
                "no endpoint of config.yaml sends orders over HL7 v2: hl7v2.listen of an endpoint says where"
            )
        for each in listeners:
            click.echo(f"orders of {each.taking.key} are taken at {each.listen.host}, port {each.port}", err=True)
            each.start()
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        stopping.wait()
        for each in listeners:
            each.stop()  # what is not answered by now is sent again, and is the same request


@cli.command()
@click.option("--exit", "exit_at_end", is_flag=True, help="End by itself when the loop is closed.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the demo keeps its data.")
@with_json
@click.pass_context
def demo(ctx: click.Context, exit_at_end: bool, data_dir: Path | None, as_json: bool) -> None:
    """Watch one synthetic second opinion travel the whole loop over real HTTP."""
    from second_opinion.demo.run import run_demo

    ctx.exit(run_demo(data_dir, exit_at_end=exit_at_end, as_json=as_json))
