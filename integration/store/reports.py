"""Consult reports as they were found at the fulfiller: each revision, what it was, and what of it was returned."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import steps
from integration.store.tables import events, reports
from integration.store.tables import steps as step_table

PRELIMINARY, FINAL, AMENDED, RETRACTED = "preliminary", "final", "amended", "retracted"


@dataclass(frozen=True)
class Report:
    """One revision of a request's report. ``source``: its name at the fulfiller; the hashes name payloads."""

    request_id: str
    revision: int
    source: str
    source_version: str | None
    state: str
    resource_sha256: str
    bytes_sha256: str | None  # a list of the hashes of the documents that were returned
    diagnosis_agreement: str | None
    plan_agreement: str | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Report":
        """From a row of `reports`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def of_request(conn: Connection, request_id: str) -> list[Report]:
    """Its revisions, oldest first."""
    found = conn.execute(select(reports).where(reports.c.request_id == request_id).order_by(reports.c.revision))
    return [Report.from_row(row) for row in found]


def revision(conn: Connection, request_id: str, number: int) -> Report | None:
    """One revision of a request's report; None when there is none."""
    wanted = select(reports).where(reports.c.request_id == request_id, reports.c.revision == number)
    row = conn.execute(wanted).one_or_none()
    return None if row is None else Report.from_row(row)


def add(
    conn: Connection,
    request_id: str,
    revision: int,
    *,
    source: str,
    version: str | None,
    state: str,
    resource_sha256: str,
    diagnosis: str | None = None,
    plan: str | None = None,
) -> None:
    """Store a revision; the same one again changes nothing. ``diagnosis``, ``plan``: whether it agrees, as its author coded it."""
    conn.execute(
        insert(reports)
        .values(
            id=f"{request_id}-report-{revision}",
            request_id=request_id,
            source=source,
            source_version=version,
            revision=revision,
            state=state,
            resource_sha256=resource_sha256,
            diagnosis_agreement=diagnosis,
            plan_agreement=plan,
        )
        .on_conflict_do_nothing()
    )


def set_returned(conn: Connection, request_id: str, revision: int, bytes_sha256: str) -> None:
    """Note which bytes were returned of a revision: other bytes at its address are another report."""
    conn.execute(
        update(reports)
        .where(reports.c.request_id == request_id, reports.c.revision == revision)
        .values(bytes_sha256=bytes_sha256)
    )


def is_the_answer(conn: Connection, request_id: str, revision: int) -> bool:
    """True when the loop closes with this revision: no newer one waits to be returned, and it is not preliminary."""
    known = of_request(conn, request_id)
    return bool(known) and known[-1].revision == revision and known[-1].state != PRELIMINARY


def newest(conn: Connection, request_id: str) -> Report | None:
    """The revision that people are to read: the last one that is not preliminary; None while there is none."""
    return next((each for each in reversed(of_request(conn, request_id)) if each.state != PRELIMINARY), None)


def set_unread(conn: Connection, request_id: str, revision: int) -> None:
    """This revision is in the primary care EHR and waits to be read; an earlier one does not any more."""
    set_read(conn, request_id, revision - 1)
    _set_unread_since(conn, request_id, reports.c.revision == revision, func.now())


def set_read(conn: Connection, request_id: str, revision: int) -> None:
    """Somebody has read this revision: it and those before it wait no more."""
    _set_unread_since(conn, request_id, reports.c.revision <= revision, None)


def _set_unread_since(conn: Connection, request_id: str, which: ColumnElement, since: object) -> None:
    conn.execute(update(reports).where(reports.c.request_id == request_id, which).values(unread_since=since))


def wake_return(conn: Connection, request_id: str) -> None:
    """A return that waits or gave up takes the newest report: it may succeed now. What a person parked stays parked."""
    waiting = select(step_table.c.id).where(
        step_table.c.request_id == request_id,
        step_table.c.kind == "return_report",
        step_table.c.cause.is_distinct_from("parked-by-person"),
    )
    for step_id in conn.execute(waiting).scalars():
        steps.make_due(conn, step_id)


# --- what the fulfiller said ---------------------------------------------------------------------------------------


def last_event(conn: Connection, request_id: str) -> datetime | None:
    """When the fulfiller last said something; None before the first time."""
    return conn.execute(
        select(events.c.created_at)
        .where(events.c.request_id == request_id)
        .order_by(events.c.created_at.desc())
        .limit(1)
    ).scalar_one_or_none()


def was_seen(conn: Connection, request_id: str, version: str) -> bool:
    """True for a version of the Task that was seen: a repeated event does nothing."""
    return (
        conn.execute(
            select(events.c.id).where(
                events.c.request_id == request_id, events.c.source == "Task", events.c.version == version
            )
        ).first()
        is not None
    )


def add_event(
    conn: Connection, request_id: str, version: str, status: str | None, *, applied: bool, why: str | None
) -> None:
    """Store what the Task said, applied or not."""
    row = dict(request_id=request_id, source="Task", version=version, status=status, applied=applied, why=why)
    conn.execute(insert(events).values(row).on_conflict_do_nothing())


def report_found(conn: Connection, request_id: str) -> None:
    """What was said while the report was looked for is over."""
    conn.execute(_OVER, {"request": request_id})


_OVER = text("""
    UPDATE findings SET severity = 'info' WHERE request_id = :request AND severity = 'error'
        AND cause IN ('report-missing', 'report-unresolved', 'report-unreadable', 'report-not-final')""")
