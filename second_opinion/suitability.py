"""Commands about whether a request should be asked of its program."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from second_opinion.house import ME, cli, opened, show, with_json, with_reason

if TYPE_CHECKING:
    from integration.suitability import Standing


@cli.group()
def suitability() -> None:
    """Should I ask? What a consulting program takes and refuses."""


@suitability.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """How REQUEST_ID stands: what speaks against it and who says so, what is to be answered. The look is recorded."""
    from integration.suitability import standing

    with opened(ctx) as (config, engine):
        found = standing(engine, config, request_id, datetime.now(UTC).date(), actor=ME)
    _print(found, as_json)


@suitability.command("answer")
@click.argument("request_id")
@click.argument("question")
@click.argument("value", type=click.Choice(["yes", "no"]))
@with_reason()
@with_json
@click.pass_context
def answer_(ctx: click.Context, request_id: str, question: str, value: str, reason: str, as_json: bool) -> None:
    """Answer QUESTION (its key, as `show` prints it) of REQUEST_ID."""
    _say(ctx, request_id, question, value, reason, as_json)


@suitability.command("go-on")
@click.argument("request_id")
@with_reason()
@with_json
@click.pass_context
def go_on(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """Go on with REQUEST_ID though its program refuses it: your name and reason are kept. Never with an emergency."""
    _say(ctx, request_id, "go-on", "yes", reason, as_json)


def _say(ctx: click.Context, request_id: str, key: str, value: str, reason: str, as_json: bool) -> None:
    from integration.suitability import answer

    with opened(ctx) as (config, engine):
        today = datetime.now(UTC).date()
        found = answer(engine, config, request_id, key, value, today, actor=ME, reason=reason)
    _print(found, as_json)


def _print(found: "Standing", as_json: bool) -> None:
    from integration.views.suitability import view

    told = view(found)
    lines = [f"program     {told['program'] or 'nobody said what it takes'}", *(f"  {each}" for each in told["takes"])]
    if told["listed"]:
        lines += [f"listed      {told['listed']['program']}", *(f"  {each}" for each in told["listed"]["states"])]
    lines += [f"refused     {each['sentence']}" for each in told["refusals"]]
    lines += [f"went on     {told['went_on']['by']}: {told['went_on']['why']}"] if told["went_on"] else []
    lines += [f"asked       {each['key']}: {each['text']}" for each in told["questions"]]
    lines += [f"caution     {each}" for each in told["cautions"]]
    lines += [f"fits        {each}" for each in told["fits"]]
    show(told, as_json, "\n".join(lines))
