"""What the API answers about the directory of doctors. null: the source does not say, which is no no."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from integration.web.api.answers import Answer


class Specialty(Answer):
    """One specialty."""

    code: str = Field(description="Of NUCC.", examples=["207RX0202X"])
    words: str


class DirectoryStated(Answer):
    """One thing that is stated of a service."""

    what: Literal["program", "eligibility", "area", "referral", "provision", "appointment", "comment"]
    words: str


class DirectoryService(Answer):
    """A service that a doctor works in."""

    name: str | None
    states: list[DirectoryStated] = Field(
        description="Whom it takes, how it is asked, what it costs: what is stated alone."
    )


class DirectoryEntry(Answer):
    """One doctor in one place, as one source says it."""

    id: int
    npi: str | None
    name: str = Field(description="As people write it.")
    family: str = Field(description="As the source writes it.")
    given: str
    credentials: str | None
    gender: str | None
    languages: list[str] | None = Field(description="BCP-47 tags.")
    languages_in_words: list[str] | None
    specialties: list[Specialty] | None
    specialty_texts: list[str] | None
    organization: str | None
    address: str | None
    city: str | None
    state: str | None
    zip: str | None
    phone: str | None
    licensed_in: list[str] | None = Field(description="Licenses that are stated; others may exist.")
    second_opinions: bool | None = Field(description="Accepts requests for second opinions.")
    accepting_patients: bool | None
    endpoint: str | None = Field(description="The endpoint of this Exchange that reaches them.")
    fhir_address: str | None = Field(description="Listed, and no permission to send there.")
    direct_address: str | None
    services: list[DirectoryService] | None
    source: str = Field(description="Whose word it is, and how old.")
    updated_on: date | None
    status: Literal["active", "deactivated", "gone"]
    ended_on: date | None
    revision: int = Field(description="Give it back as `seen` with a correction.")


class DirectoryFound(DirectoryEntry):
    """An entry in a list."""

    miles: float | None
    group: Literal["stated", "not-stated", "no-place"] = Field(
        description="stated: all that was asked for; not-stated: nothing contradicts it; no-place: their place is not known."
    )
    not_stated: list[str] = Field(description="What was asked for and is not stated.")


class DirectoryPage(Answer):
    """One page of a search."""

    items: list[DirectoryFound]
    next: str | None = Field(description="Give it as `after` to get the next page; null at the end.")
    notes: list[str] = Field(description="What to know of these results.")
    why_none: str | None = Field(description="The reason when there are none.")
    sources: dict[str, str] = Field(description="Each source and how old it is.")


class DirectorySaid(Answer):
    """What a person corrected."""

    field: str
    value: str | bool | list[str] | None
    source_says: str | bool | list[str] | None
    by: str
    reason: str
    at: datetime


class DirectoryOther(Answer):
    """Another entry of the same NPI."""

    id: int
    name: str
    source: str
    status: str


class DirectoryProfile(DirectoryEntry):
    """An entry with all that is known."""

    corrections: list[DirectorySaid]
    others: list[DirectoryOther]


class DirectoryMade(Answer):
    """The entry that was made."""

    id: int
