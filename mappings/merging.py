"""Three-way merge of a record: a correction is written without undoing what the other side added to its copy.

`base` is what we last wrote, `there` how it stands at the target now, `wanted` what the source says now.
Pure. https://hl7.org/fhir/R4/http.html#update replaces the whole resource, so what is not sent again is gone.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

_NUMBERS = (int, float, Decimal)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Merged:
    """``resource`` to write; ``conflicts`` are the elements both sides changed, where ``resource`` says what the target says."""

    resource: dict
    conflicts: tuple[str, ...] = ()
    kept: bool = False  # something of the other side's is in it


def merge(base: dict | None, there: dict, wanted: dict) -> Merged:
    """What to write over ``there``.

    Only what differs between ``base`` and ``wanted`` is changed; what the other side added or changed stays. Without a
    ``base`` what we do not say stays, and what we say is written.
    """
    logical_id = there.get("id")
    base, there, wanted = base and _content(base), _content(there), _content(wanted)
    if _holds_contained(base, there):  # the two sides name what is contained in their own ways: it is ours as a whole
        base, there = _without_fragments(base or {}), _without_fragments(there)
    conflicts: list[str] = []
    made = _elements(base, there, wanted, wanted["resourceType"], conflicts)
    ordered = {**made, "resourceType": wanted["resourceType"], "id": logical_id}
    ordered = {name: ordered[name] for name in dict.fromkeys(["resourceType", "id", *ordered])}
    return Merged(ordered, tuple(conflicts), not _same(wanted, {**ordered, "id": None}))


def says_the_same(wanted: dict, there: dict) -> bool:
    """True when both say the same: id, version and time aside, whatever way numbers and own references are written."""
    return _same(_content(wanted), _content(there))


def contains(wanted: dict, there: dict) -> bool:
    """True when everything that is wanted stands there; what was added to it does not matter."""
    return _holds(_content(there), _content(wanted))


def _content(resource: dict) -> dict:
    """Without what the server that holds it gave it."""
    meta = resource.get("meta")
    if isinstance(meta, dict):
        meta = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return {**rest, "meta": meta} if meta else rest


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same(one.get(key), other.get(key)) for key in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return _same_value(one, other)


def _elements(base: dict | None, there: dict, wanted: dict, path: str, conflicts: list[str]) -> dict:
    made = {}
    for key in dict.fromkeys([*wanted, *there]):
        value = _element(None if base is None else base.get(key), there.get(key), wanted.get(key), key, base is None)
        if value is _BOTH_CHANGED:
            value = _inside(base, there, wanted, key, path, conflicts)
        if value is not None:
            made[key] = value
    return made


_BOTH_CHANGED = object()


def _element(base: Any, there: Any, wanted: Any, key: str, is_without_base: bool) -> Any:
    if _same(there, wanted) or _same(base, wanted) and not is_without_base:
        return there
    if there is None or _same(base, there) and not is_without_base or key == "text" and wanted is not None:
        return wanted  # narrative is made anew by many servers, and what it says stands in the elements
    if is_without_base and wanted is None:
        return there
    return _BOTH_CHANGED


def _inside(base: dict | None, there: dict, wanted: dict, key: str, path: str, conflicts: list[str]) -> Any:
    old, now, new = None if base is None else base.get(key), there[key], wanted.get(key)
    if isinstance(now, dict) and isinstance(new, dict):
        return _elements(old if isinstance(old, dict) or base is None else {}, now, new, f"{path}.{key}", conflicts)
    if isinstance(now, list) and (isinstance(new, list) or new is None):
        return _items(old if isinstance(old, list) else [], now, new or []) or None
    if base is None:
        return new
    conflicts.append(f"{path}.{key}")
    return now


def _items(base: list, there: list, wanted: list) -> list:
    """What we say, where the other side enriched an item as they have it, and then what they added."""
    theirs = [item for item in there if not any(_holds(item, ours) for ours in [*base, *wanted])]
    return [next((item for item in there if _holds(item, ours)), ours) for ours in wanted] + theirs


def _holds(there: Any, ours: Any) -> bool:
    """True when everything of ``ours`` stands in ``there``, which may say more."""
    if isinstance(ours, dict) and isinstance(there, dict):
        return all(_holds(there.get(key), value) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(there, list):
        return all(any(_holds(item, each) for item in there) for each in ours)
    return _same_value(ours, there)


def _same_value(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
        return Decimal(str(one)) == Decimal(str(other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _said_otherwise(one, other)
    return one is None and other is None or _is_empty(one) and _is_empty(other) or one == other


def _said_otherwise(one: str, other: str) -> bool:
    """As servers write the same anew: an address of their own, a moment in another zone, other whitespace."""
    if _is_address_of(one, other) or _is_address_of(other, one) or one.split() == other.split():
        return True
    return bool(_MOMENT.fullmatch(one) and _MOMENT.fullmatch(other)) and _moment(one) == _moment(other) is not None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _is_address_of(absolute: str, relative: str) -> bool:
    """``http://target/fhir/Type/id`` and ``Type/id``: servers write their own references either way."""
    return (
        absolute.startswith(("http://", "https://")) and relative.count("/") == 1 and absolute.endswith(f"/{relative}")
    )


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or isinstance(value, dict | list) and not value


def _holds_contained(base: dict | None, there: dict) -> bool:
    return bool(there.get("contained")) and not _same((base or {}).get("contained"), there["contained"])


def _without_fragments(resource: dict) -> dict:
    """Without what is contained, and without every element that names something contained."""
    return {key: value for key, value in resource.items() if key != "contained" and not _names_fragment(value)}


def _names_fragment(value: Any) -> bool:
    if isinstance(value, dict):
        reference = value.get("reference")
        return isinstance(reference, str) and reference.startswith("#") or any(map(_names_fragment, value.values()))
    return isinstance(value, list) and any(map(_names_fragment, value))
