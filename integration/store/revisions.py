"""Corrections of a request: each a new version beside the first, refused where it would not be safe, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, or_, select, update

from integration.store import audit, deadlines, deliveries, further_opinions, operations, private_links, requests, steps
from integration.store.deliveries import Delivery
from integration.store.requests import Request
from integration.store.tables import audit as audit_table
from integration.store.tables import packets, request_versions
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from mappings.model.delivery import ARRIVED, DeliveryKind, DeliveryStatus
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest, unknown_parts
from mappings.model.states import FINAL
from mappings.model.steps import OPEN
from mappings.revision import FIXED, Change, changes, in_words, told_by

# What was entered -> causes of parked steps that lie in it.
CAUSED_BY = {"patient": "patient-%", "requester": "practitioner-%", "consultant": "practitioner-%"}
UNDER_WAY = (DeliveryStatus.SENDING, DeliveryStatus.SENT, *ARRIVED)


class RevisionRefused(ExchangeError):
    """A correction would not be safe, or changes nothing."""


class RevisionStale(RevisionRefused):
    """Somebody else corrected the request since it was looked at."""


@dataclass(frozen=True)
class Plan:
    """What a correction changes and what follows. ``told``: the resources the fulfiller gets anew; none before it was sent."""

    version: int
    changes: tuple[Change, ...]
    told: tuple[str, ...]
    was_sent: bool
    due_before: datetime | None
    due_after: datetime | None
    retried: tuple[int, ...]  # steps that become due
    reads_chart: bool  # the chart is read again for what is wanted now

    @property
    def paths(self) -> list[str]:
        """What changes, without values."""
        return [change.path for change in self.changes]


def plan(
    conn: Connection,
    request_id: str,
    request: SecondOpinionRequest,
    *,
    expected_version: int | None = None,
    lead_days: int = requests.LEAD_DAYS,
) -> Plan:
    """What `revise` would do. Raises as it does, and changes nothing."""
    row = requests.get(conn, request_id)
    return _plan(conn, row, _with_coverage_of(row, request), expected_version, lead_days)


def revise(
    conn: Connection,
    request_id: str,
    request: SecondOpinionRequest,
    *,
    actor: str,
    reason: str,
    expected_version: int | None = None,
    lead_days: int = requests.LEAD_DAYS,
    of_coverage: bool = False,
) -> Plan:
    """Store a corrected request as its next version, and let what follows from it begin; all on the caller's transaction.

    ``expected_version`` is what who corrects it had before them. What insurers said is kept whatever ``request`` says of it,
    unless it is ``of_coverage``. Raises RevisionStale or RevisionRefused.
    """
    if not reason.strip():
        raise RevisionRefused("say why the request is corrected; it is kept in the audit trail")
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    request = request if of_coverage else _with_coverage_of(row, request)
    made = _plan(conn, row, request, expected_version, lead_days)
    _keep_first(conn, row)
    _store(conn, row, request, made, actor, reason)
    further_opinions.answer_changed(conn, row, requests.content(row), request, actor=actor)
    deadlines.move(conn, row.id, made.due_before, made.due_after)
    _send_again(conn, row, made)
    for step_id in made.retried:
        operations.retry_step(
            conn, step_id, actor=actor, reason=f"request corrected (version {made.version}): {reason}"
        )
    return made


def _with_coverage_of(row: Request, request: SecondOpinionRequest) -> SecondOpinionRequest:
    now = requests.content(row)
    kept = {"coverage_answers": now.coverage_answers, "order_coverage": now.order_coverage}
    return request.model_copy(update=kept)


def versions(conn: Connection, request_id: str) -> list[Row]:
    """Who entered or corrected it, when and why, and which fields; no content. Oldest first; none of before versions existed."""
    columns = [column for column in request_versions.c if column.name not in ("body", "patient_hash")]
    return list(
        conn.execute(
            select(*columns).where(request_versions.c.request_id == request_id).order_by(request_versions.c.version)
        )
    )


def content(conn: Connection, request_id: str, version: int) -> SecondOpinionRequest:
    """One version as it was entered. Audit the look before you show it. Raises RevisionRefused when there is none."""
    stored = conn.execute(
        select(request_versions).where(
            request_versions.c.request_id == request_id, request_versions.c.version == version
        )
    ).one_or_none()
    row = stored if stored is not None else requests.get(conn, request_id)
    if row.version != version:
        raise RevisionRefused(f"request {request_id} has no version {version}")
    return requests.content_of(row.body)


def first(conn: Connection, request_id: str) -> SecondOpinionRequest:
    """A request as it was first taken in; of before versions existed as it is now."""
    stored = conn.execute(
        select(request_versions).where(request_versions.c.request_id == request_id, request_versions.c.version == 1)
    ).one_or_none()
    return requests.content_of((stored if stored is not None else requests.get(conn, request_id)).body)


def has_begun(records: Delivery) -> bool:
    """True when something of a records delivery may stand at its endpoint; parked before it was sent, nothing does."""
    return records.request_version is not None or records.sent_at is not None or records.status in UNDER_WAY


def _plan(conn: Connection, row: Request, request: SecondOpinionRequest, expected: int | None, lead_days: int) -> Plan:
    old = requests.content(row)
    _refuse_stale(conn, row, expected)
    found = changes(old, request)
    _refuse(conn, row, old, request, found)
    sent = bool(deliveries.of_request(conn, row.id, DeliveryKind.REQUEST))
    fields = {change.field for change in found}
    return Plan(
        row.version + 1,
        found,
        told_by(old, request),
        sent,
        row.records_due_at,
        row.records_due_at if row.visit_at else requests.records_due(request, lead_days),  # a booked visit decides
        _caused(conn, row, fields, is_complete=not unknown_parts(request)),
        bool({"records", "earlier_opinions"} & fields) and _is_gathered(conn, row.id),
    )


def _refuse_stale(conn: Connection, row: Request, expected: int | None) -> None:
    if expected is None or expected == row.version:
        return
    if expected > row.version:
        raise RevisionStale(
            f"request {row.id} has no version {expected} yet, it is at version {row.version}: nothing was stored. "
            "Look at it (requests content), and give the version you worked from"
        )
    since = [each for each in versions(conn, row.id) if each.version > expected]
    what = "; ".join(
        f"version {each.version} by {each.actor} at {each.created_at:%H:%M:%S} UTC ({in_words(each.fields)})"
        for each in since
    )
    raise RevisionStale(
        f"request {row.id} was at version {expected} when you looked and is at version {row.version} now: {what}. "
        "Nothing of yours was stored; look at it again"
    )


def _refuse(
    conn: Connection, row: Request, old: SecondOpinionRequest, new: SecondOpinionRequest, found: tuple[Change, ...]
) -> None:
    if row.status in FINAL:
        raise RevisionRefused(
            f"request {row.id} is {row.status}: only an open request can be corrected. Enter a new one"
        )
    if row.cancel_requested:
        raise RevisionRefused(f"request {row.id} is being cancelled: it cannot be corrected any more. Enter a new one")
    fixed = [name for name in FIXED if getattr(old, name) != getattr(new, name)]
    if fixed:
        raise RevisionRefused(
            f"{', '.join(fixed)} cannot be corrected: with another one it is another request. Cancel "
            f"request {row.id} and enter a new one"
        )
    if not found:
        raise RevisionRefused(f"nothing differs from version {row.version} of request {row.id}; nothing was stored")
    if old.patient != new.patient:
        _refuse_other_patient(conn, row)


def _refuse_other_patient(conn: Connection, row: Request) -> None:
    """Whose records were gathered follows from the patient as entered: from then on it is not changed under them."""
    records = deliveries.of_request(conn, row.id, DeliveryKind.RECORDS)
    if any(map(has_begun, records)):
        raise RevisionRefused(
            f"the patient of request {row.id} cannot be corrected: records were already delivered to {row.fulfiller} and may "
            f"stand under the wrong patient there. Cancel this request, tell {row.fulfiller} by phone, and enter a new one"
        )
    if _is_gathered(conn, row.id):
        raise RevisionRefused(
            f"the patient of request {row.id} cannot be corrected any more: the records of the patient as entered are gathered. "
            f"Nothing was sent to {row.fulfiller} yet. Cancel this request and enter a new one. (Who the patient is at "
            f"{row.fulfiller} follows from the chart, not from the request: second-opinion patients link)"
        )


def _is_gathered(conn: Connection, request_id: str) -> bool:
    return conn.execute(select(packets.c.id).where(packets.c.request_id == request_id).limit(1)).first() is not None


def _caused(conn: Connection, row: Request, fields: set[str], *, is_complete: bool) -> tuple[int, ...]:
    """Parked steps whose cause lies in what is corrected; what a person parked stays parked."""
    causes = {CAUSED_BY[field] for field in fields if field in CAUSED_BY}
    causes |= {requests.INFORMATION_MISSING} if is_complete else set()
    causes |= {requests.PROGRAM_REFUSES}  # the step holds the request against the program again
    lies = or_(
        step_table.c.cause == "MappingError",
        *(step_table.c.cause.like(cause) for cause in sorted(causes)),
        (step_table.c.kind == "send_request") & (step_table.c.cause != "parked-by-person"),
    )
    return tuple(
        conn.execute(
            select(step_table.c.id)
            .where(step_table.c.request_id == row.id, step_table.c.status == "parked", lies)
            .order_by(step_table.c.id)
        ).scalars()
    )


def _keep_first(conn: Connection, row: Request) -> None:
    """A request of before versions existed: what it says now is its first."""
    if any(each.version == 1 for each in versions(conn, row.id)):
        return
    actor = conn.execute(
        select(audit_table.c.actor)
        .where(audit_table.c.request_id == row.id, audit_table.c.action == "request.taken-in")
        .limit(1)
    ).scalar_one_or_none()
    conn.execute(
        request_versions.insert().values(
            request_id=row.id,
            version=1,
            body=row.body,
            body_sha256=row.body_sha256,
            patient_hash=row.patient_hash,
            actor=actor or "unknown",
            created_at=row.created_at,
        )
    )


def _store(conn: Connection, row: Request, request: SecondOpinionRequest, made: Plan, actor: str, reason: str) -> None:
    body, digest = requests.body_of(request)
    patient = requests.patient_hash(conn, request.patient.identifiers[0].value)
    conn.execute(
        request_versions.insert().values(
            request_id=row.id,
            version=made.version,
            body=body,
            body_sha256=digest,
            patient_hash=patient,
            fields=made.paths,
            actor=actor,
            reason=reason,
        )
    )
    conn.execute(
        update(request_table)
        .where(request_table.c.id == row.id)
        .values(
            version=made.version,
            body=body,
            body_sha256=digest,
            patient_hash=patient,
            priority=request.priority,
            records_due_at=made.due_after,
            to_do=None,
            updated_at=func.now(),
        )
    )
    if born := request.patient.birth_date:
        private_links.follow_birth_date(conn, row.id, f"{born}", actor=actor)
    steps.set_priority(conn, row.id, request.priority)
    audit.record(
        conn,
        actor,
        "request.corrected",
        row.id,
        subject=f"version {made.version}",
        reason=reason,
        detail={"fields": made.paths},
    )


def _send_again(conn: Connection, row: Request, made: Plan) -> None:
    """The open step that sends the request sends this version; when it was sent already, there is such a step now."""
    delivery_id = deliveries.delivery_id_of(row.id, DeliveryKind.REQUEST, made.version)
    conn.execute(
        update(step_table)
        .where(step_table.c.request_id == row.id, step_table.c.kind == "send_request", step_table.c.status.in_(OPEN))
        .values(delivery_id=delivery_id)
    )
    if made.was_sent and made.told:
        steps.create(
            conn, "send_request", row.fulfiller, request_id=row.id, delivery_id=delivery_id, deadline=made.due_after
        )
    if made.reads_chart:
        watch = conn.execute(
            select(step_table.c.id).where(
                step_table.c.request_id == row.id, step_table.c.kind == "watch_chart", step_table.c.status == "waiting"
            )
        ).scalar_one_or_none()
        if watch is not None:
            steps.make_due(conn, watch)
