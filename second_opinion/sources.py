"""Commands about sources: what is asked of them, the letter, what became of it, and what travels by courier."""

from datetime import UTC, date, datetime
from pathlib import Path

import click

from second_opinion.house import ID, ME, cli, opened, show, with_json, with_reason

FILE = click.Path(path_type=Path, dir_okay=False)
ON = click.option("--on", default="", metavar="DAY", help="The day, such as 2026-05-01.")
AFTER = click.option("--after", type=ID, help="The last line of its history that you saw; without it the newest.")


def _today() -> date:
    return datetime.now(UTC).date()


@cli.group()
def sources() -> None:
    """What is missing, asked of the source that has it."""


@sources.command("list")
@click.argument("request_id")
@with_json
@click.pass_context
def list_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """What was asked of whom for REQUEST_ID, how each stands, and the next step."""
    from integration.asking import asks
    from integration.views.sources import ask_view

    with opened(ctx) as (config, engine):
        found = [ask_view(each, _today()) for each in asks(engine, config, request_id)]
    show(found, as_json, "\n".join(_line(each) for each in found) or "nobody has been asked yet")


def _line(ask: dict) -> str:
    return f"{ask['id']:<6} {ask['state']:16} {', '.join(ask['items'])}: {ask['says']} {ask['next']}".rstrip()


@sources.command("ask")
@click.argument("request_id")
@click.option(
    "--item", "items", multiple=True, required=True, metavar="ITEM", help="An item of the checklist; repeat it."
)
@click.option("--source", default="", metavar="ENDPOINT", help="Who has it; without it --place.")
@click.option("--place", default="", help="Another place, by name: it is asked by letter.")
@click.option("--address", multiple=True, metavar="LINE", help="A line of its address; repeat it.")
@click.option("--fax", default="", help="Its fax number.")
@click.option("--road", type=click.Choice(["task", "letter"]), help="How; without it a Task where it is taken.")
@click.option("--what", default="", help="What else they need to know to find it. No diagnosis.")
@click.option("--due", required=True, metavar="DAY", help="By when it is needed, such as 2026-05-01.")
@with_reason()
@with_json
@click.pass_context
def ask_(
    ctx: click.Context, request_id: str, reason: str, as_json: bool, **given: str | tuple[str, ...] | None
) -> None:
    """Ask a source for what REQUEST_ID misses."""
    from integration.asking import ask, one
    from integration.views.sources import ask_view
    from mappings.model.source_ask import TypedHolder

    words = {name: value if isinstance(value, str) else "" for name, value in given.items()}
    place = TypedHolder(words["place"], "\n".join(given["address"] or ()), words["fax"])
    with opened(ctx) as (config, engine):
        made = ask(
            engine,
            config,
            request_id,
            items=tuple(given["items"] or ()),
            source=words["source"],
            elsewhere=place,
            road=words["road"],
            what=words["what"],
            due=words["due"],
            today=_today(),
            actor=ME,
            reason=reason,
        )
        found = ask_view(one(engine, config, request_id, made), _today())
    show(found, as_json, _line(found))


@sources.command("again")
@click.argument("request_id")
@click.argument("ask_id", type=ID)
@click.option("--due", required=True, metavar="DAY", help="By when it is needed now.")
@with_reason()
@with_json
@click.pass_context
def again(ctx: click.Context, request_id: str, ask_id: int, due: str, reason: str, as_json: bool) -> None:
    """Ask the source of ASK_ID for the same, once more."""
    from integration.asking import ask_again, one
    from integration.views.sources import ask_view

    with opened(ctx) as (config, engine):
        made = ask_again(engine, config, request_id, ask_id, due, today=_today(), actor=ME, reason=reason)
        found = ask_view(one(engine, config, request_id, made), _today())
    show(found, as_json, _line(found))


@sources.command("letter")
@click.argument("request_id")
@click.argument("ask_id", type=ID)
@click.argument("file", type=FILE)
@with_json
@click.pass_context
def letter_(ctx: click.Context, request_id: str, ask_id: int, file: Path, as_json: bool) -> None:
    """Write the letter of ASK_ID to FILE as PDF. It names the patient; that it left is recorded."""
    from integration.asking import letter
    from integration.packets.payloads import Payloads

    with opened(ctx) as (config, engine):
        data = letter(engine, Payloads(config.payload_store), config, request_id, ask_id, _today(), actor=ME)
    file.write_bytes(data)
    show(
        {"file": str(file), "bytes": len(data)}, as_json, f"written to {file}: send it, then second-opinion sources say"
    )


