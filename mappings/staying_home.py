"""What stays home together with a record that stays home, and what of the others would tell of it; pure.

A kind of record that the patient left out is about the form: a result goes although a note says the same. A label of the EHR is
about the content, whatever carries it. So what stays because of a label (https://hl7.org/fhir/R4/security-labels.html) keeps home:

1. its parts: the members of a panel, the results and images of a report, the medication of an order that no other order names;
2. what carries the same bytes as one of its documents;
3. what says of itself that it is about one of these: a reason, a result, a target, a prescription; and what is about that.
   The visit in which something was done is no such thing.

Whatever leaves then has no reference to what stays, nor to a record of a kind that is left out: the name in it goes with it.
"""

import copy
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mappings.addresses import is_elsewhere, local_reference, type_of
from mappings.codes import as_dict, as_dicts, as_text
from mappings.document_reference import attachments, inline_bytes
from mappings.model.consent import ALWAYS, Consent, RecordKind, kinds_of
from mappings.model.errors import MappingError
from mappings.references import ReferenceAt, find_references

PARTS = frozenset(
    {"Observation.hasMember", "DiagnosticReport.result", "DiagnosticReport.imagingStudy", "DiagnosticReport.media.link"}
)
WHERE_AND_WHO = frozenset({"Encounter", "EpisodeOfCare", "CareTeam"})  # what refers to them is not about them
_NAMED_BY = ("code", "medicationCodeableConcept", "vaccineCode")
_SHORTEST_NAME = 4  # letters: less is an abbreviation of many things
# A reference that must be there (R4): without it the entry that it stands in goes, or the whole record.
_NEEDED = frozenset(
    {"diagnosis.condition", "media.link", "relatesTo.target", "entry.item", "suspectEntity.instance", "entity.what"}
    | {"insurance.coverage", "supportingInfo.information", "item.resource", "member.entity", "focalDevice.manipulated"}
    | {"coverage.coverage", "Provenance.target", "DocumentManifest.content", "ImmunizationEvaluation.immunizationEvent"}
    | {"DeviceUseStatement.device", "CoverageEligibilityResponse.request", "ResearchSubject.study"}
    | {"MedicationRequest.medicationReference", "MedicationStatement.medicationReference"}
    | {"MedicationAdministration.medicationReference", "extension.valueReference", "modifierExtension.valueReference"}
)
_ROOTS = frozenset(each.partition(".")[0] for each in _NEEDED if each[0].isupper())
Key = str | tuple[str, str]  # Type/id, or what else leads to a record: (system, value) of an identifier, ("", its name)


class Why(StrEnum):
    """Why a record stays home."""

    KIND = "kind"  # of a kind that the patient left out, or labeled
    PART = "part"
    SAME_BYTES = "same-bytes"
    ABOUT = "about"
    NOTHING_LEFT = "nothing-left"  # it needs a reference, and leads only to what stays


@dataclass(frozen=True)
class Staying:
    """The records that stay home: ``why`` of each (Type/id) and because of which other one, "" for none."""

    consent: Consent
    why: Mapping[str, tuple[Why, str]]
    bound: frozenset[Key] = frozenset()  # what names one that stays for a label: a record that does is about it

    def leads_there(self, at: ReferenceAt) -> bool:
        """Does a reference lead to what stays, or to a record of a kind that is left out?"""
        keys = list(_keys(at))
        kind = _type(at)
        is_left_out = kind is not None and kind not in ALWAYS and not self.consent.lets_go({"resourceType": kind})
        return is_left_out or any(key in self.why or key in self.bound for key in keys)

    def is_about(self, resource: dict) -> bool:
        """Is this copy of a record about what stays for a label?"""
        return bool(self.bound) and any(key in self.bound for key in _named_in(resource))

    def cut(self, resource: dict) -> dict | None:
        """The record without what leads there; the same one where nothing does; None where nothing is left to be said."""
        if not any(map(self.leads_there, find_references(resource))):
            return resource
        made = copy.deepcopy(resource)
        while found := next(filter(self.leads_there, find_references(made)), None):
            if _tells(made, found):
                made.pop("text", None)
            if not _removed(made, found.path):
                return None
        return made


