"""Reports that were signed on our pages: where each stands at the practice's own endpoint, and who took one back. None is removed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store.tables import written_reports


@dataclass(frozen=True)
class SignedReport:
    """One of `written_reports`; see the table."""

    request_id: str
    number: int
    reference: str
    composition: str
    signed_by: str
    actor: str
    signed_at: datetime
    retracted_at: datetime | None
    retracted_by: str | None
    retracted_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "SignedReport":
        """From a row of `written_reports`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def of_request(conn: Connection, request_id: str) -> list[SignedReport]:
    """All of them, oldest first."""
    wanted = select(written_reports).where(written_reports.c.request_id == request_id)
    return [SignedReport.from_row(row) for row in conn.execute(wanted.order_by(written_reports.c.number))]


def add(
    conn: Connection, request_id: str, number: int, *, reference: str, composition: str, signed_by: str, actor: str
) -> None:
    """A report was signed and stands there."""
    row = dict(request_id=request_id, number=number, reference=reference, composition=composition)
    conn.execute(insert(written_reports).values(**row, signed_by=signed_by, actor=actor))


def retract(conn: Connection, request_id: str, number: int, *, actor: str, reason: str) -> None:
    """It should never have been."""
    one = (written_reports.c.request_id == request_id, written_reports.c.number == number)
    gone = dict(retracted_at=func.now(), retracted_by=actor, retracted_reason=reason)
    conn.execute(update(written_reports).where(*one).values(**gone))
