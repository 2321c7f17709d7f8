"""The shape of config.yaml: every key with its meaning, default, bounds and an example, as frozen pydantic models.

Loaded by `integration.config.load_config`; docs/reference/config.md is generated from the descriptions here.
"""
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator,
                      model_validator)
from pydantic.dataclasses import dataclass

from mappings.model.delivery import RetryPolicy

# Gathered when nothing else is said: what a consultant reads. Billing and scheduling stay at home.
RECORD_TYPES = (
    "AdverseEvent", "AllergyIntolerance", "BodyStructure", "CarePlan", "CareTeam", "Claim", "ClinicalImpression", "Composition",
    "Condition", "Device", "DiagnosticReport", "DocumentReference", "Encounter", "ExplanationOfBenefit", "FamilyMemberHistory",
    "Flag", "Goal", "ImagingStudy", "Immunization", "Media", "MedicationAdministration", "MedicationDispense",
    "MedicationRequest", "MedicationStatement", "NutritionOrder", "Observation", "Procedure", "QuestionnaireResponse",
    "RiskAssessment", "ServiceRequest", "Specimen",
)
# Further types one may ask for, all of the Patient compartment:
# https://hl7.org/fhir/R4/compartmentdefinition-patient.html
GATHERABLE_TYPES = (*RECORD_TYPES, "Appointment", "Communication", "Consent", "Coverage", "DetectedIssue", "DeviceRequest",
                    "DeviceUseStatement", "EpisodeOfCare", "ImmunizationEvaluation", "ImmunizationRecommendation", "List",
                    "MolecularSequence", "RelatedPerson", "VisionPrescription")
# What an endpoint may be told to do or not, whatever its CapabilityStatement says.
CAPABILITIES: dict[str, type] = {
    "transaction": bool, "conditional_create": bool, "update_create": bool, "task": bool,
    "service_request_create": bool, "document_reference_create": bool, "binary_create": bool, "versioned_update": bool,
    "max_page": int}
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Seconds = Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = _STRICT


