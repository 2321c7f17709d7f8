"""A received record as resources of the hosted practice that received it: the document, its studies, and who says where it came from.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/provenance.html.
"""

from collections.abc import Sequence

from mappings import codes
from mappings.codes import as_dicts, concept
from mappings.provenance import ACCEPTED, CREATE, NULLIFY, Activity, from_place
from mappings.received import Received, name_of, resources


def to_document(record: Received, patient: str, identifier: dict, binary: str, studies: Sequence[str] = ()) -> dict:
    """The document as it travels, under the name and with the ``binary`` (Binary/id) and ``studies`` that it has at the practice."""
    made = {**resources(record, patient)[name_of(record.id)]}
    del made["id"]
    context = {name: value for name, value in made.pop("context", {}).items() if name != "related"}
    if studies:
        context["related"] = [{"reference": each} for each in studies]
    [content] = made["content"]
    attachment = {**content["attachment"], "url": binary}
    made |= {"identifier": [identifier], "content": [{"attachment": attachment}]}
    return {**made, "context": context} if context else made


def to_studies(record: Received, patient: str, identifier: dict) -> list[dict]:
    """The studies that its images are, each with its own number and a name of ours after the document's ``identifier``."""
    made = [each for name, each in resources(record, patient).items() if name != name_of(record.id)]
    return [_at_home(each, study_name(identifier, number)) for number, each in enumerate(made, 1)]


def study_name(identifier: dict, number: int) -> dict:
    """What a study is called at the practice."""
    return {**identifier, "value": f"{identifier['value']}-study-{number}"}


def is_study_of(study: dict, identifier: dict) -> bool:
    """Whether a resource there is a study of the document of that name."""
    names = [each for each in as_dicts(study.get("identifier")) if each.get("system") == identifier["system"]]
    return any(str(each.get("value")).startswith(f"{identifier['value']}-study-") for each in names)


def _at_home(study: dict, name: dict) -> dict:
    return {**{key: value for key, value in study.items() if key != "id"}, "identifier": [*study["identifier"], name]}


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
