"""Entries of a FHIR directory: a PractitionerRole with who, where and how, as Plan-Net, NDH and plain R4 write it.

https://hl7.org/fhir/R4/practitionerrole.html  https://hl7.org/fhir/us/davinci-pdex-plan-net  https://hl7.org/fhir/us/ndh
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from mappings.addresses import Bases, local_reference
from mappings.codes import SYSTEM_NPI, SYSTEM_NUCC, SYSTEM_SNOMED, as_dict, as_dicts, as_list, as_text, codings_in
from mappings.directory.entry import GENDERS, Entry
from mappings.directory.places import state_of, zip_of
from mappings.directory.services import Service, is_for_second_opinions, of_service
from mappings.identifiers import identifiers_in, look_up
from mappings.instants import last_updated
from mappings.model.findings import Finding
from mappings.practitioner import from_human_names, npi_of
from mappings.specialties import nucc_of

REFERENCES = ("practitioner", "organization", "location", "endpoint", "healthcareService")
# Plan-Net and NDH: new patients are accepted, or not, or only under conditions (then nobody who is new is)
_ACCEPTING = {"newpt": True, "nopt": False, "existptonly": False, "existptfam": False}


@dataclass(frozen=True)
class Ask:
    """What of a directory is wanted. Empty: all of it."""

    states: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()

    def wants(self, entry: Entry) -> bool:
        """False for what contradicts it; who does not state it stays."""
        elsewhere = (
            self.states and entry.state is not None and (state_of(entry.state) or entry.state) not in self.states
        )
        other = self.specialties and entry.specialties and not set(entry.specialties) & set(self.specialties)
        return not elsewhere and not other


# Which search parameters of PractitionerRole a kind of server has for what is asked: none is ever believed.
PROFILES: dict[str, dict[str, str]] = {
    "r4": {"state": "location.address-state", "specialty": "specialty"},
    "plan-net": {"state": "location.address-state", "specialty": "specialty"},
    "npd": {
        "state": "location_state",
        "specialty": "specialty",
    },  # CMS's own names, DSACMS/npd practitioner_role_filter_set.py
}


@dataclass(frozen=True)
class Known:
    """Resources to resolve references with: what came, by ``Type/id`` and by full URL; ``base``: the server's addresses."""

    resources: Mapping[str, dict]
    base: Bases = None

    def of(self, reference: object, within: dict) -> dict | None:
        """What a Reference names; None when it is not here."""
        return look_up(reference, within, self.resources, self.base)


def missing(role: dict, known: Known) -> Iterator[str]:
    """``Type/id`` of what a role names and is not here, to be read one by one."""
    for name in REFERENCES:
        for reference in _listed(role.get(name)):
            target = as_text(reference.get("reference"))
            local = local_reference(target, known.base) if target and not target.startswith("#") else None
            if local and known.of(reference, role) is None:
                yield local
    yield from _missing_areas(role, known)


def _missing_areas(role: dict, known: Known) -> Iterator[str]:
    """Where the patients of its services live: no parameter of a search brings it along."""
    for _, area in _areas(role, known):
        target = as_text(area.get("reference"))
        local = local_reference(target, known.base) if target and not target.startswith("#") else None
        if local:
            yield local


def _areas(role: dict, known: Known) -> Iterator[tuple[dict, dict]]:
    """(service, reference) of each area of a service that names a place which is not there."""
    for service in _services(role, known):
        for area in as_dicts(service.get("coverageArea")):
            if as_text(area.get("reference")) and known.of(area, service) is None:
                yield service, area


def _services(role: dict, known: Known) -> list[dict]:
    """Those that it works in and that are still given."""
    found = [known.of(each, role) or each for each in _listed(role.get("healthcareService"))]
    return [each for each in found if each.get("active") is not False]


def of_role(role: dict, known: Known) -> tuple[list[Entry], list[Finding]]:
    """An entry for each place of a role; none when nobody can be told from it. Findings name the role and the element."""
    name = f"PractitionerRole/{role.get('id')}"
    found = [
        Finding("reference-unresolved", f"{name} names something in {element} that is not there", f"{name}#{element}")
        for element in REFERENCES
        for reference in _listed(role.get(element))
        if known.of(reference, role) is None
    ]
    found += [
        Finding(
            "reference-unresolved",
            f"{name} works in a service whose coverageArea names something that is not there",
            f"{name}#healthcareService",
        )
        for _ in _areas(role, known)
    ]
    person = known.of(role.get("practitioner"), role) or _said(as_dict(role.get("practitioner")))
    base, problems = _of_person(person, name)
    if base is None:
        return [], [*found, *problems]
    return _places(replace(base, **_of_role(role, person, known)), role, person, known), [*found, *problems]