def _check_http(value: str) -> str:
    """An http(s) address without credentials, query or fragment, and without a slash at its end."""
    parts = split_address(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or a password; secrets belong in `auth`, by file or environment")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ValueError("must not hold a query (?...) or a fragment (#...)")
    return value.rstrip("/")


def split_address(value: str) -> SplitResult:
    """The parts of an address; what is none raises ValueError."""
    if re.search(r"\s", value):
        raise ValueError("must not hold white space")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  raises when it is not a number
    except ValueError:
        raise ValueError("is not an address") from None
    return parts


class Database(_Section):
    """Where the rows live. Without a url an embedded PostgreSQL runs under `data_dir`."""

    url: str | None = Field(None, repr=False, pattern=r"^postgres(ql)?(\+psycopg)?://",
                            description="An external PostgreSQL, without a password: the password comes from "
                                        "`SECOND_OPINION_DATABASE_URL`, `url_file` or a libpq password file. "
                                        "Without it an embedded PostgreSQL runs under `data_dir`.",
                            examples=["postgresql://exchange@db.example.org/second_opinion"])
    url_file: str | None = Field(None, description="Instead of `url`: a file that holds the address with its password.",
                                 examples=["/run/secrets/database-url"])


class Web(_Section):
    """Where the pages, the API and the hosted endpoints listen."""

    host: str = Field("127.0.0.1", description="Only a loopback address, until sign-in exists.", examples=["127.0.0.1"])
    port: int = Field(8080, ge=1, le=65535, description="TCP port.", examples=[8080])

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value != "localhost" and not _is_loopback(value):
            raise ValueError("must be a loopback address: the pages show patient data and have no sign-in yet")
        return value

    @property
    def address(self) -> str:
        """``http://host:port`` as others reach it."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Exchange(_Section):
    """Who we are to the others."""

    name: Name = Field("Second Opinion Exchange", description="Our name in Provenance and on documents.",
                       examples=["Second Opinion Exchange"])
    identifier_system: Name = Field("https://second-opinion.example/ids",
                                    description="System of the identifiers we give to requests and packets. "
                                                "Never change it once requests exist.",
                                    examples=["https://exchange.example.org/ids"])


class HostedPractice(_Section):
    """A practice without a FHIR server: we run one for it at `/fhir/<practice>`."""

    practice: Slug = Field(description="Its part of the address: small letters, digits, hyphens.",
                           examples=["hillside"])
    name: Name = Field(description="The name people know it by.", examples=["Hillside Family Practice"])


class SmartBackendServices(_Section):
    """SMART Backend Services (https://hl7.org/fhir/smart-app-launch/backend-services.html)."""

    type: Literal["smart-backend-services"] = Field(description="The kind of sign-in.",
                                                    examples=["smart-backend-services"])
    client_id: Name = Field(description="The client id the other side registered for us.", examples=["exchange-prod"])
    token_url: str | None = Field(None, description="Token address; without it, read from "
                                                    "`.well-known/smart-configuration` of the server.",
                                  examples=["https://login.example.org/oauth2/token"])
    key_id: Name | None = Field(None, description="`kid` of our key in the JWKS we published.", examples=["2025-01"])
    algorithm: Literal["RS384", "ES384"] = Field("RS384", description="How the assertion is signed.",
                                                 examples=["RS384"])
    scopes: tuple[Name, ...] = Field(("system/*.read", "system/*.write"), strict=False,
                                     description="Scopes we ask for.", examples=[["system/*.rs", "system/*.cu"]])
    private_key_file: str | None = Field(None, description="A file with our private key (PEM).",
                                         examples=["/run/secrets/exchange.pem"])
    private_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
                                        description="Or an environment variable that holds it.",
                                        examples=["EXCHANGE_PRIVATE_KEY"])

    _check_token_url = field_validator("token_url")(lambda value: None if value is None else _check_http(value))

    @field_validator("private_key_file")
    @classmethod
    def _a_file_name(cls, value: str | None) -> str | None:
        if value is not None and ("-----BEGIN" in value or "\n" in value):
            raise ValueError("must be the name of a file; the key itself is never written here")
        return value

    @model_validator(mode="after")
    def _one_key(self) -> "SmartBackendServices":
        if (self.private_key_file is None) == (self.private_key_env is None):
            raise ValueError("needs exactly one of `private_key_file` and `private_key_env`")
        return self


def _auth_kind(value: Any) -> str:
    return "none" if isinstance(value, str) or value is None else "smart-backend-services"


Auth = Annotated[
    Annotated[Literal["none"], Tag("none")] | Annotated[SmartBackendServices, Tag("smart-backend-services")],
    Discriminator(_auth_kind)]


class Limits(_Section):
    """What one server can bear, and how long we wait for it."""

    concurrency: int = Field(4, ge=1, le=256, description="Exchanges with it at the same time.", examples=[4])
    requests_per_second: float = Field(20.0, gt=0, le=10_000, description="Steps started per second with it, over all workers; one step makes several requests.", examples=[20])
    max_inline_bytes: int = Field(5_242_880, ge=1024, le=1 << 30,
                                  description="Largest attachment sent inside a resource.", examples=[5242880])
    search_lag_seconds: float = Field(5.0, ge=0, le=3600,
                                      description="How long after a write its search may not know it yet.",
                                      examples=[5])
    timeout_seconds: float = Field(30.0, gt=0, le=3600, description="How long we wait for one answer.", examples=[30])
    page_size: int = Field(200, ge=1, le=10_000, description="`_count` of searches.", examples=[200])
    chunk_size: int = Field(100, ge=1, le=10_000, description="Most resources in one transaction.", examples=[100])


class LocalCode(_Section):
    """A code of this site that means second opinion."""

    system: Name = Field(description="Code system.", examples=["https://clinic.example.org/codes"])
    code: Name = Field(description="Code, exactly as the site writes it.", examples=["2ND-OP"])


class Endpoint(_Section):
    """The FHIR R4 server of one party."""

    key: str = Field("", description="Its name in the map; filled in when loading.", exclude=True)
    base_url: Annotated[str, AfterValidator(_check_http)] = Field(
        description="Base address of its FHIR R4 server, or `hosted:<practice>` for one of ours.",
        examples=["https://fhir.example.org/r4"])
    role: Literal["placer", "fulfiller", "both"] = Field(
        description="placer asks for second opinions, fulfiller gives them.", examples=["placer"])
    name: Name = Field(default_factory=lambda data: data.get("key") or "endpoint",
                       description="The organization's name, as people read it. Default: its name in the map.",
                       examples=["Hillside Family Practice"])
    auth: Auth = Field("none", description="How we sign in: `none`, or a group of keys. This version "
                                               "checks that group, and cannot sign in with it yet.", examples=["none"])
    identifier_system: Name = Field(
        default_factory=lambda data: data.get("base_url", ""),
        description="System of the identifier that names a resource of this server elsewhere. Default: `base_url`. "
                    "Frozen at first use: give it when the address may change.",
        examples=["https://hillside.example.org/fhir"])
    accepts: Literal["resources", "documents"] = Field(
        "documents", description="Records as FHIR resources, or rendered as documents (PDF plus the originals).",
        examples=["documents"])
    patients: Literal["match", "create"] = Field(
        "match", description="May we create the patient there? match: only ever a sure match, else a person decides.",
        examples=["match"])
    contact: str | None = Field(None, description="Who to phone when it does not answer.",
                                examples=["IT desk, +1 555 0100"])
    limits: Limits = Field(default_factory=Limits, description="What the server can bear.")
    capabilities: Mapping[str, bool | int] = Field(
        default_factory=dict, description="Overrides of what the server says it can do.",
        examples=[{"transaction": False, "conditional_create": True}])
    default_fulfiller: str | None = Field(
        None, description="Endpoint that gets requests found here (by polling) that name no fulfiller.",
        examples=["university-hospital"])
    local_codes: tuple[LocalCode, ...] = Field(
        (), strict=False, description="Codes of this site that also mean second opinion.",
        examples=[[{"system": "https://clinic.example.org/codes", "code": "2ND-OP"}]])

    @property
    def is_placer(self) -> bool:
        """May ask for second opinions."""
        return self.role in ("placer", "both")

    @property
    def is_fulfiller(self) -> bool:
        """May give second opinions."""
        return self.role in ("fulfiller", "both")


class Schedules(_Section):
    """How often the Exchange looks."""

    dispatch_seconds: Seconds = Field(2.0, description="Choose due steps.", examples=[2])
    poll_requests_seconds: Seconds = Field(60.0, description="Look for new requests at placers.", examples=[60])
    watch_chart_seconds: Seconds = Field(900.0, description="Look for corrected or new records at placers.", examples=[900])
    watch_seconds: Seconds = Field(60.0, description="Look for progress and reports at fulfillers.", examples=[60])
    prune_cron: str = Field("0 3 * * *", description="When to remove what is past its retention; five fields, UTC.",
                            examples=["0 3 * * *"])

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
        last = first if last is None else last
        if first is not None and not low <= first <= last <= high or (step or 1) > high:
            return False
    return True


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Retry(RetryPolicy):
    """Bounds of retrying a delivery, in count and in time."""

    first_retry_seconds: float = Field(5.0, strict=True, gt=0, le=86400,
                                       description="Wait before the second attempt; doubles after.", examples=[5])
    max_retry_seconds: float = Field(900.0, strict=True, gt=0, le=7 * 86400,
                                     description="Longest wait between attempts.", examples=[900])
    max_attempts: int = Field(12, strict=True, ge=1, le=1000, description="Attempts before it is parked.",
                              examples=[12])
    max_age_seconds: float = Field(3 * 86400.0, strict=True, gt=0, le=366 * 86400,
                                   description="Time after the first attempt before it is parked.", examples=[259200])
    jitter: float = Field(0.2, strict=True, ge=0, le=1, description="Random share of the wait that is added.",
                          examples=[0.2])


class Engine(_Section):
    """The workers."""

    lease_seconds: float = Field(30.0, gt=0, le=3600, description="How long a worker owns a step without renewing.",
                                 examples=[30])
    concurrency: int = Field(8, ge=1, le=256, description="Steps one worker does at the same time.", examples=[8])
    workers: int = Field(1, ge=1, le=64, description="Worker processes that `serve` runs.", examples=[1])


class RecordsKept(_Section):
    """Which records travel, and how long a report is watched."""

    types: tuple[Name, ...] = Field(RECORD_TYPES, strict=False, min_length=1,
                                    description="Resource types gathered when a request names none.",
                                    examples=[["Condition", "Observation", "DiagnosticReport", "DocumentReference"]])
    watch_days: int = Field(90, ge=0, le=3650, description="Days a returned report is watched for amendments.",
                            examples=[90])
    max_attachment_bytes: int = Field(2 << 30, ge=1024, le=1 << 40, description="Largest attachment we carry.",
                                      examples=[2147483648])


class Payloads(_Section):
    """Where packet bytes are kept."""

    url: str | None = Field(None, description="Folder or object store (fsspec address). Default: `data_dir`/payloads.",
                            examples=["s3://exchange-payloads/packets"])


class Config(_Section):
    """All of config.yaml."""

    data_dir: Path = Field(Path("data"), strict=False,
                           description="Folder for the embedded database and payloads; relative to this file. "
                                       "`SECOND_OPINION_DATA_DIR` overrides it.", examples=["/var/lib/second-opinion"])
    database: Database = Field(default_factory=Database, description="The PostgreSQL.")
    web: Web = Field(default_factory=Web, description="Pages, API and hosted endpoints.")
    exchange: Exchange = Field(default_factory=Exchange, description="Who we are.")
    hosted: tuple[HostedPractice, ...] = Field((), strict=False, description="Practices we run a FHIR endpoint for.")
    endpoints: Mapping[Key, Endpoint] = Field(default_factory=dict, description="The parties' servers, by name.")
    schedules: Schedules = Field(default_factory=Schedules, description="How often we look.")
    retry: Retry = Field(default_factory=Retry, description="Bounds of retrying.")
    engine: Engine = Field(default_factory=Engine, description="The workers.")
    records: RecordsKept = Field(default_factory=RecordsKept, description="Which records travel.")
    payloads: Payloads = Field(default_factory=Payloads, description="Where packet bytes are kept.")

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
    def _payloads_default(self) -> "Config":
        if self.payloads.url is None:
            object.__setattr__(self, "payloads", Payloads(url=str(self.data_dir / "payloads")))
        return self


def _named(key: Any, endpoint: Any, web: Web) -> Any:
    """``endpoint`` knowing its name, with ``hosted:<practice>`` resolved to our own address."""
    if isinstance(endpoint, Endpoint):
        return endpoint if endpoint.key == key else endpoint.model_copy(update={"key": key})
    if not isinstance(endpoint, Mapping):
        return endpoint
    base_url = endpoint.get("base_url")
    if isinstance(base_url, str) and base_url.startswith("hosted:"):
        endpoint = {**endpoint, "base_url": f"{web.address}/fhir/{base_url.removeprefix('hosted:')}"}
    return {**endpoint, "key": key}
