"""People first: patient, practitioners and organizations are resolved at the target before anything travels."""

import hashlib
from collections.abc import Iterable

from integration.fhir.server import identifier_token
from integration.packets import stored as packets
from integration.store import deliveries, links
from integration.store.steps import NextStep
from jobs.target.writing import ensure_shared, find_one, own_identifier, remember
from jobs.world import Context, Outcome
from mappings import codes
from mappings.bundle import for_single_create, plan
from mappings.identifiers import source_identifier
from mappings.model.errors import NeedsPerson
from mappings.model.request import Identifier, PatientRef, PractitionerRef
from mappings.patient import Match, fold, match
from mappings.practitioner import npi_is_valid, to_practitioner

PEOPLE = ("Organization", "Location", "Practitioner", "PractitionerRole")


def match_people(ctx: Context) -> Outcome:
    """Resolve the patient and, where resources travel, every person and place of the packet; one at a time."""
    request = ctx.request()
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.get(conn, ctx.step.delivery_id)
        packet_row = packets.by_id(conn, delivery.packet_id)
    packet = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    source = packet.resources.get(packet.manifest.patient)
    patient = resolve_patient(ctx, request.fulfiller, packet.manifest, source, request.patient)
    people = {}
    if ctx.endpoint(request.fulfiller).accepts == "resources":
        people = resolve_people(ctx, request.fulfiller, packet)
    if patient is None:  # created after the people, because it refers to its doctor and organization
        _create_patient(ctx, request.fulfiller, packet.manifest, source, people)
    return Outcome(next_steps=(NextStep("push_records", request.fulfiller, delivery_id=ctx.step.delivery_id),))


def find_patient(ctx: Context, endpoint: str, wanted: PatientRef) -> str:
    """``Patient/id`` of the request's patient at an endpoint. Raises NeedsPerson on anything but a sure match."""
    said, linked = _known(ctx, endpoint, wanted)
    if said is not None:
        return said
    found = _by_numbers(ctx, endpoint, wanted) or _found(ctx, endpoint, wanted, linked.values(), wanted.identifiers)
    if found.sure is None:
        raise _unsure(ctx, endpoint, found)
    reference, first = f"Patient/{found.sure['id']}", wanted.identifiers[0]
    if linked.get((first.system, first.value)) != reference:
        remember(ctx, endpoint, first, reference, origin="matched")
    return reference


def resolve_patient(ctx: Context, endpoint: str, manifest, source: dict | None, wanted: PatientRef) -> str | None:
    """The patient at the target: linked or surely matched; None when it is to be created. Raises NeedsPerson."""
    identity = Identifier(**source_identifier(manifest.identifier_system, *manifest.patient.split("/")))
    said, linked = _known(ctx, endpoint, wanted)
    with ctx.world.engine.begin() as conn:
        known = links.find(conn, endpoint, identity.system, [identity.value]).get(identity.value)
    reference = said or known or _match_at_target(ctx, endpoint, source, wanted, linked.values())
    if reference is None:
        reference = find_one(ctx, endpoint, "Patient", identity) if ctx.looks_first else None
    if known and reference != known:
        ctx.finding(
            "patient-relinked",
            f"a person says {reference} at {endpoint}; records sent before are under {known}",
            manifest.patient,
            "error",
        )
    if reference != known:
        remember(ctx, endpoint, identity, reference, origin="person" if said else "matched")
    return reference


def _known(ctx: Context, endpoint: str, wanted: PatientRef) -> tuple[str | None, dict[tuple[str, str], str]]:
    """What a person said of a patient in these words, which stands; and what each identifier is linked to, which is looked at."""
    with ctx.world.engine.begin() as conn:
        rows = links.find_rows(conn, endpoint, [(each.system, each.value) for each in wanted.identifiers])
        return links.said(conn, endpoint, wanted), {pair: row.reference for pair, row in rows.items()}


def _by_numbers(ctx: Context, endpoint: str, wanted: PatientRef) -> Match | None:
    """Where only numbers were given: they are the placer's own, so there is nothing to compare and nothing to doubt."""
    if wanted.name is not None or wanted.birth_date is not None:
        return None
    candidates = _candidates(ctx, endpoint, wanted.identifiers)
    return Match(candidates[0], tuple(candidates), "sure") if len(candidates) == 1 else match(wanted, candidates)


def _found(ctx: Context, endpoint: str, described: PatientRef | dict, linked: Iterable[str], identifiers) -> Match:
    """A link only saves the search: another request made it, so the patient is compared with what this one says.

    What is linked and not surely meant is searched for as if there were no link; several linked patients are for a person.
    """
    there = [
        patient
        for reference in sorted(set(linked))
        if (patient := ctx.server(endpoint).read_if_there(reference)) is not None
    ]
    found = match(described, there)
    if found.sure is not None or len(there) > 1:
        return found
    return match(described, _candidates(ctx, endpoint, identifiers) or there)


