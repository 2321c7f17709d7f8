"""Puts resources in dependency order and into transaction Bundles (or single creates) that are harmless to send twice.

Specs: https://hl7.org/fhir/R4/http.html#transaction, https://hl7.org/fhir/R4/http.html#ccreate
"""

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from mappings.addresses import LOGICAL_ID, Bases, is_elsewhere, target_of
from mappings.codes import as_dict, as_list, as_text
from mappings.identifiers import append_identifier, source_identifier, to_identifier
from mappings.model.errors import MappingError
from mappings.model.findings import Finding
from mappings.model.request import Identifier
from mappings.references import (
    AttachmentAt,
    Policy,
    ReferenceAt,
    Resolution,
    find_attachments,
    find_references,
    has_identifier,
    rewrite,
    targets_of,
)
from mappings.subject import may_be_patient, subjects_of

# What happens to a reference whose target is neither sent nor linked: by type, "*" any other. Another patient may perform,
# replace or inform: only who a record is about has to be the linked one, and `rewrite` sees to that.
POLICIES: Mapping[str, Policy] = MappingProxyType({"Binary": "fail", "*": "logical"})

# R4 defines no search parameter `identifier` for these, so no conditional create can find them.
NOT_SEARCHABLE = frozenset(
    {
        "AdverseEvent",
        "BiologicallyDerivedProduct",
        "CatalogEntry",
        "MedicinalProductIngredient",
        "ObservationDefinition",
        "SubstanceSpecification",
    }
)


@dataclass(frozen=True)
class EntryResult:
    """What became of one entry of a transaction, in the order they were sent."""

    full_url: str
    status: int
    location: str | None = None  # Type/id
    version: str | None = None
    etag: str | None = None
    outcome: dict | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One record as it is to stand at the target, and the condition by which a second attempt recognizes it."""

    key: str  # Type/id at the source
    urn: str
    body: dict
    condition: str | None  # not yet percent-encoded

    def entry(self, body: object = None) -> dict:
        """The entry of a transaction that creates it once; ``body`` is the same already written as JSON."""
        request = {"method": "POST", "url": self.body["resourceType"]}
        request |= {"ifNoneExist": _in_url(self.condition)} if self.condition else {}
        return {"fullUrl": self.urn, "resource": self.body if body is None else body, "request": request}


class Later(NamedTuple):
    """A reference that only an update can fill, because ``target`` is created after ``resource``."""

    resource: dict
    path: str
    target: str


@dataclass(frozen=True)
class Order:
    """Resources in the order of their single creates, and the references to fill by updates afterwards."""

    resources: list[dict]
    later: list[Later]


def key_of(resource: dict) -> str:
    """``Type/id``: what a resource is called at its source."""
    has_identifier(resource.get("resourceType", ""))
    logical_id = resource.get("id")
    if not isinstance(logical_id, str) or not logical_id or not logical_id.isascii():
        raise MappingError(f"{resource['resourceType']}.id", "a resource without its source id cannot be sent")
    return f"{resource['resourceType']}/{resource['id']}"


def urn_of(identifier_system: str, key: str) -> str:
    """The fullUrl of ``Type/id`` in our Bundles: always the same for the same resource of the same source."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{identifier_system}|{key}')}"


def with_urns(links: Mapping[str, str], identifier_system: str) -> dict[str, str]:
    """The links by ``Type/id`` and by urn: what `compare` needs to follow the references of a sent transaction."""
    return {**links, **{urn_of(identifier_system, key): target for key, target in links.items()}}


def plan(
    resources: Sequence[dict],
    *,
    chunk_size: int,
    max_bytes: int | None = None,
    size_of: Callable[[dict], int] | None = None,
    source_base: Bases = None,
) -> list[list[dict]]:
    """Chunks in dependency order: what a chunk refers to is in it or in an earlier one.

    A cycle is never split, so a chunk exceeds ``chunk_size`` or ``max_bytes`` only by holding one single cycle
    (or one single resource).
    """
    by_key = {key_of(resource): resource for resource in resources}
    if len(by_key) < len(resources):
        raise MappingError("Bundle.entry", "the same Type/id stands twice among the resources")
    chunks = in_chunks(
        list(by_key),
        {key: targets_of(resource, source_base=source_base) for key, resource in by_key.items()},
        chunk_size=chunk_size,
        max_bytes=max_bytes,
        sizes={key: size_of(resource) for key, resource in by_key.items()} if max_bytes and size_of else None,
    )
    return [[by_key[key] for key in chunk] for chunk in chunks]


