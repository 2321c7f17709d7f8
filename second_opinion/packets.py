"""Commands about packets, and about who a patient is at an endpoint."""

from pathlib import Path

import click

from second_opinion.house import ME, acting, cli, opened, show, with_json, with_reason


@cli.group()
def patients() -> None:
    """Patients at endpoints."""


@patients.command("link")
@click.argument("request_id")
@click.argument("endpoint")
@click.argument("reference")
@with_reason(help="How you know; kept in the audit trail.")
@with_json
@click.pass_context
def patients_link(
    ctx: click.Context, request_id: str, endpoint: str, reference: str, reason: str, as_json: bool
) -> None:
    """Say who the patient of REQUEST_ID is at ENDPOINT: REFERENCE is Patient/<id> there."""
    from integration.store import operations

    with acting(ctx) as (_, engine), engine.begin() as conn:
        operations.link_patient(conn, request_id, endpoint, reference, actor=ME, reason=reason)
    show(
        {"request_id": request_id, "endpoint": endpoint, "reference": reference},
        as_json,
        "linked; what waited for it is due now",
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
    from integration.store import requests

    with opened(ctx) as (config, engine), engine.connect() as conn:
        requests.get(conn, request_id)
        payloads = Payloads(config.payloads.url)
        manifests = [packets.load(payloads, row.manifest_sha256).manifest for row in packets.rows(conn, request_id)]
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
@with_json
@click.pass_context
def packet_download(ctx: click.Context, request_id: str, file: Path, as_json: bool) -> None:
    """Write a request's packet to FILE as a zip: the readable PDF, the resources, the original documents, the manifest."""
    from integration.packets.payloads import Payloads
    from integration.packets.zipped import packet_zip

    with opened(ctx) as (config, engine), engine.begin() as conn:
        data = packet_zip(conn, Payloads(config.payloads.url), request_id)
    file.write_bytes(data)
    show({"file": str(file), "bytes": len(data)}, as_json, f"{file}: {len(data)} bytes")
