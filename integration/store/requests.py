"""Requests: taking one in, and the one function that changes a status."""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, Row, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, listed_programs, steps, totals
from integration.store.tables import orders, request_versions, requests, settings
from mappings.model.delivery import DeliveryStatus
from mappings.model.errors import ExchangeError, Mistake, RequestError
from mappings.model.request import SecondOpinionRequest, unknown_parts
from mappings.model.roads import Level
from mappings.model.states import AUDIT_EVENT, NEEDS_REASON, Actor, Records, Status, Visit, business_status, may_move
from mappings.model.suitability import Program
from mappings.suitability import judge, known_of

NAMESPACE = uuid.UUID("6d1f3a52-0c6f-5d0a-9a57-2f9f6d3c8e11")
LEAD_DAYS = 3  # the default of records.lead_days
INFORMATION_MISSING = "information-missing"
PROGRAM_REFUSES = "program-refuses"


@dataclass(frozen=True)
class Request:
    """A second opinion request and where it stands; see `tables.requests` for each column. ``body``: its content as JSON bytes."""

    id: str
    key: str
    placer: str
    fulfiller: str
    status: str  # a Status
    status_reason: str | None
    records: str  # a Records
    visit: str  # a Visit
    cancel_requested: bool
    priority: str
    body: bytes
    body_sha256: str
    patient_hash: str
    records_due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    closed_level: str | None  # a Level
    closed_road: str | None  # a RoadName
    live_step: int | None
    mirrored: str | None
    version: int
    gathered_version: int | None
    chart_read_at: datetime | None
    visit_at: datetime | None
    case_id: str | None
    requisition: str | None
    records_risk_at: datetime | None
    directory_entry: int | None
    to_do: int | None

    @classmethod
    def from_row(cls, row: Row) -> "Request":
        """From a row of `requests`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def case(self) -> str:
        """The request that began its case: itself, or an earlier one."""
        return self.case_id or self.id


class UnknownRequest(ExchangeError):
    """There is no such request."""


class KeyReused(ExchangeError):
    """The same key came with a different request; a changed request needs a new key."""


def request_id_of(key: str) -> str:
    """The id of the request with this key: the same key is the same request, also after a restore."""
    return "r" + uuid.uuid5(NAMESPACE, key).hex[:20]


def take_in(
    conn: Connection,
    request: SecondOpinionRequest,
    *,
    actor: str,
    lead_days: int = LEAD_DAYS,
    today: date | None = None,
    program: Program | None = None,
    entry: int | None = None,
) -> tuple[str, bool]:
    """Store the request and its first step. Returns (request id, True when it is new).

    ``lead_days``: how long before the wanted day the records have to be there (records.lead_days). With ``today`` a new
    request that is wanted by an earlier day is refused (RequestError): nobody can be on time. What ``program``, the
    fulfiller's, refuses is taken in and waits for a person before anything is gathered; so is what the directory states of the
    consultant: ``entry``, from which they were chosen, else the one of their NPI.
    Raises KeyReused when the key is known with another body: what was first taken in counts, whatever was corrected since.
    """
    body, digest = body_of(request)
    request_id = request_id_of(request.key)
    due_at = records_due(request, lead_days)
    row = dict(
        id=request_id,
        key=request.key,
        placer=request.placer,
        fulfiller=request.fulfiller,
        status=Status.DRAFT,
        priority=request.priority,
        body=body,
        body_sha256=digest,
        patient_hash=patient_hash(conn, request.patient.identifiers[0].value),
        records_due_at=due_at,
        directory_entry=entry,
    )
    made = conn.execute(insert(requests).values(row).on_conflict_do_nothing().returning(requests.c.id)).first()
    if made is None:
        return _known(conn, request_id, digest), False
    if today is not None and request.wanted_by is not None and request.wanted_by < today:
        why = "is a day that is over: say by when the opinion is needed, or leave it out"
        raise RequestError([Mistake("request", None, "wanted_by", why)])
    join_case(conn, request_id, request)
    conn.execute(
        request_versions.insert().values(
            request_id=request_id,
            version=1,
            body=body,
            body_sha256=digest,
            patient_hash=row["patient_hash"],
            actor=actor,
        )
    )
    if request.service_request is not None:
        order = dict(request_id=request_id, placer=request.placer, reference=request.service_request)
        conn.execute(insert(orders).values(order).on_conflict_do_nothing())
    audit.record(conn, actor, "request.taken-in", request_id)
    step_id = steps.create(conn, "gather_records", request.placer, request_id=request_id, deadline=due_at)
    if unknown := unknown_parts(request):
        _ask(conn, request, step_id, unknown)
    else:
        listed = listed_programs.of_request(conn, entry, request)
        judged = judge(program, known_of(request, {}), suits_on(request, today), listed)
        if judged.stops:
            _wait(conn, step_id, PROGRAM_REFUSES, judged.message, request.order)
    return request_id, True


def join_case(conn: Connection, request_id: str, request: SecondOpinionRequest) -> None:
    """Put a new request into the case of the one it follows, or of those that have its requisition; without either it begins one.

    Raises RequestError: a case is of one patient and one placer, and none follows itself.
    """
    requisition = request.requisition.token() if request.requisition else None
    if requisition is None and request.follows is None:
        return
    if requisition is not None:  # two at once would begin two cases
        name = {"name": f"requisition {requisition}"}
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), name)
    before = earlier_of(conn, request_id, request)
    values = dict(case_id=before.case if before else None, requisition=requisition)
    conn.execute(update(requests).where(requests.c.id == request_id).values(**values))


def earlier_of(conn: Connection, request_id: str, request: SecondOpinionRequest) -> Request | None:
    """The earlier request whose case a new one joins. Raises RequestError with a sentence for each that cannot be."""
    by_word = _followed(conn, request_id, request) if request.follows is not None else None
    by_number = _of_requisition(conn, request_id, request)
    if by_word and by_number and by_word.case != by_number.case:
        raise _refused("requisition", f"is of the case of request {by_number.case}, and `follows` names another case")
    return by_word or by_number


def _followed(conn: Connection, request_id: str, request: SecondOpinionRequest) -> Request:
    if request.follows == request_id:
        raise _refused("follows", "names this request itself: a request follows an earlier one")
    row = conn.execute(select(requests).where(requests.c.id == request.follows)).one_or_none()
    if row is None or row.placer != request.placer:
        raise _refused("follows", "names no earlier request of this placer: give the id that the Exchange shows for it")
    found = Request.from_row(row)
    if found.status == Status.ENTERED_IN_ERROR:
        raise _refused("follows", "names a request that was entered in error")
    if not _is_of_one_patient(found, request):
        raise _refused("follows", "names a request about another patient: a case is of one patient. Look at both again")
    return found


def _of_requisition(conn: Connection, request_id: str, request: SecondOpinionRequest) -> Request | None:
    """The one that had the requisition first; one that was entered in error says nothing."""
    if request.requisition is None:
        return None
    same = select(requests).where(
        requests.c.requisition == request.requisition.token(),
        requests.c.placer == request.placer,
        requests.c.id != request_id,
        requests.c.status != Status.ENTERED_IN_ERROR,
    )
    found = [Request.from_row(row) for row in conn.execute(same.order_by(requests.c.created_at, requests.c.id))]
    if not all(_is_of_one_patient(each, request) for each in found):
        raise _refused(
            "requisition",
            f"is shared with request {found[0].id}, which is about another patient: a requisition is of one patient. "
            "Ask the practice which of the two it belongs to",
        )
    return found[0] if found else None


def _is_of_one_patient(earlier: Request, request: SecondOpinionRequest) -> bool:
    return bool({*content(earlier).patient.identifiers} & {*request.patient.identifiers})


def _refused(path: str, why: str) -> RequestError:
    return RequestError([Mistake("request", None, path, why)])


def of_case(conn: Connection, case: str, *, held: bool = False) -> list[Request]:
    """Every request of a case, the one that began it first. ``held``: nobody changes them until the transaction ends."""
    wanted = select(requests).where(or_(requests.c.id == case, requests.c.case_id == case))
    wanted = wanted.order_by(requests.c.case_id.is_not(None), requests.c.created_at, requests.c.id)
    return [Request.from_row(row) for row in conn.execute(wanted.with_for_update() if held else wanted)]


def suits_on(request: SecondOpinionRequest, today: date | None = None) -> date:
    """The day for which a program's rules are judged: that on which the opinion is wanted, else today."""
    return request.wanted_by or today or datetime.now(UTC).date()


