"""Write what a patient agreed to as a Consent at the hosted practice of who asks: one resource, each statement a version of it."""

from datetime import timedelta

from integration.store import consents, links, patient_links
from integration.store.consents import ConsentRow
from jobs.target.looking import find_all
from jobs.target.writing import ensure_created
from jobs.world import Context, Outcome
from mappings.codes import as_dict
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
    reference = _known(ctx, key, identifier)
    if reference is None:
        ensure_created(ctx, key, wanted, identifier, authored=True, look=True)
    else:
        _update(ctx, key, reference, wanted)
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


def _known(ctx: Context, key: str, identifier: Identifier) -> str | None:
    pair = (identifier.system, identifier.value)
    with ctx.world.engine.begin() as conn:
        link = links.find_rows(conn, key, [pair]).get(pair)
    if link is not None:
        return link.reference
    found = find_all(ctx, key, "Consent", identifier)
    return f"Consent/{found[0]['id']}" if found else None


def _update(ctx: Context, key: str, reference: str, wanted: dict) -> None:
    """As it is wanted, unless it is so. Somebody who took it away there had a reason: it is said, not made again."""
    there = ctx.server(key).read_if_there(reference)
    if there is None:
        ctx.finding("own-gone", f"{reference}, which says what the patient agreed to, is no longer at {key}", reference)
        return
    if {name: there.get(name) for name in wanted} == wanted:
        return
    ctx.lease.before_write()
    keep = {name: value for name, value in there.items() if name in ("id", "meta")}
    ctx.server(key).update({**wanted, **keep}, if_match=as_dict(there.get("meta")).get("versionId"), authored=True)


def _is_other(ctx: Context, written: ConsentRow) -> bool:
    """Another statement came while this one was written: there is no new step while this one is open."""
    with ctx.world.engine.begin() as conn:
        newest = consents.newest(conn, ctx.request_id)
    return newest is not None and newest.id != written.id
