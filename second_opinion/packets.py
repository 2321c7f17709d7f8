"""Commands about packets, and about who a patient is at an endpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from integration.patients import Comparison

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason


@cli.group()
def patients() -> None:
    """Patients at endpoints."""


@patients.command("compare")
@click.argument("request_id")
@click.argument("endpoint")
@click.option("--show", "shown", is_flag=True, help="Show names, dates and numbers of both; needs --reason.")
@with_reason(required=False, help="Why you look; kept in the audit trail.")
@with_json
@click.pass_context
def patients_compare(
    ctx: click.Context, request_id: str, endpoint: str, shown: bool, reason: str | None, as_json: bool
) -> None:
    """Who the patient of REQUEST_ID is at ENDPOINT, and who could be: what agrees and what differs."""
    from integration.packets.payloads import Payloads
    from integration.patients import comparison
    from integration.store import audit, requests

    if shown and not reason:
        raise click.UsageError("--show needs --reason: showing both persons is kept in the audit trail")
    with opened(ctx) as (config, engine):
        if shown:
            with engine.begin() as conn:
                requests.get(conn, request_id)
                audit.record(conn, ME, "patient.compared", request_id, subject=endpoint, reason=reason)
        found = comparison(engine, Payloads(config.payload_store), config, request_id, endpoint)
    view = _compared_view(found, shown)
    show(view, as_json, "\n".join(_compared_lines(view)))


def _compared_view(found: "Comparison", shown: bool) -> dict:
    """Without a value of either person unless they are shown."""
    return {
        "request_id": found.request_id,
        "endpoint": found.endpoint,
        "linked": found.link and {"reference": found.link.reference, "by": found.link.actor, "sent": found.sent},
        "candidates": [
            {
                "reference": each.reference,
                "sure": each.is_sure,
                "refused": bool(each.refused),
                "why": each.told,
                "linked_for": each.linked_for or None,
                "lines": [
                    {"name": line.name, "agrees": line.agrees}
                    | ({"ours": line.one, "theirs": line.other} if shown else {})
                    for line in each.lines
                    if line.one or line.other
                ],
            }
            for each in found.candidates
        ],
    }


_AGREES = {True: "agrees", False: "DIFFERS", None: "not on both sides"}


def _compared_lines(view: dict) -> list[str]:
    from integration.store import operations

    linked = view["linked"]
    lines = [
        f"linked: {linked['reference']} by {linked['by']}; sent under it: {operations.in_words(linked['sent'])}"
        if linked
        else f"nobody at {view['endpoint']} is linked to {view['request_id']}"
    ]
    for each in view["candidates"]:
        verdict = "cannot be the patient" if each["refused"] else "surely the same" if each["sure"] else "not certain"
        lines.append(f"{each['reference']}: {verdict}{': ' if each['why'] else ''}{each['why']}")
        for line in each["lines"]:
            lines.append(f"  {line['name'].replace('_', ' '):<12} {_AGREES[line['agrees']]}")
            lines += [f"    {side}: {', '.join(line[side]) or '-'}" for side in ("ours", "theirs") if side in line]
    return lines if view["candidates"] else [*lines, "no step has found anybody who could be meant"]


@patients.command("link")
@click.argument("request_id")
@click.argument("endpoint")
@click.argument("reference")
@click.option("--confirm", is_flag=True, help="They are one person, although something differs or is not known.")
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def patients_link(
    ctx: click.Context, request_id: str, endpoint: str, reference: str, confirm: bool, reason: str, as_json: bool
) -> None:
    """Say who the patient of REQUEST_ID is at ENDPOINT: REFERENCE is Patient/<id> there. It holds for this request."""
    from integration.packets.payloads import Payloads
    from integration.patients import NeedsSecondWord, link

    with acting(ctx) as (config, engine):
        payloads = Payloads(config.payload_store)
        try:
            link(engine, payloads, config, request_id, endpoint, reference, actor=ME, reason=reason, confirmed=confirm)
        except NeedsSecondWord as error:
            raise NeedsSecondWord(f"{error} with --confirm, after comparing: second-opinion patients compare") from None
    show(
        {"request_id": request_id, "endpoint": endpoint, "reference": reference},
        as_json,
        "linked; it is read and compared before anything is sent, and what waited for it is due now",
    )


@patients.command("unlink")
@click.argument("request_id")
@click.argument("endpoint")
@with_reason(help="What was wrong; kept in the audit trail.")
@with_json
@click.pass_context
def patients_unlink(ctx: click.Context, request_id: str, endpoint: str, reason: str, as_json: bool) -> None:
    """Undo a link: nothing more goes there under it. What went there is listed, and stays until it is removed there."""
    from integration.store import operations

    with opened(ctx) as (_, engine), engine.begin() as conn:
        undone = operations.unlink_patient(conn, request_id, endpoint, actor=ME, reason=reason)
    show(
        {"request_id": request_id, "endpoint": endpoint, "reference": undone.reference, "sent": undone.sent},
        as_json,
        f"unlinked {undone.reference}; went there meanwhile: {operations.in_words(undone.sent)}",
    )


@cli.group()
def packet() -> None:
    """Packets: what was gathered for a request."""


@packet.command("show")
@click.argument("request_id")
@with_json
@click.pass_context
def packet_show(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The manifests of a request's packets."""
    from integration.packets import stored as packets
    from integration.packets.payloads import Payloads
    from integration.store import packets as packet_rows
    from integration.store import requests

    with opened(ctx) as (config, engine), engine.connect() as conn:
        requests.get(conn, request_id)
        payloads = Payloads(config.payload_store)
        manifests = [
            packets.load(payloads, row.manifest_sha256).manifest for row in packet_rows.of_request(conn, request_id)
        ]
    show(
        [manifest.model_dump(mode="json") for manifest in manifests],
        as_json,
        "\n".join(
            f"{manifest.packet_id}: {len(manifest.resources)} resources, {len(manifest.items) - len(manifest.resources)} "
            f"attachments, from {manifest.source_endpoint}"
            for manifest in manifests
        )
        or "no packet yet",
    )


@packet.command("download")
@click.argument("request_id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_reason(help="Why you take it; kept in the audit trail.")
@with_json
@click.pass_context
def packet_download(ctx: click.Context, request_id: str, file: Path, reason: str, as_json: bool) -> None:
    """Write a request's packet to FILE as a zip: the readable PDF, the resources, the original documents, the manifest."""
    from integration.packets.payloads import Payloads
    from integration.packets.zipped import packet_zip
    from integration.store import audit, requests

    with opened(ctx) as (config, engine):
        with engine.begin() as conn:  # the record stands before anything is read
            requests.get(conn, request_id)
            audit.record(conn, ME, "packet.downloaded", request_id, reason=reason)
        with engine.begin() as conn:
            data = packet_zip(conn, Payloads(config.payload_store), request_id)
    file.write_bytes(data)
    show({"file": str(file), "bytes": len(data)}, as_json, f"{file}: {len(data)} bytes")


@packet.command("key-facts")
@click.argument("request_id")
@with_json
@click.pass_context
def packet_key_facts(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """The key facts of REQUEST_ID's packets, and how many records are not among them. Clinical content; the look is recorded."""
    from integration.packets.payloads import Payloads
    from integration.reading import read_whole
    from integration.views.reading import in_words, view
    from integration.visit_reading import House

    with opened(ctx) as (config, engine):
        house = House(engine, Payloads(config.payload_store), config)
        found = read_whole(house, request_id, actor=ME, reason="command line")
    show(view(found), as_json, "\n".join(in_words(found)))
