"""Read back what was written and compare: no write counts until this has passed."""

from datetime import timedelta

from sqlalchemy import Connection

from integration import fhir_json
from integration.packets import stored as packets
from integration.roads.road import NotAllowed
from integration.store import acknowledgments, consents, deliveries, links, reports, requests, sendings, totals
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from integration.store.sendings import Sending
from integration.store.steps import AFTER_WORK, NextStep
from jobs.target.checking import Check, differs, read_back
from jobs.target.documents import check_documents
from jobs.target.looking import find_one
from jobs.target.origins import is_wanted
from jobs.target.reading_back import check_resources
from jobs.target.renewing import is_unchanged
from jobs.target.report import documents_sent
from jobs.target.sending import read_back as read_back_document
from jobs.target.waiving import without_waived
from jobs.target.withdrawing import check_withdrawn
from jobs.target.writing import version_of
from jobs.watching import watch_chart_later
from jobs.world import Context, Outcome
from mappings.model.delivery import STATUS_OF, DeliveryKind, DeliveryStatus, ReadBack, verdict_of_reading
from mappings.model.errors import NeedsPerson, TemporaryError
from mappings.model.outgoing import visible_of
from mappings.model.request import Identifier
from mappings.model.roads import Level, RoadName, lowest
from mappings.model.states import Records
from mappings.service_request import reason_texts
from mappings.task import THEIRS


def verify_records(ctx: Context) -> Outcome:
    """Every record of the packet is at the fulfiller, once, and says what was sent."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
        packet_row = packet_rows.one(conn, delivery.packet)
        consent = consents.one(conn, delivery.consent_id).consent if delivery.consent_id else None
    packet = without_waived(ctx, packets.load(ctx.world.payloads, packet_row.manifest_sha256), consent)
    if ctx.endpoint(delivery.endpoint).accepts == "resources":
        check = check_resources(ctx, delivery, packet)
    else:
        check = check_documents(ctx, delivery, packet)
    check_withdrawn(ctx, delivery, packet, check)
    _decide(ctx, delivery, check)
    level = _level_of_records(ctx, delivery, check)
    request = ctx.request()

    def commit(conn: Connection) -> None:
        ctx.must_be_current(conn)  # the step that follows is named by the version it sends
        if deliveries.move(conn, delivery.id, STATUS_OF[level]) and level is Level.READ_BACK:
            totals.records_verified(conn, ctx.request_id)
        deliveries.set_level(conn, delivery.id, None, level)
        requests.set_records(conn, ctx.request_id, Records.VERIFIED)
        if delivery.version == 1:
            watch_chart_later(conn, ctx, request)

    sending = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.REQUEST, ctx.version)
    if delivery.version == 1:
        following = NextStep("send_request", request.fulfiller, delivery_id=sending)
    else:
        following = NextStep("tell_correction", request.fulfiller, delivery_id=delivery.id)
    if not is_wanted(ctx, delivery.endpoint, packet.manifest):
        return Outcome(next_steps=(following,), apply=[commit])
    beside = NextStep("tell_origins", delivery.endpoint, deadline=AFTER_WORK)  # nothing waits for it
    return Outcome(next_steps=(following, beside), apply=[commit])


def verify_request(ctx: Context) -> Outcome:
    """ServiceRequest and Task are at the fulfiller as sent; then its progress is watched."""
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
    check = check_written(ctx, delivery)
    _decide(ctx, delivery, check)
    watch_at = ctx.now

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, DeliveryStatus.VERIFIED)
        deliveries.set_level(conn, delivery.id, None, Level.READ_BACK)
        for name in check.verified:
            own = Identifier(system=ctx.world.config.exchange.identifier_system, value=name)
            sendings.set_level(conn, delivery.endpoint, own, Level.READ_BACK)
        links.verified_as(
            conn,
            delivery.endpoint,
            ctx.world.config.exchange.identifier_system,
            check.versions,
            {name: item.kept for name, item in deliveries.items(conn, delivery.id).items() if name in check.versions},
        )

    return Outcome(
        next_steps=(NextStep("watch_fulfiller", delivery.endpoint, at=watch_at, deadline=AFTER_WORK),), apply=[commit]
    )


def verify_report(ctx: Context) -> Outcome:
    """What is known of the report in the primary care EHR: at best it is read back, and says what was sent.

    The loop closes on the evidence that the endpoint's ``closes_on`` names; anything less waits for a person.
    """
    with ctx.world.engine.begin() as conn:
        delivery = deliveries.one(conn, ctx.step.delivery)
        sent = documents_sent(conn, delivery.id)
    levels = _levels(ctx, delivery, sent)
    _must_close(ctx, delivery, sent, levels)
    level = lowest(levels.values()) if sent else _level_without_ledger(ctx, delivery)
    road = sent[0].road if sent else RoadName.FHIR_DOCUMENT

    def commit(conn: Connection) -> None:
        deliveries.move(conn, delivery.id, STATUS_OF[level])
        deliveries.set_level(conn, delivery.id, road, level)
        for each in sent:
            sendings.set_level(conn, each.endpoint, each.identifier, levels[each.value])
        if reports.is_the_answer(conn, ctx.request_id, delivery.version):
            acknowledgments.arrived(conn, ctx.request_id, delivery.version)
            ctx.closed_loop = requests.close(conn, ctx.request_id, delivery.id, road=road, level=level)

    return Outcome(next_steps=(NextStep("mirror_status", delivery.endpoint),), apply=[commit])


def _level_of_records(ctx: Context, delivery: Delivery, check: Check) -> Level:
    """The lowest that is known of one of its documents. Raises NeedsPerson when the endpoint's ``closes_on`` asks for more."""
    closing = ctx.endpoint(delivery.endpoint).closing_levels
    low = sorted(identifier.value for identifier, level in check.levels.items() if level not in closing)
    with ctx.transaction() as conn:
        for identifier, level in check.levels.items():
            sendings.set_level(conn, delivery.endpoint, identifier, level)
    if low:
        words = (visible_of(ctx.request_id, each) for each in check.levels if each.value in low)
        raise NeedsPerson(
            "level-too-low",
            f"{len(low)} document(s) went to {delivery.endpoint} and cannot be read back there: {', '.join(low[:5])}. "
            f"Search the chart there for: {', '.join(sorted(words)[:5])}",
            items=low,
        )
    return lowest(check.levels.values())


