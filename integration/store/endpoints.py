"""What is remembered of an endpoint's server: which one it was at first use, and what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Row, and_, cast, func, null, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from integration.server_address import address_of
from integration.store import installation, links, sendings, steps
from integration.store.arrays import any_of, blocks
from integration.store.tables import endpoints
from integration.store.tables import links as link_table
from integration.store.tables import steps as step_table

if TYPE_CHECKING:
    from integration.settings.config import Config

MOVED = "endpoint-moved"
MOST_ADDRESSES = 20  # of one server; with more it writes something else into its answers


@dataclass(frozen=True)
class Known:
    """Of one endpoint: its address and what it said of itself at first use, and what it could do when last asked."""

    base_url: str | None
    says: dict | None
    capabilities: dict | None
    probed_at: datetime | None
    addresses: tuple[str, ...] = ()  # other base addresses of it, as its own answers showed them

    @classmethod
    def from_row(cls, row: Row) -> "Known":
        """As it is stored."""
        return cls(row.base_url, row.says, row.capabilities, row.probed_at, tuple(row.addresses))


def known(conn: Connection, key: str) -> Known:
    """What is remembered of a configured endpoint."""
    return Known.from_row(conn.execute(select(endpoints).where(endpoints.c.key == key)).one())


def software_seen(conn: Connection, key: str, software: str | None, version: str | None) -> str | None:
    """Note what an endpoint runs now; what it ran at the last check when that was something else."""
    now = " ".join(filter(None, (software, version))) or None
    before = conn.execute(
        select(endpoints.c.software).where(endpoints.c.key == key).with_for_update()
    ).scalar_one_or_none()
    if now is not None:
        conn.execute(update(endpoints).where(endpoints.c.key == key).values(software=now))
    return f"it ran {before}, and runs {now}" if before and now and before != now else None


def register(conn: Connection, config: "Config") -> None:
    """A row for each configured endpoint; identifier system and address stay what they were at first use.

    Raises links.SystemChanged when config.yaml now says another system, also of the Exchange: everything sent before would
    be sent again, and nobody would know our own orders from new ones.
    """
    own = installation.frozen_own_system(conn, config.exchange.identifier_system)
    if own != config.exchange.identifier_system:
        raise links.SystemChanged(
            f"exchange.identifier_system was {own} at first use and is now {config.exchange.identifier_system}: what was "
            "sent before is recognized by it. Set it back to the first one"
        )
    rows = [
        dict(
            key=key,
            identifier_system=endpoint.identifier_system,
            base_url=address_of(endpoint),
            concurrency=endpoint.limits.concurrency,
            rate=endpoint.limits.requests_per_second,
        )
        for key, endpoint in sorted(config.endpoints.items())
    ]
    for names, block in blocks(endpoints, rows):
        made = insert(endpoints).from_select(names, block)
        values = dict(
            concurrency=made.excluded.concurrency,
            rate=made.excluded.rate,
            base_url=func.coalesce(endpoints.c.base_url, made.excluded.base_url),
        )
        conn.execute(made.on_conflict_do_update(index_elements=["key"], set_=values))
    stored = select(endpoints.c.key, endpoints.c.identifier_system).where(any_of(endpoints.c.key, config.endpoints))
    frozen = {row.key: row.identifier_system for row in conn.execute(stored)}
    for row in rows:
        if frozen[row["key"]] != row["identifier_system"]:
            raise links.SystemChanged(
                f"endpoints.{row['key']}.identifier_system was {frozen[row['key']]} at first use and is now "
                f"{row['identifier_system']}; write the first one back, or use a new endpoint name"
            )


def remember(conn: Connection, key: str, capabilities: Mapping, says: Mapping, at: datetime) -> None:
    """What the server can do now; what it says of itself is kept from the first time."""
    conn.execute(
        update(endpoints)
        .where(endpoints.c.key == key)
        .values(capabilities=capabilities, probed_at=at, says=func.coalesce(endpoints.c.says, cast(dict(says), JSONB)))
    )


def learn_address(conn: Connection, key: str, base: str) -> bool:
    """Remember another address of an endpoint's server; False when it is known, or it has shown ``MOST_ADDRESSES``."""
    there = endpoints.c.addresses
    is_new = and_(func.array_position(there, base).is_(None), func.cardinality(there) < MOST_ADDRESSES)
    learned = update(endpoints).where(endpoints.c.key == key, is_new)
    return conn.execute(learned.values(addresses=func.array_append(there, base))).rowcount == 1


def set_moved(conn: Connection, key: str, address: str) -> int:
    """It is at this address from now on; what stopped for that is due. Returns how many steps."""
    conn.execute(
        update(endpoints)
        .where(endpoints.c.key == key)
        .values(base_url=address, says=null(), capabilities=null(), probed_at=None, addresses=[])
    )
    waiting = select(step_table.c.id).where(step_table.c.status == "parked", step_table.c.cause == MOVED)
    return sum(steps.make_due(conn, step_id) for step_id in conn.execute(waiting).scalars().all())


def links_at(conn: Connection, key: str) -> list[tuple[str, str, str, str]]:
    """``(system, value, reference, origin)`` of every link at an endpoint, by reference."""
    wanted = select(link_table.c.system, link_table.c.value, link_table.c.reference, link_table.c.origin).where(
        link_table.c.endpoint == key
    )
    return [tuple(row) for row in conn.execute(wanted.order_by(link_table.c.reference))]


def forget_links(conn: Connection, key: str, pairs: list[tuple[str, str]]) -> None:
    """These links do not hold any more: what they name is looked for before anything is written."""
    links.forget_all(conn, key, pairs)
    sendings.forget(conn, key, pairs)
