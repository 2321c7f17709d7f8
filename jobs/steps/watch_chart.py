"""Watch the chart at the placer: what is corrected or new there travels as a delta packet."""

import hashlib
from datetime import timedelta

from integration import fhir_json
from integration.packets import stored as packets
from integration.store import deliveries, revisions
from jobs.patients import find_patient
from jobs.source.attachments import attachment_items
from jobs.source.chart import read_chart
from jobs.source.packing import note_gathered, pack
from jobs.watching import CHART, CHART_AFTERWARDS
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryKind
from mappings.model.states import FINAL, Status

WATCH_CHART_DAYS = 30
WATCH_OVERLAP = timedelta(hours=1)  # the placer's clock is not ours


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
        for source, resource in chart.resources.items()
        if hashlib.sha256(fhir_json.dumps(resource)).hexdigest() != newest.get(source)
    }
    if not changed:
        return Outcome(again_at=again, apply=[lambda conn: note_gathered(conn, ctx)] if in_full else [])
    attachments = attachment_items(ctx, request.placer, chart, list(changed))
    outcome = pack(ctx, request, chart, list(changed), attachments, base=len(stored))
    return Outcome(next_steps=outcome.next_steps, apply=outcome.apply, again_at=again)


def _wants_other_records(ctx: Context, row, request) -> bool:
    """True when a correction changed which records are wanted since the chart was last read in full."""
    gathered = row.gathered_version or 1
    if gathered == ctx.read_version:
        return False
    with ctx.world.engine.begin() as conn:
        return revisions.content(conn, ctx.request_id, gathered).records != request.records
