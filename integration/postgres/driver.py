"""The psycopg connection under one of SQLAlchemy's, for what only it can do: COPY and pipelines."""

from typing import cast

import psycopg
from sqlalchemy import Connection


def driver(conn: Connection) -> psycopg.Connection:
    """The driver's connection; SQLAlchemy has one for as long as ``conn`` is open."""
    return cast(psycopg.Connection, conn.connection.driver_connection)
