"""A packet as a document Bundle shaped after the International Patient Summary: every record once, as it was carried.

https://hl7.org/fhir/uv/ips/STU1.1/StructureDefinition-Bundle-uv-ips.html. Shaped after it, and no claim to its profiles: a record
of a real chart seldom fits them, and none is changed to fit. Where the packet holds nothing of a required section, the section says
that nothing is known (``emptyReason``), or that the patient left this kind of record out; that there is none is said by nobody here.
"""

import html
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mappings.addresses import Bases
from mappings.bundle import key_of, urn_of
from mappings.codes import SYSTEM_LOINC, as_dict, as_text, codings_in, concept
from mappings.identifiers import source_identifier
from mappings.model.consent import BY_THE_PATIENT, KIND_OF, LEFT_HOME, RecordKind
from mappings.model.errors import MappingError
from mappings.model.findings import Finding
from mappings.model.request import Code
from mappings.references import Resolution, rewrite

PATIENT_SUMMARY = Code(system=SYSTEM_LOINC, code="60591-5", display="Patient summary Document")
SYSTEM_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
NOTHING_KNOWN = Code(system=SYSTEM_EMPTY, code="unavailable", display="Unavailable")
SYSTEM_OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
XHTML = "http://www.w3.org/1999/xhtml"
WITHHELD = Code(system=SYSTEM_EMPTY, code="withheld", display="Information Withheld")
LEFT_OUT_TITLE = "Left out by the patient's choice"
EMPTY_WORDS = "No record of this kind is in the packet. That does not say that there is none."
NO_WORDS = "a record without a name in words"


@dataclass(frozen=True)
class SectionKind:
    """A section of the summary; ``code`` None: it is ours, for what the summary has no section for."""

    title: str
    code: Code | None
    types: frozenset[str]
    is_required: bool = False


def _loinc(code: str, display: str) -> Code:
    return Code(system=SYSTEM_LOINC, code=code, display=display)


PROBLEMS = SectionKind(
    "Problems", _loinc("11450-4", "Problem list - Reported"), frozenset({"Condition"}), is_required=True
)
ALLERGIES = SectionKind(
    "Allergies and intolerances",
    _loinc("48765-2", "Allergies and adverse reactions Document"),
    frozenset({"AllergyIntolerance"}),
    is_required=True,
)
MEDICATIONS = SectionKind(
    "Medications",
    _loinc("10160-0", "History of Medication use Narrative"),
    frozenset({"MedicationRequest", "MedicationStatement"}),
    is_required=True,
)
IMMUNIZATIONS = SectionKind(
    "Immunizations", _loinc("11369-6", "History of Immunization note"), frozenset({"Immunization"})
)
PROCEDURES = SectionKind("Procedures", _loinc("47519-4", "History of Procedures Document"), frozenset({"Procedure"}))
DEVICES = SectionKind(
    "Medical devices", _loinc("46264-8", "History of medical device use"), frozenset({"DeviceUseStatement"})
)
RESULTS = SectionKind(
    "Results",
    _loinc("30954-2", "Relevant diagnostic tests/laboratory data note"),
    frozenset({"Observation", "DiagnosticReport"}),
)
VITAL_SIGNS = SectionKind("Vital signs", _loinc("8716-3", "Vital signs note"), frozenset())
SOCIAL_HISTORY = SectionKind("Social history", _loinc("29762-2", "Social history note"), frozenset())
PLANS = SectionKind("Plan of care", _loinc("18776-5", "Plan of care note"), frozenset({"CarePlan"}))
OTHERS = SectionKind("Other records", None, frozenset())
SECTIONS = (
    PROBLEMS, ALLERGIES, MEDICATIONS, IMMUNIZATIONS, PROCEDURES, DEVICES, RESULTS, VITAL_SIGNS, SOCIAL_HISTORY, PLANS, OTHERS,
)  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OBSERVED = {"vital-signs": VITAL_SIGNS, "social-history": SOCIAL_HISTORY}
# What others refer to and no reader looks for: it is in the Bundle because a record names it.
_BACKGROUND = frozenset(
    {"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Device", "Specimen"}
)


def to_summary(
    resources: Sequence[dict],
    *,
    patient: str,
    identifier_system: str,
    document_id: str,
    made_at: str,
    made_by: str,
    source_base: Bases = None,
    left_out: Sequence[RecordKind] = (),
) -> tuple[dict, list[Finding]]:
    """The Bundle, and a finding for each reference that names nothing in it.

    ``left_out``: kinds of record that are not among the ``resources`` by the patient's choice; a section names them.
    ``patient``: ``Patient/id`` of who it is about, who has to be among the ``resources``. ``document_id`` is a uuid, ``made_at``
    an instant, ``made_by`` the software that put it together. Raises MappingError.
    """
    by_key = {key_of(each): each for each in resources}
    if len(by_key) < len(resources):
        raise MappingError("Bundle.entry", "the same Type/id stands twice among the records")
    if patient not in by_key:
        raise MappingError("Composition.subject", "the patient's own record is not among the records")
    urns = {key: urn_of(identifier_system, key) for key in by_key}
    findings: list[Finding] = []
    carried = [_carried(each, urns, identifier_system, source_base, findings) for each in resources]
    author = f"urn:uuid:{uuid.uuid5(uuid.UUID(document_id), 'author')}"
    document = f"urn:uuid:{uuid.uuid5(uuid.UUID(document_id), 'composition')}"
    composition = _composition(by_key, urns, patient, author, made_at, left_out)
    entries = [
        {"fullUrl": document, "resource": composition},
        *({"fullUrl": urns[key_of(each)], "resource": each} for each in _patient_first(carried, patient)),
        {"fullUrl": author, "resource": _software(made_by)},
    ]
    made = {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{document_id}"},
        "type": "document",
        "timestamp": made_at,
        "entry": entries,
    }
    return made, findings


