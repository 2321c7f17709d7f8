"""The shape of config.yaml: every key with its meaning, default, bounds and an example, as frozen pydantic models.

Loaded by `integration.settings.config.load_config`; docs/reference/config.md is generated from the descriptions here.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from integration.settings.alerts import Alerts
from integration.settings.auth import Auth, Tls
from integration.settings.hints import Hints
from integration.settings.parts import (
    Key,
    Name,
    Seconds,
    Slug,
    System,
    check_content_host,
    check_network,
    split_address,
)
from integration.settings.parts import Section as _Section
from integration.settings.parts import check_http as _check_http
from integration.settings.parts import is_host as _is_host
from integration.settings.parts import is_loopback as _is_loopback
from integration.settings.roads import Document, LevelWord, ProfileKey, RoadWord
from mappings.allowances import Allowance, pattern_problem
from mappings.model.delivery import RetryPolicy
from mappings.model.profiles import PROFILES, DocumentHabits, Profile
from mappings.model.roads import DEFAULT_CLOSES_ON, Level

# Gathered when nothing else is said: what a consultant reads. Billing and scheduling stay at home.
RECORD_TYPES = (
    "AdverseEvent",
    "AllergyIntolerance",
    "BodyStructure",
    "CarePlan",
    "CareTeam",
    "Claim",
    "ClinicalImpression",
    "Composition",
    "Condition",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
)
# Further types one may ask for, all of the Patient compartment:
# https://hl7.org/fhir/R4/compartmentdefinition-patient.html
GATHERABLE_TYPES = (
    *RECORD_TYPES,
    "Appointment",
    "Communication",
    "Consent",
    "Coverage",
    "DetectedIssue",
    "DeviceRequest",
    "DeviceUseStatement",
    "EpisodeOfCare",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "List",
    "MolecularSequence",
    "RelatedPerson",
    "VisionPrescription",
)

SearchParts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*=[^&]+$")], ...], Field(strict=False)
]  # parameter=value of each search


class Database(_Section):
    """Where the rows live. Without a url an embedded PostgreSQL runs under `data_dir`."""

    url: str | None = Field(
        None,
        repr=False,
        pattern=r"^postgres(ql)?(\+psycopg)?://",
        description="An external PostgreSQL, without a password: the password comes from "
        "`SECOND_OPINION_DATABASE_URL`, `url_file` or a libpq password file. "
        "Without it an embedded PostgreSQL runs under `data_dir`.",
        examples=["postgresql://exchange@db.example.org/second_opinion"],
    )
    url_file: str | None = Field(
        None,
        description="Instead of `url`: a file that holds the address with its password.",
        examples=["/run/secrets/database-url"],
    )


class Web(_Section):
    """Where the pages, the API and the hosted endpoints listen."""

    sign_in: Literal["off", "required"] = Field(
        "off",
        description="`required`: people sign in with an account, machines send a token, and each may do what its "
        "roles allow (docs/how-to/sign-in.md). `off`: whoever reaches the address may do everything.",
        examples=["required"],
    )
    public_url: str | None = Field(
        None,
        description="How people reach us through a TLS proxy: scheme and host, no path. It decides the cookies, which "
        "host and origin are ours, and links. Needs `sign_in: required`.",
        examples=["https://exchange.example.org"],
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen at. Another than a loopback address only with "
        "`sign_in: required` and a `public_url` of https.",
        examples=["127.0.0.1"],
    )
    port: int = Field(8080, ge=1, le=65535, description="TCP port.", examples=[8080])
    trusted_proxy: str = Field(
        "127.0.0.1",
        description="Address of the TLS proxy as we see it. With `public_url`, only from "
        "there `X-Forwarded-For` is believed.",
        examples=["127.0.0.1"],
    )
    session_idle_minutes: int = Field(
        30, ge=1, le=1440, description="A session ends so long after the last click.", examples=[30]
    )
    session_hours: int = Field(
        12, ge=1, le=168, description="A session ends so long after signing in, at the latest.", examples=[12]
    )

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str | None, info: Any) -> str | None:
        if value is None:
            return None
        value = _check_http(value)
        parts = split_address(value)
        if parts.path:
            raise ValueError("must have no path: give the Exchange a host name of its own")
        if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://, because passwords and patient data travel there")
        if info.data.get("sign_in") == "off":
            raise ValueError("needs `sign_in: required`: without it, whoever reaches that address sees patient data")
        return f"{parts.scheme}://{parts.netloc.lower()}".removesuffix(":443" if parts.scheme == "https" else ":80")

    @field_validator("host")
    @classmethod
    def _beyond_loopback(cls, value: str, info: Any) -> str:
        if not _is_host(value):
            raise ValueError("must be an IP address or the name of this machine")
        if _is_loopback(value) or "sign_in" not in info.data or "public_url" not in info.data:
            return value  # what those two are wrong in is said there
        if info.data["sign_in"] == "off":
            raise ValueError(
                "must be a loopback address: the pages show patient data, and without `sign_in: required` "
                "whoever reaches them sees it"
            )
        if not (info.data["public_url"] or "").startswith("https://"):
            raise ValueError(
                "must be a loopback address, unless `public_url` says at which https:// address a TLS proxy "
                "is before it: passwords and patient data must not travel in the clear"
            )
        return value

    @field_validator("trusted_proxy")
    @classmethod
    def _an_address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("must be an IP address") from None

    @property
    def address(self) -> str:
        """``http://host:port`` as our own workers reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_https(self) -> bool:
        """People reach us by TLS, so cookies never travel without."""
        return (self.public_url or "").startswith("https://")

    @property
    def needs_sign_in(self) -> bool:
        """Nothing without an account or a token."""
        return self.sign_in == "required"


