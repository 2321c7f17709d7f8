"""Finding a patient by what a coordinator knows: whom a server's answer may be believed for, and what is shown of each.

https://hl7.org/fhir/R4/patient.html#search
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from mappings.codes import as_dict, as_dicts, as_list, as_text
from mappings.identifiers import identifiers_in, to_identifier
from mappings.model.errors import MappingError
from mappings.model.request import Identifier, PatientRef
from mappings.names import fold
from mappings.patient import ONE_PERSONS, from_patient, not_in_use
from mappings.patient import current_identifiers as current

_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_NOT_IN_USE = {
    "not-a-patient": "This is not a patient.",
    "replaced": "This chart was merged into another one.",
    "inactive": "This chart is no longer in use.",
}


@dataclass(frozen=True)
class Asked:
    """What a coordinator knows: the number (MRN), or the family name and the whole birth date (YYYY-MM-DD)."""

    number: str = ""
    family: str = ""
    birth_date: str = ""


@dataclass(frozen=True)
class Hit:
    """One patient as shown to be chosen. ``refused``: why it cannot be; empty when it can. Numbers: (what it is, value)."""

    reference: str
    names: tuple[str, ...]
    birth_date: str
    sex: str
    numbers: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    refused: str


def searches(asked: Asked, systems: tuple[str, ...]) -> list[dict[str, str]]:
    """Parameters of each search, in order; without ``systems`` a number is looked for whoever gave it."""
    if asked.number:
        value = _escaped(asked.number)
        return [{"identifier": f"{_escaped(system)}|{value}"} for system in systems] or [{"identifier": value}]
    return [{"family": _escaped(asked.family), "birthdate": asked.birth_date}]


def is_answer(patient: dict, asked: Asked, systems: Set[str]) -> bool:
    """True when this patient carries what was asked for: a server that ignores a parameter answers with anybody."""
    if patient.get("resourceType") != "Patient" or not as_text(patient.get("id")):
        return False
    if asked.number:
        return any(
            as_text(each.get("value")) == asked.number and (not systems or each.get("system") in systems)
            for each in as_dicts(patient.get("identifier"))
        )
    born = as_text(patient.get("birthDate")) or ""
    return bool(born) and asked.birth_date.startswith(born) and _is_called(patient, fold(asked.family))


def hit(patient: dict, asked: Asked, systems: Set[str]) -> Hit:
    """What is shown of a patient."""
    why = not_in_use(patient)
    refused = _NOT_IN_USE[why] if why else "" if own_numbers(patient, systems) else _NO_NUMBER
    return Hit(
        reference=f"Patient/{patient['id']}",
        names=tuple(dict.fromkeys(_names(patient))),
        birth_date=as_text(patient.get("birthDate")) or "",
        sex=as_text(patient.get("gender")) or "",
        numbers=tuple(dict.fromkeys(_numbers(patient))),
        remarks=tuple(_remarks(patient, asked)),
        refused=refused,
    )


_NO_NUMBER = "Its number says nobody who gave it, so that it cannot be found again. Ask the EHR's administrator."


def own_numbers(patient: dict, systems: Set[str]) -> tuple[Identifier, ...]:
    """The numbers that name this patient in a request: those configured, else medical record numbers, else what may be one.

    A number typed as something else (a member of an insurance, an account) is never taken.
    """
    found = [(each, _codes(each)) for each in current(patient)]
    if systems:
        return _usable(each for each, _ in found if each.get("system") in systems)
    by_rank = (
        [each for each, codes in found if "MR" in codes],
        [each for each, codes in found if codes & ONE_PERSONS - {"SS", "DL", "PPN"}],
        [each for each, codes in found if not codes],
    )
    return next((usable for some in by_rank if (usable := _usable(iter(some)))), ())


def ref_of(patient: dict, systems: Set[str]) -> PatientRef:
    """The patient of a request. Raises MappingError when the chart is not in use, or no number says who gave it."""
    if why := not_in_use(patient):
        raise MappingError("Patient", _NOT_IN_USE[why])
    numbers = own_numbers(patient, systems)
    if not numbers:
        raise MappingError("Patient.identifier", _NO_NUMBER)
    return from_patient({**patient, "identifier": [each.model_dump() for each in numbers]})


def number_systems(patients: list[dict]) -> frozenset[str]:
    """Who gives the numbers of these patients: of one system each new one is, of several nobody knows which."""
    return frozenset(each.system for patient in patients for each in own_numbers(patient, frozenset()))


def _usable(found: Iterator[dict]) -> tuple[Identifier, ...]:
    return tuple(filter(None, map(to_identifier, found)))


def _codes(identifier: dict) -> set[str]:
    codings = as_dicts(as_dict(identifier.get("type")).get("coding"))
    return {str(each.get("code")) for each in codings if each.get("system") == _TYPES and each.get("code")}


def _is_called(patient: dict, asked: str) -> bool:
    for name in as_dicts(patient.get("name")):
        family = fold(as_text(name.get("family")) or "")
        words = fold(as_text(name.get("text")) or "") if not family else ""
        if family.startswith(asked) or asked in words or any(each.startswith(asked) for each in family.split()):
            return bool(asked)
    return False


def _names(patient: dict) -> Iterator[str]:
    for name in sorted(as_dicts(patient.get("name")), key=lambda each: each.get("use") != "official"):
        given = " ".join(filter(None, map(as_text, as_list(name.get("given")))))
        family, use = as_text(name.get("family")), as_text(name.get("use"))
        whole = ", ".join(filter(None, (family, given))) or as_text(name.get("text"))
        if whole:
            yield f"{whole} ({use})" if use in ("old", "maiden", "nickname", "temp", "anonymous") else whole


def _numbers(patient: dict) -> Iterator[tuple[str, str]]:
    for each in as_dicts(patient.get("identifier")):
        value, codes = as_text(each.get("value")), _codes(each)
        kind = as_dict(each.get("type"))
        what = "MRN" if "MR" in codes else as_text(kind.get("text")) or "/".join(sorted(codes)) or "number"
        if value and not codes & {"SS", "DL", "PPN"} and "us-ssn" not in str(each.get("system")):
            yield (f"{what} (former)" if each.get("use") == "old" else what), value


def _remarks(patient: dict, asked: Asked) -> Iterator[str]:
    died = as_text(patient.get("deceasedDateTime"))
    if died or patient.get("deceasedBoolean") is True:
        yield f"deceased {died[:10]}" if died else "deceased"
    if asked.number and asked.number not in {each.value for each in identifiers_in({"identifier": current(patient)})}:
        yield "the number asked for is not a present one of this patient"
    if asked.birth_date and as_text(patient.get("birthDate")) != asked.birth_date:
        yield "the birth date is known only in part"


def _escaped(value: str) -> str:
    """https://hl7.org/fhir/R4/search.html#escaping"""
    return "".join("\\" + letter if letter in "\\,|$" else letter for letter in value)
