"""PID and PV1: the patient as the receiving system numbers them, and the visit where it is known. Nothing is filled in.

https://www.hl7.eu/HL7v2x/v251/std251/ch03.html (3.4.2, 3.4.3); codes by https://hl7.org/fhir/uv/v2mappings/2024Sep/
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import hl7

from mappings.codes import SYSTEM_IDENTIFIER_TYPE, as_dict, as_dicts, as_list, as_text
from mappings.hl7v2.times import to_time
from mappings.hl7v2.writing import Value, segment
from mappings.patient import ONE_PERSONS, WELL_KNOWN, current_identifiers, current_names

_SEX = {"male": "M", "female": "F", "other": "O", "unknown": "U"}  # table 0001
_CLASS = {  # table 0004
    **dict.fromkeys(("AMB", "VR", "HH"), "O"),
    **dict.fromkeys(("IMP", "ACUTE", "NONAC", "OBSENC"), "I"),
    "SS": "O",
    "EMER": "E",
    "PRENC": "P",
}
UNKNOWN_CLASS = "U"


def numbers_of_patient(patient: Mapping[str, Any], systems: Collection[str]) -> list[dict]:
    """Current identifiers that tell this person from others there: of these systems; without any, typed as a person's own."""
    found = [each for each in current_identifiers(dict(patient)) if as_text(each.get("value"))]
    if systems:
        return [each for each in found if each.get("system") in systems]
    return [each for each in found if _types(each) & ONE_PERSONS or each.get("system") in WELL_KNOWN]


def pid(patient: Mapping[str, Any], numbers: list[dict], authorities: Mapping[str, str]) -> hl7.Segment:
    """``numbers``: of `numbers_of_patient`; ``authorities``: what the receiver calls the system of a number."""
    return segment(
        "PID",
        "1",
        "",
        [_number(each, authorities) for each in numbers],
        "",
        [_name(each) for each in current_names(dict(patient))],
        "",
        to_time(patient.get("birthDate")),
        _SEX.get(as_text(patient.get("gender")) or "", ""),
    )


def pv1(encounter: Mapping[str, Any] | None, authorities: Mapping[str, str]) -> tuple[hl7.Segment, list[str]]:
    """The visit, and in words what of it has no place. Without one its class is "unknown", which the segment demands."""
    if encounter is None:
        return segment("PV1", "1", UNKNOWN_CLASS), []
    notes: list[str] = []
    said = as_text(as_dict(encounter.get("class")).get("code")) or ""
    kind = _CLASS.get(said, UNKNOWN_CLASS)
    if kind == UNKNOWN_CLASS:
        notes.append("the class of the visit has no code in PV1-2: it is sent as unknown")
    number = _visit_number(encounter)
    if number is None:
        notes.append("the visit has no number, or several of which none is typed VN: PV1-19 is empty")
    period = as_dict(encounter.get("period"))
    fields: list[Value] = [""] * 45
    fields[0], fields[1] = "1", kind
    fields[18] = _number(number, authorities) if number else ""
    fields[43], fields[44] = to_time(period.get("start")), to_time(period.get("end"))
    return segment("PV1", *fields), notes


def authority(system: str | None, authorities: Mapping[str, str]) -> str | tuple:
    """CX-4: as the receiver calls it; else the system itself, as what it is."""
    if not system:
        return ""
    if system in authorities:
        return tuple(authorities[system].split("^"))
    return ("", system.removeprefix("urn:oid:"), "ISO") if system.startswith("urn:oid:") else ("", system, "URI")


def _number(identifier: Mapping[str, Any], authorities: Mapping[str, str]) -> tuple:
    types = sorted(_types(identifier))
    value = as_text(identifier.get("value")) or ""
    return value, "", "", authority(as_text(identifier.get("system")), authorities), types[0] if types else ""


def _types(identifier: Mapping[str, Any]) -> set[str]:
    codings = as_dicts(as_dict(identifier.get("type")).get("coding"))
    return {
        str(each.get("code")) for each in codings if each.get("system") == SYSTEM_IDENTIFIER_TYPE and each.get("code")
    }


def _name(name: Mapping[str, Any]) -> tuple:
    """Family, given, further given names, suffix, prefix, and that it is the legal one where that is said."""
    given = list(_texts(name.get("given")))
    kind = "L" if name.get("use") == "official" else ""
    parts = [" ".join(_texts(name.get(each))) for each in ("suffix", "prefix")]
    return as_text(name.get("family")) or "", "".join(given[:1]), " ".join(given[1:]), *parts, "", kind


def _texts(values: Any) -> Iterator[str]:
    return (each for each in as_list(values) if isinstance(each, str) and each)


def _visit_number(encounter: Mapping[str, Any]) -> dict | None:
    found = [each for each in as_dicts(encounter.get("identifier")) if as_text(each.get("value"))]
    typed = [each for each in found if "VN" in _types(each)]
    return typed[0] if typed else found[0] if len(found) == 1 else None
