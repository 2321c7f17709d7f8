"""Makes what was gathered into an immutable packet, its delivery, and the step that sends it."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import Connection

from integration.packets import stored as packets
from integration.store import deliveries, key_facts, links, requests
from integration.store import packets as packet_rows
from integration.store.steps import NextStep
from integration.store.waivers import covers
from jobs.source.chart import Chart
from jobs.world import Context, Outcome
from mappings.model.delivery import DeliveryKind
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.request import SecondOpinionRequest


def pack(
    ctx: Context,
    request: SecondOpinionRequest,
    chart: Chart,
    sources: Sequence[str],
    attachments: Collection[ManifestItem],
    *,
    base: int | None = None,
    withdrawn: Collection[ManifestItem] = (),
) -> Outcome:
    """Write the bytes; packet, delivery and the next step are made in the step's own commit.

    ``sources``: the resources of the chart to pack; ``base``: how many packets there are. Raises PartialError when an item
    of the chart could not be had and nobody waived it.
    """
    chart.problems.raise_if_any()
    items = [packets.resource_item(source, chart.resources.about(source)) for source in sources]
    items += [*attachments, *withdrawn, *_missing(ctx, chart, sources)]
    version = (base or 0) + 1
    manifest = manifest_of(ctx, f"{ctx.request_id}-p{version}", request.placer, chart, items)
    digest = packets.store(ctx.world.payloads, manifest, map(chart.resources.line, sources))
    delivery_id = deliveries.delivery_id_of(ctx.request_id, DeliveryKind.RECORDS, version)

    def commit(conn: Connection) -> None:
        note_gathered(conn, ctx)  # whose records these are was not corrected meanwhile
        packet_rows.insert(conn, manifest, digest, version)
        key_facts.prepare_later(conn, ctx.request_id)
        deliveries.create(
            conn,
            ctx.request_id,
            request.fulfiller,
            DeliveryKind.RECORDS,
            version=version,
            packet_id=manifest.packet_id,
            sources=[*sources, *(item.source for item in withdrawn)],
            deadline=requests.get(conn, ctx.request_id).records_due_at,
        )

    following = NextStep("match_people", request.fulfiller, delivery_id=delivery_id, deadline=ctx.row().records_due_at)
    return Outcome(next_steps=(following,), apply=[commit])


def manifest_of(ctx: Context, packet_id: str, endpoint: str, chart: Chart, items: Iterable[ManifestItem]) -> Manifest:
    """What was read of a chart at an endpoint, now."""
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, endpoint)
    return Manifest(
        packet_id=packet_id,
        request_id=ctx.request_id,
        source_endpoint=endpoint,
        identifier_system=system,
        patient=chart.patient,
        gathered_at=ctx.now.isoformat(timespec="seconds"),
        source_bases=chart.learned,
        items=tuple(items),
    )


def _missing(ctx: Context, chart: Chart, sources: Collection[str]) -> Iterator[ManifestItem]:
    """A line for each item that could not be had: with whose word it goes without, or why it need not be there."""
    said = ctx.waivers()
    for place, cannot in chart.problems.waived.items():
        whose = next(f"sent without it by {each.actor}: {each.reason}" for each in said if covers(each.item, place))
        yield _without(place, f"{cannot}; {whose}")
    for place, why in chart.problems.may_be_missing.items():
        if place.partition("#")[0] in sources:
            yield _without(place, why)


def _without(place: str, why: str) -> ManifestItem:
    return ManifestItem(source=place.partition("#")[0], kind="waived", size=0, sha256="", of=place, why=why)


def note_gathered(conn: Connection, ctx: Context) -> None:
    """The whole chart was read for the request's content as it is now. Raises Revised when it was corrected meanwhile."""
    ctx.must_be_current(conn)
    requests.set_gathered(conn, ctx.request_id, ctx.version, ctx.now)
