"""Reads and writes FHIR JSON without changing a single digit: decimals stay `decimal.Decimal`, never float."""

from decimal import Decimal
from typing import Any

import simplejson


def loads(text: bytes | str) -> Any:
    """Parse FHIR JSON; duplicate keys, NaN and Infinity raise ValueError (https://hl7.org/fhir/R4/json.html)."""
    if isinstance(text, bytes | bytearray):
        text = bytes(text).decode("utf-8-sig")
    return simplejson.loads(
        text, use_decimal=True, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
    )


def dumps(value: Any) -> bytes:
    """Serialise to compact UTF-8, every digit kept (https://hl7.org/fhir/R4/datatypes.html#decimal)."""
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8"
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the JSON names a key twice in one object")
    return found


def _refuse_constant(name: str) -> Decimal:
    raise ValueError(f"{name} is not a JSON number")
