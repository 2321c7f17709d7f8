"""A named clinician has read the consultant's report, and what was decided with the patient; pure, with every mistake named.

It is the last thing that is known of a loop, above the report's being found in the EHR: a report that nobody reads helps nobody.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mappings.model.hand_over import MAX_NAME, line_problem, read_time

MAX_NOTE = 4000  # characters


class Decision(StrEnum):
    """What the primary doctor decided with the patient. It is said, never derived from a report."""

    OPEN = "open"
    KEEP = "keep-plan"
    CHANGE = "change-plan"
    ANOTHER = "another-opinion"


class Standing(StrEnum):
    """How far the newest report has come with the people it is for."""

    NONE = "no-report"
    UNREAD = "unread"
    CHANGED = "changed-since"  # an earlier revision was read; the newest was not
    READ = "read"
    DECIDED = "decided"


@dataclass(frozen=True)
class Acknowledgment:
    """``read_by`` read revision ``revision`` at ``read_at``, which knows its zone; ``note`` is about the patient."""

    revision: int
    read_by: str
    read_at: datetime
    decision: Decision
    note: str | None = None


@dataclass(frozen=True)
class TypedAcknowledgment:
    """What a person typed; empty where nothing was. ``revision``: the one that stood before them."""

    revision: str = ""
    by: str = ""
    at: str = ""
    decision: str = ""
    note: str = ""


def read_acknowledgment(
    typed: TypedAcknowledgment, *, newest: int | None, there_since: datetime, now: datetime
) -> tuple[Acknowledgment | None, Mapping[str, str]]:
    """The acknowledgment, or a sentence for each field that is wrong. ``newest``: the report's newest revision; None without one.

    ``there_since``: when that revision was first seen. Without ``at`` it was read now.
    """
    wrong = dict(_wrong(typed, newest))
    at = read_time(typed.at, there_since, now, "the report was there", wrong) or now
    if wrong or newest is None:
        return None, wrong
    return Acknowledgment(newest, typed.by.strip(), at, Decision(typed.decision), typed.note.strip() or None), {}


def _wrong(typed: TypedAcknowledgment, newest: int | None) -> Iterator[tuple[str, str]]:
    if newest is None:
        yield "revision", "there is no report yet that could have been read"
    elif typed.revision.strip() != str(newest):
        yield "revision", f"the report has changed: revision {newest} is the newest; read that one, and say so again"
    if not typed.by.strip():
        yield "by", "say which clinician has read it, by name"
    elif problem := line_problem(typed.by, MAX_NAME):
        yield "by", problem
    if typed.decision not in set(Decision):
        yield "decision", f"say what was decided: {', '.join(Decision)}"
    if len(typed.note) > MAX_NOTE:
        yield "note", f"has {len(typed.note)} characters; at most {MAX_NOTE} are kept"


def standing(newest: int | None, said: Iterable[Acknowledgment]) -> Standing:
    """Where the report stands. ``said``: what was not taken back, oldest first; the last word on the newest revision counts."""
    if newest is None:
        return Standing.NONE
    words = list(said)
    of_newest = [each for each in words if each.revision == newest]
    if not of_newest:
        return Standing.CHANGED if words else Standing.UNREAD
    return Standing.READ if of_newest[-1].decision is Decision.OPEN else Standing.DECIDED
