"""One `FhirServer` for each endpoint of config.yaml, made when first asked for."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport
from mappings.model.errors import PermanentError


class Servers:
    """The FHIR servers we exchange with, by endpoint name; safe to use from several threads.

    ``credential_of`` gives the credential for a practice that we host; it is shown at ``hosted:<practice>`` endpoints only.
    ``before`` is called with the endpoint's name before each request to it: see `Transport`.
    """

    def __init__(
        self,
        config: Any,
        credential_of: Callable[[str], str] | None = None,
        before: Callable[[str], object] = lambda name: None,
    ):
        self._endpoints = config.endpoints
        self._credential_of, self._before = credential_of, before
        self._servers: dict[str, FhirServer] = {}
        self._lock = threading.Lock()

    def server(self, endpoint_name: str) -> FhirServer:
        """The server of one endpoint, always the same object."""
        with self._lock:
            if endpoint_name not in self._servers:
                self._servers[endpoint_name] = self._new(endpoint_name)
            return self._servers[endpoint_name]

    def close(self) -> None:
        """Give all connections back; a server asked for later is made anew."""
        with self._lock:
            servers, self._servers = self._servers, {}
        for server in servers.values():
            server.close()

    def _new(self, name: str) -> FhirServer:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise PermanentError(
                f"config.yaml has no endpoint {name!r}; add it or correct the name",
                endpoint=name,
                cause="unknown-endpoint",
            )
        if endpoint.auth != "none":
            # Never fall back to going there unsigned.
            raise PermanentError(
                f"endpoint {name!r} wants {endpoint.auth.type}, and this version cannot sign in yet: "
                "use a server with auth: none",
                endpoint=name,
                cause="sign-in-not-built",
            )
        practice = getattr(endpoint, "hosted_practice", "")
        bearer = self._credential_of(practice) if practice and self._credential_of else ""
        return FhirServer(endpoint, Transport(endpoint, bearer=bearer, before=partial(self._before, name)))
