"""Every code system URL and code the Exchange writes or recognizes, once.

Which code is used where, and why: docs/reference/codes.md.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, NoReturn

from mappings.model.errors import MappingError
from mappings.model.request import Code

EXCHANGE_BASE = "https://second-opinion.example/fhir"

SYSTEM_SNOMED = "http://snomed.info/sct"
SYSTEM_LOINC = "http://loinc.org"
SYSTEM_REFERRAL_REASON = "http://terminology.hl7.org/CodeSystem/v2-0336"
SYSTEM_REFERRAL_DISPOSITION = "http://terminology.hl7.org/CodeSystem/v2-0282"
SYSTEM_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
SYSTEM_X12_SERVICE_TYPE = "https://codesystem.x12.org/005010/1365"
SYSTEM_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
SYSTEM_TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
SYSTEM_HREX = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
SYSTEM_BUSINESS_STATUS = f"{EXCHANGE_BASE}/CodeSystem/second-opinion-status"
SYSTEM_GOOD_REASON = f"{EXCHANGE_BASE}/CodeSystem/second-opinion-reason"
SYSTEM_AGREEMENT = f"{EXCHANGE_BASE}/CodeSystem/second-opinion-agreement"
SYSTEM_DECLINE_REASON = f"{EXCHANGE_BASE}/CodeSystem/second-opinion-decline-reason"
SYSTEM_BSER_STATUS = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
SYSTEM_COW_STATUS = "http://hl7.org/fhir/uv/cow/CodeSystem/temp"
SYSTEM_OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
SYSTEM_DOCUMENT_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
SYSTEM_PROVENANCE_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
SYSTEM_COMMUNICATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
SYSTEM_NUCC = "http://nucc.org/provider-taxonomy"
SYSTEM_NPI = "http://hl7.org/fhir/sid/us-npi"

EXTENSION_FIRST_OPINION = f"{EXCHANGE_BASE}/StructureDefinition/first-opinion"
EXTENSION_WRITTEN_REPORT = f"{EXCHANGE_BASE}/StructureDefinition/written-report"
EXTENSION_RECORDS_WANTED = f"{EXCHANGE_BASE}/StructureDefinition/records-wanted"
EXTENSION_REFERENCE_AS_WRITTEN = f"{EXCHANGE_BASE}/StructureDefinition/reference-as-written"
EXTENSION_COVERAGE_ANSWER = f"{EXCHANGE_BASE}/StructureDefinition/coverage-answer"
EXTENSION_COVERAGE_INFORMATION = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
EXTENSION_OPINION_NUMBER = f"{EXCHANGE_BASE}/StructureDefinition/opinion-number"

REASON_SECOND_OPINION = Code(system=SYSTEM_REFERRAL_REASON, code="S", display="Second Opinion")
DISPOSITION_SECOND_OPINION = Code(system=SYSTEM_REFERRAL_DISPOSITION, code="SO", display="Second Opinion")
DISPOSITION_WRITTEN_REPORT = Code(system=SYSTEM_REFERRAL_DISPOSITION, code="WR", display="Send Written Report")
CONFIRMATORY_CONSULTATION = Code(system=SYSTEM_SNOMED, code="77406008", display="Confirmatory medical consultation")
PATIENT_REFERRAL = Code(system=SYSTEM_SNOMED, code="3457005", display="Patient referral")
OUTSIDE_STUDY_REVIEW = Code(system=SYSTEM_DICOM, code="111418", display="Review of an outside study")
# X12's own words for these two are licensed: the numbers travel without a display.
X12_SECOND_OPINION = Code(system=SYSTEM_X12_SERVICE_TYPE, code="20")
X12_THIRD_OPINION = Code(system=SYSTEM_X12_SERVICE_TYPE, code="21")

# Any one of these says "second opinion"; free text never does.
SECOND_OPINION_CODES = frozenset(
    (code.system, code.code)
    for code in (
        REASON_SECOND_OPINION,
        DISPOSITION_SECOND_OPINION,
        CONFIRMATORY_CONSULTATION,
        OUTSIDE_STUDY_REVIEW,
        X12_SECOND_OPINION,
        X12_THIRD_OPINION,
    )
)

CONSULTATION_NOTE = Code(system=SYSTEM_LOINC, code="11488-4", display="Consult note")
RECORDS_SUMMARY = Code(system=SYSTEM_LOINC, code="34133-9", display="Summary of episode note")
CLINICAL_NOTE = Code(system=SYSTEM_DOCUMENT_CATEGORY, code="clinical-note", display="Clinical Note")
DATA_REQUEST = Code(system=SYSTEM_HREX, code="data-request", display="Data Request")
DATA_CODE = Code(system=SYSTEM_HREX, code="data-code", display="Data Code")
TASK_FULFILL = Code(system=SYSTEM_TASK_CODE, code="fulfill")
PATIENT_ASSERTED = Code(system=SYSTEM_OBSERVATION_VALUE, code="PATAST", display="patient asserted")
TRANSMITTER = Code(system=SYSTEM_PROVENANCE_AGENT, code="transmitter", display="Transmitter")
AUTHOR = Code(system=SYSTEM_PROVENANCE_AGENT, code="author", display="Author")
VERIFIER = Code(system=SYSTEM_PROVENANCE_AGENT, code="verifier", display="Verifier")
NOTIFICATION = Code(system=SYSTEM_COMMUNICATION_CATEGORY, code="notification", display="Notification")
PLACER_IDENTIFIER = Code(system=SYSTEM_IDENTIFIER_TYPE, code="PLAC", display="Placer Identifier")


def agreement_code(said: str) -> Code:
    """The code of one of mappings/model/written_report.py's words of agreement."""
    return Code(system=SYSTEM_AGREEMENT, code=said)


