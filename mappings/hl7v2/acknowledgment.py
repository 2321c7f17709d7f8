"""What a receiver answers: taken, stored only, refused, or nothing that can be told. Codes only, never its words.

https://www.hl7.eu/HL7v2x/v251/std251/ch02.html (2.9, 2.15.8 MSA, 2.15.5 ERR). Its texts may repeat what was sent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import hl7

from mappings.hl7v2.reading import BROKEN
from mappings.hl7v2.times import stamp
from mappings.hl7v2.writing import CHARACTER_SETS, encoded, segment

_PLACE = re.compile(r"[A-Z][A-Z0-9]{2}")
_CODE = re.compile(r"[A-Za-z0-9]{1,8}")
_MOST = 5


class Answer(StrEnum):
    """What MSA-1 says (HL7 table 0008)."""

    ACCEPTED = "accepted"
    COMMITTED = "committed"  # stored by the other side, not yet looked at by the application
    REFUSED = "refused"


_ANSWERS = {"AA": Answer.ACCEPTED, "CA": Answer.COMMITTED, **dict.fromkeys(("AE", "AR", "CE", "CR"), Answer.REFUSED)}


@dataclass(frozen=True)
class Acknowledgment:
    """``code``: MSA-1; ``control_id``: MSA-2, of the message that it answers; ``errors``: ``PID-3 101``, from ERR and MSA-6."""

    answer: Answer
    code: str
    control_id: str
    errors: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As a sentence may hold it: codes and places, nothing of what was sent."""
        return f"{self.code} ({', '.join(self.errors)})" if self.errors else self.code


def read_acknowledgment(data: bytes) -> Acknowledgment | None:
    """None: it is no acknowledgment, or cannot be read as one."""
    try:
        message = hl7.parse(_text(data))
        msa = message.segment("MSA")
        code, control_id = _at(msa, 1), _at(msa, 2)
        if str(message.segment("MSH")[0]) != "MSH" or code not in _ANSWERS or not control_id:
            return None
        return Acknowledgment(_ANSWERS[code], code, control_id, tuple(dict.fromkeys(_errors(message)))[:_MOST])
    except BROKEN:
        return None


def to_acknowledgment(
    header: Sequence[str],
    code: str,
    *,
    at: datetime,
    control_id: str,
    place: str = "",
    error: str = "",
    words: str = "",
) -> bytes:
    """An answer to a message with this ``header`` (MSH-1 to 12). ``place``: ``PID-3``; ``error``: of table 0357; ``words``: ours."""
    version = header[11] or "2.5.1"
    event = header[8].split("^")[1:2]
    parties = [tuple(part.split("&")[0] for part in header[number].split("^")) for number in (4, 5, 2, 3)]
    kind: tuple[str, ...] = ("ACK", *event)
    lines = [
        segment(
            "MSH", *parties, stamp(at), "", kind, control_id, header[10] or "P", version, *[""] * 5, "UNICODE UTF-8"
        ),
        segment("MSA", code, header[9], words[:80] if version < "2.4" else ""),
    ]
    if error:
        lines.append(_err(place, error, words, is_older=version < "2.5"))
    return encoded(lines, "UNICODE UTF-8")


def _err(place: str, error: str, words: str, *, is_older: bool) -> hl7.Segment:
    name, _, field = place.partition("-")
    coded = (error, words, "HL70357")
    if is_older:
        return segment("ERR", (name, "1", field, coded))
    return segment("ERR", "", (name, "1", field), coded, "E", "", "", "", words)


def _text(data: bytes) -> str:
    """Codes are ASCII in all of the sets; what its words mean is not asked."""
    said = next((name for name in CHARACTER_SETS if f"|{name}".encode("ascii") in data.partition(b"\r")[0]), "8859/1")
    return data.decode(CHARACTER_SETS[said], "replace").replace("\r\n", "\r").replace("\n", "\r")


def _errors(message: hl7.Message) -> Iterator[str]:
    """2.5: ERR-2 says where, ERR-3 what; before, ERR-1 both. Whatever is no place and no code is left out."""
    for one in message:
        if str(one[0]) != "ERR":
            continue
        place, code = _place(one, 2), _coded(one, 3, 1)
        if not place and not code:
            place, code = _place(one, 1), _coded(one, 1, 4)
        if said := " ".join(filter(None, (place, code))):
            yield said
    if code := _coded(message.segment("MSA"), 6, 1):
        yield code


def _place(one: hl7.Segment, field: int) -> str:
    """``PID-3``"""
    name, number = _at(one, field, 1), _at(one, field, 3)
    if not _PLACE.fullmatch(name):
        return ""
    return f"{name}-{number}" if number.isdecimal() and len(number) <= 3 else name


def _coded(one: hl7.Segment, field: int, component: int) -> str:
    """Where ERR-1 holds its code as a coded element, its first part is the code."""
    said = _at(one, field, component)
    return said if _CODE.fullmatch(said) else ""


def _at(one: hl7.Segment, field: int, component: int = 1) -> str:
    try:
        return str(one.extract_field(1, field, 1, component, 1)).strip() if len(one) > field else ""
    except IndexError:  # it has fewer parts
        return ""
