"""Business identifiers we put on resources, and looking up the resource a reference names.

https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from mappings.addresses import Bases, local_reference
from mappings.codes import PLACER_IDENTIFIER, as_dict, as_dicts, as_text, concept
from mappings.element_paths import Cardinality
from mappings.model.request import Identifier

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
How = Literal["appended", "kept", "single", "none"]


def source_identifier(system: str, resource_type: str, logical_id: str) -> dict:
    """What a resource is called at its source: {system, value "Type/id"}."""
    return {"system": system, "value": f"{resource_type}/{logical_id}"}


def placer_identifier(system: str, resource_type: str, request_id: str) -> dict:
    """The identifier of a resource we place ourselves, marked as the placer's."""
    return {"type": concept(PLACER_IDENTIFIER), **source_identifier(system, resource_type, request_id)}


def append_identifier(resource: dict, identifier: dict) -> tuple[dict, How]:
    """A copy of ``resource`` that also carries ``identifier``, and how; what is there is never overwritten.

    appended: it is on it now; kept: it already was; single: the one place is taken by another, so it is not;
    none: this type has no identifier.
    """
    room = _room(resource)
    if room == "none":
        return resource, "none"
    present = as_dicts(resource.get("identifier"))
    if any(_same(each, identifier) for each in present):
        return resource, "kept"
    if room == "many":
        return {**resource, "identifier": [*present, dict(identifier)]}, "appended"
    if resource.get("identifier"):
        return resource, "single"
    return {**resource, "identifier": dict(identifier)}, "appended"


def identifiers_in(resource: Any) -> tuple[Identifier, ...]:
    """The usable identifiers of a resource: those with a system and a value."""
    return tuple(found for found in map(to_identifier, as_dicts(as_dict(resource).get("identifier"))) if found)


def to_identifier(found: Any) -> Identifier | None:
    """An Identifier when it has both system and value, in whole characters; else None."""
    system, value = as_text(as_dict(found).get("system")), as_text(as_dict(found).get("value"))
    if not system or not value or _HALF_A_CHARACTER.search(system + value):
        return None
    return Identifier(system=system, value=value)


def look_up(reference: Any, within: dict, included: Mapping[str, dict], base: Bases = None) -> dict | None:
    """The resource a Reference names: contained ``within``, or among the ``included`` ("Type/id" or full URL)."""
    target = as_dict(reference).get("reference")
    if not isinstance(target, str):
        return None
    if target.startswith("#"):
        return next((each for each in as_dicts(within.get("contained")) if each.get("id") == target[1:]), None)
    return included.get(local_reference(target, base) or target)


def _room(resource: dict) -> Cardinality:
    # Imported here: the tables behind it are large, and most callers never ask.
    from mappings.references import has_identifier

    return has_identifier(resource.get("resourceType"))


def _same(one: dict, other: dict) -> bool:
    return (one.get("system"), one.get("value")) == (other.get("system"), other.get("value"))
