"""Other hosts from which the documents of an endpoint may be fetched: by name in config.yaml, never signed in, never redirected.

A name that leads to a private address is refused unless its network is listed: a record must not make us ask inside a house.
"""

import ipaddress
import socket
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

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
    networks = [ipaddress.ip_network(each) for each in getattr(endpoint, "content_networks", ())]
    for prefix in ("http://", "https://"):
        session.mount(prefix, _Adapter(endpoint.key, networks))
    return session


def may_be_asked(address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """True for an address that everybody can reach, and for one of a listed network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_global and not found.is_multicast or any(found in network for network in networks)


class _Adapter(HTTPAdapter):
    """Looks at the address that a connection really leads to, before a byte is sent: a name may lead elsewhere next time."""

    def __init__(self, endpoint: str, networks: Sequence[Any]):
        self._endpoint, self._networks = endpoint, networks
        super().__init__(pool_connections=1, pool_maxsize=4, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As it was, with connections that look first."""
        super().init_poolmanager(*args, **kwargs)
        looking = _looking(self._endpoint, self._networks)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(f"Looking{pool.__name__}", (pool,), {"ConnectionCls": looking(vars(pool)["ConnectionCls"])})
            for scheme, pool in self.poolmanager.pool_classes_by_scheme.items()
        }


def _looking(endpoint: str, networks: Sequence[Any]) -> Any:
    def with_a_look(connection: type[urllib3.connection.HTTPConnection]) -> type:
        def _new_conn(self: Any) -> socket.socket:
            made = connection._new_conn(self)
            if not may_be_asked(made.getpeername()[0], networks):
                made.close()
                raise PermanentError(
                    f"a content host of {endpoint} leads to an address inside a private network; nothing was asked there. "
                    "If that is right, list the network under content_networks of the endpoint",
                    endpoint=endpoint,
                    cause=PRIVATE,
                )
            return made

        return type(f"Looking{connection.__name__}", (connection,), {"_new_conn": _new_conn})

    return with_a_look
