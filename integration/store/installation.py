"""Secrets of this installation: made once, kept in the database, the same for every process."""

import secrets

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import settings


def secret(conn: Connection, name: str) -> str:
    """The secret of this name, 64 hexadecimal digits."""
    kept = select(settings.c.value).where(settings.c.name == name)
    if (value := conn.execute(kept).scalar_one_or_none()) is not None:
        return value
    conn.execute(insert(settings).values(name=name, value=secrets.token_hex(32)).on_conflict_do_nothing())
    return conn.execute(kept).scalar_one()
