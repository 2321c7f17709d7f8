"""Finds and rewrites the references of a FHIR R4 resource by element path, never by key name.

Bundle entries are not entered: what a Bundle of a record refers to, it resolves within itself.
Spec: https://hl7.org/fhir/R4/references.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs

from mappings import codes
from mappings.addresses import Bases, is_elsewhere, target_of, type_of
from mappings.element_paths import ELEMENTS, IDENTIFIERS, Cardinality
from mappings.model.errors import MappingError
from mappings.model.findings import Finding

Policy = Literal["copy", "logical", "fail", "keep"]


@dataclass(frozen=True)
class Resolution:
    """What becomes of one reference: ``copy`` writes ``reference``, ``logical`` writes ``identifier``."""

    policy: Policy
    reference: str | None = None
    identifier: dict | None = None


@dataclass(frozen=True)
class ReferenceAt:
    """One Reference element; ``target`` is ``Type/id``, the URL of a foreign server, or None (contained, urn)."""

    path: str
    reference: dict
    target: str | None


@dataclass(frozen=True)
class AttachmentAt:
    """One Attachment element; ``target`` is ``Binary/id`` where its url points to one of the same server."""

    path: str
    attachment: dict
    target: str | None


def has_identifier(resource_type: object) -> Cardinality:
    """How many business identifiers a resource of this type can hold (https://hl7.org/fhir/R4/resourcelist.html)."""
    if not isinstance(resource_type, str) or resource_type not in IDENTIFIERS:
        raise MappingError("resourceType", "this is not a FHIR R4 resource type")
    return IDENTIFIERS[resource_type]


def find_references(resource: dict, *, source_base: Bases = None) -> list[ReferenceAt]:
    """Every Reference of the resource, those in contained resources and extensions too, in document order."""
    return [
        ReferenceAt(_path(resource, at), node, target_of(node.get("reference"), source_base))
        for kind, node, at in _hits(resource)
        if kind is REFERENCE
    ]


def find_attachments(resource: dict, *, source_base: Bases = None) -> list[AttachmentAt]:
    """Every Attachment of the resource, those in contained resources and extensions too, in document order."""
    return [
        AttachmentAt(_path(resource, at), node, _binary(node.get("url"), source_base))
        for kind, node, at in _hits(resource)
        if kind is ATTACHMENT
    ]


def targets_of(resource: dict, *, source_base: Bases = None) -> list[str]:
    """What a resource needs to exist first: targets of its References and Binaries of its Attachments."""
    found = (_asked(kind, node, source_base) for kind, node, _ in _hits(resource))
    return list(dict.fromkeys(target for target in found if target))


def rewrite(
    resource: dict, resolve: Callable[[str], Resolution], *, source_base: Bases = None
) -> tuple[dict, list[Finding]]:
    """The resource with every reference resolved, and a finding for each that was not simply copied.

    ``resolve`` is asked with ``Type/id`` or the URL of a foreign server; ``#contained`` and canonicals stay. What names
    nothing that could be asked for (a urn, a search) is sent as an identifier: a target refuses it as a reference.
    Only what changes is copied: the result shares the rest with ``resource``, so treat both as immutable.
    """
    copies: dict[int, dict | list] = {}
    result = _copied(resource, copies)
    findings: list[Finding] = []
    for kind, node, at in _hits(resource):
        change = _change(kind, node, resolve, source_base, partial(_path, resource, at))
        if change is not None:
            values, finding = change
            _apply(_copy_down(result, at, copies), values)
            findings += [finding] if finding else []
    return result, findings


class Kind(dict):
    """Element name -> Kind of the element, for one type."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name


_KINDS = {name: Kind(name) for name in [*ELEMENTS, "Attachment", "Resource", *IDENTIFIERS]}
PLAIN, REFERENCE, ATTACHMENT, RESOURCE = Kind(""), _KINDS["Reference"], _KINDS["Attachment"], _KINDS["Resource"]
for _each in [PLAIN, *_KINDS.values()]:
    _each.update({element: _KINDS[name] for element, name in ELEMENTS.get(_each.name, {}).items()})
    _each.update(extension=_KINDS["Extension"], modifierExtension=_KINDS["Extension"])
_KINDS["BundleEntry"].pop("resource")
_KINDS["BundleEntryResponse"].pop("outcome", None)

_Node = TypeVar("_Node", dict, list)
_At = tuple  # (_At of the parent | None, key, index | None): where a node stands, cheap to make


def kind_of(resource: dict) -> Kind:
    """The table of a resource's type; an unknown type (contained by mistake, or newer) has only extensions."""
    name = resource.get("resourceType")
    return _KINDS.get(name, PLAIN) if isinstance(name, str) else PLAIN


def _hits(resource: dict) -> list[tuple[Kind, dict, _At | None]]:
    """(kind, node, place) of each Reference and Attachment. Iterative: depth is the sender's choice, not ours."""
    found: list[tuple[Kind, dict, _At | None]] = []
    stack: list[tuple[dict, Kind, _At | None]] = [(resource, kind_of(resource), None)]
    while stack:
        node, kind, at = stack.pop()
        if kind is REFERENCE or kind is ATTACHMENT:
            found.append((kind, node, at))
        elif kind is RESOURCE:
            kind = kind_of(node)
        for key, value in node.items():
            if value.__class__ is dict:
                stack.append((value, kind.get(key, PLAIN), (at, key, None)))
            elif value.__class__ is list:
                below = kind.get(key, PLAIN)
                stack += [(item, below, (at, key, index)) for index, item in enumerate(value) if item.__class__ is dict]
    found.reverse()
    return found


def _path(resource: dict, at: _At | None) -> str:
    parts = []
    while at is not None:
        at, key, index = at
        parts.append(key if index is None else f"{key}[{index}]")
    kind = resource.get("resourceType")
    return ".".join([kind if isinstance(kind, str) else "Resource", *reversed(parts)])


def _binary(url: object, source_base: Bases) -> str | None:
    target = target_of(url, source_base)
    return target if target and target.startswith("Binary/") else None


def _asked(kind: Kind, node: dict, source_base: Bases) -> str | None:
    """What a resolver is asked for this Reference or Attachment, if anything."""
    return target_of(node.get("reference"), source_base) if kind is REFERENCE else _binary(node.get("url"), source_base)


_REMOVED = object()
_Change = tuple[dict, "Finding | None"]


def _change(
    kind: Kind, node: dict, resolve: Callable[[str], Resolution], source_base: Bases, path: Callable[[], str]
) -> _Change | None:
    """The values to set in a Reference or Attachment and the finding, or None: it stays."""
    name = "reference" if kind is REFERENCE else "url"
    if name not in node or isinstance(node[name], str) and node[name].startswith("#"):
        return None
    target = _asked(kind, node, source_base)
    if target is None:
        return _not_asked(kind, node, node[name], path)
    resolution = resolve(target)
    if resolution.policy == "fail" and not (kind is ATTACHMENT and node.get("data")):  # inline bytes need no Binary
        raise MappingError(path(), "what this refers to is not at the target, and has to be; link or send it first")
    change = _changed_reference if kind is REFERENCE else _changed_attachment
    return change(node, target, resolution, path)


def _not_asked(kind: Kind, node: dict, text: object, path: Callable[[], str]) -> _Change:
    if kind is ATTACHMENT:
        return {}, Finding("attachment.kept", "the url is not a Binary of the source; it was left as it is", path())
    found = _search_identifier(text)
    if found is not None:
        kind_named, identifier = found
        finding = Finding("reference.search", "a search, not a reference: the identifier in it was sent", path())
        return _as_identifier(node, text, kind_named, identifier), finding
    if isinstance(text, str) and text.startswith("urn:"):
        finding = Finding("reference.urn", "a urn names nothing outside its own Bundle: sent as an identifier", path())
        return _as_identifier(node, text, None, uri_identifier(text)), finding
    finding = Finding(
        "reference.unreadable", "this is neither Type/id nor a URL; what was written is sent in an extension", path()
    )
    return {"reference": _REMOVED, "extension": _as_written(node, text)}, finding


def _search_identifier(text: object) -> tuple[str, dict] | None:
    """What ``Practitioner?identifier=system|value`` says, as Synthea and others write it in place of a reference."""
    kind, asked, query = text.strip().partition("?") if isinstance(text, str) else ("", "", "")
    token = parse_qs(query).get("identifier", [""])[0]
    system, _, value = token.rpartition("|")
    named = type_of(f"{kind}/x")
    if not asked or not value or named is None:
        return None
    return named, {"system": system, "value": value} if system else {"value": value}


def uri_identifier(uri: str) -> dict:
    """A URI or urn as an Identifier (https://hl7.org/fhir/R4/identifier-registry.html)."""
    return {"system": "urn:ietf:rfc:3986", "value": uri}


def _as_identifier(node: dict, text: object, kind: str | None, identifier: dict) -> dict:
    values: dict = {"reference": _REMOVED}
    values |= {"type": kind} if kind and "type" not in node else {}
    return values | ({"extension": _as_written(node, text)} if node.get("identifier") else {"identifier": identifier})


def _as_written(node: dict, text: object) -> list:
    """The extensions of a reference, and what the source wrote in it: it is lost to nobody."""
    return [
        *codes.as_list(node.get("extension")),
        {"url": codes.EXTENSION_REFERENCE_AS_WRITTEN, "valueString": _words(text)},
    ]


def _words(text: object) -> str:
    """At least one letter: FHIR has no empty strings (https://hl7.org/fhir/R4/datatypes.html#string)."""
    return text.strip() if isinstance(text, str) and text.strip() else "(no text)"


def _changed_reference(node: dict, target: str, resolution: Resolution, path: Callable[[], str]) -> _Change:
    if resolution.policy == "copy":
        return {"reference": resolution.reference}, None
    if resolution.policy == "keep":
        return {}, Finding("reference.kept", "left as it is; it points outside the target", path())
    if is_elsewhere(target):
        finding = Finding(
            "reference.elsewhere", "it is on another server: its address was sent as an identifier", path()
        )
        return _as_identifier(node, target, type_of(target), uri_identifier(target)), finding
    finding = Finding("reference.logical", "only the identifier of it was sent", path())
    values: dict = {"reference": _REMOVED}
    values |= {} if "type" in node else {"type": type_of(target)}
    values |= {"identifier": resolution.identifier} if resolution.identifier and not node.get("identifier") else {}
    return values, finding


def _changed_attachment(node: dict, target: str, resolution: Resolution, path: Callable[[], str]) -> _Change:
    if resolution.policy == "copy":
        return {"url": resolution.reference}, None
    if resolution.policy == "keep":
        return {}, Finding("attachment.kept", "the url was left as it is; it points to the source", path())
    return {"url": _REMOVED}, Finding("attachment.dropped", "the bytes were not sent, so the url was removed", path())


def _apply(node: dict, values: dict) -> None:
    for key, value in values.items():
        if value is _REMOVED:
            node.pop(key, None)
            node.pop("_" + key, None)
        else:
            node[key] = value


def _copied(node: _Node, copies: dict[int, dict | list]) -> _Node:
    """A shallow copy of ``node``, remembered so that it is made once; a copy is its own copy."""
    copy = node.copy()
    copies[id(copy)] = copy
    return copy


def _copy_down(result: dict, at: _At | None, copies: dict[int, dict | list]) -> dict:
    """The node at ``at`` in ``result``, with it and all above it copied."""
    keys: list[str | int] = []
    while at is not None:
        at, key, index = at
        keys += [key] if index is None else [index, key]
    node: Any = result
    for key in reversed(keys):
        child = node[key]
        if id(child) not in copies:
            child = node[key] = _copied(child, copies)
        node = child
    return node
