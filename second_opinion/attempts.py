"""Commands about attempts: what a step asked other servers and what they answered."""

import json
from typing import TYPE_CHECKING

import click

from second_opinion.house import ID, ME, cli, opened, show, with_json, with_reason

if TYPE_CHECKING:
    from sqlalchemy import Engine


@cli.group("attempts")
def attempts_group() -> None:
    """Attempts: each try of a step, with its exchanges."""


@attempts_group.command("list")
@click.argument("request_id")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def attempts_list(ctx: click.Context, request_id: str, limit: int, as_json: bool) -> None:
    """The newest attempts of a request, with the numbers that `attempts show` wants."""
    from integration.store import attempts, requests

    with opened(ctx) as (_, engine), engine.connect() as conn:
        requests.get(conn, request_id)
        rows = attempts.of_request(conn, request_id, limit)
    show(
        [row._asdict() for row in rows],
        as_json,
        "\n".join(
            f"{row.id:<8} {row.started_at:%Y-%m-%d %H:%M:%S}  {row.outcome:<10} {row.kind:<16} {row.endpoint:<16} {row.cause or ''}"
            for row in rows
        )
        or "not tried yet",
    )


@attempts_group.command("show")
@click.argument("attempt_id", type=ID)
@click.option(
    "--bodies",
    is_flag=True,
    help="Also the bodies that are kept of exchanges that went wrong: they may hold patient "
    "data, and the look is recorded.",
)
@with_reason(required=False, help="Why you look at bodies; kept in the audit trail.")
@with_json
@click.pass_context
def attempts_show(ctx: click.Context, attempt_id: int, bodies: bool, reason: str | None, as_json: bool) -> None:
    """One attempt and its exchanges with other servers: address, status, milliseconds, sizes."""
    from integration.store import exchanges

    if bodies and reason is None:
        raise click.UsageError("--bodies shows what may be about a patient: say why with --reason")
    with opened(ctx) as (_, engine):
        with engine.connect() as conn:
            attempt = exchanges.attempt(conn, attempt_id)._asdict()
            seen = [row._asdict() for row in exchanges.of_attempt(conn, attempt_id)]
        if bodies and reason is not None:
            _add_bodies(engine, attempt, seen, reason)
    show(
        {**attempt, "exchanges": seen},
        as_json,
        "\n".join([_title(attempt), *map(_words, seen)] + ([] if seen else ["no exchanges"])),
    )


def _add_bodies(engine: "Engine", attempt: dict, seen: list[dict], reason: str) -> None:
    """The look is committed before anything is read."""
    from integration.store import audit, exchanges

    with engine.begin() as conn:
        audit.record(
            conn, ME, "attempt.looked-at", attempt["request_id"], subject=f"attempt {attempt['id']}", reason=reason
        )
    with engine.connect() as conn:
        for each in seen:
            each["bodies"] = [
                {"which": body.which, "cut": body.cut, "text": body.data.decode("utf-8", "replace")}
                for body in exchanges.bodies(conn, attempt["id"], each["number"])
            ]


def _title(attempt: dict) -> str:
    about = f", {attempt['request_id']}" if attempt["request_id"] else ""
    cause = f" ({attempt['cause']})" if attempt["cause"] else ""
    return f"attempt {attempt['id']}: {attempt['kind']} at {attempt['endpoint']}{about}: {attempt['outcome']}{cause}"


def _words(each: dict) -> str:
    status = each["status"] if each["status"] is not None else "none"
    line = (
        f"{each['number']:>4}  {status!s:>4}  {each['milliseconds']:>6} ms  {each['sent_bytes']:>9} B  {each['received_bytes']:>9} B  "
        f"{each['method']} {each['shown']}  {each['cause'] or ''}"
    ).rstrip()
    return "\n".join([line, *(f"      {issue}" for issue in each["issues"]), *map(_body, each.get("bodies", ()))])


def _body(body: dict) -> str:
    """As JSON, so that nothing in it can command the terminal."""
    return f"      {body['which']}{' (cut)' if body['cut'] else ''}: {json.dumps(body['text'])}"
