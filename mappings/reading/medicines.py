"""Medications with start and stop as stated, grouped as the list of medications groups them; and what people say of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mappings.codes import as_dicts
from mappings.medications import MedicationList
from mappings.reading.elements import dated, named, said, value, wrong
from mappings.reading.model import Fact, Medication, Stated
from mappings.rendition.names import source_of
from mappings.rendition.words import Words

_LABELS = {
    "status": ("status",),
    "stopped_because": ("statusReason",),
    "dosage": ("dosageInstruction", "dosage"),
    "ordered": ("authoredOn",),
    "by": ("requester", "informationSource"),
    "asserted": ("dateAsserted",),
    "note": ("note",),
}
_PERIODS = ("effectivePeriod", "dispenseRequest.validityPeriod")
_DATES = ("effective[x]", "authoredOn", "whenHandedOver", "dateAsserted")


def grouped(listed: MedicationList, by_source: Mapping[str, dict], words: Words) -> Iterator[Medication]:
    """Each medication of the list, its records the newest first."""
    for entry in listed.entries:
        records = tuple(record(by_source[each.source], words, entry.name) for each in entry.sources)
        yield Medication(entry.name, entry.is_over, records)


def record(resource: dict, words: Words, name: str = "") -> Fact:
    """One record of a medication: status, dosage, and each start and stop that it states, with the element that does."""
    called = named(resource, words, "medication[x]")
    more = (*_times(resource, words), *said(resource, words, _LABELS))
    dates = dated(resource, *_DATES)[0]
    if name and called.words.startswith(("#", "Medication/")):  # a record that its reference does not call by a name
        called = replace(called, words=name)
    return Fact(source_of(resource), called, more, dates, wrong(resource))


def _times(resource: dict, words: Words) -> Iterator[Stated]:
    """Every start and stop: a record may state more than one, and none is chosen."""
    for at in (*_PERIODS, *_bounds(resource)):
        for end, label in (("start", "start"), ("end", "stop")):
            if (found := value(resource, f"{at}.{end}", words)) is not None:
                yield Stated(label, found)
    if (taken := value(resource, "effectiveDateTime", words)) is not None:
        yield Stated("taken", taken)
    if (handed := value(resource, "whenHandedOver", words)) is not None:
        yield Stated("handed_over", handed)


def _bounds(resource: dict) -> Iterable[str]:
    for element in ("dosageInstruction", "dosage"):
        for number, _ in enumerate(as_dicts(resource.get(element))):
            yield f"{element}[{number}].timing.repeat.boundsPeriod"
