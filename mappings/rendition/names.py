"""What the resources of one packet are called, so that a reference can be read: ``Practitioner/1`` is Dr. N. N."""

from collections.abc import Callable, Iterable

from mappings.rendition.words import Words, scalar_words

_NAMED_BY = (
    "name",
    "code",
    "medicationCodeableConcept",
    "vaccineCode",
    "type",
    "title",
    "description",
    "category",
    "serviceType",
    "relationship",
)
_WHEN = (
    "period",
    "effectiveDateTime",
    "effectivePeriod",
    "performedDateTime",
    "performedPeriod",
    "date",
    "started",
    "occurrenceDateTime",
    "authoredOn",
    "onsetDateTime",
)
_PEOPLE_AND_PLACES = frozenset(("Patient", "Practitioner", "RelatedPerson", "Person", "Organization", "Location"))


def source_of(resource: dict) -> str:
    """``Type/id`` of a resource."""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def names_of(resources: Iterable[dict]) -> dict[str, str]:
    """``Type/id`` -> what to call it; a role is called by its person."""
    resources = list(resources)
    plain = Words({})
    names = {source_of(each): _or_source(each, lambda each: _name(each, plain)) for each in resources}
    known = Words(names)
    for each in resources:
        if each.get("resourceType") == "PractitionerRole":
            names[source_of(each)] = _or_source(each, lambda each: _role_name(each, known))
    return names


def _or_source(resource: dict, name: Callable[[dict], str]) -> str:
    """Its name; ``Type/id`` where its elements are so wrong that none can be read: its own row tells of that."""
    try:
        return name(resource)
    except Exception:
        return source_of(resource)


def _role_name(role: dict, known: Words) -> str:
    parts = (known.of(role.get(key)) for key in ("practitioner", "specialty", "organization"))
    return ", ".join(part for part in parts if part) or source_of(role)


def _name(resource: dict, words: Words) -> str:
    found = next((resource[key] for key in _NAMED_BY if resource.get(key)), None)
    found = found[0] if isinstance(found, list) else found
    said = _short(found, words) if found else ""
    if not said:
        return source_of(resource)
    when = "" if resource.get("resourceType") in _PEOPLE_AND_PLACES else _when(resource)
    return f"{said}, {when}" if when else said


def _short(value: object, words: Words) -> str:
    """A concept's text alone: the row of the resource shows its displays."""
    return str(value["text"]) if isinstance(value, dict) and isinstance(value.get("text"), str) else words.of(value)


def _when(resource: dict) -> str:
    found = next((resource[key] for key in _WHEN if resource.get(key)), "")
    start = found.get("start") or found.get("end") or "" if isinstance(found, dict) else found
    return scalar_words(start).split(" ")[0]
