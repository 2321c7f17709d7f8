"""Is this the patient we mean? Matching that never guesses, and Patient to and from a request's reference.

https://hl7.org/fhir/R4/patient.html
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.codes import as_dict, as_dicts, as_list, as_text, one_of, to_date
from mappings.identifiers import identifiers_in
from mappings.model.errors import MappingError
from mappings.model.request import HumanName, Identifier, PatientRef
from mappings.names import fold, is_initial
from mappings.practitioner import as_given, to_human_name

SEXES = ("male", "female", "other", "unknown")
_FORMER = ("old", "maiden", "nickname", "anonymous")
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
# Numbers that one person has. A member number (MB), a subscriber number (SN) or an account (AN) may be a family's.
ONE_PERSONS = frozenset({"MR", "PI", "PT", "PE", "SS", "NI", "JHN", "MC", "SB", "HC", "DL", "PPN"})
WELL_KNOWN = frozenset({"http://hl7.org/fhir/sid/us-ssn", "http://hl7.org/fhir/sid/us-mbi"})
# What is not known cannot confirm; every other doubt says that the two differ.
UNKNOWN = ("no-shared-identifier", "name-unknown", "given-name-unknown", "birth-date-unknown", "twin")


@dataclass(frozen=True)
class Match:
    """``sure`` is the patient, or None: then a person decides among ``candidates``, told ``why`` in one word."""

    sure: dict | None
    candidates: tuple[dict, ...]
    why: str


@dataclass(frozen=True)
class Numbers:
    """Which identifiers tell one person from another.

    ``systems`` are those an endpoint's configuration names; with any of them no other counts. Without: what is typed as
    one person's number (``ONE_PERSONS``), and untyped ones of a system that is ``named`` in the request or well known.
    """

    systems: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Name:
    family: str
    given: tuple[str, ...]
    suffix: str


@dataclass(frozen=True)
class _Traits:
    """What is compared of one patient, folded; None where it is not known."""

    identifiers: frozenset[Identifier]
    types: frozenset[tuple[str, bool]]  # (system, is it one person's number) of the identifiers that are typed
    names: tuple[_Name, ...]
    birth_date: str | None
    sex: str | None
    deceased: bool | None
    has_suffix_field: bool
    born_as: bool | int | None  # multipleBirth: not said, no, yes, or the number in the order of birth


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


def match(wanted: PatientRef | dict, candidates: list[dict], numbers: Numbers = Numbers()) -> Match:
    """Whether one of the ``candidates`` is surely the patient ``wanted``.

    Sure needs all of: one candidate, in use and not merged away; one identifier that tells persons apart equal in
    system and value, none of a shared system contradicting; family name, first given name and whole birth date known
    and equal; other given names, suffix, sex, death and birth among twins not contradicting where both sides know them.
    A request that gives numbers alone (no name, no birth date) has nothing else to compare: all its numbers that the
    candidate has a system for must agree, and one must be known to be a person's own, by configuration or type.
    """
    found = tuple({each.get("id") or id(each): each for each in candidates}.values())
    if not found:
        return Match(None, (), "none")
    if len(found) > 1:
        return Match(None, found, "several")
    why = next(iter(doubts(wanted, found[0], numbers)), None)
    return Match(None, found, why) if why else Match(found[0], found, "sure")


def doubts(wanted: PatientRef | dict, found: dict, numbers: Numbers = Numbers()) -> tuple[str, ...]:
    """Every reason not to be sure that ``found`` is the patient ``wanted``, in one word each; empty when it is sure."""
    if why := not_in_use(found) or not_in_use(wanted):
        return (why,)
    one, other = _traits(wanted), _traits(found)
    if isinstance(wanted, PatientRef) and only_numbers(wanted):
        numbers = Numbers(numbers.systems)  # that somebody named it as the patient's number is all there would be
        return tuple(_identifier_doubts(one, other, numbers))
    checks = (_identifier_doubts, _name_doubts, _birth_date_doubts, _sex_doubts, _death_doubts, _twin_doubts)
    return tuple(why for check in checks for why in check(one, other, numbers))


def contradictions(found: Iterable[str]) -> tuple[str, ...]:
    """Of ``doubts``, those that say the two differ; the rest only says that something is not known."""
    return tuple(each for each in found if each not in UNKNOWN)


def only_numbers(wanted: PatientRef) -> bool:
    """True when a request says nothing of its patient but numbers."""
    return wanted.name is None and wanted.birth_date is None


def not_in_use(patient: PatientRef | dict) -> str | None:
    """Why nothing may be written into this chart, in one word; None when it is a patient in use."""
    if not isinstance(patient, dict):
        return None
    if patient.get("resourceType") != "Patient":
        return "not-a-patient"
    links = [link.get("type") for link in as_dicts(patient.get("link"))]
    if "replaced-by" in links or "refer" in links:
        return "replaced"
    return "inactive" if patient.get("active") is False else None


def merges(patient: dict) -> tuple[str, ...]:
    """What ``Patient.link`` says of other records of this person: a new line there is a merge that somebody made."""
    told = (
        (as_text(link.get("type")), as_text(as_dict(link.get("other")).get("reference")))
        for link in as_dicts(patient.get("link"))
    )
    return tuple(sorted(f"{kind or ''} {reference or ''}" for kind, reference in told))


def fingerprint(patient: PatientRef | dict) -> str:
    """One value for who a patient is said to be, numbers aside: when it changed, what was decided is decided anew."""
    traits = _traits(patient)
    said = [
        sorted([each.family, *each.given, each.suffix] for each in traits.names),
        traits.birth_date or "",
        traits.sex or "",
        str(traits.deceased),
        str(traits.born_as),
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def carries(patient: Any, identifier: Identifier) -> bool:
    """True when a Patient holds this very identifier: a server that ignores a search parameter answers with anybody."""
    return as_dict(patient).get("resourceType") == "Patient" and identifier in identifiers_in(patient)


def family_words(patient: dict) -> frozenset[str]:
    """Every word of every family name, former ones too, folded: two who share one may be namesakes."""
    names = [as_text(name.get("family")) for name in as_dicts(patient.get("name"))]
    return frozenset(word for name in names if name for word in fold(name).split())


def is_namesake(one: dict, other: dict) -> bool:
    """True when the two share a word of the family name, and neither birth date nor first given name tells them apart."""
    if not family_words(one) & family_words(other):
        return False
    a, b = _traits(one), _traits(other)
    if "birth-date-differs" in _birth_date_doubts(a, b, Numbers()):
        return False
    if a.birth_date and b.birth_date:
        return True
    firsts = [{name.given[0][0] for name in each.names if name.given} for each in (a, b)]
    return not all(firsts) or bool(firsts[0] & firsts[1])


def _identifier_doubts(wanted: _Traits, found: _Traits, numbers: Numbers) -> Iterable[str]:
    shared = {each.system for each in wanted.identifiers} & {each.system for each in found.identifiers}
    agreed = {each.system for each in wanted.identifiers & found.identifiers}
    if agreed != shared:
        yield "identifier-differs"
    elif not any(_tells_persons_apart(each, wanted, found, numbers) for each in agreed):
        yield "no-shared-identifier"


def _tells_persons_apart(system: str, wanted: _Traits, found: _Traits, numbers: Numbers) -> bool:
    if numbers.systems:
        return system in numbers.systems
    typed = {own for other, own in wanted.types | found.types if other == system}
    return all(typed) if typed else system in numbers.named or system in WELL_KNOWN


def _name_doubts(wanted: _Traits, found: _Traits, _numbers: Numbers) -> Iterable[str]:
    if not wanted.names or not found.names:
        return ["name-unknown"]
    suffixes = wanted.has_suffix_field and found.has_suffix_field
    twins = _may_be_twin(wanted) or _may_be_twin(found)
    verdicts = [_name_doubt(one, other, suffixes, twins) for one in wanted.names for other in found.names]
    best = min(verdicts, key=_ORDER.index)
    return [best] if best else []


_ORDER = ("", "given-name-unknown", "twin", "name-differs")


def _name_doubt(one: _Name, other: _Name, suffixes: bool, twins: bool) -> str:
    if not one.family or one.family != other.family or (suffixes and one.suffix != other.suffix):
        return "name-differs"
    if not one.given or not other.given:
        return "given-name-unknown"
    if not _same_given(one.given[0], other.given[0]):
        return "name-differs"
    if not all(_same_given(a, b) for a, b in zip(one.given[1:], other.given[1:], strict=False)):
        return "name-differs"
    if is_initial(one.given[0]) or is_initial(other.given[0]):
        return "given-name-unknown"
    return "twin" if twins and one.given != other.given else ""


def _same_given(one: str, other: str) -> bool:
    return one == other or ((is_initial(one) or is_initial(other)) and one[0] == other[0])


def _birth_date_doubts(wanted: _Traits, found: _Traits, _numbers: Numbers) -> Iterable[str]:
    one, other = wanted.birth_date or "", found.birth_date or ""
    if one[: len(other)] != other[: len(one)]:
        return ["birth-date-differs"]
    return [] if len(one) == len(other) == 10 else ["birth-date-unknown"]


def _sex_doubts(wanted: _Traits, found: _Traits, _numbers: Numbers) -> Iterable[str]:
    known = {wanted.sex, found.sex} - {None, "unknown"}
    return ["sex-differs"] if len(known) > 1 else []


def _death_doubts(wanted: _Traits, found: _Traits, _numbers: Numbers) -> Iterable[str]:
    if wanted.deceased is None or found.deceased is None:
        return []
    return ["deceased-differs"] if wanted.deceased != found.deceased else []


def _twin_doubts(wanted: _Traits, found: _Traits, _numbers: Numbers) -> Iterable[str]:
    """The second of twins is not the first, nor somebody who was born alone; "one of several" agrees with any number."""
    one, other = wanted.born_as, found.born_as
    if one is None or other is None or one is True and other or other is True and one:
        return []
    return [] if (type(one), one) == (type(other), other) else ["multiple-birth-differs"]


def _may_be_twin(traits: _Traits) -> bool:
    return bool(traits.born_as)


def _traits(patient: PatientRef | dict) -> _Traits:
    if isinstance(patient, PatientRef):
        names = (_folded(patient.name.family, patient.name.given, ""),) if patient.name else ()
        return _Traits(
            identifiers=frozenset(patient.identifiers),
            types=frozenset(),
            names=names,
            birth_date=str(patient.birth_date) if patient.birth_date else None,
            sex=patient.sex,
            deceased=None,
            has_suffix_field=False,
            born_as=None,
        )
    current = current_identifiers(patient)
    return _Traits(
        identifiers=frozenset(identifiers_in({"identifier": current})),
        types=frozenset(_types(current)),
        names=tuple(_folded_names(patient)),
        birth_date=as_text(patient.get("birthDate")),
        sex=as_text(patient.get("gender")),
        deceased=_deceased(patient),
        has_suffix_field=True,
        born_as=_born_as(patient),
    )


def current_identifiers(patient: dict) -> list[dict]:
    """The numbers a patient has now; former and temporary ones do not count."""
    return [
        each
        for each in as_dicts(patient.get("identifier"))
        if each.get("use") not in ("old", "temp") and not as_dict(each.get("period")).get("end")
    ]


def _types(identifiers: list[dict]) -> Iterable[tuple[str, bool]]:
    for each in identifiers:
        system = as_text(each.get("system"))
        codings = as_dicts(as_dict(each.get("type")).get("coding"))
        codes = {as_text(coding.get("code")) for coding in codings if coding.get("system") == _TYPES} - {None}
        if system and codes:
            yield system, bool(codes & ONE_PERSONS)


def _born_as(patient: dict) -> bool | int | None:
    number, said = patient.get("multipleBirthInteger"), patient.get("multipleBirthBoolean")
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    return said if isinstance(said, bool) else None


def _folded_names(patient: dict) -> list[_Name]:
    return [_folded(name["family"], as_given(name), " ".join(_suffix(name))) for name in current_names(patient)]


def _folded(family: str, given: Collection[str], suffix: str) -> _Name:
    return _Name(fold(family), tuple(fold(" ".join(given)).split()), fold(suffix))


def _suffix(name: dict) -> list[str]:
    return [each for each in as_list(name.get("suffix")) if isinstance(each, str)]


def current_names(patient: dict) -> list[dict]:
    """The names a patient goes by now; former ones do not count."""
    names = [
        name
        for name in as_dicts(patient.get("name"))
        if name.get("use") not in _FORMER and not as_dict(name.get("period")).get("end")
    ]
    return [name for name in names if as_text(name.get("family"))]


def _current_name(patient: dict) -> HumanName | None:
    names = sorted(current_names(patient), key=lambda name: name.get("use") != "official")
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
