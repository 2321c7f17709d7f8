"""A check of an endpoint: what works there, what will degrade, and by which road each of our writes reaches it."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine

from integration import keys
from integration.checks.block import as_yaml, block
from integration.checks.connection import certificate, interface, own_keys, signing_in
from integration.checks.pages import pages
from integration.checks.searches import searches
from integration.checks.tried import MOST_SECONDS, Tried, Trying
from integration.checks.writing import writes as written_there
from integration.fhir.capabilities import Capabilities, probe
from integration.fhir.exchanges import Observer, ignore
from integration.fhir.server import FhirServer
from integration.fhir.servers import Servers
from integration.roads.open import road_for
from integration.roads.road import Way
from integration.settings.config import Config, Endpoint
from integration.store import endpoint_checks, endpoints
from integration.views.endpoints import allowed_differences
from jobs.gate import for_a_person
from jobs.world import Context, Outcome
from mappings.advice import Reached, Seen, guessed_profile, writes
from mappings.check_changes import changes
from mappings.model.errors import ExchangeError, NeedsPerson, TemporaryError
from mappings.model.leaving import Going, Reason
from mappings.model.request import Identifier
from mappings.model.trials import Trial

MUST = (Trial.CERTIFICATE, Trial.SIGN_IN)


@dataclass(frozen=True)
class TestPatient:
    """``Patient/id`` of an invented person at the endpoint; ``write``: marked documents about them may be written there.

    ``encounter``: ``Encounter/id`` of theirs, for systems where a document has to name one.
    """

    __test__ = False
    reference: str
    write: bool = False
    encounter: str | None = None


def check_endpoints(ctx: Context) -> Outcome:
    """The step: one check that somebody asked for, reading only, then the next one."""
    with ctx.world.engine.begin() as conn:
        asked = endpoint_checks.waiting(conn)
    found = _asked_for(ctx, asked.endpoint) if asked else {}
    outcome = Outcome()

    def keep(conn: Connection) -> None:
        if asked:
            endpoint_checks.done(conn, asked, found, ctx.now)
        if endpoint_checks.waiting(conn):
            outcome.again_at = ctx.now

    outcome.apply = [keep]
    return outcome


def _asked_for(ctx: Context, name: str) -> dict[str, Any]:
    config = ctx.world.config
    if name not in config.endpoints:
        return {"endpoint": name, "problems": [f"config.yaml has no endpoint {name}"]}
    return checked(config, ctx.world.engine, ctx.world.servers, name)


def check_now(
    config: Config, engine: Engine, servers: Servers, name: str, patient: TestPatient | None = None, *, actor: str
) -> dict[str, Any]:
    """As `checked`, and kept for the pages and for the next one."""
    found = checked(config, engine, servers, name, patient)
    with engine.begin() as conn:
        endpoint_checks.keep(conn, name, found, datetime.now(UTC), actor=actor)
    return found


def checked(
    config: Config, engine: Engine, servers: Servers, name: str, patient: TestPatient | None = None
) -> dict[str, Any]:
    """Everything tried at an endpoint; what it does not answer is a problem of the answer. With what changed since the last."""
    found = examined(config, engine, servers, name, patient)
    with engine.begin() as conn:
        software = endpoints.software_seen(conn, name, found.get("software"), found.get("software_version"))
        before = endpoint_checks.last(conn, name)
    if before is not None:
        return {**found, "changed_since": changes(before.found, found), "compared_with": before.done_at.isoformat()}
    return {**found, "changed_since": [software] if software else [], "compared_with": None}


def examined(
    config: Config, engine: Engine, servers: Servers, name: str, patient: TestPatient | None
) -> dict[str, Any]:
    endpoint = config.endpoints[name]
    try:
        can, tried = _tried(config, endpoint, engine, servers, patient)
    except (TemporaryError, NeedsPerson) as error:
        can, tried = Capabilities(problems=(f"{error}{_next_step(endpoint)}",)), []
    guess = _guess(endpoint, can)
    one, spoke = proposed(endpoint, guess), not can.problems and can.fhir_version is not None
    asking = _Asking(config, servers, one, can.with_overrides(one.overrides))
    missing = _missing(asking)
    reached = roads_of(asking, tried, missing) if spoke else []
    learned = {path: value for each in tried for path, value in each.learned.items()}
    made = block(endpoint, one, reached, missing, learned)
    return {
        "endpoint": name,
        "problems": [*can.problems, *(each.says for each in tried if each.what in MUST and each.worked is False)],
        **{key: value for key, value in can.to_json().items() if key != "problems"},
        "tried": [asdict(each) for each in tried],
        "left_there": [each for one in tried for each in one.left],
        "profile": endpoint.profile,
        "guessed_profile": guess,
        "writes": [asdict(each) for each in reached],
        "learned": learned,
        "config": made.values if spoke else {},
        "config_yaml": as_yaml(name, made) if spoke else "",
        "sentences": can.sentences(),
        "allowed_differences": allowed_differences(endpoint),
    }


def _next_step(endpoint: Endpoint) -> str:
    """What to do when it does not answer."""
    if endpoint.hosted_practice:
        return ". It is one of ours: start second-opinion serve first"
    return f". Check base_url and the firewall, and ask who runs it ({endpoint.contact or 'no contact is configured'})"


def _guess(endpoint: Endpoint, can: Capabilities) -> str | None:
    return guessed_profile(can.software, urlsplit(endpoint.base_url).hostname)


def proposed(endpoint: Endpoint, guess: str | None) -> Endpoint:
    """As config.yaml has it; where that names no vendor, with the profile that its software speaks for."""
    return endpoint.model_copy(update={"profile": guess}) if guess and endpoint.profile == "generic" else endpoint


def roads_of(asking: "_Asking", tried: list[Tried], missing: Mapping[str, str]) -> list[Reached]:
    """By which road each of our writes reaches it. Nothing is sent."""
    worked, refused = {each.what: each.worked for each in tried}, {each.what for each in tried if each.refused}
    return writes(asking.checked, Seen(asking.says, worked, missing, asking.config.records.types, refused))


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

    @property
    def exchanges(self) -> Observer:
        return ignore

    def turn(self, key: str) -> None:
        raise LookupError("a check sends no document by a road")

    def before_write(self, key: str, going: Going) -> None:
        raise LookupError("a check sends no document by a road")

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
    config: Config, endpoint: Endpoint, engine: Engine, servers: Servers, patient: TestPatient | None
) -> tuple[Capabilities, list[Tried]]:
    until = time.monotonic() + MOST_SECONDS
    tried = list(_before_speaking(config, endpoint, servers))
    if any(each.worked is False for each in tried if each.what in MUST):
        return Capabilities(), tried
    can = probe(servers.server(endpoint.key))
    if can.problems:
        return can, tried
    one = proposed(endpoint, _guess(endpoint, can))
    about = patient.reference if patient else None
    reading = Trying(servers.server(endpoint.key), can, one, about, config.records.types, until)
    tried += [*searches(reading), *pages(reading)]
    if patient is not None and patient.write:
        gated = for_a_person(engine, servers, endpoint.key, "command line", Reason.CHECK)
        tried += written_there(replace(reading, server=gated), patient.encounter)
    return can, tried


def _before_speaking(config: Config, endpoint: Endpoint, servers: Servers) -> Iterator[Tried]:
    if (engine := interface(endpoint)) is not None:
        yield engine
    seen = certificate(endpoint.base_url, endpoint.tls, datetime.now(UTC))
    if seen is not None:
        yield seen
    if endpoint.auth == "none" or seen is not None and seen.worked is False:
        return
    name = getattr(endpoint.auth, "keys", None)
    if name and config.web.public_url:
        yield _own_keys(config, name)
    try:
        headers, scope = servers.signing_of(endpoint.key)
    except ExchangeError as error:  # a secret that cannot be read
        yield Tried(Trial.SIGN_IN, False, str(error))
        return
    yield signing_in(headers, scope)


def _own_keys(config: Config, name: str) -> Tried:
    try:
        kid = keys.signer(config.keys_folder, name, datetime.now(UTC)).kid
    except keys.KeyProblem as error:
        return Tried(Trial.OWN_KEYS, False, str(error))
    return own_keys(f"{config.web.public_url}/.well-known/jwks/{name}.json", kid)
