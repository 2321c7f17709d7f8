"""Who has read a request's report, and what was decided: the newest word counts, and nothing is changed or removed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store import audit, deliveries, reports, requests, steps
from integration.store.operations import NotPossible, WrongWords
from integration.store.reports import Report
from integration.store.tables import acknowledgments
from integration.store.tables import reports as report_table
from mappings.model.acknowledgment import (
    Acknowledgment,
    Decision,
    Standing,
    TypedAcknowledgment,
    read_acknowledgment,
    standing,
)
from mappings.model.delivery import ARRIVED, DeliveryKind


@dataclass(frozen=True)
class Acknowledged:
    """One word of `acknowledgments`, with who wrote it down, and who took it back."""

    id: int
    request_id: str
    revision: int
    read_by: str
    read_at: datetime
    decision: str  # a Decision
    note: str | None
    actor: str
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Acknowledged":
        """From a row of `acknowledgments`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def word(self) -> Acknowledgment:
        """What was said, without who wrote it down."""
        return Acknowledgment(self.revision, self.read_by, self.read_at, Decision(self.decision), self.note)


def of_request(conn: Connection, request_id: str) -> list[Acknowledged]:
    """All of them, oldest first, with those that were taken back."""
    wanted = select(acknowledgments).where(acknowledgments.c.request_id == request_id).order_by(acknowledgments.c.id)
    return [Acknowledged.from_row(row) for row in conn.execute(wanted)]


def standings(conn: Connection, request_ids: list[str]) -> dict[str, Standing]:
    """How far the newest report of each has come with the people it is for; of one without a report there is nothing."""
    newest = conn.execute(
        select(report_table.c.request_id, func.max(report_table.c.revision))
        .where(report_table.c.request_id == func.any(request_ids), report_table.c.state != reports.PRELIMINARY)
        .group_by(report_table.c.request_id)
    )
    table = acknowledgments
    words: dict[str, list[Acknowledgment]] = {}
    said = select(table).where(table.c.request_id == func.any(request_ids), table.c.undone_at.is_(None))
    for row in conn.execute(said.order_by(table.c.id)):
        words.setdefault(row.request_id, []).append(Acknowledged.from_row(row).word)
    return {request_id: standing(revision, words.get(request_id, ())) for request_id, revision in newest}


def looked_at(conn: Connection, request_id: str, *, actor: str, reason: str | None = None) -> list[Acknowledged]:
    """The same for somebody who reads them; the look is recorded. Raises UnknownRequest."""
    requests.get(conn, request_id)
    audit.record(conn, actor, "report.acknowledgments-looked-at", request_id, reason=reason)
    return of_request(conn, request_id)


def add(conn: Connection, request_id: str, typed: TypedAcknowledgment, *, actor: str) -> bool:
    """Keep it, audited without the note. False when the same was said last. Raises UnknownRequest, WrongWords."""
    requests.get(conn, request_id)
    steps.lock_with_request(conn, request_id)  # of two people at once the second sees what the first said
    report, now = reports.newest(conn, request_id), conn.execute(select(func.now())).scalar_one()
    said, wrong = read_acknowledgment(
        typed,
        newest=report.revision if report else None,
        there_since=report.created_at if report else now,
        now=now,
    )
    if said is None or report is None:
        raise WrongWords(wrong)
    if _is_last_word(conn, request_id, said, typed, actor):
        return False
    values = dict(vars(said), request_id=request_id, actor=actor)
    conn.execute(insert(acknowledgments).values(values))
    reports.set_read(conn, request_id, said.revision)
    detail = {"decision": said.decision}
    audit.record(conn, actor, "report.acknowledged", request_id, subject=f"report {said.revision}", detail=detail)
    return True


def _is_last_word(
    conn: Connection, request_id: str, said: Acknowledgment, typed: TypedAcknowledgment, actor: str
) -> bool:
    stand = [each for each in of_request(conn, request_id) if each.undone_at is None]
    if not stand or stand[-1].actor != actor:
        return False
    last = stand[-1].word
    same_time = last.read_at == said.read_at or not typed.at.strip()  # sent twice: "now" was a moment later
    return same_time and vars(last) | {"read_at": None} == vars(said) | {"read_at": None}


def take_back(conn: Connection, request_id: str, acknowledgment: int, *, actor: str, reason: str) -> None:
    """It was a mistake: the report waits to be read again, unless another word on it stands. Raises NotPossible."""
    steps.lock_with_request(conn, request_id)
    words = {each.id: each for each in of_request(conn, request_id) if each.undone_at is None}
    if acknowledgment not in words:
        raise NotPossible(f"request {request_id} has no acknowledgment {acknowledgment} that stands")
    gone = dict(undone_at=func.now(), undone_by=actor, undone_reason=reason)
    conn.execute(update(acknowledgments).where(acknowledgments.c.id == acknowledgment).values(gone))
    taken, report = words[acknowledgment], reports.newest(conn, request_id)
    if report is not None and _is_there(conn, report):
        arrived(conn, request_id, report.revision)
    subject = f"report {taken.revision}"
    audit.record(conn, actor, "report.acknowledgment-taken-back", request_id, subject=subject, reason=reason)


def arrived(conn: Connection, request_id: str, revision: int) -> None:
    """The newest revision is in the primary care EHR: it waits to be read, unless somebody has read it before it came there."""
    if not any(each.revision == revision and each.undone_at is None for each in of_request(conn, request_id)):
        reports.set_unread(conn, request_id, revision)


def _is_there(conn: Connection, report: Report) -> bool:
    sent = deliveries.of_request(conn, report.request_id, DeliveryKind.REPORT)
    return any(each.version == report.revision and each.status in ARRIVED for each in sent)
