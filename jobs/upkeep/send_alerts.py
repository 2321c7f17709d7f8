"""Send what recipients are to be told: each notice committed as soon as it was taken, so that a death repeats one at most."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row

from integration.notices import mail, notice, webhook
from integration.notices.notice import Notice, NotSent
from integration.settings.alerts import Alerts, Recipient
from integration.store import notices
from jobs.world import Context, Outcome

log = logging.getLogger("second_opinion.alerts")
MAIL_SERVER = "(mail server)"  # no recipient can be called that
BUDGET_SECONDS = 240.0  # then the rest waits for the next step: it must not hold its lease for ever


def send_alerts(ctx: Context) -> Outcome:
    """Everything that is due, in order; after a failure the same recipient, or the same mail server, is not tried again now."""
    with ctx.world.engine.begin() as conn:
        waiting = notices.due(conn, ctx.now)
    began = time.monotonic()
    failing: dict[str, str] = {}
    for row in waiting:
        if time.monotonic() - began > BUDGET_SECONDS:
            break
        _one(ctx, row, failing)
    with ctx.world.engine.begin() as conn:
        more = bool(notices.due(conn, ctx.now, limit=1))
    return Outcome(again_at=ctx.now + timedelta(seconds=1) if more else None)


def _one(ctx: Context, row: Row, failing: dict[str, str]) -> None:
    alerts = ctx.world.config.alerts
    recipient = next((each for each in alerts.send_to if each.name == row.recipient), None)
    if recipient is None:
        _commit(ctx, row, "dropped", lambda conn: notices.drop(conn, row))
        return
    known = failing.get(recipient.name) or (failing.get(MAIL_SERVER) if recipient.email else None)
    if known:
        _commit(ctx, row, "not-tried", lambda conn: notices.postpone(conn, row, ctx.now, known, tried=False))
        return
    ctx.lease.before_write()
    try:
        deliver(alerts, recipient, notices.notice_of(row), ctx.now)
    except NotSent as error:
        sentence = failing[MAIL_SERVER if recipient.email and error.for_all else recipient.name] = str(error)
        _commit(ctx, row, "not-sent", lambda conn: notices.postpone(conn, row, ctx.now, sentence))
    else:
        _commit(ctx, row, "sent", lambda conn: notices.sent(conn, row.id, ctx.now))


def _commit(ctx: Context, row: Row, action: str, change: Callable[[Connection], object]) -> None:
    with ctx.transaction() as conn:
        change(conn)
    log.info(
        "notice",
        extra={"action": f"notice-{action}", "notice_id": row.id, "recipient": row.recipient, "rule": row.rule},
    )


def deliver(alerts: Alerts, recipient: Recipient, what: Notice, now: datetime) -> str:
    """Send one notice to one recipient; returns what was answered. Raises NotSent."""
    trust = notice.trust(alerts)
    if recipient.email:
        smtp = alerts.smtp
        if smtp is None:
            raise NotSent("`alerts.smtp`, the mail server that takes it, is not configured", for_all=True)
        password = notice.secret(smtp.password_file, smtp.password_env, "password")
        return mail.send(mail.compose(what, smtp, recipient.email), smtp, password=password, trust=trust)
    address = recipient.webhook or notice.secret(recipient.webhook_file, recipient.webhook_env, "webhook")
    signed_with = notice.secret(recipient.secret_file, recipient.secret_env, "secret")
    return webhook.send(what, address or "", secret=signed_with, trust=trust, now=now)
