"""Is this the patient we mean? Matching that never guesses, and Patient to and from a request's reference.

https://hl7.org/fhir/R4/patient.html
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.codes import as_dict, as_dicts, as_text, one_of, to_date
from mappings.identifiers import identifiers_in
from mappings.model.errors import MappingError
from mappings.model.request import HumanName, Identifier, PatientRef
from mappings.practitioner import as_given, to_human_name

SEXES = ("male", "female", "other", "unknown")
_FORMER = ("old", "maiden", "nickname", "anonymous")


@dataclass(frozen=True)
class Match:
    """``sure`` is the patient, or None: then a person decides among ``candidates``, told ``why`` in one word."""

    sure: dict | None
    candidates: tuple[dict, ...]
    why: str


@dataclass(frozen=True)
class _Name:
    family: str
    given: tuple[str, ...]
    suffix: str


@dataclass(frozen=True)
class _Traits:
    """What is compared of one patient, folded; None where it is not known."""

    identifiers: frozenset[Identifier]
    names: tuple[_Name, ...]
    birth_date: str | None
    sex: str | None
    deceased: bool | None
    has_suffix_field: bool


def to_patient(source: PatientRef | dict) -> dict:
    """A Patient to create where the endpoint says ``patients: create``; a source Patient loses only its server's id."""
    if isinstance(source, dict):
        return _without_server_parts(source)
    made: dict = {"resourceType": "Patient", "identifier": [each.model_dump() for each in source.identifiers]}
    if source.name:
        made["name"] = [to_human_name(source.name)]
    if source.sex:
        made["gender"] = source.sex
    if source.birth_date:
        made["birthDate"] = source.birth_date.isoformat()
    return made


def from_patient(resource: dict) -> PatientRef:
    """What identifies a Patient; a partial birth date is left out, an unknown sex code is an error."""
    identifiers = identifiers_in(resource)
    if not identifiers:
        raise MappingError("Patient.identifier", "none has both a system and a value")
    gender = resource.get("gender")
    return PatientRef(
        identifiers=identifiers,
        name=_current_name(resource),
        birth_date=_whole_date(resource),
        sex=one_of(gender, SEXES, "Patient.gender") if gender is not None else None,
    )


def match(wanted: PatientRef | dict, candidates: list[dict]) -> Match:
    """Whether one of the ``candidates`` is surely the patient ``wanted``.

    Sure needs all of: one candidate, in use and not merged away; one identifier equal in system and value, none of
    a shared system contradicting; family name and whole birth date known and equal; given names, suffix, sex and
    death not contradicting where both sides know them. Names are compared without case, accents and punctuation.
    """
    found = tuple({each.get("id") or id(each): each for each in candidates}.values())
    if not found:
        return Match(None, (), "none")
    if len(found) > 1:
        return Match(None, found, "several")
    why = _set_aside(found[0]) or _set_aside(wanted) or _doubt(_traits(wanted), _traits(found[0]))
    return Match(None, found, why) if why else Match(found[0], found, "sure")


