"""The rules that raise alarms from rows: each one query that finds its subjects, read through indexes that hold open work only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import alarms, findings
from integration.store.notices import UNSENT_AFTER
from integration.store.tables import ANSWERED, LOOP_OPEN, RECORDS_OWED
from mappings.model.delivery import ARRIVED

FAILURE_RATE, PARKED, SILENCE, LOOP = "failure-rate", "parked", "silence", "loop-open"
AT_RISK, LATE, UNSENT = "deadline-at-risk", "deadline-late", "notices-unsent"
UNREAD = "report-unread"
ORDER_REFUSED, REQUEST_ERROR = "order-refused", "request-error"
CLIENT_KEYS = "client-keys"
WEEKS = (1, 2, 3)  # usual is what was so in each of these
POLLS_MISSED = 3  # a poller that looks less often than `silence.hours` is silent after so many


@dataclass(frozen=True)
class Rule:
    """An alarm rule: ``query`` gives ``subject`` and ``message``; what a switched off one left open is closed."""

    name: str
    query: str
    values: dict
    enabled: bool = True


def apply(conn: Connection, config: Config, now: datetime) -> None:
    """Raise and recover what each rule finds."""
    for rule in rules(config, now):
        if rule.enabled:
            alarms.set_open_by(conn, rule.name, rule.query, rule.values, now)
        else:
            alarms.switch_off(conn, rule.name, now)


def rules(config: Config, now: datetime) -> Iterator[Rule]:
    """Every rule as it is configured, at a time."""
    wanted, endpoints = config.alerts.rules, list(config.endpoints)
    rate, parked, risk, loop = wanted.failure_rate, wanted.parked, wanted.deadline_at_risk, wanted.loop_open
    yield Rule(
        FAILURE_RATE,
        _FAILURE_RATE,
        {
            "endpoints": endpoints,
            "since": now - timedelta(minutes=rate.window_minutes),
            "minutes": rate.window_minutes,
            "minimum": rate.minimum_attempts,
            "share": rate.share,
        },
        rate.enabled,
    )
    yield Rule(
        PARKED,
        _PARKED,
        {
            "before": now - timedelta(minutes=parked.older_than_minutes),
            "minutes": parked.older_than_minutes,
            "more_than": parked.more_than,
        },
        parked.enabled,
    )
    yield Rule(SILENCE, _SILENCE, _silence_values(config, now), wanted.silence.enabled)
    yield Rule(
        AT_RISK,
        _AT_RISK,
        {"until": now + timedelta(hours=risk.within_hours), "now": now, "how": "are due"},
        risk.enabled,
    )
    yield Rule(LATE, _RECORDS, {"until": now, "how": "were due"}, risk.enabled)
    yield Rule(
        LOOP,
        _LOOP,
        {
            "old": now - timedelta(days=loop.days),
            "days": loop.days,
            "stuck": now - timedelta(hours=loop.completed_hours),
            "hours": loop.completed_hours,
        },
        loop.enabled,
    )
    unread = wanted.report_unread
    yield Rule(
        UNREAD,
        _UNREAD,
        {"before": now - timedelta(days=unread.days), "urgent_before": now - timedelta(days=unread.urgent_days)},
        unread.enabled,
    )
    yield Rule(
        ORDER_REFUSED,
        _ORDER_REFUSED,
        {"endpoints": _placers(config), "causes": list(findings.REFUSED), "since": now - findings.LOOKED_FOR},
    )
    yield Rule(REQUEST_ERROR, _REQUEST_ERROR, {})
    yield Rule(CLIENT_KEYS, _CLIENT_KEYS, {})
    yield Rule(UNSENT, _UNSENT, {"before": now - UNSENT_AFTER, "names": [each.name for each in config.alerts.send_to]})


def _placers(config: Config) -> list[str]:
    return [key for key, endpoint in config.endpoints.items() if endpoint.is_polled]


def _silence_values(config: Config, now: datetime) -> dict:
    rule, poll = config.alerts.rules.silence, config.schedules.poll_requests_seconds
    hours = timedelta(hours=rule.hours)
    window = timedelta(hours=rule.usual_hours)
    return {
        "endpoints": list(config.endpoints),
        "before": now - hours,
        "hours": f"{rule.hours:g}",
        "polled": _placers(config),
        "polled_before": now - max(hours, timedelta(seconds=POLLS_MISSED * poll)),
        "usual_hours": rule.usual_hours,
        "usual_requests": rule.usual_requests,
        "recently": now - window,
        "now": now,
        **{f"from{week}": now - timedelta(weeks=week) - window for week in WEEKS},
        **{f"to{week}": now - timedelta(weeks=week) for week in WEEKS},
    }


def _minute(time: str) -> str:
    """A time as messages show it, in SQL."""
    return f"to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')"


# Watches leave an attempt only when something happened: with them, an endpoint where all is well would seem to fail. Of a worker
# that died no endpoint is to blame.
_FAILURE_RATE = """
    SELECT endpoint AS subject, format('%s of %s attempts at %s failed in the last %s minutes. Look at the failures by cause.',
                                       failed, tried, endpoint, CAST(:minutes AS int)) AS message
    FROM (SELECT endpoint, count(*) AS tried, count(*) FILTER (WHERE outcome NOT IN ('done', 'again')) AS failed
          FROM attempts WHERE finished_at > :since AND kind NOT IN ('watch_fulfiller', 'watch_chart') AND outcome <> 'lost'
          AND endpoint = ANY(CAST(:endpoints AS text[])) GROUP BY endpoint) AS counted
    WHERE tried >= :minimum AND failed >= CAST(:share AS double precision) * tried"""

# A poll that gave up is tried at every tick: until one succeeds it counts as parked since the first time.
_PARKED = """
    SELECT endpoint AS subject, format('%s step(s) at %s have waited for a person for more than %s minutes.',
                                       count(*), endpoint, CAST(:minutes AS int)) AS message
    FROM (SELECT endpoint FROM steps WHERE status = 'parked' AND coalesce(parked_at, created_at) < :before
          UNION ALL
          SELECT endpoint FROM steps WHERE coalesce(request_id, '') = '' AND kind = 'poll_requests'
              AND status IN ('waiting', 'due', 'leased') AND parked_at < :before) AS stuck
    GROUP BY endpoint HAVING count(*) > :more_than"""

_IN_WEEK = "r.created_at > :from{0} AND r.created_at <= :to{0}"
# No poll succeeded; or something is due and nothing succeeded; or no request came where some usually come. One of them is told.
_SILENCE = f"""
    SELECT DISTINCT ON (subject) subject, message FROM (
        SELECT 1 AS place, e.key AS subject, format('No poll of %s for requests has succeeded since %s. Look at its last failure, and '
                   'whether a worker ticks.', e.key, {_minute("last.at")}) AS message
        FROM endpoints e CROSS JOIN LATERAL (
            SELECT coalesce(e.polled_at, (SELECT min(t.fire_time) FROM ticks t WHERE t.job = 'poll_requests ' || e.key)) AS at) AS last
        WHERE e.key = ANY(CAST(:polled AS text[])) AND NOT e.paused AND last.at < :polled_before
        UNION ALL
        SELECT 2, e.key, format('Nothing at %s has succeeded for more than %s hour(s) although something is due there.', e.key,
                                CAST(:hours AS text))
        FROM endpoints e
        WHERE e.key = ANY(CAST(:endpoints AS text[])) AND NOT e.paused AND coalesce(e.last_success_at, '-infinity') < :before
            AND EXISTS (SELECT 1 FROM steps s WHERE s.endpoint = e.key AND s.status = 'due' AND s.next_attempt_at < :before)
        UNION ALL
        SELECT 3, placer, format('No request has come from %s in the last %s hours; in the same hours of the last three weeks there '
                                 'were at least %s each.', placer, CAST(:usual_hours AS int), CAST(:usual_requests AS int))
        FROM (SELECT r.placer FROM requests r JOIN endpoints e ON e.key = r.placer AND NOT e.paused
              WHERE r.placer = ANY(CAST(:endpoints AS text[])) AND ({" OR ".join(_IN_WEEK.format(week) for week in WEEKS)})
              GROUP BY r.placer
              HAVING {" AND ".join(f"count(*) FILTER (WHERE {_IN_WEEK.format(week)}) >= :usual_requests" for week in WEEKS)}
        ) AS usual
        WHERE NOT EXISTS (SELECT 1 FROM requests r WHERE r.placer = usual.placer AND r.created_at > :recently)
    ) AS found ORDER BY subject, place"""

_RECORDS = f"""
    SELECT id AS subject, format('The records of request %s %s at %s on %s and are not verified there.', id, CAST(:how AS text),
                                 fulfiller, {_minute("records_due_at")}) AS message
    FROM requests WHERE {RECORDS_OWED} AND records_due_at < :until"""
_AT_RISK = f"""{_RECORDS} AND records_due_at >= :now
    UNION ALL
    SELECT id, format('The records of request %s are due at %s on %s and take longer than there is time.', id, fulfiller,
                      {_minute("records_due_at")})
    FROM requests WHERE records_risk_at is not null AND {RECORDS_OWED} AND records_risk_at <= :now AND records_due_at >= :until"""

_LOOP = f"""
    SELECT id AS subject, format('Request %s was taken in more than %s days ago and its loop is not closed.', id,
                                 CAST(:days AS int)) AS message
    FROM requests WHERE {LOOP_OPEN} AND created_at < :old
    UNION ALL
    SELECT id, format('Request %s is answered, and nothing has moved for more than %s hours: its report is not known to be at %s.', id,
                      CAST(:hours AS int), placer)
    FROM requests WHERE {LOOP_OPEN} AND {ANSWERED} AND updated_at < :stuck AND created_at >= :old"""

# The index `reports_unread` holds the newest revisions that are at the placer and wait to be read, and nothing else.
_UNREAD = f"""
    SELECT requests.id AS subject,
           format('The report of request %s (revision %s, %s) has been at %s since %s, and nobody has said that they read it.',
                  requests.id, revision, state, placer, {_minute("unread_since")}) AS message
    FROM reports JOIN requests ON requests.id = request_id
    WHERE unread_since < CASE WHEN priority <> 'routine' OR revision > 1 THEN CAST(:urgent_before AS timestamptz)
                              ELSE CAST(:before AS timestamptz) END
        AND requests.status <> 'entered-in-error'"""

# Each order by itself: one that is refused while another waits is told too. Over when it was taken in or withdrawn.
_ORDER_REFUSED = """
    SELECT endpoint || ' ' || split_part(path, '#', 1) AS subject,
           format('%s of %s was not taken in (%s): %s. It is looked at again with the polls until it is taken in or withdrawn.',
                  split_part(path, '#', 1), endpoint, min(cause), min(left(message, 300))) AS message
    FROM findings WHERE coalesce(request_id, '') = '' AND coalesce(endpoint, '') = ANY(CAST(:endpoints AS text[]))
        AND cause = ANY(CAST(:causes AS text[])) AND severity = 'error' AND last_seen_at > :since
    GROUP BY endpoint, split_part(path, '#', 1)"""

# At once, and until the request has ended, or the delivery that it was found in was read back after all. What a parked step left
# behind is the rule `parked`; the one whose words stand here is the newest.
_ARRIVED = ", ".join(f"'{each}'" for each in sorted(ARRIVED))
_REQUEST_ERROR = f"""
    SELECT r.id AS subject, format('Request %s: %s%s', r.id, (array_agg(f.message ORDER BY f.last_seen_at DESC))[1],
                                   CASE WHEN count(*) > 1 THEN format(' (and %s more errors)', count(*) - 1) ELSE '' END) AS message
    FROM findings f JOIN requests r ON r.id = f.request_id
    WHERE f.severity = 'error' AND f.request_id IS NOT NULL AND f.path NOT LIKE 'step %' AND {LOOP_OPEN}
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = f.delivery_id AND d.status IN ({_ARRIVED})
                        AND coalesce(d.verified_at, d.updated_at) > f.last_seen_at)
    GROUP BY r.id"""

# What was fetched before counts until its time; then the client is let in no more.
_CLIENT_KEYS = f"""
    SELECT practice || ' ' || name AS subject,
           format('The key set of client %s of %s could not be fetched: %s Its keys of before count until %s.', name, practice,
                  jwks_problem, coalesce({_minute("jwks_until")}, 'now')) AS message
    FROM clients WHERE revoked_at IS NULL AND jwks_problem IS NOT NULL"""

# Nothing has reached a recipient since this one should have.
_UNSENT = """
    SELECT recipient AS subject, format('%s could not be told of alarms for a day: %s notice(s) wait. The alarms page says why.',
                                        recipient, count(*)) AS message
    FROM notices n WHERE status IN ('queued', 'failed') AND created_at < :before AND recipient = ANY(CAST(:names AS text[]))
        AND NOT EXISTS (SELECT 1 FROM notices s WHERE s.recipient = n.recipient AND s.sent_at > n.created_at)
    GROUP BY recipient"""
