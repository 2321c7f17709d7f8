"""What a health library answered for a code, kept for its time; and how often it is asked, over all processes. No patient is in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_or

from integration.store.tables import library_answers, library_asks

LOCK = 0x4C4942  # of those who are about to ask
REST = timedelta(minutes=5)  # MedlinePlus answers nothing for so long to whoever asks too often
AGAIN = timedelta(minutes=2)  # after a service did not answer


@dataclass(frozen=True)
class Kept:
    """An answer as it came (JSON bytes), from when it is, and whether it still counts."""

    body: bytes
    read_at: datetime
    is_fresh: bool


def kept(conn: Connection, address: str, system: str, code: str, language: str, hours: int) -> Kept | None:
    """The last answer, also an old one: better than none while the service is away."""
    fresh = library_answers.c.read_at > func.statement_timestamp() - timedelta(hours=hours)
    row = conn.execute(
        select(library_answers.c.body, library_answers.c.read_at, fresh).where(
            library_answers.c.address == address,
            library_answers.c.system == system,
            library_answers.c.code == code,
            library_answers.c.language == language,
        )
    ).one_or_none()
    return None if row is None else Kept(bytes(row[0]), row[1], bool(row[2]))


def keep(conn: Connection, address: str, system: str, code: str, language: str, body: bytes) -> None:
    """The newest answer."""
    values = dict(body=body, read_at=func.statement_timestamp())
    of = dict(address=address, system=system, code=code, language=language)
    statement = insert_or(library_answers).values(**of, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=list(of), set_=values))


def may_ask(conn: Connection, address: str, a_minute: int) -> bool:
    """True when one more request fits into this minute, which is then taken; one caller at a time, over all processes."""
    conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    now = func.statement_timestamp()
    mine = library_asks.c.address == address
    conn.execute(delete(library_asks).where(library_asks.c.until < now))
    resting = select(library_asks.c.id).where(mine, library_asks.c.is_rest).limit(1)
    if conn.execute(resting).first() is not None:
        return False
    if conn.execute(select(func.count()).select_from(library_asks).where(mine)).scalar_one() >= a_minute:
        return False
    conn.execute(insert(library_asks).values(address=address, until=now + timedelta(minutes=1), is_rest=False))
    return True


def rest(conn: Connection, address: str, how_long: timedelta) -> None:
    """It is not asked for a while."""
    until = func.statement_timestamp() + how_long
    conn.execute(insert(library_asks).values(address=address, until=until, is_rest=True))
