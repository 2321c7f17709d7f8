"""Commands about the audit trail."""

import click

from second_opinion.house import EXIT_FAILED, cli, opened, progress_of, show, with_json


@cli.group("audit")
def audit_group() -> None:
    """The audit trail: who did what, when and why."""


@audit_group.command("verify")
@with_json
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Hold the audit trail against its seals: was a row changed, removed or slipped in?"""
    from integration.store import audit_seals

    with opened(ctx) as (_, engine), progress_of("seals") as progress:
        with engine.begin() as conn:
            audit_seals.seal(conn)
        with engine.connect() as conn:
            broken, last = audit_seals.check(conn, progress), audit_seals.newest(conn)
    told = {
        "whole": not broken,
        "seals": last.id if last else 0,
        "newest_sha256": last.sha256 if last else None,
        "broken": [{"seal": each.seal, "sealed_at": each.sealed_at.isoformat(), "what": each.what} for each in broken],
    }
    lines = [f"seal {each.seal} of {each.sealed_at:%Y-%m-%d %H:%M} UTC: {each.what}" for each in broken]
    whole = f"the audit trail is whole: {told['seals']} seals, the newest {last.sha256[:16] if last else 'none'}"
    show(told, as_json, "\n".join(lines) or whole)
    if broken:
        ctx.exit(EXIT_FAILED)
