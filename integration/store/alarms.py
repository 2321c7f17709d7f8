"""Alarms: what an operator has to know now, once while it lasts, with when it began and when it was over."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, text, union_all, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from integration.store import audit
from integration.store.operations import NotPossible
from integration.store.tables import alarm_silences, alarms, endpoints, requests, told_alarms
from mappings.model.alarms import RULES

ANY = "*"  # in a silence: every rule, or every subject
PAGE = 50


def raise_alarm(conn: Connection, rule: str, subject: str, message: str, now: datetime | None = None) -> bool:
    """Open an alarm; one that is open already is only seen again. True when it is new. Without ``now`` by the database's clock."""
    at = now or func.statement_timestamp()
    insertion = insert(alarms).values(rule=rule, subject=subject, message=message[:500], raised_at=at, last_seen_at=at)
    made = conn.execute(
        insertion.on_conflict_do_update(
            index_elements=["rule", "subject"],
            index_where=text("recovered_at is null"),
            set_=dict(last_seen_at=at, message=insertion.excluded.message),
        ).returning(text("xmax = 0"))
    )
    return bool(made.scalar_one())


def recover(conn: Connection, rule: str, subject: str, now: datetime | None = None) -> bool:
    """It is over. False when no such alarm was open."""
    return bool(
        conn.execute(
            update(alarms)
            .where(alarms.c.rule == rule, alarms.c.subject == subject, alarms.c.recovered_at.is_(None))
            .values(recovered_at=now or func.statement_timestamp())
        ).rowcount
    )


def note_past(conn: Connection, rule: str, subject: str, message: str, since: datetime) -> bool:
    """An alarm that could not be written while it lasted: raised and over. False when another process noted it already."""
    known = select(alarms.c.id).where(
        alarms.c.rule == rule, alarms.c.subject == subject, alarms.c.last_seen_at >= since
    )
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext(:rule))"), {"rule": rule})
    if conn.execute(known).first() is not None:
        return False
    conn.execute(
        alarms.insert().values(
            rule=rule, subject=subject, message=message[:500], raised_at=since, recovered_at=func.statement_timestamp()
        )
    )
    return True


def set_open(conn: Connection, rule: str, wanted: dict[str, str], now: datetime | None = None) -> None:
    """Exactly ``{subject: message}`` is open for a rule: raises what is new, recovers what is gone."""
    for subject, message in sorted(wanted.items()):
        raise_alarm(conn, rule, subject, message, now)
    still = select(alarms.c.subject).where(alarms.c.rule == rule, alarms.c.recovered_at.is_(None))
    for subject in set(conn.execute(still).scalars()) - set(wanted):
        recover(conn, rule, subject, now)


def set_open_by(conn: Connection, rule: str, query: str, values: dict, now: datetime) -> None:
    """The same for thousands: exactly what a query finds (``subject``, ``message``) is open. What did not change is not written."""
    conn.execute(
        text(f"""
        WITH wanted AS MATERIALIZED (SELECT subject, left(message, 500) AS message FROM ({query}) found),
        changed AS (
            SELECT w.subject, w.message FROM wanted w
            LEFT JOIN alarms a ON a.rule = :rule AND a.subject = w.subject AND a.recovered_at IS NULL
            WHERE a.id IS NULL OR a.message <> w.message),
        raised AS (
            INSERT INTO alarms (rule, subject, message, raised_at, last_seen_at)
            SELECT :rule, subject, message, :now, :now FROM changed
            ON CONFLICT (rule, subject) WHERE recovered_at IS NULL
            DO UPDATE SET message = excluded.message, last_seen_at = excluded.last_seen_at)
        UPDATE alarms SET recovered_at = :now WHERE rule = :rule AND recovered_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.subject = alarms.subject)"""),
        {**values, "rule": rule, "now": now},
    )


def switch_off(conn: Connection, rule: str, now: datetime) -> None:
    """A rule that is not watched any more: what it left open is closed, and nobody is told that it is over."""
    conn.execute(delete(told_alarms).where(told_alarms.c.rule == rule))
    set_open(conn, rule, {}, now)


def open_alarms(conn: Connection, limit: int | None = None) -> list[Row]:
    """What is open, oldest first."""
    return list(
        conn.execute(
            select(alarms).where(alarms.c.recovered_at.is_(None)).order_by(alarms.c.raised_at, alarms.c.id).limit(limit)
        ).all()
    )


