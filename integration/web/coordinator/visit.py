"""The visit of a request: when it is, by when the records have to be there, and what a coordinator knows of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import visit_reading, visit_times, visits
from integration.free_times import can_book
from integration.invitations import to_ics
from integration.store import appointments, audit, requests
from integration.store.appointments import Appointment
from integration.store.operations import NotPossible
from integration.views.free_times import says
from integration.views.texts import t
from integration.views.visit import in_zone
from integration.visits import Said
from integration.web import forms, pages, world
from mappings.model.visit import CANCELATIONS, Change, Slot, Warn

blueprint = pages.sentences(Blueprint("visit", __name__, url_prefix="/requests/<request_id>/visit"))
DO = {
    "book": Change.BOOKED,
    "reschedule": Change.RESCHEDULED,
    "cancel": Change.CANCELLED,
    "no-show": Change.NO_SHOW,
    "completed": Change.COMPLETED,
}
TIMED = (Change.BOOKED, Change.RESCHEDULED)


@dataclass(frozen=True)
class Wrong:
    """What a form is shown again with: a sentence, what is to be confirmed, whether a clock time was ambiguous."""

    error: str = ""
    warnings: dict[Warn, str] = field(default_factory=dict)
    is_ambiguous: bool = False
    status: int = 400


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """How the visit stands, and what is still needed for it. It shows what is wrong with a patient: the look is recorded."""
    return _page(request_id)


@blueprint.post("")
def say(request_id: str) -> ResponseReturnValue:
    """Keep what a person says of the visit. Nothing typed is lost: a refusal shows the page again with it."""
    if not forms.is_ours():
        return _page(request_id, Wrong(forms.refusal(), status=403))
    try:
        told = _dismissed(request_id) if forms.typed("do") == "dismiss" else _kept(request_id)
    except visits.MustConfirm as error:
        return _page(request_id, Wrong(warnings=error.warnings))
    except visit_times.Ambiguous as error:
        return _page(request_id, Wrong(str(error), is_ambiguous=True))
    except NotPossible as error:
        return _page(request_id, Wrong(str(error), status=409))
    return forms.told(told, url_for("visit.show", request_id=request_id))


@blueprint.get("/appointment.ics")
def calendar(request_id: str) -> ResponseReturnValue:
    """The visit as it stands, as a calendar entry for the patient. Its making is recorded."""
    with world.engine().begin() as conn:
        row, current = requests.get(conn, request_id), appointments.current(conn, request_id)
        if current is None:
            raise NotPossible(f"request {request_id} has no visit")
        audit.record(conn, forms.actor(), "visit.calendar-made", request_id, subject=f"version {current.version}")
    name = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(
        to_ics(world.config(), row.placer, current), headers=name, content_type="text/calendar; charset=utf-8"
    )


def _dismissed(request_id: str) -> str:
    endpoint, _, reference = forms.typed("which_one").partition(" ")
    reason = _reason(needed=True)
    visits.dismiss(world.engine(), request_id, endpoint, reference, actor=forms.actor(), reason=reason)
    return t("visits.dismissed")


def _kept(request_id: str) -> str:
    do = forms.typed("do")
    if do == "link":
        endpoint, _, reference = forms.typed("which_one").partition(" ")
        kept = visits.link(world.visits(), request_id, endpoint, reference, _said())
    elif do in DO:
        what = DO[do]
        _reason(needed=what not in (Change.BOOKED, Change.COMPLETED))
        slot = _slot(request_id) if what in TIMED else None
        kept = visits.change(world.visits(), request_id, what, _said(), slot)
    else:
        raise NotPossible(t("checklist.which"))
    return _told(request_id, kept)


def _said() -> Said:
    expected, code = forms.typed("expected", 9), forms.typed("cancelation")
    return Said(
        datetime.now(UTC),
        forms.actor(),
        _reason(),
        int(expected) if expected.isascii() and expected.isdigit() else 0,
        forms.typed("told_by", 200),
        code if code in CANCELATIONS else None,
        visits.confirmed_of(request.form.getlist("confirm")),
    )


def _told(request_id: str, kept: Appointment) -> str:
    with world.engine().connect() as conn:
        due = requests.get(conn, request_id).records_due_at
    return t("visits.kept", due=in_zone(due, kept.zone)) if due else t("visits.kept_plain")


def _slot(request_id: str) -> Slot:
    """What was typed, read in the zone of the consultant."""
    if not forms.typed("told_by", 200):
        raise NotPossible(t("visits.need_told_by"))
    with world.engine().connect() as conn:
        zone = visit_times.zone_of(world.config(), requests.get(conn, request_id), datetime.now(UTC))
    start = visit_times.start_of(forms.typed("day", 20), forms.typed("clock", 20), zone, forms.typed("which", 10))
    minutes = forms.typed("minutes", 4)
    if not (minutes.isascii() and minutes.isdigit() and 5 <= int(minutes) <= 1440):
        raise NotPossible("give the minutes as a whole number from 5 to 1440")
    end = start + timedelta(minutes=int(minutes))
    return Slot(start, str(zone), end, forms.typed("place", 200), forms.typed("with_whom", 200))


def _reason(*, needed: bool = False) -> str:
    reason = forms.typed("reason")
    if needed and not reason:
        raise NotPossible(t("action.no_reason"))
    return reason


def _page(request_id: str, wrong: Wrong = Wrong(status=200)) -> Response:
    reading = visit_reading.read(world.visits(), request_id, datetime.now(UTC), actor=forms.actor())
    return pages.render(
        "visit.html",
        wrong.status,
        reading=reading,
        wrong=wrong,
        in_zone=in_zone,
        codes=CANCELATIONS,
        says=says,
        can_book=can_book(world.config(), reading.row),
    )
