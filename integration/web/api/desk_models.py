"""What the API takes and answers about a consulting practice's inbox."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from integration.web.api.answers import Answer
from integration.web.api.bodies import _Input
from mappings.model.desk import MAX_ITEMS, MAX_PEOPLE, MAX_WORDS, DeclineReason
from mappings.model.desk import Answer as Said
from mappings.model.hand_over import MAX_NAME
from mappings.model.written_report import MAX_PARTS, MAX_SUMMARY, Agreement
from mappings.model.written_report import MAX_WORDS as MAX_REPORT_WORDS

_Line = Annotated[str, Field(max_length=MAX_NAME)]


class InboxQuery(_Input):
    """Which requests, and from where on."""

    show: Literal["open", "unanswered", "done"] = Field(
        "open", description="What is open, not answered yet, or done.", examples=["unanswered"]
    )
    after: str | None = Field(None, max_length=120, pattern=r"^[^\x00]*$", description="`next` of the page before.")


class InboxLine(Answer):
    """A request asked of a practice of yours."""

    request_id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    records: str
    priority: str
    due_at: datetime | None = Field(description="When the records have to be there.")
    wanted_by: date | None = Field(description="The day by which the opinion is wanted.")
    missing: int | None = Field(description="How many needed records are not there; null: not judged here.")
    news: str = Field(description="new: you have not looked at it; changed since; or empty.")
    people: list[str] = Field(description="Who has it, by name.")
    answered_here: bool = Field(description="False: the practice answers in its EHR.")


class Inbox(Answer):
    """A page of requests, those with the least time left first."""

    items: list[InboxLine]
    counts: dict[str, int] = Field(description="How many each of open, unanswered and done holds.")
    next: str | None


class GivenAnswer(Answer):
    """An answer that was given on these pages."""

    id: int
    answer: Said
    reason: DeclineReason | None
    words: str
    people: list[str]
    items: list[str]
    actor: str
    at: datetime


class RequestAtDesk(Answer):
    """A request and what was answered. It holds what people wrote about the patient."""

    request_id: str
    status: str | None
    answered_here: bool
    may: list[Said] = Field(description="What can be answered here now.")
    people: list[str]
    last: int = Field(description="The newest answer; give it as `last` with yours.")
    answers: list[GivenAnswer]


class AnswerBody(_Input):
    """What a consulting practice says to a request."""

    answer: Said = Field(description="accept, decline, ask or hand-over.", examples=["accept"])
    last: int = Field(0, ge=0, description="`last` as you saw it: when somebody answered since, nothing is done.")
    reason: DeclineReason | None = Field(None, description="Why it is declined; needed with decline.")
    words: str = Field("", max_length=MAX_WORDS, description="For the referring doctor. It is clinical content.")
    people: list[_Line] = Field(
        [],
        max_length=MAX_PEOPLE,
        description="Who has it from now on; needed with accept and hand-over.",
        examples=[["Dr. Bob Example"]],
    )
    items: list[_Line] = Field([], max_length=MAX_ITEMS, description="Items of checklists that are asked for.")


_Words = Annotated[str, Field(max_length=MAX_REPORT_WORDS)]
_Agreement = Agreement | Literal[""]


class PointBody(_Input):
    """What the first opinion said, in its words, and what the consultant says to it."""

    said: _Words = ""
    agreement: _Agreement = ""
    words: _Words = ""


class RecommendedTest(_Input):
    """A test that is recommended; a code only where a person chose one."""

    words: _Words = ""
    system: str = Field("", max_length=200, examples=["http://loinc.org"])
    code: str = Field("", max_length=40)
    display: str = Field("", max_length=300)


class AnswerToPatient(_Input):
    """A question of the patient, and the answer."""

    question: str = Field("", max_length=20_000)
    words: _Words = ""


class ReportParts(_Input):
    """A report as far as it is written; what is empty was not said."""

    diagnosis: _Agreement = Field(
        "", description="agrees, partly-agrees, differs or cannot-tell; said by the clinician."
    )
    plan: _Agreement = ""
    summary: str = Field("", max_length=MAX_SUMMARY)
    points: list[PointBody] = Field([], max_length=MAX_PARTS)
    tests: list[RecommendedTest] = Field([], max_length=MAX_PARTS)
    answers: list[AnswerToPatient] = Field([], max_length=MAX_PARTS)


class SaveReport(_Input):
    """What is written so far."""

    version: int = Field(0, ge=0, le=1_000_000, description="`version` as you saw it; 0 before there is a draft.")
    report: ReportParts


class SignReport(_Input):
    """Sign the draft."""

    version: int = Field(ge=1, le=1_000_000, description="`version` of the draft that is signed.")
    signed_by: str = Field(max_length=MAX_NAME, description="The clinician, by name.", examples=["Dr. Bob Example"])
    is_theirs: bool = Field(
        False, description="A person looked: the file is this patient's report. Needed where `file_doubts` says why."
    )


class SignedOne(Answer):
    """A report that was signed here."""

    number: int
    reference: str = Field(description="DocumentReference/id at the practice's endpoint.")
    signed_by: str
    signed_at: datetime
    retracted_at: datetime | None
    retracted_reason: str | None


class ReportAtDesk(Answer):
    """A report as it is being written, and those that were signed. It is clinical content."""

    request_id: str
    version: int
    has_file: bool
    file_doubts: list[str] = Field(description="Why the file may be about somebody else.")
    corrects: int | None = Field(description="The number of the signed report that the draft replaces.")
    why_not: str = Field(description="Why no report can be written now; empty when one can.")
    report: ReportParts
    signed: list[SignedOne]
