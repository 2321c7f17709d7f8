"""Commands about what becomes of a report: who has read it, and what was decided."""

from datetime import UTC, datetime

import click

from second_opinion.house import ME, cli, opened, show, with_json, with_reason

DECISIONS = click.Choice(["open", "keep-plan", "change-plan", "another-opinion"])


@cli.group()
def opinions() -> None:
    """Who has read a report, and what was decided."""


@opinions.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """Who has read the report of REQUEST_ID. The look is recorded."""
    from integration.store import acknowledgments, reports
    from integration.views.opinion import view

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        said = acknowledgments.looked_at(conn, request_id, actor=ME, reason="command line")
        found = view(request_id, reports.newest(conn, request_id), said)
    show(found, as_json, "\n".join(_lines(found)))


def _lines(found: dict) -> list[str]:
    revision = f"revision {found['revision']}" if found["revision"] else "no final report"
    return [f"{revision}: {found['standing']}"] + [
        f"{each['id']:>6}  {each['read_at']:%Y-%m-%d %H:%M} UTC  revision {each['revision']}  {each['decision']}  {each['read_by']}"
        + (f"  (taken back: {each['undone_reason']})" if each["undone_at"] else "")
        for each in found["acknowledgments"]
    ]


@opinions.command("numbers")
@click.option("--period", default="", metavar="QUARTER", help="Like 2026-Q1; without it: the newest that is shown.")
@with_json
@click.pass_context
def numbers(ctx: click.Context, period: str, as_json: bool) -> None:
    """How long opinions took, whether they agree, what became of the plan, who has read them. Small counts are kept back."""
    from integration import opinion_numbers
    from integration.store.operations import WrongWords
    from integration.store.scope import EVERYTHING
    from mappings.opinion_numbers import COUNTS

    quarter, wrong = opinion_numbers.period_of(period, datetime.now(UTC).date())
    if wrong:
        raise WrongWords(dict(wrong))
    with opened(ctx) as (config, engine), engine.connect() as conn:
        names = {key: each.name for key, each in config.endpoints.items()}
        read = opinion_numbers.read(conn, EVERYTHING, quarter, lambda key: names.get(key, key))
        found = opinion_numbers.view(quarter, read)
    lines = [f"{found['period']}, as of {found['as_of']}"]
    lines += [
        f"{each['by']:10}  {each['group'] or '':30}  "
        + "  ".join(f"{name} {opinion_numbers.KEPT_BACK if each[name] is None else each[name]}" for name in COUNTS)
        for each in found["lines"]
    ]
    show(found, as_json, "\n".join(lines))


@opinions.command("acknowledge")
@click.argument("request_id")
@click.option("--revision", required=True, type=int, help="Which revision was read: the newest, or it is refused.")
@click.option("--by", required=True, help="The clinician who read it, by name.")
@click.option("--at", default="", help="When, such as 2026-05-01T14:30Z; empty: now.")
@click.option("--decision", required=True, type=DECISIONS, help="What was decided with the patient.")
@click.option(
    "--note", default="", help="About the decision. It is clinical content, and stays in the shell's history."
)
@with_json
@click.pass_context
def acknowledge(ctx: click.Context, request_id: str, revision: int, as_json: bool, **typed: str) -> None:
    """Say that a clinician has read the report of REQUEST_ID."""
    from integration.store import acknowledgments
    from mappings.model.acknowledgment import TypedAcknowledgment

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        words = TypedAcknowledgment(str(revision), **typed)
        new = acknowledgments.add(conn, request_id, words, actor=ME)
    show({"request_id": request_id, "changed": new}, as_json, "kept" if new else "that was said already")


@opinions.command("take-back")
@click.argument("request_id")
@click.argument("acknowledgment", type=int)
@with_reason()
@with_json
@click.pass_context
def take_back(ctx: click.Context, request_id: str, acknowledgment: int, reason: str, as_json: bool) -> None:
    """An ACKNOWLEDGMENT (its number in `opinions show`) was a mistake; it stays to be seen."""
    from integration.store import acknowledgments

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        acknowledgments.take_back(conn, request_id, acknowledgment, actor=ME, reason=reason)
    show({"request_id": request_id, "acknowledgment": acknowledgment}, as_json, "taken back")
