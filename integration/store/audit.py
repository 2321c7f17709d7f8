"""The audit trail: who did what, when and why; ids only."""

from sqlalchemy import Connection

from integration.store.tables import audit


def record(
    conn: Connection,
    actor: str,
    action: str,
    request_id: str | None = None,
    *,
    subject: str | None = None,
    reason: str | None = None,
    detail: dict | None = None,
) -> None:
    """Write one audit row on the caller's transaction: no change without its trace."""
    record_all(
        conn, [dict(actor=actor, action=action, request_id=request_id, subject=subject, reason=reason, detail=detail)]
    )


def record_all(conn: Connection, rows: list[dict]) -> None:
    """Write several at once; each says at least actor and action."""
    names = ("actor", "action", "request_id", "subject", "reason", "detail")
    conn.execute(audit.insert(), [{name: row.get(name) for name in names} for row in rows])
