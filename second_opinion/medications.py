"""Commands about a patient's medications and questions."""

from pathlib import Path

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason


@cli.group()
def medications() -> None:
    """What the chart says a patient takes, and what people say of it."""


@medications.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The medications of REQUEST_ID's newest packets: each with every record that names it. Clinical content."""
    from integration.medications import shown
    from integration.packets.payloads import Payloads
    from integration.views.medications import view

    with opened(ctx) as (config, engine):
        payloads = Payloads(config.payload_store)
        found = view(shown(engine, payloads, request_id, actor=ME, reason="command line"))
    show(found, as_json, "\n".join(_lines(found)))


def _lines(found: dict) -> list[str]:
    gone_through = "gone through" if found["confirmed"] else "not gone through as it is now"
    lines = [f"as of {found['as_of'] or 'no packet yet'}, {gone_through}"]
    for each in found["medications"]:
        said = f"  [{each['said']}{': ' + each['words'] if each['words'] else ''}]" if each["said"] else ""
        lines.append(f"{'stopped ' if each['stopped'] else ''}{each['name']}{said}")
        lines += [f"    {one['dosage']} ({one['status']}, {one['dated']}) {one['source']}" for one in each["sources"]]
    return lines + [f"also: {words}" for words in found["also"]]


@cli.group()
def questions() -> None:
    """The patient's questions."""


@questions.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def questions_show(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The questions of REQUEST_ID in their order. Clinical content."""
    from integration.patient_questions import look_at

    with opened(ctx) as (_, engine):
        row, found = look_at(engine, request_id, actor=ME, reason="command line")
    words = "\n".join(f"{number}. {each}" for number, each in enumerate(found, 1)) or "no question"
    show({"version": row.version, "questions": found}, as_json, words)


@questions.command("set")
@click.argument("request_id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--version", type=int, required=True, help="Of the request, as questions show --json says it.")
@with_reason()
@with_json
@click.pass_context
def questions_set(ctx: click.Context, request_id: str, file: Path, version: int, reason: str, as_json: bool) -> None:
    """Keep the questions in FILE, one a line, the most important first."""
    from integration.patient_questions import keep

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise click.BadParameter("the file is not in UTF-8: save it as UTF-8", param_hint="FILE") from None
    with acting(ctx) as (config, engine):
        plan = keep(engine, config, request_id, lines, version, actor=ME, reason=reason)
    show({"version": plan.version}, as_json, f"kept as version {plan.version}")
