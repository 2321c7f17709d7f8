"""The two ends of a write: the condition under which it may happen, and what the server says it did."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from integration.fhir.transport import Response
from mappings.addresses import LOGICAL_ID
from mappings.codes import as_dict, as_text
from mappings.identifiers import identifiers_in
from mappings.model.errors import TransferError

_LOCATION = re.compile(rf"(?:^|/)([A-Z][A-Za-z]+)/({LOGICAL_ID})(?:/_history/({LOGICAL_ID}))?/?$")
_OURS = re.compile(r"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9._-]{1,120}")
_ETAG = re.compile(r'(?:W/)?"?([^"\s]+)"?')


@dataclass(frozen=True)
class Written:
    """What a server said of a write. ``location`` (``Type/id``) None: it did not say where, so search for it."""

    location: str | None
    version: str | None
    status: int
    resource: dict[str, Any] | None = None

    @property
    def created(self) -> bool:
        """True when it is new; 200 after a conditional create means that it was there already."""
        return self.status == 201


def items_of(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """What a resource or Bundle is called by us: identifiers of the form ``Type/name``, never a number of a patient."""
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    inside = [as_dict(as_dict(each).get("resource")) for each in entries] if isinstance(entries, list) else [resource]
    found = [(str(each.get("resourceType")), value.value) for each in inside for value in identifiers_in(dict(each))]
    return tuple(
        dict.fromkeys(value for kind, value in found if value.startswith(f"{kind}/") and _OURS.fullmatch(value))
    )


def identifier_token(system: str, value: str) -> str:
    """``system|value`` as a search value (https://hl7.org/fhir/R4/search.html#escaping)."""
    return "|".join(re.sub(r"([\\,$|])", r"\\\1", part) for part in (system, value))


def identifier_condition(system: str, value: str) -> str:
    """The condition "unless a resource has this identifier", for `FhirServer.create`; not yet percent-encoded."""
    return f"identifier={identifier_token(system, value)}"


def condition_header(condition: str) -> str:
    """``parameter=value`` as ``If-None-Exist`` wants it (https://hl7.org/fhir/R4/http.html#ccreate).

    Percent-encoded: some servers refuse a bare ``|``, and a header holds ASCII only.
    """
    name, equals, value = condition.partition("=")
    if not re.fullmatch(r"[A-Za-z_.:-]+", name) or not equals or not value:
        raise ValueError("a condition is one parameter=value, without ? and not percent-encoded")
    return f"{name}={quote(value, safe='')}"


def version_header(version: str) -> str:
    """A ``meta.versionId`` as ``If-Match`` wants it (https://hl7.org/fhir/R4/http.html#concurrency)."""
    return version if version.startswith("W/") else f'W/"{version}"'


def written(answer: Response, resource_type: str, id: str | None = None) -> Written:
    """Where the resource is now, from Location, else from the body, else the ``id`` we wrote to."""
    type_, at, version = _location(answer.headers.get("Location") or answer.headers.get("Content-Location") or "")
    if type_ != resource_type:
        at = version = None
    resource = _resource(answer, resource_type, needed=at is None)
    at = at or as_text((resource or {}).get("id")) or id
    version = _etag(answer.headers) or version or _version(resource)
    return Written(f"{resource_type}/{at}" if at else None, version, answer.status, resource)


def _resource(answer: Response, resource_type: str, needed: bool) -> dict[str, Any] | None:
    if not answer.body.strip():  # Oracle Health: 201, a Location and nothing else
        return None
    try:
        body = answer.json()
    except TransferError:
        if needed:
            raise
        return None
    return body if isinstance(body, dict) and body.get("resourceType") == resource_type else None


def _location(location: str) -> tuple[str | None, str | None, str | None]:
    """Type, id and version, whatever host it names: servers behind a proxy name their inner one."""
    try:
        found = _LOCATION.search(urlsplit(location).path)
    except ValueError:
        return None, None, None
    return (found[1], found[2], found[3]) if found else (None, None, None)


def _etag(headers: Mapping[str, str]) -> str | None:
    found = _ETAG.fullmatch(headers.get("ETag", "").strip())
    return found[1] if found else None


def _version(resource: Mapping[str, Any] | None) -> str | None:
    meta = resource.get("meta") if resource else None
    return as_text(meta.get("versionId")) if isinstance(meta, dict) else None
