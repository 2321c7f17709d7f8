"""Commands about cases: one with all of its parts, and the board of those that somebody has to do something about."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from second_opinion.house import ME, cli, opened, read_config, show, with_json

if TYPE_CHECKING:
    from integration.views.case import Part


@cli.group()
def cases() -> None:
    """What is done, what is missing, and who has the next move."""


@cases.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """Every part of the case REQUEST_ID, the next move first. The look is recorded."""
    from integration import case_opinions
    from integration import cases as read_cases
    from integration.packets.payloads import Payloads

    with opened(ctx) as (config, engine):
        payloads, now = Payloads(config.payload_store), datetime.now(UTC)
        this, parts = read_cases.read(engine, payloads, config, request_id, now, actor=ME, reason="command line")
        with engine.connect() as conn:
            opinions = [case_opinions.view(each) for each in case_opinions.of_case(conn, this.row.case)]
    found = {"request_id": request_id, "parts": [asdict(part) for part in parts], "opinions": opinions}
    show(found, as_json, "\n".join([*(_line(part) for part in parts), *map(_opinion, opinions)]))


def _opinion(each: dict) -> str:
    report = f"revision {each['report_revision']} ({each['report_state']})" if each["report_revision"] else "no report"
    decided = f", {each['decision']}" if each["decision"] else ""
    return (
        f"opinion {each['number']}: {each['request_id']} at {each['fulfiller']}: {report}, {each['standing']}{decided}"
    )


def _line(part: "Part") -> str:
    from integration.views.case import label

    by = f", by {part.by:%Y-%m-%d %H:%M} UTC" if part.by and part.next else ""
    move = f"  -> {part.who}: {part.next}{by}" if part.next else ""
    return f"{part.state:8} {label(part.key):30} {part.says}{move}"


@cases.command("board")
@click.option(
    "--practice", "practices", multiple=True, help="Only what this practice asks or is asked; may be repeated."
)
@click.option("--show", "tab", default="all", show_default=True, type=click.Choice(["all", "mine", "others", "late"]))
@click.option(
    "--by",
    default="time",
    show_default=True,
    type=click.Choice(["time", "visit"]),
    help="What comes first: the least time left, or the nearest visit.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@with_json
@click.pass_context
def board(ctx: click.Context, practices: tuple[str, ...], tab: str, by: str, limit: int, as_json: bool) -> None:
    """Open cases, those with the least time left first; with --practice, `mine` is what its people have to do."""
    from integration.practices import check
    from integration.store.board import Show, Sort
    from integration.store.scope import EVERYTHING, Scope
    from integration.views import board as boards

    check(read_config(ctx), practices)
    theirs = frozenset(practices)
    scope = Scope(placers=theirs, fulfillers=theirs) if practices else EVERYTHING
    with opened(ctx) as (_, engine), engine.connect() as conn:
        found = boards.read(conn, scope, Show(tab), datetime.now(UTC), limit=limit, by=Sort(by))
    lines = [boards.view(turn) for turn in found.turns]
    words = [f"{each['due_at']:%Y-%m-%d %H:%M}" if each["due_at"] else "no time stated" for each in lines]
    printed = [
        f"{'LATE ' if each['is_late'] else '':5}{due:22} {each['request_id']}  {each['placer']} -> {each['fulfiller']}  "
        f"{each['whose']}: {each['says']}{f'; coordinator: {rest}' if (rest := boards.to_do(turn)) else ''}{f' ({one_case})' if (one_case := boards.of_case(turn)) else ''}"
        for each, due, turn in zip(lines, words, found.turns, strict=True)
    ]
    show({"items": lines, "counts": found.counts}, as_json, "\n".join(printed) or "no such case")
