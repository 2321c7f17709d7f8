"""Commands about the keys we sign in with: made, rotated, listed, retired; their public half is what vendors are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from integration import keys as store
from second_opinion.house import cli, read_config, show, with_json

if TYPE_CHECKING:
    from integration.settings.config import Config


@cli.group()
def keys() -> None:
    """Keys for signing in at other servers (SMART Backend Services)."""


@keys.command("new")
@click.argument("name")
@click.option("--algorithm", default="RS384", show_default=True, type=click.Choice(store.ALGORITHMS))
@with_json
@click.pass_context
def keys_new(ctx: click.Context, name: str, algorithm: str, as_json: bool) -> None:
    """Make the first key called NAME, such as production or test; vendors want another one for each."""
    config = read_config(ctx)
    if store.listed(config.keys_folder, name):
        raise store.KeyProblem(f"there are keys {name} already: second-opinion keys rotate {name} makes the next one")
    _made(config, store.make(config.keys_folder, name, algorithm, datetime.now(UTC)), as_json)


@keys.command("rotate")
@click.argument("name")
@click.option("--algorithm", type=click.Choice(store.ALGORITHMS), help="Default: as the present key.")
@with_json
@click.pass_context
def keys_rotate(ctx: click.Context, name: str, algorithm: str | None, as_json: bool) -> None:
    """Make the next key called NAME: it is published now and signs in a day, when the other side has read it."""
    config, now = read_config(ctx), datetime.now(UTC)
    present = store.signer(config.keys_folder, name, now)
    _made(config, store.make(config.keys_folder, name, algorithm or present.algorithm, now), as_json)


def _made(config: Config, key: store.KeyFile, as_json: bool) -> None:
    address = f"{config.web.public_url or config.web.address}/.well-known/jwks/{key.name}.json"
    said = f"{key.name} {key.kid} ({key.algorithm}), signs from {key.signs_from:%Y-%m-%d %H:%M} UTC\nits public half: {address}"
    show(_plain(key, address), as_json, said)


@keys.command("list")
@with_json
@click.pass_context
def keys_list(ctx: click.Context, as_json: bool) -> None:
    """Every key: its name, kid, since when it signs; the one that signs now is marked."""
    config, now = read_config(ctx), datetime.now(UTC)
    found = store.listed(config.keys_folder)
    signing = {store.signer(config.keys_folder, name, now).kid for name in {key.name for key in found}}
    lines = [
        f"{key.name:<14} {key.kid:<20} {key.algorithm}  "
        + (
            "signs now"
            if key.kid in signing
            else f"signs from {key.signs_from:%Y-%m-%d %H:%M} UTC"
            if key.signs_from > now
            else "published"
        )
        for key in found
    ]
    show([_plain(key) | {"signs_now": key.kid in signing} for key in found], as_json, "\n".join(lines) or "no keys yet")


@keys.command("retire")
@click.argument("name")
@click.argument("kid")
@with_json
@click.pass_context
def keys_retire(ctx: click.Context, name: str, kid: str, as_json: bool) -> None:
    """Stop publishing a key that does not sign any more, and remove it."""
    store.retire(read_config(ctx).keys_folder, name, kid, datetime.now(UTC))
    show({"name": name, "kid": kid, "retired": True}, as_json, f"{name} {kid} is retired")


def _plain(key: store.KeyFile, address: str | None = None) -> dict:
    said = {
        "name": key.name,
        "kid": key.kid,
        "algorithm": key.algorithm,
        "made_at": key.made_at,
        "signs_from": key.signs_from,
    }
    return said | ({"address": address} if address else {})
