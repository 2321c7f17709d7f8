"""Deliveries: one packet, request or report to one endpoint, and what happened to each item of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, and_, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from integration.store.arrays import any_of, blocks
from integration.store.tables import deliveries, delivery_items, packets
from mappings.model.delivery import ARRIVED, DELIVERY_TRANSITIONS, DeliveryKind, DeliveryStatus, ItemStatus


@dataclass(frozen=True)
class Delivery:
    """One packet, request or report to one endpoint, and where it stands; see `tables.deliveries` for each column."""

    id: str
    request_id: str
    endpoint: str
    kind: str  # a DeliveryKind
    version: int
    packet_id: str | None  # of records
    request_version: int | None  # whose words stand on the readable summary; None before it is sent
    status: str  # a DeliveryStatus
    attempts: int
    cause: str | None
    message: str | None
    action: str | None
    deadline: datetime | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    verified_at: datetime | None
    encounter: str | None  # Encounter/id at the endpoint, as a person named it
    consent_id: int | None  # by which its records were chosen; None: there was none
    road: str | None  # a RoadName
    level: str | None  # a Level

    @classmethod
    def from_row(cls, row: Row) -> "Delivery":
        """From a row of `deliveries`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def packet(self) -> str:
        """The packet that it carries; LookupError for a delivery that carries none."""
        if self.packet_id is None:
            raise LookupError(f"delivery {self.id} carries no packet")
        return self.packet_id


@dataclass(frozen=True, slots=True)
class Item:
    """What happened to one resource or document of a delivery; ``source``: Type/id at the source, ``target``: at the target."""

    delivery_id: str
    source: str
    status: str  # an ItemStatus
    target: str | None
    sent_sha256: str | None  # of the bytes that were sent, or were about to be
    sent_in: str | None  # the payload that has them as a line; None: they are a payload of their own
    created_by_us: bool | None
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Item":
        """From a row of `delivery_items`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def kept(self) -> str:
        """The hash of the bytes that were sent, or were about to be; LookupError where none were kept."""
        if self.sent_sha256 is None:
            raise LookupError(f"no bytes of {self.source} in delivery {self.delivery_id} were kept")
        return self.sent_sha256


def delivery_id_of(request_id: str, kind: DeliveryKind, version: int) -> str:
    """Deterministic: the same packet to the same endpoint is the same delivery."""
    return f"{request_id}-{kind}-{version}"


def create(
    conn: Connection,
    request_id: str,
    endpoint: str,
    kind: DeliveryKind,
    *,
    version: int = 1,
    packet_id: str | None = None,
    sources: Iterable[str] = (),
    deadline: datetime | None = None,
) -> str:
    """Store a delivery with its items; the same one again changes nothing."""
    delivery_id = delivery_id_of(request_id, kind, version)
    row = dict(
        id=delivery_id,
        request_id=request_id,
        endpoint=endpoint,
        kind=kind,
        version=version,
        packet_id=packet_id,
        deadline=deadline,
    )
    conn.execute(insert(deliveries).values(row).on_conflict_do_nothing())
    items = [dict(delivery_id=delivery_id, source=source) for source in dict.fromkeys(sources)]
    for names, block in blocks(delivery_items, items):
        conn.execute(insert(delivery_items).from_select(names, block).on_conflict_do_nothing())
    return delivery_id


def get(conn: Connection, delivery_id: str) -> Delivery | None:
    """One delivery; None when there is none."""
    row = conn.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else Delivery.from_row(row)


def one(conn: Connection, delivery_id: str) -> Delivery:
    """The delivery that a step works on: it is there for as long as the step is."""
    return Delivery.from_row(conn.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one())


def move(
    conn: Connection,
    delivery_id: str,
    to: DeliveryStatus,
    *,
    cause: str | None = None,
    message: str | None = None,
    action: str | None = None,
) -> bool:
    """Change a delivery's status; False when the table of transitions does not allow it."""
    allowed = [status.value for status, nexts in DELIVERY_TRANSITIONS.items() if to in nexts]
    values: dict = dict(status=to, updated_at=func.now(), cause=cause, message=message, action=action)
    if to is DeliveryStatus.SENT:
        values["sent_at"] = func.now()
    if to is DeliveryStatus.VERIFIED:
        values["verified_at"] = func.now()
    if to in (DeliveryStatus.RETRYING, DeliveryStatus.PARKED):
        values["attempts"] = deliveries.c.attempts + 1
    return bool(
        conn.execute(
            update(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.status.in_(allowed)).values(values)
        ).rowcount
    )


