"""What the one gate asks and keeps: how a request stands when something is about to leave, and the row of the audit trail."""

from typing import Any

from sqlalchemy import Connection

from integration.store import audit, consents, patient_links, requests
from mappings.model.leaving import Going, Reason, Stand

LEAVES, KEPT, UNSENT = "data.leaves", "data.kept", "data.unsent"
NAMED = 100  # items in one row; it says how many there are


def stand(conn: Connection, request_id: str, endpoint: str, *, asks_consent: bool) -> Stand:
    """How the request stands towards that endpoint now; ``asks_consent``: nothing goes there before consent was recorded.

    Who records a statement of consent waits until this transaction ends, and it for them: what is decided and written down
    here was so when it was.
    """
    consents.hold(conn, request_id)
    row = requests.get(conn, request_id)
    is_linked = patient_links.of(conn, request_id, endpoint) is not None
    consent = consents.why_not_to(conn, request_id, endpoint, is_required=asks_consent)
    return Stand(row.status, bool(row.cancel_requested), is_linked, consent)


def record(
    conn: Connection,
    request_id: str,
    endpoint: str,
    reason: Reason,
    going: Going,
    action: str,
    *,
    actor: str,
    about: dict[str, Any],
    why: str = "",
) -> None:
    """The row, before the first byte; ``why``: the cause for which it is kept; ``about``: more ids.

    What leaves says which statement of consent stood: the table refuses a row of code that knows of none (`audit_leaving_asked`).
    """
    if action == LEAVES:
        consents.hold(conn, request_id)
        newest = consents.newest(conn, request_id)
        about = {**about, "consent": newest.id if newest else None}
    detail = {"kind": going.kind, "items": list(going.items[:NAMED]), "count": len(going.items), "bytes": going.size}
    audit.record(
        conn,
        actor,
        action,
        request_id,
        subject=endpoint,
        reason=reason if not why else f"{reason}: {why}",
        detail=detail | {name: value for name, value in about.items() if value is not None},
    )
