"""What was made of a request's packets for a reader: where its bytes are. Derived: what is missing or outdated is made anew.

What is made within a consent that leaves kinds of record out stands in a table of its own, by these kinds.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, Table, func, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import key_facts, limited_key_facts


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
