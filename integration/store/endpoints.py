"""What is remembered of an endpoint's server: which one it was at first use, and what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, cast, delete, func, null, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB

from integration.store import steps
from integration.store.tables import endpoints, links
from integration.store.tables import steps as step_table

MOVED = "endpoint-moved"


@dataclass(frozen=True)
class Known:
    """Of one endpoint: its address and what it said of itself at first use, and what it could do when last asked."""

    base_url: str | None
    says: dict | None
    capabilities: dict | None
    probed_at: datetime | None

    @classmethod
    def from_row(cls, row: Row) -> "Known":
        """As it is stored."""
        return cls(row.base_url, row.says, row.capabilities, row.probed_at)


def known(conn: Connection, key: str) -> Known:
    """What is remembered of a configured endpoint."""
    return Known.from_row(conn.execute(select(endpoints).where(endpoints.c.key == key)).one())


def freeze(conn: Connection, key: str, address: str) -> None:
    """The address of first use stays, whatever config.yaml says later."""
    conn.execute(
        update(endpoints).where(endpoints.c.key == key, endpoints.c.base_url.is_(None)).values(base_url=address)
    )


def remember(conn: Connection, key: str, capabilities: Mapping, says: Mapping, at: datetime) -> None:
    """What the server can do now; what it says of itself is kept from the first time."""
    conn.execute(
        update(endpoints)
        .where(endpoints.c.key == key)
        .values(capabilities=capabilities, probed_at=at, says=func.coalesce(endpoints.c.says, cast(dict(says), JSONB)))
    )


def set_moved(conn: Connection, key: str, address: str) -> int:
    """It is at this address from now on; what stopped for that is due. Returns how many steps."""
    conn.execute(
        update(endpoints)
        .where(endpoints.c.key == key)
        .values(base_url=address, says=null(), capabilities=null(), probed_at=None)
    )
    waiting = select(step_table.c.id).where(step_table.c.status == "parked", step_table.c.cause == MOVED)
    return sum(steps.make_due(conn, step_id) for step_id in conn.execute(waiting).scalars().all())


def links_at(conn: Connection, key: str) -> list[tuple[str, str, str, str]]:
    """``(system, value, reference, origin)`` of every link at an endpoint, by reference."""
    wanted = select(links.c.system, links.c.value, links.c.reference, links.c.origin).where(links.c.endpoint == key)
    return [tuple(row) for row in conn.execute(wanted.order_by(links.c.reference))]


def forget_links(conn: Connection, key: str, pairs: list[tuple[str, str]]) -> None:
    """These links do not hold any more: what they name is looked for before anything is written."""
    for start in range(0, len(pairs), 1000):
        conn.execute(
            delete(links).where(
                links.c.endpoint == key, tuple_(links.c.system, links.c.value).in_(pairs[start : start + 1000])
            )
        )
