"""Reads and writes FHIR JSON without changing a single digit: decimals stay `decimal.Decimal`, never float."""

import re
from decimal import Decimal
from typing import Any

import simplejson

MAX_DEPTH = 500  # objects and lists inside each other; a chart has 10 to 20


class TooDeep(ValueError):
    """Objects and lists stand deeper inside each other than is read."""


def loads(text: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse FHIR JSON; duplicate keys, NaN and Infinity raise ValueError (https://hl7.org/fhir/R4/json.html).

    What is nested deeper than ``max_depth`` raises TooDeep, before anything walks into it.
    """
    if is_deeper(text.encode("utf-8", "replace") if isinstance(text, str) else text, max_depth):
        raise TooDeep(f"the JSON is nested deeper than {max_depth} levels")
    if isinstance(text, bytes | bytearray):
        text = bytes(text).decode("utf-8-sig")
    return simplejson.loads(
        text, use_decimal=True, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
    )


def dumps(value: Any) -> bytes:
    """Serialize to compact UTF-8, every digit kept (https://hl7.org/fhir/R4/datatypes.html#decimal)."""
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8"
    )


def is_deeper(data: bytes, levels: int) -> bool:
    """Whether objects and lists stand more than ``levels`` inside each other: costs a thirtieth of parsing a record."""
    left, rounds = data.translate(None, _NO_BRACKETS), 0
    while left and rounds * 2 < levels:  # a round takes off one or two levels
        rounds, before = rounds + 1, left
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if left == before:
            break  # a bracket in a text, or no JSON at all
    return bool(left) and _levels(data, levels) > levels


def _levels(data: bytes, enough: int) -> int:
    """The exact number, as far as it matters: texts taken out, then one level after the other."""
    left, levels = _TEXT.sub(b"", data).translate(None, _NO_BRACKETS), 0
    while levels <= enough and (fewer := _INNERMOST.sub(b"", left)) != left:
        left, levels = fewer, levels + 1
    return levels  # what is left over is not closed: no JSON, and the parser says so


_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_TEXT, _INNERMOST = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL), re.compile(rb"\{\}|\[\]")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the JSON names a key twice in one object")
    return found


def _refuse_constant(name: str) -> Decimal:
    raise ValueError(f"{name} is not a JSON number")
