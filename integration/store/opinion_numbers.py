"""The rows behind the numbers of the opinions: one for each request of a period and a scope, without its patient."""

import json
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Row, Select, func, lateral, or_, select, true

from integration.store.reports import PRELIMINARY, RETRACTED
from integration.store.scope import Scope
from integration.store.tables import acknowledgments, reports, requests
from mappings.model.acknowledgment import Decision
from mappings.opinion_numbers import Asked

UNKNOWN = ""


def read(
    conn: Connection,
    scope: Scope,
    since: datetime,
    until: datetime,
    as_of: datetime,
    place: Callable[[str], str],
) -> list[Asked]:
    """Requests taken in from ``since`` until before ``until``, as they stood ``as_of``; entered in error is not counted.

    ``place``: what an endpoint is called. A retracted report is an answer that says nothing.
    """
    return [_asked(row, place) for row in conn.execute(_rows(scope, since, until, as_of))]


def _rows(scope: Scope, since: datetime, until: datetime, as_of: datetime) -> Select:
    of_request = (
        reports.c.request_id == requests.c.id,
        reports.c.state != PRELIMINARY,
        reports.c.created_at < as_of,
    )
    first = lateral(select(func.min(reports.c.created_at).label("answered_at")).where(*of_request)).alias("first")
    newest = select(reports.c.revision, reports.c.state, reports.c.diagnosis_agreement, reports.c.plan_agreement).where(
        *of_request
    )
    last = lateral(newest.order_by(reports.c.revision.desc()).limit(1)).alias("last")
    stands = (
        acknowledgments.c.request_id == requests.c.id,
        acknowledgments.c.created_at < as_of,
        or_(acknowledgments.c.undone_at.is_(None), acknowledgments.c.undone_at >= as_of),
    )
    said = select(acknowledgments.c.decision, acknowledgments.c.read_at).where(
        *stands, acknowledgments.c.revision == last.c.revision
    )
    word = lateral(said.order_by(acknowledgments.c.id.desc()).limit(1)).alias("word")
    begun = lateral(
        select(func.min(acknowledgments.c.read_at).label("read_at")).where(
            *stands, acknowledgments.c.revision == last.c.revision
        )
    ).alias("begun")
    columns = requests.c.fulfiller, requests.c.body, requests.c.created_at, first.c.answered_at, begun.c.read_at
    rows = select(
        *columns, *(last.c[name] for name in ("state", "diagnosis_agreement", "plan_agreement")), word.c.decision
    )
    joined = requests.outerjoin(first, true()).outerjoin(last, true()).outerjoin(word, true()).outerjoin(begun, true())
    return rows.select_from(joined).where(
        requests.c.created_at >= since,
        requests.c.created_at < until,
        or_(requests.c.status != "entered-in-error", requests.c.updated_at >= as_of),
        scope.where(),
    )


def _asked(row: Row, place: Callable[[str], str]) -> Asked:
    body = json.loads(row.body)
    stands = row.state != RETRACTED
    return Asked(
        specialty=_specialty(body),
        consultant=_consultant(body, place(row.fulfiller)),
        asked_at=row.created_at,
        answered_at=row.answered_at,
        diagnosis=row.diagnosis_agreement if stands else None,
        plan=row.plan_agreement if stands else None,
        decision=None if row.decision == Decision.OPEN else row.decision,
        read_at=row.read_at,
    )


def _specialty(body: dict) -> str:
    """The specialty that was asked, as the request says it; else that of the consultant."""
    said = body.get("specialty") or (body.get("consultant") or {}).get("specialty") or {}
    return said.get("display") or said.get("code") or UNKNOWN


def _consultant(body: dict, place: str) -> str:
    """Who was asked: the person and the place; the place where no person was named."""
    name = (body.get("consultant") or {}).get("name") or {}
    words = " ".join([*name.get("given", ()), *filter(None, [name.get("family")])])
    return f"{words}, {place}" if words else place
