"""The hosted FHIR R4 endpoint as a Flask blueprint: a table of interactions, each a short function over the store.

https://hl7.org/fhir/R4/http.html
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import psycopg
from flask import Blueprint, Response, g, request
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from integration import fhir_json
from integration.hosted import accesses, checking, finding, storing, transaction
from integration.hosted.answers import (
    FHIR_CONTENT_TYPE,
    check_accept,
    preferred,
    searchset,
    shown_payload,
    shown_resource,
    written_resource,
)
from integration.hosted.bodies import ID, JSON_TYPES, check_same_id, check_type, read_json, read_resource, version_in
from integration.hosted.capability import to_capability_statement
from integration.hosted.outcomes import Refusal, bad_request, not_found
from integration.hosted.parameters import index_rows
from integration.hosted.query import read_condition, read_query
from integration.hosted.rights import ANYONE, Caller, Rights
from integration.hosted.storing import Stored
from mappings.model.findings import Finding
from mappings.structure import StructureIssue

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class HostedPractice(Protocol):
    """What is needed to know of a practice."""

    @property
    def practice(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def strict(self) -> bool: ...


Note = Callable[[Connection, str, list[Finding]], None]
Opened = Callable[[str], Iterator[bytes]]


@dataclass(frozen=True)
class Place:
    """Where a request is served: one practice and its store."""

    practice: str
    name: str
    base: str
    engine: Engine
    strict: bool
    note: Note
    tell: accesses.Tell
    caller: Caller
    opened: Opened

    @property
    def rights(self) -> Rights:
        """What who asks may do."""
        return self.caller.rights

    def told(
        self,
        interaction: str,
        type_: str = "",
        ids: Iterable[str] = (),
        *,
        parameters: Iterable[str] = (),
        conn: Connection | None = None,
    ) -> None:
        """Tell who does what; with ``conn`` in the commit of a write."""
        access = accesses.Access(
            self.caller.actor,
            self.practice,
            interaction,
            type_,
            tuple(f"{type_}/{each}" if type_ else each for each in ids),
            tuple(dict.fromkeys(parameters)),
        )
        g.hosted_access = access
        self.tell(access, conn)

    def shown(self, stored: Stored, payload: storing.Payload | None) -> Response:
        """A version as it was asked for; bytes that are no part of a resource come from where they are kept."""
        return (
            shown_resource(stored)
            if payload is None
            else shown_payload(stored, payload.size, self.opened(payload.sha256))
        )

    def keep(self, writer: storing.Writer, stored: Stored, warnings: list[StructureIssue]) -> None:
        """Keep the rules that a stored resource bends, for the operator."""
        if warnings:
            found = [checking.finding_of(each, stored.type, stored.id) for each in warnings]
            self.note(writer.connection, self.practice, found)


@dataclass(frozen=True)
class Interaction:
    """One thing that can be asked: its code in a CapabilityStatement, where, and the letter of the scope it needs.

    Without a letter it needs none (what the endpoint can do), or each of its entries does (a transaction).
    """

    code: str
    method: str
    path: str
    scope: str
    answer: Callable[..., Response]

    @property
    def is_of_type(self) -> bool:
        """Is it asked of a resource type, not of the whole system?"""
        return "<type_>" in self.path


def _no_payloads(sha256: str) -> Iterator[bytes]:
    raise not_found("Binary", sha256)


def create_hosted(
    practices: Sequence[HostedPractice],
    engine: Engine,
    *,
    base_url_of: Callable[[str], str],
    admit: Callable[[str], Caller] = lambda practice: ANYONE,
    tell: accesses.Tell = accesses.nobody_asks,
    note: Note = lambda connection, practice, findings: None,
    opened: Opened = _no_payloads,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> Blueprint:
    """The blueprint that serves ``/fhir/<practice>`` for each practice.

    ``base_url_of`` tells the address a practice's endpoint has for others, such as
    ``https://exchange.example/fhir/oakwood``; links and Locations are made from it. ``admit`` tells who asks and what
    they may do, and raises Refusal when they may not use the endpoint of a practice. ``tell`` is told of each access. ``note`` keeps findings about
    what was stored, in the same commit. ``opened`` gives the bytes of a payload by its hash, block by block.
    """
    hosted = Blueprint("hosted", __name__, url_prefix="/fhir")
    named = {practice.practice: practice for practice in practices}

    def place_of(slug: str, caller: Caller) -> Place:
        if slug not in named:
            raise Refusal(404, "not-found", "No practice of that name is hosted here.")
        return Place(
            slug,
            named[slug].name,
            base_url_of(slug).rstrip("/"),
            engine,
            named[slug].strict,
            note,
            tell,
            caller,
            opened,
        )

    def serve(path: str) -> Callable[..., Response]:
        answers = {interaction.method: interaction for interaction in INTERACTIONS if interaction.path == path}

        def view(practice: str, **names: str) -> Response:
            request.max_content_length = max_body_bytes
            return _answer(lambda: admitted(practice, names), practice if practice in named else "", max_body_bytes)

        def admitted(practice: str, names: dict[str, str]) -> Response:
            caller = admit(practice)
            return _interact(answers, place_of(practice, caller), names)

        return view

    for path in dict.fromkeys(interaction.path for interaction in INTERACTIONS):
        hosted.add_url_rule(
            f"/<practice>{path}",
            f"at {path}",
            serve(path),
            methods=_METHODS,
            strict_slashes=False,
            provide_automatic_options=False,
        )
    for rest in ("/", "/<path:rest>"):
        hosted.add_url_rule(
            rest,
            f"at other {rest}",
            lambda rest="": _answer(_refuse_path, "", max_body_bytes),
            methods=_METHODS,
            provide_automatic_options=False,
        )
    return hosted


def capabilities(place: Place) -> Response:
    """https://hl7.org/fhir/R4/http.html#capabilities"""
    statement = to_capability_statement(
        place.name,
        place.base,
        of_type=list(dict.fromkeys(interaction.code for interaction in INTERACTIONS if interaction.is_of_type)),
        of_system=[
            interaction.code
            for interaction in INTERACTIONS
            if not interaction.is_of_type and interaction.code != "capabilities"
        ],
    )
    return Response(fhir_json.dumps(statement), content_type=FHIR_CONTENT_TYPE)


