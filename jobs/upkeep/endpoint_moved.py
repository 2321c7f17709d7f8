"""An endpoint moved to another address: is it still the same server? Every link is read and compared before anything goes there."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from integration.fhir.capabilities import probe
from integration.fhir.server import FhirServer
from integration.server_address import address_of, is_for_tests
from integration.store import audit, patient_links, requests
from integration.store import endpoints as store
from integration.store.operations import NotPossible
from integration.store.patient_links import PatientLink
from jobs.patients import wanted_in
from jobs.world import World
from mappings.identifiers import identifiers_in
from mappings.model.errors import PermanentError
from mappings.model.request import Identifier
from mappings.patient_link import in_words, why_it_ends
from mappings.references import has_identifier

BATCH = 40
TOLD = 500  # references that the audit row names


@dataclass(frozen=True)
class Lost:
    """Something linked at the endpoint that is not what it was there."""

    reference: str
    why: str
    request_id: str = ""


@dataclass(frozen=True)
class Moved:
    """What a look at the new address came to."""

    was: str
    now: str
    looked_at: int
    holds: int
    lost: tuple[Lost, ...]
    steps: int = 0


def compare_links(world: World, key: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Moved:
    """Read and compare every link of an endpoint at the address config.yaml names. Raises NotPossible: another server."""
    was, now = _addresses(world, key)
    _must_have_moved(world, key, was == now)
    with world.engine.begin() as conn:
        people, records = patient_links.all_at(conn, key), store.links_at(conn, key)
    total = len(people) + len(records)
    lost = [*_patients_lost(world, key, people)]
    lost += _records_lost(world.servers.server(key), records, lambda done: progress(len(people) + done, total))
    linked = {each.reference for each in people} | {reference for _, _, reference, _ in records}
    found = Moved(was, now, len(linked), len(linked - {each.reference for each in lost}), tuple(lost))
    if found.looked_at and not found.holds:
        raise NotPossible(
            f"nothing that is linked at {key} holds at {now} ({found.looked_at} looked at): that is another server than "
            f"{was}. Write the first address back, and give this one an endpoint name and identifier_system of its own"
        )
    return found


def move(world: World, key: str, found: Moved, *, actor: str, reason: str) -> Moved:
    """A person says that the endpoint moved: what holds stays, what does not is forgotten and asked anew, all of it audited."""
    gone = {each.reference for each in found.lost}
    with world.engine.begin() as conn:
        ended = [each for each in patient_links.all_at(conn, key) if each.reference in gone]
        for link in ended:
            patient_links.end(conn, link.request_id, key, actor=actor)
        pairs = [(system, value) for system, value, reference, _ in store.links_at(conn, key) if reference in gone]
        store.forget_links(conn, key, pairs)
        due = store.set_moved(conn, key, found.now)
        audit.record(
            conn,
            actor,
            "endpoint.moved",
            subject=key,
            reason=reason,
            detail={"from": found.was, "to": found.now, "lost": [each.reference for each in found.lost][:TOLD]},
        )
    return replace(found, steps=due)


def _addresses(world: World, key: str) -> tuple[str, str]:
    endpoint = world.config.endpoints.get(key)
    if endpoint is None:
        raise NotPossible(f"there is no endpoint {key[:80]}")
    with world.engine.begin() as conn:
        known = store.known(conn, key)
    was, now = known.base_url or address_of(endpoint), address_of(endpoint)
    if is_for_tests(was) != is_for_tests(now):
        raise NotPossible(
            f"{key} was {was} and would be {now}: one of them is a test server. Records of one never go to the other: "
            "write the first address back, and give the other server an endpoint name and identifier_system of its own"
        )
    return was, now


def _must_have_moved(world: World, key: str, is_same_address: bool) -> None:
    can = probe(world.servers.server(key))
    if can.problems:
        raise NotPossible(f"{key} cannot be used: {'; '.join(can.problems)}")
    with world.engine.begin() as conn:
        says = store.known(conn, key).says
    if is_same_address and says in (None, can.of_itself):
        raise NotPossible(f"{key} has not moved: its address and what it says of itself are those of first use")


def _patients_lost(world: World, key: str, links: Iterable[PatientLink]) -> Iterator[Lost]:
    for link in links:
        with world.engine.begin() as conn:
            request = requests.content(requests.get(conn, link.request_id))
        wanted = wanted_in(world, link.request_id, request, key)
        there = world.servers.server(key).read_if_there(link.reference)
        why = why_it_ends(link, wanted.compared_as, there, wanted.compared_by)
        if why:
            yield Lost(link.reference, in_words(*why[:1]), link.request_id)


def _records_lost(server: FhirServer, records: list, progress: Callable[[int], None]) -> Iterator[Lost]:
    """By type, in batches; what we created carries the identifier of its source, or it is somebody else's."""
    by_kind: dict[str, list] = {}
    for record in records:
        by_kind.setdefault(record[2].split("/")[0], []).append(record)
    done = 0
    for kind, of_kind in sorted(by_kind.items()):
        for start in range(0, len(of_kind), BATCH):
            batch = of_kind[start : start + BATCH]
            there = _read(server, kind, [reference.split("/")[1] for _, _, reference, _ in batch])
            for system, value, reference, origin in batch:
                if why := _why_lost(there.get(reference), Identifier(system=system, value=value), origin):
                    yield Lost(reference, why)
            done += len(batch)
            progress(done)


def _read(server: FhirServer, kind: str, ids: list[str]) -> dict[str, dict]:
    """``{Type/id: resource}``; one by one where the server cannot search by ``_id``."""
    try:
        found = {f"{kind}/{each.get('id')}": each for each in server.search_all(kind, {"_id": ",".join(ids)})}
    except PermanentError:
        found = {}
    wanted = {f"{kind}/{each}" for each in ids}
    read = {name: there for name in wanted - set(found) if (there := server.read_if_there(name)) is not None}
    return {name: each for name, each in (found | read).items() if name in wanted}


def _why_lost(there: dict | None, identifier: Identifier, origin: str) -> str:
    if there is None:
        return "is not there any more"
    if (
        origin == "created"
        and has_identifier(there.get("resourceType")) == "many"
        and identifier not in identifiers_in(there)
    ):
        return "does not carry the identifier we gave it"
    return ""
