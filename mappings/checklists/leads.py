"""How long before a visit each record has to be there, and how long it takes to get there: from plain values.

The checklists' numbers until a site has its own: of a kind that went often enough from this source, the days in which four in five
arrived.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from mappings.checklists.consultants import Open, still_open
from mappings.model.checklist import Item, Kind

ENOUGH = 20  # deliveries of a kind from a source, before their own days count
ELECTRONIC = ""  # in place of a kind: what goes over the wire, all of it together


@dataclass(frozen=True)
class Measured:
    """How long deliveries of one kind from one source took: how many there were, and in how many days four in five arrived."""

    number: int
    p80_days: float


@dataclass(frozen=True)
class Lead:
    """``before``: business days before the visit by which it has to be there; ``takes``: business days until it is, from now."""

    before: int
    takes: int
    why: str


@dataclass(frozen=True)
class Owed:
    """An item of the checklist that is still needed, and its lead."""

    item: Open
    lead: Lead


def owed(items: Iterable[Item], measured: Mapping[str, Measured], at_least: int) -> tuple[Owed, ...]:
    """The items that are needed and not there, the slowest first. ``at_least``: business days that the consultant has in any case."""
    listed = list(items)
    kinds = {item.kind.key: item.kind for item in listed}
    found = [Owed(each, _lead_of(kinds[each.kind], measured, at_least)) for each in still_open(listed)]
    return tuple(sorted(found, key=lambda each: (-each.lead.before, -each.lead.takes, each.item.kind)))


def lead_of_the_rest(measured: Mapping[str, Measured], at_least: int) -> Lead:
    """Of a request whose every item is there: what goes over the wire."""
    return _lead(Kind.lead_days, measured.get(ELECTRONIC), at_least)


def _lead_of(kind: Kind, measured: Mapping[str, Measured], at_least: int) -> Lead:
    return _lead(kind.lead_days, measured.get(kind.key if kind.by_courier else ELECTRONIC), at_least)


def _lead(said: int, known: Measured | None, at_least: int) -> Lead:
    if known is None or known.number < ENOUGH:
        before = max(said, at_least)
        return Lead(before, said, f"{before} business days, as the checklist says")
    days = ceil(known.p80_days)
    before = max(days, at_least)
    return Lead(before, days, f"{before} business days: four in five of the last {known.number} came within {days}")