def _ask(conn: Connection, request: SecondOpinionRequest, step_id: int | None, unknown: tuple[str, ...]) -> None:
    """Nothing is read or sent before a person completed what the order does not tell, or let it go as it is."""
    message = f"{request.order} of {request.placer} does not say: {', '.join(unknown)}"
    _wait(conn, step_id, INFORMATION_MISSING, message, request.order)


def _wait(conn: Connection, step_id: int | None, cause: str, message: str, path: str) -> None:
    from integration.store import parking  # which changes requests itself

    parking.park_all(conn, steps.steps.c.id == step_id, cause=cause, message=message, path=path or None)


def _known(conn: Connection, request_id: str, digest: str) -> str:
    first = conn.execute(
        select(request_versions.c.body_sha256).where(
            request_versions.c.request_id == request_id, request_versions.c.version == 1
        )
    ).scalar_one_or_none()
    stored = first or conn.execute(select(requests.c.body_sha256).where(requests.c.id == request_id)).scalar_one()
    if stored != digest:
        raise KeyReused(
            f"request {request_id} was already taken in with the same key and other content; "
            "give a changed request a new key"
        )
    return request_id


def body_of(request: SecondOpinionRequest) -> tuple[bytes, str]:
    """A request as it is stored, and its hash."""
    body = request.model_dump_json(exclude_defaults=True).encode()
    return body, hashlib.sha256(body).hexdigest()


