"""Waivers: a named person says that a packet goes without an item, or with its bytes as they are; the consultant is told."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, or_, select, update

from integration.store import audit, requests, steps
from integration.store.operations import NotPossible, retry_step
from integration.store.tables import deliveries, delivery_items, packets, waivers
from integration.store.tables import steps as step_table
from mappings.model.states import FINAL

_ITEM = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9._-]{1,255}(#.{1,1000})?")
NAMED = 10


@dataclass(frozen=True)
class Waiver:
    """What a request is sent without (or, ``as_it_is``, with its bytes though their hash differs), by whom and why."""

    id: int
    request_id: str
    item: str
    what: str
    as_it_is: bool
    actor: str
    reason: str
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Waiver":
        """From a row of `waivers`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Waived:
    """What a waiver did: ``due`` steps go on; ``left`` is what still keeps others."""

    waiver: Waiver
    due: int
    left: tuple[str, ...]


def in_force(conn: Connection, request_id: str) -> list[Waiver]:
    """What a request is sent without, oldest first."""
    return [each for each in of_request(conn, request_id) if each.undone_at is None]


def of_request(conn: Connection, request_id: str) -> list[Waiver]:
    """Every waiver of a request, those that were undone too, oldest first."""
    rows = conn.execute(select(waivers).where(waivers.c.request_id == request_id).order_by(waivers.c.id))
    return [Waiver.from_row(row) for row in rows]


def waive(conn: Connection, request_id: str, item: str, *, actor: str, reason: str, as_it_is: bool = False) -> Waived:
    """Send without ``item`` (``Type/id`` or ``Type/id#path``); parked steps that nothing else keeps become due.

    Raises NotPossible: the request has ended, the item is the patient, or nothing of the request names such an item.
    """
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    if row.status in FINAL:
        raise NotPossible(f"request {request_id} is {row.status}: nothing more is sent for it")
    if not _ITEM.fullmatch(item) or item.startswith("Patient/"):
        raise NotPossible("name one item as Type/id or Type/id#path; the patient cannot be left out")
    known = next((each for each in in_force(conn, request_id) if each.item == item), None)
    if known is not None:
        raise NotPossible(f"{item} is waived already, by {known.actor}")
    if not _is_named(conn, request_id, item):
        named = ", ".join(sorted(_named(conn, request_id))[:NAMED]) or "none"
        raise NotPossible(f"nothing of request {request_id} names {item}; what its parked steps name: {named}")
    values = dict(request_id=request_id, item=item, what=in_words(item), as_it_is=as_it_is, actor=actor, reason=reason)
    made = conn.execute(waivers.insert().values(values).returning(waivers)).one()
    done = "item.accepted-as-it-is" if as_it_is else "item.waived"
    audit.record(conn, actor, done, request_id, subject=item, reason=reason)
    due, left = _go_on(conn, request_id, actor=actor, item=item)
    return Waived(Waiver.from_row(made), due, left)


def undo(conn: Connection, request_id: str, item: str, *, actor: str, reason: str) -> Waiver:
    """Take a waiver back, before anything was packed or sent without the item. Raises NotPossible."""
    steps.lock_with_request(conn, request_id)
    known = next((each for each in in_force(conn, request_id) if each.item == item), None)
    if known is None:
        raise NotPossible(f"{item[:120]} is not waived for request {request_id}")
    if _has_gone_without(conn, request_id, known.created_at):
        raise NotPossible(
            f"the packet without {item} is made or sent already: correct the item where it comes from, and it follows as "
            "a correction"
        )
    values = dict(undone_at=func.statement_timestamp(), undone_by=actor, undone_reason=reason)
    gone = conn.execute(update(waivers).where(waivers.c.id == known.id).values(values).returning(waivers)).one()
    audit.record(conn, actor, "item.waiver-undone", request_id, subject=item, reason=reason)
    return Waiver.from_row(gone)


def in_words(item: str) -> str:
    """What an item is, from its name alone: no content is read for that."""
    kind, _, place = item.partition("/")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind)
    return f"a document of {_article(words)} {words}" if "#" in place else f"{_article(words)} {words}"


def covers(waived: str, place: str) -> bool:
    """True when a waiver of ``waived`` lets ``place`` go: the same, or the whole resource it is in."""
    return place == waived or place.partition("#")[0] == waived


def _article(word: str) -> str:
    return "an" if word[:1] in "AEIO" else "a"


def _named(conn: Connection, request_id: str) -> set[str]:
    """What the parked steps of a request are about."""
    rows = conn.execute(
        select(step_table.c["items"]).where(step_table.c.request_id == request_id, step_table.c.status == "parked")
    ).scalars()
    return {item for items in rows for item in items or ()}


def _is_named(conn: Connection, request_id: str, item: str) -> bool:
    named = _named(conn, request_id)
    if any(covers(item, each) for each in named):
        return True
    carried = (
        select(delivery_items.c.source)
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(
            deliveries.c.request_id == request_id,
            deliveries.c.kind == "records",
            delivery_items.c.source == item.partition("#")[0],
        )
    )
    return conn.execute(carried.limit(1)).first() is not None


def _go_on(conn: Connection, request_id: str, *, actor: str, item: str) -> tuple[int, tuple[str, ...]]:
    """Parked steps all of whose items are waived become due. Returns how many, and what still keeps the others."""
    gone, due, left = [each.item for each in in_force(conn, request_id)], 0, []
    parked = conn.execute(
        select(step_table).where(step_table.c.request_id == request_id, step_table.c.status == "parked")
    ).all()
    for step in parked:
        open_ones = [each for each in step.items or () if not any(covers(waived, each) for waived in gone)]
        left += open_ones
        if step.items and not open_ones:
            retry_step(conn, step.id, actor=actor, reason=f"sent without {item}")
            due += 1
    return due, tuple(dict.fromkeys(left))


def _has_gone_without(conn: Connection, request_id: str, since: datetime) -> bool:
    packed = select(packets.c.id).where(packets.c.request_id == request_id, packets.c.created_at > since)
    sent = select(deliveries.c.id).where(
        deliveries.c.request_id == request_id,
        deliveries.c.kind == "records",
        or_(deliveries.c.sent_at > since, deliveries.c.verified_at > since),
    )
    return conn.execute(packed.limit(1)).first() is not None or conn.execute(sent.limit(1)).first() is not None
