"""Whether a resource answers a search parameter, as far as the vendor-like servers evaluate it.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

SIZE = {4: timedelta(days=365), 7: timedelta(days=28), 10: timedelta(days=1)}  # of a year, a month, a day


def matches(resource: dict, name: str, value: str) -> bool:
    """A comma is "or". A parameter that nobody evaluates matches nothing, so that a test sees it."""
    how = EVALUATED.get(name.partition(":")[0].lower(), lambda resource, one: False)
    return any(how(resource, one) for one in value.split(","))


def is_prefixed(value: str) -> bool:
    """Whether a date has a comparison before it."""
    return value[:2] in ("eq", "ge", "gt", "le", "lt")


def _references(*elements: str) -> Callable[[dict, str], bool]:
    def has(resource: dict, wanted: str) -> bool:
        said = {each.rpartition("/")[2] for each in _named(resource, elements)}
        return wanted.rpartition("/")[2] in said

    return has


def _named(resource: dict, elements: tuple[str, ...]) -> Iterator[str]:
    for path in elements:
        for each in _at(resource, path.split(".")):
            if isinstance(each, dict) and "reference" in each:
                yield each["reference"]


def _at(node: object, path: list[str]) -> Iterator[object]:
    if isinstance(node, list):
        for each in node:
            yield from _at(each, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _at(node[path[0]], path[1:])


def _token(*elements: str) -> Callable[[dict, str], bool]:
    """Of a code, a Coding, a CodeableConcept or an Identifier."""

    def has(resource: dict, wanted: str) -> bool:
        system, bar, code = wanted.rpartition("|")
        for path in elements:
            for each in _at(resource, path.split(".")):
                for at, said in _codes(each):
                    if said == code and (not bar or (at or "") == system):
                        return True
        return False

    return has


def _codes(node: object) -> Iterator[tuple[str | None, object]]:
    if isinstance(node, str):
        yield None, node
    elif isinstance(node, dict) and "coding" in node:
        for each in node["coding"]:
            yield each.get("system"), each.get("code")
    elif isinstance(node, dict):
        yield node.get("system"), node.get("value", node.get("code"))


def _string(*elements: str) -> Callable[[dict, str], bool]:
    def has(resource: dict, wanted: str) -> bool:
        said = [each for path in elements for each in _at(resource, path.split(".")) if isinstance(each, str)]
        return any(each.casefold().startswith(wanted.casefold()) for each in said)

    return has


def _date(*elements: str) -> Callable[[dict, str], bool]:
    def has(resource: dict, wanted: str) -> bool:
        prefix, text = (wanted[:2], wanted[2:]) if is_prefixed(wanted) else ("eq", wanted)
        start = _instant(text)
        end = start + SIZE.get(len(text), timedelta(seconds=1))
        ask = {
            "eq": lambda at: start <= at < end,
            "ge": lambda at: at >= start,
            "gt": lambda at: at >= end,
            "le": lambda at: at < end,
            "lt": lambda at: at < start,
        }[prefix]
        said = [each for path in elements for each in _at(resource, path.split(".")) if isinstance(each, str)]
        return any(ask(_instant(each)) for each in said)

    return has


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text if len(text) > 7 else f"{text}-01-01"[:10])
    return found if found.tzinfo else found.replace(tzinfo=UTC)


EVALUATED: dict[str, Callable[[dict, str], bool]] = {
    "_id": lambda resource, wanted: resource["id"] == wanted.rpartition("/")[2],
    "_lastupdated": _date("meta.lastUpdated"),
    "author": _references("author"),
    "birthdate": _date("birthDate"),
    "category": _token("category"),
    "class": _token("class"),
    "code": _token("code"),
    "date": _date("date", "period.start", "effectiveDateTime", "issued"),
    "docstatus": _token("docStatus"),
    "encounter": _references("encounter", "context.encounter"),
    "family": _string("name.family"),
    "focus": _references("focus"),
    "gender": _token("gender"),
    "given": _string("name.given"),
    "identifier": _token("identifier"),
    "name": _string("name.family", "name.given", "name"),
    "patient": _references("subject", "patient", "for"),
    "period": _date("context.period.end", "context.period.start"),
    "requester": _references("requester"),
    "status": _token("status"),
    "subject": _references("subject", "patient", "for"),
    "type": _token("type"),
}
