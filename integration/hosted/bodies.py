"""Reads what was sent: a resource as JSON, a Bundle, the raw bytes of a Binary; refuses the rest in a sentence."""

import base64
import binascii
import difflib
import re
from collections.abc import Sequence
from typing import Any

from flask import Request

from integration import fhir_json
from integration.hosted.outcomes import Refusal, bad_request, shown
from integration.hosted.resource_types import ELEMENTS

FHIR_JSON = "application/fhir+json"
JSON_TYPES = (FHIR_JSON, "application/json")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:; ?{_WORD}=[\w\"./:+ -]+)*", re.ASCII)


def check_type(type_: str, status: int = 404) -> None:
    """Refuse what is no R4 resource type."""
    if type_ not in ELEMENTS:
        near = difflib.get_close_matches(type_, ELEMENTS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise Refusal(status, "not-supported", f"'{shown(type_)}' is not a resource type of FHIR R4.{hint}")


def read_resource(request: Request, type_: str) -> dict[str, Any]:
    """The resource in the body, which must be a ``type_``; raw bytes make a Binary."""
    if type_ == "Binary" and request.mimetype and request.mimetype not in JSON_TYPES:
        return _raw_binary(request)
    resource = read_json(request)
    check_resource(resource, type_, "")
    return resource


def read_json(request: Request) -> Any:
    """The body as JSON: 415 for another content type, 400 for what does not parse."""
    if request.mimetype not in JSON_TYPES:
        raise Refusal(
            415,
            "not-supported",
            f"Send the body as {FHIR_JSON} (or application/json), in the header "
            f"Content-Type; got '{shown(request.mimetype) or 'none'}'.",
        )
    _refuse_encoding(request)
    try:
        return fhir_json.loads(request.get_data(cache=False))
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8.", code="structure") from None
    except fhir_json.TooDeep:
        raise bad_request(
            f"The body is nested too deeply: {fhir_json.MAX_DEPTH} levels are read.", code="too-long"
        ) from None
    except ValueError as error:
        raise bad_request(f"The body is not valid JSON{_place(error)}.", code="structure") from None


def check_resource(resource: Any, type_: str, path: str) -> None:
    """What every resource must be, whatever its type; the rest is kept as it was sent."""
    if not isinstance(resource, dict):
        raise bad_request("A resource is a JSON object.", code="structure", expression=path or None)
    given = resource.get("resourceType")
    if not isinstance(given, str):
        raise bad_request("The resource has no resourceType.", code="required", expression=path or None)
    check_type(given, 400)
    if given != type_:
        raise bad_request(f"The address says {type_}, the resource says {given}.", expression=path or None)
    if not isinstance(resource.get("meta", {}), dict):
        raise bad_request("meta is not an object.", code="structure", expression=f"{path or type_}.meta")
    if type_ == "Binary":
        _check_binary(resource, path or type_)


def check_same_id(resource: dict[str, Any], id_: str, path: str = "") -> None:
    """An update must carry the id it is sent to (https://hl7.org/fhir/R4/http.html#update)."""
    if resource.get("id") != id_:
        raise bad_request(
            "The id in the resource is not the id in the address; an update carries the same one.",
            expression=f"{path or resource['resourceType']}.id",
        )


def binary_bytes(resource: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes a Binary stands for, and a content type that is safe in a header."""
    content_type = resource.get("contentType")
    safe = content_type if isinstance(content_type, str) and _MEDIA_TYPE.fullmatch(content_type) else None
    return base64.b64decode(resource.get("data", "")), safe or "application/octet-stream"


def preference(values: Sequence[str], name: str) -> str | None:
    """One preference of the Prefer headers (https://www.rfc-editor.org/rfc/rfc7240)."""
    for part in re.split("[,;]", ",".join(values)):
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return None


def version_in(if_match: str | None) -> int | None:
    """The version an If-Match header (or entry.request.ifMatch) names."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'\s*(?:W/)?"?([0-9]{1,9})"?\s*', if_match)
    if match is None:
        raise bad_request('If-Match takes one version as W/"3".')
    return int(match[1])


def _raw_binary(request: Request) -> dict[str, Any]:
    _refuse_encoding(request)
    resource: dict[str, Any] = {"resourceType": "Binary", "contentType": request.headers["Content-Type"]}
    context = request.headers.get("X-Security-Context")
    if context:
        resource["securityContext"] = {"reference": context}
    if data := request.get_data(cache=False):
        resource["data"] = base64.b64encode(data).decode("ascii")
    return resource


def _check_binary(resource: dict[str, Any], path: str) -> None:
    data = resource.get("data", "")
    try:
        base64.b64decode("".join(data.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise bad_request("data is not base64.", code="value", expression=f"{path}.data") from None


def _refuse_encoding(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "not-supported", "Send the body without Content-Encoding.")


def _place(error: ValueError) -> str:
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return f" at line {line}, column {column}" if line and column else ""
