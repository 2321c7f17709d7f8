"""Elements of a record as words, each with the place where it stands; and the way back from a place to the element.

A place is written as JSON names it (``component[1].valueQuantity``); `fhirpath` says it in FHIRPath
(https://hl7.org/fhir/R4/fhirpath.html), where a choice has no type in its name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mappings.codes import as_dict, as_dicts, as_text, codings_in
from mappings.reading.model import Fact, Stated, Value, Wrong
from mappings.rendition.names import source_of
from mappings.rendition.rows import matching
from mappings.rendition.words import Words
from mappings.times import as_date_time

Labels = Mapping[str, tuple[str, ...]]  # label -> the elements that say it, the first that does
MOST_WORDS = 4000  # of one element; the element itself shows all of them
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[\d{1,7}\])*)")
_CHOICES = re.compile(
    r"(value|effective|onset|abatement|performed|medication|occurrence|created|deceased|multipleBirth|born|age|asNeeded|dose|rate)"
    r"([A-Z][A-Za-z]*)"
)
# A code without words of a list that everybody knows is read without the name of the list.
_OF_LISTS = re.compile(
    r"(?:(?:condition|allergyintolerance)-(?:clinical|ver-status|verification)|v3-ObservationInterpretation|observation-category) "
)
_STATES = ("status", "docStatus", "verificationStatus")


class Remembering(Words):
    """Words that are made once: a chart says the same thousands of times."""

    def __init__(self, names: Mapping[str, str]):
        super().__init__(names)
        self._said: dict[str, str] = {}

    def bare(self, value: Any) -> str:
        """As `Words.bare`."""
        if not isinstance(value, dict):
            return super().bare(value)
        key = repr(value)
        if key not in self._said:
            self._said[key] = super().bare(value)
        return self._said[key]


def value(resource: dict, at: str, words: Words) -> Value | None:
    """The element at a place in words; None when there is none, or it says nothing."""
    found = element(resource, at)
    said = words.bare(found) if not isinstance(found, list) else "\n".join(filter(None, map(words.bare, found)))
    said = _OF_LISTS.sub("", said)
    return Value(said[:MOST_WORDS], at, len(said) > MOST_WORDS) if said else None


def first(resource: dict, words: Words, *names: str) -> Value | None:
    """The first of these elements that says something; ``onset[x]`` is any choice of it, ``series[0].modality`` a place."""
    for name in names:
        for key in [name] if "." in name else matching(resource, name):
            if (found := value(resource, key, words)) is not None:
                return found
    return None


def said(resource: dict, words: Words, labels: Labels) -> Iterator[Stated]:
    """What a record says under these labels, in their order."""
    for label, names in labels.items():
        if (found := first(resource, words, *names)) is not None:
            yield Stated(label, found)


def named(resource: dict, words: Words, *names: str) -> Value:
    """What a record is called; where it does not say it, its type, at the whole record."""
    return first(resource, words, *names) or Value(source_of(resource), "")


def element(resource: Any, at: str) -> Any:
    """What stands at a place; None when nothing does, or the place is written wrong."""
    for step in at.split(".") if at else ():
        found = _STEP.fullmatch(step)
        if found is None or not isinstance(resource, dict):
            return None
        resource = resource.get(found[1])
        for number in re.findall(r"\d+", found[2]):
            if not isinstance(resource, list) or int(number) >= len(resource):
                return None
            resource = resource[int(number)]
    return resource


def fhirpath(kind: str, at: str) -> str:
    """The place as FHIRPath: ``Observation.value.ofType(Quantity)``."""
    steps = (_CHOICES.sub(_of_type, step, count=1) if _CHOICES.match(step) else step for step in at.split("."))
    return ".".join([kind, *filter(None, steps)])


def _of_type(found: re.Match) -> str:
    kind = found[2]
    primitive = {"String", "Boolean", "Integer", "DateTime", "Date", "Time", "Instant", "Decimal", "Code", "Uri"}
    return f"{found[1]}.ofType({kind[0].lower() + kind[1:] if kind in primitive else kind})"


def wrong(resource: dict) -> Wrong:
    """Whether a record says of itself that it is no fact, whatever the system of the code that says so."""
    states = {text for name in _STATES if (text := as_text(resource.get(name)))}
    for concept in as_dicts(resource.get("verificationStatus")):
        states |= {text for coding in as_dicts(concept.get("coding")) if (text := as_text(coding.get("code")))}
    return next((each for each in (Wrong.ENTERED_IN_ERROR, Wrong.REFUTED) if each.value in states), Wrong.NONE)


def dated(resource: dict, *names: str) -> tuple[str, str, str]:
    """(date, end, place) by the first of these elements that states one: a date, or a period; "" where nothing does."""
    for name in names:
        for key in matching(resource, name) if "." not in name else [name]:
            found = element(resource, key)
            start = as_date_time(as_dict(found).get("start") if isinstance(found, dict) else found)
            end = as_date_time(as_dict(found).get("end"))
            if start or end:
                return start or end or "", (end or "") if start else "", key
    return "", "", ""


def key_of(concept: object) -> str:
    """Names what a concept says, to find the same again: its first code with its system, else its words; "" for none."""
    for coding in codings_in(concept):
        return f"{coding['system']}|{coding['code']}"
    words = Words({}).of(concept)
    return " ".join(words.casefold().split())


def unread(resource: dict) -> Fact:
    """The line of a record of which nothing could be read."""
    return Fact(source_of(resource), Value(source_of(resource), ""), unread=True)
