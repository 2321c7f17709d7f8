"""Every kind of resource the Exchange writes, each with the profile it is declared against, for the validators."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

from integration import fhir_json
from integration.hosted.outcomes import not_found
from integration.settings.request_file import load_request
from mappings import codes
from mappings.appointment import STATUS_OF, to_appointment
from mappings.bundle import draft
from mappings.communication import to_patient_questions
from mappings.consent import to_consent
from mappings.consult_report import read_report, to_returned_report
from mappings.document_reference import to_attachment, to_document_reference
from mappings.eligibility import to_eligibility_request
from mappings.model.consent import Consent, RecordKind, Said
from mappings.model.eligibility import SERVICES
from mappings.model.request import Code, Identifier
from mappings.model.states import BUSINESS_STATUS, NEEDS_REASON, Status, Visit
from mappings.model.visit import Slot
from mappings.model.written_report import Agreement, Answer, Point, Test, WrittenReport
from mappings.practitioner import to_practitioner
from mappings.preview import to_bundle
from mappings.returned_composition import to_returned_composition
from mappings.service_request import REQUEST_STATUS, Refs, to_service_request
from mappings.slot import to_booking
from mappings.task import REFINES, TaskInput, to_task
from mappings.written_report import About, to_composition, to_report_document, to_text
from tests.mappings import mapping_factories as made
from tests.mappings.graph_helpers import transaction
from tests.mappings.mapping_factories import IDS, REQUEST

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
PROFILES = {
    "ServiceRequest": "us-core-servicerequest",
    "DocumentReference": "us-core-documentreference",
    "Practitioner": "us-core-practitioner",
    "Organization": "us-core-organization",
    "Patient": "us-core-patient",
    "Provenance": "us-core-provenance",
}
SOURCE = "https://harbour.example/fhir"
PDF = b"%PDF-1.7 opinion"


@dataclass(frozen=True)
class Sample:
    """One resource and what it is declared against: a US Core profile, or R4 alone."""

    name: str
    resource: dict
    is_plain: bool = False  # R4 alone: US Core asks for codes that nobody gave

    @property
    def kind(self) -> str:
        """Its resource type."""
        return self.resource["resourceType"]

    @property
    def profile(self) -> str | None:
        """Canonical of the profile; None means R4 itself."""
        return f"{US_CORE}/{PROFILES[self.kind]}" if self.kind in PROFILES and not self.is_plain else None


@cache
def samples() -> tuple[Sample, ...]:
    """All of them, in the order of the table."""
    resources = {
        **_service_requests(),
        **_tasks(),
        **_communications(),
        **_documents(),
        **_people(),
        **_visits(),
        **_eligibility_requests(),
        **_consents(),
        "provenance": made.emitted()["provenance"],
        **_received_at_home(),
        "transaction_bundle": transaction_bundle(),
        "patient_summary": patient_summary(),
        **_printed_bundles(),
        "operation_outcome": fhir_json.loads(not_found("Patient", "1").outcome()),
    }
    return tuple(Sample(name, resource, name in PLAIN) for name, resource in resources.items())


def _with_a_study(record, study, series):
    """The same as images."""
    held = study("1.2.3", "2026-05-30", "CT ABDOMEN", (series("1.2.3.1", "CT", "ABDOMEN", 2),))
    return replace(record, said=replace(record.said, studies=(held,)), content_type="application/zip")


def _received_at_home() -> dict[str, dict]:
    """What a hosted practice keeps of a record that arrived from elsewhere."""
    from mappings.provenance import CREATE, Activity
    from mappings.provenance import to_provenance as transmitted
    from mappings.received import Received, Said, Series, Study
    from mappings.received_at_home import to_document, to_provenance, to_studies, to_withdrawal

    said = Received(
        id="5f1c",
        sha256="0" * 64,
        sha1="0" * 40,
        size=len(PDF),
        content_type="application/pdf",
        said=Said(),
        label="Pathology report",
        code=Code(system="http://loinc.org", code="11526-1", display="Pathology study"),
        dated="2026-05-30",
        author="Dr. Dee",
        source="Elsewhere Pathology, by mail",
        at="2026-06-02T08:00:00+00:00",
    )
    name = {"system": IDS, "value": "DocumentReference/r-1-received-5f1c"}
    of = ("DocumentReference/d1", "A. Coordinator", "Harbour Family Practice")
    return {
        "received document at a hosted practice": to_document(said, "Patient/p1", name, "Binary/b1"),
        "received study at a hosted practice": to_studies(_with_a_study(said, Study, Series), "Patient/p1", name)[0],
        "received document, who accepted it": to_provenance(said, *of),
        "records from elsewhere, where they came from": transmitted(
            targets=["Observation/o1", "DocumentReference/d1"],
            recorded="2026-06-02T08:00:00Z",
            exchange_name="Second Opinion Exchange",
            on_behalf_of_display="Harbour Family Practice",
            activity=Activity(CREATE, "gathered from another provider because a person named it"),
            came_from="County Lab",
        ),
        "received document, who took it back": to_withdrawal(
            *of, "2026-06-03T08:00:00+00:00", "it is another patient's record"
        ),
    }


PLAIN = {"received document at a hosted practice"}


def patient_summary() -> dict:
    """What a patient carries by a SMART Health Link; of three required sections one is empty."""
    from mappings.ips import to_summary

    patient = {**made.emitted()["patient"], "id": "p1"}
    subject = {"reference": "Patient/p1"}
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "S83.511A"}]}
    condition = {"resourceType": "Condition", "id": "c1", "subject": subject, "code": code}
    drug = {
        "resourceType": "MedicationStatement",
        "id": "m1",
        "status": "active",
        "subject": subject,
        "medicationCodeableConcept": {"text": "Ibuprofen 400 mg"},
    }
    return to_summary(
        [patient, {**condition, **CLINICAL}, drug],
        patient="Patient/p1",
        identifier_system=IDS,
        document_id="6f1ab8f5-92a7-5c6e-8d35-000000000001",
        made_at="2026-06-02T08:00:00-07:00",
        made_by="Second Opinion Exchange",
    )[0]


CLINICAL = {
    "clinicalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    }
}


def _service_requests() -> dict[str, dict]:
    bare = REQUEST.model_copy(
        update={
            "consultant": None,
            "wanted_by": None,
            "opinion_number": 2,
            "reasons": (),
            "records": type(REQUEST.records)(),
        }
    )
    found = {
        "service_request, people contained": made.service_request(),
        "service_request, people known, third opinion": made.service_request_with_known_people(),
        "service_request, as little as possible": _service_request(bare),
    }
    for status in sorted(set(REQUEST_STATUS.values()) - {"active"}):
        found[f"service_request, {status}"] = _service_request(REQUEST, _status_for(status))
    for path in sorted(EXAMPLES.glob("*-request.yaml")):
        found[f"service_request of examples/{path.name}"] = _service_request(load_request(path))
    return found


def _status_for(word: str) -> Status:
    return next(status for status, exported in REQUEST_STATUS.items() if exported == word)


def _service_request(request, status: Status = Status.REQUESTED) -> dict:
    return to_service_request(
        request, request_id="r-1", refs=Refs(patient="Patient/p1"), identifier_system=IDS, status=status
    )


def _tasks() -> dict[str, dict]:
    each_status = [(status, next(word for word in BUSINESS_STATUS if status in REFINES[word])) for status in Status]
    each_word = [(min(REFINES[word]), word) for word in BUSINESS_STATUS]
    return {
        "task, with all inputs": made.task(),
        **{f"task, {status}, {word}": _task(status, word) for status, word in [*each_status, *each_word]},
    }


def _task(status: str, word: str) -> dict:
    report = [TaskInput(code=codes.CONSULTATION_NOTE, text="report", reference="DocumentReference/rep1")]
    return to_task(
        request_id="r-1",
        identifier_system=IDS,
        service_request="ServiceRequest/9",
        patient="Patient/p1",
        requester=None,
        owner=None,
        authored_at="2026-06-01T09:00:00-07:00",
        wanted_by=None,
        status=status,
        inputs=[TaskInput(text="records", reference="DocumentReference/d1")],
        business_status=word,
        status_reason="the consultant is away" if status in NEEDS_REASON else None,
        outputs=report if status == "completed" else (),
    )


def _communications() -> dict[str, dict]:
    oncology = load_request(EXAMPLES / "oncology-request.yaml")
    return {
        "communication, patient's questions": made.patient_questions(),
        "communication of examples/oncology-request.yaml": to_patient_questions(
            oncology.patient_questions,
            request_id="r-1",
            identifier_system=IDS,
            service_request="ServiceRequest/9",
            patient="Patient/p1",
        ),
    }


def _documents() -> dict[str, dict]:
    return {
        "document_reference, records": _records(codes.RECORDS_SUMMARY, "application/pdf"),
        "document_reference, an original": _records(codes.CONSULTATION_NOTE, "text/plain; charset=utf-8"),
        "document_reference, with author and period": made.document(),
        **_reports(),
    }


def _records(type_code: Code, content_type: str) -> dict:
    """As ``push_records`` writes it for an endpoint that takes documents."""
    return to_document_reference(
        identifier=Identifier(system=IDS, value="DocumentReference/r-1-p1-rendition"),
        patient="Patient/p1",
        type_code=type_code,
        title="First-opinion records",
        content_type=content_type,
        data=PDF,
        date="2026-06-02T08:00:00+00:00",
        period_end=None,
        related=[],
    )


def _reports() -> dict[str, dict]:
    amended = {**made.fulfiller_report(), "docStatus": "amended"}
    retracted = {**made.fulfiller_report(), "status": "entered-in-error"}
    first = _returned(made.fulfiller_report(), 1)
    return {
        "document_reference, returned report": first,
        "document_reference, returned report, amended": _returned(amended, 2),
        "document_reference, returned report, retracted": _returned(retracted, 2),
        "document_reference, our copy marked in error": {**first, "status": "entered-in-error"},
        "document_reference, returned DiagnosticReport": _returned(_diagnostic_report(), 1),
        "document_reference, a report written on our pages": _written_document(),
        "composition, a report written on our pages": to_composition(WRITTEN, _about("Composition")),
        "composition, returned report": _composition(1),
        "composition, returned report, amended": _composition(2),
        "composition, returned report, retracted": {**_composition(1), "status": "entered-in-error"},
    }


WRITTEN = WrittenReport(
    Agreement.AGREES,
    Agreement.PARTLY,
    "Three months are enough.",
    (Point("six months of chemotherapy", Agreement.DIFFERS, "three months"),),
    (Test("Bone density", Code(system="http://loinc.org", code="38268-9")), Test("A walk")),
    (Answer("Can I wait?", "Yes, six weeks."),),
    "Dr Bob Example",
    datetime(2026, 6, 18, 23, 30, tzinfo=UTC),
)


def _about(kind: str) -> About:
    return About(Identifier(system=IDS, value=f"{kind}/r-1-written-1"), "Patient/p1", "ServiceRequest/9", "Lakeview")


def _written_document() -> dict:
    attachments = [to_attachment("text/plain; charset=utf-8", to_text(WRITTEN).encode(), "Second opinion")]
    return to_report_document(WRITTEN, _about("DocumentReference"), attachments)


def _composition(revision: int) -> dict:
    made = to_returned_composition(
        WRITTEN,
        identifier=Identifier(system=IDS, value=f"Composition/r-1-returned-{revision}"),
        patient="Patient/p1",
        documents=["DocumentReference/d1"],
        service_request="ServiceRequest/9",
        author_display="Lakeview",
        dated=None,
        replaces="Composition/first" if revision > 1 else None,
    )
    assert made is not None
    return made


def _returned(report: dict, revision: int) -> dict:
    ours = Identifier(system=IDS, value="ServiceRequest/r-1")
    return to_returned_report(
        reading=read_report(report),
        bytes=PDF,
        content_type="application/pdf",
        request_id="r-1",
        identifier=Identifier(system=IDS, value=f"DocumentReference/r-1-report-{revision}"),
        patient="Patient/p1",
        service_request=ours if revision == 1 else "ServiceRequest/9",
        revision=revision,
        replaces="DocumentReference/first" if revision > 1 else None,
        author_display="Summit Orthopaedics",
    )


def _diagnostic_report() -> dict:
    return {
        "resourceType": "DiagnosticReport",
        "id": "dr1",
        "meta": {"versionId": "1"},
        "status": "final",
        "code": {"coding": [codes.coding_of(codes.CONSULTATION_NOTE)]},
        "subject": {"reference": "Patient/s9"},
        "issued": "2026-06-18T16:30:00-07:00",
        "effectiveDateTime": "2026-06-18",
        "presentedForm": [{"contentType": "application/pdf", "data": "JVBERi0xLjc="}],
    }


def _people() -> dict[str, dict]:
    golden = made.emitted()
    carried = draft({**golden["patient"], "id": "p1"}, links={}, identifier_system=SOURCE, source_base=SOURCE).body
    identified = to_practitioner(made.CHARLIE)
    identified["identifier"] = [{"system": IDS, "value": "Practitioner/0123456789abcdef"}]
    return {
        "patient": golden["patient"],
        "patient, created from the source's": carried,
        "practitioner": golden["practitioner"],
        "practitioner, known by our identifier alone": identified,
        "practitioner_role": golden["practitioner_role"],
        "organization": golden["organization"],
    }


def _visits() -> dict[str, dict]:
    """As ``write_visit`` writes them for a practice without an EHR, and as ``book_visit`` books a free time at a server."""
    ours = {"system": IDS, "value": "Appointment/r-1"}
    begins, ends = datetime(2026, 6, 18, 16, 30, tzinfo=UTC), datetime(2026, 6, 18, 17, 15, tzinfo=UTC)
    told = Slot(begins, "America/Los_Angeles", ends, place="Room 4", with_whom="Dr. Charlie")
    found = {
        f"appointment, {status}": to_appointment(
            told, status, "Patient/p1", identifier=ours, order="ServiceRequest/9", cancelation="pat"
        )
        for status in STATUS_OF
    }
    alone = Slot(begins, "America/Los_Angeles")
    slot = {"id": "s1", "start": "2026-06-18T09:30:00-07:00", "end": "2026-06-18T10:15:00-07:00", **KIND_OF_VISIT}
    schedule = {"actor": [{"reference": "PractitionerRole/c9", "display": "Dr. Charlie"}, {"display": "Room 4"}]}
    booking = to_booking(slot, schedule, "Patient/p1", identifier=ours, order="ServiceRequest/9")
    return {
        **found,
        "appointment, whose end nobody told": to_appointment(alone, Visit.BOOKED, "Patient/p1", identifier=ours),
        "appointment, canceled, whose end nobody told": to_appointment(
            alone, Visit.CANCELLED, "Patient/p1", identifier=ours
        ),
        "appointment, that books a Slot": booking,
    }


KIND_OF_VISIT = {"serviceType": [{"text": "Second opinion"}], "appointmentType": {"text": "New patient"}}


def _eligibility_requests() -> dict[str, dict]:
    """As ``ask_payer`` asks: with all that a chart says of an insurance, and with as little as there is."""
    coverage = {
        "status": "active",
        "identifier": [{"system": "urn:test:plan", "value": "1"}],
        "type": {"text": "PPO"},
        "subscriberId": "W123",
        "relationship": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"}]
        },
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
    }
    how = dict(identifier={"system": IDS, "value": "CoverageEligibilityRequest/r-1-1"}, asks="Harbour Primary Care")
    how |= dict(insurer="Example Health Plan", created="2026-06-02T08:00:00+00:00")
    full, bare = REQUEST.patient, REQUEST.patient.model_copy(update={"name": None, "sex": None, "birth_date": None})
    return {
        f"coverage_eligibility_request, {SERVICES[service].lower()}": to_eligibility_request(
            full, coverage, service=service, day=date(2026, 6, 18), **how
        )
        for service in SERVICES
    } | {
        "coverage_eligibility_request, as little as possible": to_eligibility_request(
            bare, {"status": "active"}, service=next(iter(SERVICES)), day=None, **how
        )
    }


def _consents() -> dict[str, dict]:
    """As ``write_consent`` keeps them at the practice that asks."""
    every = frozenset(RecordKind)
    said = {
        "without a limit": Consent(Said.GIVEN),
        "until the end of its day": Consent(Said.GIVEN, until=date(2026, 6, 2)),
        "nothing sensitive, until a day": Consent(Said.GIVEN, every - {RecordKind.SENSITIVE}, until=date(2026, 12, 31)),
        "some kinds left out": Consent(Said.GIVEN, every - {RecordKind.IMAGES, RecordKind.SENSITIVE}),
        "some kinds alone": Consent(Said.GIVEN, frozenset({RecordKind.NOTES, RecordKind.RESULTS})),
        "withdrawn": Consent(Said.WITHDRAWN),
    }
    return {
        f"consent, {name}": to_consent(
            each,
            identifier={"system": IDS, "value": "Consent/r-1"},
            patient="Patient/p1",
            at=datetime(2026, 6, 2, 8, 0, 0, 123456, tzinfo=UTC),
            organization="Harbour Primary Care",
            recipients=["Summit Orthopaedics", "Harbour Primary Care"],
        )
        for name, each in said.items()
    }


def _printed_bundles() -> dict[str, dict]:
    """What ``second-opinion map`` prints."""
    return {
        f"bundle that map prints of examples/{path.name}": to_bundle(
            load_request(path), request_id="r-1", authored_at="2026-06-01T09:00:00-07:00"
        )
        for path in sorted(EXAMPLES.glob("*-request.yaml"))
    }


def transaction_bundle() -> dict:
    """A chunk of records as ``push_records`` sends it: a cycle, a decimal, an attachment, a link to what is there."""
    links = {"Patient/p1": "Patient/s9", "Practitioner/alice": "Practitioner/a9"}
    return transaction(list(_records_at_source()), links=links, identifier_system=SOURCE, source_base=SOURCE)


def _records_at_source() -> Iterator[dict]:
    subject, encounter = {"reference": "Patient/p1"}, {"reference": "Encounter/e1"}
    ours = _service_request(REQUEST)["reasonCode"][1]
    yield {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "subject": subject,
        "class": codes.coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", "ambulatory"),
        "participant": [{"individual": {"reference": "Practitioner/alice"}}],
        "diagnosis": [{"condition": {"reference": "Condition/c1"}}],
    }
    yield {
        "resourceType": "Condition",
        "id": "c1",
        "subject": subject,
        "encounter": encounter,
        "code": ours,
        "clinicalStatus": {
            "coding": [codes.coding("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active")]
        },
    }
    yield {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": subject,
        "encounter": encounter,
        "code": {"text": "Creatinine"},
        "effectiveDateTime": "2026-05-30",
        "performer": [{"reference": "Practitioner/alice"}],
        "valueQuantity": {
            "value": Decimal("1.10"),
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
    }
    yield {**_records(codes.CONSULTATION_NOTE, "application/pdf"), "id": "d1", "context": {"encounter": [encounter]}}