def set_level(conn: Connection, delivery_id: str, road: str | None, level: str | None) -> None:
    """By which road it went, and what is known of it: a RoadName and a Level of mappings/model/roads.py."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(road=road, level=level))


def set_encounter(conn: Connection, delivery_id: str, reference: str) -> None:
    """``Encounter/id`` at its endpoint, as a person named it."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(encounter=reference))


def encounter_of(conn: Connection, request_id: str, kind: DeliveryKind) -> str | None:
    """The visit that a person named last for what goes by the deliveries of this kind; each kind goes to another system."""
    return conn.execute(
        select(deliveries.c.encounter)
        .where(deliveries.c.request_id == request_id, deliveries.c.kind == kind, deliveries.c.encounter.is_not(None))
        .order_by(deliveries.c.version.desc())
        .limit(1)
    ).scalar_one_or_none()


def records_arrived_as(conn: Connection, request_ids: Iterable[str]) -> dict[str, DeliveryStatus]:
    """As what the newest records of each request arrived that did: ``verified``, or by what less is known of them."""
    rows = conn.execute(
        select(deliveries.c.request_id, deliveries.c.status)
        .ext(distinct_on(deliveries.c.request_id))
        .where(
            any_of(deliveries.c.request_id, request_ids),
            deliveries.c.kind == DeliveryKind.RECORDS,
            deliveries.c.status.in_(ARRIVED),
        )
        .order_by(deliveries.c.request_id, deliveries.c.version.desc())
    )
    return {row.request_id: DeliveryStatus(row.status) for row in rows}


def note_request_version(conn: Connection, delivery_id: str, request_version: int, *, anew: bool = False) -> None:
    """Note which version of the request the readable summary of a records delivery speaks with; kept unless ``anew``."""
    version = request_version if anew else func.coalesce(deliveries.c.request_version, request_version)
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(request_version=version))


def note_consent(conn: Connection, delivery_id: str, consent_id: int | None) -> None:
    """Note the statement of consent by which the records that go were chosen: reading back expects those."""
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(consent_id=consent_id))


def left_out_by_consent(conn: Connection, request_id: str) -> frozenset[str]:
    """Sources that were left out of the last delivery of records that names them, and the patient's consent chose what goes."""
    named = (
        select(delivery_items.c.source, delivery_items.c.status, deliveries.c.consent_id)
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(deliveries.c.request_id == request_id, deliveries.c.kind == DeliveryKind.RECORDS)
        .ext(distinct_on(delivery_items.c.source))
        .order_by(delivery_items.c.source, deliveries.c.version.desc())
    )
    found = conn.execute(named).all()
    return frozenset(
        row.source
        for row in found
        if row.status == ItemStatus.WAIVED and row.consent_id is not None and ":" not in row.source
    )


def of_request(conn: Connection, request_id: str, kind: DeliveryKind | None = None) -> list[Delivery]:
    """The deliveries of one kind, or all, newest version first; those that were cancelled too."""
    wanted = select(deliveries).where(deliveries.c.request_id == request_id)
    wanted = wanted if kind is None else wanted.where(deliveries.c.kind == kind)
    return [Delivery.from_row(row) for row in conn.execute(wanted.order_by(deliveries.c.version.desc()))]


def bytes_sent(conn: Connection, request_id: str, source: str) -> list[str]:
    """Hashes of everything that was, or may have been, written under one of our identifiers; newest first."""
    rows = conn.execute(
        select(delivery_items.c.sent_sha256)
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(
            deliveries.c.request_id == request_id,
            delivery_items.c.source == source,
            delivery_items.c.sent_sha256.is_not(None),
        )
        .order_by(deliveries.c.version.desc())
    )
    return list(dict.fromkeys(rows.scalars()))