def of_practitioner(person: dict) -> tuple[list[Entry], list[Finding]]:
    """Somebody without a role: who they are, where they work when it is said, and no specialty."""
    name = f"Practitioner/{person.get('id')}"
    base, problems = _of_person(person, name)
    if base is None:
        return [], problems
    texts = _words(each.get("code") for each in as_dicts(person.get("qualification")))
    own = {
        **_specialties([each.get("code") for each in as_dicts(person.get("qualification"))]),
        "phone": _phone(person),
    }
    made = replace(base, **own, active=person.get("active") is not False, **_address(_work(person)))
    return [replace(made, specialty_texts=made.specialty_texts or texts)], problems


def _of_person(person: dict, name: str) -> tuple[Entry | None, list[Finding]]:
    human = from_human_names(person.get("name"))
    if human is None:
        return None, [Finding("directory-nobody", f"{name} names nobody: left out", name)]
    problems = []
    npi = npi_of(person)
    if npi is None and any(each.system == SYSTEM_NPI for each in identifiers_in(person)):
        problems = [Finding("directory-npi", f"{name} has an NPI that fails its check digit: left away", f"{name}#npi")]
    languages = _languages(person)
    gender = person.get("gender")
    return (
        Entry(
            source_id=name,
            npi=npi,
            family=human.family or "",
            given=" ".join(human.given),
            credentials=_credentials(person),
            gender=gender if gender in GENDERS else None,
            languages=languages or None,
            licensed_in=_licenses(person) or None,
            version=as_text(as_dict(person.get("meta")).get("versionId")),
            updated_on=_day(person),
        ),
        problems,
    )


def _of_role(role: dict, person: dict, known: Known) -> dict[str, Any]:
    organization = known.of(role.get("organization"), role) or {}
    display = as_text(as_dict(role.get("organization")).get("display"))
    qualified = [each.get("code") for each in as_dicts(person.get("qualification"))]
    services = _services(role, known)
    said = tuple(of_service(each, _specialties(each.get("specialty")), known.of) for each in services)
    addresses = [
        known.of(each, role) for each in [*_listed(role.get("endpoint")), *_listed(organization.get("endpoint"))]
    ]
    return {
        **_specialties(role.get("specialty") or qualified),
        **_roads([each for each in addresses if each], role),
        "organization": as_text(organization.get("name")) or display,
        "phone": _phone(role),
        "accepting": _accepting(role),
        "second_opinions": True if any(map(is_for_second_opinions, services)) else None,
        "services": tuple(each for each in said if each != Service()) or None,
        "active": role.get("active") is not False and person.get("active") is not False,
        "version": as_text(as_dict(role.get("meta")).get("versionId")),
        "updated_on": _day(role) or _day(person),
    }


def _places(entry: Entry, role: dict, person: dict, known: Known) -> list[Entry]:
    here = [(reference, known.of(reference, role)) for reference in _listed(role.get("location"))]
    found = [(reference, place) for reference, place in here if place is not None]
    name = f"PractitionerRole/{role.get('id')}"
    if not found:
        return [replace(entry, source_id=name, **_address(_work(person)))]
    return [
        replace(
            entry,
            source_id=name if number == 0 else f"{name} {place.get('id')}",
            **_address(as_dict(place.get("address"))),
            **_position(place),
            phone=entry.phone or _phone(place),
            organization=entry.organization or as_text(place.get("name")),
        )
        for number, (_, place) in enumerate(found)
    ]


def _said(reference: dict) -> dict:
    """A person as a bare Reference tells of them."""
    made: dict = {"name": [{"text": as_text(reference.get("display"))}], "identifier": [reference.get("identifier")]}
    return made if as_text(reference.get("display")) else {}


def _listed(value: object) -> list[dict]:
    return as_dicts(value)


def _specialties(concepts: object) -> dict[str, Any]:
    """NUCC codes, those of SNOMED CT that we know as NUCC, and the words of all others."""
    codes: dict[str, None] = {}
    words: dict[str, None] = {}
    for each in as_dicts(concepts):
        held = [*_codes(each)]
        codes |= dict.fromkeys(held)
        text = as_text(each.get("text")) or next(
            (as_text(one.get("display")) for one in as_dicts(each.get("coding"))), None
        )
        if not held and text:
            named = nucc_of(text)
            codes |= dict.fromkeys(named[:1])
            words |= {} if named else {text: None}
    return {"specialties": tuple(codes) or None, "specialty_texts": tuple(words) or None}


