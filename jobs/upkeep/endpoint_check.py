"""A check of an endpoint: what works there, what will degrade, and by which road each of our writes reaches it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from integration.fhir import trial
from integration.fhir.capabilities import Capabilities
from integration.fhir.server import FhirServer
from integration.fhir.servers import Servers
from integration.fhir.trial import Tried
from integration.roads.open import road_for
from integration.roads.road import Way
from integration.settings.config import Config, Endpoint
from integration.store import endpoints
from integration.views.requests import allowed_differences
from jobs.gate import for_a_person
from mappings.advice import Reached, Seen, guessed_profile, writes
from mappings.model.errors import ExchangeError
from mappings.model.leaving import Reason
from mappings.model.request import Identifier
from mappings.model.trials import Trial

MUST = (Trial.CERTIFICATE, Trial.SIGN_IN)


def checked(config: Config, engine: Engine, servers: Servers, name: str, patient: str | None) -> dict[str, Any]:
    """Everything tried at an endpoint; ``patient``: also write there, about this test patient. Raises TransferError."""
    endpoint = config.endpoints[name]
    can, tried = _tried(endpoint, engine, servers, patient)
    with engine.begin() as conn:
        before = endpoints.software_seen(conn, name, can.software, can.software_version)
    guess = guessed_profile(can.software)
    reached = [] if can.problems else roads_of(config, servers, proposed(endpoint, guess), can, tried)
    return {
        "endpoint": name,
        "problems": [*can.problems, *(each.says for each in tried if each.what in MUST and each.worked is False)],
        **can.to_json(),
        "tried": [asdict(each) for each in tried],
        "profile": endpoint.profile,
        "guessed_profile": guess,
        "writes": [asdict(each) for each in reached],
        "capabilities": trial.settings(can, tried),
        "changed_since": before,
        "sentences": can.sentences(),
        "allowed_differences": allowed_differences(endpoint),
    }


def proposed(endpoint: Endpoint, guess: str | None) -> Endpoint:
    """As config.yaml has it; where that names no vendor, with the profile that its software speaks for."""
    return endpoint.model_copy(update={"profile": guess}) if guess and endpoint.profile == "generic" else endpoint


def roads_of(
    config: Config, servers: Servers, endpoint: Endpoint, can: Capabilities, tried: list[Tried]
) -> list[Reached]:
    """By which road each of our writes reaches it. Nothing is sent."""
    says = can.with_overrides(endpoint.overrides)
    asking = _Asking(config, servers, endpoint, says)
    worked = {each.what: each.worked for each in tried}
    return writes(endpoint, Seen(says, worked, _missing(asking), config.records.types))


@dataclass(frozen=True)
class _Asking:
    """What a road may use to say whether it can be used at all (`integration.roads.road.Attempt`)."""

    config: Config
    servers: Servers
    checked: Endpoint
    says: Capabilities

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def endpoint(self, key: str) -> Endpoint:
        return self.checked if key == self.checked.key else self.config.endpoints[key]

    def server(self, key: str) -> FhirServer:
        return self.servers.server(key)

    def capabilities(self, key: str) -> Capabilities:
        return self.says if key == self.checked.key else Capabilities()

    def bases(self, key: str) -> tuple[str, ...]:
        return self.endpoint(key).bases

    def finding(self, cause: str, message: str, path: str = "", severity: str = "warning") -> None:
        """Nothing is on its way that it could be about."""


def _missing(asking: _Asking) -> dict[str, str]:
    """Roads of the endpoint that cannot be used, with the sentence that says why."""
    way = Way(asking.checked.key, asking, _compares_nothing, _finds_nothing)
    found = {name: _why_not(way, name) for name in asking.checked.road_names}
    return {name: why for name, why in found.items() if why}


def _why_not(way: Way, name: str) -> str:
    road = road_for(way, name)
    if road is None:
        return "this installation has no such road"
    try:
        impossible = road.can()
    except ExchangeError as error:
        return str(error)
    return impossible.message if impossible else ""


def _compares_nothing(endpoint: str, sent: dict, read: dict, name: str) -> bool:
    raise LookupError("a check sends no document by a road")


def _finds_nothing(endpoint: str, kind: str, identifier: Identifier) -> tuple[list[dict], bool]:
    raise LookupError("a check looks for no document by a road")


def _tried(
    endpoint: Endpoint, engine: Engine, servers: Servers, patient: str | None
) -> tuple[Capabilities, list[Tried]]:
    tried = list(_before_speaking(endpoint, servers))
    if any(each.worked is False for each in tried):
        return Capabilities(), tried
    can, looked = trial.try_reading(servers.server(endpoint.key))
    tried += looked
    if patient is not None and not can.problems:
        writing = for_a_person(engine, servers, endpoint.key, "command line", Reason.CHECK)
        tried += trial.writes(writing, patient, endpoint.identifier_system)
    return can, tried


def _before_speaking(endpoint: Endpoint, servers: Servers) -> Iterator[Tried]:
    seen = trial.certificate(endpoint.base_url, endpoint.tls, datetime.now(UTC))
    if seen is not None:
        yield seen
    if endpoint.auth != "none" and (seen is None or seen.worked is not False):
        yield trial.signing_in(*servers.signing_of(endpoint.key))
