"""Free times of the consulting provider: shown as they are now, and one of them chosen."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from integration import free_times, visit_reading, visits
from integration.free_times import FreeTimes
from integration.live_reads import NotNow
from integration.store.operations import NotPossible
from integration.views import free_times as views
from integration.views.texts import t
from integration.views.visit import in_zone
from integration.visit_reading import Reading
from integration.visits import Said
from integration.web import forms, pages, world
from integration.web.coordinator.drafting.step import not_now
from mappings.model.visit import Warn
from mappings.times import in_utc

blueprint = pages.sentences(Blueprint("free_times", __name__, url_prefix="/requests/<request_id>/visit/times"))


@dataclass(frozen=True)
class Wrong:
    """What the page is shown again with: a sentence, and what is to be set aside for the time that was chosen."""

    error: str = ""
    warnings: dict[Warn, str] = field(default_factory=dict)
    status: int = 400


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What is free from a day on. The look is recorded, and nothing of it is kept."""
    return _page(request_id)


@blueprint.post("")
def choose(request_id: str) -> ResponseReturnValue:
    """Ask for a time. One that is not free any more is said, with those that are."""
    if not forms.is_ours():
        return _page(request_id, Wrong(forms.refusal(), status=403))
    slot, seen = _chosen()
    try:
        if seen is None:
            raise NotPossible(t("checklist.which"))
        booking = free_times.choose(world.visits(), world.reads(), request_id, slot, seen, _said())
    except visits.MustConfirm as error:
        return _page(request_id, Wrong(warnings=error.warnings))
    except free_times.Taken as error:
        return _page(request_id, Wrong(_not_free(request_id, error), status=409))
    except NotNow as error:
        return _page(request_id, Wrong(not_now(error, "booking.instead"), status=409))
    except NotPossible as error:
        return _page(request_id, Wrong(str(error), status=409))
    said = t("booking.asked", place=world.place_name(booking.endpoint), when=in_zone(booking.start_at, booking.zone))
    return forms.told(said, url_for("visit.show", request_id=request_id))


def _chosen() -> tuple[str, datetime | None]:
    slot, _, seen = forms.typed("slot", 200).partition(" ")
    return slot, in_utc(seen)


def _said() -> Said:
    expected = forms.typed("expected", 9)
    return Said(
        datetime.now(UTC),
        forms.actor(),
        forms.typed("reason"),
        int(expected) if expected.isascii() and expected.isdigit() else 0,
        confirmed=visits.confirmed_of(request.form.getlist("confirm")),
    )


def _not_free(request_id: str, error: free_times.Taken) -> str:
    reading = visit_reading.read(world.visits(), request_id, datetime.now(UTC))
    return t(f"booking.not_free.{error.why}", place=world.place_name(reading.row.fulfiller))


def _page(request_id: str, wrong: Wrong = Wrong(status=200)) -> ResponseReturnValue:
    reading = visit_reading.read(world.visits(), request_id, datetime.now(UTC), actor=forms.actor())
    since, said = _since()
    found, away = _looked(reading, since)
    seen = _chosen()[1]
    return pages.render(
        "free_times.html",
        400 if said and wrong.status == 200 else wrong.status,
        reading=reading,
        wrong=wrong,
        said=said or away,
        found=found,
        days=views.by_day(found) if found else (),
        clock=views.clock,
        in_zone=in_zone,
        chosen=seen,
        span_days=free_times.DAYS,
    )


def _since() -> tuple[date | None, str]:
    typed = (request.values.get("since") or "").strip()[:20]
    try:
        return (date.fromisoformat(typed) if typed else None), ""
    except ValueError:
        return None, t("booking.day_wrong")


def _looked(reading: Reading, since: date | None) -> tuple[FreeTimes | None, str]:
    try:
        return free_times.look(world.visits(), world.reads(), reading, since, actor=forms.actor()), ""
    except NotNow as error:
        return None, not_now(error, "booking.instead")
    except NotPossible as error:
        return None, str(error)
