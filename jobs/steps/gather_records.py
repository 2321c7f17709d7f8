"""Gather the first-opinion records at the placer into an immutable packet; partial is an error."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Connection

from integration import fhir_json
from integration.fhir.server import FhirServer
from integration.packets import stored as packets
from integration.store import deliveries, links, requests, revisions
from integration.store.pace import at_once
from integration.store.steps import NextStep
from jobs.steps.match_people import find_patient
from jobs.watching import CHART, CHART_AFTERWARDS
from jobs.world import Context, Outcome
from mappings.document_reference import attachments, inline_bytes
from mappings.identifiers import local_reference
from mappings.model.delivery import DeliveryKind
from mappings.model.errors import MappingError, PartialError, PermanentError
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.states import FINAL, Records, Status
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
WATCH_CHART_DAYS = 30
WATCH_OVERLAP = timedelta(hours=1)  # the placer's clock is not ours


def gather_records(ctx: Context) -> Outcome:
    """Find the patient, read the chart with every page, close it over references, fetch every attachment, store it."""
    request = ctx.request()
    with ctx.transaction() as conn:
        requests.set_records(conn, ctx.request_id, Records.GATHERING)
    patient = find_patient(ctx, request.placer, request.patient)
    chart = read_chart(ctx, request, patient)
    return _store(ctx, request, patient, chart, base=None)


def watch_chart(ctx: Context) -> Outcome:
    """Look again at the placer: a corrected result or a new record travels as a delta packet."""
    request, row = ctx.request(), ctx.row()
    if Status(row.status) in FINAL - {Status.COMPLETED} or ctx.now - row.created_at > timedelta(days=WATCH_CHART_DAYS):
        return Outcome()
    with ctx.world.engine.begin() as conn:
        stored = packets.rows(conn, ctx.request_id)
        earlier = deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)
    pace = CHART_AFTERWARDS if Status(row.status) is Status.COMPLETED else CHART
    again = pace.next_look(ctx.now, stored[-1].created_at, every_seconds=ctx.world.config.schedules.watch_chart_seconds)
    if any(each.status not in ("verified", "cancelled") for each in earlier):
        return Outcome(again_at=again)  # one delivery of records at a time; what changes meanwhile is read then
    patient = find_patient(ctx, request.placer, request.patient)
    newest = {
        item.source: item.sha256
        for packet in stored
        for item in packets.manifest_of(ctx.world.payloads, packet.manifest_sha256).resources
    }
    in_full = _wants_other_records(ctx, row, request)
    since = None if in_full else stored[-1].created_at - WATCH_OVERLAP
    chart = read_chart(ctx, request, patient, since=since, known=frozenset(newest))
    changed = {
        source: resource
        for source, resource in chart.items()
        if hashlib.sha256(fhir_json.dumps(resource)).hexdigest() != newest.get(source)
    }
    if not changed:
        return Outcome(again_at=again, apply=[lambda conn: _note_gathered(conn, ctx)] if in_full else [])
    outcome = _store(ctx, request, patient, changed, base=len(stored))
    return Outcome(next_steps=outcome.next_steps, apply=outcome.apply, again_at=again)


def _wants_other_records(ctx: Context, row, request) -> bool:
    """True when a correction changed which records are wanted since the chart was last read in full."""
    gathered = row.gathered_version or 1
    if gathered == ctx.read_version:
        return False
    with ctx.world.engine.begin() as conn:
        return revisions.content(conn, ctx.request_id, gathered).records != request.records


def _note_gathered(conn: Connection, ctx: Context) -> None:
    ctx.must_be_current(conn)
    requests.set_gathered(conn, ctx.request_id, ctx.read_version)


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
    warnings: list[str] = []
    found = server.search_all(kind, params, warnings=warnings)
    for words in warnings:  # list.append is atomic: searches run in threads
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


def _store(ctx: Context, request, patient: str, chart: dict[str, dict], *, base: int | None) -> Outcome:
    """Fetch attachments, write bytes, and make packet, delivery and the next step in the step's own commit."""
    lines = [fhir_json.dumps(resource) for resource in chart.values()]
    items = [packets.resource_item(resource, line) for resource, line in zip(chart.values(), lines, strict=True)]
    items += _attachment_items(ctx, request, chart)
    version = (base or 0) + 1
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, request.placer)
    manifest = Manifest(
        packet_id=f"{ctx.request_id}-p{version}",
        request_id=ctx.request_id,
        source_endpoint=request.placer,
        identifier_system=system,
        patient=patient,
        gathered_at=ctx.now.isoformat(timespec="seconds"),
        items=tuple(items),
    )
    digest = packets.store(ctx.world.payloads, manifest, lines)
    delivery_id = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, version)

    def commit(conn: Connection) -> None:
        _note_gathered(conn, ctx)  # whose records these are was not corrected meanwhile
        packets.insert(conn, manifest, digest, version)
        deliveries.create(
            conn,
            ctx.request_id,
            request.fulfiller,
            DeliveryKind.RECORDS,
            version=version,
            packet_id=manifest.packet_id,
            sources=chart,
            deadline=requests.get(conn, ctx.request_id).records_due_at,
        )

    following = NextStep("match_people", request.fulfiller, delivery_id=delivery_id, deadline=ctx.row().records_due_at)
    return Outcome(next_steps=(following,), apply=[commit])


