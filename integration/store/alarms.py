"""Alarms: what an operator has to know now, once while it lasts, with when it began and when it was over."""
from sqlalchemy import Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import alarms


def raise_alarm(conn: Connection, rule: str, subject: str, message: str) -> bool:
    """Open an alarm; one that is open already is only seen again. True when it is new."""
    insertion = insert(alarms).values(rule=rule, subject=subject, message=message[:500])
    made = conn.execute(insertion.on_conflict_do_update(
        index_elements=["rule", "subject"], index_where=text("recovered_at is null"),
        set_=dict(last_seen_at=func.statement_timestamp(), message=insertion.excluded.message))
        .returning(text("xmax = 0")))
    return bool(made.scalar_one())


def recover(conn: Connection, rule: str, subject: str) -> bool:
    """It is over. False when no such alarm was open."""
    return bool(conn.execute(update(alarms).where(alarms.c.rule == rule, alarms.c.subject == subject, alarms.c.recovered_at.is_(None))
                             .values(recovered_at=func.statement_timestamp())).rowcount)


def note_past(conn: Connection, rule: str, subject: str, message: str, since) -> bool:
    """An alarm that could not be written while it lasted: raised and over. False when another process noted it already."""
    known = select(alarms.c.id).where(alarms.c.rule == rule, alarms.c.subject == subject, alarms.c.last_seen_at >= since)
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext(:rule))"), {"rule": rule})
    if conn.execute(known).first() is not None:
        return False
    conn.execute(alarms.insert().values(rule=rule, subject=subject, message=message[:500], raised_at=since,
                                        recovered_at=func.statement_timestamp()))
    return True


def set_open(conn: Connection, rule: str, wanted: dict[str, str]) -> None:
    """Exactly ``{subject: message}`` is open for a rule: raises what is new, recovers what is gone."""
    for subject, message in sorted(wanted.items()):
        raise_alarm(conn, rule, subject, message)
    for subject in {row.subject for row in open_alarms(conn) if row.rule == rule} - set(wanted):
        recover(conn, rule, subject)


def open_alarms(conn: Connection) -> list[Row]:
    """What is open, oldest first."""
    return list(conn.execute(select(alarms).where(alarms.c.recovered_at.is_(None)).order_by(alarms.c.raised_at, alarms.c.id)).all())
