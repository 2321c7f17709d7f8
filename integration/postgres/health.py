"""Can the database be used now, and if not, why: in words that an operator can act on."""

from psycopg import Error as PsycopgError
from psycopg.errors import DiskFull, ReadOnlySqlTransaction, TooManyConnections
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DOES_NOT_ANSWER = "the database does not answer"
NO_CONNECTION = "the database has no connection left"
DISK_FULL = "the disk of the database is full"
READ_ONLY = "the database is read-only"


def problem(engine: Engine) -> str | None:
    """Why the database cannot be used now; None when it can, which means also written."""
    try:
        with engine.begin() as conn:
            conn.execute(text("SET LOCAL work_mem = '64kB'"))
            return READ_ONLY if conn.execute(_WRITES_TO_DISK).one().read_only == "on" else None
    except SQLAlchemyError as error:
        return reason(error)


def is_away(error: BaseException) -> bool:
    """True when the database does not answer or cannot work now (restarting, out of connections, disk full, a deadlock).

    By its SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html); a connection that could not be
    made, or broke, has none. Everything else it refuses is our own mistake, and stays one when it is tried again.
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # words only: psycopg also refuses a statement of ours like that, and keeps its connection
        broken = error.statement is None or error.connection_invalidated
        return isinstance(error, (OperationalError, InterfaceError)) and broken
    return state in _AWAY or state[:2] in _AWAY_CLASSES and state != _OUR_TIMEOUT


def reason(error: SQLAlchemyError) -> str:
    """What is wrong. A refused connection has no code, only words."""
    origin = error.orig if isinstance(error, DBAPIError) else None
    if (
        isinstance(origin, TooManyConnections)
        or isinstance(origin, PsycopgError)
        and any(each in str(origin) for each in _TOO_MANY)
    ):
        return NO_CONNECTION
    said: dict[type, str] = {DiskFull: DISK_FULL, ReadOnlySqlTransaction: READ_ONLY}
    return said.get(type(origin), DOES_NOT_ANSWER)


# connection, no room, stopped by an operator, rolled back for another; read-only; ended because this process was frozen
_AWAY_CLASSES, _AWAY, _OUR_TIMEOUT = ("08", "53", "57", "40"), ("25006", "25P03"), "57014"
_TOO_MANY = ("too many clients", "too many connections", "connection slots are reserved")
# What does not fit into work_mem PostgreSQL writes beside its tables: it shows a full disk and leaves neither row nor log.
_WRITES_TO_DISK = text("""
    SELECT count(*) AS rows, current_setting('transaction_read_only') AS read_only FROM generate_series(1, 5000)""")
