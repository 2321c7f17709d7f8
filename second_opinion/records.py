"""Commands about records that arrive from elsewhere for a request."""

from pathlib import Path

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@cli.group()
def records() -> None:
    """Records from elsewhere: received as files, accepted by a person, taken back."""


@records.command("list")
@click.argument("request_id")
@with_json
@click.pass_context
def list_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """What arrived from elsewhere for REQUEST_ID, and where it stands."""
    from integration.received import look_at
    from integration.views.received import view

    with opened(ctx) as (_, engine):
        found = view(look_at(engine, request_id, actor=ME, reason="command line"))
    lines = [
        f"{each['id']}  {each['state']:9} version {each['version']}  {each['kind'] or each['format']:20} "
        f"{'; '.join(each['where'])}{'  PATIENT DIFFERS' if each['patient_differs'] else ''}".rstrip()
        for each in found
    ]
    show(found, as_json, "\n".join(lines) or "nothing has arrived from elsewhere")


@records.command("receive")
@click.argument("request_id")
@click.argument("file", type=FILE)
@with_json
@click.pass_context
def receive_(ctx: click.Context, request_id: str, file: Path, as_json: bool) -> None:
    """Hand in FILE for REQUEST_ID; it goes nowhere until `records accept` says whose and what it is."""
    from integration.packets.payloads import Payloads
    from integration.received import look_at, read_blocks, receive
    from integration.views.received import one

    with opened(ctx) as (config, engine), file.open("rb") as blocks:
        made, is_new = receive(
            engine,
            Payloads(config.payload_store),
            config,
            request_id,
            read_blocks(blocks),
            name=file.name,
            claimed=None,
            actor=ME,
        )
        found = one(look_at(engine, request_id, actor=ME, reason="command line"), made)
    words = "received" if is_new else "these very bytes are there already"
    differs = f"; the file says another {', '.join(found['patient_differs'])}" if found["patient_differs"] else ""
    show(found, as_json, f"{words}: {made.id} version {made.version}{differs}")


@records.command("accept")
@click.argument("request_id")
@click.argument("record_id")
@click.option("--kind", default="", help="An item of the checklist: second-opinion checklists show lists them.")
@click.option("--source", required=True, help="Where it came from, in words.")
@click.option("--author", default="", help="Who made it, as the record says.")
@click.option("--dated", default="", metavar="DATE", help="2026-05-30, 2026-05 or 2026.")
@click.option("--code", default="", help="Its LOINC code, where it says one.")
@click.option("--version", type=int, default=1, show_default=True, help="As records list shows it.")
@with_reason()
@with_json
@click.pass_context
def accept_(
    ctx: click.Context, request_id: str, record_id: str, version: int, reason: str, as_json: bool, **said: str
) -> None:
    """RECORD_ID was compared and is this patient's: it goes with the next packet. The reason says how you know."""
    from integration.received import Classified, accept

    with acting(ctx) as (config, engine):
        words = Classified(**said, is_theirs=True, identity_reason=reason)
        accept(engine, config, request_id, record_id, version, words, actor=ME)
    show({"id": record_id, "state": "accepted"}, as_json, "it goes with the next packet")


@records.command("take-back")
@click.argument("request_id")
@click.argument("record_id")
@click.option(
    "--because",
    type=click.Choice(["wrong-patient", "wrong-record", "replaced", "asked-to"]),
    required=True,
    help="What the consultant is told.",
)
@click.option("--version", type=int, default=2, show_default=True, help="As records list shows it.")
@with_reason()
@with_json
@click.pass_context
def take_back(
    ctx: click.Context, request_id: str, record_id: str, because: str, version: int, reason: str, as_json: bool
) -> None:
    """Discard RECORD_ID, or withdraw it wherever it went."""
    from integration.received import end

    with acting(ctx) as (config, engine):
        made = end(engine, config, request_id, record_id, version, because, actor=ME, reason=reason)
    show({"id": record_id, "state": made.state}, as_json, f"it is {made.state}")


@records.command("gather")
@click.argument("request_id")
@click.argument("endpoint")
@click.option("--number", default="", help="The patient's number there, where it is known.")
@click.option("--system", default="", help="Who gives that number, where config.yaml does not say it.")
@with_reason()
@with_json
@click.pass_context
def gather_(
    ctx: click.Context, request_id: str, endpoint: str, number: str, system: str, reason: str, as_json: bool
) -> None:
    """Gather records of ENDPOINT, another provider's system, for REQUEST_ID."""
    from integration.record_sources import gather

    with acting(ctx) as (config, engine):
        said = dict(number=number, system=system, actor=ME, reason=reason)
        made = gather(engine, config, request_id, endpoint, **said)
    show({"endpoint": endpoint, "is_new": made}, as_json, "it is read there now: second-opinion records gathered")


@records.command("gathered")
@click.argument("request_id")
@with_json
@click.pass_context
def gathered(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """Whose records are gathered for REQUEST_ID, and how each stands."""
    from integration.packets.payloads import Payloads
    from integration.record_sources import standing
    from integration.views.elsewhere import view

    with opened(ctx) as (config, engine):
        found = [view(each) for each in standing(engine, Payloads(config.payload_store), config, request_id)]
    lines = [
        f"{each['endpoint']:20} {each['state']:8} {len(each['records'])} records, {len(each['remarks'])} remarks "
        f"{each['cause']}".rstrip()
        for each in found
    ]
    show(found, as_json, "\n".join(lines) or "no other provider was named")


@records.command("stop")
@click.argument("request_id")
@click.argument("endpoint")
@with_reason()
@with_json
@click.pass_context
def stop_(ctx: click.Context, request_id: str, endpoint: str, reason: str, as_json: bool) -> None:
    """Gather nothing more of ENDPOINT for REQUEST_ID; what was sent of it is taken back."""
    from integration.record_sources import stop

    with acting(ctx) as (_, engine):
        stop(engine, request_id, endpoint, actor=ME, reason=reason)
    show({"endpoint": endpoint, "state": "stopped"}, as_json, "what was sent of it is taken back")
