"""The shape of config.yaml: every key with its meaning, default, bounds and an example, as frozen pydantic models.

Loaded by `integration.settings.config.load_config`; docs/reference/config.md is generated from the descriptions here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from integration.settings.alerts import Alerts
from integration.settings.directory import Directory
from integration.settings.endpoints import Endpoint
from integration.settings.health_library import HealthLibrary
from integration.settings.health_links import HealthLinks
from integration.settings.parts import (
    Key,
    Name,
    Section,
    Slug,
    System,
)
from integration.settings.running import Engine, Payloads, RecordsKept, Retention, Retry, Schedules, Tracing
from integration.settings.web import Web


class Database(Section):
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


class Exchange(Section):
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


class HostedPractice(Section):
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


class Config(Section):
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
    checklists: tuple[Annotated[Path, Field(strict=False)], ...] = Field(
        (),
        strict=False,
        description="Files with checklists of your own, laid over those that are shipped, in this order "
        "(docs/how-to/checklists.md).",
        examples=[["our-checklists.yaml"]],
    )
    directory: Directory = Field(default_factory=Directory, description="Where doctors are looked up.")
    health_links: HealthLinks = Field(default_factory=HealthLinks, description="SMART Health Links, out and in.")
    health_library: HealthLibrary = Field(
        default_factory=HealthLibrary, description="Something to read about a diagnosis."
    )
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

    def intake(self, fulfiller: str) -> dict:
        """What taking in a request for a fulfiller needs of the configuration."""
        endpoint = self.endpoints.get(fulfiller)
        return {"lead_days": self.records.lead_days, "program": endpoint.program_rules if endpoint else None}

    @property
    def hosted_endpoints(self) -> frozenset[str]:
        """The endpoints whose FHIR server is ours."""
        return frozenset(key for key, each in self.endpoints.items() if each.hosted_practice)

    def asks_consent(self, endpoint: str) -> bool:
        """Does nothing leave for this endpoint before the patient's consent was recorded?"""
        found = self.endpoints.get(endpoint)
        return found is not None and found.asks_consent

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
