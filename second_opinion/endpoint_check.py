"""``second-opinion endpoints check``: what works at an endpoint, what will degrade, and what to write into config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mappings.model.errors import TransferError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from integration.fhir.capabilities import Capabilities
    from integration.fhir.servers import Servers
    from integration.fhir.trial import Tried
    from integration.settings.config import Config, Endpoint

_WORD = {True: "yes", False: "NO", None: "?"}


def checked(config: Config, engine: Engine, servers: Servers, name: str, patient: str | None) -> dict:
    """Everything tried at an endpoint; ``patient``: also write there, about this test patient. Raises TransferError."""
    from integration.fhir import trial
    from integration.store import endpoints
    from integration.views.requests import allowed_differences

    endpoint = config.endpoints[name]
    can, tried = _tried(endpoint, engine, servers, patient)
    with engine.begin() as conn:
        before = endpoints.software_seen(conn, name, can.software, can.software_version)
    return {
        "endpoint": name,
        "problems": [*can.problems, *(each.says for each in tried if each.what in _MUST and each.worked is False)],
        **can.to_json(),
        "tried": [asdict(each) for each in tried],
        "verification": trial.levels(can, tried),
        "capabilities": trial.settings(can, tried),
        "changed_since": before,
        **_advice(endpoint, can, tried),
        "sentences": can.sentences(),
        "allowed_differences": allowed_differences(endpoint),
    }


def _advice(endpoint: Endpoint, can: Capabilities, tried: list[Tried]) -> dict:
    """By which road a report reaches it and what could be known of it then; whose software it seems to be."""
    from mappings.advice import guessed_profile, report_road
    from mappings.model.profiles import PROFILES
    from mappings.model.roads import LEVELS, ROADS

    guess = guessed_profile(can.software)
    worked = {each.what: each.worked for each in tried}
    profile = PROFILES[guess] if guess and endpoint.profile == "generic" else endpoint.of_profile
    found = report_road(profile, can.document_reference_create, worked)
    return {
        "profile": endpoint.profile,
        "guessed_profile": guess,
        "report_road": found.road,
        "report_level": found.level,
        "report_says": f"{ROADS[found.road].words}; {LEVELS[found.level]}" + ("" if found.tried else " (not tried)"),
    }


_MUST = ("certificate", "sign-in")


def _tried(
    endpoint: Endpoint, engine: Engine, servers: Servers, patient: str | None
) -> tuple[Capabilities, list[Tried]]:
    from integration.fhir import trial
    from integration.fhir.capabilities import Capabilities
    from jobs.gate import for_a_person
    from mappings.model.leaving import Reason

    tried = list(_before_speaking(endpoint, servers))
    if any(each.worked is False for each in tried):
        return Capabilities(), tried
    server = servers.server(endpoint.key)
    can, looked = trial.try_reading(server)
    tried += looked
    if patient is not None and not can.problems:
        tried += trial.writes(
            for_a_person(engine, servers, endpoint.key, "command line", Reason.CHECK),
            patient,
            endpoint.identifier_system,
        )
    return can, tried


def _before_speaking(endpoint: Endpoint, servers: Servers) -> Iterator[Tried]:
    from integration.fhir import trial

    seen = trial.certificate(endpoint.base_url, endpoint.tls, datetime.now(UTC))
    if seen is not None:
        yield seen
    if endpoint.auth != "none" and (seen is None or seen.worked is not False):
        yield trial.signing_in(*servers.signing_of(endpoint.key))


def lines(found: dict) -> str:
    """The same for people: what works, what does not, and what to do about it."""
    shown = [f"{found['endpoint']}: {'usable' if not found['problems'] else 'NOT usable'}"]
    shown += [f"  {line}" for line in (found["problems"] if found["problems"] else found["sentences"])]
    width = max((len(each["what"]) for each in found["tried"]), default=0)
    shown += [f"  {_WORD[each['worked']]:<4} {each['what']:<{width}}  {each['says']}" for each in found["tried"]]
    if not found["problems"]:
        shown.append(f"  verification: {found['verification']}")
        shown.append(f"  a report goes by {found['report_road']}: {found['report_says']}")
    if found["changed_since"]:
        shown.append(f"  changed since the last check: {found['changed_since']}")
    shown += [f"  reviewed difference: {line}" for line in found["allowed_differences"]]
    guess = found["guessed_profile"]
    is_new = guess is not None and guess != found["profile"]
    if is_new or found["capabilities"]:
        shown += ["", "to write into config.yaml, under this endpoint:"]
        shown += [f"    profile: {guess}    # guessed from the name of its software"] if is_new else []
    if found["capabilities"]:
        shown += ["    capabilities:"]
        shown += [f"      {name}: {str(value).lower()}" for name, value in found["capabilities"].items()]
    return "\n".join(shown)


def next_step(endpoint: Endpoint, error: TransferError) -> str:
    """What to do when it does not answer."""
    if endpoint.hosted_practice:
        return ". It is one of ours: start second-opinion serve first"
    return f". Check base_url and the firewall, and ask who runs it ({endpoint.contact or 'no contact is configured'})"
