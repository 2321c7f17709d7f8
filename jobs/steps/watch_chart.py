"""Watch the chart at the placer: what is corrected, new, gone or re-filed there travels as a delta packet."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Row

from integration.packets import stored as packets
from integration.store import deliveries, revisions
from jobs.patients import find_patient
from jobs.source.attachments import attachment_items
from jobs.source.chart import Chart, read_chart
from jobs.source.packing import note_gathered, pack
from jobs.source.withdrawn import withdrawn_items
from jobs.watching import CHART, CHART_AFTERWARDS
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryKind
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Status
from mappings.withdrawal import Carried, carried

WATCH_OVERLAP = timedelta(hours=1)  # the placer's clock is not ours
IN_FULL_EVERY = timedelta(days=1)  # what is gone, re-filed or changed behind a reference no search by time shows
SMALL_CHART = (
    1000  # records; so few are searched for as a whole at every look: as many requests, and it shows what is gone
)


def watch_chart(ctx: Context) -> Outcome:
    """Look again at the placer. What searches show is enough to see that something changed, never to send or to withdraw it:
    before a delta is made the whole chart is read, with all that it points to, and at least once a day."""
    request, row = ctx.request(), ctx.row()
    if _is_over(ctx, row):
        return Outcome()
    with ctx.world.engine.begin() as conn:
        stored = packets.rows(conn, ctx.request_id)
        earlier = deliveries.of_request(conn, ctx.request_id, DeliveryKind.RECORDS)
    pace = CHART_AFTERWARDS if Status(row.status) is Status.COMPLETED else CHART
    again = pace.next_look(ctx.now, stored[-1].created_at, every_seconds=ctx.world.config.schedules.watch_chart_seconds)
    if any(each.status not in ("verified", "cancelled") for each in earlier):
        return Outcome(again_at=again)  # one delivery of records at a time; what changes meanwhile is read then
    patient = find_patient(ctx, request.placer, request.patient)
    stands = carried(packets.manifest_of(ctx.world.payloads, packet.manifest_sha256) for packet in stored)
    if not _in_full(ctx, row, request) and not _shows_a_change(ctx, request, patient, stored[-1].created_at, stands):
        return Outcome(again_at=again)
    outcome = _delta(ctx, request, read_chart(ctx, request, patient), stands, len(stored))
    return Outcome(next_steps=outcome.next_steps, apply=outcome.apply, again_at=again)


def _is_over(ctx: Context, row: Row) -> bool:
    """The watch ends with the request; after an opinion it goes on as long as the returned report is watched."""
    if Status(row.status) is not Status.COMPLETED:
        return Status(row.status) in FINAL
    return ctx.now - (row.closed_at or row.updated_at) > timedelta(days=ctx.world.config.records.watch_days)


def _in_full(ctx: Context, row: Row, request: SecondOpinionRequest) -> bool:
    """True when the chart is to be read in full now: a day is over, or a correction changed which records are wanted."""
    if row.chart_read_at is None or ctx.now - row.chart_read_at >= IN_FULL_EVERY:
        return True
    gathered = row.gathered_version or 1
    if gathered == ctx.read_version:
        return False
    with ctx.world.engine.begin() as conn:
        return revisions.content(conn, ctx.request_id, gathered).records != request.records


def _shows_a_change(ctx: Context, request: SecondOpinionRequest, patient: str, last: datetime, stands: Carried) -> bool:
    """Whether the searches show something else than what was carried: all of a small chart, of others what is younger."""
    as_a_whole = len(stands.resources) <= SMALL_CHART
    since = None if as_a_whole else last - WATCH_OVERLAP
    chart = read_chart(ctx, request, patient, since=since, known=frozenset(stands.resources))
    return (
        bool(_changed(chart, stands, ()))
        or as_a_whole
        and any(
            source not in chart.resources
            for source in stands.resources
            if source.partition("/")[0] in chart.searched and stands.may_be_withdrawn(source)
        )
    )


def _delta(ctx: Context, request: SecondOpinionRequest, chart: Chart, stands: Carried, packets_so_far: int) -> Outcome:
    """A packet of what changed in the whole chart, or only the note that it was read."""
    attachments = attachment_items(ctx, request.placer, chart, list(chart.resources))
    withdrawn = withdrawn_items(ctx, request.placer, chart, stands)
    chart.problems.must_be_none()
    changed = _changed(chart, stands, attachments)
    if not changed and not withdrawn:
        return Outcome(apply=[lambda conn: note_gathered(conn, ctx)])
    anew = set(changed)
    of_changed = [item for item in attachments if item.source in anew]
    return pack(ctx, request, chart, changed, of_changed, base=packets_so_far, withdrawn=withdrawn)


def _changed(chart: Chart, stands: Carried, attachments: Collection[ManifestItem]) -> list[str]:
    """What says something else than the copy that was carried, or is new; by its own bytes or by those it points to."""
    replaced = {item.source for item in attachments if stands.attachments.get(item.of or "") != item.sha256}
    before = {source: item.sha256 for source, item in stands.resources.items()}
    return [
        source
        for source in chart.resources
        if before.get(source) != chart.resources.about(source).sha256 or source in replaced
    ]
