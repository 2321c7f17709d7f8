"""All or nothing: a transaction Bundle becomes one commit, its entries' urn:uuid addresses become references.

https://hl7.org/fhir/R4/http.html#transaction
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from integration import fhir_json
from integration.hosted import checking, finding
from integration.hosted.bodies import ID, check_resource, check_same_id, check_type, version_in
from integration.hosted.instants import to_instant
from integration.hosted.outcomes import Refusal, bad_request
from integration.hosted.query import Query, read_condition
from integration.hosted.rights import Rights
from integration.hosted.storing import Stored, Writer, new_id, read_many, rows_of, writing
from mappings.structure import StructureIssue

# Elements of type Reference.reference, uri and url that may hold the address of another entry. Equality with a
# fullUrl of the same Bundle is required as well, and Identifier.value is never touched.
ADDRESS_ELEMENTS = frozenset({"reference", "url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid"})
_CONDITIONAL = re.compile(r"[A-Za-z]+\?")


class Place(Protocol):
    """Who asks for a transaction, and who is told of it in its commit."""

    @property
    def rights(self) -> Rights: ...

    def keep(self, writer: Writer, stored: Stored, warnings: list[StructureIssue]) -> None: ...

    def told(self, interaction: str, *, ids: list[str], conn: Connection) -> None: ...


@dataclass
class Entry:
    """One entry, understood; ``at`` is its FHIRPath."""

    at: str
    method: str
    type: str
    id: str
    resource: dict[str, Any]
    full_url: str | None = None
    condition: Query | None = None
    if_match: int | None = None
    exists: bool = False
    warnings: list[StructureIssue] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What became of one entry."""

    status: str
    stored: Stored
    warnings: list[StructureIssue] = field(default_factory=list)


