"""Which endpoints of the configuration are one server: to poll it twice would take every order in twice."""

from collections.abc import Iterator
from itertools import combinations
from urllib.parse import unquote, urlsplit

from integration.settings.model import Config

_PORTS = {"http": 80, "https": 443}


def server_of(base_url: str) -> str:
    """A base address in one spelling: case of scheme and host, the usual port, a dot or slash at the end do not matter."""
    parts = urlsplit(base_url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    path = "/".join(each for each in unquote(parts.path).split("/") if each not in ("", "."))
    return f"{scheme}://{host}:{parts.port or _PORTS.get(scheme, 0)}/{path}"


def names_of(config: Config, key: str) -> tuple[str, ...]:
    """Every endpoint that is the same server as ``key``: by its address, or because it gives records the same identifier."""
    if key not in config.endpoints:
        return (key,)
    wanted = config.endpoints[key]
    return tuple(
        name
        for name, each in config.endpoints.items()
        if server_of(each.base_url) == server_of(wanted.base_url) or each.identifier_system == wanted.identifier_system
    )


def doubles(config: Config) -> Iterator[str]:
    """A sentence for each pair of endpoints that are one server."""
    for one, other in combinations(config.endpoints, 2):
        if other in names_of(config, one):
            yield (
                f"endpoints.{one} and endpoints.{other} are one server (the same base_url or identifier_system): its orders "
                f"are taken in once, and none is sent from one to the other. Configure it once, with role: both if it "
                f"asks and answers"
            )
