"""Orders that a poll did not take in, as they were then; one that a person dealt with is left alone until it changes."""

from collections.abc import Collection

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit
from integration.store.arrays import any_of
from integration.store.findings import REFUSED
from integration.store.operations import NotPossible
from integration.store.tables import findings, refused_orders


def note(conn: Connection, endpoint: str, reference: str, sha256: str) -> None:
    """An order was refused; ``sha256`` is of what it says now."""
    made = insert(refused_orders).values(endpoint=endpoint, reference=reference, sha256=sha256)
    conn.execute(
        made.on_conflict_do_update(
            index_elements=["endpoint", "reference"], set_=dict(sha256=made.excluded.sha256, seen_at=func.now())
        )
    )


def skipped(conn: Connection, endpoint: str, references: Collection[str]) -> dict[str, str]:
    """``{reference: hash}`` of those a person dealt with: while an order still has that hash it is left alone."""
    rows = conn.execute(
        select(refused_orders.c.reference, refused_orders.c.skipped_sha256).where(
            refused_orders.c.endpoint == endpoint,
            any_of(refused_orders.c.reference, references),
            refused_orders.c.skipped_sha256.is_not(None),
        )
    )
    return {row.reference: row.skipped_sha256 for row in rows}


def finding(conn: Connection, finding_id: str) -> Row:
    """The finding about a refused order, by its number. Raises NotPossible when it is about none."""
    plain = int(finding_id) if finding_id.isascii() and finding_id.isdigit() and len(finding_id) < 19 else 0
    row = conn.execute(select(findings).where(findings.c.id == plain)).one_or_none()
    if row is None or row.request_id or row.cause not in REFUSED:
        raise NotPossible(f"finding {finding_id[:20]} is not about an order that was refused")
    return row


def skip(conn: Connection, finding_id: str, *, actor: str, reason: str) -> str:
    """The order of a finding is dealt with: no alarm, no look until it changes. Returns its reference. Raises NotPossible."""
    found = finding(conn, finding_id)
    reference = found.path.partition("#")[0]
    dealt_with = (
        update(refused_orders)
        .where(refused_orders.c.endpoint == found.endpoint, refused_orders.c.reference == reference)
        .values(
            skipped_sha256=refused_orders.c.sha256,
            skipped_at=func.statement_timestamp(),
            skipped_by=actor,
            skipped_reason=reason,
        )
    )
    if found.severity != "error" or not conn.execute(dealt_with).rowcount:
        raise NotPossible(
            f"{reference} is not refused now: it was taken in, skipped or withdrawn; look again after the next poll"
        )
    conn.execute(
        update(findings)
        .where(
            findings.c.request_id.is_(None),
            findings.c.endpoint == found.endpoint,
            findings.c.cause.in_(REFUSED),
            func.split_part(findings.c.path, "#", 1) == reference,
        )
        .values(severity="info")
    )
    audit.record(conn, actor, "order.skipped", subject=f"{found.endpoint} {reference}", reason=reason)
    return reference
