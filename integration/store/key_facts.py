"""What was made of a request's packets for a reader: where its bytes are. Derived: what is missing or outdated is made anew.

What is made within a consent that leaves kinds of record out stands in a table of its own, by these kinds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, Table, func, not_, select
from sqlalchemy.dialects.postgresql import insert

from integration.store import own_steps
from integration.store.tables import key_facts, limited_key_facts, packets

STEP = "prepare_reading"
MANY = 500  # records from which on a first opening would be slow
MOST = 50_000  # beyond that a chart is made when it is opened: it is in memory whole
AHEAD, AT_ONCE = timedelta(days=30), 50  # older packets, and more of them, are made when they are opened


@dataclass(frozen=True)
class KeyFactsRow:
    """One reading of a packet with those before it. ``made_of`` names the rules and settings that it was made by.

    Payloads: ``page_sha256`` the key facts with the beginning of each list, ``whole_sha256`` with all of it,
    ``chart_sha256`` what a checklist is held against.
    """

    packet_id: str
    made_of: str
    page_sha256: str
    whole_sha256: str
    chart_sha256: str
    made_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "KeyFactsRow":
        """From a row of `key_facts`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def of_packet(conn: Connection, packet_id: str, left_out: str = "") -> KeyFactsRow | None:
    """What was made of it last without the kinds ``left_out``; None before anybody read it so."""
    table, of = _where(packet_id, left_out)
    row = conn.execute(select(table).filter_by(**of)).first()
    return KeyFactsRow.from_row(row) if row else None


def prepare_later(conn: Connection, request_id: str) -> None:
    """See that the key facts of a request with many records are made before somebody waits for them."""
    if (
        conn.execute(select(func.sum(packets.c.resources)).where(packets.c.request_id == request_id)).scalar_one()
        >= MANY
    ):
        own_steps.make_due(conn, STEP)


def to_make(conn: Connection, version: int) -> list[tuple[str, str]]:
    """(request, newest packet) of long charts of the last days for which nothing is kept that these rules made; the newest first.

    At most AT_ONCE.
    """
    of_request = packets.alias()
    records = select(func.sum(of_request.c.resources)).where(of_request.c.request_id == packets.c.request_id)
    newest = select(func.max(of_request.c.version)).where(of_request.c.request_id == packets.c.request_id)
    is_kept = key_facts.c.packet_id.is_not(None) & key_facts.c.made_of.startswith(f"{version} ", autoescape=True)
    found = conn.execute(
        select(packets.c.request_id, packets.c.id)
        .outerjoin(key_facts, key_facts.c.packet_id == packets.c.id)
        .where(
            packets.c.created_at > func.now() - AHEAD,
            packets.c.version == newest.scalar_subquery(),
            records.scalar_subquery().between(MANY, MOST),
            not_(func.coalesce(is_kept, False)),
        )
        .order_by(packets.c.created_at.desc())
        .limit(AT_ONCE)
    )
    return [(row.request_id, row.id) for row in found]


def keep(
    conn: Connection,
    packet_id: str,
    left_out: str,
    made_of: str,
    *,
    page_sha256: str,
    whole_sha256: str,
    chart_sha256: str,
) -> None:
    """What was made now, in the place of what was before."""
    table, of = _where(packet_id, left_out)
    values = dict(
        made_of=made_of,
        page_sha256=page_sha256,
        whole_sha256=whole_sha256,
        chart_sha256=chart_sha256,
        made_at=func.now(),
    )
    made = insert(table).values(**of, **values)
    conn.execute(made.on_conflict_do_update(index_elements=list(of), set_=values))


def _where(packet_id: str, left_out: str) -> tuple[Table, dict[str, str]]:
    if not left_out:
        return key_facts, {"packet_id": packet_id}
    return limited_key_facts, {"packet_id": packet_id, "left_out": left_out}
