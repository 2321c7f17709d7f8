"""Commands about alarms: what is open, who is told, and a test whether telling works."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from second_opinion.house import EXIT_FAILED, ID, ME, cli, opened, read_config, show, with_json, with_reason

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from integration.settings.alerts import Recipient
    from integration.settings.config import Config


@cli.group("alerts")
def alerts_group() -> None:
    """Alerts: who is told of alarms."""


@alerts_group.command("test")
@click.argument("recipient", required=False)
@with_json
@click.pass_context
def alerts_test(ctx: click.Context, recipient: str | None, as_json: bool) -> None:
    """Send a test notice at once to RECIPIENT, else to all of `alerts.send_to`, and say what was answered. Needs no database."""
    config = read_config(ctx)
    wanted = [each for each in config.alerts.send_to if recipient in (None, each.name)]
    if not wanted:
        known = ", ".join(each.name for each in config.alerts.send_to) or "none"
        raise click.UsageError(
            f"there is no recipient {recipient}; configured: {known}"
            if recipient
            else "config.yaml names nobody under alerts.send_to"
        )
    results = [_test(config, each) for each in wanted]
    show(
        results,
        as_json,
        "\n".join(
            f"{each['recipient']} by {each['channel']}: {'taken' if each['sent'] else 'NOT sent'}: {each['said']}"
            for each in results
        ),
    )
    ctx.exit(0 if all(each["sent"] for each in results) else EXIT_FAILED)


def _test(config: Config, recipient: Recipient) -> dict:
    import uuid

    from integration.notices.notice import Notice, NotSent
    from jobs.upkeep.send_alerts import deliver

    now = datetime.now(UTC)
    base = (getattr(config.web, "public_url", None) or config.web.address).rstrip("/")
    notice = Notice(str(uuid.uuid4()), "test", "test", 1, now, (), f"{base}/alarms", config.exchange.name)
    result = {"recipient": recipient.name, "channel": recipient.channel, "notice": notice.key}
    try:
        return {**result, "sent": True, "said": deliver(config.alerts, recipient, notice, now)}
    except NotSent as error:
        return {**result, "sent": False, "said": str(error)}


@cli.group("alarms")
def alarms_group() -> None:
    """Alarms: what an operator has to know now."""


def _known_rule(ctx: click.Context, parameter: click.Parameter, rule: str | None) -> str | None:
    from integration.store import alarms

    try:
        return None if rule is None else alarms.known_rule(rule)
    except alarms.NotPossible as error:
        raise click.BadParameter(str(error)) from None


@alarms_group.command("list")
@click.option("--open", "is_open", is_flag=True, help="Only those that are open.")
@click.option("--rule", callback=_known_rule, help="Only those of one rule.")
@click.option("--after", type=ID, metavar="ID", help="Go on after this alarm.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def alarms_list(
    ctx: click.Context, is_open: bool, rule: str | None, after: int | None, limit: int, as_json: bool
) -> None:
    """Alarms, newest first, with until when they are silenced and what was told to whom."""
    from integration.store import alarms, notices

    now = datetime.now(UTC)
    with opened(ctx) as (_, engine), engine.connect() as conn:
        found, _ = alarms.page(conn, is_open=True if is_open else None, rule=rule, after=after, limit=limit)
        told, silences = notices.of_alarms(conn, [row.id for row in found]), alarms.silences(conn, now)
    views = [
        {
            **row._asdict(),
            "silenced_until": _until(alarms.silenced(silences, row.rule, row.subject)),
            "told": [_told(each) for each in told[row.id]],
        }
        for row in found
    ]
    show(views, as_json, "\n".join(_line(view) for view in views) or "no alarm")


def _until(silence: Row | None) -> datetime | None:
    return silence.until if silence is not None else None


def _told(notice: Row) -> dict:
    names = ("recipient", "channel", "kind", "status", "created_at", "sent_at", "last_error")
    return {name: getattr(notice, name) for name in names}


def _line(view: dict) -> str:
    state = (
        f"over {view['recovered_at']:%Y-%m-%d %H:%M}"
        if view["recovered_at"]
        else f"silenced until {view['silenced_until']:%Y-%m-%d %H:%M}"
        if view["silenced_until"]
        else "open"
    )
    return (
        f"{view['id']:<7} {view['rule']:<17} {view['subject']:<22} since {view['raised_at']:%Y-%m-%d %H:%M}  {state}  "
        f"{view['message']}"
    )


@alarms_group.command("silence")
@click.argument("rule", callback=_known_rule)
@click.argument("subject")
@click.option("--hours", type=click.FloatRange(0, 8760, min_open=True), help="For so many hours.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]), help="Or until this time, UTC."
)
@with_reason()
@with_json
@click.pass_context
def alarms_silence(
    ctx: click.Context, rule: str, subject: str, hours: float | None, until: datetime | None, reason: str, as_json: bool
) -> None:
    """Tell nobody of the alarms of RULE about SUBJECT (each may be '*', any); they still show. For maintenance."""
    from integration.store import alarms

    if (hours is None) == (until is None):
        raise click.UsageError("give --hours or --until, one of both")
    if hours is not None and math.isnan(hours):
        raise click.BadParameter("is not a number", param_hint="--hours")
    now = datetime.now(UTC)
    end = until.replace(tzinfo=UTC) if until else now + timedelta(hours=hours or 0)
    with opened(ctx) as (config, engine), engine.begin() as conn:
        known = subject == alarms.ANY or _may_be_about(conn, config, subject)
        alarms.silence(conn, rule, subject, end, now, actor=ME, reason=reason)
    if not known:
        click.echo(
            f"Warning: no alarm was ever about {subject}, and no endpoint, request or recipient is called so: is it written rightly?",
            err=True,
        )
    show(
        {"rule": rule, "subject": subject, "until": end},
        as_json,
        f"{rule} {subject}: silenced until {end:%Y-%m-%d %H:%M} UTC",
    )


def _may_be_about(conn: Connection, config: Config, subject: str) -> bool:
    """False for what is probably mistyped. Machines, processes and kinds of steps are known by their alarms only."""
    from integration.store import alarms

    return subject in {each.name for each in config.alerts.send_to} or alarms.is_known_subject(conn, subject)


@alarms_group.command("unsilence")
@click.argument("rule", callback=_known_rule)
@click.argument("subject")
@with_reason()
@with_json
@click.pass_context
def alarms_unsilence(ctx: click.Context, rule: str, subject: str, reason: str, as_json: bool) -> None:
    """End a silence early; what is open is told."""
    from integration.store import alarms

    with opened(ctx) as (_, engine), engine.begin() as conn:
        alarms.unsilence(conn, rule, subject, datetime.now(UTC), actor=ME, reason=reason)
    show(
        {"rule": rule, "subject": subject, "silenced": False}, as_json, f"people are notified of {rule} {subject} again"
    )
