"""What happened when, year by year, as its records state it: a year stays a year, and what is undated stands apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mappings.reading.charted import NAMES
from mappings.reading.elements import dated, named
from mappings.reading.model import Dated, Event, Year
from mappings.rendition.names import source_of
from mappings.rendition.words import Words

EVENTS = 45  # lines: a printed page
DATES = 12  # of one line
# Which records are events, and which element dates each.
DATED_BY = {
    "Condition": ("onset[x]",),
    "Procedure": ("performed[x]",),
    "Encounter": ("period",),
    "DiagnosticReport": ("effective[x]",),
    "ImagingStudy": ("started",),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effective[x]",),
    "MedicationAdministration": ("effective[x]",),
    "Immunization": ("occurrence[x]",),
    "ClinicalImpression": ("effective[x]", "date"),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One record as an event; ``date.dated`` is "" when it states no date."""

    type: str
    name: str
    date: Dated


def happened(resource: dict, words: Words) -> Happened | None:
    """The event that a record is; None when it is of no such type."""
    kind = str(resource.get("resourceType"))
    if kind not in DATED_BY:
        return None
    when, end, at = dated(resource, *DATED_BY[kind])
    return Happened(kind, named(resource, words, *NAMES).words, Dated(source_of(resource), at, when, end))


def years(events: Iterable[Happened]) -> tuple[Year, ...]:
    """The newest lines of events, by year; the same in one year is one line. What is left over is on no line."""
    lines: dict[tuple[str, str, str], list[Dated]] = {}
    for each in sorted(events, key=lambda each: (each.date.dated, each.date.source), reverse=True):
        if each.date.dated:
            lines.setdefault((each.date.dated[:4], each.type, each.name), []).append(each.date)
    return tuple(_by_year(list(lines.items())[:EVENTS]))


def _by_year(lines: list[tuple[tuple[str, str, str], list[Dated]]]) -> Iterator[Year]:
    found: dict[str, list[Event]] = {}
    for (year, kind, name), dates in lines:
        found.setdefault(year, []).append(Event(kind, name, tuple(dates[:DATES])))
    for year, events in found.items():
        yield Year(year, tuple(events))


def on_it(found: Iterable[Year]) -> set[str]:
    """The records that stand on a timeline."""
    return {date.source for year in found for event in year.events for date in event.dates}
