"""Profiles: what is known of a vendor's EHR before anybody asked it. Data only; config.yaml overrides every value.

Each value has its source beside it. A site's own server may differ: ``second-opinion endpoints check`` tries it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mappings.model.roads import RoadName


@dataclass(frozen=True)
class DocumentHabits:
    """How a system takes a document over FHIR; the keys of ``document`` in config.yaml.

    ``formats``: content types it takes, best first; empty: any. ``attachments``: whether all of one document are kept.
    ``encounter``: whether ``context.encounter`` is demanded. ``period``: whether ``context.period`` is.
    ``doc_status``: what a signed report is written as; None: what it says of itself.
    ``visible_reference``: a reference that a person can search for stands in text and description.
    ``finds_by_identifier``: False where a search by identifier is ignored or refused; None: what the server says.
    """

    formats: tuple[str, ...] = ()
    attachments: Literal["all", "first"] = "all"
    encounter: Literal["never", "if-known", "required"] = "if-known"
    period: bool = False
    doc_status: Literal["final", "preliminary"] | None = None
    visible_reference: bool = True
    finds_by_identifier: bool | None = None


@dataclass(frozen=True)
class Profile:
    """``roads``: how a report reaches it, in the order in which they are tried; ``capabilities`` and ``records_by`` as in
    config.yaml. ``finds_orders``: whether orders can be searched without naming a patient.
    ``closed_ranges``: a search by date needs a beginning and an end."""

    key: str
    name: str
    roads: tuple[RoadName, ...]
    document: DocumentHabits = field(default_factory=DocumentHabits)
    capabilities: Mapping[str, bool | int] = field(default_factory=dict)
    sends_scope: bool = True
    records_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finds_orders: bool = True
    closed_ranges: bool = False


_GENERIC = (RoadName.FHIR_DOCUMENT, RoadName.DOWNLOAD)

PROFILES: dict[str, Profile] = {
    each.key: each
    for each in (
        Profile("generic", "a FHIR R4 server", _GENERIC),
        Profile("hapi", "HAPI FHIR", _GENERIC),
        Profile("medplum", "Medplum", _GENERIC),
        Profile(
            "epic",
            "Epic",
            (RoadName.FHIR_DOCUMENT, RoadName.HL7V2, RoadName.DOWNLOAD),
            DocumentHabits(("text/plain",), "first", "required", finds_by_identifier=False),
            {"conditional_create": False, "task": False, "transaction": False},
            sends_scope=False,
            finds_orders=False,
            # "Must have either code or category" (59108); US Core demands that a server takes a category.
            records_by={
                "Observation": tuple(f"category={each}" for each in ("laboratory", "vital-signs", "social-history")),
                "CarePlan": ("category=38717003",),  # longitudinal
            },
        ),
        Profile(
            "oracle-health",
            "Oracle Health (Cerner Millennium)",
            (RoadName.FHIR_DOCUMENT, RoadName.HL7V2, RoadName.DOWNLOAD),
            DocumentHabits(attachments="first", encounter="required", period=True, finds_by_identifier=False),
            {"conditional_create": False, "task": False, "transaction": False},
            finds_orders=False,
            closed_ranges=True,  # of _lastUpdated: once without a prefix, or twice with one
        ),
        Profile(
            "athenahealth",
            "athenahealth",
            (RoadName.VENDOR_REST, RoadName.HL7V2, RoadName.DOWNLOAD),
            finds_orders=False,
        ),
        Profile("meditech", "Meditech", (RoadName.HL7V2, RoadName.DOWNLOAD), finds_orders=False),
        Profile("eclinicalworks", "eClinicalWorks", (RoadName.HL7V2, RoadName.DOWNLOAD)),
        Profile("nextgen", "NextGen", (RoadName.HL7V2, RoadName.DOWNLOAD)),
    )
}