class Exchange(_Section):
    """Who we are to the others."""

    name: Name = Field(
        "Second Opinion Exchange",
        description="Our name in Provenance and on documents.",
        examples=["Second Opinion Exchange"],
    )
    identifier_system: System = Field(
        "https://second-opinion.example/ids",
        description="System of the identifiers we give to requests and packets. Never change it once requests exist.",
        examples=["https://exchange.example.org/ids"],
    )


class HostedPractice(_Section):
    """A practice without a FHIR server: we run one for it at `/fhir/<practice>`."""

    practice: Slug = Field(
        description="Its part of the address: small letters, digits, hyphens.", examples=["hillside"]
    )
    name: Name = Field(description="The name people know it by.", examples=["Hillside Family Practice"])
    strict: bool = Field(
        False,
        description="Refuse also what only bends a rule of FHIR (a required element is missing, a code is outside its "
        "value set). Without it such a resource is stored, and a finding tells the operator.",
        examples=[True],
    )


_AROUND_AN_ATTACHMENT = 32 * 1024  # the resource it stands in


class Limits(_Section):
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


class AllowedDifference(_Section):
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


class Verification(_Section):
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


class LocalCode(_Section):
    """A code of this site that means second opinion."""

    system: Name = Field(description="Code system.", examples=["https://clinic.example.org/codes"])
    code: Name = Field(description="Code, exactly as the site writes it.", examples=["2ND-OP"])