def perhaps_written(conn: Connection, endpoint: str, patient: str) -> dict[str, datetime]:
    """Records of one chart that some delivery sent, or was about to send, to an endpoint, and when that was noted last.

    Without those that a person wants sent again: they said that it is not there.
    """
    rows = conn.execute(
        select(delivery_items.c.source, func.max(delivery_items.c.updated_at))
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .join(packets, and_(packets.c.request_id == deliveries.c.request_id, packets.c.id == deliveries.c.packet_id))
        .where(
            packets.c.patient == patient,
            deliveries.c.endpoint == endpoint,
            delivery_items.c.sent_sha256.is_not(None),
            delivery_items.c.status != ItemStatus.AGAIN,
        )
        .group_by(delivery_items.c.source)
    )
    return {row[0]: row[1] for row in rows}


def items(conn: Connection, delivery_id: str) -> dict[str, Item]:
    """``{source: item}`` of a delivery."""
    rows = conn.execute(select(delivery_items).where(delivery_items.c.delivery_id == delivery_id))
    return {row.source: Item.from_row(row) for row in rows}


def items_by_source(conn: Connection, delivery_id: str) -> list[Item]:
    """The items of a delivery, in the order of their sources."""
    wanted = select(delivery_items).where(delivery_items.c.delivery_id == delivery_id).order_by(delivery_items.c.source)
    return [Item.from_row(row) for row in conn.execute(wanted)]


def mark_items(conn: Connection, delivery_id: str, marks: Iterable[dict]) -> None:
    """Set status, target, sent_sha256, sent_in, created_by_us of items; keys of each mark: source and any of those."""
    rows = [{**mark, "delivery_id": delivery_id} for mark in marks]
    for keys in {tuple(sorted(row)) for row in rows}:
        group = {row["source"]: row for row in rows if tuple(sorted(row)) == keys}  # the last word on an item counts
        for names, block in blocks(delivery_items, list(group.values())):
            insertion = insert(delivery_items).from_select(names, block)
            changed = {key: insertion.excluded[key] for key in keys if key not in ("delivery_id", "source")}
            conn.execute(
                insertion.on_conflict_do_update(
                    index_elements=["delivery_id", "source"], set_={**changed, "updated_at": func.now()}
                )
            )


def mark_again(conn: Connection, delivery_id: str, source: str) -> bool:
    """A person wants an item looked at and sent again. False when the delivery has no such item."""
    item = update(delivery_items).where(delivery_items.c.delivery_id == delivery_id, delivery_items.c.source == source)
    return bool(conn.execute(item.values(status=ItemStatus.AGAIN, updated_at=func.now())).rowcount)


def counts(conn: Connection, delivery_id: str) -> dict[str, int]:
    """How many items stand at each status."""
    rows = conn.execute(
        select(delivery_items.c.status, func.count())
        .where(delivery_items.c.delivery_id == delivery_id)
        .group_by(delivery_items.c.status)
    )
    return dict(rows.all())


def counts_of_request(conn: Connection, request_id: str) -> dict[str, dict[str, int]]:
    """``{delivery id: {item status: number}}`` of a request."""
    rows = conn.execute(
        select(delivery_items.c.delivery_id, delivery_items.c.status, func.count())
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(deliveries.c.request_id == request_id)
        .group_by(delivery_items.c.delivery_id, delivery_items.c.status)
    )
    found: dict[str, dict[str, int]] = {}
    for delivery_id, status, number in rows:
        found.setdefault(delivery_id, {})[status] = number
    return found


def items_page(
    conn: Connection, delivery_id: str, *, status: str | None = None, after: str = "", limit: int = 100
) -> tuple[list[Item], str | None]:
    """One page of a delivery's items by source, and the source after which the next page begins (None at the end)."""
    wanted = select(delivery_items).where(delivery_items.c.delivery_id == delivery_id, delivery_items.c.source > after)
    if status:
        wanted = wanted.where(delivery_items.c.status == status)
    rows = conn.execute(wanted.order_by(delivery_items.c.source).limit(limit + 1))
    found = [Item.from_row(row) for row in rows]
    return found[:limit], found[limit - 1].source if len(found) > limit else None


def newest(conn: Connection, status: str | None, limit: int) -> list[Delivery]:
    """The deliveries that changed last, of one status or of any."""
    wanted = select(deliveries).order_by(deliveries.c.updated_at.desc(), deliveries.c.id.desc()).limit(limit)
    rows = conn.execute(wanted if status is None else wanted.where(deliveries.c.status == status))
    return [Delivery.from_row(row) for row in rows]
