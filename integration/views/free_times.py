"""Free times, and what became of those that were chosen, as pages, API and commands show them."""

from itertools import groupby

from integration.free_times import Choice, FreeTimes
from integration.store.bookings import Booking
from integration.views.texts import t
from integration.views.visit import in_zone
from mappings.model.booking import Why


def view(found: FreeTimes) -> dict:
    """As JSON."""
    return {
        "endpoint": found.endpoint,
        "since": found.since,
        "zone": str(found.zone),
        "patient_zone": found.patient_zone and str(found.patient_zone),
        "more": found.more,
        "times": [_time(found, each) for each in found.choices],
    }


def _time(found: FreeTimes, each: Choice) -> dict:
    return {
        "slot": each.time.reference,
        "start_at": each.time.start,
        "end_at": each.time.end,
        "when": in_zone(each.time.start, found.zone),
        "when_for_patient": found.patient_zone and in_zone(each.time.start, found.patient_zone),
        "with_whom": each.time.with_whom,
        "place": each.time.place,
        "kind": each.time.kind,
        "warnings": {warn.value: says for warn, says in each.warnings.items()},
    }


def by_day(found: FreeTimes) -> list[tuple[str, list[Choice]]]:
    """The times under their day, as the clocks of the practice show it."""

    def day(each: Choice) -> str:
        return f"{each.time.start.astimezone(found.zone):%A, %B %-d, %Y}"

    return [(words, list(some)) for words, some in groupby(found.choices, day)]


def clock(found: FreeTimes, each: Choice) -> str:
    """From when to when, by the clocks of the practice."""
    start = f"{each.time.start.astimezone(found.zone):%H:%M}"
    if each.time.end is None:
        return t("booking.time_open", clock=start)
    return t("booking.time", clock=start, end=f"{each.time.end.astimezone(found.zone):%H:%M}")


def says(each: Booking, place: str) -> str:
    """How a booking stands, and why, in sentences."""
    stands = t(f"booking.stands.{each.status}", place=place, when=in_zone(each.start_at, each.zone))
    return f"{stands} {t(f'booking.why.{each.why}')}" if each.why and each.why in set(Why) else stands
