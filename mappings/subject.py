"""Whose a record is: the patient it says it is about, by the elements that each type has for that.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html; a performer, an informant or a replaced patient is not meant.
"""

from collections.abc import Collection, Iterator
from typing import Literal

from mappings.addresses import Bases, is_elsewhere, target_of, type_of
from mappings.codes import as_dict, as_dicts
from mappings.element_paths import ELEMENTS, IDENTIFIERS
from mappings.references import find_references

NAMES = ("subject", "patient", "for", "beneficiary", "individual", "candidate")
SUBJECT_ELEMENTS = {
    kind: tuple(name for name in NAMES if ELEMENTS.get(kind, {}).get(name) == "Reference") for kind in IDENTIFIERS
}
# R4 has no search parameter `patient` for these.
SEARCHED_BY = {"AdverseEvent": "subject", "Group": "member", "Schedule": "actor", "SupplyRequest": "subject"}

Whose = Literal["theirs", "another", "unclear", "nobody"]


def searched_by(resource_type: str) -> str:
    """The search parameter by which a type is searched for what is about a patient."""
    return SEARCHED_BY.get(resource_type, "patient")


def subjects_of(resource: dict) -> Iterator[tuple[str, dict]]:
    """(path, Reference) of each subject of the resource itself; one of a wrong type is an empty Reference."""
    kind = resource.get("resourceType")
    for name in SUBJECT_ELEMENTS.get(kind, ()) if isinstance(kind, str) else ():
        value = resource.get(name)
        for number, node in enumerate(value if isinstance(value, list) else [value] if name in resource else []):
            path = f"{kind}.{name}[{number}]" if isinstance(value, list) else f"{kind}.{name}"
            yield path, as_dict(node)


def may_be_patient(node: dict, target: str | None) -> bool:
    """False when a subject is surely a group, a device or a place: by its reference, else by the type beside it."""
    kind = type_of(target) if target else node.get("type")
    return kind == "Patient" or kind not in IDENTIFIERS if isinstance(kind, str) else True


def whose(resource: dict, patient: dict, bases: Bases) -> tuple[Whose, str]:
    """Whether a resource is about ``patient`` (a resource of the same server), and the path that decided.

    ``unclear``: its subject may be anybody: an address of an unknown server, a contained patient, something unreadable.
    ``nobody``: it names no patient at all, or a group or a device.
    """
    own: dict[str, Whose] = {"Patient/" + str(patient.get("id")): "theirs"}
    found = [(_one(resource, node, own, patient, bases), path) for path, node in subjects_of(resource)]
    for verdict in ("another", "unclear", "theirs"):
        for each, path in found:
            if each == verdict:
                return verdict, path
    return "nobody", resource.get("resourceType", "")


def whose_by_search(resource: dict, patient: dict, bases: Bases) -> tuple[Whose, str]:
    """As ``whose``, for what a search by the patient showed: a server that ignores the parameter shows everybody's.

    A record that names no patient where its type has a place for that has to name this one anywhere (the participant of an
    Appointment); whose subject is said by a number that nobody here knows is ``unclear``.
    """
    verdict, path = whose(resource, patient, bases)
    if verdict != "nobody":
        return verdict, path
    named = {target_of(each.target, bases) for each in find_references(resource, source_base=bases)}
    people = {each for each in named if each and type_of(each) == "Patient"}
    if people:
        return ("theirs" if f"Patient/{patient.get('id')}" in people else "another"), path
    numbered = [
        at for at, node in subjects_of(resource) if as_dict(node.get("identifier")) and may_be_patient(node, None)
    ]
    return ("unclear", numbered[0]) if numbered else ("nobody", path)


def _one(resource: dict, node: dict, own: dict[str, Whose], patient: dict, bases: Bases) -> Whose:
    target = target_of(node.get("reference"), bases)
    if not may_be_patient(node, target):
        return "nobody"
    if target is not None:
        return "unclear" if is_elsewhere(target) else own.get(target, "another")
    if "reference" in node:
        return _contained(resource, node["reference"])
    return _by_identifier(as_dict(node.get("identifier")), as_dicts(patient.get("identifier")))


def _contained(resource: dict, text: object) -> Whose:
    inside = [each for each in as_dicts(resource.get("contained")) if text == f"#{each.get('id')}"]
    return "nobody" if inside and inside[0].get("resourceType") not in (None, "Patient") else "unclear"


def _by_identifier(said: dict, known: Collection[dict]) -> Whose:
    """A subject without reference: by its identifier, where the patient has one of that system."""
    values = {each.get("value") for each in known if each.get("system") == said.get("system")}
    if not said or not said.get("value") or not said.get("system") or not values:
        return "nobody"
    return "theirs" if said["value"] in values else "another"
