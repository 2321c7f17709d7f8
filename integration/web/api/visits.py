"""The visit of a request for programs: when it is, by when the records have to be there, and what became of it."""

from datetime import UTC, datetime

from integration import free_times as times
from integration import visit_reading, visit_times, visits
from integration.live_reads import NotNow
from integration.store.operations import NotPossible
from integration.views.free_times import view as free_times_view
from integration.views.visit import view
from integration.visits import Said
from integration.web import forms, world
from integration.web.api.routes import get, post
from integration.web.api.visit_models import FreeTimesAnswer, FreeTimesAsked, TimeChosen, Visit, VisitChange
from integration.web.problems import Problem
from mappings.model.visit import Change, Slot


@get("/requests/<request_id>/visit", refuses=("unknown",))
def visit(request_id: str) -> Visit:
    """How the visit stands, what is still needed for it, and what EHRs show. The look is recorded."""
    return _answer(request_id, forms.actor())


@post("/requests/<request_id>/visit", refuses=("wrong-body", "unknown", "not-possible"))
def change_visit(request_id: str, body: VisitChange) -> Visit:
    """Record the visit, another time, or what became of it. What has to be confirmed is refused until `confirm` names it."""
    said = Said(
        datetime.now(UTC),
        forms.actor(),
        body.reason,
        body.version,
        body.told_by,
        body.cancelation,
        visits.confirmed_of(body.confirm),
    )
    try:
        if body.reference is not None:
            visits.link(world.visits(), request_id, body.endpoint or "", body.reference, said)
        else:
            visits.change(world.visits(), request_id, Change(body.change), said, _slot(request_id, body))
    except visits.MustConfirm as error:
        words = ", ".join(f"`{warn}`" for warn in error.warnings)
        raise Problem("not-possible", f"{error} To keep it all the same, give {words} in `confirm`.") from error
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return _answer(request_id)


@get("/requests/<request_id>/visit/times", refuses=("wrong-query", "unknown", "not-possible", "not-now"))
def free_times(request_id: str, query: FreeTimesAsked) -> FreeTimesAnswer:
    """Free times of the consulting provider, read now; the look is recorded, and nothing of it is kept."""
    reading = visit_reading.read(world.visits(), request_id, datetime.now(UTC), actor=forms.actor())
    try:
        found = times.look(world.visits(), world.reads(), reading, query.since, actor=forms.actor())
    except NotNow as error:
        raise Problem("not-now", str(error)) from error
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return FreeTimesAnswer.model_validate(free_times_view(found))


@post("/requests/<request_id>/visit/times", refuses=("wrong-body", "unknown", "not-possible", "not-now"))
def book_time(request_id: str, body: TimeChosen) -> Visit:
    """Choose a free time. Nothing is booked until the server has said so: `bookings` tells what came of it."""
    said = Said(
        datetime.now(UTC), forms.actor(), body.reason, body.version, confirmed=visits.confirmed_of(body.confirm)
    )
    try:
        times.choose(world.visits(), world.reads(), request_id, body.slot, body.start, said)
    except visits.MustConfirm as error:
        words = ", ".join(f"`{warn}`" for warn in error.warnings)
        raise Problem("not-possible", f"{error} To book it all the same, give {words} in `confirm`.") from error
    except NotNow as error:
        raise Problem("not-now", str(error)) from error
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return _answer(request_id)


def _slot(request_id: str, body: VisitChange) -> Slot | None:
    if body.start is None:
        return None
    if body.zone is not None:
        zone = str(visit_times.known_zone(body.zone))
    else:
        zone = visit_reading.read(world.visits(), request_id, datetime.now(UTC)).calendar.zone.key
    if body.end is not None and body.end <= body.start:
        raise NotPossible("the visit ends before it begins")
    return Slot(body.start, zone, body.end, body.place, body.with_whom)


def _answer(request_id: str, actor: str = "") -> Visit:
    reading = visit_reading.read(world.visits(), request_id, datetime.now(UTC), actor=actor)
    return Visit.model_validate(view(reading))