def open_counts(conn: Connection) -> dict[str, int]:
    """How many are open of each rule that has any."""
    return dict(
        conn.execute(
            select(alarms.c.rule, func.count())
            .where(alarms.c.recovered_at.is_(None))
            .group_by(alarms.c.rule)
            .order_by(alarms.c.rule)
        ).all()
    )


def open_groups(conn: Connection, named: int) -> list[Row]:
    """Of each rule with open alarms: ``number``, ``since``, the oldest ``subjects`` and the oldest's ``message``."""
    order = (alarms.c.raised_at, alarms.c.id)
    return list(
        conn.execute(
            select(
                alarms.c.rule,
                func.count().label("number"),
                func.min(alarms.c.raised_at).label("since"),
                func.array_agg(aggregate_order_by(alarms.c.subject, *order))[1:named].label("subjects"),
                func.array_agg(aggregate_order_by(alarms.c.message, *order))[1].label("message"),
            )
            .where(alarms.c.recovered_at.is_(None))
            .group_by(alarms.c.rule)
        ).all()
    )


def is_known_subject(conn: Connection, subject: str) -> bool:
    """True for an endpoint, an order of one (its endpoint comes first), a request, and what an alarm was about."""
    stored = union_all(
        select(endpoints.c.key).where(endpoints.c.key == subject.partition(" ")[0]),
        select(requests.c.id).where(requests.c.id == subject),
        select(alarms.c.subject).where(alarms.c.subject == subject),
    )
    return conn.execute(stored.limit(1)).first() is not None


def page(
    conn: Connection, *, is_open: bool | None, rule: str | None = None, after: int | None = None, limit: int = PAGE
) -> tuple[list[Row], int | None]:
    """Alarms that are open, over, or (None) both, newest first; and the id after which the next page begins (None at the end)."""
    over = alarms.c.recovered_at.is_not(None)
    wanted: list[ColumnElement[bool]] = [] if is_open is None else [~over if is_open else over]
    wanted += [alarms.c.rule == rule] if rule else []
    wanted += [alarms.c.id < after] if after else []
    found = list(conn.execute(select(alarms).where(*wanted).order_by(alarms.c.id.desc()).limit(limit + 1)).all())
    return found[:limit], found[limit - 1].id if len(found) > limit else None


# --- silences -----------------------------------------------------------------------------------------------------


def silence(
    conn: Connection, rule: str, subject: str, until: datetime, now: datetime, *, actor: str, reason: str
) -> None:
    """Maintenance: nothing is told of this until then; the alarm still shows. ``*`` is any rule or subject."""
    rule = known_rule(rule)
    if until <= now:
        raise NotPossible("a silence has to end in the future; unsilence ends one")
    values = dict(until=until, actor=actor, reason=reason, created_at=now)
    conn.execute(
        insert(alarm_silences)
        .values(rule=rule, subject=subject, **values)
        .on_conflict_do_update(index_elements=["rule", "subject"], set_=values)
    )
    audit.record(
        conn, actor, "alarm.silenced", subject=f"{rule} {subject}", reason=reason, detail={"until": until.isoformat()}
    )


def unsilence(conn: Connection, rule: str, subject: str, now: datetime, *, actor: str, reason: str) -> None:
    """End a silence. Raises NotPossible when there is none."""
    rule = known_rule(rule)
    if not conn.execute(
        delete(alarm_silences).where(
            alarm_silences.c.rule == rule, alarm_silences.c.subject == subject, alarm_silences.c.until > now
        )
    ).rowcount:
        raise NotPossible(f"{rule} {subject} is not silenced")
    audit.record(conn, actor, "alarm.unsilenced", subject=f"{rule} {subject}", reason=reason)


def known_rule(rule: str) -> str:
    """The rule's name. Raises NotPossible when there is none."""
    name = rule.replace("_", "-")
    if name != ANY and name not in RULES:
        raise NotPossible(f"there is no rule {rule[:60]}; the rules are {', '.join(RULES)}, and * for any")
    return name


def silences(conn: Connection, now: datetime) -> list[Row]:
    """Silences that last, the next to end first."""
    return list(
        conn.execute(
            select(alarm_silences)
            .where(alarm_silences.c.until > now)
            .order_by(alarm_silences.c.until, alarm_silences.c.rule, alarm_silences.c.subject)
        ).all()
    )


def silenced(found: list[Row], rule: str, subject: str) -> Row | None:
    """Of ``silences()``, the one that silences an alarm the longest."""
    hits = [each for each in found if each.rule in (rule, ANY) and each.subject in (subject, ANY)]
    return max(hits, key=lambda each: each.until, default=None)
