"""What is right in a configuration and still better said before it runs."""

from collections.abc import Iterator

from integration.settings.added import added_roads
from integration.settings.model import Config
from integration.settings.one_server import doubles
from integration.settings.profiles import added_profiles
from mappings.model.roads import RoadName


def remarks(config: Config) -> Iterator[str]:
    """A sentence each: one server twice, an endpoint with nobody to call, a road that lacks its settings, an addition
    of a site that cannot be used, alarms that are told to nobody."""
    yield from doubles(config)
    yield from (*added_roads().problems.values(), *added_profiles().problems.values())
    for key, endpoint in config.endpoints.items():
        if not endpoint.contact:
            yield f"endpoints.{key}.contact is not set: whoever sees it in trouble does not know whom to call"
        if RoadName.VENDOR_REST in endpoint.road_names and endpoint.athena is None and endpoint.is_placer:
            yield (
                f"endpoints.{key}.athena is not set: no report reaches it by the road {RoadName.VENDOR_REST}; the next of "
                f"its roads is tried ({', '.join(endpoint.road_names)})"
            )
    if not config.alerts.send_to:
        yield "alerts.send_to names nobody: alarms are only on the pages"