def _carried(
    resource: dict, urns: Mapping[str, str], identifier_system: str, source_base: Bases, findings: list[Finding]
) -> dict:
    """As it came, but for references, which name what is in the Bundle or nothing but an identifier."""

    def resolve(target: str) -> Resolution:
        if target in urns:
            return Resolution("copy", urns[target])
        if "://" in target:
            return Resolution("logical")
        kind, _, logical_id = target.partition("/")
        return Resolution("logical", identifier=source_identifier(identifier_system, kind, logical_id))

    made, found = rewrite(resource, resolve, source_base=source_base)
    findings += [replace(each, path=f"{key_of(resource)}#{each.path}") for each in found]
    return made


def _patient_first(resources: Iterable[dict], patient: str) -> list[dict]:
    return sorted(resources, key=lambda each: key_of(each) != patient)


def _composition(
    by_key: Mapping[str, dict],
    urns: Mapping[str, str],
    patient: str,
    author: str,
    made_at: str,
    left_out: Sequence[RecordKind],
) -> dict:
    sections = [each for each in (_section(kind, by_key, urns, left_out) for kind in SECTIONS) if each]
    return {
        "resourceType": "Composition",
        "status": "final",
        "type": concept(PATIENT_SUMMARY),
        "subject": {"reference": urns[patient]},
        "date": made_at,
        "author": [{"reference": author}],
        "title": "Patient summary",
        "section": [*sections, *_of_left_out(left_out)],
    }


def section_of(resource: dict) -> SectionKind | None:
    """Where a record stands; None for what stands behind others: people, places, substances."""
    kind = resource.get("resourceType")
    if kind in _BACKGROUND:
        return None
    if kind == "Observation":
        said = {
            each["code"]
            for each in codings_in(resource.get("category"))
            if each["system"] == SYSTEM_OBSERVATION_CATEGORY
        }
        return next((section for code, section in _OBSERVED.items() if code in said), RESULTS)
    return next((each for each in SECTIONS if kind in each.types), OTHERS)


def _of_left_out(left_out: Sequence[RecordKind]) -> Iterable[dict]:
    if left_out:
        words = [f"{LEFT_HOME[each]}: {BY_THE_PATIENT}" for each in left_out]
        yield {"title": LEFT_OUT_TITLE, "text": _narrative(words), "emptyReason": concept(WITHHELD)}


def _section(
    kind: SectionKind, by_key: Mapping[str, dict], urns: Mapping[str, str], left_out: Sequence[RecordKind]
) -> dict:
    held = {key: each for key, each in by_key.items() if section_of(each) is kind}
    if not held and not kind.is_required:
        return {}
    made: dict = {"title": kind.title, **({"code": concept(kind.code)} if kind.code else {})}
    if not held:
        withheld = any(KIND_OF[each] in left_out for each in kind.types)
        why, said = (WITHHELD, BY_THE_PATIENT.capitalize()) if withheld else (NOTHING_KNOWN, EMPTY_WORDS)
        return {**made, "text": _narrative([said]), "emptyReason": concept(why)}
    words = [words_of(each) for each in held.values()]
    return {**made, "text": _narrative(words), "entry": [{"reference": urns[key]} for key in held]}


def words_of(resource: dict) -> str:
    """What a record is called, in the words that it brings; nothing is translated or derived."""
    named = ("code", "medicationCodeableConcept", "vaccineCode", "type", "description", "title")
    for each in (resource.get(name) for name in named):
        said = as_text(each) or as_text(as_dict(each).get("text"))
        said = said or next((as_text(one.get("display")) or one["code"] for one in codings_in(each)), None)
        if said:
            return said
    return as_text(as_dict(resource.get("medicationReference")).get("display")) or NO_WORDS


def _narrative(lines: Sequence[str]) -> dict:
    items = "".join(f"<li>{html.escape(_writable(each))}</li>" for each in lines)
    return {"status": "generated", "div": f'<div xmlns="{XHTML}"><ul>{items}</ul></div>'}


def _writable(text: str) -> str:
    """Without characters that XML cannot hold (https://www.w3.org/TR/xml/#charsets)."""
    return _NOT_XML.sub("", text) or NO_WORDS


def _software(name: str) -> dict:
    return {"resourceType": "Device", "deviceName": [{"name": name, "type": "user-friendly-name"}]}
