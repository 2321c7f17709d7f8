"""Write the visit that a person recorded as an Appointment at a practice that keeps none of its own, or keeps ours."""

from datetime import datetime, timedelta

from integration.store import appointments, links, patient_links
from integration.store.appointments import Appointment
from jobs.target.looking import find_all
from jobs.target.writing import ensure_created
from jobs.world import Context, Outcome
from mappings.appointment import to_appointment
from mappings.codes import as_dict
from mappings.model.request import Identifier
from mappings.model.states import Visit

UNTIL_LINKED = timedelta(minutes=15)


def write_visit(ctx: Context) -> Outcome:
    """Create it once, and update it when the visit changes; nothing before the patient there is known."""
    key = ctx.step.endpoint
    with ctx.world.engine.begin() as conn:
        current = appointments.current(conn, ctx.request_id)
        link = patient_links.of(conn, ctx.request_id, key)
    if current is None or current.endpoint == key:
        return Outcome()
    if link is None:
        return Outcome(again_at=ctx.now + UNTIL_LINKED)
    identifier = Identifier(
        system=ctx.config.exchange.identifier_system, value=f"{ctx.request_id}-visit-{current.began}"
    )
    wanted = to_appointment(
        current.slot,
        Visit(current.status),
        link.reference,
        identifier=identifier.model_dump(include={"system", "value"}),
        cancelation=current.cancelation,
    )
    reference = _known(ctx, key, identifier)
    if reference is None and current.is_booked:
        reference = ensure_created(ctx, key, wanted, identifier, authored=True, look=True)
    if reference is not None:
        _update(ctx, key, reference, wanted)
    return Outcome(again_at=_again(ctx, current))


def _known(ctx: Context, key: str, identifier: Identifier) -> str | None:
    """What it is called there: as we remember it, for a search may be late, else as it is found."""
    pair = (identifier.system, identifier.value)
    with ctx.world.engine.begin() as conn:
        link = links.find_rows(conn, key, [pair]).get(pair)
    if link is not None:
        return link.reference
    found = find_all(ctx, key, "Appointment", identifier)
    return f"Appointment/{found[0]['id']}" if found else None


def _update(ctx: Context, key: str, reference: str, wanted: dict) -> None:
    """As it is wanted, unless it is so. Somebody who took it away there had a reason: it is said, not made again."""
    there = ctx.server(key).read_if_there(reference)
    if there is None:
        ctx.finding("appointment-gone", f"{reference}, which we wrote for the visit, is no longer at {key}", reference)
        return
    if {name: there.get(name) for name in wanted} == wanted and "cancelationReason" not in {*there} - {*wanted}:
        return
    ctx.lease.before_write()
    keep = {name: value for name, value in there.items() if name in ("id", "meta", "basedOn")}
    ctx.server(key).update({**wanted, **keep}, if_match=as_dict(there.get("meta")).get("versionId"), authored=True)


def _again(ctx: Context, current: Appointment) -> datetime | None:
    """Once is enough, unless the visit changed meanwhile: then there is no new step while this one is open."""
    with ctx.world.engine.begin() as conn:
        now = appointments.current(conn, ctx.request_id)
    return ctx.now if now is not None and now.version != current.version else None