def _attachment_items(ctx: Context, request, chart: dict[str, dict]) -> list[ManifestItem]:
    server, limit = ctx.server(request.placer), ctx.world.config.records.max_attachment_bytes
    fetched: dict[str, tuple[str, int, str | None]] = {}
    items, problems = [], []
    for source, resource in chart.items():
        for at in attachments(resource):
            try:
                item = _attachment_item(ctx, server, f"{source}#{at.path}", source, at.attachment, fetched, limit)
            except (MappingError, PermanentError) as error:
                problems.append(f"{source}#{at.path}: {error}")
                continue
            items += [item] if item is not None else []
    if problems:
        raise PartialError(problems)
    return items


def _attachment_item(
    ctx: Context, server: FhirServer, of: str, source: str, attachment: dict, fetched: dict, limit: int
) -> ManifestItem | None:
    if "data" in attachment:
        return _inline_item(ctx, of, source, attachment)
    url = attachment.get("url")
    if url is None:
        return None
    if url.startswith(("urn:", "data:", "#")) or "://" in url and not server.transport.is_ours(url):
        ctx.finding(
            "attachment-elsewhere", "the attachment is not on the placer's server; its address travels as it is", of
        )
        return None
    if url not in fetched:
        data, content_type = server.binary(url, content_type=attachment.get("contentType"), max_bytes=limit)
        fetched[url] = (ctx.world.payloads.put(data), len(data), content_type)
        _check_hash(ctx, of, attachment, data)
    digest, size, content_type = fetched[url]
    return ManifestItem(
        source=source,
        kind="attachment",
        size=size,
        sha256=digest,
        of=of,
        content_type=attachment.get("contentType") or content_type,
    )


def _inline_item(ctx: Context, of: str, source: str, attachment: dict) -> ManifestItem | None:
    """What stands inside its resource is a document like any other; plain text is in the readable summary, word for word."""
    data, content_type = inline_bytes(attachment), attachment.get("contentType")
    if not data or (content_type or "").startswith("text/plain"):
        return None
    return ManifestItem(
        source=source,
        kind="attachment",
        size=len(data),
        sha256=ctx.world.payloads.put(data),
        of=of,
        content_type=content_type,
    )


def _check_hash(ctx: Context, of: str, attachment: dict, data: bytes) -> None:
    said = attachment.get("hash")
    if said and said != base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode():
        raise PartialError([f"{of}: the bytes do not have the hash the resource states"])
    if "size" in attachment and int(attachment["size"]) != len(data):
        ctx.finding("attachment-size", f"the resource states another size than the {len(data)} bytes read", of)
