"""A received record as resources of the hosted practice that received it: the document, and who says where it came from.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/provenance.html.
"""

from mappings import codes
from mappings.codes import concept
from mappings.provenance import ACCEPTED, CREATE, NULLIFY, Activity, from_place
from mappings.received import Received, name_of, resources


def to_document(record: Received, patient: str, identifier: dict, binary: str) -> dict:
    """The document as it travels, under the name and with the ``binary`` (Binary/id) that it has at the practice."""
    made = {**resources(record, patient)[name_of(record.id)]}
    del made["id"]
    context = {name: value for name, value in made.pop("context", {}).items() if name != "related"}
    [content] = made["content"]
    attachment = {**content["attachment"], "url": binary}
    made |= {"identifier": [identifier], "content": [{"attachment": attachment}]}
    return {**made, "context": context} if context else made


def to_provenance(record: Received, document: str, accepted_by: str, practice: str) -> dict:
    """Who accepted it and on behalf of whom, and where it came from, in their words. ``document``: DocumentReference/id."""
    made = _provenance(document, record.at, Activity(CREATE, ACCEPTED), accepted_by, practice)
    return {**made, "entity": [from_place(record.said.came_from or record.source)]}


def to_withdrawal(document: str, ended_by: str, practice: str, at: str, because: str) -> dict:
    """Who took it back, and why."""
    return _provenance(document, at, Activity(NULLIFY, because), ended_by, practice)


def _provenance(document: str, at: str, activity: Activity, who: str, practice: str) -> dict:
    behalf = {"type": "Organization", "display": practice}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": document}],
        "recorded": at,
        "activity": activity.to_fhir(),
        "agent": [{"type": concept(codes.VERIFIER), "who": {"display": who}, "onBehalfOf": behalf}],
    }
