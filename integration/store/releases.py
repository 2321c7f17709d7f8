"""Which revision of a report the primary doctor released to the patient; what was taken back stays to be seen."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store import audit, reports, requests, steps
from integration.store.operations import NotPossible
from integration.store.reports import Report
from integration.store.tables import releases
from mappings.model.hand_over import MAX_NAME, line_problem

RETRACTED = "retracted"


@dataclass(frozen=True)
class Release:
    """A doctor let the patient read a revision of the report."""

    id: int
    request_id: str
    revision: int
    released_by: str  # the doctor, by name
    actor: str
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Release":
        """From a row of `releases`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def of_request(conn: Connection, request_id: str) -> list[Release]:
    """All of a request, oldest first."""
    rows = conn.execute(select(releases).where(releases.c.request_id == request_id).order_by(releases.c.id))
    return [Release.from_row(row) for row in rows]


def released(conn: Connection, request_id: str) -> Report | None:
    """The report that the patient may read: the newest revision, released, not taken back by the consultant; else None."""
    report = reports.newest(conn, request_id)
    stands = {each.revision for each in of_request(conn, request_id) if each.undone_at is None}
    is_open = report is not None and report.revision in stands and report.state != RETRACTED
    return report if is_open else None


def release(conn: Connection, request_id: str, revision: str, by: str, *, actor: str) -> bool:
    """``by``, the primary doctor, lets the patient read it. False when it was released already. Raises UnknownRequest, NotPossible."""
    requests.get(conn, request_id)
    steps.lock_with_request(conn, request_id)
    report = reports.newest(conn, request_id)
    if report is None:
        raise NotPossible("There is no report yet that could be released.")
    if revision.strip() != str(report.revision):
        raise NotPossible(
            f"The report has changed: revision {report.revision} is the newest. Read that one, and release it."
        )
    if report.state == RETRACTED:
        raise NotPossible("The consultant has taken this report back. It is not shown to the patient.")
    if not by.strip():
        raise NotPossible("Say which doctor releases it, by name.")
    if problem := line_problem(by, MAX_NAME):
        raise NotPossible(f"The doctor's name {problem}.")
    if released(conn, request_id) is not None:
        return False
    row = dict(request_id=request_id, revision=report.revision, released_by=by.strip(), actor=actor)
    conn.execute(insert(releases).values(row))
    audit.record(conn, actor, "report.released", request_id, subject=f"report {report.revision}")
    return True


def take_back(conn: Connection, request_id: str, *, actor: str, reason: str) -> None:
    """The patient does not read it on the page any more; what they have read they have. Raises UnknownRequest, NotPossible."""
    requests.get(conn, request_id)
    steps.lock_with_request(conn, request_id)
    standing = [each for each in of_request(conn, request_id) if each.undone_at is None]
    if not standing:
        raise NotPossible(f"no report of request {request_id} is released")
    gone = dict(undone_at=func.now(), undone_by=actor, undone_reason=reason)
    conn.execute(update(releases).where(releases.c.id.in_([each.id for each in standing])).values(gone))
    subject = f"report {standing[-1].revision}"
    audit.record(conn, actor, "report.release-taken-back", request_id, subject=subject, reason=reason)
