"""The right patient at an endpoint: matched or said by a person, and read and compared again before anything is sent."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from integration import fhir_json
from integration.packets.stored import Packet
from integration.patients import Wanted, numbers_of, wanted_at
from integration.store import links, patient_links
from integration.store.patient_links import PatientLink
from jobs.target.looking import CONDITION_IGNORED, find_all
from jobs.target.writing import ensure_shared, remember
from jobs.world import Context, World
from mappings.bundle import draft
from mappings.identifiers import identifiers_in
from mappings.model.errors import NeedsPerson, TemporaryError, TransferError
from mappings.model.link import Link
from mappings.model.request import Identifier, PatientRef, SecondOpinionRequest
from mappings.names import fold
from mappings.patient import (
    carries,
    contradictions,
    doubts,
    family_words,
    is_namesake,
    match,
    to_patient,
)
from mappings.patient_link import compared, in_words, why_it_ends, why_refused

ENGINE = "exchange"
OFFERED = 20  # candidates kept for a person to compare


def find_patient(ctx: Context, endpoint: str, wanted: PatientRef) -> str:
    """``Patient/id`` of the request's patient at the placer. Raises NeedsPerson on anything but a sure match."""
    at_placer = Wanted(endpoint, wanted, numbers_of(ctx.world.config, wanted, endpoint))
    linked = _linked(ctx, at_placer)
    if linked is not None:
        return linked
    found = match(wanted, _candidates(ctx, endpoint, wanted.identifiers), at_placer.numbers)
    if found.sure is None:
        raise _ask(ctx, at_placer, found.why, found.candidates)
    return _link(ctx, at_placer, found.sure, "matched")


def current_patient(ctx: Context, request: SecondOpinionRequest) -> str:
    """``Patient/id`` at the fulfiller, read and compared with the chart's as it was last seen. Raises NeedsPerson."""
    wanted = _of_packets(ctx, request)
    reference = _at_fulfiller(ctx, wanted)
    if reference is None:
        raise _ask(ctx, wanted, "none", ())
    return reference


def resolve_patient(ctx: Context, request: SecondOpinionRequest, packet: Packet) -> str | None:
    """The patient at the fulfiller of a packet; None when it is to be created there. Raises NeedsPerson."""
    source = packet.resources.get(packet.manifest.patient)
    if source is not None:
        digest = ctx.world.payloads.put(fhir_json.dumps(source))
        with ctx.transaction() as conn:
            patient_links.describe(conn, ctx.request_id, request.fulfiller, digest)
    return _at_fulfiller(ctx, _of_packets(ctx, request))


def _of_packets(ctx: Context, request: SecondOpinionRequest) -> Wanted:
    """The patient of the request's packets, as the chart last described them."""
    return wanted_in(ctx.world, ctx.request_id, request, request.fulfiller)


def wanted_in(world: World, request_id: str, request: SecondOpinionRequest, endpoint: str) -> Wanted:
    """Whom a request means at one of its two endpoints."""
    return wanted_at(world.engine, world.payloads, world.config, request_id, request, endpoint)


def create_patient(ctx: Context, request: SecondOpinionRequest, packet: Packet, people: dict[str, str]) -> str:
    """Create the patient at the fulfiller, and see that who is there then is the one. Raises NeedsPerson."""
    endpoint, manifest = request.fulfiller, packet.manifest
    wanted = _of_packets(ctx, request)
    made = draft(
        packet.resources[manifest.patient],
        links=people,
        identifier_system=manifest.identifier_system,
        findings=ctx.found,
        source_base=manifest.bases(ctx.endpoint(manifest.source_endpoint).bases),
    )
    chart = wanted.chart
    if chart is None:
        raise LookupError("a packet says what its chart is called")
    try:
        reference = ensure_shared(ctx, endpoint, made.body, chart)
    except NeedsPerson as error:
        if error.cause != CONDITION_IGNORED:
            raise
        raise _ask(
            ctx, wanted, "not-created", filter(None, (_read(ctx, endpoint, each) for each in error.items))
        ) from None
    there = _read(ctx, endpoint, reference)
    if there is None:
        raise TemporaryError(
            f"{reference} was created at {endpoint} and cannot be read yet", endpoint=endpoint, cause="not-readable-yet"
        )
    found = doubts(wanted.compared_as, there, wanted.compared_by)
    if contradictions(found) or not carries(there, chart) and found:
        with ctx.transaction() as conn:
            patient_links.forget_chart(conn, endpoint, reference)
        raise _ask(ctx, wanted, found[0] if carries(there, chart) else "not-created", (there,))
    return _link(ctx, wanted, there, "created")