@dataclass
class _Seen:
    """What was noted of the records of a request, read once."""

    kinds: dict[str, frozenset[RecordKind]] = field(default_factory=dict)  # of the newest copy
    refer: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))  # what is named -> who names it
    parts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    medication_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # Medication -> what names it
    known_as: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))  # of what is labeled
    carriers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # hash of bytes -> records
    bytes_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    needy: dict[str, int] = field(
        default_factory=dict
    )  # may have nothing left without a reference: which packet has it


def staying(
    packets: Sequence[Mapping[str, dict]], digests: Sequence[Mapping[str, Collection[str]]], consent: Consent
) -> Staying:
    """What stays home of the records of a request: its packets, the oldest first, each ``{Type/id: record}``.

    ``digests``: for each packet the SHA-256 (hex) of the documents of each record, where they are kept beside it.
    """
    seen = _read(packets, digests, consent)
    why = {source: (Why.KIND, "") for source, kinds in seen.kinds.items() if _stays(source, kinds, consent)}
    bound = frozenset[Key]()
    if _minds_labels(consent):
        labeled = [source for source, kinds in seen.kinds.items() if RecordKind.SENSITIVE in kinds and source in why]
        bound = _follow(seen, why, labeled)
    found = Staying(consent, why, bound)
    for source, number in seen.needy.items():
        if source not in why and found.cut(packets[number][source]) is None:
            why[source] = (Why.NOTHING_LEFT, "")
    return found


def _minds_labels(consent: Consent) -> bool:
    return RecordKind.SENSITIVE in consent.left_home


def _stays(source: str, kinds: frozenset[RecordKind], consent: Consent) -> bool:
    return source.partition("/")[0] not in ALWAYS and consent.kinds is not None and not kinds <= consent.kinds


def _read(
    packets: Sequence[Mapping[str, dict]], digests: Sequence[Mapping[str, Collection[str]]], consent: Consent
) -> _Seen:
    """Each record as it was last."""
    seen, follows = _Seen(), _minds_labels(consent)
    newest = {source: number for number, records in enumerate(packets) for source in records}
    for number, records in enumerate(packets):
        for source in [each for each in records if newest[each] == number]:
            resource = records[source]
            seen.kinds[source] = kinds_of(resource)
            if any(each.get("resourceType") in _ROOTS for each in (resource, *as_dicts(resource.get("contained")))):
                seen.needy[source] = number
            if follows and resource.get("resourceType") not in ALWAYS:
                _note(seen, source, resource, digests[number].get(source, ()))
    return seen


def _note(seen: _Seen, source: str, resource: dict, hashes: Collection[str]) -> None:
    for at in find_references(resource):
        part = re.sub(r"\[\d+\]", "", at.path) in PARTS
        target = _source(at.target) if at.target is not None else ""
        if part:
            seen.parts[source].add(target)
        if target.startswith("Medication/"):
            seen.medication_of[target].add(source)
    for key in _named_in(resource):
        seen.refer[key].add(source)
    if RecordKind.SENSITIVE in seen.kinds[source]:
        seen.known_as[source] |= set(_known_as(resource))
    for digest in {*hashes, *_inside(resource)}:
        seen.carriers[digest].add(source)
        seen.bytes_of[source].add(digest)


def _named_in(resource: dict) -> Iterator[Key]:
    """What a record says it is about: by its references, and by what it contains."""
    for at in find_references(resource):
        yield from _keys(at)
    for inside in as_dicts(resource.get("contained")):
        yield from _known_as(inside)


def _inside(resource: dict) -> Iterator[str]:
    for at in attachments(resource):
        try:
            data = inline_bytes(at.attachment)
        except MappingError:
            continue
        if data:
            yield hashlib.sha256(data).hexdigest()


