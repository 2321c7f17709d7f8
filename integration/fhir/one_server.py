"""Are two endpoints one server? An address does not always tell: a resource that stands at both, the same to the last digit, does."""

from collections.abc import Iterable

from integration.fhir.server import FhirServer
from mappings.model.errors import ExchangeError

LOOKED_FOR = ("ServiceRequest", "Patient", "Task", "DocumentReference")


def same_as(server: FhirServer, others: Iterable[FhirServer]) -> list[tuple[str, str]]:
    """``(endpoint, Type/id)`` of each other endpoint that shows a resource of this one, with the same version and content.

    What cannot be asked now is no answer: such an endpoint is left out.
    """
    found = _anything(server)
    if found is None:
        return []
    reference = f"{found['resourceType']}/{found['id']}"
    return [(other.name, reference) for other in others if _read(other, reference) == found]


def _anything(server: FhirServer) -> dict | None:
    for kind in LOOKED_FOR:
        try:
            entries = server.search(kind, {"_count": "1"}).page(None).entries
            if entries and entries[0].resource.get("id"):
                return server.read(*entries[0].reference.split("/"))
        except (ExchangeError, ValueError):
            continue
    return None


def _read(server: FhirServer, reference: str) -> dict | None:
    try:
        return server.read_if_there(reference)
    except (ExchangeError, ValueError):
        return None