def _match_at_target(
    ctx: Context, endpoint: str, source: dict | None, wanted: PatientRef, linked: Iterable[str]
) -> str | None:
    given = (source or {}).get("identifier") or []
    identifiers = [
        Identifier(system=each["system"], value=each["value"])
        for each in given
        if each.get("system") and each.get("value")
    ] or list(wanted.identifiers)
    found = _found(ctx, endpoint, source or wanted, linked, identifiers)
    if found.sure is not None:
        return f"Patient/{found.sure['id']}"
    if not found.candidates and ctx.endpoint(endpoint).patients == "create":
        similar = _similar(ctx, endpoint, source)
        if not similar:
            return None
        raise NeedsPerson(
            "patient-similar",
            f"{endpoint} has {len(similar)} patient(s) with the same name and birth date "
            f"and no shared identifier: {_ids(similar)}",
            _link_action(ctx, endpoint),
        )
    raise _unsure(ctx, endpoint, found)


def _candidates(ctx: Context, endpoint: str, identifiers) -> list[dict]:
    server, found = ctx.server(endpoint), {}
    for identifier in identifiers:
        for patient in server.search_all(
            "Patient", {"identifier": identifier_token(identifier.system, identifier.value)}
        ):
            found[patient["id"]] = patient
    return list(found.values())


def _similar(ctx: Context, endpoint: str, source: dict | None) -> list[dict]:
    """Patients with the same family name and birth date, identifiers aside. Sent as a search body would be; not logged."""
    name = next((each for each in (source or {}).get("name", []) if each.get("family")), None)
    if name is None or not source.get("birthDate"):
        return []
    found = ctx.server(endpoint).search_all("Patient", {"family": name["family"], "birthdate": source["birthDate"]})
    # string search means "begins with": another family that begins alike is no doubt
    return [
        each
        for each in found
        if any(fold(known.get("family", "")) == fold(name["family"]) for known in each.get("name", []))
    ]


def _create_patient(ctx: Context, endpoint: str, manifest, source: dict, people: dict[str, str]) -> None:
    identity = Identifier(**source_identifier(manifest.identifier_system, *manifest.patient.split("/")))
    resource, _ = for_single_create(
        source,
        links=people,
        identifier_system=manifest.identifier_system,
        findings=ctx.found,
        source_base=ctx.endpoint(manifest.source_endpoint).base_url,
    )
    ensure_shared(ctx, endpoint, resource, identity)


def _unsure(ctx: Context, endpoint: str, found) -> NeedsPerson:
    count = len(found.candidates)
    what = (
        "does not know this patient"
        if not count
        else f"has {count} candidate(s), none of them sure: {_ids(found.candidates)}"
    )
    return NeedsPerson(f"patient-{found.why}", f"{endpoint} {what} ({found.why})", _link_action(ctx, endpoint))


def _link_action(ctx: Context, endpoint: str) -> str:
    return (
        f"Find the patient at {endpoint} by hand, then: second-opinion patients link {ctx.request_id} "
        f"{endpoint} Patient/<id>"
    )


def _ids(patients: list[dict]) -> str:
    return ", ".join(f"Patient/{each['id']}" for each in patients[:5])


def resolve_people(ctx: Context, endpoint: str, packet) -> dict[str, str]:
    """``{source: Type/id there}`` of every person and place of the packet: linked, matched by NPI, or created."""
    system = packet.manifest.identifier_system
    people = [resource for source, resource in packet.resources.items() if source.split("/")[0] in PEOPLE]
    with ctx.world.engine.begin() as conn:
        known = links.find(conn, endpoint, system, packet.resources)
    base = ctx.endpoint(packet.manifest.source_endpoint).base_url
    for chunk in plan(people, chunk_size=1, source_base=base):
        for resource in chunk:
            source = packets.source_of(resource)
            if source not in known:
                known[source] = _resolve_person(ctx, endpoint, resource, known, system, base)
    return known


def _resolve_person(ctx: Context, endpoint: str, resource: dict, known: dict, system: str, base: str) -> str:
    identity = Identifier(**source_identifier(system, resource["resourceType"], resource["id"]))
    matched = _by_npi(ctx, endpoint, resource)
    if matched is not None:
        remember(ctx, endpoint, identity, matched, origin="matched")
        return matched
    prepared, _ = for_single_create(
        resource, links=known, identifier_system=system, source_base=base, findings=ctx.found
    )
    return ensure_shared(ctx, endpoint, prepared, identity)


def _by_npi(ctx: Context, endpoint: str, resource: dict) -> str | None:
    """The one practitioner or organization there with the same valid NPI and, for a person, the same family name."""
    npi = next(
        (
            each["value"]
            for each in resource.get("identifier", [])
            if each.get("system") == codes.SYSTEM_NPI and npi_is_valid(each.get("value", ""))
        ),
        None,
    )
    if npi is None or resource["resourceType"] not in ("Practitioner", "Organization"):
        return None
    found = ctx.server(endpoint).search_all(
        resource["resourceType"], {"identifier": identifier_token(codes.SYSTEM_NPI, npi)}
    )
    if len(found) == 1 and _family(found[0]) == _family(resource):
        return f"{resource['resourceType']}/{found[0]['id']}"
    if found:
        ctx.finding(
            "npi-unsure",
            f"{len(found)} resource(s) at {endpoint} hold this NPI and do not surely agree",
            packets.source_of(resource),
        )
    return None


def _family(resource: dict) -> set[str]:
    names = resource.get("name") or []
    return {name.get("family", "").casefold() for name in names} if isinstance(names, list) else set()


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
    return ensure_shared(ctx, endpoint, resource, identity)
