"""What an EHR knows of a patient, as choices for a person: each with its words, what stands beside them, and where it is from.

Offered, never chosen: nothing here says which is right. What is refuted, entered in error or about another patient is left out.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mappings.addresses import Bases, target_of
from mappings.codes import SYSTEM_NPI, as_dict, as_dicts, as_text, codings_in
from mappings.identifiers import identifiers_in
from mappings.model.errors import MappingError
from mappings.model.request import Code, PractitionerRef
from mappings.practitioner import from_practitioner, from_practitioner_role, npi_is_valid
from mappings.service_request import is_second_opinion
from mappings.subject import whose

_ACTIVE = ("active", "recurrence", "relapse")
_NEVER = ("refuted", "entered-in-error")
_SYSTEM_NAMES = {
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD-9-CM",
    "http://snomed.info/sct": "SNOMED CT",
}


@dataclass(frozen=True)
class Offer:
    """One choice. ``reference``: ``Type/id`` at the server; ``facts`` stand beside the words; ``value``: the part of a request."""

    reference: str
    words: str
    facts: tuple[str, ...]
    value: Any


def diagnoses(resources: Iterable[dict], patient: dict, bases: Bases) -> list[Offer]:
    """Of Conditions those that are active or say nothing of it, the newest first. https://hl7.org/fhir/R4/condition.html"""
    return _newest_first(_offer(each, _diagnosis) for each in _theirs(resources, "Condition", patient, bases))


def coverages(resources: Iterable[dict], patient: dict, bases: Bases) -> list[Offer]:
    """https://hl7.org/fhir/R4/coverage.html: those in force."""
    return _newest_first(_offer(each, _coverage) for each in _theirs(resources, "Coverage", patient, bases))


def consents(resources: Iterable[dict], patient: dict, bases: Bases) -> list[Offer]:
    """https://hl7.org/fhir/R4/consent.html: those in force."""
    return _newest_first(_offer(each, _consent) for each in _theirs(resources, "Consent", patient, bases))


def orders(resources: Iterable[dict], patient: dict, bases: Bases, codes: Iterable[Code]) -> list[Offer]:
    """Active orders that mean a second opinion by their code. https://hl7.org/fhir/R4/servicerequest.html"""
    local = tuple(codes)
    found = _theirs(resources, "ServiceRequest", patient, bases)
    return _newest_first(_offer(each, _order) for each in found if is_second_opinion(each, local))


