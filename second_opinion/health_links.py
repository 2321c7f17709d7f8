"""Commands about SMART Health Links: those that a patient carries, and one that a patient brought; and something to read."""

import html
import re
from typing import TYPE_CHECKING, TextIO

import click

from second_opinion.house import ME, cli, opened, show, with_json, with_reason
from second_opinion.records import records

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.settings.config import Config
    from integration.visit_reading import House


@cli.group("health-links")
def links() -> None:
    """SMART Health Links by which a patient carries the records."""


@links.command("list")
@click.argument("request_id")
@with_json
@click.pass_context
def list_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The links of REQUEST_ID, what they hold and who opened them; never a link itself. The look is recorded."""
    from integration.health_links.making import listed
    from integration.views.health_links import view

    with opened(ctx) as (config, engine):
        found = view(listed(_house(config, engine), request_id, actor=ME, reason="command line"))
    show(found, as_json, "\n".join(_lines(found)) or "no link was made yet")


def _lines(found: dict) -> list[str]:
    lines = []
    for each in found["health_links"]:
        much = "  HOLDS MORE THAN THE PATIENT SHARES NOW" if each["holds_too_much"] else ""
        lines.append(
            f"{each['id']}  {each['state']:8}  until {each['expires_at']:%Y-%m-%d %H:%M} UTC  {each['files']} files of "
            f"packet {each['packet_version']}  made by {each['made_by']}{much}"
        )
        lines += [f"    {one['at']:%Y-%m-%d %H:%M} UTC  {one['what']}  {one['recipient']}" for one in each["openings"]]
    return lines


@links.command("make")
@click.argument("request_id")
@click.option("--days", default="30", show_default=True, help="For how many days it opens.")
@click.option("--no-passcode", is_flag=True, help="Whoever finds it reads it, and it holds the summary alone.")
@click.option("--later-records", is_flag=True, help="Later records come into it.")
@click.option(
    "--patient-asked", is_flag=True, help="The patient, or who speaks for them, asked for it. Without it: refused."
)
@with_json
@click.pass_context
def make(
    ctx: click.Context,
    request_id: str,
    days: str,
    no_passcode: bool,
    later_records: bool,
    patient_asked: bool,
    as_json: bool,
) -> None:
    """Make a link to the records of REQUEST_ID. It, and its passcode, are printed now and never again."""
    from integration.health_links import making

    wanted = making.Wanted(days, is_long_term=later_records, is_direct=no_passcode, is_theirs=patient_asked)
    with opened(ctx) as (config, engine):
        base = config.web.public_url or config.web.address
        made = making.make(_house(config, engine), request_id, wanted, base, actor=ME)
    told = f"link {made.row.id}: {made.link}" + (
        f"\npasscode, to be given by another way: {made.passcode}" if made.passcode else ""
    )
    left_out = f"\n{made.row.left_out} documents did not fit" if made.row.left_out else ""
    what = {"request_id": request_id, "id": made.row.id, "link": made.link, "passcode": made.passcode}
    show({**what, "documents_left_out": made.row.left_out}, as_json, told + left_out)


@links.command("revoke")
@click.argument("request_id")
@click.argument("link_id")
@with_reason()
@with_json
@click.pass_context
def revoke(ctx: click.Context, request_id: str, link_id: str, reason: str, as_json: bool) -> None:
    """LINK_ID (of `health-links list`) opens nothing any more."""
    from integration.health_links import making

    with opened(ctx) as (config, engine):
        making.revoke(_house(config, engine), request_id, link_id, actor=ME, reason=reason)
    show({"request_id": request_id, "id": link_id}, as_json, "revoked")


@records.command("open-link")
@click.argument("request_id")
@click.argument("file", type=click.File("r"))
@with_json
@click.pass_context
def open_link(ctx: click.Context, request_id: str, file: TextIO, as_json: bool) -> None:
    """Take in what a SMART Health Link holds that the patient of REQUEST_ID brought.

    FILE (- for standard input) has the link in its first line and the passcode, if there is one, in the second: neither belongs
    among the words of a command, which others on the machine can see.
    """
    from integration.health_links import opening

    pasted, _, passcode = file.read(10_000).strip().partition("\n")
    with opened(ctx) as (config, engine):
        made = opening.open_link(_house(config, engine), request_id, pasted, passcode.strip(), actor=ME)
    taken, known = [each.id for each in made.taken], [each.id for each in made.known]
    lines = [f"received: {each}" for each in taken] + [f"there already: {each}" for each in known] + made.wrong
    what = {"request_id": request_id, "taken": taken, "known": known, "refused": made.wrong}
    show(what, as_json, "\n".join(lines))


@cli.group("library")
def library() -> None:
    """Something to read about a diagnosis, from the configured health library."""


@library.command("show")
@click.argument("request_id")
@click.option("--language", default="", help="One that the library is configured for; without it: its first.")
@with_json
@click.pass_context
def library_show(ctx: click.Context, request_id: str, language: str, as_json: bool) -> None:
    """What the library has for the diagnosis of REQUEST_ID. Only its code is sent there; the look is recorded."""
    from integration import health_library
    from integration.views.texts import t

    with opened(ctx) as (config, engine):
        shelf, _ = health_library.looked_at(
            engine, config.health_library, request_id, language, actor=ME, reason="command line"
        )
        found = health_library.view(request_id, shelf)
    lines = [] if shelf.state == "found" else [t(f"library.state.{shelf.state}", source=shelf.source)]
    for each in shelf.readings:
        lines += [each.title, f"    {each.href}", f"    {_plain(each.summary)}"]
    show(found, as_json, "\n".join(lines))


def _plain(summary: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", summary)).split())


def _house(config: "Config", engine: "Engine") -> "House":
    from integration.packets.payloads import Payloads
    from integration.visit_reading import House

    return House(engine, Payloads(config.payload_store), config)
