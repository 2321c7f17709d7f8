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
    ``encounter_choice``: of whom an encounter is taken when the order names none: the newest one of the ``requester``, the
    ``newest`` one of the patient; ``ask``: a person says which.
    ``authors``: ``own``: an author has to be one of its own practitioners, a name alone is refused.
    ``not_kept``: elements that it does not keep, or refuses: they are not sent, so that none is missed when it is read back.
    ``beside``: what goes beside a report over FHIR, where its CapabilityStatement says that it takes the type.
    ``type``: system and code that a report is filed under there; None: LOINC 11488-4, consult note.
    """

    formats: tuple[str, ...] = ()
    attachments: Literal["all", "first"] = "all"
    encounter: Literal["never", "if-known", "required"] = "if-known"
    period: bool = False
    doc_status: Literal["final", "preliminary"] | None = None
    visible_reference: bool = True
    finds_by_identifier: bool | None = None
    encounter_choice: Literal["requester", "newest", "ask"] = "requester"
    authors: Literal["any", "own"] = "any"
    not_kept: tuple[str, ...] = ()
    beside: tuple[str, ...] = ("Composition", "Provenance", "Communication")
    type: tuple[str, str] | None = None


@dataclass(frozen=True)
class Profile:
    """``roads``: how a report reaches it, in the order in which they are tried: a RoadName, or the word of one that a site
    adds. ``capabilities`` and ``records_by`` as in config.yaml. ``finds_orders``: whether orders can be searched without
    naming a patient. ``closed_ranges``: a search by date needs a beginning and an end."""

    key: str
    name: str
    roads: tuple[str, ...]
    document: DocumentHabits = field(default_factory=DocumentHabits)
    capabilities: Mapping[str, bool | int] = field(default_factory=dict)
    sends_scope: bool = True
    records_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finds_orders: bool = True
    closed_ranges: bool = False


_GENERIC = (RoadName.FHIR_DOCUMENT, RoadName.DOWNLOAD)
_V2 = (RoadName.HL7V2, RoadName.DOWNLOAD)

PROFILES: dict[str, Profile] = {
    each.key: each
    for each in (
        Profile("generic", "a FHIR R4 server", _GENERIC),
        # HAPI, Medplum: create, conditional create, transaction and search by identifier for every type (their
        # CapabilityStatements; the loop runs against a real HAPI in our tests).
        Profile("hapi", "HAPI FHIR", _GENERIC),
        Profile("medplum", "Medplum", _GENERIC),
        # [E] CapabilityStatement of May 2026 and error codes, as kept in api-evangelist/epic-systems.
        # [S] tests against its sandbox: Pegasus-One-USA/Segue docs/backend/20-epic-r4-write-back.md.
        Profile(
            "epic",
            "Epic",
            (RoadName.FHIR_DOCUMENT, *_V2),
            DocumentHabits(
                formats=("text/plain",),  # [S] "text/plain base64 only"
                attachments="first",  # [S] the first content alone is filed
                encounter="required",  # [E] 59159 "Valid encounter required"; a finished one will do [S]
                doc_status="final",  # [S] final is signed, preliminary a draft; others are refused
                finds_by_identifier=False,  # [E] listed without documentation; [S] our identifier is not kept
                authors="own",  # [S] without an author it is filed under the background user; the text names ours
                beside=(),  # [E] no Provenance; [S] its Communication is for community resources alone
                not_kept=(
                    "identifier",
                    "description",
                    "relatesTo",
                    "context.related",
                    "category.coding.display",  # it gives the category itself
                ),  # [S] what it files is a short list
            ),
            # [E] conditionalCreate is false for all 59 types, Task has no create, no system interaction.
            {"conditional_create": False, "task": False, "transaction": False},
            sends_scope=False,  # [S] it gives what the app has, whatever is asked for
            finds_orders=False,
            # [E] "Must have either code or category" (59108); US Core demands that a server takes a category.
            records_by={
                "Observation": tuple(f"category={each}" for each in ("laboratory", "vital-signs", "social-history")),
                "CarePlan": ("category=38717003",),  # longitudinal
            },
        ),
        # [D] cerner/fhir.cerner.com: content/millennium/r4/foundation/documents/document-reference.md.
        # [C] CapabilityStatement of August 2026, as kept in api-evangelist/cerner.
        Profile(
            "oracle-health",
            "Oracle Health (Cerner Millennium)",
            (RoadName.FHIR_DOCUMENT, *_V2),
            DocumentHabits(
                attachments="first",  # [D] exactly one content, its bytes inside
                encounter="required",  # [D] context.encounter, one at most
                period=True,  # [D] context.period.end with its time
                finds_by_identifier=False,  # [C] not in its list of search parameters
                authors="own",  # [D] an author is a Practitioner of its own
                beside=(),  # [C] a Communication is a message in somebody's inbox; Provenance is made there
                not_kept=("identifier", "relatesTo", "context.related"),  # [D] unknown fields are ignored, or refused
            ),
            # [C] no Task; batch, no transaction; no conditional create is declared.
            {"conditional_create": False, "task": False, "transaction": False},
            finds_orders=False,
            closed_ranges=True,  # of _lastUpdated: once without a prefix, or twice with one
        ),
        # Read and search only over FHIR; a document is a form of its own REST API (docs.athenahealth.com, clinical
        # documents; api-evangelist/athenahealth), one file each, PDF.
        Profile(
            "athenahealth",
            "athenahealth",
            (RoadName.VENDOR_REST, *_V2),
            DocumentHabits(formats=("application/pdf",), encounter="never", finds_by_identifier=False, beside=()),
            finds_orders=False,
        ),
        # Read and search only (api-evangelist/meditech, Greenfield); documents come as HL7 v2 MDM or ORU.
        Profile("meditech", "Meditech", _V2, finds_orders=False),
        # Read and search only (api-evangelist/eclinicalworks); notes by contract as HL7 v2 inside an attachment, 12.0.2+.
        Profile("eclinicalworks", "eClinicalWorks", _V2),
        # Read and search only (api-evangelist/nextgen-healthcare, Enterprise and Office).
        Profile("nextgen", "NextGen", _V2),
    )
}
