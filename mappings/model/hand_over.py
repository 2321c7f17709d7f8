"""A person's word that a document is in the other system: to whom it was given, when and how; pure, with every mistake named."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

MAX_NAME, MAX_NOTE = 200, 500  # characters


class ByWay(StrEnum):
    """How it was handed over; the words of ``--by-way``."""

    HANDED = "handed"
    FAX = "fax"
    PORTAL = "portal"
    MAIL = "mail"


@dataclass(frozen=True)
class HandOver:
    """``to``, ``at`` and ``by_way`` are empty where nobody carried it: somebody saw it in the chart there.

    ``by``: who did it, by name, who may be another one than who writes it down. ``at`` knows its zone.
    """

    by: str
    to: str | None = None
    at: datetime | None = None
    by_way: ByWay | None = None
    note: str | None = None


@dataclass(frozen=True)
class Typed:
    """What a person typed; empty where nothing was."""

    by: str = ""
    to: str = ""
    at: str = ""
    by_way: str = ""
    note: str = ""


def read_hand_over(
    typed: Typed, *, is_carried: bool, there_since: datetime, now: datetime
) -> tuple[HandOver | None, Mapping[str, str]]:
    """The hand-over, or a sentence for each field that is wrong.

    ``is_carried``: nothing was sent, so to whom, when and how have to be said; else all three or none.
    ``there_since``: when the document began to exist.
    """
    wrong = dict(_lengths(typed))
    at = read_time(typed.at, there_since, now, "the document existed", wrong)
    carried = (typed.to, typed.at, typed.by_way)
    if is_carried or any(carried):
        for name, value in zip(("to", "at", "by_way"), carried, strict=True):
            if not value.strip():
                wrong.setdefault(name, _MISSING[name])
    if not typed.by.strip():
        wrong.setdefault("by", "say who handed it over or saw it there, by name")
    if typed.by_way and typed.by_way not in set(ByWay):
        wrong["by_way"] = f"is one of {', '.join(ByWay)}"
    if wrong:
        return None, wrong
    way = ByWay(typed.by_way) if typed.by_way else None
    return HandOver(typed.by.strip(), typed.to.strip() or None, at, way, typed.note.strip() or None), {}


_MISSING = {
    "to": "say to whom it was handed: a name or an office",
    "at": "say when: date and time",
    "by_way": f"say how: {', '.join(ByWay)}",
}


def _lengths(typed: Typed) -> Iterator[tuple[str, str]]:
    for name, value, most in (("by", typed.by, MAX_NAME), ("to", typed.to, MAX_NAME), ("note", typed.note, MAX_NOTE)):
        if problem := line_problem(value, most):
            yield name, problem


def line_problem(value: str, most: int) -> str:
    """What is wrong with one line of text; empty when nothing is."""
    if len(value) > most:
        return f"has {len(value)} characters; at most {most} are kept"
    return "" if value.isprintable() else "holds a character that cannot be shown, or a line break: write one line"


def read_time(said: str, since: datetime, now: datetime, since_when: str, wrong: dict[str, str]) -> datetime | None:
    """A time that a person typed, not before ``since`` and not after ``now``; what is wrong with it stands in ``wrong["at"]``.

    Without a zone it is UTC, as every time on the pages. To the minute: that is what people write down. ``since_when`` says in
    words what was at ``since``.
    """
    if not said.strip():
        return None
    try:
        at = datetime.fromisoformat(said.strip())
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        early = at < since.replace(second=0, microsecond=0)
    except (ValueError, OverflowError):
        wrong["at"] = "is no date and time, such as 2026-05-01T14:30Z"
        return None
    if at > now:
        wrong["at"] = f"is in the future: it is {now:%Y-%m-%dT%H:%MZ} now"
    elif early:
        wrong["at"] = f"is before {since_when}: that was at {since:%Y-%m-%dT%H:%MZ}"
    return at
