"""Finds what an earlier packet carried and is no longer the patient's record at its source."""

from jobs.source.chart import Chart
from jobs.world import Context
from mappings.model.errors import NeedsPerson
from mappings.model.packet import ManifestItem
from mappings.received import is_received
from mappings.withdrawal import Carried, is_a_mass, why_withdrawn, withdrawn_item

NAMED = 5  # of many, so many are named


def withdrawn_items(ctx: Context, placer: str, chart: Chart, stands: Carried) -> list[ManifestItem]:
    """Of all that was carried and the whole chart does not hold: each is read, and only what that says counts.

    Raises NeedsPerson when so many are gone at once that the source itself may have lost them.
    """
    server, patient, items = ctx.server(placer), chart.resources[chart.patient], []
    for source, item in stands.resources.items():
        if source in chart.resources or not stands.may_be_withdrawn(source):
            continue
        with chart.problems.about(source):
            if is_received(source):  # by hand, and a person took it back: its source was never asked
                why = chart.taken_back.get(source)
            else:
                why = why_withdrawn(server.read_if_there(source), patient, chart.bases)
            if why is not None:
                items.append(withdrawn_item(item, why))
    sent = sum(stands.may_be_withdrawn(source) for source in stands.resources)
    gone = sum(not is_received(item.source) for item in items)
    if is_a_mass(gone, sent, ctx.world.config.records.max_withdrawn_percent):
        raise NeedsPerson(
            "many-withdrawn",
            f"{gone} of {sent} records that were sent are gone at {placer} or about another patient now, among them "
            + ", ".join(item.source for item in items[:NAMED]),
        )
    for item in items:
        ctx.finding("record-withdrawn", f"{item.why}; it was sent, and is taken back", item.source, "error")
    return items
