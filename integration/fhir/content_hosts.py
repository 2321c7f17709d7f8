"""Other hosts from which the documents of an endpoint may be fetched: by name in config.yaml, never signed in, never redirected.

A name that leads to a private address is refused unless its network is listed: a record must not make us ask inside a house.
"""

from types import SimpleNamespace
from typing import Any

import requests

from integration.fhir.looking import LookingAdapter
from integration.fhir.transport import careful_session
from mappings.addresses import below
from mappings.model.errors import PermanentError

PRIVATE = "private-address"


def listed_host(endpoint: Any, url: str) -> tuple[str, str] | None:
    """``(content host, path there)`` of an address; None when its host is not listed. http for https need not be said."""
    for host in getattr(endpoint, "content_hosts", ()):
        path = below(url, (host,))
        if path is not None:
            return host, path
    return None


def as_endpoint(endpoint: Any, host: str) -> Any:
    """A content host as a transport takes it: the endpoint's limits and name, and nothing of how we sign in there."""
    return SimpleNamespace(
        key=endpoint.key, name=endpoint.name, base_url=host, bases=(host,), limits=endpoint.limits, auth="none",
        overrides={},
    )  # fmt: skip


def guarded_session(endpoint: Any) -> requests.Session:
    """Connections without credentials or certificate of ours, to public addresses and ``content_networks`` only."""
    session = careful_session(endpoint.limits.concurrency)
    for prefix in ("http://", "https://"):
        session.mount(prefix, LookingAdapter(getattr(endpoint, "content_networks", ()), lambda: _private(endpoint.key)))
    return session


def _private(endpoint: str) -> PermanentError:
    return PermanentError(
        f"a content host of {endpoint} leads to an address inside a private network; nothing was asked there. "
        "If that is right, list the network under content_networks of the endpoint",
        endpoint=endpoint,
        cause=PRIVATE,
    )
