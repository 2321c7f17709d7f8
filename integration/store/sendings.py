"""The ledger: one row for each document of ours at each endpoint, written before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from integration.store.tables import sendings


@dataclass(frozen=True)
class Sending:
    """One document on one road. ``state``: begun taken impossible absent handed-over; ``sends``: how often it was sent."""

    endpoint: str
    system: str
    value: str
    request_id: str
    delivery_id: str
    road: str
    state: str
    sha256: str | None
    control_id: str | None
    reference: str | None
    level: str | None
    receipt: Mapping[str, Any]
    tried: tuple[Mapping[str, str], ...]
    sends: int
    begun_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> "Sending":
        """As the table has it."""
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        return cls(**{**values, "tried": tuple(row.tried)})


def of_delivery(conn: Connection, delivery_id: str) -> list[Sending]:
    """What a delivery sent, or was about to send, by road."""
    rows = conn.execute(select(sendings).where(sendings.c.delivery_id == delivery_id).order_by(sendings.c.value))
    return [Sending.from_row(row) for row in rows]