def in_chunks(
    keys: Sequence[str],
    targets: Mapping[str, Collection[str]],
    *,
    chunk_size: int,
    max_bytes: int | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[list[str]]:
    """As `plan`, by names alone: ``targets`` are what each refers to, whether it is among the ``keys`` or not."""
    number_of = {key: number for number, key in enumerate(keys)}
    needs = [
        [number_of[target] for target in targets[key] if number_of.get(target, n) != n] for n, key in enumerate(keys)
    ]
    chunks: list[list[int]] = []
    room, room_bytes = 0, 0
    for component in components(range(len(keys)), needs):
        size = sum(sizes[keys[number]] for number in component) if sizes else 0
        if not chunks or len(component) > room or (max_bytes and size > room_bytes):
            chunks.append([])
            room, room_bytes = chunk_size, max_bytes or 0
        chunks[-1] += component
        room, room_bytes = room - len(component), room_bytes - size
    return [[keys[number] for number in chunk] for chunk in chunks]


def break_cycles(chunk: Sequence[dict], *, source_base: Bases = None) -> Order:
    """An order for single creates, with as few resources as we can find to update once the others exist.

    From a cycle the resource with the most references inside it goes first: an Encounter before its five Conditions.
    """
    needs = _needs(chunk, source_base)
    order = _broken(needs)
    position = {key_of(chunk[number]): place for place, number in enumerate(order)}
    later = [
        Later(chunk[number], found.path, found.target)
        for place, number in enumerate(order)
        for found in _pointers(chunk[number], source_base)
        if found.target and position.get(found.target, -1) >= place
    ]
    return Order([chunk[number] for number in order], later)


def _pointers(resource: dict, source_base: Bases) -> list[ReferenceAt | AttachmentAt]:
    return [
        *find_references(resource, source_base=source_base),
        *find_attachments(resource, source_base=source_base),
    ]


def draft(
    resource: dict,
    *,
    links: Mapping[str, str],
    identifier_system: str,
    source_base: Bases = None,
    policies: Mapping[str, Policy] = POLICIES,
    allow_unidentified: bool = False,
    later: Collection[str] = (),
    findings: list[Finding] | None = None,
) -> Draft:
    """The resource as it is to stand at the target.

    ``links`` name what a reference becomes: an id at the target, or the urn of what goes with it. Targets in ``later``
    (`break_cycles`) do not exist yet: they are written as logical references, without a finding.
    """
    sending = _Sending(links, identifier_system, source_base, policies, allow_unidentified, frozenset(later))
    body, condition = _prepared(resource, sending, findings)
    key = key_of(resource)
    return Draft(key, urn_of(identifier_system, key), body, condition)


def identity_of(resource: Mapping, identifier_system: str) -> Identifier | None:
    """What a record of the source is recognized by at a target; None when nothing there could tell.

    Ours; its own where the type holds a single identifier and that is taken.
    """
    ours = source_identifier(identifier_system, resource["resourceType"], resource["id"])
    _, how = append_identifier(dict(resource), ours)
    if how == "none" or resource["resourceType"] in NOT_SEARCHABLE:
        return None
    return to_identifier(resource["identifier"] if how == "single" else ours)


def if_none_exist(identifier: Mapping[str, str]) -> str:
    """The condition on an identifier, escaped for search (https://hl7.org/fhir/R4/search.html#escaping)."""
    return f"identifier={_escaped(identifier['system'])}|{_escaped(identifier['value'])}"


def read_response(bundle_sent: dict, bundle_response: object) -> list[EntryResult]:
    """What the server did with each entry; a location is looked for in the response and in the resource returned.

    An entry of the answer that says nothing readable has status 0: nobody knows what was done. Raises MappingError when
    the answer does not fit to what was sent.
    """
    answer = as_dict(bundle_response)
    sent, answered = bundle_sent.get("entry", []), as_list(answer.get("entry"))
    if answer.get("resourceType") != "Bundle" or len(sent) != len(answered):
        raise MappingError(
            "Bundle.entry",
            f"{len(sent)} entries were sent and {len(answered)} answered; "
            "look for each resource by its identifier before sending again",
        )
    return [_result(one["fullUrl"], as_dict(other)) for one, other in zip(sent, answered, strict=True)]


def components(nodes: Iterable[int], needs: Sequence[Collection[int]]) -> list[list[int]]:
    """Strongly connected components, each after all it needs (Tarjan 1972, without recursion).

    ``needs[n]`` are the nodes that have to come before ``n``; only edges between ``nodes`` count.
    """
    nodes = list(nodes)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    unsorted, found = set(nodes), []
    for root in nodes:
        work = [] if root in index else [(root, _visit(root, index, low, path, needs))]
        while work:
            node, rest = work[-1]
            target = next((other for other in rest if other in unsorted), None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_closed(node, path, unsorted))
            elif target in index:
                low[node] = min(low[node], index[target])
            else:
                work.append((target, _visit(target, index, low, path, needs)))
    return found


def _visit(
    node: int, index: dict[int, int], low: dict[int, int], path: list[int], needs: Sequence[Collection[int]]
) -> Iterator[int]:
    index[node] = low[node] = len(index)
    path.append(node)
    return iter(needs[node])


def _closed(node: int, path: list[int], unsorted: set[int]) -> list[int]:
    component = [path.pop()]
    while component[-1] != node:
        component.append(path.pop())
    unsorted.difference_update(component)
    return sorted(component)


def _needs(resources: Sequence[dict], source_base: Bases) -> list[list[int]]:
    """For each resource the numbers of those it refers to, itself among them."""
    number_of = {key_of(resource): number for number, resource in enumerate(resources)}
    if len(number_of) < len(resources):
        raise MappingError("Bundle.entry", "the same Type/id stands twice among the resources")
    return [
        [number_of[target] for target in targets_of(resource, source_base=source_base) if target in number_of]
        for resource in resources
    ]


def _broken(needs: Sequence[Collection[int]]) -> list[int]:
    """All nodes; of each cycle the busiest node first, then the rest as if that edge were gone."""
    order: list[int] = []
    work: list[list[int]] = [list(range(len(needs)))]
    while work:
        todo = work.pop()
        if len(todo) == 1:
            order += todo
            continue
        parts = components(todo, needs)
        if len(parts) > 1:
            work += reversed(parts)
            continue
        first = _busiest(todo, needs)
        order.append(first)
        work.append([node for node in todo if node != first])
    return order


def _busiest(cycle: list[int], needs: Sequence[Collection[int]]) -> int:
    inside = set(cycle)
    asked = dict.fromkeys(cycle, 0)
    for node in cycle:
        for target in inside.intersection(needs[node]):
            asked[target] += 1
    return max(cycle, key=lambda node: asked[node] * len(inside.intersection(needs[node])))


@dataclass(frozen=True)
class _Sending:
    """What preparing a resource for one target takes."""

    names: Mapping[str, str]  # Type/id at the source -> what to write
    identifier_system: str
    source_base: Bases
    policies: Mapping[str, Policy]
    allow_unidentified: bool
    later: frozenset[str] = frozenset()

    def resolve(self, target: str) -> Resolution:
        """What becomes of a reference to ``target``."""
        if target in self.names:
            return Resolution("copy", self.names[target])
        kind, _, logical_id = target.partition("/")
        if is_elsewhere(target):
            return Resolution("logical")
        policy = "logical" if target in self.later else self.policies.get(kind, self.policies.get("*", "logical"))
        # A type that has to be copied and was not is as wrong as one that has to exist.
        return Resolution(
            "fail" if policy == "copy" else policy,
            identifier=source_identifier(self.identifier_system, kind, logical_id),
        )


def _prepared(resource: dict, sending: _Sending, findings: list[Finding] | None) -> tuple[dict, str | None]:
    """1. references 2. identifier 3. what belongs to the source's copy is taken off."""
    key = key_of(resource)
    try:
        body, found = rewrite(resource, sending.resolve, source_base=sending.source_base)
        _must_be_about_the_linked(resource, body, sending)
        if sending.later:
            found = _without_later(resource, found, sending)
        body, condition, more = _identified(body, sending)
    except MappingError as error:
        raise MappingError(_at(key, error.path), str(error).removeprefix(f"{error.path}: ")) from error
    if findings is not None:
        findings += [replace(finding, path=_at(key, finding.path)) for finding in [*found, *more]]
    return _stripped(body, key, sending.source_base), condition


def _must_be_about_the_linked(resource: dict, body: dict, sending: _Sending) -> None:
    """A record whose subject is, or may be, a patient names the linked one at the target or does not travel."""
    for (path, node), (_, sent) in zip(subjects_of(resource), subjects_of(body), strict=True):
        target = target_of(node.get("reference"), sending.source_base)
        if target in sending.names or target in sending.later or not may_be_patient(node, target):
            continue
        if "reference" in node or not sent.get("identifier"):
            raise MappingError(path, "the patient this record is about is not the one linked at the target")


def _at(key: str, path: str) -> str:
    """``Type/id#path``, the form the manifest uses."""
    return f"{key}#{path.partition('.')[2]}".rstrip("#")


def _without_later(resource: dict, found: list[Finding], sending: _Sending) -> list[Finding]:
    later = {
        each.path
        for search in (find_references, find_attachments)
        for each in search(resource, source_base=sending.source_base)
        if each.target in sending.later
    }
    return [finding for finding in found if finding.path not in later]


def _identified(body: dict, sending: _Sending) -> tuple[dict, str | None, list[Finding]]:
    kind = body["resourceType"]
    ours = source_identifier(sending.identifier_system, kind, body["id"])
    body, how = append_identifier(body, ours)
    condition, findings = _condition(body, how, ours)
    if condition is None and not sending.allow_unidentified:
        raise MappingError(
            kind,
            "it has no identifier a second attempt could be recognized by; write it inline, "
            "or allow it to be created without",
        )
    return body, condition, findings


def _condition(body: dict, how: str, ours: dict) -> tuple[str | None, list[Finding]]:
    path = f"{body['resourceType']}.identifier"
    if how == "none":
        return None, []
    if body["resourceType"] in NOT_SEARCHABLE:
        return None, [Finding("identifier.not-searchable", "FHIR cannot search this type by identifier", path)]
    if how != "single":
        return if_none_exist(ours), []
    own = to_identifier(body["identifier"])
    if own is not None:
        return if_none_exist(own.model_dump()), [
            Finding("identifier.single", "it is recognized by its own only identifier", path)
        ]
    return None, [Finding("identifier.single", "its only identifier is taken and has no system to find it by", path)]


def _stripped(body: dict, key: str, source_base: Bases) -> dict:
    """Without id and version of the source's copy; ``meta.source`` says where it came from."""
    meta = {
        name: value
        for name, value in as_dict(body.get("meta")).items()
        if name.lstrip("_") not in ("versionId", "lastUpdated")
    }
    if source_base and not meta.get("source"):
        first = source_base if isinstance(source_base, str) else source_base[0]
        meta["source"] = f"{first.rstrip('/')}/{key}"
    stripped = {name: value for name, value in body.items() if name not in ("id", "_id", "meta")}
    return {"resourceType": stripped.pop("resourceType"), **({"meta": meta} if meta else {}), **stripped}


def _escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _in_url(condition: str) -> str:
    """As literal as a query may be: HAPI 8 refuses or misreads % & + space and non-ASCII when they are not encoded."""
    return quote(condition, safe=_LITERAL)


_LITERAL = "".join(set(map(chr, range(33, 127))) - set("%&#+"))
_LOCATION = re.compile(rf"(?:.*/)?([A-Z][A-Za-z]+/{LOGICAL_ID})(?:/_history/({LOGICAL_ID}))?/?")


def _result(full_url: str, entry: dict) -> EntryResult:
    response, returned = as_dict(entry.get("response")), as_dict(entry.get("resource"))
    found = _LOCATION.fullmatch(as_text(response.get("location")) or "")
    status = re.match(r"\d{3}", str(response.get("status", "")))
    etag = as_text(response.get("etag"))
    version = (found and found[2]) or (re.sub(r'^W/|"', "", etag) if etag else None)
    outcome = response.get("outcome")
    return EntryResult(
        full_url,
        int(status[0]) if status else 0,
        found[1] if found else _returned_key(returned),
        version or as_text(as_dict(returned.get("meta")).get("versionId")),
        etag,
        outcome if isinstance(outcome, dict) else None,
    )


def _returned_key(returned: dict) -> str | None:
    key = f"{returned.get('resourceType')}/{returned.get('id')}"
    return target_of(key) if returned.get("resourceType") != "OperationOutcome" else None
