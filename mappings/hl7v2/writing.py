"""Segments from plain values, and a message as bytes in the character set that its receiver reads; nothing becomes a "?".

The library escapes (https://www.hl7.eu/HL7v2x/v251/std251/ch02.html, 2.7); it would also write every letter that is not ASCII as
one hexadecimal byte, so it is given only the others.
"""

import re
from collections.abc import Iterable

import hl7
from hl7.util import escape

# HL7 table 0211: what MSH-18 says, and what Python calls it. All keep the bytes of ASCII for themselves, so that a receiver
# finds the separators whether or not it knows the character set.
CHARACTER_SETS: dict[str, str] = {
    "UNICODE UTF-8": "utf-8",
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
}
Value = str | tuple | list  # text; components (tuples inside: subcomponents); repetitions

_SEPARATORS = hl7.Message("\r")
_ASCII = re.compile(r"[ -~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPECIAL = re.compile(r"[|~^&\\\x00-\x1f\x7f]")


class NotInCharacterSet(ValueError):
    """Text that the receiver's character set does not have; ``where``: ``PID-5``."""

    def __init__(self, where: str, character_set: str):
        self.where, self.character_set = where, character_set
        super().__init__(f"{where} holds letters that {character_set} does not have")


def segment(name: str, *fields: Value) -> hl7.Segment:
    """One segment; its fields in their order, from 1. MSH takes them from 3 on: its separators are ours."""
    first = [hl7.Field("~", ["|"]), hl7.Field("~", ["^~\\&"])] if name == "MSH" else []
    made = [*first, *map(_field, fields)]
    while made and not str(made[-1]):
        made.pop()
    return hl7.Segment("|", [hl7.Field("~", [name]), *made])


def encoded(segments: Iterable[hl7.Segment], character_set: str) -> bytes:
    """The whole message. Raises NotInCharacterSet."""
    whole = hl7.Message("\r", list(segments))
    try:
        return str(whole).encode(CHARACTER_SETS[character_set])
    except UnicodeEncodeError:
        raise NotInCharacterSet(_where(whole, CHARACTER_SETS[character_set]), character_set) from None


def escaped(text: str) -> str:
    """Text as it stands in a field."""
    if _SPECIAL.search(text) is None:
        return text  # megabytes of base64 among them
    kept = _ASCII.sub(lambda found: escape(_SEPARATORS, found[0]), text)
    return _CONTROL.sub(lambda found: f"\\X{ord(found[0]):02X}\\", kept)


def _field(value: Value) -> hl7.Field:
    repetitions = value if isinstance(value, list) else [value]
    return hl7.Field("~", [_repetition(each) for each in repetitions])


def _repetition(value: str | tuple) -> str | hl7.Repetition:
    return (
        escaped(value) if isinstance(value, str) else hl7.Repetition("^", [_component(each) for each in _short(value)])
    )


def _component(value: str | tuple) -> str | hl7.Component:
    return escaped(value) if isinstance(value, str) else hl7.Component("&", [escaped(each) for each in _short(value)])


def _short(values: tuple) -> tuple:
    """Without empty ones at the end."""
    while values and not values[-1]:
        values = values[:-1]
    return values or ("",)


def _where(whole: hl7.Message, codec: str) -> str:
    for one in whole:
        for number, field in enumerate(one):
            try:
                str(field).encode(codec)
            except UnicodeEncodeError:
                return f"{one[0]}-{number}"
    return "the message"
