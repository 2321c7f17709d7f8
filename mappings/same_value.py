"""When two values say the same, and how they differ otherwise: letters, words, digits, moments, bytes."""

import base64
import binascii
import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import Any

from mappings.lawful import Change

_POINTERS = frozenset({"reference", "url"})
_NUMBERS = (int, Decimal, float)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)")


def primitive_difference(sent: object, read: object, key: str) -> Change | None:
    """How two strings, numbers or booleans differ; None when they say the same."""
    if isinstance(sent, bool) or isinstance(read, bool):
        return None if sent is read else "changed"
    if isinstance(sent, _NUMBERS) and isinstance(read, _NUMBERS):
        return _number_difference(Decimal(str(sent)), Decimal(str(read)))
    if not isinstance(sent, str) or not isinstance(read, str):
        return "changed"
    return None if sent == read else _text_difference(sent, read, key)


def _number_difference(sent: Decimal, read: Decimal) -> Change | None:
    if sent != read:
        return "changed"
    if sent.as_tuple().exponent != read.as_tuple().exponent:
        return "precision"
    return None if str(sent) == str(read) else "notation"


def _text_difference(sent: str, read: str, key: str) -> Change | None:
    if key == "data":
        return None if _same_bytes(sent, read) else "changed"
    if sent.split() == read.split():
        return "whitespace"
    if _MOMENT.fullmatch(sent) and _MOMENT.fullmatch(read) and _moment(sent) == _moment(read) is not None:
        return "notation"
    if key == "contentType" and _as_type(sent) == _as_type(read):
        return "notation"
    return "notation" if unicodedata.normalize("NFC", sent) == unicodedata.normalize("NFC", read) else "changed"


def _same_bytes(sent: str, read: str) -> bool:
    """Base64 may be wrapped."""
    if "".join(sent.split()) == "".join(read.split()):
        return True
    try:
        return base64.b64decode(sent) == base64.b64decode(read)
    except (binascii.Error, ValueError):
        return False


def _as_type(content_type: str) -> str:
    return "".join(content_type.split()).lower().replace('"', "")


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_identical(sent: Any, read: Any) -> bool:
    """Equal to the last digit; == alone takes 1.10 for 1.1 and True for 1. The short way for nearly everything."""
    if sent.__class__ is not read.__class__:
        return False
    if sent.__class__ is dict:
        if len(sent) != len(read):
            return False
        for key, value in sent.items():
            other = read.get(key)
            if value != other if value.__class__ is str else not is_identical(value, other):
                return False
            if (
                key in _POINTERS and value.__class__ is str and value[:4] == "urn:"
            ):  # came back as sent, but should not have
                return False
        return True
    if sent.__class__ is list:
        return len(sent) == len(read) and all(map(is_identical, sent, read))
    return sent == read and (sent.__class__ is not Decimal or str(sent) == str(read))


def is_empty(value: object) -> bool:
    """True for what holds nothing: R4 knows no empty elements, so a server leaves them out."""
    if value.__class__ is dict:
        return all(is_empty(item) for item in value.values())
    if value.__class__ is list:
        return all(is_empty(item) for item in value)
    return value is None or value == ""


def letters(value: object) -> str:
    """Equal for what is identical, whatever the order of its elements."""
    if value.__class__ is dict:
        return "{" + ",".join(f"{key!r}:{letters(value[key])}" for key in sorted(value)) + "}"
    if value.__class__ is list:
        return "[" + ",".join(map(letters, value)) + "]"
    return f"{value.__class__.__name__}:{value!s}" if value.__class__ is Decimal else repr(value)
