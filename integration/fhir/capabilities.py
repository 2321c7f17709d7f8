"""What a FHIR server says it can do, corrected by what config.yaml knows better: servers lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from integration.fhir.server import FhirServer
from mappings.model.capabilities import QUIRKS
from mappings.model.errors import PermanentError

_OTHER_VERSIONS = {"0": "DSTU1", "1.0": "DSTU2", "3.0": "STU3", "4.1": "R4B", "4.3": "R4B", "5.0": "R5", "6.0": "R6"}
_WE_CREATE = ("ServiceRequest", "Task", "DocumentReference")


@dataclass(frozen=True)
class Capabilities:
    """What one endpoint can do. https://hl7.org/fhir/R4/capabilitystatement.html

    ``problems`` are sentences; with any of them no exchange will work before somebody acts.
    """

    fhir_version: str | None = None
    software: str | None = None
    software_version: str | None = None
    implementation_url: str | None = None
    transaction: bool = False
    conditional_create: bool = False
    versioned_update: bool = False
    task: bool = False
    binary_create: bool = False
    service_request_create: bool = False
    document_reference_create: bool = False
    max_page: int | None = None  # no CapabilityStatement says it; only config.yaml does
    creates: frozenset[str] = frozenset()  # types
    updates: frozenset[str] = frozenset()
    searches: Mapping[str, frozenset[str]] = field(default_factory=dict)  # type -> search parameters
    problems: tuple[str, ...] = ()

    @property
    def of_itself(self) -> dict[str, str | None]:
        """Which server it says it is. Versions change with an upgrade, and the host with the node that answers."""
        path = urlsplit(self.implementation_url or "").path.rstrip("/")
        return {"software": self.software, "path": path or None}

    @property
    def takes_requests(self) -> bool:
        """True when a consultant can be asked there: it takes the ServiceRequest and the Task that asks for it."""
        return self.task and self.service_request_create

    def can_search(self, resource_type: str, *parameters: str) -> bool:
        """True when the server says it searches that type by those parameters."""
        return resource_type in self.searches and set(parameters) <= self.searches[resource_type]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, to be remembered; `from_json` reads it back."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Capabilities":
        """What `to_json` gave; fields this version does not know are left out."""
        known: dict[str, Any] = {name: value for name, value in kept.items() if name in cls.__dataclass_fields__}
        searches = {kind: frozenset(names) for kind, names in known.get("searches", {}).items()}
        types = {name: frozenset(known.get(name, ())) for name in ("creates", "updates")}
        return cls(**{**known, **types, "searches": searches, "problems": tuple(known.get("problems", ()))})

    def sentences(self) -> list[str]:
        """What a person reads: problems first, then what the server says it can do."""
        yes_no = {True: "yes", False: "no"}
        said = [
            f"{words}: {yes_no[value]}"
            for words, value in (
                ("transactions", self.transaction),
                ("conditional create", self.conditional_create),
                ("holds Task", self.task),
                ("takes ServiceRequest", self.service_request_create),
                ("can be asked as a consulting provider's system", self.takes_requests),
                ("takes DocumentReference", self.document_reference_create),
            )
        ]
        version = f"FHIR {self.fhir_version or 'version not stated'}, {self.software or 'software not stated'}"
        version += f" {self.software_version}" if self.software_version else ""
        return [*self.problems, version, *said, f"searches {len(self.searches)} types"]

    def with_overrides(self, overrides: Mapping[str, bool | int]) -> "Capabilities":
        """As config.yaml says; a name that is no capability becomes a problem."""
        known: dict[str, Any] = {name: value for name, value in overrides.items() if name in QUIRKS}
        wrong = tuple(
            f"capabilities.{name} in config.yaml is no capability; there are {', '.join(sorted(QUIRKS))}"
            for name in sorted(set(overrides) - set(known))
        )
        if known.get("task"):  # who says that it takes the Task says it of what the Task is about
            known["service_request_create"] = True
        return replace(self, **known, problems=self.problems + wrong)


def probe(server: FhirServer) -> Capabilities:
    """Ask ``/metadata`` and apply the endpoint's overrides; a server that is no FHIR R4 server gives ``problems``.

    Temporary failures are raised: they say nothing about what the server can do.
    """
    try:
        statement = server.metadata()
    except PermanentError as error:
        ask = "" if "base_url" in str(error) else ". Is base_url the address of a FHIR R4 server?"
        return Capabilities(problems=(f"{error}{ask}",))
    return read_statement(statement).with_overrides(server.endpoint.overrides)


def read_statement(statement: Mapping[str, Any]) -> Capabilities:
    """A CapabilityStatement as we need it; read leniently, real ones leave required elements out."""
    if statement.get("resourceType") not in ("CapabilityStatement", "Conformance"):
        return Capabilities(problems=("/metadata answers with something else than a CapabilityStatement",))
    version = _text(statement.get("fhirVersion"))
    rest = next((each for each in _dicts(statement.get("rest")) if each.get("mode", "server") == "server"), None)
    problems = [*_version_problems(version), *_format_problems(statement)]
    if rest is None:
        problems.append("the CapabilityStatement describes no REST server (rest.mode server)")
    told = _of_rest(rest or {}, version, _text(_dict(statement.get("software")).get("name")), tuple(problems))
    return replace(
        told,
        implementation_url=_text(_dict(statement.get("implementation")).get("url")),
        software_version=_text(_dict(statement.get("software")).get("version")),
    )


def _of_rest(
    rest: Mapping[str, Any], version: str | None, software: str | None, problems: tuple[str, ...]
) -> Capabilities:
    types = {each["type"]: each for each in _dicts(rest.get("resource")) if isinstance(each.get("type"), str)}
    creates = _having(types, "create")
    created = [types[name] for name in _WE_CREATE if name in creates]
    return Capabilities(
        fhir_version=version,
        software=software,
        problems=problems,
        transaction="transaction" in _codes(rest.get("interaction")),
        conditional_create=_all(created, "conditionalCreate"),
        versioned_update=bool(created) and all(each.get("versioning") == "versioned-update" for each in created),
        task={"create", "update", "read"} <= _codes(types.get("Task", {}).get("interaction")),
        binary_create="Binary" in creates,
        service_request_create="ServiceRequest" in creates,
        document_reference_create="DocumentReference" in creates,
        creates=creates,
        updates=_having(types, "update"),
        searches={name: _names(types[name].get("searchParam")) for name in _having(types, "search-type")},
    )


def _version_problems(version: str | None) -> list[str]:
    if version is None:
        return ["the CapabilityStatement names no FHIR version; R4 (4.0.1) is needed"]
    if version.startswith("4.0"):
        return []
    name = next((f", which is {name}" for start, name in _OTHER_VERSIONS.items() if version.startswith(start)), "")
    return [f"the server speaks FHIR {version}{name}; R4 (4.0.1) is needed. Ask for its R4 address"]


def _format_problems(statement: Mapping[str, Any]) -> list[str]:
    formats = [each for each in statement.get("format") or () if isinstance(each, str)]
    if formats and not any("json" in each.lower() for each in formats):
        return ["the server speaks no JSON; FHIR JSON is needed"]
    return []


def _having(types: Mapping[str, Mapping[str, Any]], interaction: str) -> frozenset[str]:
    return frozenset(name for name, each in types.items() if interaction in _codes(each.get("interaction")))


def _codes(interactions: Any) -> set[Any]:
    return {each.get("code") for each in _dicts(interactions)}


def _names(parameters: Any) -> frozenset[str]:
    return frozenset(each["name"] for each in _dicts(parameters) if isinstance(each.get("name"), str))


def _all(resources: Sequence[Mapping[str, Any]], flag: str) -> bool:
    return bool(resources) and all(each.get(flag) is True for each in resources)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: Any) -> Any:
    """Sets as sorted lists, mappings entry by entry."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value
