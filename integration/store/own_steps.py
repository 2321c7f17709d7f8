"""Steps of our own: under a name no party has, so that no endpoint's breaker or pause holds them back."""

from sqlalchemy import Connection, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import steps
from integration.store.tables import endpoints

OWN = "(exchange)"  # the endpoint row they run under; no configured name can be that
CONCURRENCY = 4  # each kind runs once at a time; a mail server that is slow holds up no other kind


def register(conn: Connection) -> None:
    """The row they run under. It is not locked: a step that ends holds its own row and wants this one."""
    conn.execute(
        insert(endpoints)
        .values(key=OWN, identifier_system="", concurrency=CONCURRENCY, rate=20)
        .on_conflict_do_nothing()
    )
    conn.execute(
        update(endpoints)
        .where(endpoints.c.key == OWN, endpoints.c.concurrency != CONCURRENCY)
        .values(concurrency=CONCURRENCY)
    )


def make_due(conn: Connection, kind: str) -> bool:
    """See that a step of this kind runs. One that gave up by itself goes on: nobody looks after the house but it.

    False when one is open already.
    """
    register(conn)
    return steps.make_due_or_create(conn, kind, OWN)
