"""The terminology a validating server needs to judge our codes: fragments, because the whole systems are licensed.

Upload before the first ``$validate``: HAPI remembers what it did not find.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from mappings import codes
from mappings.model.eligibility import SERVICES
from mappings.model.states import BSER_CODE, BUSINESS_STATUS
from mappings.written_report import AGREEMENT_WORDS
from tests.servers.us_core import US_CORE_VERSION

NUCC = "http://nucc.org/provider-taxonomy"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
# What a request brings along and we pass through untouched: whatever the samples hold is taken as right.
PASSED_THROUGH = (NUCC, ICD_10_CM)
_LOINC = {
    "11488-4": "Consult note",
    "11526-1": "Pathology study",
    "34133-9": "Summary of episode note",
    "57133-1": "Referral note",
    "10160-0": "History of Medication use Narrative",
    "11450-4": "Problem list - Reported",
    "48765-2": "Allergies and adverse reactions Document",
    "60591-5": "Patient summary Document",
    "38268-9": "DXA Skeletal system Views for bone density",
}
_DOCUMENTS = ["11488-4", "34133-9", "57133-1"]  # those whose LOINC scale is Doc (LP32888-7)
_PROCEDURES = {"3457005": "Patient referral", "77406008": "Confirmatory medical consultation"}
_FINDINGS = {"60573004": "Aortic valve stenosis"}  # a diagnosis in examples/
_AGENTS = {"transmitter": "Transmitter", "author": "Author", "verifier": "Verifier"}


def load_terminology(base_url: str, resources: Iterable[dict], profiles: Path) -> int:
    """Store fragments and the value sets that need them; returns how many. ``resources`` are what will be validated."""
    made = [*_code_systems(list(resources)), *_value_sets(profiles)]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}} for each in made
    ]
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
    yield _code_system("loinc", codes.SYSTEM_LOINC, _LOINC)  # HAPI looks for LOINC under this id alone
    yield _code_system("snomed-ct", codes.SYSTEM_SNOMED, {**_PROCEDURES, **_FINDINGS})
    yield _code_system("x12-service-type", codes.SYSTEM_X12_SERVICE_TYPE, dict.fromkeys(SERVICES))
    yield _code_system("second-opinion-status", codes.SYSTEM_BUSINESS_STATUS, dict.fromkeys(BUSINESS_STATUS))
    yield _code_system(
        "second-opinion-agreement",
        codes.SYSTEM_AGREEMENT,
        {str(each): words for each, words in AGREEMENT_WORDS.items()},
    )
    yield _code_system("bser-status", codes.SYSTEM_BSER_STATUS, dict.fromkeys(BSER_CODE.values()))
    for number, system in enumerate(PASSED_THROUGH):
        yield _code_system(f"passed-through-{number}", system, dict.fromkeys(sorted(codes_in(resources, system))))
    # HAPI has R4's own copy, older than `transmitter`. Only a system said to be complete goes before that copy.
    yield _code_system("provenance-agent", codes.SYSTEM_PROVENANCE_AGENT, _AGENTS, content="complete")


def _code_system(name: str, system: str, concepts: dict[str, str | None], content: str = "fragment") -> dict:
    told = [{"code": code, "display": display} if display else {"code": code} for code, display in concepts.items()]
    return {
        "resourceType": "CodeSystem",
        "id": name,
        "url": system,
        "version": "fragment",
        "status": "active",
        "content": content,
        "concept": told,
    }


def _value_sets(profiles: Path) -> Iterator[dict]:
    """US Core's with filters that HAPI cannot apply to a fragment, told as codes; and one published elsewhere."""
    yield _told(profiles / "ValueSet-us-core-documentreference-type.json", codes.SYSTEM_LOINC, _DOCUMENTS)
    yield _told(profiles / "valueset-us-core-procedure-code.json", codes.SYSTEM_SNOMED, list(_PROCEDURES))
    yield _told(profiles / "valueset-us-core-condition-code.json", codes.SYSTEM_SNOMED, list(_FINDINGS))
    yield {
        "resourceType": "ValueSet",
        "id": "provider-taxonomy",
        "status": "active",
        "url": "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.114222.4.11.1066",
        "compose": {"include": [{"system": NUCC}]},
    }


def _told(path: Path, system: str, found: list[str]) -> dict:
    value_set = json.loads(path.read_bytes())
    others = [each for each in value_set["compose"]["include"] if each.get("system") != system or "filter" not in each]
    ours = {"system": system, "concept": [{"code": code} for code in found]}
    return {**value_set, "version": US_CORE_VERSION, "compose": {"include": [*others, ours]}}
