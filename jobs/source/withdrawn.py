"""Finds what an earlier packet carried and is no longer the patient's record at its source."""

from jobs.source.chart import Chart
from jobs.world import Context
from mappings.model.packet import ManifestItem
from mappings.withdrawal import Carried, why_withdrawn, withdrawn_item


def withdrawn_items(ctx: Context, placer: str, chart: Chart, stands: Carried) -> list[ManifestItem]:
    """Of all that was carried and the whole chart does not hold: each is read, and only what that says counts."""
    server, patient, items = ctx.server(placer), chart.resources[chart.patient], []
    for source, item in stands.resources.items():
        if source in chart.resources or not stands.may_be_withdrawn(source):
            continue
        with chart.problems.about(source):
            why = why_withdrawn(server.read_if_there(source), patient, chart.bases)
            if why is not None:
                items.append(withdrawn_item(item, why))
                ctx.finding("record-withdrawn", f"{why}; it was sent, and is taken back", source, "error")
    return items
