"""What the API answers about what has to be there before a visit: suitability, records, slides and discs, insurance."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from integration.web.api.answers import Answer


class ChecklistQuestion(Answer):
    """Asked once; answered under its key."""

    key: str
    text: str


class ChecklistEvidence(Answer):
    """A record that speaks for an item: where it is at the source, why it matched, its day."""

    source: str
    why: str
    day: date | None


class ChecklistItem(Answer):
    """How one item stands on the day of the visit."""

    item: str
    label: str
    need: str
    state: str = Field(
        description="found, stale (too old), partial, missing, unknown (answer the question), requested, promised, waived or "
        "not-applicable."
    )
    reasons: list[str]
    question: ChecklistQuestion | None
    note: str | None
    sources: list[str]
    evidence: list[ChecklistEvidence]


class Checklist(Answer):
    """How a request's records stand against its checklist."""

    request_id: str
    checklist: str
    title: str
    why: str = Field(description="Why it is held against this checklist.")
    version: str
    sha256: str = Field(description="Hash of the files that the checklists were read from.")
    visit: date
    visit_is: str
    packets: int
    left_out: list[str] = Field(
        description="Kinds of record that the patient leaves out for who asks; an item of theirs counts as not there."
    )
    counts: dict[str, int]
    items: list[ChecklistItem]


class SuitabilityRefusal(Answer):
    """Why the program does not take the request."""

    key: str
    sentence: str


class WentOn(Answer):
    """Who asks all the same."""

    by: str
    at: datetime
    why: str


class Listed(Answer):
    """What the directory states of the service of a consultant who was chosen there, or whom it knows by their NPI."""

    program: str
    states: list[str] = Field(description="Conditions, how it is asked, what it costs, and which entry says so.")


class Suitability(Answer):
    """How a request stands to what its program takes."""

    request_id: str
    fulfiller: str
    program: str | None = Field(description="null: nobody wrote down what it takes.")
    takes: list[str] = Field(description="What the program takes and refuses, and who says so.")
    listed: Listed | None = Field(
        description="null: the consultant was not chosen from the directory and is not known there by an NPI, or it states nothing."
    )
    day: date
    day_is: str
    stops: bool = Field(
        description="Nothing is gathered until somebody goes on all the same, or the request is corrected."
    )
    refusals: list[SuitabilityRefusal]
    questions: list[ChecklistQuestion] = Field(description="What is not known; it stops nothing.")
    cautions: list[str]
    fits: list[str]
    good_reasons: dict[str, str] = Field(description="Which of the four good reasons the request names.")
    went_on: WentOn | None
    not_for_emergencies: str = Field(description="What to do instead in an emergency.")


class SourceEvent(Answer):
    """One line of what became of an ask."""

    word: str
    at: datetime
    actor: str
    day: date | None
    reference: str | None = Field(description="The Task at the source.")
    outputs: list[str] = Field(description="What the source gave, as it is called there.")


class SourceAsk(Answer):
    """What was asked of a source, and how it stands."""

    id: int
    request_id: str
    source: str | None = Field(description="The endpoint; null for another place.")
    holder: str
    road: str = Field(description="task or letter.")
    items: list[str]
    due: date
    wanted_by: date = Field(description="The day it was promised for, else `due`.")
    renews: int | None = Field(description="The ask that this one repeats.")
    state: str
    late: bool
    says: str
    next: str
    last: int = Field(description="Give it back as `after`.")
    history: list[SourceEvent]


class SourceAsks(Answer):
    """Everything that was asked for a request."""

    request_id: str
    items: list[SourceAsk]


class ParcelMove(Answer):
    """One line of where a thing was."""

    word: str
    day: date
    by: str
    actor: str
    at: datetime
    carrier: str | None
    tracking: str | None
    pieces: int | None
    note: str | None


class Parcel(Answer):
    """A thing that travels by courier, and how it counts for its item."""

    id: int
    item: str
    what: str
    source: str
    state: str
    counts_as: str
    why: str
    sent: int | None
    counted: int | None
    mismatch: bool
    last: int = Field(description="Give it back as `after`.")
    next: list[str] = Field(description="What can be said of it next.")
    history: list[ParcelMove]


class Parcels(Answer):
    """Everything that travels by courier for a request."""

    request_id: str
    items: list[Parcel]


class CoverageSaid(Answer):
    """One answer of an insurer."""

    id: str
    source: str = Field(description="phone, payer (the insurer's own system) or order (written there by the insurer).")
    answer: str = Field(description="covered, not-covered, conditional or unclear.")
    counts: bool = Field(description="It is the last word about this insurance, and no wrong entry.")
    why_not: str | None
    stale: list[str] = Field(description="Why it cannot be relied on for the visit; empty: it can.")
    said: dict[str, Any] = Field(description="All that was said, field by field; what was not said is not there.")


class InsuranceInEhr(Answer):
    """One insurance of the patient, as the EHR showed it. null: it does not say."""

    reference: str
    insurer: str | None
    plan: str | None
    status: str | None
    begins: date | None
    ends: date | None
    relationship: str | None
    read_at: datetime | None
    ends_before_the_visit: bool


class PayerAskedAnswer(Answer):
    """A question to an insurer's own system."""

    id: int
    endpoint: str
    coverage: str
    service: str
    service_on: date | None
    status: str = Field(description="asked, sent, answered, refused or silent.")
    detail: str | None = Field(description="Why it was not asked.")
    reference: str | None = Field(description="What the question, then the response is called there.")
    answer_id: str | None = Field(description="The answer that came of it.")
    actor: str
    created_at: datetime


class Coverage(Answer):
    """How a request's coverage stands for its visit. No amounts of money."""

    request_id: str
    version: int
    visit: date | None
    answer: str | None = Field(description="The last word; null: nobody asked.")
    stale: list[str]
    required: str = Field(description="yes, no or unknown: does the insurer require this opinion?")
    next: str | None = Field(description="What a person does now; null: nothing.")
    answers: list[CoverageSaid]
    insurances: list[InsuranceInEhr] = Field(description="Who insures, as last read from the EHR.")
    coverages: list[str] = Field(description="The insurances that the request names, at the placer.")
    unknown_codes: list[str] = Field(description="Elements of what the order says whose code is not known here.")
    asked: list[PayerAskedAnswer] = Field(description="Questions to insurers' own systems, oldest first.")


class CoverageKept(Answer):
    """The entry that was made, or that said the same already."""

    request_id: str
    id: str
