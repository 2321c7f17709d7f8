"""A person's word that a document is in the other system, kept beside its delivery; what was taken back stays."""

from collections.abc import Iterable

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store.arrays import any_of
from integration.store.sendings import Sending
from integration.store.tables import hand_overs
from mappings.model.hand_over import HandOver
from mappings.model.outgoing import number_in


def add(conn: Connection, sending: Sending, said: HandOver, *, actor: str, reason: str) -> None:
    """Keep it, with what stood in the ledger before."""
    values = dict(
        delivery_id=sending.delivery_id,
        request_id=sending.request_id,
        handed_to=said.to,
        handed_at=said.at,
        by_way=said.by_way,
        handed_by=said.by,
        note=said.note,
        actor=actor,
        reason=reason,
        state_before=sending.state,
        level_before=sending.level,
        item=sending.value if number_in(sending.identifier) > 1 else "",
    )
    conn.execute(insert(hand_overs).values(values))


def in_force(conn: Connection, delivery_id: str) -> list[Row]:
    """Those that were not taken back, the newest first. ``item``: which document of several; empty: the first, or the only one."""
    wanted = select(hand_overs).where(hand_overs.c.delivery_id == delivery_id, _stands)
    return list(conn.execute(wanted.order_by(hand_overs.c.id.desc())))


def of_deliveries(conn: Connection, delivery_ids: Iterable[str]) -> dict[str, Row]:
    """By delivery, those that were not taken back; of several the newest."""
    wanted = select(hand_overs).where(any_of(hand_overs.c.delivery_id, delivery_ids), _stands)
    found = conn.execute(wanted.order_by(hand_overs.c.id))
    return {row.delivery_id: row for row in found}


def undo(conn: Connection, delivery_id: str, *, actor: str, reason: str) -> None:
    """It was a mistake."""
    gone = dict(undone_at=func.now(), undone_by=actor, undone_reason=reason)
    conn.execute(update(hand_overs).where(hand_overs.c.delivery_id == delivery_id, _stands).values(gone))


_stands = hand_overs.c.undone_at.is_(None)
