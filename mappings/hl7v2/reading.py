"""A message from outside: its fields as text, and what is wrong with it by segment and field.

https://www.hl7.eu/HL7v2x/v251/std251/ch02.html; error codes are those of HL7 table 0357.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import hl7

from mappings.hl7v2.writing import CHARACTER_SETS

REQUIRED, NOT_A_VALUE, NOT_IN_TABLE = "101", "102", "103"
UNSUPPORTED_MESSAGE, UNSUPPORTED_EVENT, UNSUPPORTED_MODE, UNSUPPORTED_VERSION = "200", "201", "202", "203"
UNKNOWN_KEY, DUPLICATE_KEY, INTERNAL = "204", "205", "207"
BROKEN = (hl7.HL7Exception, ValueError, IndexError, KeyError, AssertionError, TypeError)
_LINE_END = re.compile(r"\r\n|\r|\n")


class Refused(ValueError):
    """Why a message is not taken: ``place`` as ``PID-3``, ``code`` of table 0357, ``words`` without anything it said.

    ``is_rejected``: it is no message for us at all (AR); else it is one that cannot be read (AE).
    """

    def __init__(self, place: str, code: str, words: str, *, is_rejected: bool = False):
        self.place, self.code, self.words, self.is_rejected = place, code, words, is_rejected
        super().__init__(f"{place}: {words}")


@dataclass(frozen=True)
class Message:
    """One message, parsed. ``data``: as it came."""

    data: bytes
    parsed: hl7.Message

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.at("MSH", 10)

    @property
    def kind(self) -> str:
        """``ORM^O01``"""
        return f"{self.at('MSH', 9)}^{self.at('MSH', 9, 2)}"

    def at(self, name: str, field: int, component: int = 1) -> str:
        """Of the first segment of this name, its first repetition; empty where there is none."""
        return next((text(each, field, component) for each in self.segments(name)), "")

    def segments(self, name: str) -> Iterator[hl7.Segment]:
        """Every segment of this name, in order."""
        return (each for each in self.parsed if str(each[0]) == name)


def read_message(data: bytes) -> Message:
    """The message, decoded by the character set that it names. Raises Refused."""
    head = data[: data.find(b"\r")] if b"\r" in data else data
    if not data.startswith(b"MSH") or len(head) < 8:
        raise Refused("MSH", UNSUPPORTED_MESSAGE, "a message begins with MSH", is_rejected=True)
    said = named_set(head)
    codec = CHARACTER_SETS.get(said)
    if codec is None:
        raise Refused("MSH-18", NOT_IN_TABLE, f"its character set is none of {', '.join(CHARACTER_SETS)}")
    try:
        words = data.decode(codec)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\r") + 1
        raise Refused("MSH-18", NOT_A_VALUE, f"segment {line} holds bytes that are not {said}") from None
    try:
        parsed = hl7.parse("\r".join(each for each in _LINE_END.split(words) if each))
        if not isinstance(parsed, hl7.Message):
            raise ValueError
    except BROKEN:
        raise Refused("MSH", UNSUPPORTED_MESSAGE, "it is no HL7 v2 message", is_rejected=True) from None
    message = Message(data, parsed)
    if not message.control_id:
        raise Refused("MSH-10", REQUIRED, "it has no control id", is_rejected=True)
    return message


def text(one: hl7.Segment, field: int, component: int = 1, *, repetition: int = 1, subcomponent: int = 1) -> str:
    """A part of a field as words; empty where it is not there, or says that it is empty (``""``)."""
    try:
        said = str(one.extract_field(1, field, repetition, component, subcomponent)) if len(one) > field else ""
    except BROKEN:
        return ""
    return "" if said == hl7.NULL else said.strip()


def repetitions(one: hl7.Segment, field: int) -> int:
    """How many a field has."""
    return len(one[field]) if len(one) > field else 0


def header_of(data: bytes) -> list[str]:
    """The fields of MSH as far as they can be read, 1 to 12, of whatever came: for an answer to it."""
    head = data.split(b"\r", 1)[0][:2000].decode("ascii", "replace")
    fields = head.split("|") if head.startswith("MSH|") else ["MSH"]
    clean = [re.sub(r"[^ -~]", "", each)[:200] for each in fields]
    return (["|", *clean[1:12]] + [""] * 12)[:12]


def named_set(head: bytes) -> str:
    """Without a word of it ASCII is meant, and UTF-8 holds it too: what is more than ASCII is then read as that or refused."""
    separator = head[3:4]
    fields = head.split(separator)
    said = fields[17].decode("ascii", "replace") if len(fields) > 17 else ""
    return said.partition("~")[0].strip() or "UNICODE UTF-8"
