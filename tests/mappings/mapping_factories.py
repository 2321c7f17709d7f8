"""Values and resources for the mapping tests: Dr Alice asks Dr Bob about a synthetic patient."""

import io
import json
import os
import zipfile
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from jsonschema import Draft6Validator

from mappings import codes
from mappings.communication import to_patient_questions
from mappings.consult_report import read_report, to_returned_report
from mappings.document_reference import to_document_reference
from mappings.model.request import (
    Code,
    Diagnosis,
    FirstOpinion,
    HumanName,
    Identifier,
    OrganizationRef,
    PatientRef,
    PractitionerRef,
    RecordsWanted,
    SecondOpinionRequest,
)
from mappings.patient import to_patient
from mappings.practitioner import to_organization, to_practitioner, to_practitioner_role
from mappings.provenance import to_provenance
from mappings.service_request import Refs, to_service_request
from mappings.task import TaskInput, to_task

IDS = "https://second-opinion.example/ids"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
GOLDEN = Path(__file__).parent.parent / "golden"
DATA = os.environ.get("SECOND_OPINION_DATA")
needs_data = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="SECOND_OPINION_DATA names no folder")

ALICE = PractitionerRef(
    identifiers=(Identifier(system=codes.SYSTEM_NPI, value="1234567893"),),
    name=HumanName(family="Archer", given=("Alice",)),
    organization=OrganizationRef(name="Harbour Primary Care"),
)
BOB = PractitionerRef(
    identifiers=(Identifier(system=codes.SYSTEM_NPI, value="1245319599"),),
    name=HumanName(family="Bishop", given=("Bob", "T")),
    specialty=Code(
        system="http://nucc.org/provider-taxonomy", code="207X00000X", display="Orthopaedic Surgery Physician"
    ),
)
CHARLIE = PractitionerRef(name=HumanName(family="Cárdenas"))
PATIENT = PatientRef(
    identifiers=(Identifier(system="https://harbour.example/mrn", value="MRN-0042"),),
    name=HumanName(family="Núñez", given=("Pía", "Q")),
    birth_date=date(1980, 2, 29),
    sex="female",
)
REQUEST = SecondOpinionRequest(
    key="harbour:ServiceRequest/9",
    placer="harbour",
    fulfiller="summit",
    patient=PATIENT,
    requester=ALICE,
    first_opinion=FirstOpinion(
        doctor=CHARLIE,
        given_on=date(2026, 5, 4),
        diagnosis=Diagnosis(
            text="Tear of the anterior cruciate ligament, right knee", codes=(Code(system=ICD, code="S83.511A"),)
        ),
    ),
    question="Is reconstruction needed, or would rehabilitation do?",
    reasons=(
        Code(system="http://terminology.hl7.org/CodeSystem/v3-ActReason", code="PATRQT", display="patient requested"),
    ),
    specialty=Code(system=codes.SYSTEM_SNOMED, code="394801008", display="Trauma and orthopedics"),
    consultant=BOB,
    priority="urgent",
    authored_at="2026-06-01T09:00:00-07:00",
    wanted_by=date(2026, 6, 20),
    patient_questions=("Can I ski again?", "What if I wait?"),
    records=RecordsWanted(types=("DiagnosticReport", "DocumentReference"), since=date(2025, 1, 1)),
    consent="Consent/c1",
    coverage=("Coverage/v1",),
    service_request="ServiceRequest/9",
    opinion_number=3,
)
REFS = Refs(patient="Patient/p1", supporting_info=("Consent/c1",), insurance=("Coverage/v1",))


def service_request() -> dict:
    """Everyone contained, as at a target that knows nobody."""
    return to_service_request(REQUEST, request_id="r-1", refs=REFS, identifier_system=IDS)


def service_request_with_known_people() -> dict:
    """People resolved at the target, a case and an earlier request."""
    earlier = {
        "type": "ServiceRequest",
        "identifier": {"system": "https://harbour.example", "value": "ServiceRequest/9"},
    }
    refs = Refs(
        patient="Patient/p1",
        requester="PractitionerRole/alice",
        performer="PractitionerRole/bob",
        supporting_info=("Consent/c1", "DocumentReference/d1"),
        insurance=("Coverage/v1",),
        case="r-0",
        based_on=(earlier,),
    )
    return to_service_request(REQUEST, request_id="r-1", refs=refs, identifier_system=IDS)


def patient_questions() -> dict:
    return to_patient_questions(
        REQUEST.patient_questions,
        request_id="r-1",
        identifier_system=IDS,
        service_request="ServiceRequest/9",
        patient="Patient/p1",
    )


