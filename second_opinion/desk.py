"""Commands of a consulting practice: its inbox, and its answers to requests."""

import click

from second_opinion.house import ME, cli, opened, show, with_json

ANSWERS = click.Choice(["accept", "decline", "ask", "hand-over"])
REASONS = click.Choice(
    ["not-our-field", "not-in-time", "records-insufficient", "conflict-of-interest", "not-covered", "other"]
)


@cli.group()
def desk() -> None:
    """What a consulting practice was asked, and what it answers."""


@desk.command("list")
@click.option("--show", "tab", type=click.Choice(["open", "unanswered", "done"]), default="open", show_default=True)
@click.option("--after", default="", help="Where the page begins: `next` of the one before.")
@with_json
@click.pass_context
def list_(ctx: click.Context, tab: str, after: str, as_json: bool) -> None:
    """Requests asked of consulting practices, those with the least time left first. The look is recorded."""
    from datetime import UTC, datetime

    from integration import desk as desks
    from integration.packets.payloads import Payloads
    from integration.store.desk import Show
    from integration.store.scope import EVERYTHING
    from integration.views import desk as views

    start = views.place(after) if after else None
    if after and start is None:
        raise click.UsageError("--after is not the `next` of a page")
    with opened(ctx) as (config, engine):
        lines, numbers, following = desks.inbox(
            engine,
            Payloads(config.payload_store),
            config,
            EVERYTHING,
            Show(tab),
            datetime.now(UTC),
            actor=ME,
            after=start,
        )
        items = [views.view(line) for line in lines]
        text = [
            f"{line.asked.id}  {line.asked.status:<12} {each['wanted_by'] or '-'}  {views.completeness(line)}"
            f"  {', '.join(line.asked.people or ()) or '-'}"
            for each, line in zip(items, lines, strict=True)
        ]
    further = views.place_words(following)
    found = {"items": items, "counts": {each.value: number for each, number in numbers.items()}, "next": further}
    show(found, as_json, "\n".join([*text, *([f"next: {further}"] if further else [])]) or "nothing")


@desk.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """What was answered to REQUEST_ID, and what can be answered now. The look is recorded."""
    from integration import desk as desks
    from integration.views import desk as views

    with opened(ctx) as (config, engine):
        seen = desks.look(engine, config, request_id, actor=ME, reason="command line")
        found = views.view_of(seen)
        lines = [
            f"{each.id:>6}  {each.created_at:%Y-%m-%d %H:%M} UTC  {views.says(each)}  {each.actor}"
            for each in seen.said
        ]
    may = ", ".join(found["may"]) or "nothing"
    show(found, as_json, "\n".join([f"{found['status'] or 'unknown'}; can be answered here: {may}", *lines]))


@desk.command("answer")
@click.argument("request_id")
@click.argument("answer", type=ANSWERS)
@click.option(
    "--last", default=0, help="The newest answer that you saw (`desk show`); another one since is told to you."
)
@click.option("--reason", type=REASONS, help="Why it is declined.")
@click.option(
    "--words", default="", help="For the referring doctor. It is clinical content, and stays in the shell's history."
)
@click.option("--person", "people", multiple=True, help="Who has it from now on; several for a team.")
@click.option("--item", "items", multiple=True, help="An item of a checklist that is asked for.")
@with_json
@click.pass_context
def answer_(
    ctx: click.Context,
    request_id: str,
    answer: str,
    last: int,
    reason: str | None,
    words: str,
    people: tuple[str, ...],
    items: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say ANSWER to REQUEST_ID for a practice that is hosted here."""
    from integration import desk as desks
    from mappings.model.desk import TypedSaid

    typed = TypedSaid(answer, reason or "", words, "\n".join(people), items)
    with opened(ctx) as (config, engine):
        said = desks.answer(engine, config, request_id, typed, last=last, actor=ME)
    show({"request_id": request_id, "answer": said.answer.value}, as_json, "kept")
