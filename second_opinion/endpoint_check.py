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
        "sentences": can.sentences(),
        "allowed_differences": allowed_differences(endpoint),
    }


_MUST = ("certificate", "sign-in")


def _tried(
    endpoint: Endpoint, engine: Engine, servers: Servers, patient: str | None
) -> tuple[Capabilities, list[Tried]]:
    from integration.fhir import trial
    from integration.fhir.capabilities import Capabilities
    from jobs.gate import for_a_check

    tried = list(_before_speaking(endpoint, servers))
    if any(each.worked is False for each in tried):
        return Capabilities(), tried
    server = servers.server(endpoint.key)
    can, looked = trial.try_reading(server)
    tried += looked
    if patient is not None and not can.problems:
        tried += trial.writes(
            for_a_check(engine, servers, endpoint.key, "command line"), patient, endpoint.identifier_system
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
    if found["changed_since"]:
        shown.append(f"  changed since the last check: {found['changed_since']}")
    shown += [f"  reviewed difference: {line}" for line in found["allowed_differences"]]
    if found["capabilities"]:
        shown += ["", "to write into config.yaml, under this endpoint:", "    capabilities:"]
        shown += [f"      {name}: {str(value).lower()}" for name, value in found["capabilities"].items()]
    return "\n".join(shown)


def next_step(endpoint: Endpoint, error: TransferError) -> str:
    """What to do when it does not answer."""
    if endpoint.hosted_practice:
        return ". It is one of ours: start second-opinion serve first"
    return f". Check base_url and the firewall, and ask who runs it ({endpoint.contact or 'no contact is configured'})"
