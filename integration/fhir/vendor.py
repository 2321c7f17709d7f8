"""A vendor's own interface on the host of its FHIR server: forms and JSON, by the same connections, sign-in, pace and gate."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from integration.fhir.server import FhirServer
from mappings.decoding import media_type

_JSON = {"Accept": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class VendorInterface:
    """What is below one path of that host; nothing else is ever asked. Errors are those of the transport."""

    def __init__(self, server: FhirServer, path: str):
        self.name = server.name
        self._wire = server.transport.beside(path)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """JSON, as it came."""
        return self._wire.request("GET", path, params=params, headers=_JSON).json()

    def get_bytes(self, path: str, accept: str) -> tuple[bytes, str]:
        """A file and its media type; ``path`` may also be an address that the interface gave, on the same host."""
        answer = self._wire.request("GET", path, headers={"Accept": accept})
        return answer.body, media_type(answer.headers.get("Content-Type"))

    def post_form(self, path: str, fields: Mapping[str, str], *, kind: str, called: str) -> Any:
        """Send a form once; the answer's JSON. ``kind`` and ``called``, our identifier, are for the gate. UnknownOutcome: look first."""
        answer = self._wire.request(
            "POST",
            path,
            headers={**_JSON, **_FORM},
            body=urlencode(fields).encode(),
            write=True,
            items=(called,),
            kind=kind,
        )
        return answer.json()