def task() -> dict:
    inputs = [
        TaskInput(text="records-packet", reference="DocumentReference/d1"),
        TaskInput(
            code=Code(system=codes.SYSTEM_LOINC, code="10160-0", display="History of Medication use Narrative"),
            reference="List/meds",
        ),
        TaskInput(text="patient-questions", reference="Communication/q1"),
    ]
    return to_task(
        request_id="r-1",
        identifier_system=IDS,
        service_request="ServiceRequest/9",
        patient="Patient/p1",
        requester="PractitionerRole/alice",
        owner="Organization/summit",
        inputs=inputs,
        authored_at="2026-06-01T09:00:00-07:00",
        wanted_by="2026-06-20",
    )


def document() -> dict:
    return to_document_reference(
        identifier=Identifier(system=IDS, value="DocumentReference/r-1-d1"),
        patient="Patient/p1",
        type_code=Code(system=codes.SYSTEM_LOINC, code="57133-1"),
        title="Records for the second opinion",
        content_type="application/pdf",
        data=b"%PDF-1.7 synthetic",
        date="2026-06-02T08:00:00-07:00",
        period_end="2026-06-02T08:00:00-07:00",
        related=[{"reference": "ServiceRequest/9"}],
        author=[{"reference": "Practitioner/alice"}],
        replaces="DocumentReference/old",
    )


def fulfiller_report() -> dict:
    made = to_document_reference(
        identifier=Identifier(system="https://summit.example/reports", value="R-77"),
        patient="Patient/s9",
        type_code=codes.CONSULTATION_NOTE,
        title="Opinion",
        content_type="application/pdf",
        data=b"%PDF-1.7 opinion",
        date="2026-06-18T16:30:00-07:00",
        period_end=None,
        related=[{"reference": "ServiceRequest/s1"}],
    )
    return {**made, "id": "rep1", "meta": {"versionId": "2"}}


def returned_report() -> dict:
    return to_returned_report(
        reading=read_report(fulfiller_report()),
        bytes=b"%PDF-1.7 opinion",
        content_type="application/pdf",
        request_id="r-1",
        identifier=Identifier(system=IDS, value="DocumentReference/r-1-report-2"),
        patient="Patient/p1",
        service_request="ServiceRequest/9",
        revision=2,
        replaces="DocumentReference/first",
        author_display="Bob Bishop, Summit Orthopaedics",
    )


def emitted() -> dict[str, dict]:
    """Every resource the mappings write, by the name of its golden file."""
    return {
        "service_request": service_request(),
        "service_request_known_people": service_request_with_known_people(),
        "communication_patient_questions": patient_questions(),
        "task": task(),
        "document_reference": document(),
        "document_reference_returned_report": returned_report(),
        "patient": to_patient(PATIENT),
        "practitioner": to_practitioner(BOB),
        "practitioner_role": to_practitioner_role(BOB, practitioner="Practitioner/bob", organization="Organization/s"),
        "organization": to_organization(
            OrganizationRef(
                name="Summit Orthopaedics", identifiers=(Identifier(system=codes.SYSTEM_NPI, value="1234567893"),)
            )
        ),
        "provenance": to_provenance(
            targets=["DocumentReference/d1"],
            recorded="2026-06-02T08:00:00-07:00",
            exchange_name="Example Exchange",
            on_behalf_of="Organization/harbour",
            sources=[Identifier(system=IDS, value="DocumentReference/77")],
        ),
    }


def check_with_fhir_resources(resource: dict) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def check_with_fhirclient(resource: dict) -> None:
    FHIRElementFactory.instantiate(resource["resourceType"], resource)


def schema_errors(resource: dict) -> list[str]:
    """What the official R4 JSON schema says against it."""
    found = _schema_of(resource["resourceType"]).iter_errors(resource)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


@cache
def _schema() -> dict:
    with zipfile.ZipFile(io.BytesIO(Path(DATA, "r4-schema", "fhir.schema.json.zip").read_bytes())) as packed:
        return json.loads(packed.read("fhir.schema.json"))


@cache
def _schema_of(resource_type: str) -> Draft6Validator:
    whole = _schema()
    return Draft6Validator(
        {"$schema": whole["$schema"], "$ref": f"#/definitions/{resource_type}", "definitions": whole["definitions"]}
    )


def examples(folder: str, kind: str) -> list[dict]:
    """The real resources of one kind in a folder of SECOND_OPINION_DATA."""
    paths = sorted(Path(DATA, folder).glob("*.json"))
    read = (json.loads(path.read_text("utf-8")) for path in paths)
    return [each for each in read if each.get("resourceType") == kind]
