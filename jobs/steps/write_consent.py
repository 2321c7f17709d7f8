"""Write what a patient agreed to as a Consent at the hosted practice of who asks: one resource, each statement a version of it."""

from datetime import timedelta

from integration.store import consents, patient_links
from integration.store.consents import ConsentRow
from jobs.target.own_copy import keep
from jobs.world import Context, Outcome
from mappings.consent import to_consent
from mappings.model.request import Identifier

UNTIL_LINKED = timedelta(minutes=15)


def write_consent(ctx: Context) -> Outcome:
    """Create it once, and update it when another statement stands; nothing before the patient there is known."""
    key = ctx.step.endpoint
    with ctx.world.engine.begin() as conn:
        newest = consents.newest(conn, ctx.request_id)
        link = patient_links.of(conn, ctx.request_id, key)
    if newest is None:
        return Outcome()
    if link is None:
        return Outcome(again_at=ctx.now + UNTIL_LINKED)
    identifier = Identifier(system=ctx.config.exchange.identifier_system, value=f"Consent/{ctx.request_id}")
    wanted = _wanted(ctx, newest, identifier, link.reference)
    keep(ctx, wanted, identifier, "what the patient agreed to")
    return Outcome(again_at=ctx.now if _is_other(ctx, newest) else None)


def _wanted(ctx: Context, row: ConsentRow, identifier: Identifier, patient: str) -> dict:
    request = ctx.row()
    places = row.recipients if row.recipients is not None else [request.fulfiller, request.placer]
    return to_consent(
        row.consent,
        identifier=identifier.model_dump(include={"system", "value"}),
        patient=patient,
        at=row.created_at,
        organization=ctx.endpoint(ctx.step.endpoint).name,
        recipients=[ctx.endpoint(each).name for each in places],
    )


def _is_other(ctx: Context, written: ConsentRow) -> bool:
    """Another statement came while this one was written: there is no new step while this one is open."""
    with ctx.world.engine.begin() as conn:
        newest = consents.newest(conn, ctx.request_id)
    return newest is not None and newest.id != written.id
