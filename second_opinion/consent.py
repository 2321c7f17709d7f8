"""Commands about what a patient agreed to: which records may leave, to whom, until when."""

from datetime import UTC, datetime

import click

from second_opinion.house import ME, cli, opened, show, with_json

KINDS = click.Choice(["notes", "results", "images", "medications", "history", "other", "sensitive"])


@cli.group()
def consent() -> None:
    """What a patient agreed to: which records may leave, to whom, until when."""


@consent.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def show_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """How the consent of REQUEST_ID stands, and every statement of it. The look is recorded."""
    from integration.store import consents
    from integration.views.consent import read, view

    with opened(ctx) as (config, engine), engine.begin() as conn:
        consents.looked_at(conn, request_id, actor=ME, reason="command line")
        found = view(read(conn, config, request_id, datetime.now(UTC).date()))
    show(found, as_json, "\n".join(_lines(found)))


def _lines(found: dict) -> list[str]:
    left_out = f"  not sent: {', '.join(found['kinds_left_out'])}" if found["kinds_left_out"] else ""
    stopped = f"  nothing leaves for: {', '.join(found['nothing_leaves_for'])}" if found["nothing_leaves_for"] else ""
    return [f"consent: {found['standing']}{left_out}{stopped}"] + [
        f"{each['id']:>6}  {each['created_at']:%Y-%m-%d %H:%M} UTC  {each['said']}  {each['how']}  {each['said_by']}"
        + (f"  only {', '.join(each['kinds'])}" if each["kinds"] is not None else "")
        + (f"  only to {', '.join(each['recipients'])}" if each["recipients"] is not None else "")
        + (f"  until {each['until']}" if each["until"] else "")
        for each in found["statements"]
    ]


@consent.command("record")
@click.argument("request_id")
@click.argument("said", type=click.Choice(["given", "withdrawn"]))
@click.option("--kind", "kinds", multiple=True, type=KINDS, help="A kind of record that may leave; without it: all.")
@click.option("--to", "recipients", multiple=True, help="An endpoint that they may leave for; without it: all.")
@click.option("--until", default="", help="The last day, such as 2027-06-30; without it: no last day.")
@click.option(
    "--how",
    required=True,
    type=click.Choice(["signed-form", "in-person", "by-phone"]),
    help="How the patient said it.",
)
@click.option("--by", required=True, help="Who said it: the patient, or who speaks for them and why they may.")
@click.option("--note", default="", help="Such as where the signed form is kept.")
@with_json
@click.pass_context
def record(
    ctx: click.Context,
    request_id: str,
    said: str,
    kinds: tuple[str, ...],
    recipients: tuple[str, ...],
    as_json: bool,
    **typed: str,
) -> None:
    """Record what the patient of REQUEST_ID says. The newest statement stands, and is obeyed at the next send."""
    from integration.store import consents, requests
    from mappings.model.consent import RecordKind, TypedConsent

    with opened(ctx) as (config, engine), engine.begin() as conn:
        row = requests.get(conn, request_id)
        stands = consents.newest(conn, request_id)
        words = TypedConsent(
            said,
            str(stands.id) if stands else "",
            kinds or tuple(RecordKind),
            recipients or (row.placer, row.fulfiller),
            **typed,
        )
        done = consents.record(conn, request_id, words, actor=ME, hosted=config.hosted_endpoints)
    told = "recorded" if done.is_new else "that was recorded already"
    more = f"; {done.due} step(s) that had stopped go on" if done.due else ""
    show({"request_id": request_id, "changed": done.is_new, "due": done.due}, as_json, f"{told}{more}")
