"""What is asked and answered about SMART Health Links, the health library, and the numbers of the opinions."""

from datetime import datetime

from pydantic import Field

from integration.web.api.answers import Answer
from integration.web.api.bodies import _Input
from mappings.health_link import LONGEST_LINK, LONGEST_PASSCODE

LONGEST_PASTED = LONGEST_LINK + 1000  # with the address of a viewer before it


class HealthLinkBody(_Input):
    """A link by which the patient carries the records."""

    days: int = Field(
        30, ge=1, description="For how many days it opens; `health_links.longest_days` at most.", examples=[30]
    )
    passcode: bool = Field(True, description="False: whoever finds it reads it, and it holds the summary alone.")
    later_records: bool = Field(False, description="Later records come into it.")
    patient_asked: bool = Field(
        description="That the patient, or who speaks for them, asked for it: a link is for nobody else.",
        examples=[True],
    )


class BroughtLink(_Input):
    """A SMART Health Link that a patient brought."""

    link: str = Field(
        min_length=1,
        max_length=LONGEST_PASTED,
        description="All of it; it is kept nowhere.",
        examples=["shlink:/eyJ1cmwi"],
    )
    passcode: str = Field("", max_length=LONGEST_PASSCODE, description="The patient's, where it asks for one.")


class LinkOpening(Answer):
    """Somebody opened a link, or tried to."""

    at: datetime
    recipient: str = Field(description="Who, in their own words.")
    what: str = Field(description="manifest, file, direct, wrong-passcode, or kept: it might not leave.")
    files: int


class HealthLink(Answer):
    """A link, as it stands; never the link itself."""

    id: str
    state: str = Field(description="good, revoked, expired or used-up.")
    has_passcode: bool
    later_records: bool
    attempts_left: int = Field(description="Wrong passcodes that it still bears in its life.")
    files: int
    packet_version: int = Field(description="The newest packet in it.")
    documents_left_out: int = Field(description="Documents that did not fit.")
    holds_too_much: bool = Field(description="It holds kinds of record that the patient leaves out now.")
    made_by: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    ended_because: str | None
    openings: list[LinkOpening] = Field(description="Newest first.")


class HealthLinks(Answer):
    """The links of a request, newest first."""

    request_id: str
    left_out: list[str] = Field(description="Kinds of record that a new link leaves out, by the patient's choice.")
    health_links: list[HealthLink]


class HealthLinkMade(Answer):
    """A new link: shown here and never again."""

    request_id: str
    id: str
    link: str
    passcode: str | None = Field(description="To be given by another way than the link; null for one without.")
    documents_left_out: int


class LinkTaken(Answer):
    """What came of a link that was brought."""

    request_id: str
    taken: list[str] = Field(description="New records; each waits until somebody says whose and what it is.")
    known: list[str] = Field(description="Records whose very bytes are there already.")
    refused: list[str] = Field(description="A sentence for each file that was not taken.")


class LibraryQuery(_Input):
    """In which language."""

    language: str = Field("", max_length=10, description="One that the library is configured for.", examples=["es"])


class LibraryReading(Answer):
    """One thing to read."""

    title: str
    href: str
    summary: str = Field(description="HTML that holds words, lists and links to https addresses alone.")


class Library(Answer):
    """What the configured health library has for the diagnosis; only its code was sent there."""

    request_id: str
    state: str = Field(description="off, no-code, found, empty, old (kept: the service is away) or away.")
    source: str
    language: str
    languages: list[str]
    code: str | None = Field(description="The code that was asked for.")
    readings: list[LibraryReading]
    read_at: datetime | None


class NumbersQuery(_Input):
    """One calendar quarter; empty: the newest that is shown."""

    period: str = Field("", max_length=7, description="Shown 90 days after its end.", examples=["2026-Q1"])


class OpinionNumbers(Answer):
    """The numbers of the opinions, for people of practices those of theirs alone; nothing of a patient."""

    period: str = Field(description="A calendar quarter, UTC.", examples=["2026-Q1"])
    as_of: str = Field(description="The day as of which it is counted.", examples=["2026-06-29"])
    least: int = Field(description="Counts from 1 to one less are kept back, and what would give them away.")
    lines: list[dict[str, str | int | float | None]] = Field(
        description="All of them, then by specialty and by consultant; null where a number is kept back, or there is none."
    )
