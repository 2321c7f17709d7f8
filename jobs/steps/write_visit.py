"""Write the visit that a person recorded as an Appointment at a practice that keeps none of its own, or keeps ours."""

from datetime import datetime, timedelta

from integration.store import appointments, patient_links
from integration.store.appointments import Appointment
from jobs.target.own_copy import keep
from jobs.world import Context, Outcome
from mappings.appointment import to_appointment
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
    keep(ctx, wanted, identifier, "the visit", begins=current.is_booked)
    return Outcome(again_at=_again(ctx, current))


def _again(ctx: Context, current: Appointment) -> datetime | None:
    """Once is enough, unless the visit changed meanwhile: then there is no new step while this one is open."""
    with ctx.world.engine.begin() as conn:
        now = appointments.current(conn, ctx.request_id)
    return ctx.now if now is not None and now.version != current.version else None