def records_due(request: SecondOpinionRequest, lead_days: int) -> datetime | None:
    """When the records have to be there: the wanted-by date less the lead time; None when no date was given."""
    if request.wanted_by is None:
        return None
    return datetime.combine(request.wanted_by, time(0), UTC) - timedelta(days=lead_days)


def patient_hash(conn: Connection, identifier_value: str) -> str:
    """A keyed hash to search a patient by, so that no identifier stands in a column."""
    made = insert(settings).values(name="patient-hash-key", value=secrets.token_hex(32)).on_conflict_do_nothing()
    conn.execute(made)
    key = conn.execute(select(settings.c.value).where(settings.c.name == "patient-hash-key")).scalar_one()
    return hmac.new(bytes.fromhex(key), identifier_value.strip().encode(), "sha256").hexdigest()[:32]


def get(conn: Connection, request_id: str) -> Request:
    """One request. Raises UnknownRequest."""
    row = conn.execute(select(requests).where(requests.c.id == request_id)).one_or_none()
    if row is None:
        raise UnknownRequest(f"there is no request {request_id}")
    return Request.from_row(row)


def others_of_patient(conn: Connection, request_id: str) -> tuple[int, str]:
    """How many other requests are about the same patient, and the keyed hash they are found by."""
    digest = conn.execute(select(requests.c.patient_hash).where(requests.c.id == request_id)).scalar_one()
    others = select(func.count()).select_from(requests)
    others = others.where(requests.c.patient_hash == digest, requests.c.id != request_id)
    return conn.execute(others).scalar_one(), digest


def content(request: Request) -> SecondOpinionRequest:
    """The request as it was entered, or corrected since."""
    return content_of(request.body)


def content_of(body: bytes) -> SecondOpinionRequest:
    """What a stored body says; each version has one."""
    return SecondOpinionRequest.model_validate_json(body)


def exported_status(row: Request, records_arrived_as: str | None) -> str:
    """The business status others see (states.business_status). ``records_arrived_as``: the status of their newest delivery."""
    return business_status(
        Status(row.status),
        records=Records(row.records),
        visit=Visit(row.visit),
        cancel_requested=row.cancel_requested,
        read_back=records_arrived_as in (None, DeliveryStatus.VERIFIED),
    )


def advance(
    conn: Connection, request_id: str, to: Status, by: Actor, *, reason: str | None = None, actor: str | None = None
) -> bool:
    """Move a request to another status; the only place that does. False when ``by`` may not, or it is there already.

    Status and audit row are written on the caller's transaction. A status that must have a reason and came
    without one gets the sentence that says so, because the standard forbids an empty one.
    """
    row = conn.execute(select(requests.c.status).where(requests.c.id == request_id).with_for_update()).one()
    current = Status(row.status)
    if not may_move(current, to, by):
        return False
    if to in NEEDS_REASON and not reason:
        reason = "no reason was given"
    conn.execute(
        update(requests)
        .where(requests.c.id == request_id, requests.c.status == current)
        .values(status=to, status_reason=reason, updated_at=func.now())
    )
    said = (
        reason if actor or by is not Actor.FULFILLER else None
    )  # theirs may tell of the patient: it stands in the row
    audit.record(conn, actor or by.value, AUDIT_EVENT[to], request_id, reason=said, detail={"from": current})
    return True


