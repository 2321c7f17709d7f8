"""What pages, API and command line show, read from the tables: ids and sentences, no patient data."""

from dataclasses import asdict

from sqlalchemy import Connection

from integration.store import acknowledgments, deliveries, operations, request_parts, requests, waivers
from integration.store.deliveries import Delivery, Item
from integration.store.requests import Request
from integration.views.levels import closed_known, records_words, told
from mappings.model.acknowledgment import Standing
from mappings.model.delivery import ARRIVED
from mappings.model.steps import OPEN


def request_view(conn: Connection, request_id: str) -> dict:
    """Everything about one request, as plain values. Raises UnknownRequest."""
    row = requests.get(conn, request_id)
    rows = request_parts.of(conn, request_id)
    rows["deliveries"] = told(conn, rows["deliveries"])
    summary = operations.summary(conn, request_id)
    return {
        **summary,
        "records_words": records_words(row.records, deliveries.records_arrived_as(conn, [request_id]).get(request_id)),
        "closed_known": closed_known({**summary, **rows}),
        "reading": acknowledgments.standings(conn, [request_id]).get(request_id, Standing.NONE).value,
        "case_id": row.case,
        "status_reason": row.status_reason,
        "visit": row.visit,
        "visit_at": row.visit_at,
        "cancel_requested": row.cancel_requested,
        "placer": row.placer,
        "fulfiller": row.fulfiller,
        "key": row.key,
        "priority": row.priority,
        "wanted_by": requests.content(row).wanted_by,
        "created_at": row.created_at,
        "records_due_at": row.records_due_at,
        "closed_at": row.closed_at,
        "owed": [step for step in rows["steps"] if step["status"] in OPEN],
        "missing_to_close": missing_to_close(row, rows),
        "waivers": [asdict(each) for each in waivers.of_request(conn, request_id)],
        **rows,
    }


def missing_to_close(row: Request, rows: dict) -> list[str]:
    """What a loop still lacks, as sentences; empty when it is closed."""
    if row.closed_at is not None:
        return []
    lacks = []
    for kind, words in (
        ("records", "the records are not verified at the consulting provider"),
        ("request", "the request is not verified at the consulting provider"),
        ("report", "the report is not known to be in the primary care EHR"),
    ):
        if not any(each["kind"] == kind and each["status"] in ARRIVED for each in rows["deliveries"]):
            lacks.append(words)
    told = [each for each in rows["deliveries"] if each["kind"] == "request" and each["status"] != "cancelled"]
    if len(told) > 1 and max(told, key=lambda each: each["version"])["status"] != "verified":
        lacks.append("the correction of the request is not verified at the consulting provider")
    if row.status != "completed":
        lacks.append(f"the consulting provider has not completed it (status {row.status})")
    return lacks


def delivery_page(
    conn: Connection, request_id: str, delivery_id: str, *, status: str | None = None, after: str = "", limit: int = 100
) -> tuple[Delivery, list[Item], str | None] | None:
    """A delivery of a request, one page of its items by source, and where the next one begins; None when there is none."""
    row = deliveries.get(conn, delivery_id)
    if row is None or row.request_id != request_id:
        return None
    return row, *deliveries.items_page(conn, delivery_id, status=status, after=after, limit=limit)