def _follow(seen: _Seen, why: dict[str, tuple[Why, str]], labeled: Sequence[str]) -> frozenset[Key]:
    """Adds what stays with ``labeled``; gives the names by which a record is about one of all these."""
    bound = set[Key]()
    whole, more = list(labeled), list(labeled)
    while whole:  # what belongs to it, and what says the same
        source = whole.pop()
        twins = {each for digest in seen.bytes_of.get(source, ()) for each in seen.carriers[digest]} - {source}
        for found, reason in [(seen.parts.get(source, set()), Why.PART), (twins, Why.SAME_BYTES)]:
            for each in found & seen.kinds.keys() - why.keys():
                why[each] = (reason, source)
                whole.append(each)
                more.append(each)
    while more:  # what is about it
        source = more.pop()
        keys: set[Key] = (
            set() if source.partition("/")[0] in WHERE_AND_WHO else {source, *seen.known_as.get(source, ())}
        )
        bound |= keys
        for each in {one for key in keys for one in seen.refer.get(key, ())} - why.keys():
            why[each] = (Why.ABOUT, source)
            more.append(each)
    for medication in seen.medication_of.keys() & seen.kinds.keys() - why.keys():
        named_by = seen.medication_of[medication]
        if named_by <= why.keys() and any(why[each][0] is not Why.KIND or each in labeled for each in named_by):
            why[medication] = (Why.PART, min(named_by))
    return frozenset(bound)


def _keys(at: ReferenceAt) -> Iterator[Key]:
    """What a reference says of the record that it leads to."""
    if at.target is not None:
        yield _source(at.target)
    identifier = as_dict(at.reference.get("identifier"))
    if identifier.get("value"):
        yield str(identifier.get("system", "")), str(identifier["value"])
    name = as_text(at.reference.get("display"))
    if name and len(name.strip()) >= _SHORTEST_NAME:
        yield "", name.strip().casefold()


def _known_as(resource: dict) -> Iterator[Key]:
    for each in as_dicts(resource.get("identifier")):
        if each.get("value"):
            yield str(each.get("system", "")), str(each["value"])
    for concept in (as_dict(resource.get(name)) for name in _NAMED_BY):
        words = [concept.get("text"), *(each.get("display") for each in as_dicts(concept.get("coding")))]
        for word in words:
            if isinstance(word, str) and len(word.strip()) >= _SHORTEST_NAME:
                yield "", word.strip().casefold()


def _source(target: str) -> str:
    """``Type/id``, also of an address of which nobody said that it is the source's: to keep one home too many is no harm."""
    return (
        local_reference("/".join(target.split("?")[0].rsplit("/", 2)[-2:])) or target
        if is_elsewhere(target)
        else target
    )


def _type(at: ReferenceAt) -> str | None:
    return as_text(at.reference.get("type")) if at.target is None else type_of(at.target)


def _tells(resource: dict, at: ReferenceAt) -> bool:
    """May the narrative tell of it? It was made of the record with all its references."""
    display = as_text(at.reference.get("display")) or ""
    narrative = as_text(as_dict(resource.get("text")).get("div")) or ""
    return _type(at) not in WHERE_AND_WHO or (display != "" and display in narrative)


def _removed(resource: dict, path: str) -> bool:
    """Takes out the element; what needs it, and what is empty without it, too. False where that is the whole record."""
    steps = [(name, int(index) if index else None) for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", path)]
    while len(steps) > 1:
        (parent, _), (name, index) = steps[-2], steps[-1]
        holder = _at(resource, steps[1:-1])
        if index is not None:
            holder[name].pop(index)
        if index is None or not holder[name]:
            del holder[name]
        if name in holder or (holder and f"{parent}.{name}" not in _NEEDED):
            return True
        if parent == "contained":
            return False
        steps.pop()
    return False


def _at(resource: dict, steps: list[tuple[str, int | None]]) -> dict:
    node = resource
    for name, index in steps:
        node = node[name] if index is None else node[name][index]
    return node
