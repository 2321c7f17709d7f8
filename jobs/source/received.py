"""Joins what arrived from elsewhere to the chart that was read: accepted records travel, withdrawn ones are taken back."""

from datetime import datetime

from integration.store import medication_reviews, received_records
from integration.store.received_records import State
from jobs.source.attachments import attachment_items
from jobs.source.chart import Chart, read_chart
from jobs.source.earlier_opinions import join_opinions, without_copies
from jobs.source.elsewhere import join_elsewhere, without_doubles
from jobs.world import Context
from mappings.medications import Review, name_of_statement, statements
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.received import WITHDRAWN_BECAUSE, attachment_place, name_of, resources


def read_whole(
    ctx: Context,
    request: SecondOpinionRequest,
    patient: str,
    *,
    since: datetime | None = None,
    known: frozenset[str] = frozenset(),
) -> Chart:
    """The chart at the placer (see `read_chart`), what arrived from elsewhere for this request, and what goes along.

    That is: the earlier opinions, and what was gathered at other providers."""
    chart = read_chart(ctx, request, patient, since=since, known=known)
    join_received(ctx, chart)
    join_opinions(ctx, request, chart)
    join_elsewhere(ctx, request.placer, chart)
    return chart


def attachments_of(ctx: Context, request: SecondOpinionRequest, chart: Chart) -> list[ManifestItem]:
    """The bytes of a whole chart's documents, without copies of the case's reports, and without other providers' of its own documents."""
    items = attachment_items(ctx, request.placer, chart, list(chart.resources))
    return without_doubles(ctx, chart, without_copies(ctx, chart, items))


def join_received(ctx: Context, chart: Chart) -> None:
    """Each record that a person accepted, as a document of the patient with the bytes that were received."""
    with ctx.world.engine.begin() as conn:
        rows = received_records.of_request(conn, ctx.request_id)
        reviews = medication_reviews.of_request(conn, ctx.request_id)
    _join_statements(ctx, chart, [each.as_said for each in reviews])
    for row in rows:
        if row.accepted_at is None:
            continue
        record = row.as_accepted
        made = resources(record, chart.patient)
        if row.state == State.ACCEPTED:
            chart.resources.update(made)
            chart.received.append(
                ManifestItem(
                    source=name_of(row.id),
                    kind="attachment",
                    size=row.size,
                    sha256=row.sha256,
                    of=attachment_place(row.id),
                    content_type=row.content_type,
                )
            )
        else:
            why = f"{WITHDRAWN_BECAUSE.get(row.ended_because or '', 'withdrawn')} (received from elsewhere, taken back by {row.ended_by})"
            chart.taken_back |= dict.fromkeys(made, why)
    chart.resources.sort()


def _join_statements(ctx: Context, chart: Chart, reviews: list[Review]) -> None:
    """What the newest review says of the medications; what only an earlier one said is taken back."""
    if not reviews:
        return
    made = statements(reviews[-1], chart.patient, ctx.request_id, chart.resources)
    earlier = {name_of_statement(ctx.request_id, word.key) for review in reviews for word in review.words}
    chart.resources.update(made)
    chart.taken_back |= dict.fromkeys(
        sorted(earlier - made.keys()), "the list of medications was gone through again without it"
    )
