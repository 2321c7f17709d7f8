"""What a chart shows that a checklist can be held against: of each record its codes, words, day, and whether it counts."""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from mappings.addresses import Bases
from mappings.checklists.ranges import in_ranges
from mappings.codes import SYSTEM_LOINC, as_dict, as_dicts, as_text, codings_in
from mappings.model.checklist import Evidence, Matcher
from mappings.rendition.words import label
from mappings.subject import whose
from mappings.times import as_date_time

# A record in one of these states says nothing about the patient, or that it did not happen.
# https://hl7.org/fhir/R4/valueset-diagnostic-report-status.html and its neighbors
_NO_EVIDENCE = frozenset(
    "entered-in-error cancelled not-done not-taken revoked registered superseded rejected nullified preparation draft "
    "proposed unknown refuted declined stopped-before-start".split()
)
_PRELIMINARY = frozenset({"preliminary", "partial", "in-progress"})
_STATES = ("status", "docStatus", "verificationStatus")
# The clinical day comes before the day of filing.
_DAYS = (
    ("context", "period", "start"),
    ("effectiveDateTime",),
    ("effectivePeriod", "start"),
    ("effectiveInstant",),
    ("performedDateTime",),
    ("performedPeriod", "start"),
    ("started",),
    ("period", "start"),
    ("occurrenceDateTime",),
    ("dateAsserted",),
    ("authoredOn",),
    ("authored",),
    ("recordedDate",),
    ("onsetDateTime",),
    ("createdDateTime",),
    ("sent",),
    ("date",),
    ("issued",),
    ("created",),
)
# Code systems that mean the same everywhere; every other is the source's own.
_COMMON = (
    "http://loinc.org",
    "http://snomed.info/",
    "http://hl7.org/",
    "http://terminology.hl7.org/",
    "http://www.nlm.nih.gov/",
    "http://www.ama-assn.org/",
    "http://dicom.nema.org/",
)
_NAMES = ("code", "type", "procedureCode", "medicationCodeableConcept", "vaccineCode", "reasonCode")


@dataclass(frozen=True)
class Record:
    """One record of the patient that may be evidence."""

    source: str
    type: str
    loinc: frozenset[str]
    categories: frozenset[str]
    modalities: frozenset[str]
    words: str
    body: str
    has: frozenset[str]
    content_types: tuple[str, ...]
    day: date | None
    is_partial_date: bool
    is_preliminary: bool
    local: tuple[tuple[str, str], ...]  # (system, code) of systems that are the source's own
    icd10: frozenset[str]
    is_settled: bool  # a diagnosis that is active and confirmed
    name: str = field(default="", repr=False)  # what it calls itself

    def says(self, words: Iterable[str]) -> bool:
        """One of the words stands at the beginning of a word of its names."""
        return any(_begins(word).search(self.words) for word in words)

    def fits(self, matcher: Matcher) -> str | None:
        """Why it is one of these, or None: everything that the matcher gives holds."""
        if matcher.type != self.type or not set(matcher.has) <= self.has:
            return None
        if matcher.content_types and not any(
            each.startswith(begin) for each in self.content_types for begin in matcher.content_types
        ):
            return None
        why = []
        for name, wanted, there in (
            ("code", matcher.loinc, self.loinc),
            ("category", matcher.categories, self.categories),
            ("modality", matcher.modalities, self.modalities),
        ):
            if wanted and not wanted & there:
                return None
            why += [name] if wanted else []
        if matcher.icd10 and not any(in_ranges(code, matcher.icd10) for code in self.icd10):
            return None
        why += ["diagnosis"] if matcher.icd10 else []
        if matcher.words and not self.says(matcher.words):
            return None
        why += ["words"] if matcher.words else []
        return "its " + " and ".join(why or ["type"])

    def fits_any(self, matchers: Iterable[Matcher]) -> bool:
        """It is one of these."""
        return any(self.fits(matcher) for matcher in matchers)

    @property
    def kind(self) -> str:
        """Its type as words: ``CarePlan`` -> ``care plan``."""
        return label(self.type[:1].lower() + self.type[1:])

    @property
    def kind_and_day(self) -> str:
        """Which one it is, for who sees nothing of a record but its days."""
        return f"{self.kind} of {self.day}" if self.day else f"{self.kind} without a date"

    def evidence(self, why: str) -> Evidence:
        """It speaks for an item, because of ``why``."""
        return Evidence(
            self.source, why, self.day, self.is_partial_date, self.is_preliminary, self.name or self.kind.capitalize()
        )


@dataclass(frozen=True)
class Chart:
    """The patient's records that count, by type, and when the patient was born."""

    by_type: Mapping[str, tuple[Record, ...]]
    born: date | None
    born_is_partial: bool = False

    @classmethod
    def of(cls, resources: Iterable[dict], patient: dict, bases: Bases = None) -> "Chart":
        """The records of ``patient`` (a resource of the same server) among ``resources``."""
        found: dict[str, list[Record]] = {}
        for resource in resources:
            record = record_of(resource, patient, bases)
            if record is not None:
                found.setdefault(record.type, []).append(record)
        born, is_partial = day_of(patient.get("birthDate"))
        return cls({kind: tuple(records) for kind, records in found.items()}, born, is_partial)

    def matching(self, matchers: Iterable[Matcher]) -> Iterator[tuple[Record, str]]:
        """(record, why) of each record that fits one of the matchers, once."""
        seen = set()
        for matcher in matchers:
            for record in self.by_type.get(matcher.type, ()):
                why = None if record.source in seen else record.fits(matcher)
                if why is not None:
                    seen.add(record.source)
                    yield record, why

    def records(self) -> Iterator[Record]:
        """Every one."""
        for records in self.by_type.values():
            yield from records