def _levels(ctx: Context, delivery: Delivery, sent: list[Sending]) -> dict[str, Level]:
    """Of each document: read back where that is allowed; else what the system said, or a person. Raises while one is not there."""
    levels, check = dict[str, Level](), Check([], [], [])
    for each in sent:
        read = read_back_document(ctx, each)
        if isinstance(read, NotAllowed):
            levels[each.value] = Level(each.level or Level.UNVERIFIABLE)
            continue
        (check.missing if read is None else check.verified if read.same else check.different).append(each.value)
        levels[each.value] = Level.READ_BACK
    _decide(ctx, delivery, check)
    return levels


def _level_without_ledger(ctx: Context, delivery: Delivery) -> Level:
    """Of a report that an earlier version sent: compared with the bytes that were kept, and found by its identifier."""
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
    return Level.READ_BACK


def _must_close(ctx: Context, delivery: Delivery, sent: list[Sending], levels: dict[str, Level]) -> None:
    """Raises NeedsPerson where less is known of one document than the endpoint's ``closes_on`` asks for."""
    closing = ctx.endpoint(delivery.endpoint).closing_levels
    low = [each for each in sent if levels[each.value] not in closing]
    if not low:
        return
    road, level = low[0].road, lowest(levels[each.value] for each in low)
    with ctx.transaction() as conn:
        deliveries.set_level(conn, delivery.id, road, level)
    of = f"{len(low)} of {len(sent)} documents of the report" if len(sent) > 1 else "the report"
    words = ", ".join(visible_of(ctx.request_id, each.identifier) for each in low)
    raise NeedsPerson(
        "level-too-low",
        f"{of} went to {delivery.endpoint} by {road}, and what is known of it is {level}; the loop closes on "
        f"{', '.join(sorted(closing))}. Search the chart there for: {words}",
    )


def check_written(ctx: Context, delivery: Delivery) -> Check:
    """Compare each item of a delivery of our own resources with the bytes we kept; items are named by their identifier."""
    server, check = ctx.server(delivery.endpoint), Check([], [], [])
    with ctx.world.engine.begin() as conn:
        items = deliveries.items(conn, delivery.id)
    for name, item in items.items():
        read = read_back(server, item.target)
        if read is None:
            check.missing.append(name)
            continue
        sent = fhir_json.loads(ctx.world.payloads.get(item.kept))
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
        (check.different if differs(ctx, sent, read, name) or lost else check.verified).append(name)
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


def _decide(ctx: Context, delivery: Delivery, check: Check) -> None:
    """Mark items; anything but all verified raises: later while the index may lag, else a person."""
    with ctx.transaction() as conn:
        for status, names in (("verified", check.verified), ("different", check.different), ("missing", check.missing)):
            deliveries.mark_items(conn, delivery.id, [dict(source=name, status=status) for name in names])
    verdict, left = verdict_of_reading(
        different=len(check.different),
        missing=len(check.missing),
        sent_at=delivery.sent_at,
        now=ctx.now,
        lag=timedelta(seconds=ctx.endpoint(delivery.endpoint).limits.search_lag_seconds),
    )
    if verdict is ReadBack.DIFFERENT:
        raise NeedsPerson(
            "verify-different",
            f"{len(check.different)} item(s) at {delivery.endpoint} differ from what was "
            f"sent: {', '.join(check.different[:5])}",
            items=check.different,
        )
    if verdict is ReadBack.NOT_YET:
        raise TemporaryError(
            f"{len(check.missing)} item(s) are not readable yet at {delivery.endpoint}",
            endpoint=delivery.endpoint,
            cause="not-readable-yet",
            retry_after_seconds=max(0.2, left.total_seconds()),
        )
    if verdict is ReadBack.MISSING:
        raise NeedsPerson(
            "verify-missing",
            f"{len(check.missing)} item(s) cannot be read back at {delivery.endpoint}: {', '.join(check.missing[:5])}",
            items=check.missing,
        )