class Endpoint(_Section):
    """The FHIR R4 server of one party."""

    key: str = Field("", description="Its name in the map; filled in when loading.", exclude=True)
    hosted_practice: str = Field(
        "", description="The practice of `hosted:<practice>`; filled in when loading.", exclude=True
    )
    base_url: Annotated[str, AfterValidator(_check_http)] = Field(
        description="Base address of its FHIR R4 server, or `hosted:<practice>` for one of ours.",
        examples=["https://fhir.example.org/r4"],
    )
    also_known_as: tuple[Annotated[str, AfterValidator(_check_http)], ...] = Field(
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
    role: Literal["placer", "fulfiller", "both"] = Field(
        description="placer asks for second opinions, fulfiller gives them.", examples=["placer"]
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
    profile: ProfileKey = Field(
        "generic",
        description="What it is: the defaults of its roads, of `document` and of `capabilities` "
        "(docs/reference/vendors.md).",
        examples=["epic"],
    )
    roads: tuple[RoadWord, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="The ways in which a report reaches it (`fhir-document`, `vendor-rest`, `hl7v2`, `hosted`, `download`, "
        "or one that is added by an entry point), in the order in which they are tried. The next one is tried when "
        "one is impossible, never when it is not known what became of a document. This version has `fhir-document` and "
        "`download`; each of the others says that it is not here yet, and the next one is tried. Default: the profile's.",
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
    contact: str | None = Field(
        None, description="Who to phone when it does not answer.", examples=["IT desk, +1 555 0100"]
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
    local_codes: tuple[LocalCode, ...] = Field(
        (),
        strict=False,
        description="Codes of this site that also mean second opinion.",
        examples=[[{"system": "https://clinic.example.org/codes", "code": "2ND-OP"}]],
    )

    @property
    def bases(self) -> tuple[str, ...]:
        """Every address it is known by; the first is where it is asked."""
        return (self.base_url, *self.also_known_as)

    @property
    def of_profile(self) -> Profile:
        """What is known of its vendor."""
        return PROFILES[self.profile]

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
    def closing_levels(self) -> frozenset[Level]:
        """The evidence on which a loop closes."""
        return frozenset(map(Level, self.closes_on))

    @property
    def is_placer(self) -> bool:
        """May ask for second opinions."""
        return self.role in ("placer", "both")

    @property
    def is_polled(self) -> bool:
        """Are new orders looked for here?"""
        finds = self.of_profile.finds_orders if self.finds_orders is None else self.finds_orders
        return self.is_placer and finds

    @property
    def is_fulfiller(self) -> bool:
        """May give second opinions."""
        return self.role in ("fulfiller", "both")


class Schedules(_Section):
    """How often the Exchange looks."""

    dispatch_seconds: Seconds = Field(2.0, description="Choose due steps.", examples=[2])
    poll_requests_seconds: Seconds = Field(60.0, description="Look for new requests at placers.", examples=[60])
    watch_chart_seconds: Seconds = Field(
        900.0,
        description="Look for corrected or new records at placers: this often at first, less often while nothing changes (every 4 hours at least, once a day after completion).",
        examples=[900],
    )
    watch_seconds: Seconds = Field(
        60.0,
        description="Look for progress and reports at fulfillers: this often at first, less often while nothing changes (every 15 minutes at least, once a day after completion).",
        examples=[60],
    )
    prune_cron: str = Field(
        "0 3 * * *", description="When to remove what is past its retention; five fields, UTC.", examples=["0 3 * * *"]
    )

    @field_validator("prune_cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        fields = value.split()
        if len(fields) != len(_CRON) or not all(_is_cron_field(*pair) for pair in zip(fields, _CRON, strict=True)):
            raise ValueError("must be five cron fields: minute, hour, day, month, weekday")
        return value


_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _is_cron_field(text: str, bounds: tuple[int, int]) -> bool:
    """``*``, ``5``, ``1-5``, each with ``/step``, and lists of these. Weekdays may be words (mon); 0 is Monday."""
    low, high = bounds
    for part in text.split(","):
        found = re.fullmatch(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?", part)
        if not found:
            return high == 6 and re.fullmatch(r"(mon|tue|wed|thu|fri|sat|sun)", part) is not None
        first, last, step = (int(number) if number else None for number in found.groups())
        if first is not None and not low <= first <= (first if last is None else last) <= high or (step or 1) > high:
            return False
    return True


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Retry(RetryPolicy):
    """Bounds of retrying a delivery, in count and in time."""

    first_retry_seconds: float = Field(
        default=5.0,
        strict=True,
        gt=0,
        le=86400,
        description="Wait before the second attempt; doubles after.",
        examples=[5],
    )
    max_retry_seconds: float = Field(
        default=900.0, strict=True, gt=0, le=7 * 86400, description="Longest wait between attempts.", examples=[900]
    )
    max_attempts: int = Field(
        default=12, strict=True, ge=1, le=1000, description="Attempts before it is parked.", examples=[12]
    )
    max_age_seconds: float = Field(
        default=3 * 86400.0,
        strict=True,
        gt=0,
        le=366 * 86400,
        description="Time after the first attempt before it is parked.",
        examples=[259200],
    )
    jitter: float = Field(
        default=0.2, strict=True, ge=0, le=1, description="Random share of the wait that is added.", examples=[0.2]
    )


class Engine(_Section):
    """The workers."""

    lease_seconds: float = Field(
        25.0, gt=0, le=3600, description="How long a worker owns a step without renewing.", examples=[25]
    )
    concurrency: int = Field(8, ge=1, le=256, description="Steps one worker does at the same time.", examples=[8])
    workers: int = Field(1, ge=1, le=64, description="Worker processes that `serve` runs.", examples=[1])


class RecordsKept(_Section):
    """Which records travel, and how long a report is watched."""

    types: tuple[Name, ...] = Field(
        RECORD_TYPES,
        strict=False,
        min_length=1,
        description="Resource types gathered when a request names none.",
        examples=[["Condition", "Observation", "DiagnosticReport", "DocumentReference"]],
    )
    lead_days: int = Field(
        3,
        ge=0,
        le=90,
        description="Days before the day a request is wanted by on which its records have to be there: that is their deadline.",
        examples=[3],
    )
    watch_days: int = Field(
        90, ge=0, le=3650, description="Days a returned report is watched for amendments.", examples=[90]
    )
    max_attachment_bytes: int = Field(
        2 << 30, ge=1024, le=1 << 40, description="Largest attachment we carry.", examples=[2147483648]
    )
    max_packet_bytes: int = Field(
        8 << 30,
        ge=1 << 20,
        le=1 << 42,
        description="Largest packet we carry, records and attachments together; what would make it larger is named.",
        examples=[8589934592],
    )
    max_withdrawn_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="Of the records sent for a request, the share that may be gone at their source at once and is taken back "
        "without asking; more waits for a person (a source restored from an old backup). 100 never asks. Up to three "
        "records are always taken back.",
        examples=[20],
    )


class Retention(_Section):
    """How long what only helps to look into a fault is kept."""

    exchange_bodies_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days the bodies of exchanges that went wrong are kept; they are clinical content.",
        examples=[30],
    )
    exchanges_days: int = Field(
        365,
        ge=1,
        le=3650,
        description="Days the list of exchanges of an attempt is kept; the attempt itself stays.",
        examples=[365],
    )


class Payloads(_Section):
    """Where packet bytes are kept."""

    url: str | None = Field(
        None,
        description="Folder or object store (fsspec address). Default: `data_dir`/payloads.",
        examples=["s3://exchange-payloads/packets"],
    )


class Tracing(_Section):
    """OpenTelemetry traces of what is done for each request; ids and words only. Needs the extra `tracing`."""

    otlp_endpoint: Annotated[str, AfterValidator(_check_http)] | None = Field(
        None,
        description="Where an OpenTelemetry collector takes traces by OTLP over HTTP; nothing is traced without it. Headers "
        "for it come from the environment variable `OTEL_EXPORTER_OTLP_HEADERS`.",
        examples=["http://127.0.0.1:4318/v1/traces"],
    )


class Config(_Section):
    """All of config.yaml."""

    data_dir: Path = Field(
        Path("data"),
        strict=False,
        description="Folder for the embedded database and payloads; relative to this file. "
        "`SECOND_OPINION_DATA_DIR` overrides it.",
        examples=["/var/lib/second-opinion"],
    )
    database: Database = Field(default_factory=Database, description="The PostgreSQL.")
    keys_dir: Path | None = Field(
        None,
        strict=False,
        description="Folder of the keys we sign in with (`second-opinion keys list`). Default: `keys` under `data_dir`. Every "
        "worker and every web process needs it.",
        examples=["/var/lib/second-opinion/keys"],
    )
    web: Web = Field(default_factory=Web, description="Pages, API and hosted endpoints.")
    exchange: Exchange = Field(default_factory=Exchange, description="Who we are.")
    hosted: tuple[HostedPractice, ...] = Field((), strict=False, description="Practices we run a FHIR endpoint for.")
    endpoints: Mapping[Key, Endpoint] = Field(default_factory=dict, description="The parties' servers, by name.")
    schedules: Schedules = Field(default_factory=Schedules, description="How often we look.")
    retry: Retry = Field(default_factory=Retry, description="Bounds of retrying.")
    engine: Engine = Field(default_factory=Engine, description="The workers.")
    records: RecordsKept = Field(default_factory=RecordsKept, description="Which records travel.")
    payloads: Payloads = Field(default_factory=Payloads, description="Where packet bytes are kept.")
    tracing: Tracing = Field(default_factory=Tracing, description="Traces of what is done.")
    alerts: Alerts = Field(default_factory=Alerts, description="What is told to whom (docs/how-to/alerts.md).")
    retention: Retention = Field(default_factory=Retention, description="How long exchanges are kept.")

    @field_validator("data_dir", mode="before")
    @classmethod
    def _some_folder(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("must not be empty")
        return value

    @field_validator("endpoints", mode="before")
    @classmethod
    def _name_endpoints(cls, value: Any, info: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        web = info.data.get("web") or Web()
        return {key: _named(key, endpoint, web) for key, endpoint in value.items()}

    @model_validator(mode="after")
    def _under_data_dir(self) -> "Config":
        if self.payloads.url is None:
            object.__setattr__(self, "payloads", Payloads(url=str(self.data_dir / "payloads")))
        if self.keys_dir is None:
            object.__setattr__(self, "keys_dir", self.data_dir / "keys")
        return self

    @property
    def payload_store(self) -> str:
        """`payloads.url`, or where they are without one."""
        return self.payloads.url or str(self.data_dir / "payloads")

    @property
    def keys_folder(self) -> Path:
        """`keys_dir`, or where it is without one."""
        return self.keys_dir or self.data_dir / "keys"


def _named(key: Any, endpoint: Any, web: Web) -> Any:
    """``endpoint`` knowing its name, with ``hosted:<practice>`` resolved to our own address."""
    if isinstance(endpoint, Endpoint):
        return endpoint if endpoint.key == key else endpoint.model_copy(update={"key": key})
    if not isinstance(endpoint, Mapping):
        return endpoint
    base_url, practice = endpoint.get("base_url"), ""
    if isinstance(base_url, str) and base_url.startswith("hosted:"):
        practice = base_url.removeprefix("hosted:").rstrip("/")
        endpoint = {**endpoint, "base_url": f"{web.address}/fhir/{practice}"}
        known = endpoint.get("also_known_as", [])
        if web.public_url and isinstance(known, list):  # what it calls itself to others
            endpoint["also_known_as"] = [*known, f"{web.public_url}/fhir/{practice}"]
    return {**endpoint, "key": key, "hosted_practice": practice}
