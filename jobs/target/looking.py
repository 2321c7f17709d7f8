"""Looking for what is there already. What a search answers is believed only of resources that carry what was asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from integration.fhir.server import FhirServer, identifier_token
from integration.packets import stored as packets
from integration.roads.patient_documents import is_older
from integration.store.pace import parallel_requests
from jobs.world import Context
from mappings.addresses import base_in
from mappings.bundle import identity_of
from mappings.codes import as_dict, as_text
from mappings.identifiers import identifiers_in
from mappings.model.errors import NeedsPerson
from mappings.model.request import Identifier
from mappings.own_resource import verdict
from mappings.same_document import Verdict
from mappings.subject import searched_by

LOOK_BATCH = 40  # identifiers in one search: 40 x ~60 bytes stays under common 8 KB URL limits
CONDITION_IGNORED = "condition-ignored"
STRANGERS = 100  # so many answers that nobody asked for, and none that was: the server ignores the parameter


@dataclass
class Looked:
    """What a look-up found: ``{source: resources there that carry what it is recognized by}``."""

    found: dict[str, list[dict]] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)  # types whose search answered with others' resources only
    asked: bool = True  # False where the configuration says that a search by identifier finds nothing there


def find_all(ctx: Context, endpoint: str, kind: str, identifier: Identifier) -> list[dict]:
    """Every resource at the endpoint that carries the identifier, by id; those the server only answers with are left out."""
    return find_carrying(ctx, endpoint, kind, identifier)[0]


def find_carrying(ctx: Context, endpoint: str, kind: str, identifier: Identifier) -> tuple[list[dict], bool]:
    """As ``find_all``, and whether the server answered as if nothing had been asked: then that none was found says nothing."""
    token = identifier_token(identifier.system, identifier.value)
    found, _, is_ignored = _carrying(ctx.server(endpoint), kind, token, {identifier})
    if is_ignored:
        ctx.finding(
            "search-ignored", f"{endpoint} answers a search by identifier with resources that do not carry it", kind
        )
    return sorted(found, key=lambda each: each["id"]), is_ignored


def find_one(ctx: Context, endpoint: str, kind: str, identifier: Identifier) -> str | None:
    """``Type/id`` of the one resource with the identifier, None when there is none. Raises NeedsPerson when there are two."""
    found = find_all(ctx, endpoint, kind, identifier)
    if len(found) > 1:
        raise NeedsPerson(
            "duplicate-at-target",
            f"{len(found)} {kind} resources at {endpoint} hold one identifier: {names_of(found)}",
        )
    return packets.source_of(found[0]) if found else None


def find_first(ctx: Context, endpoint: str, kind: str, identifier: Identifier) -> str | None:
    """As ``find_one`` for people and places: of several copies always the same one, and a person is told which.

    They say the same, because all were made of one record; so nothing has to wait until the others are removed.
    """
    found = find_all(ctx, endpoint, kind, identifier)
    if len(found) > 1:
        ctx.finding(
            "duplicate-at-target",
            f"{len(found)} {kind} resources at {endpoint} hold one identifier: {names_of(found)}; the first of them is "
            "used. Have the others removed there, or merged into it",
            identifier.value,
            "error",
        )
    return packets.source_of(found[0]) if found else None


def must_be_ours(ctx: Context, endpoint: str, reference: str, identifier: Identifier) -> None:
    """After a conditional create that made nothing: what the server calls the one that was there has to carry the identifier.

    A server that ignores the condition's parameter answers with whatever it has. Raises NeedsPerson; nothing is linked.
    """
    there = ctx.server(endpoint).read_if_there(reference)
    if there is not None and identifier not in identifiers_in(there):
        raise condition_ignored(endpoint, [reference])


def condition_ignored(endpoint: str, references: Iterable[str]) -> NeedsPerson:
    """The error that a person is asked with: nothing of these was linked, nothing was written over them."""
    named = sorted(references)
    return NeedsPerson(
        CONDITION_IGNORED,
        f"{endpoint} says that what we sent was there already, and names {', '.join(named[:5])}, which does not carry "
        "our identifier: it ignores the condition of a create",
        items=named,
    )


def names_of(resources: Iterable[dict]) -> str:
    """The first five as ``Type/id``."""
    return ", ".join(sorted(map(packets.source_of, resources))[:5])


def search_by_identity(ctx: Context, endpoint: str, identities: Mapping[str, Identifier]) -> Looked:
    """What stands at the endpoint of these (``{source: what it is recognized by}``), searched by type in batches at once."""
    if ctx.endpoint(endpoint).habits.finds_by_identifier is False:
        return Looked(asked=False)
    server, looked = ctx.server(endpoint), Looked()
    wanted: dict[str, dict[Identifier, list[str]]] = {}
    for source, identity in identities.items():
        wanted.setdefault(source.split("/")[0], {}).setdefault(identity, []).append(source)

    def look(batch: tuple[str, list[Identifier]]) -> tuple[str, list[dict], set[str], bool]:
        kind, asked = batch
        tokens = ",".join(identifier_token(each.system, each.value) for each in asked)
        return kind, *_carrying(server, kind, tokens, set(asked))

    for kind, resources, bases, is_ignored in in_parallel(ctx, endpoint, look, _batches(wanted)):
        for base in sorted(bases):
            ctx.learn_address(endpoint, base)
        looked.ignored |= {kind} if is_ignored else set()
        for there in resources:
            for source in {source for each in identifiers_in(there) for source in wanted[kind].get(each, ())}:
                looked.found.setdefault(source, []).append(there)
    for there in looked.found.values():
        there.sort(key=lambda each: each["id"])
    return looked


def identities_of(resources: Iterable[dict], system: str) -> dict[str, Identifier]:
    """What each record is recognized by at a target, for those that are."""
    found = ((packets.source_of(resource), identity_of(resource, system)) for resource in resources)
    return {source: identity for source, identity in found if identity is not None}


def search_by_patient(ctx: Context, endpoint: str, kind: str, patient: str) -> list[dict]:
    """All records of one type about a patient there: how those are looked for that no identifier can find."""
    found = ctx.server(endpoint).search_all(kind, {searched_by(kind): patient})
    return [each for each in found if _is_named(each, kind)]


def told_apart(wanted: dict, there: Iterable[dict], own: Identifier, since: datetime) -> tuple[list[dict], list[dict]]:
    """Which of these are the one that was sent, and which may be: written ``since``, and saying something else."""
    found: dict[Verdict, list[dict]] = {each: [] for each in Verdict}
    for each in there:
        found[verdict(wanted, each, own)].append(each)
    return found[Verdict.SAME], [each for each in found[Verdict.UNCLEAR] if not is_older(each, since)]


def in_parallel(ctx: Context, endpoint: str, do: Callable, tasks: Iterable) -> Iterator:
    """Each task done, in order; as many at the same time as the endpoint's limits allow."""
    limits = ctx.endpoint(endpoint).limits
    with ThreadPoolExecutor(parallel_requests(limits.concurrency, limits.requests_per_second)) as pool:
        yield from pool.map(do, tasks)


def _batches(wanted: Mapping[str, Mapping[Identifier, object]]) -> Iterator[tuple[str, list[Identifier]]]:
    for kind, asked in sorted(wanted.items()):
        each = list(asked)
        yield from ((kind, each[start : start + LOOK_BATCH]) for start in range(0, len(each), LOOK_BATCH))


def _carrying(server: FhirServer, kind: str, tokens: str, asked: set[Identifier]) -> tuple[list[dict], set[str], bool]:
    """The resources that carry what was asked for, the addresses the server gives to its own, and whether it answered as if
    nothing had been asked."""
    found: list[dict] = []
    bases: set[str] = set()
    strangers = 0
    for entry in server.search(kind, {"identifier": tokens}):
        if _is_named(entry.resource, kind) and asked.intersection(identifiers_in(entry.resource)):
            found.append(entry.resource)
            base = base_in(entry.full_url, entry.reference)
            bases |= {base} if base is not None else set()
        else:
            strangers += 1
        if strangers >= STRANGERS and not found:
            break
    return found, bases, bool(strangers) and not found


def _is_named(resource: object, kind: str) -> bool:
    found = as_dict(resource)
    return found.get("resourceType") == kind and bool(as_text(found.get("id")))
