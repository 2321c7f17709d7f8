"""Does an uploaded report name another patient? What its words say beside what is known; a person decides, nothing is guessed."""

import re
from enum import StrEnum

from mappings.model.request import PatientRef

_NUMBER = re.compile(
    r"(?:MRN|medical record (?:number|no\.?)|patient (?:id|number|no\.?)|chart (?:number|no\.?))[\s:#.]{0,4}([A-Z0-9][A-Z0-9.-]{2,19})",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:^|\n)[ \t]*(?:patient(?:'s)?(?: name)?|name of patient)[ \t]*:[ \t]*([^\n]{2,80})", re.IGNORECASE
)
_LETTERS = re.compile(r"[^\W\d_]+")


class Doubt(StrEnum):
    """Why it may be about somebody else."""

    NUMBER = "another-number"
    NAME = "another-name"
    UNNAMED = "not-named"
    UNREAD = "no-words"  # a scan: nobody could look


def doubts(words: str, patient: PatientRef) -> tuple[Doubt, ...]:
    """What speaks against its being this patient's; empty when its words name them and nobody else."""
    if not words.strip():
        return (Doubt.UNREAD,)
    known = {_plain(each.value) for each in patient.identifiers}
    numbers = [number for found in _NUMBER.findall(words) if any(map(str.isdigit, number := _plain(found)))]
    found = [Doubt.NUMBER] if any(each not in known for each in numbers) else []
    family = _words_of(patient.name.family) if patient.name else set()
    if family and any(not family & _words_of(each) for each in _NAME.findall(words)):
        found.append(Doubt.NAME)
    is_named = bool(family and family <= _words_of(words)) or any(each in known for each in numbers)
    return tuple(found) if found or is_named else (Doubt.UNNAMED,)


def _plain(number: str) -> str:
    return number.strip(".-").casefold().lstrip("0")


def _words_of(text: str) -> set[str]:
    return {each.casefold() for each in _LETTERS.findall(text)}
