"""What a directory says of a service that somebody works in: whom it takes, how it is asked, what it costs.

Source: https://hl7.org/fhir/R4/healthcareservice.html; the extension of requirements:
http://hl7.org/fhir/us/ndh/StructureDefinition/base-ext-service-or-program-requirement
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from mappings.codes import as_dict, as_dicts, as_text
from mappings.directory.places import STATES, state_of

REQUIREMENT = "base-ext-service-or-program-requirement"
AGE_RANGES = ("age-range", "base-ext-ndh-age-range")  # in the ballot of 2023, and since STU 1
LONGEST = 1000  # letters of one condition; what is longer is cut, and says so
_SECOND = re.compile(r"second[\s-]+opinion", re.I)
_YEARS = frozenset({"a", "yr", "yrs", "y", "year", "years"})
_OTHERS = {
    "age-group": "age group",
    "base-ext-ndh-age-group": "age group",
    "birthsex": "sex at birth",
    "gender-identity": "gender identity",
    "employment-status": "employment",
    "insurance-status": "insurance",
    "va-status": "veterans",
    "preferred-language": "language",
}
# http://terminology.hl7.org/CodeSystem/service-referral-method, and .../service-provision-conditions
REFERRAL_METHODS = {
    "fax": "fax",
    "phone": "phone",
    "elec": "electronic messages",
    "semail": "secure e-mail",
    "mail": "letter",
}
FEES = "fees apply"
PROVISION = {"free": "free of charge", "disc": "discounts for some patients", "cost": FEES}
Find = Callable[[object, dict], dict | None]  # the resource that a reference names; None when it is not there


@dataclass(frozen=True)
class Service:
    """What is stated; empty and None: not stated. ``eligibility``: conditions in the words that the directory has.

    ``minimum_age``, ``maximum_age``: in years, where they are coded. ``areas``: where its patients live.
    ``provision``: under which conditions it is given.
    """

    name: str = ""
    is_for_second_opinions: bool = False
    programs: tuple[str, ...] = ()
    eligibility: tuple[str, ...] = ()
    minimum_age: int | None = None
    maximum_age: int | None = None
    specialties: tuple[str, ...] = ()
    specialty_texts: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    referral_methods: tuple[str, ...] = ()
    provision: tuple[str, ...] = ()
    appointment_required: bool | None = None
    comment: str = ""
    extra_details: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it is stored: what is stated alone."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value not in ((), "", None) and (name, value) != ("is_for_second_opinions", False)
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Service":
        """As it was stored."""
        said: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        return cls(**said)


def of_service(service: dict, specialties: Mapping[str, Any], find: Find) -> Service:
    """One HealthcareService. ``specialties``: its codes and words, as an entry of the directory has them."""
    ages, others = _requirements(service)
    return Service(
        name=_cut(as_text(service.get("name")) or as_text(service.get("display")) or ""),
        is_for_second_opinions=is_for_second_opinions(service),
        programs=_all(map(_words, as_dicts(service.get("program")))),
        eligibility=_all([*map(_condition, as_dicts(service.get("eligibility"))), *others]),
        **ages,
        specialties=specialties.get("specialties") or (),
        specialty_texts=specialties.get("specialty_texts") or (),
        areas=_all(_areas(service, find)),
        referral_methods=_all(_coded(each, REFERRAL_METHODS) for each in as_dicts(service.get("referralMethod"))),
        provision=_all(_coded(each, PROVISION) for each in as_dicts(service.get("serviceProvisionCode"))),
        appointment_required=required if isinstance(required := service.get("appointmentRequired"), bool) else None,
        comment=_cut(as_text(service.get("comment")) or ""),
        extra_details=_cut(as_text(service.get("extraDetails")) or ""),
    )


def is_for_second_opinions(service: dict) -> bool:
    """A HealthcareService of that name or program; no standard element says it otherwise."""
    concepts = [each for name in ("program", "type", "category", "specialty") for each in as_dicts(service.get(name))]
    texts = [as_text(service.get("name")), as_text(service.get("display"))]
    texts += [as_text(each.get("text")) for each in concepts]
    texts += [as_text(one.get("display")) for each in concepts for one in as_dicts(each.get("coding"))]
    return any(text and _SECOND.search(text) for text in texts)


def that_count(services: Iterable[Service]) -> list[Service]:
    """Those whose conditions are of a second opinion: the services for one, else all that are there."""
    every = list(services)
    return [each for each in every if each.is_for_second_opinions] or every


def ages_in_words(least: int | None, most: int | None) -> str:
    """``from 18 to 90 years old``; empty when neither is known."""
    if least is None:
        return "" if most is None else f"up to {most} years old"
    return f"{least} years and older" if most is None else f"from {least} to {most} years old"


def in_words(service: Service) -> Iterator[tuple[str, str]]:
    """(what, words) of all that is stated, for a person."""
    yield from (("program", each) for each in service.programs)
    if ages := ages_in_words(service.minimum_age, service.maximum_age):
        yield "eligibility", f"patients {ages}"
    yield from (("eligibility", each) for each in service.eligibility)
    if service.areas:
        yield "area", ", ".join(service.areas)
    if service.referral_methods:
        yield "referral", ", ".join(service.referral_methods)
    if service.provision:
        yield "provision", ", ".join(service.provision)
    if service.appointment_required is not None:
        yield "appointment", "needed" if service.appointment_required else "not needed"
    yield from (("comment", each) for each in (service.comment, service.extra_details) if each)


def _all(said: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_cut(each) for each in said if each))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... (longer at the source: read it there)"


def _words(concept: dict) -> str:
    """A CodeableConcept for a person: its text, else what its codes are called, else the codes."""
    said = [as_text(each.get("display")) or as_text(each.get("code")) for each in as_dicts(concept.get("coding"))]
    return as_text(concept.get("text")) or ", ".join(filter(None, said))


def _coded(concept: dict, known: Mapping[str, str]) -> str:
    codes = (as_text(each.get("code")) or "" for each in as_dicts(concept.get("coding")))
    return next((known[code] for code in codes if code in known), _words(concept))


def _condition(eligibility: dict) -> str:
    return ": ".join(filter(None, (_words(as_dict(eligibility.get("code"))), as_text(eligibility.get("comment")))))


def _requirements(service: dict) -> tuple[dict[str, int], list[str]]:
    """Ages in years where they are coded so, and every other requirement in words."""
    inner = [
        part
        for each in as_dicts(service.get("extension"))
        if _name(each) == REQUIREMENT
        for part in as_dicts(each.get("extension"))
    ]
    ranges = [as_dict(each.get("valueRange")) for each in inner if _name(each) in AGE_RANGES]
    ages = [known for known in map(_years, ranges) if known]
    others = [
        f"{_OTHERS[_name(each)]}: {words}" for each in inner if _name(each) in _OTHERS and (words := _value(each))
    ]
    if len(ranges) == 1 and ages:
        return ages[0], others
    return {}, [f"age: {_range_words(each)}" for each in ranges if each] + others


def _name(extension: dict) -> str:
    return (as_text(extension.get("url")) or "").rpartition("/")[2]


def _value(extension: dict) -> str:
    value = next((value for name, value in extension.items() if name.startswith("value")), None)
    return _words(as_dict(value)) or as_text(as_dict(value).get("display")) or as_text(value) or ""


def _years(range_: dict) -> dict[str, int]:
    """Both ends in whole years; empty when one of them is anything else: then it is no rule, but words."""
    found: dict[str, int] = {}
    for end, name in (("low", "minimum_age"), ("high", "maximum_age")):
        if end not in range_:
            continue
        value, unit = range_[end].get("value"), as_text(range_[end].get("code")) or as_text(range_[end].get("unit"))
        if (
            unit not in _YEARS
            or isinstance(value, bool)
            or not isinstance(value, int | float | Decimal)
            or value != int(value)
        ):
            return {}
        found[name] = int(value)
    return found if found.get("minimum_age", 0) <= found.get("maximum_age", 130) else {}


def _range_words(range_: dict) -> str:
    ends = (("from", as_dict(range_.get("low"))), ("to", as_dict(range_.get("high"))))
    return " ".join(
        f"{word} {end.get('value')} {as_text(end.get('unit')) or as_text(end.get('code')) or ''}".strip()
        for word, end in ends
        if end
    )


def _areas(service: dict, find: Find) -> Iterator[str]:
    """Where its patients live, in words: of a Location the name of its state where it says nothing nearer, else its own name."""
    for reference in as_dicts(service.get("coverageArea")):
        place = find(reference, service) or {}
        address = as_dict(place.get("address"))
        state = state_of(as_text(address.get("state")))
        nearer = [as_text(address.get(name)) for name in ("city", "district", "postalCode")]
        named = as_text(place.get("name")) or as_text(address.get("text")) or as_text(reference.get("display"))
        if state and not any(nearer):
            yield STATES.get(state, state)
        else:
            yield named or ", ".join(filter(None, (*nearer, state)))