@sources.command("say")
@click.argument("request_id")
@click.argument("ask_id", type=ID)
@click.argument("word", metavar="sent|promised|rejected|answered|called-off")
@ON
@click.option("--by", default="", help="Who sent the letter.")
@click.option("--by-way", default="", help="How it was sent: handed, fax, portal, mail.")
@AFTER
@with_reason(help="What they said; kept with it.")
@with_json
@click.pass_context
def say_(ctx: click.Context, request_id: str, ask_id: int, word: str, reason: str, as_json: bool, **given: str) -> None:
    """Say what became of ASK_ID."""
    from integration.asking import one
    from integration.store import source_asks
    from integration.views.sources import ask_view

    after = given.pop("after")
    with opened(ctx) as (config, engine):
        with engine.begin() as conn:
            last = source_asks.get(conn, request_id, ask_id).last
            seen = int(after) if after is not None else last.id if last else 0
            words = dict(after=seen, today=_today(), actor=ME, note=reason, **given)
            source_asks.say(conn, request_id, ask_id, word, **words)  # type: ignore[arg-type]
        found = ask_view(one(engine, config, request_id, ask_id), _today())
    show(found, as_json, _line(found))


@cli.group("parcels")
def parcels_() -> None:
    """Slides, blocks and discs that travel by courier."""


@parcels_.command("list")
@click.argument("request_id")
@with_json
@click.pass_context
def parcels_list(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """Where each thing of REQUEST_ID is."""
    with opened(ctx) as (_config, engine):
        from integration.store import parcels, requests
        from integration.views.sources import parcel_view

        with engine.connect() as conn:
            requests.get(conn, request_id)
            found = [parcel_view(each) for each in parcels.of_request(conn, request_id)]
    show(found, as_json, "\n".join(_parcel_line(each) for each in found) or "nothing travels by courier")


def _parcel_line(parcel: dict) -> str:
    return f"{parcel['id']:<6} {parcel['state']:14} {parcel['item']} {parcel['what']}: {parcel['why']}"


@parcels_.command("add")
@click.argument("request_id")
@click.argument("item")
@click.option("--what", default="", help="Accession and block numbers.")
@click.option("--source", default="", help="Whose it is.")
@with_reason()
@with_json
@click.pass_context
def parcels_add(
    ctx: click.Context, request_id: str, item: str, what: str, source: str, reason: str, as_json: bool
) -> None:
    """Something of ITEM is wanted or on its way for REQUEST_ID."""
    from integration.checklists import add_parcel

    with opened(ctx) as (config, engine):
        made = add_parcel(engine, config, request_id, item, what, source, actor=ME, reason=reason)
    show({"id": made}, as_json, f"parcel {made}: say what happened with second-opinion parcels move")


@parcels_.command("move")
@click.argument("request_id")
@click.argument("parcel_id", type=ID)
@click.argument("word", metavar="WORD")
@ON
@click.option("--by", default="", help="Who did it, by name.")
@click.option("--pieces", default="", help="How many were sent, or were in it.")
@click.option("--carrier", default="", help="With whom it travels.")
@click.option("--tracking", default="", help="The number on the label.")
@click.option("--note", default="", help="Which are missing, or too many.")
@AFTER
@with_json
@click.pass_context
def parcels_move(ctx: click.Context, request_id: str, parcel_id: int, as_json: bool, **given: str) -> None:
    """Say what happened to PARCEL_ID: requested, shipped, in-transit, delivered, counted, at-consultant, sent-back, returned, lost."""
    from integration.store import parcels
    from integration.views.sources import parcel_view
    from mappings.model.parcel import TypedMove

    after = given.pop("after")
    with opened(ctx) as (_config, engine), engine.begin() as conn:
        last = parcels.get(conn, request_id, parcel_id).last
        seen = int(after) if after is not None else last.id if last else 0
        parcels.move(conn, request_id, parcel_id, TypedMove(**given), _today(), after=seen, actor=ME)
        found = parcel_view(parcels.get(conn, request_id, parcel_id))
    show(found, as_json, _parcel_line(found))
