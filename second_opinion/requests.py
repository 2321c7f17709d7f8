"""Commands about second opinion requests and their deliveries."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from mappings.model.delivery import DeliveryStatus
from mappings.model.hand_over import ByWay, Typed
from second_opinion.house import ME, USER, acting, cli, opened, show, with_json, with_reason


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
@click.pass_context
def submit(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Take in a second opinion request from FILE (YAML or JSON). The same request twice is the same request."""
    from integration.settings.request_file import load_request
    from integration.store import requests

    with acting(ctx) as (config, engine):
        request = load_request(file, endpoints=config.endpoints)
        with engine.begin() as conn:
            request_id, new = requests.take_in(
                conn, request, actor=ME, today=datetime.now(UTC).date(), **config.intake(request.fulfiller)
            )
    show(
        {"request_id": request_id, "new": new},
        as_json,
        f"{request_id} {'received' if new else 'was received before; nothing changed'}",
    )


@cli.command("map")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_json
def map_(file: Path, as_json: bool) -> None:
    """Print the FHIR Bundle a request FILE becomes; sends nothing, needs no configuration."""
    from integration import fhir_json
    from integration.settings.request_file import load_request
    from integration.store.requests import request_id_of
    from mappings.preview import to_bundle

    request = load_request(file)
    bundle = to_bundle(
        request, request_id=request_id_of(request.key), authored_at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    written = json.loads(fhir_json.dumps(bundle))
    show(written, as_json, json.dumps(written, indent=2, ensure_ascii=False))


@cli.group()
def requests() -> None:
    """Second opinion requests."""


@requests.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option(
    "--show", "tab", default="all", show_default=True, type=click.Choice(["attention", "open", "closed", "all"])
)
@with_json
@click.pass_context
def requests_list(ctx: click.Context, limit: int, tab: str, as_json: bool) -> None:
    """The newest requests: your own number, where each stands, when its records are due and what it waits for."""
    from integration.store.request_list import Wanted
    from integration.views.request_list import lines
    from second_opinion.request_table import as_json_rows, table

    with opened(ctx) as (config, engine), engine.connect() as conn:
        rows, following = lines(conn, Wanted(tab), limit=limit)
    show(as_json_rows(rows), as_json, table(rows, config, more=following is not None))


@requests.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def requests_show(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """One request: where it stands, what happens next, what was found. REQUEST_ID may be your own number for it."""
    from integration.store.request_list import id_of
    from integration.views.requests import request_view
    from second_opinion.request_table import page

    with opened(ctx) as (config, engine), engine.begin() as conn:
        view = request_view(conn, id_of(conn, request_id) or request_id)
    show(view, as_json, page(view, config))


@requests.command("content")
@click.argument("request_id")
@click.option(
    "--version",
    "number",
    type=click.IntRange(1, 1_000_000),
    help="An earlier version; the present one when it is not given.",
)
@with_reason(help="Why you look; kept in the audit trail.")
@with_json
@click.pass_context
def requests_content(ctx: click.Context, request_id: str, number: int | None, reason: str, as_json: bool) -> None:
    """Print what a request says, as a file for `requests revise`. It is about a patient: the look is recorded first."""
    from integration.store import audit, revisions
    from integration.store import requests as store

    with opened(ctx) as (_, engine):
        with engine.begin() as conn:
            version = number or store.get(conn, request_id).version
            audit.record(conn, ME, "request.looked-at", request_id, subject=f"version {version}", reason=reason)
        with engine.connect() as conn:
            content = revisions.content(conn, request_id, version)
    value = content.model_dump(mode="json", exclude_defaults=True)
    show(value, as_json, json.dumps(value, indent=2))


@requests.command("revise")
@click.argument("request_id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_reason()
@click.option(
    "--expect",
    type=click.IntRange(1, 1_000_000),
    help="The version you worked from; refused when it is another one by now.",
)
@click.option("--check", is_flag=True, help="Only say what would change and what follows.")
@with_json
@click.pass_context
def requests_revise(
    ctx: click.Context, request_id: str, file: Path, reason: str, expect: int | None, check: bool, as_json: bool
) -> None:
    """Correct a request: FILE is the whole request as it should be. What was entered first is kept as version 1."""
    from integration.settings.request_file import load_request
    from integration.store import requests as store
    from integration.store import revisions
    from integration.views.corrections import consequences

    with acting(ctx) as (config, engine):
        request = load_request(file, endpoints=config.endpoints)
        with engine.begin() as conn:
            row, place = store.get(conn, request_id), config.endpoints[request.fulfiller]
            follows = consequences(
                conn,
                row,
                revisions.plan(conn, request_id, request, expected_version=expect, lead_days=config.records.lead_days),
                place=place.name,
                accepts=place.accepts,
            )
            made = (
                revisions.plan(conn, request_id, request, expected_version=expect, lead_days=config.records.lead_days)
                if check
                else revisions.revise(
                    conn,
                    request_id,
                    request,
                    actor=ME,
                    reason=reason,
                    expected_version=expect,
                    lead_days=config.records.lead_days,
                )
            )
    done = {
        "request_id": request_id,
        "version": made.version,
        "stored": not check,
        "changed": made.paths,
        "told": made.told if made.was_sent else (),
        "follows": follows,
    }
    title = f"{request_id}: version {made.version} {'would change' if check else 'changes'} {', '.join(made.paths)}"
    show(done, as_json, "\n".join([title, *follows]))


@cli.command("waive")
@click.argument("request_id")
@click.argument("item", metavar="ITEM")
@click.option("--as-it-is", is_flag=True, help="Instead of leaving it out: send its bytes although their hash differs.")
@click.option("--undo", is_flag=True, help="Take a waiver back, before the packet is made or sent.")
@with_reason(help="Why; the consultant reads it, and it is kept in the audit trail.")
@with_json
@click.pass_context
def waive(
    ctx: click.Context, request_id: str, item: str, as_it_is: bool, undo: bool, reason: str, as_json: bool
) -> None:
    """Send a request's records without ITEM (Type/id or Type/id#path, as the parked step names it); the consultant is told."""
    from integration.store import waivers

    if as_it_is and undo:
        raise click.UsageError("--as-it-is gives a waiver and --undo takes one back: one of both")
    with acting(ctx) as (_, engine), engine.begin() as conn:
        if undo:
            waivers.undo(conn, request_id, item, actor=ME, reason=reason)
            done, words = {"item": item, "undone": True}, f"{item} is wanted again"
        else:
            made = waivers.waive(conn, request_id, item, actor=ME, reason=reason, as_it_is=as_it_is)
            done = {"item": item, "as_it_is": as_it_is, "due": made.due, "left": made.left}
            words = (
                f"{item}: {'its bytes are taken as they are' if as_it_is else 'left out'}; {made.due} step(s) due now"
            )
            words += f"; still missing: {', '.join(made.left)}" if made.left else ""
    show({"request_id": request_id, **done}, as_json, words)


@requests.command("cancel")
@click.argument("request_id")
@with_reason(help="Why; the consultant reads it.")
@with_json
@click.pass_context
def requests_cancel(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """Cancel a request; the fulfiller is told."""
    from integration.store import operations

    with acting(ctx) as (_, engine), engine.begin() as conn:
        operations.cancel(conn, request_id, actor=ME, reason=reason)
    show({"request_id": request_id, "cancel_requested": True}, as_json, f"{request_id}: cancellation asked for")


@cli.group()
def deliveries() -> None:
    """Deliveries: a packet, request or report to an endpoint."""


@deliveries.command("list")
@click.option("--status", type=click.Choice([status.value for status in DeliveryStatus]), help="Only those.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def deliveries_list(ctx: click.Context, status: str | None, limit: int, as_json: bool) -> None:
    """The newest deliveries."""
    from integration.store import deliveries as store
    from integration.views.levels import told

    with opened(ctx) as (_, engine), engine.connect() as conn:
        rows = told(conn, [asdict(row) for row in store.newest(conn, status, limit)])
    show(
        rows,
        as_json,
        "\n".join(
            f"{row['id']:<40} {row['status']:<12} {row['endpoint']:<16} {row['message'] or row['known']}".rstrip()
            for row in rows
        )
        or "no deliveries",
    )


@deliveries.command("show")
@click.argument("delivery_id")
@with_json
@click.pass_context
def deliveries_show(ctx: click.Context, delivery_id: str, as_json: bool) -> None:
    """One delivery and its items."""
    from integration.store import deliveries as store
    from integration.store import operations
    from integration.views.levels import told

    with opened(ctx) as (_, engine), engine.connect() as conn:
        row = store.get(conn, delivery_id)
        if row is None:
            raise operations.NotPossible(f"there is no delivery {delivery_id}")
        view = {
            **told(conn, [asdict(row)])[0],
            "items": [asdict(item) for item in store.items(conn, delivery_id).values()],
        }
    show(view, as_json, json.dumps(view, indent=2, default=str))


def action_on_delivery(name: str, done: str) -> Callable[..., None]:
    """A command that does one thing of ``operations`` to one delivery, with a reason."""

    @click.argument("delivery_id")
    @with_reason()
    @with_json
    @click.pass_context
    def command(ctx: click.Context, delivery_id: str, reason: str, as_json: bool) -> None:
        from integration.store import operations

        with acting(ctx) as (_, engine), engine.begin() as conn:
            getattr(operations, name)(conn, delivery_id, actor=ME, reason=reason)
        show({"delivery_id": delivery_id, "done": done}, as_json, f"{delivery_id}: {done}")

    return command


deliveries.command("retry", help="Try a parked or waiting delivery now.")(
    action_on_delivery("retry_delivery", "due now")
)
deliveries.command("park", help="Stop trying; a person decides.")(action_on_delivery("park_delivery", "parked"))


@deliveries.command("resend")
@click.argument("delivery_id")
@click.option("--item", required=True, help="The item, as `deliveries show` names it.")
@with_reason()
@with_json
@click.pass_context
def deliveries_resend(ctx: click.Context, delivery_id: str, item: str, reason: str, as_json: bool) -> None:
    """Look at one item where it was sent, then create or update it there alone; everything else stays as it is."""
    from integration.store import resending

    with acting(ctx) as (_, engine), engine.begin() as conn:
        resending.resend(conn, delivery_id, item, actor=ME, reason=reason)
    show({"delivery_id": delivery_id, "item": item}, as_json, f"{item} of {delivery_id} is looked at and sent again")


_which = click.option(
    "--item", default="", help="Which document of it, as the message names it; where several are open."
)


@deliveries.command("confirm")
@click.argument("delivery_id")
@_which
@click.option("--called", default="", help="Of a request: what it is called there, as Task/ID.")
@click.option("--to", default="", help="To whom it was handed: a name or an office.")
@click.option("--at", default="", help="When: date and time, such as 2026-05-01T14:30Z; UTC where no zone is said.")
@click.option("--by-way", type=click.Choice([each.value for each in ByWay]), help="How.")
@click.option("--by", default=USER, show_default="your login", help="Who handed it over or saw it there, by name.")
@click.option("--note", default="", help="Nothing about the patient.")
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def deliveries_confirm(
    ctx: click.Context,
    delivery_id: str,
    to: str,
    at: str,
    by_way: str | None,
    by: str,
    item: str,
    called: str,
    note: str,
    reason: str,
    as_json: bool,
) -> None:
    """It is in the other system, or was handed over: the loop closes on your word.

    --to, --at and --by-way are demanded of what was carried; what was sent and seen there needs none of them.
    """
    from integration.store import deliveries as store
    from integration.store import handing_over
    from integration.views.levels import told

    typed = Typed(by=by, to=to, at=at, by_way=by_way or "", note=note)
    with acting(ctx) as (_, engine), engine.begin() as conn:
        handing_over.confirm(conn, delivery_id, item, called, typed, actor=ME, reason=reason)
        said = told(conn, [asdict(store.one(conn, delivery_id))])[0]["hand_over"]
    show({"delivery_id": delivery_id, "done": "is there", "hand_over": said}, as_json, f"{delivery_id}: is there")


@deliveries.command("send-again")
@click.argument("delivery_id")
@_which
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def deliveries_send_again(ctx: click.Context, delivery_id: str, item: str, reason: str, as_json: bool) -> None:
    """It was looked for there and is not there: it is sent once more."""
    from integration.store import handing_over

    with acting(ctx) as (_, engine), engine.begin() as conn:
        handing_over.send_again(conn, delivery_id, item, actor=ME, reason=reason)
    _show_word(delivery_id, item, "is sent again", as_json)


@deliveries.command("take-back")
@click.argument("delivery_id")
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def deliveries_take_back(ctx: click.Context, delivery_id: str, reason: str, as_json: bool) -> None:
    """What was said of a report was a mistake: it waits again, and a loop that closed on that is open again."""
    from integration.store import handing_over

    with acting(ctx) as (_, engine), engine.begin() as conn:
        handing_over.take_back(conn, delivery_id, actor=ME, reason=reason)
    _show_word(delivery_id, "", "waits again", as_json)


def _show_word(delivery_id: str, item: str, said: str, as_json: bool) -> None:
    show({"delivery_id": delivery_id, "item": item or None, "done": said}, as_json, f"{delivery_id}: {said}")


@requests.command("encounter")
@click.argument("request_id")
@click.argument("reference")
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def requests_encounter(ctx: click.Context, request_id: str, reference: str, reason: str, as_json: bool) -> None:
    """Say to which visit there the report of REQUEST_ID belongs, or its records: REFERENCE is Encounter/<id> in that EHR."""
    from integration.store import handing_over

    with acting(ctx) as (_, engine), engine.begin() as conn:
        handing_over.name_encounter(conn, request_id, reference, actor=ME, reason=reason)
    show(
        {"request_id": request_id, "encounter": reference},
        as_json,
        "noted; it is read and held against the patient before anything is sent, and what waited for it is due now",
    )
