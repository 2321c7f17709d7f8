"""Secrets of this installation: made once, kept in the database, the same for every process."""

import secrets

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import settings


def secret(conn: Connection, name: str) -> str:
    """The secret of this name, 64 hexadecimal digits."""
    kept = select(settings.c.value).where(settings.c.name == name)
    if (value := conn.execute(kept).scalar_one_or_none()) is not None:
        return value
    conn.execute(insert(settings).values(name=name, value=secrets.token_hex(32)).on_conflict_do_nothing())
    return conn.execute(kept).scalar_one()


OWN_SYSTEM = "exchange-identifier-system"


def own_systems(conn: Connection) -> set[str]:
    """The identifier system of the Exchange as it was at first use; none before."""
    return set(conn.execute(select(settings.c.value).where(settings.c.name == OWN_SYSTEM)).scalars())


def frozen_own_system(conn: Connection, configured: str) -> str:
    """The Exchange's identifier system at first use: what it wrote is recognized by it. ``configured`` when this is the first."""
    found = own_systems(conn)
    if not found:
        used = conn.execute(_USED).scalar_one_or_none() or configured  # requests of before it was kept
        conn.execute(insert(settings).values(name=OWN_SYSTEM, value=used).on_conflict_do_nothing())
        found = own_systems(conn)
    return found.pop()


_USED = text("""
    SELECT l.system FROM (SELECT id, fulfiller FROM requests ORDER BY created_at DESC LIMIT 20) r
    JOIN links l ON l.endpoint = r.fulfiller AND l.value = 'Task/' || r.id LIMIT 1""")
