"""Findings: everything dropped, changed, unresolved or odd, once per place, shown to an operator."""
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, text
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import findings


@dataclass(frozen=True)
class Finding:
    """One thing to know. ``path`` names the place (``Observation/9#Observation.code``); never a value."""

    cause: str
    message: str
    path: str = ""
    severity: str = "warning"


def record(conn: Connection, found: Iterable[Finding], *, request_id: str | None = None,
           delivery_id: str | None = None, endpoint: str | None = None) -> int:
    """Write findings; the same one again counts up instead of repeating. Returns how many were given."""
    rows = {(f.cause, f.path): dict(request_id=request_id, delivery_id=delivery_id, endpoint=endpoint, cause=f.cause,
                                    path=f.path, severity=f.severity, message=f.message[:500]) for f in found}
    if rows:
        insertion = insert(findings)
        conn.execute(insertion.on_conflict_do_update(
            index_elements=[text("coalesce(request_id, '')"), text("coalesce(endpoint, '')"), "cause", "path"],
            set_=dict(count=findings.c.count + 1, last_seen_at=func.now(), message=insertion.excluded.message)), list(rows.values()))
    return len(rows)
