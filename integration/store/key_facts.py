"""What was made of a request's packets for a reader: where its bytes are. Derived: what is missing or outdated is made anew."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import key_facts


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


def of_packet(conn: Connection, packet_id: str) -> KeyFactsRow | None:
    """What was made of it last; None before anybody read it."""
    row = conn.execute(select(key_facts).where(key_facts.c.packet_id == packet_id)).first()
    return KeyFactsRow.from_row(row) if row else None


def keep(
    conn: Connection, packet_id: str, made_of: str, *, page_sha256: str, whole_sha256: str, chart_sha256: str
) -> None:
    """What was made now, in the place of what was before."""
    values = dict(
        made_of=made_of,
        page_sha256=page_sha256,
        whole_sha256=whole_sha256,
        chart_sha256=chart_sha256,
        made_at=func.now(),
    )
    made = insert(key_facts).values(packet_id=packet_id, **values)
    conn.execute(made.on_conflict_do_update(index_elements=["packet_id"], set_=values))