def coding(system: str, code: str, display: str | None = None) -> dict:
    """A Coding. https://hl7.org/fhir/R4/datatypes.html#Coding"""
    made = {"system": system, "code": code}
    return {**made, "display": display} if display else made


def coding_of(code: Code) -> dict:
    """The Coding for one of our codes or a request's."""
    return coding(code.system, code.code, code.display)


def concept(*codings: dict | Code, text: str | None = None) -> dict:
    """A CodeableConcept. https://hl7.org/fhir/R4/datatypes.html#CodeableConcept"""
    made: dict = {}
    if codings:
        made["coding"] = [coding_of(each) if isinstance(each, Code) else each for each in codings]
    return {**made, "text": text} if text else made


def one_of(value: Any, allowed: Iterable[str], path: str) -> str:
    """``value`` when it is one of the ``allowed`` codes of a required binding; else a MappingError naming ``path``."""
    if isinstance(value, str) and value in allowed:
        return value
    raise MappingError(path, f"holds an unknown code; known are {', '.join(sorted(allowed))}")


def to_date(value: Any, path: str) -> date:
    """A whole FHIR date; a MappingError naming ``path`` for anything else (Python alone would take 20260301)."""
    try:
        return date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) else _not_a_date(path)
    except (TypeError, ValueError):
        return _not_a_date(path)


def _not_a_date(path: str) -> NoReturn:
    raise MappingError(path, "is not a date (YYYY-MM-DD)") from None


def as_dict(value: Any) -> dict:
    """``value`` when it is a JSON object, else an empty one: another system's resource may have any shape."""
    return value if isinstance(value, dict) else {}


def as_dicts(value: Any) -> list[dict]:
    """The JSON objects in ``value`` when it is a list; one object counts as a list of one."""
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def as_list(value: Any) -> list:
    """``value`` when it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """``value`` without surrounding white space, or None when there are no words in it."""
    return (value.strip() or None) if isinstance(value, str) else None


def codings_in(concepts: Any) -> Iterator[dict]:
    """Every coding with a system and a code in one CodeableConcept or a list of them, in order."""
    for each in as_dicts(concepts):
        for found in as_dicts(each.get("coding")):
            if as_text(found.get("system")) and as_text(found.get("code")):
                yield found


def has_code(concepts: Any, code: Code) -> bool:
    """True when ``code`` (system and code, never the display) is among the codings."""
    return any(
        (found["system"].strip(), found["code"].strip()) == (code.system, code.code) for found in codings_in(concepts)
    )


def to_code(found: dict) -> Code:
    """A Coding as a Code."""
    return Code(system=found["system"], code=found["code"], display=as_text(found.get("display")))


def first_code(concepts: Any) -> Code | None:
    """The first coding with a system and a code, or None."""
    found = next(codings_in(concepts), None)
    return to_code(found) if found else None
