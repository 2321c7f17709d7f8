"""Look for the visit: offer the appointments that an EHR shows, follow the one that a person linked, and keep the due time true.

What is offered is never linked by itself. A linked one that was moved, canceled or kept moves both tracks.
"""

from datetime import datetime, timedelta

from integration import visit_reading, visits
from integration.store import appointments, bookings, patient_links, requests
from integration.store.appointments import Appointment, VisitStale
from integration.store.requests import Request
from integration.visit_reading import House
from integration.visits import Said
from jobs.steps.book_visit import SEARCHES_NOT
from jobs.watching import VISIT
from jobs.world import Context, Outcome
from mappings.appointment import OFFERED, Seen, change_of, is_ours, read_appointment
from mappings.model.errors import PermanentError
from mappings.model.states import FINAL, Status, Visit
from mappings.model.visit import Change, Known, Slot

OVER_AFTER = timedelta(days=14)  # after the visit: by then somebody has said whether the patient came


def watch_visit(ctx: Context) -> Outcome:
    """One look at one side of the request; the consultant's also counts anew when the records are due."""
    row, key = ctx.row(), ctx.step.endpoint
    if _is_over(row, ctx.now):
        return Outcome()
    if ctx.endpoint(key).appointments != "none":
        _look(ctx, row, key)
    if key == row.fulfiller and ctx.row().visit == Visit.BOOKED:
        _count_anew(ctx)
    every = ctx.world.config.schedules.watch_chart_seconds
    return Outcome(again_at=VISIT.next_look(ctx.now, ctx.step.created_at, every_seconds=every))


def _is_over(row: Request, now: datetime) -> bool:
    if row.status in FINAL and row.status != Status.COMPLETED or row.visit == Visit.COMPLETED:
        return True
    return row.visit_at is not None and now > row.visit_at + OVER_AFTER


def _look(ctx: Context, row: Request, key: str) -> None:
    with ctx.world.engine.begin() as conn:
        link = patient_links.of(conn, ctx.request_id, key)
        current = appointments.current(conn, ctx.request_id)
        owed = bookings.owed(conn, ctx.request_id, key)
    is_taken_back = any(each.reference == (current and current.reference) for each in owed)
    if link is None:
        return  # nobody knows yet who the patient is there
    seen = _appointments(ctx, key, link.reference)
    linked = current is not None and current.endpoint == key and current.reference
    if current is not None and linked and not is_taken_back:
        _follow(ctx, key, current, {each.reference: each for each in seen or ()})
    if seen is None:
        return  # what was offered before stays
    offers = [each for each in seen if each.status in OFFERED and each.start > ctx.now]
    with ctx.transaction() as conn:
        appointments.show(conn, ctx.request_id, key, [each for each in offers if each.reference != linked], ctx.now)


def _appointments(ctx: Context, key: str, patient: str) -> list[Seen] | None:
    """The patient's appointments, without those that we wrote; None where they cannot be searched, which is told.

    Of what is another patient's nothing is kept: it is a finding.
    """
    ours, seen = ctx.config.exchange.identifier_system, []
    found = _found(ctx, key, patient.partition("/")[2])
    if found is None:
        return None
    for resource in found:
        if resource.get("resourceType") != "Appointment" or is_ours(resource, ours):
            continue
        read = read_appointment(resource, patient, ctx.bases(key))
        if isinstance(read, Seen):
            seen.append(read)
        else:
            ctx.finding(read, _WORDS[read].format(key), f"Appointment/{resource.get('id')}")
    return seen


def _found(ctx: Context, key: str, patient: str) -> list[dict] | None:
    """From yesterday on; all of them where a server does not search by date. None, with what to do, where it refuses to search."""
    since = {"date": f"ge{ctx.now - timedelta(days=1):%Y-%m-%d}"}
    refused = 0
    for params in ({"patient": patient, **since}, {"patient": patient}):
        try:
            return ctx.server(key).search_all("Appointment", params)
        except PermanentError as error:
            if error.status_code not in SEARCHES_NOT:
                raise
            refused = error.status_code
    ctx.finding(
        "appointments-not-searched",
        f"{key} does not let us search appointments (HTTP {refused}): none is offered from there, and a visit that was linked is still read "
        "by itself. Ask its contact to allow the search (scope system/Appointment.rs), or set appointments: none for the endpoint, "
        "and record the visit by hand",
        "Appointment?patient",
    )
    return None


_WORDS = {
    "appointment-other-patient": "{} shows an appointment for a search by the patient that is another patient's; it is not offered",
    "appointment-without-start": "{} shows an appointment without a start that is an instant with a zone; it is not offered",
}


def _follow(ctx: Context, key: str, current: Appointment, seen: dict[str, Seen]) -> None:
    """What became of the linked appointment; one that the search does not show is read by itself."""
    reference = current.reference or ""
    there = seen.get(reference) or _read(ctx, key, reference)
    if there is None:
        return
    what = change_of(there, current.slot, Visit(current.status))
    if what is None:
        return
    slot = None
    if what is Change.RESCHEDULED:
        slot = Slot(there.start, current.zone, there.end, there.place, there.with_whom, key, reference)
    words = f"{reference} at {key} says {there.status}"
    said = Said(ctx.now, visits.EXCHANGE, words, current.version)
    try:
        visits.change(_house(ctx), ctx.request_id, what, said, slot, known=Known(current.known))
    except VisitStale:
        return  # a person said something meanwhile: the next look compares with that
    except visits.NotPossible as error:
        ctx.finding("appointment-not-followed", f"{words}, and {error}", reference)


def _read(ctx: Context, key: str, reference: str) -> Seen | None:
    resource = ctx.server(key).read_if_there(reference)
    if resource is None:
        ctx.finding(
            "appointment-gone", f"{reference}, which is the visit, is no longer at {key}; ask there", reference, "error"
        )
        return None
    with ctx.world.engine.begin() as conn:
        link = patient_links.of(conn, ctx.request_id, key)
    read = read_appointment(resource, link.reference if link else "", ctx.bases(key))
    if isinstance(read, Seen):
        return read
    ctx.finding(read, _WORDS[read].format(key), reference, "error")
    return None


def _house(ctx: Context) -> House:
    return House(ctx.world.engine, ctx.world.payloads, ctx.world.config)


def _count_anew(ctx: Context) -> None:
    """Items were found, or the site's own days are known by now: when the records are due may have changed."""
    reading = visit_reading.read(_house(ctx), ctx.request_id, ctx.now)
    if reading.booked is None:
        return
    due = reading.due(reading.booked.start_at)
    if (due.at, due.risk_at) == (reading.row.records_due_at, reading.row.records_risk_at):
        return
    with ctx.transaction() as conn:
        now = requests.get(conn, ctx.request_id)
        if now.visit_at == reading.row.visit_at:
            visits.move_due(conn, now, due.at, due.risk_at, due.why, actor=visits.EXCHANGE)
