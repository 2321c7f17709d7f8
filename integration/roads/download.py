"""The road that a person walks: nothing is sent; the delivery waits until somebody says that they handed it over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integration import fhir_json
from integration.roads.road import CannotTell, EndpointRoad, Impossible, NotAllowed, Prepared, Taken, There
from mappings.model.outgoing import Outgoing
from mappings.model.roads import RoadName


class Download(EndpointRoad):
    """A file that a person carries."""

    name: str = RoadName.DOWNLOAD
    sends = False

    def can(self) -> Impossible | None:
        """Always."""
        return None

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """What is to be carried."""
        return Prepared(item, fhir_json.dumps(dict(item.resource)), resource=item.resource)

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """As it was kept."""
        return Prepared(item, body, resource=fhir_json.loads(body))

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """The bytes are the resource."""
        return fhir_json.loads(body)

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Never."""
        return Impossible("road-not-configured", "a person carries it: it cannot be sent")

    def look_up(self, prepared: Prepared, since: datetime) -> CannotTell:
        """Only a person knows."""
        return CannotTell("a person carries it", prepared.item.visible)

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """Nothing of ours is there."""
        return None

    def read_back(self, prepared: Prepared, reference: str | None) -> NotAllowed:
        """Only a person can see it."""
        return NotAllowed("a person carried it")