def record_of(resource: dict, patient: dict, bases: Bases = None) -> Record | None:
    """A resource as a record of this patient; None when it counts for nothing: another's, unclear whose, or not valid."""
    states = _states(resource)
    if states & _NO_EVIDENCE or whose(resource, patient, bases)[0] != "theirs":
        return None
    kind = resource.get("resourceType")
    day, is_partial = _clinical_day(resource)
    concepts = [concept for name in _NAMES for concept in as_dicts(resource.get(name))]
    return Record(
        source=f"{kind}/{resource.get('id')}",
        type=str(kind),
        loinc=frozenset(_codes(concepts, SYSTEM_LOINC)) | frozenset(_components(resource)),
        categories=frozenset(_codes(resource.get("category"))),
        modalities=frozenset(_modalities(resource)),
        words=_words(resource, concepts),
        body=_body(resource),
        has=frozenset(name for name, value in resource.items() if value not in (None, "", [], {})),
        content_types=tuple(_content_types(resource)),
        day=day,
        is_partial_date=is_partial,
        is_preliminary=bool(states & _PRELIMINARY) and kind in ("DiagnosticReport", "Observation", "DocumentReference"),
        local=tuple(_local(concepts)),
        icd10=frozenset(_icd10(concepts)),
        is_settled=kind == "Condition" and "confirmed" in states and "active" in _codes_of(resource, "clinicalStatus"),
        name=_name(resource, concepts),
    )


def day_of(value: object) -> tuple[date | None, bool]:
    """The earliest day that a FHIR date, dateTime or instant can mean, and whether it says less than a day."""
    text = as_date_time(value)
    if text is None:
        return None, False
    year, month, day = (*text[:10].split("-"), "01", "01")[:3]
    return date(int(year), int(month), int(day)), len(text) < 10


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier, or the last one of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=1024)
def _begins(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(word.casefold())}")


def _states(resource: dict) -> set[str]:
    said = {text for name in _STATES if (text := as_text(resource.get(name)))}
    return said | set(_plain_codes(resource.get("verificationStatus")))


def _plain_codes(concepts: object) -> Iterator[str]:
    """Codes whatever their system, and without one: what a state says is never overlooked because of how it is written."""
    for concept in as_dicts(concepts):
        yield from (text for coding in as_dicts(concept.get("coding")) if (text := as_text(coding.get("code"))))


def _codes_of(resource: dict, name: str) -> set[str]:
    return set(_codes(resource.get(name)))


def _clinical_day(resource: dict) -> tuple[date | None, bool]:
    for path in _DAYS:
        value: object = resource
        for name in path:
            value = as_dict(value).get(name)
        day = day_of(value)
        if day[0] is not None:
            return day
    return None, False


def _codes(concepts: object, system: str | None = None) -> Iterator[str]:
    for coding in codings_in(concepts):
        if system is None or coding["system"] == system:
            yield coding["code"]


def _components(resource: dict) -> Iterator[str]:
    for component in as_dicts(resource.get("component")):
        yield from _codes(component.get("code"), SYSTEM_LOINC)


def _icd10(concepts: object) -> Iterator[str]:
    for coding in codings_in(concepts):
        if "icd-10" in str(coding["system"]).casefold():
            yield coding["code"].upper()


def _local(concepts: object) -> Iterator[tuple[str, str]]:
    for coding in codings_in(concepts):
        if not coding["system"].startswith(_COMMON):
            yield coding["system"], coding["code"]


def _modalities(resource: dict) -> Iterator[str]:
    for coding in as_dicts(resource.get("modality")):
        yield str(coding.get("code"))
    for series in as_dicts(resource.get("series")):
        yield str(as_dict(series.get("modality")).get("code"))


def _name(resource: dict, concepts: Iterable[dict]) -> str:
    """What its own words call it; "" where it has none."""
    said = [text for concept in concepts for text in _calls_it(concept)]
    said += [as_text(resource.get(name)) for name in ("description", "title")]
    return next((text for text in said if text), "")


def _calls_it(concept: dict) -> list[str | None]:
    return [as_text(concept.get("text")), *(as_text(each.get("display")) for each in as_dicts(concept.get("coding")))]


def _words(resource: dict, concepts: Iterable[dict]) -> str:
    said = [as_text(resource.get(name)) for name in ("description", "title")]
    for concept in concepts:
        said += [as_text(concept.get("text"))]
        said += [as_text(coding.get("display")) for coding in as_dicts(concept.get("coding"))]
    for content in as_dicts(resource.get("content")):
        said.append(as_text(as_dict(content.get("attachment")).get("title")))
    for note in as_dicts(resource.get("category")):
        said.append(as_text(note.get("text")))
    return " | ".join(each for each in said if each).casefold()


def _body(resource: dict) -> str:
    sites = as_dicts(resource.get("bodySite")) + [
        as_dict(series.get("bodySite")) for series in as_dicts(resource.get("series"))
    ]
    said = [as_text(site.get("text")) or as_text(site.get("display")) for site in sites]
    said += [as_text(coding.get("display")) for site in sites for coding in as_dicts(site.get("coding"))]
    return " | ".join(each for each in said if each).casefold()


def _content_types(resource: dict) -> Iterator[str]:
    for content in as_dicts(resource.get("content")):
        kind = as_text(as_dict(content.get("attachment")).get("contentType"))
        if kind:
            yield kind.casefold()
