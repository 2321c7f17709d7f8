"""Filters of the queue page that somebody gave a name, for everyone here."""

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import saved_views

SHOWN = 50


def by_name(conn: Connection) -> list[Row]:
    """``name`` and ``filter``, as the page lists them."""
    return list(conn.execute(select(saved_views).order_by(saved_views.c.name).limit(SHOWN)).all())


def save(conn: Connection, name: str, wanted: str) -> None:
    """Keep a filter under a name; another one of that name is replaced."""
    saved = insert(saved_views).values(name=name, filter=wanted)
    conn.execute(saved.on_conflict_do_update(index_elements=["name"], set_={"filter": wanted}))


def forget(conn: Connection, name: str) -> None:
    """Remove one, if it is there."""
    conn.execute(delete(saved_views).where(saved_views.c.name == name))
