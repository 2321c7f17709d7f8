"""Gather a patient's records at another provider because a person named it, and watch them as long as the chart is watched.

What is read there is kept whole, beside the packets; the chart of the request takes it over (jobs/source/elsewhere.py), so that
it is judged, sent, corrected and withdrawn as everything else. Nothing here keeps the request from going on.
"""

from datetime import timedelta

from sqlalchemy import Connection

from integration.packets import stored as packets
from integration.packets.stored import Packet
from integration.patients import described_at
from integration.store import record_sources
from integration.store.record_sources import RecordSource
from integration.store.steps import LAST_OF_ALL, NextStep
from jobs import gate
from jobs.patients import find_patient
from jobs.source.attachments import attachment_items
from jobs.source.chart import Chart, read_chart
from jobs.source.earlier_opinions import without_copies
from jobs.source.packing import manifest_of
from jobs.watching import CHART
from jobs.world import Context, Outcome
from mappings.model.errors import NeedsPerson
from mappings.model.leaving import Going
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.states import FINAL, Status
from mappings.subject import SUBJECT_ELEMENTS
from mappings.withdrawal import is_a_mass, why_withdrawn

NAMED = 5  # of many, so many are named


def gather_elsewhere(ctx: Context) -> Outcome:
    """Read what is there of the patient; when it is another than before, the request's next packet is made of it.

    1. the gate is asked: who the patient is leaves for there; 2. the patient is found, or a person is asked; 3. the chart there is
    read with every page; 4. what was there before and is not now is asked for by name; 5. all of it is kept.
    """
    endpoint = ctx.step.endpoint
    with ctx.world.engine.connect() as conn:
        source = record_sources.at(conn, ctx.request_id, endpoint)
    if source is None or _is_over(ctx):
        return Outcome()
    request = ctx.request()
    with ctx.world.engine.connect() as conn:
        wanted = described_at(conn, ctx.request_id, request, endpoint)
    gate.passes(ctx, endpoint, Going("Patient", (f"{ctx.request_id}-at-{endpoint}",)))
    patient = find_patient(ctx, endpoint, wanted)
    chart = read_chart(ctx, request, patient, at=endpoint, whole=source.whole)
    before = _before(ctx, source, patient)
    gone = _gone(ctx, endpoint, chart, before)
    attachments = without_copies(ctx, chart, attachment_items(ctx, endpoint, chart, list(chart.resources)))
    attachments = _without_what_cannot_be_had(ctx, endpoint, chart, attachments, before)
    items = (*(packets.resource_item(each, chart.resources.about(each)) for each in chart.resources), *attachments)
    manifest = manifest_of(ctx, f"{ctx.request_id}-from-{source.id}", endpoint, chart, items)
    return _kept(ctx, source, chart, manifest, before, gone)


def _is_over(ctx: Context) -> bool:
    """As the watch of the chart: nobody needs it after the visit, or long after the opinion."""
    row, records = ctx.row(), ctx.config.records
    status = Status(row.status)
    ended = row.closed_at or row.updated_at
    if status in FINAL and (status is not Status.COMPLETED or ctx.now - ended > timedelta(days=records.watch_days)):
        return True
    return row.visit_at is not None and ctx.now > row.visit_at + timedelta(days=records.watch_after_visit_days)


def _before(ctx: Context, source: RecordSource, patient: str) -> Packet | None:
    """What was read there last, of the same patient."""
    if source.manifest_sha256 is None:
        return None
    packet = packets.load(ctx.world.payloads, source.manifest_sha256)
    return packet if packet.manifest.patient == patient else None


def _gone(ctx: Context, endpoint: str, chart: Chart, before: Packet | None) -> dict[str, str]:
    """Of what was there before and no search shows: what its server says is gone; the rest is there, as it says now.

    Raises NeedsPerson when so many are gone at once that the server itself may have lost them.
    """
    server, patient, gone = ctx.server(endpoint), chart.resources[chart.patient], {}
    missing = [each for each in before.resources if each not in chart.resources] if before else []
    for source in missing:
        with chart.problems.about(source):
            there = server.read_if_there(source)
            why = why_withdrawn(there, patient, chart.bases) if _is_a_record(source) else None
            if why is not None:
                gone[source] = why
            elif there is not None and packets.source_of(there) == source:
                chart.resources[source] = there
    before_it = sum(map(_is_a_record, before.resources)) if before else 0
    if is_a_mass(len(gone), before_it, ctx.config.records.max_withdrawn_percent):
        names = ", ".join(list(gone)[:NAMED])
        raise NeedsPerson(
            "many-withdrawn",
            f"{len(gone)} of {before_it} records are gone at {endpoint} or about another patient now, among them {names}",
        )
    return gone


def _is_a_record(source: str) -> bool:
    return bool(SUBJECT_ELEMENTS.get(source.partition("/")[0]))


def _without_what_cannot_be_had(
    ctx: Context, endpoint: str, chart: Chart, attachments: list[ManifestItem], before: Packet | None
) -> list[ManifestItem]:
    """Each is a finding and stops nothing else: what was read of it before stands, what was never read stays out."""
    for place, why in chart.problems.all.items():
        source = place.partition("#")[0]
        kept = "what was read of it before stands" if before and source in before.resources else "it is left out"
        ctx.finding("elsewhere-incomplete", f"{why}; {kept}", f"{endpoint} {place}"[:300], "error")
    bad = {place.partition("#")[0] for place in chart.problems.all}
    attachments = [each for each in attachments if each.source not in bad]
    for source in bad:
        chart.resources.pop(source, None)
        if before and source in before.resources:
            chart.resources[source] = before.resources[source]
            attachments += [each for each in before.manifest.attachments if each.source == source]
    chart.resources.sort()
    return attachments


def _kept(
    ctx: Context, source: RecordSource, chart: Chart, manifest: Manifest, before: Packet | None, gone: dict[str, str]
) -> Outcome:
    digest = packets.store(ctx.world.payloads, manifest, map(chart.resources.line, chart.resources))
    is_new = before is None or _content(before.manifest) != _content(manifest)
    all_gone = {each: why for each, why in {**source.gone, **gone}.items() if each not in chart.resources}

    def commit(conn: Connection) -> None:
        record_sources.keep_read(conn, source, digest, all_gone, ctx.now, is_new=is_new)

    quiet_since = ctx.now if is_new or source.changed_at is None else source.changed_at
    again = CHART.next_look(ctx.now, quiet_since, every_seconds=ctx.config.schedules.watch_chart_seconds)
    if ctx.step.kind == record_sources.WATCH:
        return Outcome(again_at=again, apply=[commit])
    watch = NextStep(record_sources.WATCH, source.endpoint, at=again, deadline=LAST_OF_ALL)
    return Outcome(next_steps=(watch,), apply=[commit])


def _content(manifest: Manifest) -> set[tuple[str, str]]:
    return {(item.of or item.source, item.sha256) for item in manifest.items}