def run_transaction(place: Place) -> Response:
    """https://hl7.org/fhir/R4/http.html#transaction"""
    entries = transaction.read_bundle(read_json(request), place.base, strict=place.strict)
    answers = transaction.run(place.engine, place.practice, place.base, entries, place)
    body = transaction.to_response(answers, preferred("return"))
    return Response(body, content_type=FHIR_CONTENT_TYPE)


def search(place: Place, type_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#search"""
    asked = _form() if request.method == "POST" else request.query_string
    query = read_query(type_, _utf8(asked), base=place.base, lenient=preferred("handling") == "lenient")
    query.within = place.rights.searches("s", type_)
    with place.engine.begin() as connection:
        if query.count == 0:
            place.told("search-type", type_, parameters=[name for name, _ in query.used])
            return searchset(place.base, query, [], finding.count(connection, place.practice, query))
        found = finding.find(connection, place.practice, query, query.count + 1)
    shown_ids = [each.id for each in found[: query.count]]
    place.told("search-type", type_, shown_ids, parameters=[name for name, _ in query.used])
    is_all = len(found) <= query.count and query.after is None
    return searchset(place.base, query, found, len(found) if is_all else None)


def create(place: Place, type_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#create; conditional creates that race store one resource."""
    resource = read_resource(request, type_)
    warnings = checking.check(resource, strict=place.strict)
    condition = request.headers.get("If-None-Exist")
    # WSGI hands headers over as latin-1.
    query = (
        None
        if condition is None
        else read_condition(type_, _utf8(condition.encode("latin-1")), resource, base=place.base)
    )
    if query:
        place.rights.check("s", type_)
    with storing.writing(place.engine, place.practice, place.base, place.rights) as writer:
        found = finding.find(writer.connection, place.practice, query, 2) if query else []
        if len(found) > 1:
            raise transaction.several_match()
        if found:
            there = Stored(type_, *found[0])
            place.rights.check_found(there, partial(storing.rows_of, writer.connection, place.practice, there))
            place.told("create", type_, [there.id], conn=writer.connection)
            return written_resource(place.base, 200, there)
        stored = writer.create(resource, storing.new_id())
        place.told("create", type_, [stored.id], conn=writer.connection)
        place.keep(writer, stored, warnings)
    return written_resource(place.base, 201, stored, warnings)


def read(place: Place, type_: str, id_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#read"""
    with place.engine.begin() as connection:
        found = storing.read(connection, place.practice, type_, id_)
        place.rights.check_seen("r", found, partial(storing.rows_of, connection, place.practice, found))
        payload = storing.payload_of(connection, place.practice, found)
    place.told("read", type_, [id_])
    return place.shown(found, payload)


def vread(place: Place, type_: str, id_: str, version: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#vread"""
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise not_found(type_, f"{id_}/_history/{version}")
    with place.engine.begin() as connection:
        found = storing.read(connection, place.practice, type_, id_, int(version))
        payload = storing.payload_of(connection, place.practice, found)
        if place.rights.searches("r", type_) is not None:
            # both: it may have left what a scope shows since, or come into it
            newest = storing.read(connection, place.practice, type_, id_)
            place.rights.check_seen("r", newest, partial(storing.rows_of, connection, place.practice, newest))
    place.rights.check_seen("r", found, lambda: index_rows(fhir_json.loads(found.content), place.base))
    place.told("vread", type_, [f"{id_}/_history/{found.version}"])
    return place.shown(found, payload)


def update(place: Place, type_: str, id_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#update; a raw Binary has no id to compare."""
    resource = read_resource(request, type_)
    if request.mimetype in JSON_TYPES:
        check_same_id(resource, id_)
    warnings = checking.check(resource, strict=place.strict)
    if_match = version_in(request.headers.get("If-Match"))
    with storing.writing(place.engine, place.practice, place.base, place.rights) as writer:
        stored = writer.update(resource, id_, if_match)
        place.told("update", type_, [id_], conn=writer.connection)
        place.keep(writer, stored, warnings)
    return written_resource(place.base, 200, stored, warnings)


# What can be asked. The routes and the CapabilityStatement are made from this table.
INTERACTIONS = (
    Interaction("capabilities", "GET", "/metadata", "", capabilities),
    Interaction("transaction", "POST", "", "", run_transaction),
    Interaction("search-type", "GET", "/<type_>", "s", search),
    Interaction("search-type", "POST", "/<type_>/_search", "s", search),
    Interaction("create", "POST", "/<type_>", "c", create),
    Interaction("read", "GET", "/<type_>/<id_>", "r", read),
    Interaction("update", "PUT", "/<type_>/<id_>", "u", update),
    Interaction("vread", "GET", "/<type_>/<id_>/_history/<version>", "r", vread),
)


def _interact(answers: dict[str, Interaction], place: Place, names: dict[str, str]) -> Response:
    if "type_" in names:
        check_type(names["type_"])
    interaction = answers.get("GET" if request.method == "HEAD" else request.method)
    if interaction is None:
        raise Refusal(
            405,
            "not-supported",
            f"{request.method} is not supported here; there is {', '.join(answers)}.",
            headers={"Allow": ", ".join(answers)},
        )
    if interaction.scope:
        place.rights.check(interaction.scope, names["type_"])
    if "id_" in names and not ID.fullmatch(names["id_"]):
        raise not_found(names["type_"], names["id_"])
    if names.get("type_") != "Binary" or interaction.code not in ("read", "vread"):
        check_accept()
    return interaction.answer(place, **names)


def _form() -> bytes:
    """A search by POST: what is asked for stands in the body, so that no name stands in an address."""
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refusal(415, "not-supported", "Send a search as application/x-www-form-urlencoded.")
    if request.query_string:
        raise bad_request("Say all of a search in the body, or all in the address.")
    return request.get_data()


def _utf8(search: bytes) -> str:
    try:
        return search.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("The search is not percent-encoded UTF-8.") from None


def _refuse_path() -> Response:
    raise Refusal(
        404,
        "not-supported",
        "There is nothing at this address; /metadata below a practice's address says what can be asked.",
    )


def _answer(work: Callable[[], Response], practice: str, max_body_bytes: int) -> Response:
    """Whatever happens, an answer in FHIR; one log line without a value of the request."""
    started = time.monotonic()
    try:
        response = work()
    except Exception as error:
        refusal = _refusal_of(error, max_body_bytes)
        response = Response(refusal.outcome(), refusal.status, refusal.headers, content_type=FHIR_CONTENT_TYPE)
    log.info(
        "hosted %s",
        request.method,
        extra={
            "action": "hosted.answer",
            "practice": practice,
            "status": response.status_code,
            **_who_and_what(),
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
        },
    )
    return response


def _who_and_what() -> dict[str, str]:
    """For the log: of several resources only how many."""
    access = g.pop("hosted_access", None)
    if access is None:
        return {}
    subject = access.ids[0] if len(access.ids) == 1 else f"{access.type} {len(access.ids)}".strip()
    return {"actor": access.actor, "interaction": access.interaction, "subject": subject}


def _refusal_of(error: Exception, max_body_bytes: int) -> Refusal:
    match error:
        case Refusal():
            return error
        case HTTPException(code=413):
            return Refusal(413, "too-long", f"The body is larger than {max_body_bytes} bytes.")
        case HTTPException():
            return Refusal(error.code or 500, "invalid", "The request was cut off or cannot be read.")
        case RecursionError():
            return bad_request("The body is nested too deeply.", code="structure")
        case UnicodeEncodeError():
            return bad_request("The body has characters that are no Unicode text.", code="structure")
        case DBAPIError(orig=psycopg.errors.QueryCanceled()):
            return Refusal(400, "too-costly", "This takes longer here than a request may: ask for less at a time.")
        case DBAPIError() | psycopg.OperationalError() if _took_too_long(error):
            return Refusal(413, "too-costly", "The body takes longer to store than a request may: send it in parts.")
        case PoolTimeout() | OperationalError() | DBAPIError(connection_invalidated=True) | psycopg.OperationalError():
            return Refusal(
                503, "transient", "The store cannot be reached now; try again.", headers={"Retry-After": "2"}
            )
    # The text of a database error repeats the values of the statement: only its kind is logged.
    log.error("hosted failed: %s", type(error).__name__, extra={"action": "hosted.failed", "where": _line_of(error)})
    return Refusal(500, "exception", "The request failed here; the operator's log says where.")


def _took_too_long(error: DBAPIError | psycopg.Error) -> bool:
    """True when the database ended a transaction because we prepared the next rows for too long."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, psycopg.errors.IdleInTransactionSessionTimeout) or "idle-in-transaction" in str(cause)


def _line_of(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_next.tb_frame.f_globals.get("__name__", "").startswith("integration."):
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
