"""The terminology a validating server needs to judge our codes: fragments, because the whole systems are licensed.

Upload before the first ``$validate``: HAPI remembers what it did not find.
"""
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from mappings import codes
from mappings.model.states import BSER_CODE, BUSINESS_STATUS

NUCC = "http://nucc.org/provider-taxonomy"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
# What a request brings along and we pass through untouched: whatever the samples hold is taken as right.
PASSED_THROUGH = (NUCC, ICD_10_CM)
DOCUMENT_SCALE = "LP32888-7"
_SCALES = {"11488-4": DOCUMENT_SCALE, "34133-9": DOCUMENT_SCALE, "57133-1": DOCUMENT_SCALE, "10160-0": "LP7749-4"}
_LOINC = {"11488-4": "Consult note", "34133-9": "Summary of episode note", "57133-1": "Referral note",
          "10160-0": "History of Medication use Narrative"}
# Each is a kind of procedure (71388002) in SNOMED CT.
_SNOMED = {"3457005": "Patient referral", "77406008": "Confirmatory medical consultation"}
_AGENTS = {"transmitter": "Transmitter", "author": "Author"}


def load_terminology(base_url: str, resources: Iterable[dict], profiles: Path) -> int:
    """Store the fragments and the value sets that need them; returns how many. ``resources`` are what will be validated."""
    made = [*_code_systems(list(resources)), *_value_sets(profiles)]
    entries = [{"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}} for each in made]
    with requests.Session() as session:
        session.trust_env = False
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        session.post(base_url, json=bundle, timeout=120).raise_for_status()
    return len(made)


def codes_in(value: Any, system: str) -> set[str]:
    """Every code of a system anywhere in FHIR JSON."""
    if isinstance(value, list):
        return {code for each in value for code in codes_in(each, system)}
    if not isinstance(value, dict):
        return set()
    own = {value["code"]} if value.get("system") == system and "code" in value else set()
    return own.union(*(codes_in(each, system) for each in value.values()))


def _code_systems(resources: list[dict]) -> Iterator[dict]:
    yield _code_system("loinc", codes.SYSTEM_LOINC, _LOINC, scales=_SCALES)
    yield _code_system("snomed-ct", codes.SYSTEM_SNOMED, _SNOMED)
    yield _code_system("x12-service-type", codes.SYSTEM_X12_SERVICE_TYPE, dict.fromkeys(("20", "21")))
    yield _code_system("second-opinion-status", codes.SYSTEM_BUSINESS_STATUS, dict.fromkeys(BUSINESS_STATUS))
    yield _code_system("bser-status", codes.SYSTEM_BSER_STATUS, dict.fromkeys(BSER_CODE.values()))
    for number, system in enumerate(PASSED_THROUGH):
        yield _code_system(f"passed-through-{number}", system, dict.fromkeys(sorted(codes_in(resources, system))))
    # HAPI has R4's own copy, older than `transmitter`. Only a system said to be complete goes before that copy.
    yield _code_system("provenance-agent", codes.SYSTEM_PROVENANCE_AGENT, _AGENTS, content="complete")


def _code_system(name: str, system: str, concepts: dict[str, str | None], content: str = "fragment",
                 scales: dict[str, str] | None = None) -> dict:
    made = {"resourceType": "CodeSystem", "id": f"ours-{name}", "url": system, "version": "fragment", "status": "active",
            "content": content, "concept": [_concept(code, display, scales) for code, display in concepts.items()]}
    return {**made, "property": [{"code": "SCALE_TYP", "type": "code"}]} if scales else made


def _concept(code: str, display: str | None, scales: dict[str, str] | None) -> dict:
    made = {"code": code, **({"display": display} if display else {})}
    return {**made, "property": [{"code": "SCALE_TYP", "valueCode": scales[code]}]} if scales else made


def _value_sets(profiles: Path) -> Iterator[dict]:
    """US Core's two with filters HAPI cannot apply to a fragment, told as codes; and two that are published elsewhere."""
    documents = [code for code, scale in _SCALES.items() if scale == DOCUMENT_SCALE]
    yield _told(profiles / "ValueSet-us-core-documentreference-type.json", codes.SYSTEM_LOINC, documents)
    yield _told(profiles / "valueset-us-core-procedure-code.json", codes.SYSTEM_SNOMED, list(_SNOMED))
    yield _value_set("provenance-agent-type", "http://terminology.hl7.org/ValueSet/provenance-agent-type",
                     _include(codes.SYSTEM_PROVENANCE_AGENT, list(_AGENTS)))
    yield _value_set("provider-taxonomy", "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.114222.4.11.1066", {"system": NUCC})


def _told(path: Path, system: str, found: list[str]) -> dict:
    value_set = json.loads(path.read_bytes())
    others = [each for each in value_set["compose"]["include"] if each.get("system") != system or "filter" not in each]
    return {**value_set, "version": "9.0.0", "compose": {"include": [*others, _include(system, found)]}}


def _include(system: str, found: list[str]) -> dict:
    return {"system": system, "concept": [{"code": code} for code in found]}


def _value_set(name: str, url: str, include: dict) -> dict:
    return {"resourceType": "ValueSet", "id": name, "url": url, "status": "active", "compose": {"include": [include]}}
