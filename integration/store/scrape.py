"""What a scrape of /metrics asks of the database itself: not to be written to, not to be waited for, and how large it is."""

from sqlalchemy import Connection, text


def begin(conn: Connection, timeout_ms: int) -> None:
    """The transaction only reads, and each of its statements ends after that time (OperationalError)."""
    conn.execute(text("SET TRANSACTION READ ONLY"))
    conn.execute(text(f"SET LOCAL statement_timeout = {timeout_ms:d}"))


def database_size(conn: Connection) -> int:
    """In bytes."""
    return conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
