"""Which endpoints of the configuration are one server: to poll it twice would take every order in twice."""

from collections.abc import Iterator
from itertools import combinations

from integration.settings.endpoints import Endpoint
from integration.settings.model import Config
from mappings.addresses import comparable


def names_of(config: Config, key: str) -> tuple[str, ...]:
    """Every endpoint that is the same server as ``key``: by its address, or because it gives records the same identifier."""
    if key not in config.endpoints:
        return (key,)
    wanted = config.endpoints[key]
    return tuple(name for name, each in config.endpoints.items() if is_one_server(each, wanted))


def is_one_server(one: Endpoint, other: Endpoint) -> bool:
    """True when two endpoints share an address, in whatever spelling, or what their records are called elsewhere."""
    shared = {*map(_spelled, one.bases)} & {*map(_spelled, other.bases)}
    return bool(shared) or one.identifier_system == other.identifier_system


def doubles(config: Config) -> Iterator[str]:
    """A sentence for each pair of endpoints that are one server."""
    for one, other in combinations(config.endpoints, 2):
        if other in names_of(config, one):
            yield (
                f"endpoints.{one} and endpoints.{other} are one server (the same base_url or identifier_system): its orders "
                f"are taken in once, and none is sent from one to the other. Configure it once, with role: both if it "
                "asks and answers"
            )


def _spelled(base_url: str) -> str:
    return comparable(base_url).rstrip("/")
