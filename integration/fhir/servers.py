"""One `FhirServer` for each endpoint of config.yaml, made when first asked for."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from integration.fhir.content_hosts import as_endpoint, guarded_session, listed_host
from integration.fhir.server import FhirServer
from integration.fhir.sign_in import Fixed, SignIn, TokenShelf, Unsigned
from integration.fhir.transport import Transport, careful_session, refuse_writes
from mappings.model.errors import PermanentError

E = TypeVar("E")


class Servers:
    """The FHIR servers we exchange with, by endpoint name, for reading; safe to use from several threads.

    `FhirServer.observed` makes one that writes; who may call it stands in tests/test_architecture.py.

    ``credential_of`` gives the credential for a practice that we host; it is shown at ``hosted:<practice>`` endpoints only.
    ``shelf(endpoint, fingerprint)`` holds access tokens for all workers. ``before`` is called with the endpoint's name before each request to it: see `Transport`.
    """

    def __init__(
        self,
        config: Any,
        credential_of: Callable[[str], str] | None = None,
        before: Callable[[str], object] = lambda name: None,
        shelf: Callable[[str, str], TokenShelf] | None = None,
    ):
        self._endpoints, self._shelf = config.endpoints, shelf
        self._keys_dir: Any = getattr(config, "keys_dir", None)
        self._credential_of, self._before = credential_of, before
        self._servers: dict[str, FhirServer] = {}
        self._content: dict[tuple[str, str], FhirServer] = {}
        self._lock = threading.Lock()

    def server(self, endpoint_name: str) -> FhirServer:
        """The server of one endpoint, always the same object."""
        with self._lock:
            if endpoint_name not in self._servers:
                self._servers[endpoint_name] = self._new(endpoint_name)
            return self._servers[endpoint_name]

    def content_host(self, endpoint_name: str, url: str) -> tuple[FhirServer, str] | None:
        """A listed content host of an endpoint and the path of ``url`` there; None for every other host. It gets no sign-in."""
        endpoint = configured(self._endpoints, endpoint_name)
        found = listed_host(endpoint, url)
        if found is None:
            return None
        host, path = found
        with self._lock:
            key = (endpoint_name, host)
            if key not in self._content:
                there, before = as_endpoint(endpoint, host), partial(self._before, endpoint_name)
                wire = Transport(there, session=guarded_session(endpoint), before=before, before_write=refuse_writes)
                self._content[key] = FhirServer(there, wire)
            return self._content[key], path

    def turn(self, endpoint_name: str) -> None:
        """Before something is sent to it by another wire than HTTP: as before each request."""
        self._before(endpoint_name)

    def close(self) -> None:
        """Give all connections back; a server asked for later is made anew."""
        with self._lock:
            servers, self._servers = [*self._servers.values(), *self._content.values()], {}
            self._content = {}
        for server in servers:
            server.close()

    def _new(self, name: str) -> FhirServer:
        endpoint = configured(self._endpoints, name)
        return FhirServer(
            endpoint,
            Transport(
                endpoint,
                sign_in=self._sign_in(endpoint),
                before=partial(self._before, name),
                before_write=refuse_writes,
            ),
        )

    def signing_of(self, endpoint_name: str) -> tuple[Callable[[], Mapping[str, str]], Callable[[], str]]:
        """To try the sign-in of an endpoint by itself: the headers of a request, and what they open where that is said."""
        sign_in = self._sign_in(configured(self._endpoints, endpoint_name))
        return sign_in.headers, lambda: getattr(sign_in, "scope", "")

    def _sign_in(self, endpoint: Any) -> SignIn:
        """As configured; at a practice that we host by the credential of our own workers."""
        practice = getattr(endpoint, "hosted_practice", "")
        if practice and self._credential_of and (credential := self._credential_of(practice)):
            return Fixed.bearer(credential)
        if endpoint.auth == "none":
            return Unsigned()
        if self._shelf is None:  # never go there unsigned
            raise PermanentError(
                f"endpoint {endpoint.key} needs sign-in, and this command has no database to hold tokens in",
                endpoint=endpoint.key,
                cause="sign-in-refused",
            )
        from integration.fhir.sign_ins import sign_in_of  # and with it what signs: most commands speak to nobody

        tls = getattr(endpoint, "tls", None)
        return sign_in_of(endpoint, session=lambda: careful_session(1, tls), shelf=self._shelf, keys_dir=self._keys_dir)


def configured(endpoints: Mapping[str, E], name: str) -> E:
    """The endpoint of this name. Raises PermanentError: what is owed may name one that is no longer in config.yaml."""
    endpoint = endpoints.get(name)
    if endpoint is None:
        raise PermanentError(
            f"config.yaml has no endpoint {name!r}; add it or correct the name", endpoint=name, cause="unknown-endpoint"
        )
    return endpoint
