"""What the API takes and answers about a consulting practice's inbox."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from integration.web.api.answers import Answer
from integration.web.api.bodies import _Input
from mappings.model.desk import MAX_ITEMS, MAX_PEOPLE, MAX_WORDS, DeclineReason
from mappings.model.desk import Answer as Said
from mappings.model.hand_over import MAX_NAME

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
