"""Answers of the hosted endpoint: headers, preferences and the bytes as they are stored.

https://hl7.org/fhir/R4/http.html#general
"""

from collections.abc import Iterator, Sequence
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from flask import Response, request

from integration import fhir_json
from integration.hosted import checking
from integration.hosted.bodies import FHIR_JSON, JSON_TYPES, binary_bytes, preference
from integration.hosted.finding import Found
from integration.hosted.outcomes import Refusal
from integration.hosted.query import Query
from integration.hosted.storing import Stored
from mappings.structure import StructureIssue

FHIR_CONTENT_TYPE = f"{FHIR_JSON}; charset=utf-8"


def check_accept() -> None:
    """Refuse a caller who takes no JSON."""
    asked = _format()
    if asked and asked not in ("json", *JSON_TYPES):
        raise Refusal(406, "not-supported", f"Answers come as {FHIR_JSON} only.")
    accepted = [kind.split(";")[0].strip().lower() for kind, quality in request.accept_mimetypes if quality > 0]
    if not asked and accepted and not set(accepted) & {"*/*", "application/*", *JSON_TYPES}:
        raise Refusal(406, "not-supported", f"Answers come as {FHIR_JSON} only.")


def _format() -> str:
    """What the address asks for; the ``+`` of a content type often comes bare, which is a blank in an address."""
    return request.args.get("_format", "").split(";")[0].strip().replace(" ", "+").lower()


def preferred(name: str) -> str | None:
    """A preference of this request, such as ``return`` or ``handling``."""
    return preference(request.headers.getlist("Prefer"), name)


def shown_resource(stored: Stored) -> Response:
    """What was asked for; a Binary as its bytes unless FHIR JSON is named."""
    if stored.type == "Binary" and not _wants_json():
        return _raw(stored)
    return Response(stored.content, headers=_version_headers(stored), content_type=FHIR_CONTENT_TYPE)


def _wants_json() -> bool:
    # https://hl7.org/fhir/R4/binary.html#rest
    if _format() in ("json", *JSON_TYPES):
        return True
    return any(
        kind.split(";")[0].strip().lower() in JSON_TYPES for kind, quality in request.accept_mimetypes if quality > 0
    )


def _raw(stored: Stored) -> Response:
    data, content_type = binary_bytes(fhir_json.loads(stored.content))
    return Response(data, headers=_version_headers(stored) | _GUARDS, content_type=content_type)


# Somebody else's HTML must not run as a page of ours.
_GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "attachment",
}


def shown_payload(stored: Stored, size: int, blocks: Iterator[bytes]) -> Response:
    """The bytes of a Binary that are too many for a resource, block by block; never as FHIR JSON."""
    if _wants_json():
        raise Refusal(
            406,
            "too-costly",
            f"Binary/{stored.id} has {size} bytes, more than JSON holds here: ask for its own type, or */*.",
        )
    _, content_type = binary_bytes(fhir_json.loads(stored.content))
    headers = _version_headers(stored) | _GUARDS | {"Content-Length": str(size)}
    return Response(blocks, headers=headers, content_type=content_type)


def written_resource(base: str, status: int, stored: Stored, warnings: Sequence[StructureIssue] = ()) -> Response:
    """What a create or update stored, as the header Prefer asks: itself, nothing, or the rules that it bends."""
    headers = _version_headers(stored) | {"Location": f"{base}/{quote(stored.history_path)}"}
    body = _preferred_body(stored, warnings)
    response = Response(body, status, headers, content_type=FHIR_CONTENT_TYPE)
    response.autocorrect_location_header = False
    return response


def _preferred_body(stored: Stored, warnings: Sequence[StructureIssue]) -> bytes:
    match preferred("return"):
        case "minimal":
            return b""
        case "operationoutcome":
            return fhir_json.dumps(checking.outcome(list(warnings)))
    return stored.content


def _version_headers(stored: Stored) -> dict[str, str]:
    return {"ETag": stored.etag, "Last-Modified": format_datetime(stored.updated_at, usegmt=True)}


def searchset(base: str, query: Query, found: list[Found], total: int | None) -> Response:
    """A searchset; the resources are spliced in as they are stored."""
    links = [{"relation": "self", "url": query.self_link(base)}]
    shown_ones = found[: query.count]
    if len(found) > len(shown_ones):
        last = shown_ones[-1]
        links.append({"relation": "next", "url": query.next_link(base, (last.updated_at, last.id))})
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    entries = [_search_entry(base, query.type, match) for match in shown_ones]
    listed = b',"entry":[' + b",".join(entries) + b"]" if entries else b""
    return Response(fhir_json.dumps(head | {"link": links})[:-1] + listed + b"}", content_type=FHIR_CONTENT_TYPE)


def _search_entry(base: str, type_: str, match: Found) -> bytes:
    full_url = fhir_json.dumps(f"{base}/{type_}/{match.id}")
    return b'{"fullUrl":' + full_url + b',"resource":' + match.content + b',"search":{"mode":"match"}}'
