"""What the patient asks, in the patient's own words, as a Communication beside the request.

https://hl7.org/fhir/R4/communication.html
"""

from collections.abc import Iterable

from mappings import codes
from mappings.codes import as_dict, as_dicts, as_text
from mappings.identifiers import source_identifier


def to_patient_questions(
    questions: Iterable[str], *, request_id: str, identifier_system: str, service_request: str, patient: str
) -> dict:
    """The questions, marked as patient asserted (PATAST), to be referenced from Task.input."""
    return {
        "resourceType": "Communication",
        "meta": {"security": [codes.coding_of(codes.PATIENT_ASSERTED)]},
        "identifier": [source_identifier(identifier_system, "Communication", request_id)],
        "basedOn": [{"reference": service_request}],
        "status": "completed",
        "subject": {"reference": patient},
        "sender": {"reference": patient},
        "payload": [{"contentString": question} for question in questions],
    }


def withdrawn(communication: dict) -> dict:
    """The questions as no longer asked: kept, and marked as entered in error."""
    return {**communication, "status": "entered-in-error"}


def from_questions(communication: dict) -> tuple[str, ...]:
    """The patient's questions in a Communication; none when it is not marked patient asserted."""
    labels = {"coding": as_dicts(as_dict(communication.get("meta")).get("security"))}
    if not codes.has_code(labels, codes.PATIENT_ASSERTED) or communication.get("status") == "entered-in-error":
        return ()
    texts = (as_text(each.get("contentString")) for each in as_dicts(communication.get("payload")))
    return tuple(text for text in texts if text)
