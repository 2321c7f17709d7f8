"""A request as the FHIR Bundle it becomes, for people to read; nothing is sent and no server is asked.

https://hl7.org/fhir/R4/bundle.html
"""

from mappings.bundle import urn_of
from mappings.communication import to_patient_questions
from mappings.identifiers import source_identifier
from mappings.model.request import SecondOpinionRequest
from mappings.patient import to_patient
from mappings.practitioner import to_practitioner
from mappings.service_request import Refs, to_service_request
from mappings.task import TaskInput, to_task

IDENTIFIER_SYSTEM = "https://second-opinion.example/ids"


def to_bundle(
    request: SecondOpinionRequest, *, request_id: str, authored_at: str, identifier_system: str = IDENTIFIER_SYSTEM
) -> dict:
    """A collection Bundle: people, ServiceRequest, the patient's questions, Task; references by urn:uuid.

    ``authored_at`` is used where the request does not say when it was written (ISO 8601 with zone).
    """

    def urn(name: str) -> str:
        return urn_of(identifier_system, f"{name}/{request_id}")

    made = {"Patient": to_patient(request.patient)}
    if request.requester is not None:
        made["Requester"] = to_practitioner(request.requester)
    if request.consultant is not None:
        made["Consultant"] = to_practitioner(request.consultant)
    refs = Refs(
        patient=urn("Patient"),
        requester=urn("Requester") if request.requester is not None else None,
        performer=urn("Consultant") if request.consultant is not None else None,
        case=request.follows,
        based_on=(_earlier(request.follows, identifier_system),) if request.follows else (),
    )
    made["ServiceRequest"] = to_service_request(
        request, request_id=request_id, refs=refs, identifier_system=identifier_system
    )
    inputs = []
    if request.patient_questions:
        made["Communication"] = to_patient_questions(
            request.patient_questions,
            request_id=request_id,
            patient=urn("Patient"),
            identifier_system=identifier_system,
            service_request=urn("ServiceRequest"),
        )
        inputs.append(TaskInput(text="patient questions", reference=urn("Communication")))
    made["Task"] = to_task(
        request_id=request_id,
        identifier_system=identifier_system,
        service_request=urn("ServiceRequest"),
        patient=refs.patient,
        requester=refs.requester,
        owner=refs.performer,
        inputs=inputs,
        case=request.follows,
        authored_at=request.authored_at or authored_at,
        wanted_by=request.wanted_by.isoformat() if request.wanted_by else None,
    )
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": urn(name), "resource": resource} for name, resource in made.items()],
    }


def _earlier(request_id: str, identifier_system: str) -> dict:
    return {"type": "ServiceRequest", "identifier": source_identifier(identifier_system, "ServiceRequest", request_id)}
