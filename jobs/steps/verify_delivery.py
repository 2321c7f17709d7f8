"""Read back what was written and compare: no write counts until this has passed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from sqlalchemy import Connection

from integration import fhir_json
from integration.packets import stored as packets
from integration.store import deliveries, links, requests, totals
from integration.store.steps import AFTER_WORK, NextStep
from jobs.steps.gather_records import watch_later
from jobs.steps.push_records import documents_of, prepared_resources, search_by_identity
from jobs.target.renewing import is_unchanged
from jobs.target.writing import find_one, version_of
from jobs.world import Context, Outcome
from mappings.bundle import for_single_create
from mappings.compare import compare
from mappings.model.delivery import DeliveryKind, DeliveryStatus
from mappings.model.errors import NeedsPerson, TemporaryError
from mappings.model.request import Identifier
from mappings.model.states import Records
from mappings.service_request import reason_texts
from mappings.task import THEIRS


@dataclass
class Check:
    """What reading back one delivery showed, item by item."""

    verified: list[str]
    different: list[str]
    missing: list[str]
    versions: dict[str, str | None] = field(default_factory=dict)  # of our own resources that are exactly as written


def verify_records(ctx: Context) -> Outcome:
    """Every record of the packet is at the fulfiller, once, and says what was sent."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.get(conn, ctx.step.delivery_id)
        packet_row = packets.by_id(conn, delivery.packet_id)
    packet = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    if ctx.endpoint(delivery.endpoint).accepts == "resources":
        check = _check_resources(ctx, delivery, packet)
    else:
        check = _check_documents(ctx, delivery, packet)
    _decide(ctx, delivery, check)
    request = ctx.request()

    def commit(conn: Connection) -> None:
        ctx.must_be_current(conn)  # the step that follows is named by the version it sends
        if deliveries.move(conn, delivery.id, DeliveryStatus.VERIFIED):
            totals.records_verified(conn, ctx.request_id)
        requests.set_records(conn, ctx.request_id, Records.VERIFIED)
        if delivery.version == 1:
            watch_later(conn, ctx, request)

    sending = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.REQUEST, ctx.read_version)
    following = (NextStep("send_request", request.fulfiller, delivery_id=sending),) if delivery.version == 1 else ()
    return Outcome(next_steps=following, apply=[commit])


def _check_resources(ctx: Context, delivery, packet) -> Check:
    """Search by what they are recognised by in batches (shows doubles too); by Location what the index does not show yet."""
    server, system = ctx.server(delivery.endpoint), packet.manifest.identifier_system
    with ctx.world.engine.begin() as conn:
        carried = packets.rows(conn, ctx.request_id)
    sources = packets.sources_of(ctx.world.payloads, carried)
    with ctx.world.engine.begin() as conn:
        rows = links.find_rows(conn, delivery.endpoint, [(system, source) for source in packet.resources])
        known = links.find(conn, delivery.endpoint, system, sources)
        items = deliveries.items(conn, delivery.id)
    origin = {source: row.origin for (_, source), row in rows.items()}
    ours = [resource for source, resource in packet.resources.items() if origin.get(source) == "created"]
    there = _read_all(ctx, server, system, ours, known)
    resources = prepared_resources(ctx, packet, delivery.endpoint)
    base = ctx.endpoint(packet.manifest.source_endpoint).base_url
    check = Check([], [], [])
    for source, resource in resources.items():
        target = known.get(source) or items[source].target
        read = there.get(source) or _read(server, target)
        if read is None:
            check.missing.append(source)
        elif origin.get(source) != "created":
            check.verified.append(source)  # matched there: it exists; its content is that side's own
        else:
            sent, _ = for_single_create(resource, links=known, identifier_system=system, source_base=base)
            (check.different if _differs(ctx, sent, read, source, known) else check.verified).append(source)
    return check


