"""The road of a name: ours, or one that a site adds by an entry point of the group ``second_opinion.roads``, without a fork."""

from collections.abc import Callable

from integration.roads.athena_document import AthenaDocument
from integration.roads.download import Download
from integration.roads.fhir_beside import NAME as BESIDE
from integration.roads.fhir_beside import WITHOUT_IDENTIFIER, FhirBeside, FhirProvenance
from integration.roads.fhir_document import FhirDocument
from integration.roads.fhir_resource import NAME as REQUESTS
from integration.roads.fhir_resource import FhirResource
from integration.roads.hl7v2 import Hl7v2
from integration.roads.road import Road, Way
from integration.settings.added import added_roads
from mappings.model.roads import RoadName

OURS: dict[str, Callable[[Way], Road]] = {
    RoadName.FHIR_DOCUMENT: FhirDocument,
    RoadName.HL7V2: Hl7v2,
    RoadName.VENDOR_REST: AthenaDocument,
    RoadName.DOWNLOAD: Download,
    REQUESTS: FhirResource,
    BESIDE: FhirBeside,
    WITHOUT_IDENTIFIER: FhirProvenance,
}


def road_for(way: Way, name: str) -> Road | None:
    """The road of this name into the way's endpoint; None when this installation has none of that name that can be used."""
    made = OURS.get(name) or added_roads().usable.get(name)
    return made(way) if made is not None else None
