"""The search parameters of the hosted endpoint as one table: search, the side table and /metadata all read it.

https://hl7.org/fhir/R4/search.html
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from integration.hosted.resource_types import ELEMENTS

# The system of a plain code (Task.status): implied by the element, so any system a search names is taken for it.
IMPLIED = "*"
# A btree entry holds 2,700 bytes; a longer key is looked up by its hash.
MAX_KEY_BYTES = 500
_MAX_TEXT = 120  # characters of a name that count
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?")

Row = tuple[str, str, str]  # param, system, value


@dataclass(frozen=True)
class SearchParameter:
    """One parameter; it exists for the types that have an element its paths begin with."""

    name: str
    kind: str  # http://hl7.org/fhir/search-param-type
    paths: tuple[str, ...]
    target: str | None = None  # references to other types are not indexed


# In the order in which one of them leads a search: the most selective first.
PARAMETERS = (
    SearchParameter("identifier", "token", ("identifier", "masterIdentifier")),
    SearchParameter("focus", "reference", ("focus",)),
    SearchParameter("based-on", "reference", ("basedOn",)),
    SearchParameter("related", "reference", ("context.related",)),
    SearchParameter(
        "patient", "reference", ("patient", "subject", "for", "beneficiary", "participant.actor"), target="Patient"
    ),
    SearchParameter("subject", "reference", ("subject", "for")),
    SearchParameter("birthdate", "date", ("birthDate",)),
    SearchParameter("family", "string", ("name.family",)),
    SearchParameter("given", "string", ("name.given",)),
    SearchParameter("name", "string", ("name.family", "name.given", "name.text", "name.prefix", "name.suffix")),
    SearchParameter("type", "token", ("type",)),
    SearchParameter("status", "token", ("status",)),
    SearchParameter("gender", "token", ("gender",)),
)
# Beside these every type has:
COMMON = {"_id": "token", "_lastUpdated": "date"}
CONTROLS = ("_count", "_format", "_page")


def _exists(parameter: SearchParameter, type_: str) -> bool:
    return any(path.split(".")[0] in ELEMENTS[type_] for path in parameter.paths)


OF_TYPE: dict[str, dict[str, SearchParameter]] = {
    type_: {parameter.name: parameter for parameter in PARAMETERS if _exists(parameter, type_)} for type_ in ELEMENTS
}


def index_rows(resource: dict[str, Any], base: str) -> set[Row]:
    """What ``resource`` can be found by; an absolute reference below ``base`` is one to a resource here."""
    parameters = OF_TYPE[resource["resourceType"]].values()
    return {
        (parameter.name, system, key(value))
        for parameter in parameters
        for path in parameter.paths
        for node in _nodes(resource, path.split("."))
        for system, value in _ROWS[parameter.kind](node, parameter, base)
    }


def key(text: str) -> str:
    """``text`` as the side table holds it."""
    encoded = text.encode("utf-8")
    if len(encoded) > MAX_KEY_BYTES:
        return "sha256:" + hashlib.sha256(encoded).hexdigest()
    return text.replace("\x00", "\ufffd")


def fold(text: str) -> str:
    """``text`` without case and accents, for string search (https://hl7.org/fhir/R4/search.html#string)."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).strip()[:_MAX_TEXT]


def split_reference(reference: str, base: str) -> tuple[str, str]:
    """(type, id) of a reference to something here, ("", address) of one to somewhere else."""
    match = _REFERENCE.fullmatch(reference.removeprefix(base + "/"))
    if match and match[1] in ELEMENTS:
        return match[1], match[2]
    return "", reference


def _nodes(node: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _nodes(node[path[0]], path[1:])


def _token_rows(node: Any, _parameter: SearchParameter, _base: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield IMPLIED, node
    elif isinstance(node, dict):
        codings = node.get("coding", [node])
        for coding in codings if isinstance(codings, list) else ():
            yield from _one_token(coding)


def _one_token(coding: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(coding, dict):
        return
    value, system = coding.get("code", coding.get("value")), coding.get("system", "")
    if isinstance(value, str) and isinstance(system, str):
        yield key(system), value


def _reference_rows(node: Any, parameter: SearchParameter, base: str) -> Iterator[tuple[str, str]]:
    reference = node.get("reference") if isinstance(node, dict) else None
    if not isinstance(reference, str) or reference.startswith("#"):
        return
    type_, value = split_reference(reference, base)
    if parameter.target in (None, type_):
        yield type_, value


def _text_rows(node: Any, parameter: SearchParameter, _base: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield "", node if parameter.kind == "date" else fold(node)


_ROWS = {"token": _token_rows, "reference": _reference_rows, "string": _text_rows, "date": _text_rows}
