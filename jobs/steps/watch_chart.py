"""Watch the chart at the placer: what is corrected, new, gone or re-filed there travels as a delta packet."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from integration.packets import stored as packets
from integration.packets.consented import documents_of, hashes_by_record
from integration.store import deliveries, received_records, revisions
from integration.store import packets as packet_rows
from integration.store.requests import Request
from jobs.patients import find_patient
from jobs.source.chart import Chart
from jobs.source.packing import note_gathered, pack
from jobs.source.received import attachments_of, read_whole
from jobs.source.withdrawn import withdrawn_items
from jobs.target.waiving import packets_so_far
from jobs.watching import CHART, CHART_AFTERWARDS
from jobs.world import Context, Outcome
from mappings.chart_changes import Look, changed, how_to_look, is_searched_whole, shows_a_loss
from mappings.model.delivery import DeliveryKind
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import Status
from mappings.references import targets_of
from mappings.staying_home import staying
from mappings.withdrawal import Carried, carried

WATCH_OVERLAP = timedelta(hours=1)  # the placer's clock is not ours


def watch_chart(ctx: Context) -> Outcome:
    """Look again at the placer. What searches show is enough to see that something changed, never to send or to withdraw it:
    before a delta is made the whole chart is read, with all that it points to, and at least once a day."""
    request, row = ctx.request(), ctx.row()
    with ctx.world.engine.begin() as conn:
        stored = packet_rows.of_request(conn, ctx.request_id)
        earlier = deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)
        said = row.chart_read_at is not None and received_records.said_since(conn, ctx.request_id, row.chart_read_at)
    look = how_to_look(
        Status(row.status),
        now=ctx.now,
        ended_at=row.closed_at or row.updated_at,
        watch_days=ctx.world.config.records.watch_days,
        deliveries=[each.status for each in earlier],
        read_in_full_at=row.chart_read_at,
        wants_other_records=_wants_other_records(ctx, row, request),
        visit_ended_at=_visit_ended_at(ctx, row),
        person_said=said,
    )
    if look is Look.OVER:
        return Outcome()
    pace = CHART_AFTERWARDS if Status(row.status) is Status.COMPLETED else CHART
    again = pace.next_look(ctx.now, stored[-1].created_at, every_seconds=ctx.world.config.schedules.watch_chart_seconds)
    if look is Look.LATER:
        return Outcome(again_at=again)
    patient = find_patient(ctx, request.placer, request.patient)
    stands = carried(packets.manifest_of(ctx.world.payloads, packet.manifest_sha256) for packet in stored)
    left_home = _left_home(ctx)
    was_asked_anew = bool(left_home) and _consent_since(ctx, row.chart_read_at)
    if (
        look is Look.SEARCH
        and not was_asked_anew
        and not _shows_a_change(ctx, request, patient, stored[-1].created_at, stands)
    ):
        return Outcome(again_at=again)
    outcome = _delta(ctx, request, read_whole(ctx, request, patient), stands, len(stored), left_home)
    return Outcome(next_steps=outcome.next_steps, apply=outcome.apply, again_at=again)


def _visit_ended_at(ctx: Context, row: Request) -> datetime | None:
    days = timedelta(days=ctx.world.config.records.watch_after_visit_days)
    return None if row.visit_at is None else row.visit_at + days


def _wants_other_records(ctx: Context, row: Request, request: SecondOpinionRequest) -> bool:
    """True when a correction changed which records, or opinions, are wanted since the chart was last gathered."""
    gathered = row.gathered_version or 1
    if gathered == ctx.read_version:
        return False
    with ctx.world.engine.begin() as conn:
        before = revisions.content(conn, ctx.request_id, gathered)
    return (before.records, before.earlier_opinions) != (request.records, request.earlier_opinions)


def _shows_a_change(ctx: Context, request: SecondOpinionRequest, patient: str, last: datetime, stands: Carried) -> bool:
    """Whether the searches show something else than what was carried: all of a small chart, of others what is younger."""
    is_whole = is_searched_whole(stands)
    since = None if is_whole else last - WATCH_OVERLAP
    chart = read_whole(ctx, request, patient, since=since, known=frozenset(stands.resources))
    if changed(_hashes(chart), stands) or chart.taken_back.keys() & stands.resources.keys():
        return True
    return is_whole and shows_a_loss(chart.resources, chart.searched, stands)


def _hashes(chart: Chart) -> dict[str, str]:
    return {source: chart.resources.about(source).sha256 for source in chart.resources}


def _left_home(ctx: Context) -> frozenset[str]:
    """What the patient's consent left out of what was sent last, and nobody else did."""
    with ctx.world.engine.begin() as conn:
        left_out = deliveries.left_out_by_consent(conn, ctx.request_id)
    return left_out - ctx.waived()


def _consent_since(ctx: Context, read_at: datetime | None) -> bool:
    """A statement of consent was recorded since the whole chart was read: more may leave now."""
    said = ctx.consent()
    return said is not None and (read_at is None or said.created_at > read_at)


def _delta(
    ctx: Context,
    request: SecondOpinionRequest,
    chart: Chart,
    stands: Carried,
    packets_so_far: int,
    left_home: frozenset[str],
) -> Outcome:
    """A packet of what changed in the whole chart, or only the note that it was read."""
    attachments = attachments_of(ctx, request, chart)
    withdrawn = withdrawn_items(ctx, request.placer, chart, stands)
    chart.problems.raise_if_any()
    other = changed(_hashes(chart), stands, attachments)
    other += [each for each in _may_go_now(ctx, chart, attachments, left_home) if each not in other]
    if not other and not withdrawn:
        return Outcome(apply=[lambda conn: note_gathered(conn, ctx)])
    anew = set(other)
    of_changed = [item for item in attachments if item.source in anew]
    return pack(ctx, request, chart, other, of_changed, base=packets_so_far, withdrawn=withdrawn)


def _may_go_now(
    ctx: Context, chart: Chart, attachments: Sequence[ManifestItem], left_home: frozenset[str]
) -> list[str]:
    """What the patient left home before, and lets go now; with what refers to it, which went without that."""
    there, said = left_home & chart.resources.keys(), ctx.consent()
    if there and said is not None and said.consent.left_home:
        before = packets_so_far(ctx)
        stays = staying(
            [*(each.resources for each in before), chart.resources],
            [*(documents_of(each.manifest) for each in before), hashes_by_record(attachments)],
            said.consent,
        )
        there -= stays.why.keys()
    referring = (each for each in chart.resources if there.intersection(_targets(chart, each))) if there else ()
    return sorted(there.union(referring))


def _targets(chart: Chart, source: str) -> list[str]:
    return targets_of(chart.resources[source], source_base=tuple(chart.bases))
