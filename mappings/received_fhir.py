"""What a FHIR document or resource that arrived from elsewhere says of itself: whose it is, what it is, of when. Nothing is re-coded.

https://hl7.org/fhir/R4/documents.html. Of any shape: what is not as FHIR has it says nothing.
"""

import re
from collections.abc import Iterator
from typing import Any

from mappings.codes import as_dict, as_dicts, as_list, as_text, first_code
from mappings.document_reference import inline_bytes
from mappings.received import Identity, Said

_BIRTH = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)


def said_of(resource: dict) -> Said:
    """Of a document Bundle its Composition speaks, of any other Bundle only its patient, of one resource that resource."""
    inside = list(_resources(resource))
    first = next((each for each in inside if each.get("resourceType") == "Composition"), resource)
    is_bundle = first is resource and resource.get("resourceType") == "Bundle"
    return Said(
        identity=identity_in(resource),
        code=None if is_bundle else first_code(first.get("type")),
        title=_title(first, resource),
        dated="" if is_bundle else _day(first.get("date")),
    )


def identity_in(resource: dict) -> Identity | None:
    """Whom it is about: the one Patient in it; None where there is none, or several."""
    patients = [each for each in _resources(resource) if each.get("resourceType") == "Patient"]
    if len(patients) != 1:
        return None
    [patient] = patients
    name = next(iter(as_dicts(patient.get("name"))), {})
    given = next((each for each in map(as_text, as_list(name.get("given"))) if each), "")
    numbers = [as_text(each.get("value")) for each in as_dicts(patient.get("identifier"))]
    born = as_text(patient.get("birthDate")) or ""
    return Identity(
        family=as_text(name.get("family")) or "",
        given=given,
        born_on=born if _BIRTH.fullmatch(born) else "",
        numbers=tuple(each for each in numbers if each),
    )


def documents_in(resource: dict) -> list[tuple[bytes, str]] | None:
    """(bytes, media type) of the documents inside a DocumentReference; None for what is none, or holds none. Raises MappingError."""
    if resource.get("resourceType") != "DocumentReference":
        return None
    attached = [as_dict(each.get("attachment")) for each in as_dicts(resource.get("content"))]
    found = [(inline_bytes(each), as_text(each.get("contentType")) or "") for each in attached]
    return [(data, kind) for data, kind in found if data] or None


def sections_of(resource: dict) -> list[tuple[str, str]]:
    """(title, words of the narrative) of the sections of a document, in their order."""
    composition = next((each for each in _resources(resource) if each.get("resourceType") == "Composition"), {})
    found = []
    for each in as_dicts(composition.get("section")):
        div = as_text(as_dict(each.get("text")).get("div")) or ""
        found.append((as_text(each.get("title")) or "", div))
    return found


def _resources(resource: dict) -> Iterator[dict]:
    yield resource
    for entry in as_dicts(resource.get("entry")):
        inside = entry.get("resource")
        if isinstance(inside, dict):
            yield inside


def _title(first: dict, whole: dict) -> str:
    kind: Any = whole.get("resourceType")
    return as_text(first.get("title")) or as_text(first.get("description")) or (kind if isinstance(kind, str) else "")


def _day(said: Any) -> str:
    day = (as_text(said) or "")[:10]
    return day if _BIRTH.fullmatch(day) else ""
