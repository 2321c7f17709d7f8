"""The section `calendar` of an endpoint: when its people work, so that days before a visit are counted as they count them."""

from datetime import date, time
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import holidays
from pydantic import Field, field_validator, model_validator

from integration.settings.mistakes import nearest
from integration.settings.parts import Name, Section
from mappings.due_dates import Calendar

if TYPE_CHECKING:
    from integration.settings.config import Config

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR = r"^([01]\d|2[0-3]):[0-5]\d$"
_YEARS = 2  # before and after the one that is asked for: a lead time never reaches farther


class ClosedDay(Section):
    """A day on which the practice is closed though it is no public holiday."""

    on: date = Field(strict=False, description="The day.", examples=["2026-12-24"])
    why: Name = Field("closed", description="What pages call it.", examples=["Staff day"])


class WorkCalendar(Section):
    """Zone, holidays and hours of a practice."""

    zone: str = Field(description="Its time zone, by its IANA name.", examples=["America/Chicago"])
    country: str | None = Field(
        None,
        description="Country whose public holidays it keeps (ISO 3166-1, two letters), with the days on which they are observed. "
        "Without it, no holiday is counted.",
        examples=["US"],
    )
    subdivision: str | None = Field(
        None, description="State whose own holidays it keeps too (ISO 3166-2, without the country).", examples=["IL"]
    )
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = Field(
        ("mon", "tue", "wed", "thu", "fri"),
        strict=False,
        description="Days of the week on which somebody receives and files records.",
        examples=[["mon", "tue", "wed", "thu", "fri"]],
    )
    closed: tuple[ClosedDay, ...] = Field(
        (),
        strict=False,
        description="Further days on which it is closed.",
        examples=[[{"on": "2026-12-24", "why": "Staff day"}]],
    )
    opens: str = Field("08:00", pattern=_HOUR, description="When it opens, there.", examples=["08:00"])
    closes: str = Field(
        "17:00",
        pattern=_HOUR,
        description="Its close of business, there: records due on a day are due then.",
        examples=["17:00"],
    )

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(
                f"is no time zone{nearest(value, available_timezones())}; write one such as America/Chicago"
            )
        return value

    @model_validator(mode="after")
    def _is_a_place(self) -> "WorkCalendar":
        known = holidays.list_supported_countries()
        if self.country is None and self.subdivision is not None:
            raise ValueError("needs `country` together with `subdivision`")
        if self.country is not None and self.country not in known:
            raise ValueError(
                f"has the country {self.country}, whose holidays are not known: write two letters such as US"
            )
        if self.subdivision is not None and self.subdivision not in known[self.country or ""]:
            raise ValueError(
                f"has the subdivision {self.subdivision}, which {self.country} has not; it has "
                f"{', '.join(known[self.country or '']) or 'none'}"
            )
        if self.opens >= self.closes:
            raise ValueError("must open before it closes")
        return self

    def around(self, year: int) -> Calendar:
        """Its days and hours, with the holidays of the years around one."""
        days = dict(_holidays(self.country, self.subdivision, year))
        days |= {each.on: each.why for each in self.closed}
        return Calendar(
            ZoneInfo(self.zone),
            frozenset(map(_WEEKDAYS.index, self.weekdays)),
            MappingProxyType(days),
            time.fromisoformat(self.opens),
            time.fromisoformat(self.closes),
        )


def calendar_of(config: "Config", endpoint: str, year: int) -> tuple[Calendar, bool]:
    """When the people of an endpoint work, around a year; False when config.yaml does not tell, or has the endpoint no longer.

    Then Monday to Friday in UTC, without holidays.
    """
    configured = config.endpoints.get(endpoint)
    if configured is None or configured.calendar is None:
        return Calendar(ZoneInfo("UTC")), False
    return configured.calendar.around(year), True


@lru_cache(maxsize=256)
def _holidays(country: str | None, subdivision: str | None, year: int) -> dict[date, Any]:
    if country is None:
        return {}
    years = range(year - _YEARS, year + _YEARS + 1)
    return dict(holidays.country_holidays(country, subdiv=subdivision, years=years))
