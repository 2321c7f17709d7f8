"""What the API answers about cases and the board. Ids and words, nothing of the patient."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from integration.web.api.answers import Answer
from mappings.model.moves import Move, Mover


class CasePart(Answer):
    """One part of a case: how it stands, and whose move is next."""

    key: str
    label: str
    state: Literal["done", "open", "late", "waiting", "none"]
    says: str
    next: str = Field(description="What has to happen; empty when nothing has.")
    who: str = Field(description="Who has the move: a role, exchange or patient; empty when nobody has.")
    by: datetime | None


class OpinionOfCase(Answer):
    """One request of a case and what came of it."""

    request_id: str
    number: int = Field(description="2 for a second opinion, 3 for a third.")
    fulfiller: str
    status: str
    asked_at: datetime
    report_revision: int | None = Field(description="Of the newest report that is not preliminary.")
    report_state: Literal["final", "amended", "retracted"] | None
    standing: Literal["no-report", "unread", "changed-since", "read", "decided"]
    decision: Literal["open", "keep-plan", "change-plan", "another-opinion"] | None
    earlier_go_along: Literal["yes", "no"] | None = Field(
        description="What the patient said of the opinions before it; null: nobody has said, and they do not travel."
    )


class Case(Answer):
    """One case with its parts, the next move first."""

    request_id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    priority: str
    parts: list[CasePart]
    opinions: list[OpinionOfCase] = Field(
        description="Every request of the case that you may see, this one among them, the first one first."
    )


class BoardLine(Answer):
    """One case on the board."""

    request_id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    records: str
    priority: str
    due_at: datetime | None = Field(
        description="When the records have to be there; null when they are, or it is not known."
    )
    visit_at: datetime | None = Field(description="The visit, while one is booked.")
    is_late: bool
    case: str = Field(description="The request that began its case; those of one case stand together.")
    of_case: int = Field(description="How many requests of the case are shown in this list, on whichever page.")
    move: Move
    whose: Mover
    says: str
    to_do: int | None = Field(
        description="How many parts of the case the side that asks has to do before the opinion is there, when the case was last "
        "opened; null: it changed since."
    )


class Board(Answer):
    """A page of cases, those with the least time left, or the nearest visit, first."""

    items: list[BoardLine]
    counts: dict[str, int] = Field(description="How many cases each of all, mine, others and late holds.")
    next: str | None
