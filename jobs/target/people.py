"""Practitioners, organizations and places at a target: linked, matched by NPI, or created there once."""

import hashlib

from integration.packets import stored as packets
from integration.packets.stored import Packet
from integration.store import deliveries, links
from jobs.target.asking import create_once
from jobs.target.expected import original_of
from jobs.target.looking import find_all, find_first, names_of
from jobs.target.writing import ensure_shared, own_identifier, remember
from jobs.world import Context
from mappings import codes
from mappings.addresses import Bases
from mappings.bundle import draft, plan
from mappings.identifiers import source_identifier
from mappings.model.delivery import DeliveryKind
from mappings.model.request import Identifier, PractitionerRef
from mappings.practitioner import first_of_doubles, is_same_by_npi, npi_of, to_practitioner

PEOPLE = ("Organization", "Location", "Practitioner", "PractitionerRole")


def resolve_people(ctx: Context, endpoint: str, packet: Packet) -> dict[str, str]:
    """``{source: Type/id there}`` of every person and place of the packet: linked, matched by NPI, or created."""
    system = packet.manifest.identifier_system
    people = [packet.resources[source] for source in packet.resources if source.split("/")[0] in PEOPLE]
    with ctx.world.engine.begin() as conn:
        known = links.find(conn, endpoint, system, packet.resources)
    base = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
    for chunk in plan(people, chunk_size=1, source_base=base):
        for resource in chunk:
            source = packets.source_of(resource)
            if source not in known:
                known[source] = _resolve_person(ctx, endpoint, resource, known, system, base)
    return known


def _resolve_person(ctx: Context, endpoint: str, resource: dict, known: dict, system: str, base: Bases) -> str:
    identity = Identifier(**source_identifier(system, resource["resourceType"], resource["id"]))
    matched = _original(ctx, endpoint, resource) or _by_npi(ctx, endpoint, resource)
    if matched is not None:
        remember(ctx, endpoint, identity, matched, origin="matched")
        return matched
    made = draft(resource, links=known, identifier_system=system, source_base=base, findings=ctx.found)
    return ensure_shared(ctx, endpoint, made.body, identity, _create)


def _original(ctx: Context, endpoint: str, resource: dict) -> str | None:
    """Who the endpoint's own record is about, where this is a copy of it: never written back to where it came from."""
    with ctx.world.engine.begin() as conn:
        original = original_of(resource, links.frozen_system(conn, endpoint))
    return original if original and ctx.server(endpoint).read_if_there(original) is not None else None


def _by_npi(ctx: Context, endpoint: str, resource: dict) -> str | None:
    """The practitioner or organization there with the same valid NPI and, for a person, a family name in common.

    Where one is there several times every request takes the same one: a third would help nobody.
    """
    npi, kind = npi_of(resource), resource["resourceType"]
    if npi is None or kind not in ("Practitioner", "Organization"):
        return None
    found = find_all(ctx, endpoint, kind, Identifier(system=codes.SYSTEM_NPI, value=npi))
    same = [each for each in found if is_same_by_npi(resource, each)]
    if len(same) > 1:
        ctx.finding(
            "duplicate-at-target",
            f"{len(same)} {kind} resources at {endpoint} hold one NPI and name: {names_of(same)}; one of them is used. "
            "Have the others removed there, or merged into it",
            packets.source_of(first_of_doubles(same)),
        )
    elif found and not same:
        ctx.finding(
            "npi-unsure",
            f"{len(found)} resource(s) at {endpoint} hold this NPI and another name: {names_of(found)}",
            kind,
        )
    return packets.source_of(first_of_doubles(same)) if same else None


def resolve_practitioner(ctx: Context, endpoint: str, person: PractitionerRef | None) -> str | None:
    """The requester or consultant at the target: matched by NPI, else created where we may, else None."""
    if person is None:
        return None
    resource = to_practitioner(person)
    matched = _by_npi(ctx, endpoint, resource)
    if matched or ctx.endpoint(endpoint).patients != "create" or person.name is None:
        return matched  # a person without a name travels contained: US Core refuses such a Practitioner
    seed = "|".join(identifier.token() for identifier in person.identifiers) or person.model_dump_json()
    identity = own_identifier(ctx, "Practitioner", hashlib.sha256(seed.encode()).hexdigest()[:32])
    resource["identifier"] = [*resource.get("identifier", []), identity.model_dump()]
    return ensure_shared(ctx, endpoint, resource, identity, _create)


def _create(ctx: Context, endpoint: str, resource: dict, identity: Identifier) -> str:
    """Found by its identifier, else created once: by the ledger, under the newest delivery of the request's records."""
    found = None
    if ctx.endpoint(endpoint).habits.finds_by_identifier is not False:
        found = find_first(ctx, endpoint, resource["resourceType"], identity)
    if found is not None:
        remember(ctx, endpoint, identity, found)
        return found
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)[0]
    create_once(ctx, endpoint, delivery.id, resource, identity, called="person")
    with ctx.world.engine.begin() as conn:
        return links.find(conn, endpoint, identity.system, [identity.value])[identity.value]