def _codes(concept: dict) -> Iterator[str]:
    for coding in codings_in(concept):
        if coding["system"] == SYSTEM_NUCC:
            yield coding["code"]
        elif coding["system"] == SYSTEM_SNOMED:
            yield from nucc_of(coding["code"])[:1]


def _words(concepts: Iterator[object]) -> tuple[str, ...] | None:
    said = (as_text(as_dict(each).get("text")) for each in concepts)
    return tuple(dict.fromkeys(text for text in said if text)) or None


def _credentials(person: dict) -> str | None:
    suffixes = [
        text for name in as_dicts(person.get("name")) for text in map(as_text, as_list(name.get("suffix"))) if text
    ]
    return ", ".join(dict.fromkeys(suffixes)) or None


def _languages(person: dict) -> tuple[str, ...]:
    """BCP-47 codes, and words where there is no code."""
    said = []
    for each in as_dicts(person.get("communication")):
        codes = [as_text(coding.get("code")) for coding in as_dicts(each.get("coding"))]
        said += [next(filter(None, codes), None) or as_text(each.get("text"))]
    return tuple(dict.fromkeys(each for each in said if each))


def _licenses(person: dict) -> tuple[str, ...]:
    """States of the extension ``whereValid`` of a qualification (NDH)."""
    found: dict[str, None] = {}
    for qualification in as_dicts(person.get("qualification")):
        for extension in _extensions(qualification):
            if str(extension.get("url")).endswith("whereValid"):
                concept = as_dict(extension.get("valueCodeableConcept"))
                words = [as_text(one.get("code")) for one in as_dicts(concept.get("coding"))] + [
                    as_text(concept.get("text"))
                ]
                found |= {state: None for state in map(state_of, words) if state}
    return tuple(found)


def _accepting(role: dict) -> bool | None:
    for extension in _extensions(role):
        if extension.get("url") in ("acceptingPatients", "accepting-patients"):
            for coding in as_dicts(as_dict(extension.get("valueCodeableConcept")).get("coding")):
                if coding.get("code") in _ACCEPTING:
                    return _ACCEPTING[coding["code"]]
    return None


def _extensions(element: dict) -> Iterator[dict]:
    for extension in as_dicts(element.get("extension")):
        yield extension
        yield from _extensions(extension)


def _roads(endpoints: list[dict], role: dict) -> dict[str, Any]:
    fhir = direct = None
    for each in endpoints:
        kind = as_dict(each.get("connectionType")).get("code")
        address = as_text(each.get("address"))
        if each.get("status") not in (None, "active") or not address:
            continue
        if kind == "hl7-fhir-rest":
            fhir = fhir or address
        elif kind == "direct-project":
            direct = direct or address.removeprefix("mailto:")
    return {"fhir_address": fhir, "direct_address": direct}


def _phone(element: dict) -> str | None:
    phones = [
        each for each in as_dicts(element.get("telecom")) if each.get("system") == "phone" and each.get("use") != "home"
    ]
    return next((text for text in (as_text(each.get("value")) for each in phones) if text), None)


def _work(person: dict) -> dict:
    """Where a person without a Location works: never their home, and never where only letters go."""
    usable = [
        each
        for each in as_dicts(person.get("address"))
        if each.get("use") not in ("home", "old", "billing") and each.get("type") != "postal"
    ]
    return next(iter(usable), {})


def _address(address: dict) -> dict[str, Any]:
    postal, country = as_text(address.get("postalCode")), as_text(address.get("country"))
    state = as_text(address.get("state"))
    return {
        "line": ", ".join(filter(None, map(as_text, as_list(address.get("line"))))) or None,
        "city": as_text(address.get("city")),
        "state": state_of(state) or state,
        "postal_code": postal,
        "zip": zip_of(postal, country),
        "country": country,
    }


def _position(place: dict) -> dict[str, Any]:
    at = as_dict(place.get("position"))
    try:
        lat, lon = float(at["latitude"]), float(at["longitude"])
    except (KeyError, TypeError, ValueError):
        return {}
    return {"lat": lat, "lon": lon} if -90 <= lat <= 90 and -180 <= lon <= 180 and (lat, lon) != (0, 0) else {}


def _day(resource: dict) -> date | None:
    at = last_updated(resource)
    return at.date() if at else None
