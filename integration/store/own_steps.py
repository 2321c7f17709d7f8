"""Steps of our own: under a name no party has, so that no endpoint's breaker or pause holds them back."""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import steps
from integration.store.tables import endpoints
from integration.store.tables import steps as steps_table
from mappings.model.steps import OPEN

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


def wait_for_ending(conn: Connection, kind: str) -> None:
    """Lock the open step of this kind: one that is just ending has ended then, or sees what is asked of it before it ends."""
    own = (steps_table.c.kind == kind, steps_table.c.endpoint == OWN, steps_table.c.status.in_(OPEN))
    conn.execute(select(steps_table.c.id).where(*own).with_for_update())


def make_due(conn: Connection, kind: str) -> bool:
    """See that a step of this kind runs. One that gave up by itself goes on: nobody looks after the house but it.

    False when one is open already.
    """
    register(conn)
    return steps.make_due_or_create(conn, kind, OWN)
