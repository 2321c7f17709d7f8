"""The parties' servers in config.yaml: what each is, what it takes, and how its answers are verified."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from integration.settings.auth import Auth, Tls
from integration.settings.calendar import WorkCalendar
from integration.settings.hints import Hints
from integration.settings.hl7v2 import Hl7v2
from integration.settings.parts import (
    Name,
    Section,
    Slug,
    System,
    check_content_host,
    check_http,
    check_network,
)
from integration.settings.profiles import ProfileWord, SearchParts, profile_of
from integration.settings.program import Program
from integration.settings.roads import Athena, Document, LevelWord, RoadWord
from mappings.allowances import Allowance, pattern_problem
from mappings.model.profiles import PROFILES, DocumentHabits, Profile
from mappings.model.roads import DEFAULT_CLOSES_ON, Level
from mappings.model.suitability import Program as ProgramRules

_AROUND_AN_ATTACHMENT = 32 * 1024  # the resource it stands in


class Limits(Section):
    """What one server can bear, and how long we wait for it."""

    concurrency: int = Field(
        4,
        ge=1,
        le=256,
        description="Steps done with it at the same time, over all workers; at most three quarters of the workers' threads. "
        "Gathering a chart makes up to as many requests at once.",
        examples=[4],
    )
    requests_per_second: float = Field(
        20.0,
        gt=0,
        le=10_000,
        description="HTTP requests to it per second, over all workers. A burst of a tenth of a second's worth may go at once (at least 1, at most half of `concurrency`).",
        examples=[20],
    )
    max_inline_bytes: int = Field(
        5_242_880, ge=1024, le=1 << 30, description="Largest attachment sent inside a resource.", examples=[5242880]
    )
    search_lag_seconds: float = Field(
        5.0, ge=0, le=3600, description="How long after a write its search may not know it yet.", examples=[5]
    )
    timeout_seconds: float = Field(30.0, gt=0, le=3600, description="How long we wait for one answer.", examples=[30])
    page_size: int = Field(
        200,
        ge=1,
        le=10_000,
        description="`_count` of searches. A page that is too large is asked for again with a quarter of it, down to 1.",
        examples=[200],
    )
    max_answer_bytes: int = Field(
        64 << 20,
        ge=1 << 16,
        le=1 << 31,
        description="Largest answer we read from it, unpacked; a page of a search with more than one resource is at most a "
        "quarter of that. `max_inline_bytes`, as base64, must fit in.",
        examples=[67108864],
    )
    max_search_bytes: int = Field(
        1 << 30,
        ge=1 << 16,
        le=1 << 40,
        description="Most that one search may bring, over all its pages.",
        examples=[1073741824],
    )
    max_json_depth: int = Field(
        500,
        ge=50,
        le=900,
        description="How deep objects and lists may stand inside each other in its answers; a chart has 10 to 20 levels.",
        examples=[500],
    )
    chunk_size: int = Field(100, ge=1, le=10_000, description="Most resources in one transaction.", examples=[100])

    @model_validator(mode="after")
    def _can_be_read_back(self) -> "Limits":
        needed = self.max_inline_bytes * 4 // 3 + _AROUND_AN_ATTACHMENT
        if self.max_answer_bytes >= needed:
            return self
        most = (self.max_answer_bytes - _AROUND_AN_ATTACHMENT) * 3 // 4
        raise ValueError(
            "`max_inline_bytes` is more than could be read back: what is sent inside a resource is a third larger there. "
            f"Make `max_answer_bytes` at least {needed}"
            + (f", or `max_inline_bytes` at most {most}" if most > 1024 else "")
        )


class AllowedDifference(Section):
    """A difference at one endpoint that somebody looked at: it is a finding instead of parking the delivery."""

    path: Name = Field(
        description="The element, and all below it, without indexes: `Observation.note`. `*` stands for one element, `**` "
        "for any number of them. Never one that says whose record it is.",
        examples=["*.text"],
    )
    difference: Literal["changed", "lost", "added", "precision", "reordered"] = Field(
        description="What this server does there. `precision`: the same number with other digits.", examples=["lost"]
    )
    reason: Name = Field(
        description="Why that is safe here, for whoever reads the finding.",
        examples=["It keeps no narrative; ours only repeats the elements"],
    )
    reviewed_by: Name = Field(description="Who looked at it and answers for it.", examples=["Dr N. Example, CMIO"])
    until: date = Field(
        strict=False,
        description="Its last day, at most 400 days ahead when written; then the difference decides again until it was "
        "reviewed anew.",
        examples=["2027-06-30"],
    )

    @field_validator("path")
    @classmethod
    def _says_where(cls, value: str) -> str:
        if problem := pattern_problem(value):
            raise ValueError(problem)
        return value

    @property
    def allowance(self) -> Allowance:
        """As the comparison takes it."""
        return Allowance(self.path, self.difference, self.reason, self.reviewed_by, self.until)


class Verification(Section):
    """What reading back at this endpoint may find without parking the delivery."""

    allow: tuple[AllowedDifference, ...] = Field(
        (),
        strict=False,
        description="Differences that were reviewed, beside the short list of what any server may do "
        "(docs/explanation/verification.md).",
        examples=[
            [
                {
                    "path": "*.text",
                    "difference": "lost",
                    "reason": "It keeps no narrative",
                    "reviewed_by": "Dr N. Example",
                    "until": "2027-06-30",
                }
            ]
        ],
    )

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """All of them, as the comparison takes them."""
        return tuple(each.allowance for each in self.allow)


class LocalCode(Section):
    """A code of this site that means second opinion."""

    system: Name = Field(description="Code system.", examples=["https://clinic.example.org/codes"])
    code: Name = Field(description="Code, exactly as the site writes it.", examples=["2ND-OP"])


class RecordsOffice(Section):
    """Where letters, faxes and parcels reach the people here who send or take records."""

    name: Name | None = Field(None, description="The office or person.", examples=["Pathology, slide file room"])
    address: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="The postal address, line by line.",
        examples=[["1 Main Street", "Springfield, IL 62701"]],
    )
    fax: Name | None = Field(None, description="The fax number.", examples=["+1 555 0142"])
    portal: Name | None = Field(
        None, description="Where documents can be uploaded.", examples=["https://upload.example.org"]
    )
    phone: Name | None = Field(None, description="Whom to call about records.", examples=["+1 555 0143"])


class Endpoint(Section):
    """The FHIR R4 server of one party."""

    key: str = Field("", description="Its name in the map; filled in when loading.", exclude=True)
    hosted_practice: str = Field(
        "", description="The practice of `hosted:<practice>`; filled in when loading.", exclude=True
    )
    base_url: Annotated[str, AfterValidator(check_http)] = Field(
        description="Base address of its FHIR R4 server, or `hosted:<practice>` for one of ours.",
        examples=["https://fhir.example.org/r4"],
    )
    also_known_as: tuple[Annotated[str, AfterValidator(check_http)], ...] = Field(
        (),
        strict=False,
        description="Other base addresses that the server writes into references to its own resources, such as its address "
        "inside the hospital. http for https, and another case of the host, need not be said.",
        examples=[["http://fhir-app-01.internal:8080/fhir"]],
    )
    file_paths: tuple[Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+$")], ...] = Field(
        (),
        strict=False,
        description="Paths outside of `base_url`, on the same host, below which the server keeps the files of its documents. "
        "Any other path there may be another organization's and is never asked.",
        examples=[["/files"]],
    )
    content_hosts: tuple[Annotated[str, AfterValidator(check_content_host)], ...] = Field(
        (),
        strict=False,
        description="Other hosts from which documents of its records may be fetched, without a path. They never get a token, "
        "a password or our certificate, and a redirect is not followed. A document at any other host is not fetched, and said.",
        examples=[["https://files.example.org"]],
    )
    content_networks: tuple[Annotated[str, AfterValidator(check_network)], ...] = Field(
        (),
        strict=False,
        description="Private networks in which the addresses of `content_hosts` may lie. Without them only public addresses "
        "are asked, whatever a host's name leads to.",
        examples=[["10.20.0.0/16"]],
    )
    role: Literal["placer", "fulfiller", "both", "source", "directory", "payer"] = Field(
        description="placer asks for second opinions, fulfiller gives them, source has records of patients and is read when a "
        "person names it for a request (docs/how-to/records-from-elsewhere.md), directory only tells who there is "
        "(docs/how-to/directory.md), payer insures and is asked only when a person presses the button (docs/how-to/coverage.md).",
        examples=["placer"],
    )
    records_for_others: bool = Field(
        False,
        description="At a placer or a fulfiller: whether its records may also be gathered for requests that it has no part in, when "
        "a person there names it, as those of a source are.",
        examples=[True],
    )
    name: Name = Field(
        default_factory=lambda data: data.get("key") or "endpoint",
        description="The organization's name, as people read it. Default: its name in the map.",
        examples=["Hillside Family Practice"],
    )
    auth: Auth = Field(
        "none",
        description="How we sign in: `none`, or a group of keys whose `type` is `smart-backend-services`, `client-secret`, "
        "`bearer` or `basic`.",
        examples=["none"],
    )
    tls: Tls = Field(default_factory=Tls, description="Certificates: whose we believe, and our own.")
    identifier_system: System = Field(
        default_factory=lambda data: data.get("base_url", ""),
        description="System of the identifier that names a resource of this server elsewhere. Default: `base_url`. "
        "Frozen at first use: give it when the address may change.",
        examples=["https://hillside.example.org/fhir"],
    )
    accepts: Literal["resources", "documents"] = Field(
        "documents",
        description="Records as FHIR resources, or rendered as documents (PDF plus the originals).",
        examples=["documents"],
    )
    profile: ProfileWord = Field(
        "generic",
        description="What it is: the defaults of its roads, of `document` and of `capabilities` "
        f"(docs/reference/vendors.md): {', '.join(f'`{each}`' for each in PROFILES)}, or one that is added by an entry "
        "point.",
        examples=["epic"],
    )
    roads: tuple[RoadWord, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="The ways in which a report reaches it (`fhir-document`, `vendor-rest`, `hl7v2`, `hosted`, `download`, "
        "or one that is added by an entry point), in the order in which they are tried. The next one is tried when "
        "one is impossible, never when it is not known what became of a document. `hl7v2` and `vendor-rest` need the sections "
        "`hl7v2` and `athena`; `hosted` says that it is not here yet, and the next one is tried. Default: the profile's.",
        examples=[["fhir-document", "hl7v2", "download"]],
    )
    closes_on: tuple[LevelWord, ...] = Field(
        tuple(each.value for each in DEFAULT_CLOSES_ON),
        strict=False,
        min_length=1,
        description="On which evidence that the report is in this EHR a loop closes.",
        examples=[["read-back", "handed-over"]],
    )
    document: Document = Field(
        default_factory=Document, description="What it demands of a document, where it differs from its profile."
    )
    hl7v2: Hl7v2 | None = Field(
        None, description="Its interface engine, where reports reach it as HL7 v2 document messages (road `hl7v2`)."
    )
    athena: Athena | None = Field(
        None, description="For the road `vendor-rest` to athenahealth: where its own interface files documents."
    )
    hints: Hints | None = Field(
        None,
        description="It may tell us that it has news: notifications of a FHIR Subscription are taken at `/hooks/<endpoint>` "
        "and make our next look due. Without it we look by the clock alone.",
    )
    patients: Literal["match", "create"] = Field(
        "match",
        description="May we create the patient there? match: only ever a sure match, else a person decides.",
        examples=["match"],
    )
    patient_identifier_systems: tuple[System, ...] = Field(
        (),
        strict=False,
        description="Systems of the numbers that tell one patient from another there; no other number identifies then. "
        "Default: numbers typed as one person's own (MR, PI, SS and the like), and the systems that a request names, "
        "never a policy or member number.",
        examples=[["https://hillside.example.org/mrn"]],
    )
    consent: Literal["required", "if-recorded"] = Field(
        "if-recorded",
        description="Whether the patient's consent has to be recorded before anything about them leaves for it. What was recorded "
        "is obeyed in any case (docs/how-to/consent.md).",
        examples=["required"],
    )
    phone: str | None = Field(
        None,
        max_length=40,
        description="The number that its patients call; it stands in the calendar entry of a visit.",
        examples=["+1 555 0100"],
    )
    calendar: WorkCalendar | None = Field(
        None,
        description="When its people work: days before a visit are counted by it, and a visit is told in its zone. Without it, "
        "Monday to Friday in UTC, and pages say so.",
    )
    appointments: Literal["none", "read", "write", "book"] = Field(
        "none",
        description="Whether appointments are looked for there (`read`: needs the scope `system/Appointment.rs`), a visit that a "
        "person recorded is written there as one too (`write`: needs `system/Appointment.crus`), or its free times are shown and a "
        "visit is booked there (`book`: needs `system/Appointment.crus`, `system/Slot.rs` and `system/Schedule.rs`).",
        examples=["read"],
    )
    slot_search: dict[Name, Name] = Field(
        default_factory=dict,
        description="Further parameters of the search for free times there, such as whose they are. Without them, all of its "
        "free times are shown.",
        examples=[{"schedule.actor": "PractitionerRole/17"}],
    )
    contact: str | None = Field(
        None, description="Whom to call when it does not answer.", examples=["IT desk, +1 555 0100"]
    )
    records_office: RecordsOffice = Field(
        default_factory=RecordsOffice,
        description="Stands on letters that ask for records: where they are asked for, or where they are to be sent "
        "(docs/how-to/ask-for-records.md).",
    )
    limits: Limits = Field(default_factory=Limits, description="What the server can bear.")
    verification: Verification = Field(
        default_factory=Verification, description="Reviewed exceptions from the comparison of what is read back."
    )
    capabilities: Mapping[str, bool | int] = Field(
        default_factory=dict,
        description="Overrides of what the server says it can do.",
        examples=[{"transaction": False, "conditional_create": True}],
    )
    records_by: Mapping[str, SearchParts] = Field(
        default_factory=dict,
        description="Types of records that the server searches only by more than the patient: one search is made for each "
        "`parameter=value`, and nothing else of the type is gathered. An empty list: by the patient alone. Default: the "
        "profile's.",
        examples=[{"Observation": ["category=laboratory", "category=vital-signs"]}],
    )
    finds_orders: bool | None = Field(
        None,
        description="Whether we look for new orders here. false where the server searches orders by patient only: requests "
        "are then handed in on the pages or through the API. Default: the profile's.",
        examples=[False],
    )
    default_fulfiller: str | None = Field(
        None,
        description="Endpoint that gets requests found here (by polling) that name no fulfiller.",
        examples=["university-hospital"],
    )
    checklist: Slug | None = Field(
        None,
        description="The checklist of records that a consultant here wants (`second-opinion checklists show`). Default: by the "
        "diagnosis and the specialty of each request.",
        examples=["breast"],
    )
    checklists: tuple[Annotated[Path, Field(strict=False)], ...] = Field(
        (),
        strict=False,
        description="Files laid over the checklists for requests to this consultant only, after those of `checklists` above "
        "(docs/how-to/checklists.md).",
        examples=[["their-checklists.yaml"]],
    )
    images: Literal["required", "report_only", "either"] | None = Field(
        None,
        description="Whether a consultant here wants the pictures of a scan: `required` beside the report, `report_only` (do not "
        "send discs), or `either`. Default: as each checklist says.",
        examples=["report_only"],
    )
    program: Program | None = Field(
        None,
        description="What the consulting program here takes and refuses (docs/how-to/should-i-ask.md). Without it nothing is "
        "refused by what a request is about.",
    )
    local_codes: tuple[LocalCode, ...] = Field(
        (),
        strict=False,
        description="Codes of this site that also mean second opinion.",
        examples=[[{"system": "https://clinic.example.org/codes", "code": "2ND-OP"}]],
    )

    @property
    def asks_consent(self) -> bool:
        """Does nothing leave for it before the patient's consent was recorded?"""
        return self.consent == "required"

    @property
    def bases(self) -> tuple[str, ...]:
        """Every address it is known by; the first is where it is asked."""
        return (self.base_url, *self.also_known_as)

    @property
    def of_profile(self) -> Profile:
        """What is known of its vendor."""
        return profile_of(self.profile)

    @property
    def road_names(self) -> tuple[str, ...]:
        """How a report reaches it, in the order in which the roads are tried."""
        return self.of_profile.roads if self.roads is None else self.roads

    @property
    def habits(self) -> DocumentHabits:
        """What it demands of a document: the profile's values, and over them those of config.yaml."""
        given = {name: value for name, value in self.document if value is not None}
        return replace(self.of_profile.document, **given)

    @property
    def overrides(self) -> dict[str, bool | int]:
        """What its own CapabilityStatement is corrected by: the profile's, and over them those of config.yaml."""
        return {**self.of_profile.capabilities, **self.capabilities}

    def searches_for(self, kind: str) -> tuple[str, ...]:
        """``parameter=value`` of each search for a type of records; empty: one, by the patient alone."""
        return self.records_by.get(kind, self.of_profile.records_by.get(kind, ()))

    @property
    def program_rules(self) -> ProgramRules | None:
        """What the consulting program here takes and refuses; None when nobody said."""
        return self.program.rules(self.name) if self.program else None

    @property
    def closing_levels(self) -> frozenset[Level]:
        """The evidence on which a loop closes."""
        return frozenset(map(Level, self.closes_on))

    @property
    def is_placer(self) -> bool:
        """May ask for second opinions."""
        return self.role in ("placer", "both")

    @property
    def is_source(self) -> bool:
        """May its records be gathered for requests that it has no part in?"""
        return self.role == "source" or self.records_for_others

    @property
    def is_polled(self) -> bool:
        """Are new orders looked for here?"""
        finds = self.of_profile.finds_orders if self.finds_orders is None else self.finds_orders
        return self.is_placer and finds

    @property
    def is_fulfiller(self) -> bool:
        """May give second opinions."""
        return self.role in ("fulfiller", "both")