def clinicians(resources: Iterable[dict], patient: dict, bases: Bases) -> list[Offer]:
    """Who stands in the patient's problems and visits, each once; words are empty where only the person's resource says them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in resources:
        if whose(each, patient, bases)[0] == "theirs" and not _is_void(each):
            for what, reference in _people_in(each):
                target = target_of(reference.get("reference"), bases) or ""
                if target.startswith(("Practitioner/", "PractitionerRole/")):
                    found.setdefault(target, []).append((as_text(reference.get("display")) or "", what))
    return [
        Offer(
            target,
            next((words for words, _ in said if words), ""),
            tuple(dict.fromkeys(what for _, what in said))[:4],
            None,
        )
        for target, said in found.items()
    ]


def clinician(resource: dict, included: dict[str, dict] | None = None, bases: Bases = None) -> Offer:
    """A Practitioner or PractitionerRole as a choice. Raises MappingError when nothing says who it is."""
    made = (
        from_practitioner_role(resource, included or {}, base=bases)
        if resource.get("resourceType") == "PractitionerRole"
        else from_practitioner(resource)
    )
    made = _with_believable_numbers(made)
    facts = [f"NPI {each.value}" for each in made.identifiers if each.system == SYSTEM_NPI]
    facts += [made.organization.name] if made.organization and made.organization.name else []
    facts += ["no longer active there"] if resource.get("active") is False else []
    return Offer(
        f"{resource.get('resourceType')}/{resource.get('id')}",
        name_of(made),
        tuple(facts),
        made.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
    )


def name_of(person: PractitionerRef) -> str:
    """As people read it."""
    if person.name is None:
        return person.identifiers[0].value
    return ", ".join(filter(None, (person.name.family, " ".join(person.name.given))))


def _with_believable_numbers(person: PractitionerRef) -> PractitionerRef:
    numbers = tuple(each for each in person.identifiers if each.system != SYSTEM_NPI or npi_is_valid(each.value))
    if not numbers and person.name is None:
        raise MappingError("Practitioner.identifier", "is an NPI with a wrong check digit, and there is no name")
    return person.model_copy(update={"identifiers": numbers})


def _theirs(resources: Iterable[dict], kind: str, patient: dict, bases: Bases) -> Iterator[dict]:
    for each in resources:
        if each.get("resourceType") == kind and each.get("id") and whose(each, patient, bases)[0] == "theirs":
            yield each


def _offer(resource: dict, read: Callable[[dict], tuple[str, list[str], Any, str] | None]) -> tuple[str, Offer] | None:
    read_as = None if _is_void(resource) else read(resource)
    if read_as is None:
        return None
    words, facts, value, day = read_as
    reference = f"{resource['resourceType']}/{resource['id']}"
    return day, Offer(reference, words, tuple(filter(None, facts)), value or reference)


def _newest_first(found: Iterable[tuple[str, Offer] | None]) -> list[Offer]:
    known = sorted((each for each in found if each is not None), key=lambda each: (each[0], each[1].reference))
    return [offer for _, offer in reversed(known)]


def _is_void(resource: dict) -> bool:
    return resource.get("status") == "entered-in-error" or _status(resource, "verificationStatus") in _NEVER


def _status(resource: dict, element: str) -> str | None:
    return next((str(each["code"]) for each in codings_in(resource.get(element))), None)


def _words(concept: object) -> str:
    displays = [as_text(each.get("display")) for each in as_dicts(as_dict(concept).get("coding"))]
    codes = [as_text(each.get("code")) for each in as_dicts(as_dict(concept).get("coding"))]
    return next(filter(None, (as_text(as_dict(concept).get("text")), *displays, *codes)), "")


def _named_codes(concept: object) -> list[str]:
    return [
        f"{_SYSTEM_NAMES.get(each['system'].strip(), each['system'])} {each['code']}" for each in codings_in(concept)
    ]


def _day(resource: dict, *elements: str) -> str:
    found = (as_text(resource.get(each)) for each in elements)
    return next((each[:10] for each in found if each), "")


def _diagnosis(resource: dict) -> tuple[str, list[str], Any, str] | None:
    concept, clinical = resource.get("code"), _status(resource, "clinicalStatus")
    words, day = _words(concept), _day(resource, "recordedDate", "onsetDateTime")
    if not words or clinical not in (*_ACTIVE, None):
        return None
    codes = [
        {name: each[name] for name in ("system", "code", "display") if as_text(each.get(name))}
        for each in codings_in(concept)
    ]
    verification = _status(resource, "verificationStatus")
    facts = [
        *_named_codes(concept),
        f"since {began}" if (began := _day(resource, "onsetDateTime")) else "",
        f"recorded {noted}" if (noted := _day(resource, "recordedDate")) else "no date recorded",
        clinical or "clinical status not stated",
        verification or "verification not stated",
        ", ".join(filter(None, map(_words, as_dicts(resource.get("category"))))),
    ]
    return words, facts, {"text": words, "codes": codes} if codes else {"text": words}, day


def _coverage(resource: dict) -> tuple[str, list[str], Any, str] | None:
    if resource.get("status") != "active":
        return None
    payors = [as_text(each.get("display")) for each in as_dicts(resource.get("payor"))]
    plans = [as_text(each.get("name")) for each in as_dicts(resource.get("class"))]
    kind, period = _words(resource.get("type")), as_dict(resource.get("period"))
    words = next(filter(None, (*payors, *plans, kind)), "Insurance without a name")
    ends = as_text(period.get("end"))
    facts = [*filter(None, plans), kind if kind != words else "", f"ends {ends[:10]}" if ends else "no end stated"]
    return words, facts, None, as_text(period.get("start")) or ""


def _consent(resource: dict) -> tuple[str, list[str], Any, str] | None:
    if resource.get("status") != "active":
        return None
    kinds = [each for each in map(_words, as_dicts(resource.get("category"))) if each]
    day = _day(resource, "dateTime")
    return kinds[0] if kinds else "Consent", [f"given {day}" if day else "no date stated", *kinds[1:]], None, day


def _order(resource: dict) -> tuple[str, list[str], Any, str] | None:
    if resource.get("status") != "active":
        return None
    reasons = [_words(each) for each in as_dicts(resource.get("reasonCode"))]
    day = _day(resource, "authoredOn")
    numbers = [each.value for each in identifiers_in(resource)][:2]
    facts = [f"ordered {day}" if day else "no date stated", *reasons[:3], *(f"order {each}" for each in numbers)]
    return _words(resource.get("code")) or "Order", facts, None, day


def _people_in(resource: dict) -> Iterator[tuple[str, dict]]:
    if resource.get("resourceType") == "Condition":
        about = _words(resource.get("code")) or "a problem"
        yield f"stated {about}", as_dict(resource.get("asserter"))
        yield f"recorded {about}", as_dict(resource.get("recorder"))
    elif resource.get("resourceType") == "Encounter":
        day = _day(as_dict(resource.get("period")), "start")
        for each in as_dicts(resource.get("participant")):
            yield f"visit {day}".strip(), as_dict(each.get("individual"))
