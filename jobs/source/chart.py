"""Reads the chart of one patient at the placer: everything of it, of nobody else, closed over references."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time

from integration.fhir.server import FhirServer
from integration.packets import stored as packets
from integration.store.pace import at_once
from jobs.world import Context
from mappings.identifiers import local_reference
from mappings.model.errors import PartialError
from mappings.references import find_references

# What closes the packet: read when something in it points there. Other patients and our own traffic stay out.
NOT_FOLLOWED = frozenset(
    {
        "Patient",
        "Task",
        "AuditEvent",
        "Provenance",
        "Binary",
        "Endpoint",
        "Subscription",
        "Bundle",
        "MessageHeader",
        "Parameters",
        "CapabilityStatement",
    }
)
MAX_ROUNDS = 10


def read_chart(
    ctx: Context, request, patient: str, *, since: datetime | None = None, known: frozenset[str] = frozenset()
) -> dict[str, dict]:
    """``{Type/id: resource}``: the patient, typed searches in parallel, then everything they point to.

    ``since``: only what changed after it; ``known``: what need not be read again because something points to it.
    """
    since = since or (datetime.combine(request.records.since, time(0), UTC) if request.records.since else None)
    server = ctx.server(request.placer)
    found = {patient: server.read(*patient.split("/"))}
    types = request.records.types or ctx.world.config.records.types
    can = ctx.capabilities(request.placer)
    wanted = [kind for kind in types if kind != "Patient" and (not can.searches or can.can_search(kind, "patient"))]
    for kind in sorted(set(types) - set(wanted) - {"Patient"}):
        ctx.finding("type-not-offered", "the placer's server does not offer this type", kind, "info")
    limits = ctx.endpoint(request.placer).limits
    with ThreadPoolExecutor(at_once(limits.concurrency, limits.requests_per_second)) as pool:
        for resources in pool.map(lambda kind: _search(ctx, server, kind, patient, since), wanted):
            for resource in resources:
                _take(ctx, found, resource, patient, request)
        _close_over_references(ctx, server, found, patient, known, pool)
    return dict(sorted(found.items()))


def _search(ctx: Context, server: FhirServer, kind: str, patient: str, since: datetime | None) -> list[dict]:
    params = {"patient": patient}
    if since is not None:
        params["_lastUpdated"] = f"ge{since.astimezone(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')}"
    search = server.search(kind, params)
    found = [entry.resource for entry in search]
    for words in search.warnings:  # list.append is atomic: searches run in threads
        ctx.finding("search-warning", f"the server remarked on its search: {words}"[:300], kind)
    return found


def _take(ctx: Context, found: dict, resource: dict, patient: str, request) -> None:
    """Keep a resource unless it is another patient's (servers return such), the request itself or came from us."""
    source, subject = packets.source_of(resource), patient_of(resource)
    if subject is not None and subject != patient:
        ctx.finding(
            "other-patient", "the server returned a resource of another patient; it was left out", source, "error"
        )
    elif source != request.service_request and not _is_ours(ctx, resource):
        found[source] = resource


def patient_of(resource: dict) -> str | None:
    """``Patient/id`` the resource says it is about, or None."""
    for name in ("patient", "subject", "for", "beneficiary"):
        value = resource.get(name)
        reference = value.get("reference", "") if isinstance(value, dict) else ""
        if "Patient/" in reference:
            return "Patient/" + reference.split("Patient/")[1].split("/")[0]
    return None


def _is_ours(ctx: Context, resource: dict) -> bool:
    """True for what the Exchange itself wrote there (a returned report): it does not travel in circles."""
    given = resource.get("identifier") or []
    ours = ctx.world.config.exchange.identifier_system
    return any(str(each.get("system", "")).startswith(ours) for each in (given if isinstance(given, list) else [given]))


def _close_over_references(
    ctx: Context, server: FhirServer, found: dict, patient: str, known: frozenset[str], pool: ThreadPoolExecutor
) -> None:
    gone: set[str] = set(known)
    for _ in range(MAX_ROUNDS):
        wanted: dict[str, set[str]] = {}
        for _source, resource in found.items():
            for target in _local_targets(server, resource):
                if target not in found and target not in gone:
                    wanted.setdefault(target.split("/")[0], set()).add(target.split("/")[1])
        wanted = {kind: ids for kind, ids in wanted.items() if kind not in NOT_FOLLOWED}
        if not wanted:
            return _note_unresolved(ctx, server, found, known)
        for kind, ids in sorted(wanted.items()):
            _fetch(server, kind, sorted(ids), found, gone, patient, pool)
    raise PartialError([f"references still open after {MAX_ROUNDS} rounds"])


def _fetch(
    server: FhirServer, kind: str, ids: list[str], found: dict, gone: set[str], patient: str, pool: ThreadPoolExecutor
) -> None:
    for one, resource in zip(ids, pool.map(lambda one: server.read_if_there(f"{kind}/{one}"), ids), strict=True):
        if resource is None or patient_of(resource) not in (None, patient):
            gone.add(f"{kind}/{one}")
        else:
            found[f"{kind}/{one}"] = resource


def _local_targets(server: FhirServer, resource: dict):
    for at in find_references(resource, source_base=server.endpoint.base_url):
        target = local_reference(at.target)
        if target is not None:
            yield target


def _note_unresolved(ctx: Context, server: FhirServer, found: dict, known: frozenset[str]) -> None:
    for source, resource in found.items():
        for at in find_references(resource, source_base=server.endpoint.base_url):
            local = local_reference(at.target)
            if local is not None and local not in found and local not in known:
                ctx.finding("reference-unresolved", f"{local} is not in the packet", f"{source}#{at.path}")
