"""Findings: everything dropped, changed, unresolved or odd, once per place, shown to an operator."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, TextClause, func, select, text
from sqlalchemy.dialects.postgresql import insert

from integration.store.arrays import blocks
from integration.store.storable import storable
from integration.store.tables import findings
from mappings.model.findings import Finding

# A poll found an order and did not take it in.
REFUSED = ("no-fulfiller", "request-unreadable", "request-incomplete", "request-case-refused")
LOOKED_FOR = timedelta(days=30)  # so long after it was last found, a refused order is looked at again and is an alarm
KNOWN_AT_ONCE = 500
LONGEST_PATH = 1000  # an entry of a B-tree index has 2,700 bytes
PAGE = 50


def record(
    conn: Connection,
    found: Iterable[Finding],
    *,
    request_id: str | None = None,
    delivery_id: str | None = None,
    endpoint: str | None = None,
) -> int:
    """Write findings; the same one again counts up instead of repeating. Returns how many were given."""
    rows = {
        (each.cause, path): dict(
            request_id=request_id,
            delivery_id=delivery_id,
            endpoint=endpoint,
            cause=each.cause,
            path=path,
            severity=each.severity,
            message=storable(each.message, 500),
        )
        for each in found
        for path in [storable(each.path, LONGEST_PATH)]
    }
    for names, block in blocks(findings, list(rows.values())):
        insertion = insert(findings).from_select(names, block)
        conn.execute(
            insertion.on_conflict_do_update(
                index_elements=[text("coalesce(request_id, '')"), text("coalesce(endpoint, '')"), "cause", "path"],
                set_=dict(
                    count=findings.c.count + 1,
                    last_seen_at=func.now(),
                    message=insertion.excluded.message,
                    severity=insertion.excluded.severity,
                ),
            )
        )
    return len(rows)


# --- of no request: orders that were refused, polls that failed ---------------------------------------------------

_OF_NO_REQUEST = text("coalesce(findings.request_id, '') = ''")


def without_request(
    conn: Connection, *, endpoint: str | None = None, after: int | None = None, limit: int = PAGE
) -> tuple[list[Row], int | None]:
    """Findings that belong to no request, newest first; and the id after which the next page begins (None at the end)."""
    wanted: list[ColumnElement | TextClause] = [_OF_NO_REQUEST]
    wanted += [findings.c.endpoint == endpoint] if endpoint else []
    wanted += [findings.c.id < after] if after else []
    found = list(conn.execute(select(findings).where(*wanted).order_by(findings.c.id.desc()).limit(limit + 1)).all())
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def reference_of(path: str) -> str:
    """The resource a path begins with."""
    return path.partition("#")[0]


def state(row: Row, now: datetime) -> str:
    """How it is with a finding of no request: open, over, or a refused order that is looked-at-again or given-up."""
    if row.severity == "info" or row.cause not in REFUSED:
        return "over" if row.severity == "info" else "open"
    return "looked-at-again" if row.last_seen_at > now - LOOKED_FOR else "given-up"


def refused(conn: Connection, endpoint: str, now: datetime) -> list[Row]:
    """Findings about orders of an endpoint that wait to be taken in, in an order that is another one each time."""
    return list(
        conn.execute(
            select(findings)
            .where(
                _OF_NO_REQUEST,
                text("coalesce(findings.endpoint, '') = :endpoint").bindparams(endpoint=endpoint),
                findings.c.cause.in_(REFUSED),
                findings.c.severity == "error",
                findings.c.last_seen_at > now - LOOKED_FOR,
            )
            .order_by(func.random())
            .limit(KNOWN_AT_ONCE)
        ).all()
    )


def settle(
    conn: Connection, endpoint: str, references: Iterable[str], still: Iterable[tuple[str, str]], step: str
) -> None:
    """What was said of these orders is over, except what is (cause, path) ``still`` so; and so is that ``step`` failed.

    It stays as information: with the request the order has become, or as it is when the order was withdrawn.
    """
    conn.execute(
        _SETTLE,
        {
            "endpoint": endpoint,
            "causes": list(REFUSED),
            "references": list(references),
            "step": step,
            "still": [f"{cause} {path}" for cause, path in still],
        },
    )


_SETTLE = text("""
    UPDATE findings f SET severity = 'info',
        request_id = (SELECT r.id FROM requests r WHERE r.key = f.endpoint || ':' || split_part(f.path, '#', 1))
    WHERE coalesce(f.request_id, '') = '' AND coalesce(f.endpoint, '') = :endpoint AND f.severity = 'error'
        AND (f.path = :step OR f.cause = ANY(CAST(:causes AS text[])) AND split_part(f.path, '#', 1) = ANY(CAST(:references AS text[])))
        AND f.cause || ' ' || f.path <> ALL(CAST(:still AS text[]))""")
