"""Notices: who is to be told what, made in the transaction that finds it out, sent by a step later, and what became of it.

``told_alarms`` is what a recipient believes to be open. So an alarm that comes and goes is one alarm to them, nothing is
over that they were not told of, and nothing is told twice.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Row, func, select, text, update

from integration.notices.notice import LISTED, Notice
from integration.settings.config import Config
from integration.store import own_steps
from integration.store.tables import alarms, notices

STEP = "send_alerts"
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
UNSENT_AFTER = timedelta(hours=24)  # then it is an alarm itself (notices-unsent)
GIVEN_UP_AFTER = timedelta(days=3)  # then what is still open is told anew
PAST_WITHIN = timedelta(days=1)  # an alarm that was over before it could be told is told so long
AT_ONCE = 50


def make_due_notices(conn: Connection, config: Config, now: datetime) -> None:
    """Make every notice that is due, one for each recipient and rule, and see that they are sent."""
    alerts = config.alerts
    conn.execute(_FORGET_OTHERS, {"names": [each.name for each in alerts.send_to]})
    lasting, over = now - timedelta(minutes=alerts.for_minutes), now - timedelta(minutes=alerts.recovered_minutes)
    for recipient in alerts.send_to:
        values = {
            "recipient": recipient.name,
            "channel": recipient.channel,
            "now": now,
            "lasting": lasting,
            "over": over,
            "rules": list(recipient.rules) if recipient.rules else None,
            "practices": list(recipient.practices) if recipient.practices else None,
            "past": now - PAST_WITHIN,
            "lately": now - timedelta(minutes=recipient.min_interval_minutes),
            "before": now - timedelta(hours=alerts.remind_hours),
        }
        conn.execute(_FORGET_RULES, values)
        for statement in (_RAISED, _RECOVERED, *((_REMINDER,) if alerts.remind_hours else ())):
            for made in conn.execute(statement, values).all():
                conn.execute(
                    update(notices).where(notices.c.id == made.id).values(content=_content(conn, config, made))
                )
    wake_sender(conn, now)


def wake_sender(conn: Connection, now: datetime) -> None:
    """Something is to be sent now: a step does it. One that runs already may have looked before; the next check sees to that."""
    if due(conn, now, limit=1):
        own_steps.make_due(conn, STEP)


def _content(conn: Connection, config: Config, made: Row) -> dict:
    """What stands in a notice, as long as it lives: the first alarms as they are now, and where to look."""
    found = conn.execute(
        select(alarms).where(alarms.c.id.in_(made.first)).order_by(alarms.c.raised_at, alarms.c.id)
    ).all()
    base = getattr(config.web, "public_url", None) or config.web.address
    return {
        "count": made.number,
        "link": f"{base.rstrip('/')}/alarms",
        "exchange": config.exchange.name,
        "alarms": [
            {
                "id": each.id,
                "subject": each.subject,
                "message": each.message,
                "raised_at": _at(each.raised_at),
                "recovered_at": _at(each.recovered_at),
            }
            for each in found
        ],
    }


def _at(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None


def notice_of(row: Row) -> Notice:
    """A row as what it says."""
    content = row.content
    return Notice(
        row.key,
        row.kind,
        row.rule,
        content["count"],
        row.created_at,
        tuple(content["alarms"]),
        content["link"],
        content["exchange"],
    )


# --- sending -------------------------------------------------------------------------------------------------------


def due(conn: Connection, now: datetime, limit: int = AT_ONCE) -> list[Row]:
    """What is to be sent now, in the order it was made."""
    return list(
        conn.execute(
            select(notices)
            .where(notices.c.status == "queued", notices.c.next_attempt_at <= now)
            .order_by(notices.c.id)
            .limit(limit)
        ).all()
    )


def sent(conn: Connection, notice_id: int, now: datetime) -> None:
    """It was taken."""
    conn.execute(
        update(notices)
        .where(notices.c.id == notice_id)
        .values(status="sent", sent_at=now, attempts=notices.c.attempts + 1, last_error=None)
    )


def postpone(conn: Connection, notice: Row, now: datetime, error: str, *, tried: bool = True) -> None:
    """It was not: later again, with growing waits; after days it is given up and what is open then is told anew."""
    attempts = notice.attempts + tried
    values = dict(attempts=attempts, last_error=error[:500])
    if now - notice.created_at >= GIVEN_UP_AFTER:
        conn.execute(update(notices).where(notices.c.id == notice.id).values(status="failed", **values))
        conn.execute(_UNTELL, {"id": notice.id})
        return
    wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(max(0, attempts - 1), 10))
    conn.execute(update(notices).where(notices.c.id == notice.id).values(next_attempt_at=now + wait, **values))


def drop(conn: Connection, notice: Row) -> None:
    """Its recipient is not in the configuration any more."""
    conn.execute(
        update(notices)
        .where(notices.c.id == notice.id)
        .values(status="dropped", last_error="the configuration does not name this recipient any more")
    )


# --- looking -------------------------------------------------------------------------------------------------------


def of_alarms(conn: Connection, ids: list[int]) -> dict[int, list[Row]]:
    """``{alarm id: its notices, oldest first}``."""
    rows = conn.execute(_OF_ALARMS, {"ids": ids}).all() if ids else []
    return {alarm_id: [row for row in rows if row.alarm_id == alarm_id] for alarm_id in ids}


def not_sent(conn: Connection, now: datetime, limit: int = 50) -> list[Row]:
    """Notices that could not be sent yet, or were given up in the last week; newest first."""
    failing = (notices.c.status == "queued") & notices.c.last_error.is_not(None)
    failed = (notices.c.status == "failed") & (notices.c.created_at > now - timedelta(days=7) - GIVEN_UP_AFTER)
    return list(
        conn.execute(
            select(notices)
            .where(notices.c.status.in_(("queued", "failed")), failing | failed)
            .order_by(notices.c.id.desc())
            .limit(limit)
        ).all()
    )


def counts(conn: Connection) -> dict[str, int]:
    """How many notices wait, fail again and again, or were given up."""
    status = (
        select(notices.c.status, notices.c.last_error.is_not(None).label("failing"), func.count())
        .where(notices.c.status.in_(("queued", "failed")))
        .group_by(notices.c.status, text("failing"))
    )
    found = {"queued": 0, "retrying": 0, "failed": 0}
    for name, failing, number in conn.execute(status):
        found["retrying" if name == "queued" and failing else name] += number
    return found


# --- statements ----------------------------------------------------------------------------------------------------

_FORGET_OTHERS = text("DELETE FROM told_alarms WHERE recipient <> ALL(CAST(:names AS text[]))")
# Of a practice's recipients: what is about it, or about a request of its. Who is to read a report is who asked for it.
_PRACTICES = "CAST(:practices AS text[])"
_MINE = f"""(CAST(:rules AS text[]) IS NULL OR {{0}}.rule = ANY(CAST(:rules AS text[])))
    AND ({_PRACTICES} IS NULL OR split_part({{0}}.subject, ' ', 1) = ANY({_PRACTICES}) OR EXISTS (
        SELECT 1 FROM requests q WHERE q.id = {{0}}.subject AND (q.placer = ANY({_PRACTICES})
            OR q.fulfiller = ANY({_PRACTICES}) AND {{0}}.rule <> 'report-unread')))"""
_FORGET_RULES = text(f"DELETE FROM told_alarms t WHERE recipient = :recipient AND NOT ({_MINE.format('t')})")
_NOT_SILENCED = """NOT EXISTS (SELECT 1 FROM alarm_silences s WHERE s.until > :now AND s.rule IN ({0}.rule, '*')
                               AND s.subject IN ({0}.subject, '*'))"""
_NOT_LATELY = """NOT EXISTS (SELECT 1 FROM notices n WHERE n.recipient = :recipient AND n.rule = {0}.rule
                             AND n.created_at > :lately AND (n.kind = 'recovered') = {1})"""


def _making(due: str, kind: str, order: str, and_also: str) -> object:
    """One notice for each rule with all that is due, and what the recipient believes from then on."""
    return text(f"""
        WITH due AS ({due}),
        made AS (
            INSERT INTO notices (key, recipient, channel, kind, rule, alarm_ids, next_attempt_at, created_at)
            SELECT gen_random_uuid(), CAST(:recipient AS text), CAST(:channel AS text), '{kind}', rule,
                   array_agg(id ORDER BY {order}), :now, :now
            FROM due GROUP BY rule RETURNING id, alarm_ids),
        {and_also}
        SELECT id, cardinality(alarm_ids) AS number, alarm_ids[1:{LISTED}] AS first FROM made ORDER BY id""")


# What lasts and the recipient does not know; and what was over before anybody could be told (the database was away).
_RAISED = _making(
    f"""
    SELECT a.id, a.rule, a.subject, a.raised_at, a.recovered_at FROM alarms a
    WHERE a.recovered_at IS NULL AND a.raised_at <= :lasting AND {_MINE.format("a")}
        AND NOT (a.rule = 'notices-unsent' AND a.subject = :recipient)
        AND NOT EXISTS (SELECT 1 FROM told_alarms t WHERE t.recipient = :recipient AND t.rule = a.rule AND t.subject = a.subject)
        AND {_NOT_SILENCED.format("a")} AND {_NOT_LATELY.format("a", "false")}
    UNION ALL
    SELECT a.id, a.rule, a.subject, a.raised_at, a.recovered_at FROM alarms a
    WHERE a.rule = 'database-away' AND a.recovered_at > :past AND {_MINE.format("a")}
        AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.recipient = :recipient AND n.alarm_ids @> ARRAY[a.id])
        AND {_NOT_SILENCED.format("a")} AND {_NOT_LATELY.format("a", "false")}""",
    "raised",
    "raised_at, id",
    """
    told AS (INSERT INTO told_alarms (recipient, rule, subject, told_at, last_told_at)
             SELECT :recipient, rule, subject, :now, :now FROM due WHERE recovered_at IS NULL),
    marked AS (UPDATE alarms a SET notified_at = :now FROM due WHERE a.id = due.id AND a.notified_at IS NULL)""",
)

# What the recipient believes to be open and is over for long enough; of several in a row the last one counts.
_RECOVERED = _making(
    f"""
    SELECT t.rule, t.subject, last.id, last.recovered_at FROM told_alarms t
    CROSS JOIN LATERAL (SELECT a.id, a.recovered_at FROM alarms a WHERE a.rule = t.rule AND a.subject = t.subject
                        ORDER BY a.recovered_at DESC LIMIT 1) AS last
    WHERE t.recipient = :recipient AND last.recovered_at <= :over
        AND NOT EXISTS (SELECT 1 FROM alarms o WHERE o.rule = t.rule AND o.subject = t.subject AND o.recovered_at IS NULL)
        AND {_NOT_SILENCED.format("t")} AND {_NOT_LATELY.format("t", "true")}""",
    "recovered",
    "recovered_at, id",
    """
    told AS (DELETE FROM told_alarms t USING due WHERE t.recipient = :recipient AND t.rule = due.rule AND t.subject = due.subject)""",
)

# All of a rule that is still open, as soon as one of it was last told long ago; not while an earlier notice waits to be sent.
_REMINDER = _making(
    f"""
    SELECT a.id, a.rule, a.subject, a.raised_at FROM told_alarms t
    JOIN alarms a ON a.rule = t.rule AND a.subject = t.subject AND a.recovered_at IS NULL
    WHERE t.recipient = :recipient AND {_NOT_SILENCED.format("t")} AND {_NOT_LATELY.format("t", "false")}
        AND t.rule IN (SELECT o.rule FROM told_alarms o
                       JOIN alarms b ON b.rule = o.rule AND b.subject = o.subject AND b.recovered_at IS NULL
                       WHERE o.recipient = :recipient AND o.last_told_at <= :before AND {_NOT_SILENCED.format("o")})
        AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.recipient = :recipient AND n.rule = t.rule AND n.status = 'queued')""",
    "reminder",
    "raised_at, id",
    """
    told AS (UPDATE told_alarms t SET last_told_at = :now FROM due
             WHERE t.recipient = :recipient AND t.rule = due.rule AND t.subject = due.subject)""",
)

_UNTELL = text("""
    DELETE FROM told_alarms t USING notices n, alarms a
    WHERE n.id = :id AND n.kind <> 'recovered' AND a.id = ANY(n.alarm_ids)
        AND t.recipient = n.recipient AND t.rule = a.rule AND t.subject = a.subject""")
_OF_ALARMS = text("""
    SELECT a.id AS alarm_id, n.id, n.recipient, n.channel, n.kind, n.status, n.created_at, n.sent_at, n.attempts, n.last_error
    FROM unnest(CAST(:ids AS bigint[])) AS a(id) JOIN notices n ON n.alarm_ids @> ARRAY[a.id] ORDER BY n.id""")