def _read_all(ctx: Context, server, system: str, resources: list[dict], known: Mapping[str, str]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for source, there in search_by_identity(server, system, resources).items():
        found[source] = next((each for each in there if packets.source_of(each) == known.get(source)), there[0])
        if len(there) > 1:
            ctx.finding(
                "duplicate-at-target",
                f"{len(there)} resources hold this identifier: " + ", ".join(sorted(map(packets.source_of, there))[:5]),
                source,
                "error",
            )
    return found


def _read(server, target: str | None) -> dict | None:
    return target and server.read_if_there(target)


def _differs(
    ctx: Context, sent: dict, read: dict, source: str, known: Mapping[str, str] = MappingProxyType({})
) -> bool:
    """True when something that matters changed; lesser losses are findings."""
    failed = False
    for difference in compare(sent, read, links=known, target_base=ctx.server(ctx.step.endpoint).endpoint.base_url):
        fails = difference.severity == "fail"
        failed = failed or fails
        ctx.finding(
            f"verify-{difference.kind}",
            difference.message,
            f"{source}#{difference.path}",
            "error" if fails else "warning",
        )
    return failed


def _check_documents(ctx: Context, delivery, packet) -> Check:
    """Each document read back and compared, bytes by hash; the records it carries count with it."""
    server, check = ctx.server(delivery.endpoint), Check([], [], [])
    with ctx.world.engine.begin() as conn:
        patient = links.find(conn, delivery.endpoint, packet.manifest.identifier_system, [packet.manifest.patient])
        items = deliveries.items(conn, delivery.id)
    for document in documents_of(ctx, packet, delivery, patient[packet.manifest.patient]):
        item = items.get(document.name)
        read = _read(server, item.target if item else None)
        if read is None:
            target = check.missing
        else:
            target = check.different if _differs(ctx, document.resource, read, document.name) else check.verified
        target += [document.name, *document.carries]
    return check


def verify_request(ctx: Context) -> Outcome:
    """ServiceRequest and Task are at the fulfiller as sent; then its progress is watched."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.get(conn, ctx.step.delivery_id)
    check = check_written(ctx, delivery)
    _decide(ctx, delivery, check)
    watch_at = ctx.now

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, DeliveryStatus.VERIFIED)
        links.verified_as(
            conn,
            delivery.endpoint,
            ctx.world.config.exchange.identifier_system,
            check.versions,
            {name: item.sent_sha256 for name, item in deliveries.items(conn, delivery.id).items()},
        )

    return Outcome(
        next_steps=(NextStep("watch_fulfiller", delivery.endpoint, at=watch_at, deadline=AFTER_WORK),), apply=[commit]
    )


def verify_report(ctx: Context) -> Outcome:
    """The report is in the primary care EHR, findable by its identifier, with the bytes we sent: the loop closes."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.get(conn, ctx.step.delivery_id)
    check = check_written(ctx, delivery)
    _decide(ctx, delivery, check)
    for name in check.verified:
        identifier = Identifier(system=ctx.world.config.exchange.identifier_system, value=name)
        if find_one(ctx, delivery.endpoint, "DocumentReference", identifier) is None:
            raise TemporaryError(
                f"the report is not yet found by its identifier at {delivery.endpoint}",
                endpoint=delivery.endpoint,
                cause="not-searchable",
            )

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, DeliveryStatus.VERIFIED)
        ctx.closed_loop = requests.close(conn, ctx.request_id)

    return Outcome(next_steps=(NextStep("mirror_status", delivery.endpoint),), apply=[commit])


def check_written(ctx: Context, delivery) -> Check:
    """Compare each item of a delivery of our own resources with the bytes we kept; items are named by their identifier."""
    server, check = ctx.server(delivery.endpoint), Check([], [], [])
    with ctx.world.engine.begin() as conn:
        items = deliveries.items(conn, delivery.id)
    for name, item in items.items():
        read = _read(server, item.target)
        if read is None:
            check.missing.append(name)
            continue
        sent = fhir_json.loads(ctx.world.payloads.get(item.sent_sha256))
        if is_unchanged(sent, read):
            check.versions[name] = version_of(read)
        if (
            sent["resourceType"] == "Task"
        ):  # the fulfiller may have moved it on; a request resubmitted after a restore is younger
            sent, read = (
                {key: value for key, value in each.items() if key not in (*THEIRS, "authoredOn")}
                for each in (sent, read)
            )
        lost = _loses_words(ctx, sent, read, name)
        (check.different if _differs(ctx, sent, read, name) or lost else check.verified).append(name)
    return check


def _loses_words(ctx: Context, sent: dict, read: dict, name: str) -> bool:
    """True when the question does not stand there as asked: for `compare` the text beside a code only explains it."""
    if sent["resourceType"] != "ServiceRequest" or reason_texts(sent) <= reason_texts(read):
        return False
    ctx.finding(
        "verify-changed",
        "the words of the question or of a reason came back different",
        f"{name}#ServiceRequest.reasonCode.text",
        "error",
    )
    return True


def _decide(ctx: Context, delivery, check: Check) -> None:
    """Mark items; anything but all verified raises: later while the index may lag, else a person."""
    with ctx.transaction() as conn:
        for status, names in (("verified", check.verified), ("different", check.different), ("missing", check.missing)):
            deliveries.mark_items(conn, delivery.id, [dict(source=name, status=status) for name in names])
    if check.different:
        raise NeedsPerson(
            "verify-different",
            f"{len(check.different)} item(s) at {delivery.endpoint} differ from what was "
            f"sent: {', '.join(check.different[:5])}",
            "Look at the findings; mend the target with its contact, then retry the verification.",
        )
    if check.missing:
        waited = ctx.now - (delivery.sent_at or ctx.now)
        lag = timedelta(seconds=ctx.endpoint(delivery.endpoint).limits.search_lag_seconds)
        if waited <= lag:
            raise TemporaryError(
                f"{len(check.missing)} item(s) are not readable yet at {delivery.endpoint}",
                endpoint=delivery.endpoint,
                cause="not-readable-yet",
                retry_after_seconds=max(0.2, (lag - waited).total_seconds()),
            )
        raise NeedsPerson(
            "verify-missing",
            f"{len(check.missing)} item(s) cannot be read back at {delivery.endpoint}: {', '.join(check.missing[:5])}",
            "Ask the endpoint's contact what became of them; they were "
            "accepted. Nothing is sent again before a person decides.",
        )
