"""Does a link between a request and a patient still hold, and may a person make it? Decided on both as they read now.

https://hl7.org/fhir/R4/patient.html#links
"""

from dataclasses import dataclass
from typing import Protocol

from mappings.codes import as_dicts, as_list, as_text
from mappings.identifiers import identifiers_in
from mappings.model.causes import cause_named
from mappings.model.request import PatientRef
from mappings.patient import (
    Numbers,
    contradictions,
    current_names,
    doubts,
    fingerprint,
    merges,
    not_in_use,
    only_numbers,
)
from mappings.practitioner import as_given


def in_words(*whys: str) -> str:
    """The words of doubt as a person reads them; declared once, as causes of steps that wait."""
    told = (cause_named(f"patient-{why}").happened.rstrip(".") for why in whys)
    return "; ".join(each[:1].lower() + each[1:] for each in told)


class Link(Protocol):
    """What was decided, and on what; ``found`` None: said by a person and not compared yet."""

    @property
    def origin(self) -> str: ...
    @property
    def confirmed(self) -> bool: ...
    @property
    def described(self) -> str | None: ...
    @property
    def found(self) -> str | None: ...
    @property
    def merges(self) -> tuple[str, ...]: ...
    @property
    def doubts(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Compared:
    """Both sides as they read when they were compared, without a value of theirs."""

    described: str
    found: str
    merges: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One line of two persons side by side; ``agrees`` None: one side does not say it."""

    name: str
    one: tuple[str, ...]
    other: tuple[str, ...]
    agrees: bool | None


def compared(described: PatientRef | dict, there: dict, numbers: Numbers) -> Compared:
    """What a link keeps of the two, to notice when one of them changes."""
    return Compared(fingerprint(described), fingerprint(there), merges(there), doubts(described, there, numbers))


def why_it_ends(link: Link, described: PatientRef | dict, there: dict | None, numbers: Numbers) -> tuple[str, ...]:
    """Why a person has to look at a link again, in one word each; empty when it holds.

    A match holds while it is sure. A patient we created holds until something contradicts, or as long as nobody changed
    it there: a correction at the source then travels. What a person said holds while both are as they saw them.
    """
    if there is None:
        return ("gone",)
    if retired := not_in_use(there) or not_in_use(described):
        return (retired,)
    now = compared(described, there, numbers)
    if link.found is not None and set(now.merges) - set(link.merges):
        return ("merged",)
    if link.origin == "person":
        return _why_a_person_is_asked_again(link, now)
    if link.origin == "created":
        differs = contradictions(now.doubts)
        return differs if link.found != now.found else tuple(each for each in differs if each == "identifier-differs")
    if isinstance(described, PatientRef) and only_numbers(described) and link.found not in (None, now.found):
        return ("changed",)
    return now.doubts


def _why_a_person_is_asked_again(link: Link, now: Compared) -> tuple[str, ...]:
    if link.found is None:
        return () if link.confirmed else now.doubts
    as_seen = (link.described, link.found) == (now.described, now.found)
    return () if as_seen and set(now.doubts) <= set(link.doubts) else now.doubts


def why_refused(reference: str, described: PatientRef | dict, there: dict | None, numbers: Numbers, chart: str) -> str:
    """Why this can never be the patient, whatever a person confirms; empty when it can. ``chart``: the id at the other side."""
    if there is None:
        return "gone"
    if retired := not_in_use(there):
        return retired
    return "same-id" if reference == chart and doubts(described, there, numbers) else ""


def side_by_side(described: PatientRef | dict, there: dict, numbers: Numbers) -> tuple[Line, ...]:
    """Both persons, line by line, with what agrees and what differs."""
    found = doubts(described, there, numbers)
    one, other = _shown(described), _shown(there)
    return tuple(Line(name, one[name], other[name], _agrees(name, one[name], other[name], found)) for name in one)


_DOUBTED_BY = {
    "identifiers": ("identifier-differs",),
    "name": ("name-differs",),
    "birth_date": ("birth-date-differs",),
    "sex": ("sex-differs",),
    "deceased": ("deceased-differs",),
    "birth_order": ("multiple-birth-differs",),
}
_UNKNOWN_BY = {
    "identifiers": ("no-shared-identifier",),
    "name": ("name-unknown", "given-name-unknown", "twin"),
    "birth_date": ("birth-date-unknown",),
}


def _agrees(name: str, one: tuple[str, ...], other: tuple[str, ...], found: tuple[str, ...]) -> bool | None:
    if set(_DOUBTED_BY.get(name, ())) & set(found):
        return False
    if not one or not other or set(_UNKNOWN_BY.get(name, ())) & set(found):
        return None
    return True if name in _DOUBTED_BY else None


def _shown(patient: PatientRef | dict) -> dict[str, tuple[str, ...]]:
    if isinstance(patient, PatientRef):
        return {
            "name": (" ".join([*patient.name.given, patient.name.family]),) if patient.name else (),
            "birth_date": (patient.birth_date.isoformat(),) if patient.birth_date else (),
            "sex": (patient.sex,) if patient.sex else (),
            "identifiers": tuple(f"{each.value} ({each.system})" for each in patient.identifiers),
            "deceased": (),
            "birth_order": (),
            "address": (),
            "telecom": (),
        }
    born = patient.get("multipleBirthInteger", patient.get("multipleBirthBoolean"))
    dead = patient.get("deceasedDateTime", patient.get("deceasedBoolean"))
    return {
        "name": tuple(
            " ".join([*as_given(each), as_text(each.get("family")) or ""]) for each in current_names(patient)
        ),
        "birth_date": _one(patient.get("birthDate")),
        "sex": _one(patient.get("gender")),
        "identifiers": tuple(f"{each.value} ({each.system})" for each in identifiers_in(patient)),
        "deceased": _one(dead),
        "birth_order": _one(born),
        "address": tuple(_address(each) for each in as_dicts(patient.get("address"))),
        "telecom": tuple(filter(None, (as_text(each.get("value")) for each in as_dicts(patient.get("telecom"))))),
    }


def _one(value: object) -> tuple[str, ...]:
    return () if value is None else (str(value),)


def _address(address: dict) -> str:
    parts = [*as_list(address.get("line")), *(address.get(name) for name in ("city", "state", "postalCode"))]
    return ", ".join(str(part) for part in parts if part)