def _at_fulfiller(ctx: Context, wanted: Wanted) -> str | None:
    linked = _linked(ctx, wanted)
    return linked if linked is not None else _matched(ctx, wanted)


def _linked(ctx: Context, wanted: Wanted) -> str | None:
    """What this request's own link says, if it still holds; None when there is none. Raises NeedsPerson when it does not."""
    with ctx.world.engine.begin() as conn:
        link = patient_links.of(conn, ctx.request_id, wanted.endpoint)
    if link is None:
        return None
    there = _read(ctx, wanted.endpoint, link.reference)
    if there is None:
        raise _ask(ctx, wanted, "gone", (), link)
    described, numbers = wanted.compared_as, wanted.compared_by
    chart = wanted.chart.value if wanted.chart else ""
    refused = link.by_person and why_refused(link.reference, described, there, numbers, chart)
    why = (refused,) if refused else why_it_ends(link, described, there, numbers)
    if why:
        raise _ask(ctx, wanted, why[0], (there,), link)
    now = compared(described, there, numbers)
    if link.by_person and link.found is None and now.doubts:
        ctx.finding(
            "patient-linked-by-hand",
            f"{link.reference} at {wanted.endpoint} is the patient because a person said so: {', '.join(now.doubts)}",
            link.reference,
        )
    with ctx.transaction() as conn:
        # what a person confirmed stays what it was; a match moves with the patient
        patient_links.keep(conn, link, replace(now, doubts=link.doubts) if link.by_person and link.found else now)
    _follow_chart(ctx, wanted, link.reference, "person" if link.by_person else link.origin)
    return link.reference


def _matched(ctx: Context, wanted: Wanted) -> str | None:
    """Whom matching is sure of; None when nobody is there and we may create. Another request's link is only a hint."""
    endpoint, known = wanted.endpoint, _of_chart(ctx, wanted)
    there = _read(ctx, endpoint, known.reference) if known else None
    if known and there is None:
        raise _ask(ctx, wanted, "gone", ())
    sure = match(wanted.compared_as, [there], wanted.compared_by).sure if there else None
    origin = known.origin if known else ""
    if sure is None and there and origin == "created":
        # our own copy: what is missing on both sides is no doubt
        sure = None if contradictions(doubts(wanted.compared_as, there, wanted.compared_by)) else there
    if sure is not None:
        return _link(ctx, wanted, sure, "created" if origin == "created" else "matched")
    described = wanted.described
    identifiers = identifiers_in(wanted.compared_as) if isinstance(described, dict) else described.identifiers
    found = _candidates(ctx, endpoint, identifiers)
    # beside whom an earlier packet of this chart went to, another one is a doubt about both
    verdict = match(wanted.compared_as, [*([there] if there else []), *found], wanted.compared_by)
    if verdict.sure is not None:
        return _link(ctx, wanted, verdict.sure, "matched")
    if not verdict.candidates and ctx.endpoint(endpoint).patients == "create":
        _must_be_nobody(ctx, wanted)
        return None
    raise _ask(ctx, wanted, verdict.why, verdict.candidates)


def _must_be_nobody(ctx: Context, wanted: Wanted) -> None:
    """Before one is created: nobody there has a similar name and birth date, and the server's search can be believed."""
    if any(each.cause == "search-ignored" for each in ctx.found):
        raise _ask(ctx, wanted, "search-ignored", ())
    if not isinstance(wanted.described, dict) or not family_words(wanted.described):
        raise _ask(ctx, wanted, "name-unknown", ())
    similar = _namesakes(ctx, wanted.endpoint, wanted.described)
    if similar:
        raise _ask(ctx, wanted, "similar", similar)


def _of_chart(ctx: Context, wanted: Wanted) -> Link | None:
    """The link of the chart itself, which an earlier request or packet left."""
    if wanted.chart is None:
        return None
    pair = (wanted.chart.system, wanted.chart.value)
    with ctx.world.engine.begin() as conn:
        return links.find_rows(conn, wanted.endpoint, [pair]).get(pair)


