"""Commands about Subscriptions: what to give an endpoint's IT so that it tells us of news, or writing it there ourselves."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mappings.model.errors import ExchangeError, TransferError
from second_opinion.house import ME, cli, database_of, make_world, read_config, show, with_json, with_reason

if TYPE_CHECKING:
    from integration.fhir.servers import Servers
    from integration.postgres.database import Database
    from integration.settings.config import Config, Endpoint

PLACEHOLDER = "THE-SECRET"


@cli.group()
def subscriptions() -> None:
    """Notifications by which an endpoint tells us that it has news (FHIR Subscriptions)."""


_topic = click.option("--topic", metavar="URL", help="A SubscriptionTopic there: makes it one of the R4 backport.")


@subscriptions.command("show")
@click.argument("name", metavar="ENDPOINT")
@_topic
@with_json
@click.pass_context
def subscriptions_show(ctx: click.Context, name: str, topic: str | None, as_json: bool) -> None:
    """What stands at an endpoint, when it last spoke, and the JSON to give to its IT. The secret is not shown."""
    config = read_config(ctx)
    endpoint, wanted = _endpoint(config, name), _wanted(config, name, f"Bearer {PLACEHOLDER}", topic)
    with database_of(config) as database:
        found = _there(make_world(config, database.engine).servers, endpoint, _address(config, name))
        found |= {"last_heard": _last_heard(database, name), "address": _address(config, name), "to_create": wanted}
    show({"endpoint": name, **found}, as_json, "\n".join(_lines(name, found)))


@subscriptions.command("create")
@click.argument("name", metavar="ENDPOINT")
@_topic
@with_reason()
@with_json
@click.pass_context
def subscriptions_create(ctx: click.Context, name: str, topic: str | None, reason: str, as_json: bool) -> None:
    """Write the Subscriptions that are not there yet at an endpoint that lets us; else give it the JSON of `show`."""
    from integration.fhir.subscriptions import subscriptions_to
    from jobs.gate import for_a_person
    from mappings.model.leaving import Reason
    from mappings.subscription import asks_for, why_no_news

    config = read_config(ctx)
    _endpoint(config, name)
    now, made, kept = datetime.now(UTC), [], []
    with database_of(config) as database:
        servers = make_world(config, database.engine).servers
        server = for_a_person(database.engine, servers, name, ME, Reason.SUBSCRIPTION, reason)
        there = [each for each in subscriptions_to(server, _address(config, name)) if why_no_news(each, now) is None]
        for wanted in _wanted(config, name, f"Bearer {_secret(config, name)}", topic):
            if asks_for(wanted) in [asks_for(each) for each in there]:
                kept.append(asks_for(wanted))
                continue
            made.append(server.create(wanted, authored=True).location)
    said = [f"{name}: wrote {each}" for each in made] + [f"{name}: stands there already: {each}" for each in kept]
    show({"endpoint": name, "created": made, "already_there": kept}, as_json, "\n".join(said))


def _endpoint(config: Config, name: str) -> Endpoint:
    if name not in config.endpoints:
        raise click.UsageError(f"there is no endpoint {name}; configured: {', '.join(config.endpoints) or 'none'}")
    if config.endpoints[name].hints is None:
        raise click.UsageError(
            f"no secret is configured for hints of {name}: write `hints: {{secret_file: ...}}` under it in config.yaml, "
            "with what openssl rand -hex 24 prints in that file"
        )
    return config.endpoints[name]


def _address(config: Config, name: str) -> str:
    return f"{config.web.public_url or config.web.address}/hooks/{name}"


def _wanted(config: Config, name: str, authorization: str, topic: str | None) -> list[dict]:
    from mappings.subscription import criteria_of, rest_hook

    role = config.endpoints[name].role
    return [rest_hook(_address(config, name), authorization, each, topic=topic) for each in criteria_of(role)]


def _secret(config: Config, name: str) -> str:
    from integration.secret_text import read_secret

    hints = config.endpoints[name].hints
    secret = read_secret(hints.secret_file, hints.secret_env, os.environ) if hints else ""
    if not secret:
        raise ExchangeError(f"the secret for hints of {name} cannot be read, or is empty")
    return secret


def _there(servers: Servers, endpoint: Endpoint, address: str) -> dict:
    """What can be seen there; a server that does not show Subscriptions is no error: its IT knows."""
    from integration.fhir.subscriptions import missing_notifications, subscriptions_to
    from mappings.subscription import asks_for, criteria_of

    try:
        found = subscriptions_to(servers.server(endpoint.key), address)
    except TransferError as error:
        return {"there": None, "problems": [f"what stands there cannot be seen ({error})"]}
    shown = [{"id": each.get("id"), "status": each.get("status"), "criteria": asks_for(each)} for each in found]
    return {"there": shown, "problems": missing_notifications(found, criteria_of(endpoint.role), datetime.now(UTC))}


def _last_heard(database: Database, name: str) -> dict | None:
    from integration.store import hints

    with database.engine.connect() as conn:
        row = hints.last(conn, name)
    return {"kind": row.kind, "at": row.heard_at} if row is not None else None


def _lines(name: str, found: dict) -> list[str]:
    heard = found["last_heard"]
    lines = [
        f"{name}: " + (f"last spoke {heard['at']:%Y-%m-%d %H:%M} UTC ({heard['kind']})" if heard else "never spoke")
    ]
    lines += [f"  {each['status']:<10} Subscription/{each['id']}  {each['criteria']}" for each in found["there"] or ()]
    lines += [f"  {each}" for each in found["problems"]]
    lines += ["", f"to create there, with the secret in place of {PLACEHOLDER}:"]
    return lines + [json.dumps(each, indent=2) for each in found["to_create"]]
