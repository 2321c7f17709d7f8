"""Commands about clients of hosted practices: EHRs and other systems that sign in by SMART Backend Services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from second_opinion.house import ME, check_hosted, cli, opened, read_config, show, with_json, with_reason

if TYPE_CHECKING:
    from integration.client_assertions import FetchedKeys
    from integration.settings.config import Config


@cli.group("clients")
def clients_group() -> None:
    """Systems that sign in at a hosted endpoint (SMART Backend Services)."""


@clients_group.command("add")
@click.argument("practice")
@click.argument("name")
@click.option(
    "--jwks-url", "url", help="Where its public keys are: a JWK Set at https, fetched now and when they change."
)
@click.option(
    "--jwks",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instead: a file with its public keys. They are changed by registering it anew.",
)
@click.option("--scopes", required=True, help='What it may do, such as "system/ServiceRequest.rs system/Task.cru".')
@with_json
@click.pass_context
def clients_add(
    ctx: click.Context, practice: str, name: str, url: str | None, file: Path | None, scopes: str, as_json: bool
) -> None:
    """Register a client called NAME that may use /fhir/PRACTICE, and print its client_id and where it gets tokens."""
    from integration.hosted.scopes import read_scopes
    from integration.store import clients

    config = read_config(ctx)
    check_hosted(config, practice)
    wanted = [str(each) for each in read_scopes(scopes)]
    keys = _keys(config, url, file)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        client_id = clients.add(
            conn, practice, name, scopes=wanted, actor=ME, jwks=keys.text, jwks_url=url, jwks_seconds=keys.seconds
        )
    base = f"{config.web.public_url or config.web.address}/fhir/{practice}"
    made = {"client_id": client_id, "practice": practice, "name": name, "scopes": wanted, "fhir": base}
    show(
        made | {"jwks_url": url, "token_endpoint": f"{base}/token"},
        as_json,
        f"client_id: {client_id}\nFHIR address: {base}\ntoken address: {base}/token\nscopes: {' '.join(wanted)}",
    )


def _keys(config: Config, url: str | None, file: Path | None) -> FetchedKeys:
    """The key set, which has to be one that somebody could sign in with."""
    from integration.client_assertions import FetchedKeys, check_key_set

    if url is not None and file is None:
        found = _fetched(config, url)
    elif file is not None and url is None:
        found = FetchedKeys(_text_of(file), 0)
    else:
        raise click.UsageError("give --jwks-url, or --jwks with a file")
    check_key_set(found.text)
    return found


def _fetched(config: Config, url: str) -> FetchedKeys:
    from integration.client_assertions import KeySetAway, KeySetRefused
    from integration.fhir.client_keys import fetcher

    try:
        return fetcher(config.web.client_keys.networks, config.web.client_keys.ca_file)(url)
    except KeySetAway as away:
        raise KeySetRefused(f"the key set cannot be fetched from --jwks-url: {away}") from None


@clients_group.command("list")
@with_json
@click.pass_context
def clients_list(ctx: click.Context, as_json: bool) -> None:
    """Every client, newest first: its practice, client_id, where its keys are, its scopes."""
    from integration.store import clients

    with opened(ctx) as (_, engine), engine.connect() as conn:
        views = clients.views(conn)
    show(views, as_json, "\n".join(map(_line, views)) or "no clients yet")


@clients_group.command("revoke")
@click.argument("practice")
@click.argument("name")
@with_reason(required=False)
@with_json
@click.pass_context
def clients_revoke(ctx: click.Context, practice: str, name: str, reason: str | None, as_json: bool) -> None:
    """Let the client called NAME of PRACTICE in no more; its tokens open nothing from now on."""
    from integration.store import clients

    with opened(ctx) as (_, engine), engine.begin() as conn:
        clients.revoke(conn, practice, name, actor=ME, reason=reason)
    show({"practice": practice, "name": name, "revoked": True}, as_json, f"{name} of {practice} is revoked")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.BadParameter("the file is not UTF-8 text", param_hint="--jwks") from None


def _line(view: dict) -> str:
    used = f"{view['used_at']:%Y-%m-%d %H:%M}" if view["used_at"] else "never"
    keys = view["jwks_url"] or "keys by value"
    problem = f" (not fetched: {view['jwks_problem']})" if view["jwks_problem"] else ""
    return (
        f"{view['practice']:<16} {view['name']:<20} {view['id']}  {'revoked' if view['revoked_at'] else 'valid':<8} "
        f"used {used}, {keys}{problem}, {' '.join(view['scopes'])}"
    )
