"""What a patient agreed to for a request: each statement is a row, the newest stands, and nothing is changed or removed."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from integration.store import audit, requests, steps
from integration.store.operations import WrongWords, retry_step
from integration.store.tables import consents, deliveries
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from mappings.model.consent import (
    CAUSES,
    Consent,
    How,
    RecordKind,
    Said,
    Statement,
    TypedConsent,
    read_consent,
)
from mappings.model.consent import why_not_to as why_not_by
from mappings.model.delivery import DeliveryKind


@dataclass(frozen=True)
class ConsentRow:
    """One statement, with who wrote it down."""

    id: int
    request_id: str
    said: str  # a Said
    kinds: list[str] | None  # RecordKinds; None: all
    recipients: list[str] | None  # endpoints; None: all
    until: date | None
    how: str  # a How
    said_by: str
    note: str | None
    actor: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "ConsentRow":
        """From a row of `consents`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def consent(self) -> Consent:
        """What was agreed to."""
        kinds = None if self.kinds is None else frozenset(map(RecordKind, self.kinds))
        recipients = None if self.recipients is None else frozenset(self.recipients)
        return Consent(Said(self.said), kinds, recipients, self.until)

    @property
    def statement(self) -> Statement:
        """The same, with how and by whom it was said."""
        return Statement(self.consent, How(self.how), self.said_by, self.note)


@dataclass(frozen=True)
class Recorded:
    """What recording did. ``is_new``: False when the same stood already; ``due``: stopped steps that go on."""

    row: ConsentRow
    is_new: bool
    due: int = 0


def of_request(conn: Connection, request_id: str) -> list[ConsentRow]:
    """Every statement, oldest first."""
    rows = conn.execute(select(consents).where(consents.c.request_id == request_id).order_by(consents.c.id))
    return [ConsentRow.from_row(row) for row in rows]


def newest(conn: Connection, request_id: str) -> ConsentRow | None:
    """The statement that stands; None when nobody recorded any."""
    wanted = select(consents).where(consents.c.request_id == request_id).order_by(consents.c.id.desc()).limit(1)
    row = conn.execute(wanted).one_or_none()
    return None if row is None else ConsentRow.from_row(row)


def one(conn: Connection, consent_id: int) -> ConsentRow:
    """The statement of this number, which is there for as long as a delivery names it."""
    return ConsentRow.from_row(conn.execute(select(consents).where(consents.c.id == consent_id)).one())


def hold(conn: Connection, request_id: str) -> None:
    """Until this transaction ends nobody records another statement; who changes the request otherwise does not wait."""
    conn.execute(
        select(request_table.c.id).where(request_table.c.id == request_id).with_for_update(read=True, key_share=True)
    )


def why_not_to(conn: Connection, request_id: str, endpoint: str, *, is_required: bool) -> str:
    """Why content may not leave for the endpoint now, as a cause; empty when it may."""
    stands = newest(conn, request_id)
    return why_not_by(stands.consent if stands else None, endpoint, _today(conn), is_required=is_required)


def record(
    conn: Connection,
    request_id: str,
    typed: TypedConsent,
    *,
    actor: str,
    hosted: Collection[str],
    by_patient: bool = False,
) -> Recorded:
    """Keep what was said; what had stopped for want of it goes on. Raises UnknownRequest, WrongWords.

    Whatever is about to leave at this moment is written down as having left, or sees this. ``hosted``: endpoints of ours, where
    it is written as a Consent when one of them asks.
    """
    row = requests.get(conn, request_id)
    steps.lock_with_request(conn, request_id)
    stands = newest(conn, request_id)
    known = stands.id if stands else None
    facts: Any = dict(possible={row.placer, row.fulfiller}, today=_today(conn), by_patient=by_patient)
    said, wrong = read_consent(typed, newest=known, **facts)
    if stands is not None and stands.actor == actor and set(wrong) <= {"seen"}:  # the same form may come twice
        again, _ = read_consent(replace(typed, seen=str(known)), newest=known, **facts)
        if again == stands.statement:
            return Recorded(stands, False)
    if said is None:
        raise WrongWords(wrong)
    made = conn.execute(insert(consents).values(_values(request_id, said, actor)).returning(consents)).one()
    detail = {"said": said.consent.said, "how": said.how}
    audit.record(conn, actor, "consent.recorded", request_id, subject=f"consent {made.id}", detail=detail)
    if row.placer in hosted:
        steps.create(conn, "write_consent", row.placer, request_id=request_id, deadline=steps.AFTER_WORK)
    return Recorded(ConsentRow.from_row(made), True, _go_on(conn, request_id, actor, made.id))


def _today(conn: Connection) -> date:
    return conn.execute(select(func.now())).scalar_one().astimezone(UTC).date()


def _values(request_id: str, said: Statement, actor: str) -> dict:
    consent = said.consent
    return dict(
        request_id=request_id,
        said=consent.said,
        kinds=None if consent.kinds is None else sorted(consent.kinds),
        recipients=None if consent.recipients is None else sorted(consent.recipients),
        until=consent.until,
        how=said.how,
        said_by=said.by,
        note=said.note,
        actor=actor,
    )


def _go_on(conn: Connection, request_id: str, actor: str, consent_id: int) -> int:
    """Steps that stopped because of consent are due again; each asks at once whether it may now."""
    stopped = select(step_table.c.id).where(
        step_table.c.request_id == request_id, step_table.c.status == "parked", step_table.c.cause.in_(CAUSES)
    )
    found = conn.execute(stopped).scalars().all()
    for step_id in found:
        retry_step(conn, step_id, actor=actor, reason=f"consent {consent_id} was recorded")
    return len(found)


def looked_at(conn: Connection, request_id: str, *, actor: str, reason: str | None = None) -> list[ConsentRow]:
    """Every statement, for somebody who reads them; the look is recorded. Raises UnknownRequest."""
    requests.get(conn, request_id)
    audit.record(conn, actor, "consent.looked-at", request_id, reason=reason)
    return of_request(conn, request_id)


def sent_before(conn: Connection, request_id: str) -> list[tuple[str, datetime]]:
    """(endpoint, when) of the deliveries of records that had left: what stays there whatever is said now."""
    found = select(deliveries.c.endpoint, deliveries.c.sent_at).where(
        deliveries.c.request_id == request_id,
        deliveries.c.kind == DeliveryKind.RECORDS,
        deliveries.c.sent_at.is_not(None),
    )
    return [(row.endpoint, row.sent_at) for row in conn.execute(found.order_by(deliveries.c.sent_at))]
