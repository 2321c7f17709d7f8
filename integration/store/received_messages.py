"""Messages that a site sent us, and what was answered: the same message gets the same answer, and does nothing again."""

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.storable import storable
from integration.store.tables import received_messages

LONGEST = 200


def begin(conn: Connection, endpoint: str, control_id: str, sha256: str, kind: str) -> Row | None:
    """None: it is new, and this transaction's. Else its row; who is just at it is waited for.

    A control id with other bytes is another message: some senders begin to count anew.
    """
    own = dict(endpoint=endpoint, control_id=storable(control_id, LONGEST), sha256=sha256)
    made = insert(received_messages).values({**own, "kind": storable(kind, LONGEST)}).on_conflict_do_nothing()
    if conn.execute(made.returning(received_messages.c.sha256)).first() is not None:
        return None
    return conn.execute(select(received_messages).where(*_one(endpoint, control_id, sha256))).one()


def end(conn: Connection, endpoint: str, control_id: str, sha256: str, **values: str | None) -> None:
    """What was answered: code, place, error, words; and the request that it became, or was about."""
    conn.execute(update(received_messages).where(*_one(endpoint, control_id, sha256)).values(values))


def _one(endpoint: str, control_id: str, sha256: str) -> tuple:
    table = received_messages.c
    return table.endpoint == endpoint, table.control_id == storable(control_id, LONGEST), table.sha256 == sha256
