"""All that is stored about one request, table by table, for what is shown of it: ids and sentences, no patient data."""

from sqlalchemy import Connection, Table, select

from integration.store.tables import attempts, audit, deliveries, events, findings, packets, reports, steps

SHOWN = 1000  # rows of each table
_TABLES = (steps, deliveries, attempts, findings, events, packets, reports, audit)


def of(conn: Connection, request_id: str) -> dict[str, list[dict]]:
    """``{table: its first rows about the request, oldest first}``."""
    return {table.name: _rows(conn, table, request_id) for table in _TABLES}


def _rows(conn: Connection, table: Table, request_id: str) -> list[dict]:
    order = table.c.id if "created_at" not in table.c else table.c.created_at
    wanted = select(table).where(table.c.request_id == request_id).order_by(order, table.c.id).limit(SHOWN)
    return [row._asdict() for row in conn.execute(wanted)]
