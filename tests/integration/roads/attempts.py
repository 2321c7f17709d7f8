"""A road tried by itself against a real server: an attempt without database, and a document as the steps make it."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from integration.fhir.capabilities import probe
from integration.fhir.exchanges import Exchange, Observer
from integration.fhir.server import FhirServer, identifier_token
from integration.fhir.transport import Transport
from integration.roads.road import Way
from integration.settings.endpoints import Endpoint
from mappings.compare import compare
from mappings.identifiers import identifiers_in
from mappings.model.findings import Finding
from mappings.model.leaving import Going
from mappings.model.outgoing import Outgoing
from mappings.model.request import Identifier

SYSTEM = "https://second-opinion.example/ids"
TEXT = "We agree with the first opinion.\nStop warfarin five days before."


@dataclass
class Tried:
    """An attempt at one endpoint. ``found``: what it said; ``asked``: what was about to leave by a wire of a road's own."""

    one: Endpoint
    found: list[Finding] = field(default_factory=list)
    asked: list[Going] = field(default_factory=list)
    exchanged: list[Exchange] = field(default_factory=list)
    turns: int = 0

    def __post_init__(self) -> None:
        self._server = FhirServer(self.one, Transport(self.one))
        self.config = SimpleNamespace(records=SimpleNamespace(max_attachment_bytes=1 << 24))

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def endpoint(self, key: str) -> Endpoint:
        return self.one

    def server(self, key: str) -> FhirServer:
        return self._server

    def capabilities(self, key: str) -> Any:
        return probe(self._server)

    def bases(self, key: str) -> tuple[str, ...]:
        return self.one.bases

    @property
    def exchanges(self) -> Observer:
        return self.exchanged.append

    def turn(self, key: str) -> None:
        self.turns += 1

    def before_write(self, key: str, going: Going) -> None:
        self.asked.append(going)

    def finding(self, cause: str, message: str, path: str = "", severity: str = "warning") -> None:
        self.found.append(Finding(cause, message, path, severity))

    @property
    def causes(self) -> list[str]:
        return [each.cause for each in self.found]


def way_to(url: str, profile: str = "generic", **more: Any) -> Way:
    """The way into a server, as jobs/target/sending.py makes it, but for what it keeps."""
    one = Endpoint.model_validate({"key": "ehr", "base_url": url, "role": "placer", "profile": profile, **more})
    tried = Tried(one)

    def differs(endpoint: str, sent: dict, read: dict, name: str) -> bool:
        differences = compare(sent, read, links={}, target_base=one.bases)
        for each in differences:
            tried.finding(f"verify-{each.kind}", each.message, each.path)
        return any(each.severity == "fail" for each in differences)

    def find(endpoint: str, kind: str, identifier: Identifier) -> tuple[list[dict], bool]:
        token = identifier_token(identifier.system, identifier.value)
        entries = [each.resource for each in tried.server(endpoint).search(kind, {"identifier": token})]
        found = [each for each in entries if identifier in identifiers_in(each)]
        return found, bool(entries) and not found

    return Way("ehr", tried, differs, find)


def document(
    patient: str,
    *contents: tuple[bytes, str],
    revision: int = 1,
    replaces: str | None = None,
    encounter: str | None = None,
    **more: Any,
) -> Outgoing:
    """A report of request R-77 as the generic road sends it."""
    own = Identifier(system=SYSTEM, value=f"DocumentReference/R-77-report-{revision}")
    earlier = Identifier(system=SYSTEM, value=f"DocumentReference/R-77-report-{revision - 1}") if replaces else None
    resource = {
        "resourceType": "DocumentReference",
        "identifier": [own.model_dump()],
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"}]},
        "category": [
            {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                        "code": "clinical-note",
                    }
                ]
            }
        ],
        "subject": {"reference": patient},
        "date": "2026-06-01T10:00:00Z",
        "author": [{"display": "Lakeside Cardiology"}],
        "content": [
            {"attachment": {"contentType": kind, "data": base64.b64encode(data).decode(), "title": "Consult report"}}
            for data, kind in contents or ((TEXT.encode(), "text/plain; charset=utf-8"),)
        ],
        **more,
    }
    return Outgoing(
        "R-77",
        "d1",
        own,
        f"SOE ref R-77-{revision}",
        resource,
        patient,
        author="Lakeside Cardiology",
        replaces=earlier,
        replaces_reference=replaces,
        encounter=encounter,
    )
