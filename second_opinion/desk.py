"""Commands of a consulting practice: its inbox, and its answers to requests."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

import click

from second_opinion.house import ME, cli, opened, show, with_json, with_reason

if TYPE_CHECKING:
    from mappings.model.written_report import TypedReport

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


@desk.group()
def report() -> None:
    """The report of a practice that is hosted here: written, signed, retracted."""


@report.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_report(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The report of REQUEST_ID as it is being written, and those that were signed. The look is recorded."""
    from integration import written_reports
    from integration.views.desk import view_of_report

    with opened(ctx) as (config, engine):
        found = written_reports.look(engine, config, request_id, actor=ME, reason="command line")
        view, text = view_of_report(found), written_reports.preview(found)
    signed = [
        f"report {each['number']}, signed by {each['signed_by']}" + (", retracted" if each["retracted_at"] else "")
        for each in view["signed"]
    ]
    show(
        view,
        as_json,
        "\n".join([*signed, f"draft, version {found.version}:", text] if found.version else signed) or "nothing",
    )


@report.command("save")
@click.argument("request_id")
@click.argument("file", type=click.File("rb"))
@click.option("--version", default=0, help="Of the draft that you saw; 0 before there is one.")
@with_json
@click.pass_context
def save_report(ctx: click.Context, request_id: str, file: BinaryIO, version: int, as_json: bool) -> None:
    """Keep what is written so far of the report of REQUEST_ID: FILE is JSON as `report show --json` has under `report`, or a PDF."""
    from integration import written_reports
    from integration.packets.payloads import Payloads

    with opened(ctx) as (config, engine):
        head = file.read(5)
        file.seek(0)
        if head == b"%PDF-":
            payloads = Payloads(config.payload_store)
            known = dict(name=file.name, claimed=None, version=version, actor=ME)
            draft = written_reports.take_file(engine, payloads, config, request_id, file, **known)  # type: ignore[arg-type]
        else:
            draft = written_reports.save(engine, config, request_id, _parts(file.read()), version=version, actor=ME)
    show({"request_id": request_id, "version": draft.version}, as_json, f"saved as version {draft.version}")


def _parts(data: bytes) -> "TypedReport":
    from integration.store.report_drafts import from_json
    from mappings.model.written_report import TypedReport

    empty = asdict(TypedReport())
    try:
        said = json.loads(data)
        if said.keys() <= empty.keys() and all(isinstance(each, str) for each in _leaves(said)):
            return from_json({**empty, **said})
    except (ValueError, TypeError, AttributeError):
        pass
    raise click.UsageError("FILE is neither a PDF nor JSON as `report show --json` prints it under `report`")


def _leaves(said: object) -> Iterator[object]:
    inside = said.values() if isinstance(said, dict) else said if isinstance(said, list) else None
    if inside is None:
        yield said
    else:
        for each in inside:
            yield from _leaves(each)


@report.command("sign")
@click.argument("request_id")
@click.option("--version", required=True, type=int, help="Of the draft that is signed.")
@click.option("--by", required=True, help="The clinician who signs it, by name.")
@click.option("--is-theirs", is_flag=True, help="A person looked: the PDF is this patient's report.")
@with_json
@click.pass_context
def sign_report(ctx: click.Context, request_id: str, version: int, by: str, is_theirs: bool, as_json: bool) -> None:
    """Sign the draft of REQUEST_ID: it goes back to the referring doctor."""
    from integration import written_reports
    from integration.packets.payloads import Payloads

    with opened(ctx) as (config, engine):
        payloads = Payloads(config.payload_store)
        said = dict(by=by, is_theirs=is_theirs, version=version, actor=ME)
        made = written_reports.sign(engine, payloads, config, request_id, **said)  # type: ignore[arg-type]
    more = f"; without a PDF: {made.without_pdf}" if made.without_pdf else ""
    show({"request_id": request_id, "number": made.number}, as_json, f"signed as report {made.number}{more}")


@report.command("retract")
@click.argument("request_id")
@click.argument("number", type=int)
@with_reason()
@with_json
@click.pass_context
def retract_report(ctx: click.Context, request_id: str, number: int, reason: str, as_json: bool) -> None:
    """Report NUMBER of REQUEST_ID should never have been; its copy is marked too."""
    from integration import written_reports

    with opened(ctx) as (config, engine):
        written_reports.retract(engine, config, request_id, number, actor=ME, reason=reason)
    show({"request_id": request_id, "number": number}, as_json, "retracted")
