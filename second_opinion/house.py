"""What every command stands on: the group, configuration, database, world, and how a result is printed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from integration.log import set_up_logging
from mappings.model.errors import ExchangeError, FileError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.postgres.database import Database
    from integration.settings.config import Config
    from jobs.world import World

EXIT_FAILED, EXIT_WRONG_USAGE = 1, 2
LISTS = {
    "request": "requests",
    "delivery": "deliveries",
    "attempt": "attempts",
    "alarm": "alarms",
    "finding": "findings",
    "step": "steps",
}


class Number(click.IntRange):
    """A whole number; what is none is said without the words of a programmer."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Fails with a sentence that says what to write."""
        if isinstance(value, str) and not value.strip().lstrip("-").isdecimal():
            self.fail(f"{value!r} is no number: give it as the list of these shows it, such as 12", param, ctx)
        return super().convert(value, param, ctx)


ID = Number(0, 2**63 - 1)  # of a step, an operation, an alarm, an attempt
USER = os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())
ME = f"cli {USER}"


def with_where_to_look(sentence: str) -> str:
    """What is not there, and the command that lists what is."""
    found = re.fullmatch(rf"there is no ({'|'.join(LISTS)}) \S+", sentence)
    return f"{sentence}; second-opinion {LISTS[found[1]]} list shows what there is" if found else sentence


_Command = TypeVar("_Command", bound=Callable)


class Sentences(click.Group):
    """Turns errors into sentences: 1 it failed, 2 wrong usage or configuration."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FileError as error:
            click.echo(str(error), err=True)
            ctx.exit(EXIT_WRONG_USAGE)
        except ExchangeError as error:
            from integration.store.filters import FilterError

            click.echo(f"Error: {with_where_to_look(str(error))}", err=True)
            ctx.exit(EXIT_WRONG_USAGE if isinstance(error, FilterError) else EXIT_FAILED)
        except UnicodeEncodeError as error:
            click.echo(_no_text(error), err=True)
            ctx.exit(EXIT_WRONG_USAGE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads has enough: click ends us quietly
                raise
            click.echo(
                f"Error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or type(error).__name__}",
                err=True,
            )
            ctx.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            ctx.exit(130)
        except Exception as error:
            if (words := _of_the_database(error)) is None:
                raise
            click.echo(f"Error: {words}", err=True)
            ctx.exit(EXIT_FAILED)


def _of_the_database(error: Exception) -> str | None:
    """What went wrong with the database, if that is what it is; its libraries are loaded by who uses it."""
    if "psycopg" not in sys.modules:
        return None
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from integration.postgres.database import in_words

    return in_words(error) if isinstance(error, (SQLAlchemyError, psycopg.Error)) else None


def _no_text(error: UnicodeEncodeError) -> str:
    """Bytes of the command line that are no text come as half characters; anything else is a terminal that is not UTF-8."""
    given = "\ud800" <= error.object[error.start] <= "\udfff"
    return (
        "Error: an argument is not UTF-8 text"
        if given
        else f"Error: standard output takes {error.encoding} only: set PYTHONIOENCODING=utf-8"
    )


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="SECOND_OPINION_CONFIG",
    help="The configuration file; config.yaml in this folder when it is not given.",
)
@click.option(
    "--log-level", default="warning", type=click.Choice(["debug", "info", "warning", "error"]), show_default=True
)
@click.version_option(package_name="second-opinion-exchange", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None, log_level: str) -> None:
    """Second Opinion Exchange: records to the consultant before the visit, the report back to primary care, verified."""
    set_up_logging(log_level)
    ctx.obj = config_path


def with_json(command: _Command) -> _Command:
    """Adds --json: one JSON value on standard output instead of words."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def with_reason(
    *, required: bool = True, help: str = "Why; kept in the audit trail."
) -> Callable[[_Command], _Command]:
    """Adds --reason, which is never blank."""
    return click.option("--reason", required=required, callback=_not_blank, help=help)


def _not_blank(ctx: click.Context, option: click.Parameter, reason: str | None) -> str | None:
    if reason is not None and not reason.strip():
        raise click.BadParameter("say why: it is kept in the audit trail")
    return reason


def show(value: object, as_json: bool, words: str | None = None) -> None:
    """Print a result for a person or a program."""
    try:
        click.echo(json.dumps(value, default=str) if as_json or words is None else words)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise ExchangeError(f"the result cannot be written to standard output ({error.strerror})") from None


def read_config(ctx: click.Context) -> Config:
    """The configuration named on the command line or found here."""
    from integration.settings.config import load_config

    return load_config(ctx.find_root().obj, os.environ)


def check_hosted(config: Config, practice: str) -> None:
    """Refuse a practice that config.yaml does not host."""
    hosted = [each.practice for each in config.hosted]
    if practice not in hosted:
        raise click.UsageError(f"there is no hosted practice {practice}; configured: {', '.join(hosted) or 'none'}")


@contextlib.contextmanager
def database_of(
    config: Config, *, migrate: bool = True, name: str = "second-opinion", **how: bool
) -> Iterator[Database]:
    """The database, up to date, with a row for each endpoint; ``how`` as `integration.postgres.database.connect`."""
    from integration.postgres.database import open_database
    from integration.store import endpoints

    database = open_database(config, application_name=name, **how)
    try:
        if migrate:
            database.migrate()
        else:
            database.check_current()
        with database.engine.begin() as conn:
            endpoints.register(conn, config)
        yield database
    finally:
        database.close()


def make_world(config: Config, engine: Engine) -> World:
    """Everything a step works on."""
    from integration.fhir.servers import Servers
    from integration.packets.payloads import Payloads
    from integration.store.held_tokens import Shelf
    from integration.store.pace import wait_for_turn
    from integration.store.tokens import credentials
    from jobs.world import World

    servers = Servers(config, credentials(engine), partial(wait_for_turn, engine), partial(Shelf, engine))
    return World(config=config, engine=engine, servers=servers, payloads=Payloads(config.payload_store))


@contextlib.contextmanager
def opened(ctx: click.Context) -> Iterator[tuple[Config, Engine]]:
    """Configuration and engine for a short command."""
    config = read_config(ctx)
    with database_of(config) as database:
        yield config, database.engine


@contextlib.contextmanager
def acting(ctx: click.Context) -> Iterator[tuple[Config, Engine]]:
    """As `opened`, for a command that makes something due: it starts at once instead of at the next tick."""
    from integration.queue import limits_of
    from integration.waking import wake

    with opened(ctx) as (config, engine):
        yield config, engine
        wake(engine, limits_of(config))


@contextlib.contextmanager
def bare_database(config: Config) -> Iterator[Database]:
    """The database as it is: not brought up to date, nothing written."""
    from integration.postgres.database import open_database

    opened_database = open_database(config, application_name="second-opinion restore")
    try:
        yield opened_database
    finally:
        opened_database.close()


@contextlib.contextmanager
def progress_of(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, when a terminal looks on."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress
