"""Commands about who may come in: accounts of people, tokens of machines and practices."""

import sys
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TextIO

import click

from integration.store.roles import OF_PRACTICES, Role, in_order
from second_opinion.house import ME, check_hosted, cli, opened, read_config, show, with_json, with_reason

roles_option = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="A role; more than once for several. A coordinator or consultant needs a practice too.",
)
practices_option = click.option(
    "--practice",
    "practices",
    multiple=True,
    help="A practice the person belongs to: a key under endpoints in config.yaml; more than once for several.",
)
password_option = click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8"),
    help="A file that holds the password; - is standard input. Without it, it is asked for.",
)
reason_option = with_reason(required=False)


@cli.group("accounts")
def accounts_group() -> None:
    """Accounts of people who sign in (web.sign_in: required)."""


@accounts_group.command("add")
@click.argument("name")
@roles_option
@practices_option
@password_option
@with_json
@click.pass_context
def accounts_add(
    ctx: click.Context,
    name: str,
    roles: tuple[str, ...],
    practices: tuple[str, ...],
    password_file: TextIO | None,
    as_json: bool,
) -> None:
    """Make an account NAME, a viewer without --role. The first one needs --role admin: it can then do the rest."""
    from integration.practices import check
    from integration.store import accounts

    check(read_config(ctx), practices)
    given, password = roles or (Role.VIEWER.value,), read_password(password_file)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        accounts.add(conn, name, password, given, practices, actor=ME)
    made = {"account": name, "roles": in_order(given), "practices": sorted(set(practices))}
    show(made, as_json, f"{name} may sign in: {_words(given)}{_of(practices)}{_lacks(given, practices)}")


@accounts_group.command("list")
@with_json
@click.pass_context
def accounts_list(ctx: click.Context, as_json: bool) -> None:
    """Every account with its roles and when it last signed in."""
    from integration.practices import gone
    from integration.store import accounts

    with opened(ctx) as (config, engine), engine.connect() as conn:
        views, missing = accounts.views(conn), gone(conn, config)
    lines = [
        f"{view['name']:<20} {'enabled' if view['enabled'] else 'disabled':<9} "
        f"{_words(view['roles']) + _of(view['practices']):<40} "
        f"signed in {_time(view['signed_in_at'])}, {view['sessions']} session(s){_lacks(view['roles'], view['practices'])}"
        for view in views
    ]
    words = "\n".join([*lines, *map(str, missing)])
    show(views, as_json, words or "no accounts yet: second-opinion accounts add NAME --role admin")


@accounts_group.command("roles")
@click.argument("name")
@roles_option
@click.option("--no-role", is_flag=True, help="Instead: nothing but looking at pages, as a viewer.")
@reason_option
@with_json
@click.pass_context
def accounts_roles(
    ctx: click.Context, name: str, roles: tuple[str, ...], no_role: bool, reason: str | None, as_json: bool
) -> None:
    """Give account NAME exactly these roles; it takes effect with its next click."""
    from integration.store import accounts

    if bool(roles) is no_role:
        raise click.UsageError("give --role, once for each role it shall have, or --no-role")
    given = roles or (Role.VIEWER.value,)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        accounts.set_roles(conn, name, given, actor=ME, reason=reason)
        practices = accounts.get(conn, name).practices
    words = f"{name}: {_words(given)}{_of(practices)}{_lacks(given, practices)}"
    show({"account": name, "roles": in_order(given)}, as_json, words)


@accounts_group.command("practices")
@click.argument("name")
@practices_option
@click.option("--no-practice", is_flag=True, help="Instead: it belongs to none.")
@reason_option
@with_json
@click.pass_context
def accounts_practices(
    ctx: click.Context, name: str, practices: tuple[str, ...], no_practice: bool, reason: str | None, as_json: bool
) -> None:
    """Let account NAME belong to exactly these practices; it takes effect with its next click."""
    from integration.practices import check
    from integration.store import accounts

    if bool(practices) is no_practice:
        raise click.UsageError("give --practice, once for each practice it belongs to, or --no-practice")
    with opened(ctx) as (config, engine), engine.begin() as conn:
        before = accounts.get(conn, name)
        check(config, set(practices) - set(before.practices))  # one that is gone from config.yaml may stay
        accounts.set_practices(conn, name, practices, actor=ME, reason=reason)
    words = f"{name}: {_words(before.roles)}{_of(practices)}{_lacks(before.roles, practices)}"
    show({"account": name, "practices": sorted(set(practices))}, as_json, words)


@accounts_group.command("password")
@click.argument("name")
@password_option
@with_json
@click.pass_context
def accounts_password(ctx: click.Context, name: str, password_file: TextIO | None, as_json: bool) -> None:
    """Give account NAME another password; it is signed out everywhere."""
    from integration.store import accounts

    password = read_password(password_file)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        accounts.set_password(conn, name, password, actor=ME)
    show({"account": name}, as_json, f"{name} has a new password and is signed out everywhere")


