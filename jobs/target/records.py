"""One document of a packet on its way to the consulting provider: by the ledger and the roads by which a report goes back."""

import hashlib
from dataclasses import dataclass

from integration.roads.open import road_for
from integration.roads.road import Impossible, NotAllowed, Prepared, Road
from integration.store import deliveries, links, sendings
from integration.store.deliveries import Delivery
from integration.store.sendings import Sending
from jobs.target.renewing import ensure_current
from jobs.target.sending import Document, read_back, remember_link, send_document, way_of
from jobs.world import Context
from mappings.codes import as_dict, as_text
from mappings.model.delivery import DeliveryKind, ItemStatus
from mappings.model.errors import NeedsPerson
from mappings.model.outgoing import Outgoing, visible_of
from mappings.model.request import Identifier
from mappings.model.roads import Level, RoadName
from mappings.model.sending import SendingState

ROADS = (RoadName.FHIR_DOCUMENT,)  # what a person carries they take from the request's page


@dataclass(frozen=True)
class Seen:
    """What reading one document back showed; ``level``: what is known of it."""

    identifier: Identifier
    status: ItemStatus
    level: Level


def identifier_of(resource: dict) -> Identifier:
    """The identifier we gave a document of ours."""
    return Identifier(**resource["identifier"][0])


def write(ctx: Context, delivery: Delivery, resource: dict, *, anew: bool = False) -> Sending:
    """The ledger's row of a document that is there. ``anew``: what stands there may say something older.

    ``resource``: the DocumentReference as a generic server takes it. Raises what else became of it.
    """
    document = Document(
        delivery.endpoint,
        delivery.id,
        identifier_of(resource),
        lambda road: _outgoing(ctx, delivery, resource),
        ROADS,
        looks_back=False,
    )
    sending = send_document(ctx, document)
    _remember(ctx, sending)
    return _brought_up_to_date(ctx, document, sending) if anew else sending


def seen(ctx: Context, delivery: Delivery, resource: dict) -> Seen | None:
    """Read back what was written, or what a person said of it; None for what an older version wrote without the ledger."""
    own = identifier_of(resource)
    with ctx.world.engine.begin() as conn:
        sending = sendings.find(conn, delivery.endpoint, own)
    if sending is None or not sending.is_there:
        return None
    if sending.state == SendingState.HANDED_OVER:
        return Seen(own, ItemStatus.VERIFIED, Level.HANDED_OVER)
    read = read_back(ctx, sending)
    if isinstance(read, NotAllowed):
        return Seen(own, ItemStatus.VERIFIED, Level(sending.level or Level.UNVERIFIABLE))
    if read is None:
        return Seen(own, ItemStatus.MISSING, Level.UNVERIFIABLE)
    return Seen(own, ItemStatus.VERIFIED if read.same else ItemStatus.DIFFERENT, Level.READ_BACK)


def _outgoing(ctx: Context, delivery: Delivery, resource: dict) -> Outgoing:
    identifier = identifier_of(resource)
    placer = ctx.endpoint(ctx.row().placer).name
    with ctx.world.engine.begin() as conn:
        encounter = deliveries.encounter_of(conn, ctx.request_id, DeliveryKind.RECORDS)
    visible = visible_of(ctx.request_id, identifier)
    title = as_text(resource.get("description"))
    return Outgoing(
        request_id=ctx.request_id,
        delivery_id=delivery.id,
        identifier=identifier,
        visible=visible,
        resource=resource,
        patient=str(as_dict(resource.get("subject")).get("reference")),
        author=placer,
        encounter=encounter,
        called="record",
        head=(
            "RECORDS FOR A SECOND OPINION",
            *([title] if title else []),
            f"These records came with request {ctx.request_id}.",
            visible,
            f"From: {placer}",
        ),
    )


def _remember(ctx: Context, sending: Sending) -> None:
    """The link by which others find it; what became of one that is known already stays as it is."""
    own = sending.identifier
    with ctx.transaction() as conn:
        known = links.find(conn, sending.endpoint, own.system, [own.value]).get(own.value)
        if sending.reference is not None and known != sending.reference:
            remember_link(conn, sending)


def _brought_up_to_date(ctx: Context, document: Document, sending: Sending) -> Sending:
    """A document of ours says what it is to say now, unless it was changed there: then a person decides."""
    if sending.reference is None:
        ctx.finding(
            "copy-not-superseded",
            f"{sending.value} is at {sending.endpoint} because a person said so, and says something older: tell them",
            sending.value,
            "error",
        )
        return sending
    prepared = _prepared(ctx, document, sending)
    if hashlib.sha256(prepared.body).hexdigest() == sending.sha256:
        return sending
    ensure_current(ctx, sending.endpoint, dict(prepared.resource or {}), sending.identifier)
    digest = ctx.world.payloads.put(prepared.body)
    with ctx.transaction() as conn:
        sendings.end(conn, sending.endpoint, sending.identifier, SendingState.TAKEN, ctx.now, sha256=digest)
        found = sendings.find(conn, sending.endpoint, sending.identifier)
    assert found is not None
    return found


def _prepared(ctx: Context, document: Document, sending: Sending) -> Prepared:
    road: Road | None = road_for(way_of(ctx, sending.endpoint), sending.road)
    made = road.prepare(document.item_for(road)) if road is not None else None
    if made is None or isinstance(made, Impossible):
        why = made.message if made is not None else f"this installation has no road {sending.road} anymore"
        raise NeedsPerson("no-road", f"{sending.value} cannot be brought up to date at {sending.endpoint}: {why}")
    return made
