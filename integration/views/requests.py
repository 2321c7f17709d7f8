"""What pages, API and command line show, read from the tables: ids and sentences, no patient data."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, Table, select

from integration.settings.config import Config, Endpoint
from integration.store import operations, requests, waivers
from integration.store.tables import (
    attempts,
    audit,
    deliveries,
    delivery_items,
    endpoints,
    events,
    findings,
    packets,
    reports,
    steps,
)
from integration.views.levels import with_words
from mappings.model.causes import cause_named
from mappings.model.delivery import ARRIVED


def request_view(conn: Connection, request_id: str) -> dict:
    """Everything about one request, as plain values. Raises UnknownRequest."""
    row = requests.get(conn, request_id)
    rows = {
        name: _rows(conn, table, request_id)
        for name, table in (
            ("steps", steps),
            ("deliveries", deliveries),
            ("attempts", attempts),
            ("findings", findings),
            ("events", events),
            ("packets", packets),
            ("reports", reports),
            ("audit", audit),
        )
    }
    rows["deliveries"] = [with_words(each) for each in rows["deliveries"]]
    return {
        **operations.summary(conn, request_id),
        "status_reason": row.status_reason,
        "visit": row.visit,
        "cancel_requested": row.cancel_requested,
        "placer": row.placer,
        "fulfiller": row.fulfiller,
        "key": row.key,
        "priority": row.priority,
        "wanted_by": requests.content(row).wanted_by,
        "created_at": row.created_at,
        "records_due_at": row.records_due_at,
        "closed_at": row.closed_at,
        "owed": [step for step in rows["steps"] if step["status"] in ("waiting", "due", "leased", "parked")],
        "missing_to_close": missing_to_close(row, rows),
        "waivers": [asdict(each) for each in waivers.of_request(conn, request_id)],
        **rows,
    }


def missing_to_close(row: Row, rows: dict) -> list[str]:
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


def _rows(conn: Connection, table: Table, request_id: str) -> list[dict]:
    order = table.c.id if "created_at" not in table.c else table.c.created_at
    return [
        row._asdict()
        for row in conn.execute(
            select(table).where(table.c.request_id == request_id).order_by(order, table.c.id).limit(1000)
        )
    ]


def items_view(conn: Connection, delivery_id: str) -> list[dict]:
    """The items of one delivery."""
    wanted = select(delivery_items).where(delivery_items.c.delivery_id == delivery_id).order_by(delivery_items.c.source)
    return [row._asdict() for row in conn.execute(wanted)]


def report_revision(conn: Connection, request_id: str, revision: int) -> Row | None:
    """The row of one revision of a request's report, or None."""
    wanted = select(reports).where(reports.c.request_id == request_id, reports.c.revision == revision)
    return conn.execute(wanted).one_or_none()


def delivery_page(
    conn: Connection, request_id: str, delivery_id: str, *, status: str | None = None, after: str = "", limit: int = 100
) -> tuple | None:
    """A delivery of a request, one page of its items by source, and where the next one begins; None when there is none."""
    row = conn.execute(
        select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.request_id == request_id)
    ).one_or_none()
    if row is None:
        return None
    wanted = select(delivery_items).where(delivery_items.c.delivery_id == delivery_id, delivery_items.c.source > after)
    if status:
        wanted = wanted.where(delivery_items.c.status == status)
    found = conn.execute(wanted.order_by(delivery_items.c.source).limit(limit + 1)).all()
    return row, found[:limit], found[limit - 1].source if len(found) > limit else None


def endpoint_views(conn: Connection, config: Config) -> list[dict]:
    """Each configured endpoint with its health as a word."""
    rows = {row.key: row for row in conn.execute(select(endpoints))}
    return [
        {
            "key": key,
            "name": endpoint.name,
            "role": endpoint.role,
            "base_url": endpoint.base_url,
            "accepts": endpoint.accepts,
            "contact": endpoint.contact,
            "roads": [str(each) for each in endpoint.road_names] if endpoint.is_placer else [],
            "closes_on": list(endpoint.closes_on) if endpoint.is_placer else [],
            "allowed_differences": allowed_differences(endpoint),
            **endpoint_health(rows.get(key)),
        }
        for key, endpoint in config.endpoints.items()
    ]


def allowed_differences(endpoint: Endpoint) -> list[str]:
    """A sentence for each reviewed exception from the comparison of what is read back there."""
    today = datetime.now(UTC).date()
    return [each.sentence(today) for each in endpoint.verification.allowances]


def _refuses(row: Row) -> bool:
    return row.last_failure_at is not None and (
        row.last_success_at is None or row.last_failure_at > row.last_success_at
    )


def endpoint_health(row: Row | None) -> dict:
    """How an endpoint is, as a word, with what it was told from."""
    if row is None:
        return {"health": "not used yet"}
    open_until = row.breaker_until if row.breaker != "closed" else None
    word = (
        "paused"
        if row.paused
        else (
            "resting"
            if open_until and open_until > datetime.now(UTC)
            else (
                "probing"
                if row.breaker != "closed"
                else "failing"
                if row.failures or _refuses(row)
                else "well"
                if row.last_success_at
                else "not used yet"
            )
        )
    )
    return {
        "health": word,
        "paused": row.paused,
        "paused_reason": row.paused_reason,
        "breaker": row.breaker,
        "breaker_until": row.breaker_until,
        "failures": row.failures,
        "last_success_at": row.last_success_at,
        "last_failure_at": row.last_failure_at,
        "last_failure": row.last_failure,
        "last_answer": cause_named(row.last_failure_cause).happened if row.last_failure_cause else None,
        "latencies": row.latencies,
    }
