"""Commands about coverage: what insurers said, and a call written down."""

from datetime import UTC, datetime

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason

_WORDS = {
    "authorization": ["yes", "no", "unknown"],
    "required": ["yes", "no", "unknown"],
    "network": ["in", "out", "unknown"],
}


@cli.group()
def coverage() -> None:
    """Is it covered? What insurers said."""


@coverage.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """What insurers said of REQUEST_ID, which answer counts for the visit, and what to do next. The look is recorded."""
    from integration.coverage import coverage as known
    from integration.views.coverage import shown, view

    with opened(ctx) as (_, engine):
        found = known(engine, request_id, datetime.now(UTC).date(), actor=ME)
    lines = [f"next        {found.standing.next or 'nothing more to ask'}"]
    lines += [
        f"in the EHR  {each.insurer or 'not stated'}: {each.plan or 'plan not stated'}, {each.status}, until {each.ends or 'not stated'}"
        for each in found.insurances
    ]
    lines += [f"asked       {each.endpoint} about {each.coverage}: {each.status}" for each in found.asks]
    for each in shown(found):
        lines.append(f"{each.id:11} {each.answer}, {each.source}: {', '.join(each.stale) or each.standing}")
        lines += [f"{'':11}   {name.replace('_', ' ')}: {value}" for name, value in each.facts]
    show(view(found), as_json, "\n".join(lines))


@coverage.command("read")
@click.argument("request_id")
@with_reason()
@with_json
@click.pass_context
def read_(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """Have the insurance of REQUEST_ID's patient read from the EHR again; a worker does it."""
    from integration.store import insurances

    with acting(ctx) as (_, engine), engine.begin() as conn:
        made = insurances.ask(conn, request_id, actor=ME, reason=reason)
    words = "it is read now" if made else "it is being read already"
    show({"request_id": request_id, "changed": made}, as_json, words)


@coverage.command("ask")
@click.argument("request_id")
@click.argument("payer")
@click.argument("insurance")
@click.option(
    "--service",
    type=click.Choice(["3", "20", "21"]),
    required=True,
    help="What it is asked as: 3 consultation, 20 second surgical opinion, 21 third surgical opinion.",
)
@with_reason()
@with_json
@click.pass_context
def ask_(
    ctx: click.Context, request_id: str, payer: str, insurance: str, service: str, reason: str, as_json: bool
) -> None:
    """Ask the system of the endpoint PAYER about INSURANCE (Coverage/45) for REQUEST_ID: name, sex, birth date and the insurance go."""
    from integration.eligibility import ask

    with acting(ctx) as (config, engine):
        number = ask(engine, config, request_id, payer, insurance, service, actor=ME, reason=reason)
    show({"request_id": request_id, "id": number}, as_json, "it is being asked; `coverage show` tells what came of it")


@coverage.command("record")
@click.argument("request_id")
@click.option("--answer", required=True, type=click.Choice(["covered", "not-covered", "conditional", "unclear"]))
@click.option("--asked", required=True, metavar="WORDS", help="What was asked, in words or as a billing code.")
@click.option("--given-at", required=True, metavar="TIME", help="When, with its zone: 2026-03-01T10:15:00-05:00.")
@click.option("--insurer", required=True, metavar="NAME", help="Which insurer answered.")
@click.option("--person", metavar="NAME", help="Who answered there.")
@click.option("--department", metavar="NAME", help="Their department.")
@click.option("--phone", metavar="NUMBER", help="The number that was called.")
@click.option("--called-by", metavar="NAME", help="Who called.")
@click.option("--reference", metavar="NUMBER", help="The reference number of the call.")
@click.option("--service-on", metavar="DAY", help="The day of the visit that was asked about.")
@click.option("--coverage", metavar="REFERENCE", help="Which insurance, when there are several: Coverage/45.")
@click.option("--authorization", type=click.Choice(_WORDS["authorization"]), help="Does it have to be authorized?")
@click.option("--authorization-number", metavar="NUMBER", help="The number of the authorization.")
@click.option("--valid-from", metavar="DAY", help="First day of the authorization.")
@click.option("--valid-to", metavar="DAY", help="Last day of the authorization.")
@click.option("--units", metavar="WORDS", help="How much is authorized, as said.")
@click.option("--network", type=click.Choice(_WORDS["network"]), help="Is the consultant in network?")
@click.option("--required", type=click.Choice(_WORDS["required"]), help="Does the insurer require this opinion?")
@click.option("--expires-on", metavar="DAY", help="Last day on which the answer holds.")
@click.option("--note", metavar="WORDS", help="What else was said.")
@click.option("--corrects", metavar="ENTRY", help="The wrong entry that this one stands for, as `show` names it.")
@click.option("--correction", metavar="WORDS", help="What was wrong with it.")
@with_json
@click.pass_context
def record_(ctx: click.Context, request_id: str, as_json: bool, **typed: str | None) -> None:
    """Write down what an insurer said of REQUEST_ID on the phone. A later answer counts instead; nothing is overwritten."""
    from integration.coverage import record
    from mappings.coverage_typed import AnswerNotRight

    with opened(ctx) as (config, engine):
        given = {name: value for name, value in typed.items() if value is not None}
        try:
            kept = record(engine, config, request_id, given, datetime.now(UTC), expected_version=None, actor=ME)
        except AnswerNotRight as error:
            lines = [f"--{field.replace('_', '-')}: {words}" for field, words in error.mistakes.items()]
            raise click.UsageError("\n".join(lines)) from error
    show(
        {"request_id": request_id, "id": kept.id},
        as_json,
        f"kept as {kept.id}; the consultant is told with the request",
    )