def fingerprint(patient: PatientRef) -> str:
    """One value for all that a request says of its patient: other words, another value."""
    name = patient.name and [patient.name.family, *patient.name.given]
    said = [
        sorted([each.system, each.value] for each in patient.identifiers),
        name,
        str(patient.birth_date or ""),
        patient.sex,
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def fold(text: str) -> str:
    """A name without case, accents, apostrophes; hyphens and dots count as spaces."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    plain = re.sub(r"['’`ʼ‘]", "", plain.casefold())
    return " ".join(re.sub(r"[\s\-‐‑.,]+", " ", plain).split())


def _set_aside(patient: PatientRef | dict) -> str | None:
    if not isinstance(patient, dict):
        return None
    if patient.get("resourceType") != "Patient":
        return "not-a-patient"
    if patient.get("active") is False:
        return "inactive"
    links = [link.get("type") for link in as_dicts(patient.get("link"))]
    return "replaced" if "replaced-by" in links or "refer" in links else None


def _doubt(wanted: _Traits, found: _Traits) -> str | None:
    """The first reason not to be sure, or None."""
    checks = (_identifier_doubt, _name_doubt, _birth_date_doubt, _sex_doubt, _death_doubt)
    return next((why for why in (check(wanted, found) for check in checks) if why), None)


def _identifier_doubt(wanted: _Traits, found: _Traits) -> str | None:
    shared = {each.system for each in wanted.identifiers} & {each.system for each in found.identifiers}
    if not shared:
        return "no-shared-identifier"
    agreed = {each.system for each in wanted.identifiers & found.identifiers}
    return None if agreed == shared else "identifier-differs"


def _name_doubt(wanted: _Traits, found: _Traits) -> str | None:
    if not wanted.names or not found.names:
        return "name-unknown"
    suffixes = wanted.has_suffix_field and found.has_suffix_field
    agree = any(_same_name(one, other, suffixes) for one in wanted.names for other in found.names)
    return None if agree else "name-differs"


def _same_name(one: _Name, other: _Name, suffixes: bool) -> bool:
    if not one.family or one.family != other.family or (suffixes and one.suffix != other.suffix):
        return False
    if not one.given or not other.given:
        return True
    if one.given[0] != other.given[0]:
        return False
    return all(_same_middle(a, b) for a, b in zip(one.given[1:], other.given[1:], strict=False))


def _same_middle(one: str, other: str) -> bool:
    return one == other or (1 in (len(one), len(other)) and one[0] == other[0])


def _birth_date_doubt(wanted: _Traits, found: _Traits) -> str | None:
    if not all(each and len(each) == 10 for each in (wanted.birth_date, found.birth_date)):
        return "birth-date-unknown"
    return None if wanted.birth_date == found.birth_date else "birth-date-differs"


def _sex_doubt(wanted: _Traits, found: _Traits) -> str | None:
    known = {wanted.sex, found.sex} - {None, "unknown"}
    return "sex-differs" if len(known) > 1 else None


def _death_doubt(wanted: _Traits, found: _Traits) -> str | None:
    if wanted.deceased is None or found.deceased is None:
        return None
    return "deceased-differs" if wanted.deceased != found.deceased else None


def _traits(patient: PatientRef | dict) -> _Traits:
    if isinstance(patient, PatientRef):
        names = (_folded(patient.name.family, patient.name.given, ""),) if patient.name else ()
        return _Traits(
            frozenset(patient.identifiers),
            names,
            str(patient.birth_date) if patient.birth_date else None,
            patient.sex,
            None,
            False,
        )
    return _Traits(
        frozenset(_current_identifiers(patient)),
        tuple(_folded_names(patient)),
        as_text(patient.get("birthDate")),
        as_text(patient.get("gender")),
        _deceased(patient),
        True,
    )


def _current_identifiers(patient: dict) -> tuple[Identifier, ...]:
    current = [
        each
        for each in as_dicts(patient.get("identifier"))
        if each.get("use") not in ("old", "temp") and not as_dict(each.get("period")).get("end")
    ]
    return identifiers_in({"identifier": current})


def _folded_names(patient: dict) -> list[_Name]:
    return [_folded(name["family"], as_given(name), " ".join(_suffix(name))) for name in _current_names(patient)]


def _folded(family: str, given: tuple[str, ...], suffix: str) -> _Name:
    return _Name(fold(family), tuple(fold(" ".join(given)).split()), fold(suffix))


def _suffix(name: dict) -> list[str]:
    suffix = name.get("suffix") if isinstance(name.get("suffix"), list) else []
    return [each for each in suffix if isinstance(each, str)]


def _current_names(patient: dict) -> list[dict]:
    names = [
        name
        for name in as_dicts(patient.get("name"))
        if name.get("use") not in _FORMER and not as_dict(name.get("period")).get("end")
    ]
    return [name for name in names if as_text(name.get("family"))]


def _current_name(patient: dict) -> HumanName | None:
    names = sorted(_current_names(patient), key=lambda name: name.get("use") != "official")
    return HumanName(family=names[0]["family"], given=as_given(names[0])) if names else None


def _deceased(patient: dict) -> bool:
    return patient.get("deceasedBoolean") is True or bool(patient.get("deceasedDateTime"))


def _whole_date(patient: dict) -> date | None:
    value = patient.get("birthDate")
    if value is None or re.fullmatch(r"\d{4}(-\d{2})?", str(value)):
        return None
    return to_date(value, "Patient.birthDate")


def _without_server_parts(source: dict) -> dict:
    made: dict[str, Any] = {name: value for name, value in source.items() if name not in ("id", "meta")}
    meta = {
        name: value for name, value in as_dict(source.get("meta")).items() if name not in ("versionId", "lastUpdated")
    }
    return {**made, "meta": meta} if meta else made
