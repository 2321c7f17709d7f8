"""What the consultant is told of a judged checklist: what is not there, and why, so that nobody takes silence for completeness."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from mappings.model.checklist import Item, Need, State
from mappings.rendition.model import Rendition

_NOT_THERE = {
    State.MISSING: "missing",
    State.REQUESTED: "asked for, not there yet",
    State.PROMISED: "on its way, not there yet",
    State.WAIVED: "sent without it",
    State.STALE: "there, and too old",
    State.PARTIAL: "there, and incomplete",
    State.UNKNOWN: "not known whether there is one",
}
_BEGINS, _ALL_THERE = "Not among the records", "All records that the checklist asks for are there"
LABEL = "Not there"


def not_there(items: Iterable[Item]) -> tuple[str, ...]:
    """A sentence for each item that is needed and not there as it should be, in the order of the list."""
    wanted = (item for item in items if item.rule.need != Need.IF_AVAILABLE or item.state is State.WAIVED)
    return tuple(_sentence(item) for item in wanted if item.state in _NOT_THERE)


def _sentence(item: Item) -> str:
    why = "" if item.state is State.UNKNOWN else "; ".join(item.reasons[:2])
    return f"{item.kind.label}: {_NOT_THERE[item.state]}" + (f" ({why})" if why else "")


def note(sentences: Iterable[str], day: date) -> str:
    """For whoever works from the Task, with the day on which it was so."""
    said = ". ".join(sentences)
    return f"{_BEGINS} on {day}: {said}." if said else f"{_ALL_THERE} (on {day})."


def news(now: str, told: Iterable[str]) -> str | None:
    """``now`` where it says something else than was ``told`` last; None where nothing has to be told."""
    before = [text for text in told if text.startswith((_BEGINS, _ALL_THERE))]
    if not before and now.startswith(_ALL_THERE):
        return None  # nobody was told that something is not
    return None if before and _said(before[-1]) == _said(now) else now


def _said(text: str) -> str:
    """Without the day."""
    return text.partition(": ")[2] if text.startswith(_BEGINS) else _ALL_THERE


def on_cover(rendition: Rendition, sentences: Iterable[str], day: date) -> Rendition:
    """The readable summary saying on its first page what is not there."""
    lines = tuple((f"{LABEL} on {day}" if number == 0 else "", each) for number, each in enumerate(sentences))
    place = next((at for at, (label, _) in enumerate(rendition.facts) if label == "Records from"), len(rendition.facts))
    return replace(rendition, facts=(*rendition.facts[:place], *lines, *rendition.facts[place:]))
