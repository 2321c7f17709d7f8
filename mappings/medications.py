"""The medications of a chart as one list, and what people say of each as statements of their own; the chart is never changed.

https://hl7.org/fhir/R4/medicationrequest.html, https://hl7.org/fhir/R4/medicationstatement.html. The same medication in several
records is one entry that shows each of them. Nothing is concluded: no interaction, no advice, no "same as".
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.consent import sensitive_labels
from mappings.received import PREFIX
from mappings.rendition.words import Words

TYPES = ("MedicationRequest", "MedicationStatement")
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
# https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html: asserted by the patient
PATIENT_ASSERTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PATAST"}
_OVER = frozenset({"stopped", "cancelled", "completed", "not-taken", "do not give"})


class What(StrEnum):
    """What somebody says of a medication."""

    TAKING = "taking"
    NOT_TAKING = "not-taking"
    DIFFERENTLY = "differently"
    ALSO = "also"  # of one that the chart does not have


class Informant(StrEnum):
    """Whose word it is."""

    PATIENT = "patient"
    FAMILY = "family"
    PRACTICE = "practice"


INFORMANTS = {
    Informant.PATIENT: "the patient",
    Informant.FAMILY: "a family member or caregiver",
    Informant.PRACTICE: "the practice",
}


@dataclass(frozen=True)
class Source:
    """One record of the chart: ``Type/id``, and its status, dosage, date and prescriber as it says them."""

    source: str
    status: str
    dosage: str
    dated: str
    by: str


@dataclass(frozen=True)
class Entry:
    """One medication. ``concept``: its CodeableConcept; ``is_over``: every record says that it is stopped, or not to be given."""

    key: str
    name: str
    concept: Mapping
    sources: tuple[Source, ...]

    @property
    def is_over(self) -> bool:
        """Shown apart."""
        return all(each.status in _OVER for each in self.sources)


@dataclass(frozen=True)
class MedicationList:
    """Everything the chart says. ``sha256`` names exactly this: another one is to be confirmed anew."""

    entries: tuple[Entry, ...]
    sha256: str

    @property
    def current(self) -> tuple[Entry, ...]:
        """Not stopped, as far as the chart says."""
        return tuple(each for each in self.entries if not each.is_over)

    @property
    def over(self) -> tuple[Entry, ...]:
        """Stopped ones."""
        return tuple(each for each in self.entries if each.is_over)


@dataclass(frozen=True)
class Word:
    """What somebody says of one medication, and what it was called in the chart when they said it.

    ``words``: theirs; ``concept``: its CodeableConcept; ``sources``: the records of the chart that it is about, none of one that
    the chart does not have.
    """

    key: str
    what: What
    words: str = ""
    concept: Mapping = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry, what: What, words: str = "") -> "Word":
        """Of a medication of the chart."""
        concept = dict(entry.concept) or {"text": entry.name}
        return cls(entry.key, what, words, concept, tuple(each.source for each in entry.sources))

    @classmethod
    def also(cls, words: str) -> "Word":
        """Of one that the chart does not have."""
        key = f"also {hashlib.sha256(words.strip().casefold().encode()).hexdigest()[:16]}"
        return cls(key, What.ALSO, words, {"text": words})


@dataclass(frozen=True)
class Review:
    """All that was said at once: ``list_sha256`` is the list that was looked at."""

    list_sha256: str
    informant: Informant
    words: tuple[Word, ...]
    by: str
    at: datetime


def medications(resources: Iterable[dict]) -> MedicationList:
    """The list of these resources (of one patient), by name; records entered in error or by hand are left out."""
    by_source = {f"{each.get('resourceType')}/{each.get('id')}": each for each in resources}
    grouped: dict[str, list[tuple[str, Mapping, Source]]] = {}
    for source, resource in by_source.items():
        if resource.get("resourceType") not in TYPES or resource.get("status") == "entered-in-error":
            continue
        if source.partition("/")[2].startswith(PREFIX):
            continue
        concept, shown = _medication(resource, by_source)
        record = _source(source, resource)
        key = f"{_key(concept, shown)}{' do not give' if record.status == 'do not give' else ''}"
        grouped.setdefault(key, []).append((shown, concept, record))
    entries = (_entry(key, found) for key, found in grouped.items())
    ordered = tuple(sorted(entries, key=lambda each: (each.name.casefold(), each.key)))
    return MedicationList(ordered, _hash(ordered))


def statements(
    review: Review, patient: str, request_id: str, chart: Mapping[str, dict] = MappingProxyType({})
) -> dict[str, dict]:
    """``{Type/id: MedicationStatement}`` of what was said, each tagged with whose word it is and when.

    ``chart``: the records by Type/id. What is said of one that its EHR labeled as sensitive is labeled so too.
    """
    made = {}
    for word in review.words:
        of = [chart[each] for each in word.sources if each in chart]
        labels = {str(sorted(label.items())): label for each in of for label in sensitive_labels(each)}
        made[name_of_statement(request_id, word.key)] = _statement(review, word, patient, request_id, labels.values())
    return made


def name_of_statement(request_id: str, key: str) -> str:
    """``Type/id``: the same medication of the same request has the same one, so what is said later takes its place."""
    return f"MedicationStatement/{PREFIX}{hashlib.sha256(f'{request_id} {key}'.encode()).hexdigest()[:24]}"


def _entry(key: str, found: list[tuple[str, Mapping, Source]]) -> Entry:
    ordered = sorted(found, key=lambda each: (each[2].dated, each[2].source), reverse=True)
    name, concept, _ = ordered[0]
    return Entry(key, name, concept, tuple(record for _, _, record in ordered))


def _medication(resource: dict, by_source: Mapping[str, dict]) -> tuple[Mapping, str]:
    """Its concept, and what it is called in the words of the chart."""
    concept = as_dict(resource.get("medicationCodeableConcept"))
    reference = as_dict(resource.get("medicationReference"))
    if not concept and reference:
        concept = as_dict(_referred(resource, as_text(reference.get("reference")) or "", by_source).get("code"))
    shown = as_text(concept.get("text")) or next(
        (words for each in as_dicts(concept.get("coding")) if (words := as_text(each.get("display")))), None
    )
    shown = shown or as_text(reference.get("display"))
    code = next((as_text(each.get("code")) for each in as_dicts(concept.get("coding"))), None)
    return concept or ({"text": shown} if shown else {}), shown or (f"code {code}" if code else "not stated")


def _referred(resource: dict, reference: str, by_source: Mapping[str, dict]) -> dict:
    if reference.startswith("#"):
        return next((each for each in as_dicts(resource.get("contained")) if each.get("id") == reference[1:]), {})
    return as_dict(by_source.get("/".join(reference.split("/")[-2:])))


def _key(concept: Mapping, shown: str) -> str:
    codings = [each for each in as_dicts(concept.get("coding")) if each.get("system") and each.get("code")]
    chosen = next((each for each in codings if each.get("system") == RXNORM), codings[0] if codings else None)
    if chosen:
        return f"{chosen['system']}|{chosen['code']}"
    return f"words {' '.join(shown.casefold().split())}"


def _source(source: str, resource: dict) -> Source:
    dosages = as_dicts(resource.get("dosageInstruction")) + as_dicts(resource.get("dosage"))
    dated = (
        as_text(resource.get("authoredOn"))
        or as_text(resource.get("effectiveDateTime"))
        or as_text(as_dict(resource.get("effectivePeriod")).get("start"))
        or as_text(resource.get("dateAsserted"))
    )
    by = as_dict(resource.get("requester")) or as_dict(resource.get("informationSource"))
    status = "do not give" if resource.get("doNotPerform") is True else as_text(resource.get("status")) or "not stated"
    return Source(source, status, "; ".join(_dosage(dosages)), (dated or "")[:10], as_text(by.get("display")) or "")


def _dosage(dosages: Iterable[dict]) -> Iterator[str]:
    for each in dosages:
        yield as_text(each.get("text")) or as_text(each.get("patientInstruction")) or Words({}).of(each)


def _statement(review: Review, word: Word, patient: str, request_id: str, labels: Iterable[dict]) -> dict:
    is_patients = review.informant is Informant.PATIENT
    security = [*labels, *([PATIENT_ASSERTED] if is_patients else [])]
    said = f"{_SAYS[word.what]}, as {INFORMANTS[review.informant]} said; written down by {review.by}"
    made = {
        "resourceType": "MedicationStatement",
        "id": name_of_statement(request_id, word.key).partition("/")[2],
        "meta": {"security": security} if security else {},
        "status": "not-taken" if word.what is What.NOT_TAKING else "active",
        "medicationCodeableConcept": dict(word.concept),
        "subject": {"reference": patient},
        "dateAsserted": review.at.isoformat(timespec="seconds"),
        "informationSource": {"reference": patient} if is_patients else {"display": INFORMANTS[review.informant]},
        "derivedFrom": [{"reference": each} for each in word.sources],
        "note": [{"text": said}],
        "dosage": [{"text": word.words}] if word.what is What.DIFFERENTLY and word.words else [],
    }
    return {name: value for name, value in made.items() if value not in ([], {})}


_SAYS = {
    What.TAKING: "Taken as in the chart",
    What.NOT_TAKING: "Not taken",
    What.DIFFERENTLY: "Taken differently from the chart",
    What.ALSO: "Also taken; the chart does not have it",
}


def _hash(entries: Iterable[Entry]) -> str:
    said = "\n".join(repr((each.key, each.name, sorted(each.sources, key=lambda one: one.source))) for each in entries)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
