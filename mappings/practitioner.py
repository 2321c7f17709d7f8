"""Clinicians and their places: Practitioner, PractitionerRole and Organization, to and from a request's references.

https://hl7.org/fhir/R4/practitioner.html  https://hl7.org/fhir/R4/practitionerrole.html
https://hl7.org/fhir/R4/organization.html
"""

import re
from collections.abc import Iterable, Mapping

from mappings.addresses import Bases
from mappings.codes import SYSTEM_NPI, as_dict, as_dicts, as_list, as_text, concept, first_code
from mappings.identifiers import identifiers_in, look_up, to_identifier
from mappings.model.errors import MappingError
from mappings.model.request import Code, HumanName, OrganizationRef, PractitionerRef
from mappings.names import fold

# Preferred first; a name marked old, maiden, nickname or anonymous is not what the person is called now.
_NAME_USES = ("official", "usual", None, "temp")


def npi_is_valid(npi: str) -> bool:
    """True for ten digits with the right check digit (Luhn over 80840 + NPI; US Core us-core-16, us-core-17)."""
    if not re.fullmatch(r"[0-9]{10}", npi):
        return False
    digits = [int(each) for each in "80840" + npi]
    doubled = [digit * 2 for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(value // 10 + value % 10 for value in doubled)) % 10 == 0


def npi_of(resource: dict) -> str | None:
    """The valid NPI of a Practitioner or Organization; a person and an NPI belong together for life."""
    numbers = (each.value for each in identifiers_in(resource) if each.system == SYSTEM_NPI)
    return next(filter(npi_is_valid, numbers), None)


def is_same_by_npi(one: dict, other: dict) -> bool:
    """True when two carry one valid NPI and, for persons, share a family name: a mistyped NPI is somebody else's."""
    if npi_of(one) is None or npi_of(one) != npi_of(other) or one.get("resourceType") != other.get("resourceType"):
        return False
    if one.get("resourceType") != "Practitioner":
        return True
    return bool(_family_names(one) & _family_names(other))


def first_of_doubles(doubles: Iterable[dict]) -> dict:
    """The one of several that say the same person that everybody takes: in use before not, then the one made first."""
    return min(doubles, key=lambda each: (each.get("active") is False, len(str(each.get("id"))), str(each.get("id"))))


def to_practitioner(ref: PractitionerRef) -> dict:
    """The person alone; specialty and organization belong to the role."""
    made: dict = {"resourceType": "Practitioner"}
    if ref.identifiers:
        made["identifier"] = [each.model_dump() for each in ref.identifiers]
    if ref.name:
        made["name"] = [to_human_name(ref.name)]
    return made


def from_practitioner(
    resource: dict, *, specialty: Code | None = None, organization: OrganizationRef | None = None
) -> PractitionerRef:
    """Who a Practitioner is; a MappingError when nothing says so."""
    identifiers, name = identifiers_in(resource), from_human_names(resource.get("name"))
    if not identifiers and not name:
        raise MappingError("Practitioner", "has neither an identifier with a system nor a name")
    return PractitionerRef(identifiers=identifiers, name=name, specialty=specialty, organization=organization)


def to_organization(ref: OrganizationRef) -> dict:
    """The place; US Core requires ``active``, and whoever takes part in a request is."""
    made: dict = {"resourceType": "Organization"}
    if ref.identifiers:
        made["identifier"] = [each.model_dump() for each in ref.identifiers]
    made["active"] = True
    if ref.name:
        made["name"] = ref.name
    return made


def from_organization(resource: dict) -> OrganizationRef:
    """What an Organization is called; a MappingError when nothing says so."""
    identifiers, name = identifiers_in(resource), as_text(resource.get("name"))
    if not identifiers and not name:
        raise MappingError("Organization", "has neither an identifier with a system nor a name")
    return OrganizationRef(identifiers=identifiers, name=name)


def to_practitioner_role(ref: PractitionerRef, *, practitioner: str, organization: str | None = None) -> dict:
    """The person at a place with a specialty; the arguments are references that hold where it will stand."""
    made: dict = {"resourceType": "PractitionerRole", "practitioner": {"reference": practitioner}}
    if organization:
        made["organization"] = {"reference": organization}
    if ref.specialty:
        made["specialty"] = [concept(ref.specialty)]
    return made


def from_practitioner_role(
    role: dict, included: Mapping[str, dict], *, within: dict | None = None, base: Bases = None
) -> PractitionerRef:
    """Who a PractitionerRole names; its Practitioner must be ``included``, contained ``within``, or identified."""
    person = _person(role, included, within or role, base)
    place = _place(role.get("organization"), included, within or role, base)
    return person.model_copy(update={"specialty": first_code(role.get("specialty")), "organization": place})


def from_reference(
    reference: dict, path: str, *, within: dict, included: Mapping[str, dict], base: Bases = None
) -> PractitionerRef:
    """The clinician a Reference names, by the resource, else by the identifier or the name in the reference itself.

    A name that stands there as one text stays whole, as the family name. A MappingError when nothing says who it is.
    """
    found = look_up(reference, within, included, base)
    if found is None:
        said = _said_in(reference)
        if said is None:
            raise MappingError(path, "names a clinician who is not at the server, without a name or an identifier")
        return said
    if found.get("resourceType") == "Practitioner":
        return from_practitioner(found)
    if found.get("resourceType") == "PractitionerRole":
        return from_practitioner_role(found, included, within=within, base=base)
    raise MappingError(path, "names no Practitioner or PractitionerRole")


def _said_in(reference: object) -> PractitionerRef | None:
    """Who it is, by what stands in the Reference: many EHRs fill only its display."""
    identifier = to_identifier(as_dict(reference).get("identifier"))
    name = as_text(as_dict(reference).get("display"))
    if identifier is None and name is None:
        return None
    return PractitionerRef(
        identifiers=(identifier,) if identifier else (), name=HumanName(family=name) if name else None
    )


def contained(ref: PractitionerRef, name: str) -> tuple[list[dict], dict]:
    """Contained resources that hold ``ref``, and the Reference to them, for a target that has no such person.

    A person without identifier or name is referred to through a role: US Core lets a requester be any
    PractitionerRole of R4, but only a Practitioner who has both.
    """
    made = [{**to_practitioner(ref), "id": name}]
    if ref.specialty is None and ref.organization is None and ref.identifiers and ref.name:
        return made, {"reference": f"#{name}"}
    place = f"#{name}-organization" if ref.organization else None
    if ref.organization:
        made.append({**to_organization(ref.organization), "id": f"{name}-organization"})
    role = to_practitioner_role(ref, practitioner=f"#{name}", organization=place)
    made.append({**role, "id": f"{name}-role"})
    return made, {"reference": f"#{name}-role"}


def to_human_name(name: HumanName) -> dict:
    """A HumanName. https://hl7.org/fhir/R4/datatypes.html#HumanName"""
    made: dict = {"family": name.family}
    return {**made, "given": list(name.given)} if name.given else made


def from_human_names(names: object) -> HumanName | None:
    """The name a clinician goes by now. A name given only as text stays whole, as the family name."""
    usable = [name for name in as_dicts(names) if name.get("use") in _NAME_USES and _family(name)]
    usable.sort(key=lambda name: _NAME_USES.index(name.get("use")))
    if not usable:
        return None
    family = as_text(usable[0].get("family"))
    given = as_given(usable[0]) if family else ()
    return HumanName(family=family or _family(usable[0]), given=given)


def as_given(name: dict) -> tuple[str, ...]:
    """The given names of one HumanName, without empty ones."""
    return tuple(found for found in map(as_text, as_list(name.get("given"))) if found)


def _family(name: dict) -> str | None:
    return as_text(name.get("family")) or as_text(name.get("text"))


def _family_names(resource: dict) -> set[str]:
    names = (as_text(name.get("family")) for name in as_dicts(resource.get("name")))
    return {fold(name) for name in names if name} - {""}


def _person(role: dict, included: Mapping[str, dict], within: dict, base: Bases) -> PractitionerRef:
    reference = as_dict(role.get("practitioner"))
    found = look_up(reference, within, included, base)
    if found is not None:
        return from_practitioner(found)
    said = _said_in(reference)
    if said is None:
        raise MappingError(
            "PractitionerRole.practitioner", "is not at the server, and carries no name and no identifier"
        )
    return said


def _place(reference: object, included: Mapping[str, dict], within: dict, base: Bases) -> OrganizationRef | None:
    found = look_up(reference, within, included, base)
    if found is not None:
        return from_organization(found)
    identifier = to_identifier(as_dict(reference).get("identifier"))
    name = as_text(as_dict(reference).get("display"))
    return OrganizationRef(identifiers=(identifier,) if identifier else (), name=name) if identifier or name else None