def set_mirrored(conn: Connection, request_id: str, word: str) -> None:
    """Note the business status that the placer's EHR shows now."""
    conn.execute(update(requests).where(requests.c.id == request_id).values(mirrored=word))


def version_now(conn: Connection, request_id: str) -> int:
    """The version of a request's content, held until the caller's transaction ends: no correction comes between."""
    return conn.execute(select(requests.c.version).where(requests.c.id == request_id).with_for_update()).scalar_one()


def set_gathered(conn: Connection, request_id: str, version: int, at: datetime) -> None:
    """Note which version's wish for records was read in full, and when."""
    conn.execute(update(requests).where(requests.c.id == request_id).values(gathered_version=version, chart_read_at=at))


def set_visit(conn: Connection, request_id: str, visit: Visit, visit_at: datetime | None) -> None:
    """Move the visit track. ``visit_at``: when it begins, while it is booked or was kept; None when it will not be."""
    changed = dict(visit=visit, visit_at=visit_at, to_do=None, updated_at=func.now())
    conn.execute(update(requests).where(requests.c.id == request_id).values(changed))


def set_due(conn: Connection, request_id: str, due_at: datetime | None, risk_at: datetime | None) -> None:
    """When the records have to be there, and from when on they are at risk; `deadlines.move` moves what had the old one."""
    conn.execute(
        update(requests).where(requests.c.id == request_id).values(records_due_at=due_at, records_risk_at=risk_at)
    )


def set_to_do(conn: Connection, row: Request, number: int) -> None:
    """Note how many parts of the case as it stood in ``row`` the side that asks has to do; nothing where it changed since."""
    is_same = and_(requests.c.id == row.id, requests.c.updated_at == row.updated_at)
    conn.execute(update(requests).where(is_same, requests.c.to_do.is_distinct_from(number)).values(to_do=number))


def has_changed(conn: Connection, request_id: str) -> None:
    """What there is to do has to be counted again: somebody opens the case."""
    is_counted = and_(requests.c.id == request_id, requests.c.to_do.is_not(None))
    conn.execute(update(requests).where(is_counted).values(to_do=None))


def set_records(conn: Connection, request_id: str, records: Records) -> None:
    """Move the records track."""
    conn.execute(update(requests).where(requests.c.id == request_id).values(records=records, updated_at=func.now()))


def close(conn: Connection, request_id: str, delivery_id: str, *, road: str, level: Level) -> bool:
    """Close the loop: completed, and ``level`` is known of its report. False when it is not completed or closed already."""
    closed = conn.execute(
        update(requests)
        .where(requests.c.id == request_id, requests.c.closed_at.is_(None), requests.c.status == Status.COMPLETED)
        .values(closed_at=func.now(), closed_level=level, closed_road=road, updated_at=func.now())
    )
    if closed.rowcount:
        known = f"{level} by {road}"
        detail = {"level": level, "road": road}
        audit.record(conn, "exchange", "request.closed", request_id, subject=delivery_id, reason=known, detail=detail)
        totals.since_taken_in(conn, totals.LOOP_CLOSED, request_id, outcome=level)
    return bool(closed.rowcount)


def reopen(conn: Connection, request_id: str, delivery_id: str, *, actor: str, reason: str) -> bool:
    """The loop closed on a person's word, and that was taken back. False when it is not closed, or closed on something else."""
    reopened = conn.execute(
        update(requests)
        .where(
            requests.c.id == request_id,
            requests.c.closed_at.is_not(None),
            requests.c.closed_level == Level.HANDED_OVER,
            requests.c.status == Status.COMPLETED,
        )
        .values(closed_at=None, closed_level=None, closed_road=None, updated_at=func.now())
    )
    if reopened.rowcount:
        audit.record(conn, actor, "request.reopened", request_id, subject=delivery_id, reason=reason)
        totals.since_taken_in(conn, totals.LOOP_REOPENED, request_id)
    return bool(reopened.rowcount)


def ask_to_cancel(conn: Connection, request_id: str, *, actor: str, reason: str) -> None:
    """Note that the placer wants to stop; the status follows when the fulfiller was told."""
    conn.execute(
        update(requests)
        .where(requests.c.id == request_id)
        .values(cancel_requested=True, status_reason=reason, updated_at=func.now())
    )
    audit.record(conn, actor, "request.cancel-requested", request_id, reason=reason)