def read_bundle(bundle: Any, base: str, *, strict: bool) -> list[Entry]:
    """The entries of a transaction; nothing has been asked of the database yet."""
    check_resource(bundle, "Bundle", "")
    if bundle.get("type") != "transaction":
        raise bad_request(
            "Only Bundles of type transaction are taken here. A batch is not supported: send its "
            "entries one by one, or as a transaction, which is stored whole or not at all.",
            code="not-supported",
            expression="Bundle.type",
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise bad_request("entry is not a list.", code="structure", expression="Bundle.entry")
    read_entries = [_read_entry(entry, f"Bundle.entry[{number}]", base, strict) for number, entry in enumerate(entries)]
    _refuse_twice([entry.full_url for entry in read_entries if entry.full_url], "the same fullUrl")
    _refuse_twice(
        [f"{entry.type}/{entry.id}" for entry in read_entries if entry.method == "PUT"],
        "an update of the same resource",
    )
    _refuse_twice(
        [f"{entry.type}?{sorted(entry.condition.used)}" for entry in read_entries if entry.condition],
        "the same ifNoneExist",
    )
    return read_entries


def run(engine: Engine, practice: str, base: str, entries: list[Entry], place: Place) -> list[Answer]:
    """Store all entries in one commit, or none of them; ``place`` is told what bends a rule and who did it."""
    for entry in entries:
        with _refused_at(entry.at):
            place.rights.check("u" if entry.method == "PUT" else "cs" if entry.condition else "c", entry.type)
    with writing(engine, practice, base, place.rights) as writer:
        _resolve_conditions(writer, practice, entries)
        targets = {entry.full_url: f"{entry.type}/{entry.id}" for entry in entries if entry.full_url}
        known = read_many(writer.connection, practice, [(entry.type, entry.id) for entry in entries if entry.exists])
        for entry in entries:
            if entry.exists:
                with _refused_at(f"{entry.at}.request.ifNoneExist"):
                    there = known[entry.type, entry.id]
                    place.rights.check_found(there, partial(rows_of, writer.connection, practice, there))
        answers = [_apply(writer, entry, targets, known) for entry in entries]
        for answer in answers:
            place.keep(writer, answer.stored, answer.warnings)
        written = [f"{answer.stored.type}/{answer.stored.id}" for answer in answers]
        place.told("transaction", ids=written, conn=writer.connection)
        return answers


def to_response(answers: list[Answer], returned: str | None) -> bytes:
    """The transaction-response; resources are spliced in as they are stored. ``returned`` is as Prefer asks."""
    entries = b",".join(_response_entry(answer, returned) for answer in answers)
    listed = b',"entry":[' + entries + b"]" if entries else b""
    return b'{"resourceType":"Bundle","type":"transaction-response"' + listed + b"}"


def _read_entry(entry: Any, at: str, base: str, strict: bool) -> Entry:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise bad_request("The entry has no request.", code="required", expression=f"{at}.request")
    method, url, full_url = request.get("method"), request.get("url"), entry.get("fullUrl")
    if method not in ("POST", "PUT"):
        raise bad_request(
            "Entries of a transaction are POST or PUT here.", code="not-supported", expression=f"{at}.request.method"
        )
    if not isinstance(url, str) or not isinstance(full_url, str | None):
        raise bad_request("request.url and fullUrl are strings.", code="structure", expression=at)
    type_, _, id_ = url.removeprefix(base + "/").partition("/")
    with _refused_at(f"{at}.request.url"):
        _check_address(method, type_, id_)
    resource = entry.get("resource")
    check_resource(resource, type_, f"{at}.resource")
    warnings = checking.check(resource, f"{at}.resource", strict=strict)
    understood = Entry(at, method, type_, id_ or new_id(), resource, full_url, warnings=warnings)
    if method == "PUT":
        check_same_id(resource, id_, f"{at}.resource")
    with _refused_at(f"{at}.request"):
        _read_preconditions(understood, request, base)
    return understood


def _check_address(method: str, type_: str, id_: str) -> None:
    if "?" in type_ or "?" in id_:
        raise bad_request(
            "Conditional updates are not supported: search first, then PUT to Type/id.", code="not-supported"
        )
    check_type(type_, 400)
    if method == "PUT" and not ID.fullmatch(id_) or method == "POST" and id_:
        raise bad_request("POST goes to Type, PUT to Type/id.")


def _read_preconditions(entry: Entry, request: dict[str, Any], base: str) -> None:
    none_exist, if_match = request.get("ifNoneExist"), request.get("ifMatch")
    if not isinstance(none_exist, str | None) or not isinstance(if_match, str | None):
        raise bad_request("ifNoneExist and ifMatch are strings.", code="structure")
    if none_exist is not None and entry.method == "POST":
        entry.condition = read_condition(entry.type, none_exist, entry.resource, base=base)
    if entry.method == "PUT":
        entry.if_match = version_in(if_match)


def _refuse_twice(names: list[str], what: str) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise bad_request(
            f"Two entries have {what}; a transaction changes a thing once.", code="duplicate", expression="Bundle.entry"
        )


def _resolve_conditions(writer: Writer, practice: str, entries: list[Entry]) -> None:
    conditional = [(entry, entry.condition) for entry in entries if entry.condition]
    by_identifier = {id(entry): wanted for entry, condition in conditional if (wanted := _identifier_of(condition))}
    found = finding.with_identifiers(writer.connection, practice, by_identifier.values())
    for entry, condition in conditional:
        wanted = by_identifier.get(id(entry))
        ids = (
            found.get(wanted, set())
            if wanted
            else {match.id for match in finding.find(writer.connection, practice, condition, 2)}
        )
        if len(ids) > 1:
            raise several_match(f"{entry.at}.request.ifNoneExist")
        if ids:
            entry.id, entry.exists = ids.pop(), True


def several_match(expression: str | None = None) -> Refusal:
    """412: a conditional create cannot choose."""
    return Refusal(
        412,
        "multiple-matches",
        "More than one resource matches If-None-Exist: nothing was stored. Search with it and choose one.",
        expression=expression,
    )


def _identifier_of(condition: Query) -> tuple[str, str, str] | None:
    """(type, system, value) when ``condition`` asks for one full identifier and nothing else."""
    if len(condition.criteria) != 1 or condition.ids or condition.spans:
        return None
    criterion = condition.criteria[0]
    alternative = criterion.alternatives[0]
    if criterion.param != "identifier" or len(criterion.alternatives) > 1:
        return None
    if not alternative.systems or alternative.value is None:
        return None
    return condition.type, alternative.systems[0], alternative.value


def _apply(writer: Writer, entry: Entry, targets: dict[str, str], known: dict[tuple[str, str], Stored]) -> Answer:
    with _refused_at(entry.at):
        if entry.exists:
            return Answer("200 OK", known[entry.type, entry.id])
        if entry.type != "Bundle":  # a document's addresses are its own
            _rewrite(entry.resource, targets)
        if entry.method == "PUT":
            return Answer("200 OK", writer.update(entry.resource, entry.id, entry.if_match), entry.warnings)
        return Answer("201 Created", writer.create(entry.resource, entry.id), entry.warnings)


def _rewrite(node: Any, targets: dict[str, str]) -> None:
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, str):
            if name in ADDRESS_ELEMENTS:
                node[name] = _target(name, value, targets)
        elif isinstance(value, dict | list):
            _rewrite(value, targets)


def _target(name: str | int, value: str, targets: dict[str, str]) -> str:
    if value in targets:
        return targets[value]
    if name == "reference" and value.startswith(("urn:uuid:", "urn:oid:")):
        raise bad_request("A reference names a urn that is no fullUrl of this transaction.", code="not-found")
    if name == "reference" and _CONDITIONAL.match(value):
        raise bad_request(
            "Conditional references are not supported: search first, then refer to Type/id.", code="not-supported"
        )
    return value


def _response_entry(answer: Answer, returned: str | None) -> bytes:
    stored = answer.stored
    outcome = {"outcome": checking.outcome(answer.warnings)} if returned == "operationoutcome" else {}
    response = fhir_json.dumps(
        {
            "status": answer.status,
            "location": stored.history_path,
            "etag": stored.etag,
            "lastModified": to_instant(stored.updated_at),
            **outcome,
        }
    )
    resource = b'"resource":' + stored.content + b"," if returned == "representation" else b""
    return b"{" + resource + b'"response":' + response + b"}"


@contextmanager
def _refused_at(place: str) -> Iterator[None]:
    """Says where in the Bundle a refusal belongs."""
    try:
        yield
    except Refusal as refusal:
        refusal.expression = refusal.expression or place
        raise
