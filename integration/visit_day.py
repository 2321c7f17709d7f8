"""The day of a request's visit: that of the appointment while one is booked, else the day by which the opinion is wanted."""

from datetime import date

from integration.store.appointments import Appointment
from mappings.model.request import SecondOpinionRequest

BOOKED, WANTED, TODAY = (
    "the day of the visit",
    "the day by which the opinion is wanted",
    "today, because no day of the visit is known",
)


def known_day(content: SecondOpinionRequest, booked: Appointment | None) -> date | None:
    """The day, by the clock where the visit takes place; None while nobody knows one."""
    return booked.day if booked is not None and booked.is_booked else content.wanted_by


def judged_day(content: SecondOpinionRequest, booked: Appointment | None, today: date) -> tuple[date, str]:
    """The day for which records and suitability are judged, and what it is: a wanted day that is over counts no more."""
    is_booked = booked is not None and booked.is_booked
    day = known_day(content, booked)
    if day is None or not is_booked and day < today:
        return today, TODAY
    return day, BOOKED if is_booked else WANTED
