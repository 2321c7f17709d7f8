"""Commands about patients' private links, and about releasing a report to the patient."""

from datetime import UTC, datetime
from pathlib import Path

import click

from second_opinion.house import ME, cli, opened, show, with_json, with_reason


@cli.group("private-links")
def private_links() -> None:
    """Links that open a patient's own page."""


@private_links.command("list")
@click.argument("request_id")
@with_json
@click.pass_context
def list_(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The links of REQUEST_ID and how each stands; never the link itself."""
    from integration.store import private_links as store
    from integration.store import requests
    from integration.views.private_links import view

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        requests.get(conn, request_id)
        found = [view(each, datetime.now(UTC)) for each in store.of_request(conn, request_id)]
    lines = [
        f"{each['id']:>6}  {each['state']:8}  until {each['expires_at']:%Y-%m-%d %H:%M} UTC  {each['opened_by']}  "
        f"opened {each['opened']}  wrong {each['failures']}"
        for each in found
    ]
    show({"private_links": found}, as_json, "\n".join(lines) or "no link was made yet")


@private_links.command("make")
@click.argument("request_id")
@click.option("--opened-by", required=True, type=click.Choice(["birth-date", "code"]), help="What opens it.")
@click.option("--days", default="", help="For how many days it is good; without it: 14.")
@click.option("--language", default="en", type=click.Choice(["en", "es"]), help="Of the page.")
@click.option(
    "--letter", type=click.Path(path_type=Path, dir_okay=False), help="Write it there as a sheet to print (PDF)."
)
@with_json
@click.pass_context
def make(ctx: click.Context, request_id: str, letter: Path | None, as_json: bool, **typed: str) -> None:
    """Make a link for the patient of REQUEST_ID. It, and a code, are printed now and never again."""
    from integration.packets.private_letter import to_pdf
    from integration.store import private_links as store
    from integration.store import requests
    from integration.views.private_letter import letter_of
    from mappings.model.private_link import TypedLink

    with opened(ctx) as (config, engine), engine.begin() as conn:
        made = store.make(conn, request_id, TypedLink(**typed), actor=ME)
        placer = requests.get(conn, request_id).placer
        if letter is not None:
            store.for_letter(conn, request_id, made.token, actor=ME)
    address = f"{config.web.public_url or config.web.address}/p/{made.token}"
    if letter is not None:
        letter.write_bytes(to_pdf(letter_of(made.link, address, config, placer)))
    told = f"link {made.link.id}: {address}" + (f"\ncode, to be given by another way: {made.code}" if made.code else "")
    show({"request_id": request_id, "id": made.link.id, "link": address, "code": made.code}, as_json, told)


@private_links.command("revoke")
@click.argument("request_id")
@click.argument("link", type=int)
@with_reason()
@with_json
@click.pass_context
def revoke(ctx: click.Context, request_id: str, link: int, reason: str, as_json: bool) -> None:
    """Close LINK (its number in `private-links list`) for good, and end what it opened."""
    from integration.store import private_links as store

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        store.revoke(conn, request_id, link, actor=ME, reason=reason)
    show({"request_id": request_id, "id": link}, as_json, "revoked")


@cli.group("release")
def release() -> None:
    """Whether the patient may read a report on their own page."""


@release.command("report")
@click.argument("request_id")
@click.option("--revision", required=True, help="Which revision: the newest, or it is refused.")
@click.option("--by", required=True, help="The primary doctor who releases it, by name.")
@with_json
@click.pass_context
def report(ctx: click.Context, request_id: str, revision: str, by: str, as_json: bool) -> None:
    """The primary doctor lets the patient of REQUEST_ID read the report."""
    from integration.store import releases

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        is_new = releases.release(conn, request_id, revision, by, actor=ME)
    show({"request_id": request_id, "changed": is_new}, as_json, "released" if is_new else "it was released already")


@release.command("take-back")
@click.argument("request_id")
@with_reason()
@with_json
@click.pass_context
def take_back(ctx: click.Context, request_id: str, reason: str, as_json: bool) -> None:
    """The patient's page does not show the report of REQUEST_ID any more."""
    from integration.store import releases

    with opened(ctx) as (_config, engine), engine.begin() as conn:
        releases.take_back(conn, request_id, actor=ME, reason=reason)
    show({"request_id": request_id}, as_json, "taken back")
