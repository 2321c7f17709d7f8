"""What fhirclient is good at: its models are real R4, and they can search and read through our transport.

It sends nothing itself: it has no timeout, no size limit, follows redirects, and keeps decimals as floats.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from fhirclient.server import FHIRServer

from integration.fhir.transport import Transport
from integration.fhir_json import dumps
from mappings.structure import structure_issues

_KINDS = {KeyError: "is missing", AttributeError: "is not in R4"}


class ModelServer(FHIRServer):
    """A fhirclient server over our transport, for ``Patient.where({...}).perform_iter(server)`` and the like."""

    def __init__(self, transport: Transport):
        # Not super().__init__: it opens a session of its own. Without one nothing can go round the transport.
        self.client = self.auth = self.session = None
        self.base_uri = self.aud = f"{transport.base_url}/"
        self.transport = transport

    def _get(self, path: str, headers: Mapping[str, str] | None = None, nosign: bool = False) -> "_Answer":
        fresh = {"Cache-Control": "no-cache", **(headers or {})}
        return _Answer(self.transport.request("GET", path, headers=fresh).body)

    def put_json(self, path: str, resource_json: dict[str, Any], nosign: bool = False) -> "_Answer":
        """PUT, as fhirclient's ``resource.update(server)`` calls it."""
        return _Answer(self.transport.request("PUT", path, body=dumps(resource_json), write=True).body)

    def post_json(self, path: str | None, resource_json: dict[str, Any], nosign: bool = False) -> "_Answer":
        """POST, as fhirclient's ``resource.create(server)`` calls it."""
        return _Answer(self.transport.request("POST", path or "", body=dumps(resource_json), write=True).body)


class _Answer:
    """As much of an answer as fhirclient looks at."""

    def __init__(self, content: bytes):
        self.content = content
        self.text = content.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.content)


def structure_problems(resource: dict[str, Any]) -> list[str]:
    """What R4 finds wrong with a resource *we* made, by fhirclient's strict model and by that of fhir.resources: paths, no values.

    Not for resources that only pass through: real ones break the rules, and travel as they are.
    """
    resource_type = str(resource.get("resourceType"))
    plain = json.loads(json.dumps(resource, default=_plain))
    try:
        model = FHIRElementFactory.instantiate(resource_type, plain)
        if model.resource_type != resource_type:
            return [f"{resource_type} is not an R4 resource type"]
        model.as_json()
    except FHIRValidationError as error:
        return [*_problems(error, resource_type)]
    return [f"{each.path}: {each.message}" for each in structure_issues(resource) if each.severity == "error"]


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def _problems(error: FHIRValidationError, path: str) -> Iterator[str]:
    here = _below(path, error.path.removesuffix("_fhir")) if error.path else path
    for inner in error.errors:
        if isinstance(inner, FHIRValidationError):
            yield from _problems(inner, here)
        else:
            name = re.search(r'(?:property|entry) "(\w+)"', str(inner))
            place = f"{here}.{name[1]}" if name and not here.endswith(f".{name[1]}") else here
            yield f"{place} {_KINDS.get(type(inner), 'has the wrong type or form')}"


def _below(path: str, name: str) -> str:
    return re.sub(r"\.(\d+)", r"[\1]", f"{path}.{name}")