def _link(ctx: Context, wanted: Wanted, there: dict, origin: str) -> str:
    """This request's patient is this one; another request's word was not taken for it."""
    reference = f"Patient/{there['id']}"
    now = compared(wanted.compared_as, there, wanted.compared_by)
    with ctx.transaction() as conn:
        patient_links.set_link(
            conn, ctx.request_id, wanted.endpoint, reference, origin=origin, actor=ENGINE, compared=now
        )
        patient_links.set_candidates(conn, ctx.request_id, wanted.endpoint, ())
        before = patient_links.of_others(conn, ctx.request_id, wanted.endpoint, [reference])
    if before:
        ctx.finding(
            "patient-linked-before",
            f"a person linked {reference} at {wanted.endpoint} for request {before[reference]}; "
            "it was compared anew for this one, and is surely the patient",
            reference,
            "info",
        )
    _follow_chart(ctx, wanted, reference, origin)
    return reference


def _follow_chart(ctx: Context, wanted: Wanted, reference: str, origin: str) -> None:
    """What refers to the chart's patient is rewritten to this one."""
    known = _of_chart(ctx, wanted) if wanted.chart else None
    if wanted.chart is None or known is not None and known.reference == reference:
        return
    if known is not None:
        ctx.finding(
            "patient-relinked",
            f"a person says {reference} at {wanted.endpoint}; records sent before are under {known.reference}",
            wanted.chart.value,
            "error",
        )
    remember(ctx, wanted.endpoint, wanted.chart, reference, origin=origin)


def _read(ctx: Context, endpoint: str, reference: str) -> dict | None:
    with suppress(ValueError):  # an id no FHIR server has
        there = ctx.server(endpoint).read_if_there(reference)
        return there and {**there, "id": reference.split("/")[1]}
    return None


def _candidates(ctx: Context, endpoint: str, identifiers: Iterable[Identifier]) -> list[dict]:
    """Patients who carry one of the identifiers: what a server answers without is somebody else, and said."""
    found = (each for one in dict.fromkeys(identifiers) for each in find_all(ctx, endpoint, "Patient", one))
    return list({each["id"]: each for each in found}.values())


def _namesakes(ctx: Context, endpoint: str, described: PatientRef | dict) -> list[dict]:
    """Patients who could be the same by name and birth date, numbers aside. A string search means "begins with"."""
    person = described if isinstance(described, dict) else to_patient(described)
    found: dict[str, dict] = {}
    for params in _name_searches(person):
        for each in ctx.server(endpoint).search_all("Patient", params):
            if each.get("resourceType") == "Patient" and isinstance(each.get("id"), str) and is_namesake(person, each):
                found[each["id"]] = each
    return list(found.values())


def _name_searches(person: dict) -> list[dict[str, str]]:
    """By family name and birth date; and by family name and first letter, for namesakes whose birth date is not known."""
    names = [
        each for each in person.get("name") or () if isinstance(each, dict) and isinstance(each.get("family"), str)
    ]
    searches = []
    for name in names:
        words = name["family"].split()[:1]
        for family in dict.fromkeys([*words, *(fold(word) for word in words)]):
            if not family:
                continue
            if isinstance(person.get("birthDate"), str):
                searches.append({"family": family, "birthdate": person["birthDate"]})
            given = [each for each in name.get("given") or () if isinstance(each, str) and each.strip()][:1]
            searches.append({"family": family} | ({"given": given[0].split()[0]} if given else {}))
    return [dict(each) for each in dict.fromkeys(tuple(sorted(search.items())) for search in searches)]


def _ask(ctx: Context, wanted: Wanted, why: str, found: Iterable[dict], link: PatientLink | None = None) -> NeedsPerson:
    """The error that asks a person, with everybody who could be meant kept to be compared."""
    offered = {each["id"]: each for each in found}
    with suppress(TransferError):  # a help for the person, not worth failing for
        offered |= {each["id"]: each for each in _namesakes(ctx, wanted.endpoint, wanted.described)}
    rows = [
        (f"Patient/{each['id']}", ctx.world.payloads.put(fhir_json.dumps(each)), _first_doubt(wanted, each))
        for each in list(offered.values())[:OFFERED]
    ]
    with ctx.transaction() as conn:
        patient_links.set_candidates(conn, ctx.request_id, wanted.endpoint, rows)
    names = ", ".join(reference for reference, *_ in rows[:5])
    about = f"{link.reference} at {wanted.endpoint}" if link else wanted.endpoint
    return NeedsPerson(
        f"patient-{why}",
        f"{about}: {in_words(why)}" + (f"; could be meant: {names}" if names else ""),
    )


def _first_doubt(wanted: Wanted, there: dict) -> str:
    return next(iter(doubts(wanted.compared_as, there, wanted.compared_by)), "sure")
