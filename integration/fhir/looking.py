"""Connections that look where they really lead before a byte is sent: a name may lead into a private network, or elsewhere next time."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def may_be_asked(address: str, networks: Sequence[Network]) -> bool:
    """True for an address that everybody can reach, and for one of a listed network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_global and not found.is_multicast or any(found in network for network in networks)


class LookingAdapter(HTTPAdapter):
    """Raises ``refusal()`` where a connection leads to an address that is neither public nor of ``networks``.

    ``connected`` is told of each socket that may be used, before TLS begins.
    """

    def __init__(
        self,
        networks: Sequence[str],
        refusal: Callable[[], Exception],
        connected: Callable[[socket.socket], None] = lambda made: None,
    ):
        self._networks = [ipaddress.ip_network(each) for each in networks]
        self._refusal, self._connected = refusal, connected
        super().__init__(pool_connections=1, pool_maxsize=4, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As it was, with connections that look first."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(
                f"Looking{pool.__name__}", (pool,), {"ConnectionCls": self._looking(vars(pool)["ConnectionCls"])}
            )
            for scheme, pool in self.poolmanager.pool_classes_by_scheme.items()
        }

    def _looking(self, connection: type[urllib3.connection.HTTPConnection]) -> type:
        def _new_conn(made_for: Any) -> socket.socket:
            made = connection._new_conn(made_for)
            if not may_be_asked(made.getpeername()[0], self._networks):
                made.close()
                raise self._refusal()
            self._connected(made)
            return made

        return type(f"Looking{connection.__name__}", (connection,), {"_new_conn": _new_conn})