def enabling_command(enabled: bool) -> Callable[..., None]:
    """Enable or disable, at once in every web process."""

    @click.argument("name")
    @reason_option
    @with_json
    @click.pass_context
    def command(ctx: click.Context, name: str, reason: str | None, as_json: bool) -> None:
        from integration.store import accounts

        with opened(ctx) as (_, engine), engine.begin() as conn:
            accounts.set_enabled(conn, name, enabled, actor=ME, reason=reason)
        show({"account": name, "enabled": enabled}, as_json, f"{name} is {'enabled' if enabled else 'disabled'}")

    return command


accounts_group.command("disable", help="Disable account NAME: signed out everywhere, and no way in.")(
    enabling_command(False)
)
accounts_group.command("enable", help="Let account NAME sign in again.")(enabling_command(True))


@accounts_group.command("sign-out")
@click.argument("name")
@reason_option
@with_json
@click.pass_context
def accounts_sign_out(ctx: click.Context, name: str, reason: str | None, as_json: bool) -> None:
    """End every session of account NAME."""
    from integration.store import accounts

    with opened(ctx) as (_, engine), engine.begin() as conn:
        ended = accounts.sign_out(conn, name, actor=ME, reason=reason)
    show({"account": name, "sessions": ended}, as_json, f"{ended} session(s) of {name} ended")


@cli.group("tokens")
def tokens_group() -> None:
    """Tokens of machines and practices, for the API, /metrics and hosted endpoints."""


@tokens_group.command("add")
@click.argument("name")
@roles_option
@click.option("--practice", help="A hosted practice whose endpoint /fhir/PRACTICE it may use.")
@click.option(
    "--acts-for",
    "practices",
    multiple=True,
    help="A practice for which a coordinator's or consultant's token acts in the API: a key under endpoints; may be repeated.",
)
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How long it is valid.")
@with_json
@click.pass_context
def tokens_add(
    ctx: click.Context,
    name: str,
    roles: tuple[str, ...],
    practice: str | None,
    practices: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Make a token called NAME and print it, this once. It is sent as: Authorization: Bearer TOKEN"""
    from integration.practices import check
    from integration.store import tokens

    config = read_config(ctx)
    check(config, practices)
    if practice is not None:
        check_hosted(config, practice)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        token = tokens.add(conn, name, roles, practice=practice, practices=practices, days=days, actor=ME)
    if not as_json:
        click.echo(f"{name} is valid for {days} days. It is shown this once:", err=True)
    made = {"name": name, "token": token, "roles": in_order(roles), "practice": practice, "days": days}
    show({**made, "practices": sorted(set(practices))}, as_json, token)


@tokens_group.command("list")
@with_json
@click.pass_context
def tokens_list(ctx: click.Context, as_json: bool) -> None:
    """Every token by its name and beginning, newest first."""
    from integration.store import tokens

    with opened(ctx) as (_, engine), engine.connect() as conn:
        views = tokens.views(conn)
    show(
        views,
        as_json,
        "\n".join(
            f"{view['name']:<20} {view['prefix']}…  {_state(view):<9} {_words(view['roles']) + _of(view['practices']):<30} "
            f"{view['practice'] or '':<16} used {_time(view['used_at'])}, until {_time(view['expires_at'])}"
            for view in views
        )
        or "no tokens yet",
    )


@tokens_group.command("revoke")
@click.argument("name")
@reason_option
@with_json
@click.pass_context
def tokens_revoke(ctx: click.Context, name: str, reason: str | None, as_json: bool) -> None:
    """Make the token called NAME worthless at once."""
    from integration.store import tokens

    with opened(ctx) as (_, engine), engine.begin() as conn:
        tokens.revoke(conn, name, actor=ME, reason=reason)
    show({"name": name, "revoked": True}, as_json, f"{name} is revoked")


def read_password(file: TextIO | None) -> str:
    """From a file or standard input, else asked for twice without echo; never an argument, which others can read."""
    if file is None and sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    try:
        return (file or sys.stdin).read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.BadParameter("the password is not UTF-8 text", param_hint="--password-file") from None


def _words(roles: tuple[str, ...] | list[str]) -> str:
    return ", ".join(in_order(roles)) or "no role"


def _of(practices: tuple[str, ...] | list[str]) -> str:
    return f" of {', '.join(sorted(practices))}" if practices else ""


def _lacks(roles: Collection[str], practices: Collection[str]) -> str:
    """What is missing for a role of a practice, or for a practice, to open anything."""
    is_of_practice = not OF_PRACTICES.isdisjoint(roles)
    if is_of_practice and not practices:
        return "; it has no practice and so sees no request (second-opinion accounts practices NAME --practice KEY)"
    if practices and not is_of_practice:
        return "; a practice opens nothing without the role coordinator or consultant"
    return ""


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else "never"


def _state(view: dict) -> str:
    return "revoked" if view["revoked_at"] else "valid" if view["valid"] else "ended"
