"""The states of a request as tables: who may move it where, and what the audit says.

Status uses the words of FHIR Task.status (https://hl7.org/fhir/R4/valueset-task-status.html).
The pages, the docs diagram and the tests are made from these tables.
"""

from enum import StrEnum


class Status(StrEnum):
    """The step a second opinion request stands at."""

    DRAFT = "draft"
    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ENTERED_IN_ERROR = "entered-in-error"


class Actor(StrEnum):
    """Who causes a change."""

    PLACER = "placer"
    FULFILLER = "fulfiller"
    EXCHANGE = "exchange"
    OPERATOR = "operator"


class Records(StrEnum):
    """The track of the first-opinion records."""

    NOT_STARTED = "not-started"
    GATHERING = "gathering"
    PARTIAL = "partial"
    SENT = "sent"
    VERIFIED = "verified"
    ACKNOWLEDGED = "acknowledged"
    BLOCKED = "blocked"


class Visit(StrEnum):
    """The track of the consultation."""

    NONE = "none"
    BOOKED = "booked"
    NO_SHOW = "no-show"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


S, A = Status, Actor
OPEN = frozenset({S.DRAFT, S.REQUESTED, S.RECEIVED, S.ACCEPTED, S.IN_PROGRESS, S.ON_HOLD})
FINAL = frozenset(S) - OPEN

_FULFILLER_NEXT = {S.RECEIVED, S.ACCEPTED, S.REJECTED, S.IN_PROGRESS, S.ON_HOLD, S.COMPLETED, S.FAILED}
_STOP = {
    (S.CANCELLED, A.PLACER),
    (S.CANCELLED, A.OPERATOR),
    (S.CANCELLED, A.FULFILLER),
    (S.ENTERED_IN_ERROR, A.PLACER),
    (S.FAILED, A.EXCHANGE),
    (S.FAILED, A.OPERATOR),
}


def _by_fulfiller(*statuses: Status) -> set[tuple[Status, Actor]]:
    return {(status, A.FULFILLER) for status in statuses}


# from -> {(to, who may cause it)}. A pair that is not here is stored and flagged, never applied.
TRANSITIONS: dict[Status, frozenset[tuple[Status, Actor]]] = {
    S.DRAFT: frozenset({(S.REQUESTED, A.PLACER), (S.REQUESTED, A.EXCHANGE)} | _STOP),
    S.REQUESTED: frozenset(_by_fulfiller(*_FULFILLER_NEXT) | _STOP),
    S.RECEIVED: frozenset(_by_fulfiller(*(_FULFILLER_NEXT - {S.RECEIVED})) | _STOP),
    S.ACCEPTED: frozenset(_by_fulfiller(S.IN_PROGRESS, S.REJECTED, S.ON_HOLD, S.COMPLETED, S.FAILED) | _STOP),
    S.IN_PROGRESS: frozenset(_by_fulfiller(S.ON_HOLD, S.COMPLETED, S.FAILED) | _STOP),
    S.ON_HOLD: frozenset(_by_fulfiller(S.ACCEPTED, S.REJECTED, S.IN_PROGRESS, S.COMPLETED, S.FAILED) | _STOP),
    S.COMPLETED: frozenset({(S.ENTERED_IN_ERROR, A.PLACER)}),
    S.REJECTED: frozenset({(S.ENTERED_IN_ERROR, A.PLACER)}),
    S.CANCELLED: frozenset({(S.ENTERED_IN_ERROR, A.PLACER)}),
    S.FAILED: frozenset({(S.ENTERED_IN_ERROR, A.PLACER)}),
    S.ENTERED_IN_ERROR: frozenset(),
}

AUDIT_EVENT: dict[Status, str] = {status: f"request.{status.value}" for status in Status}

# Statuses whose change must come with a reason (standards: statusReason).
NEEDS_REASON = frozenset({S.REJECTED, S.FAILED, S.CANCELLED, S.ON_HOLD})


def may_move(current: Status, wanted: Status, by: Actor) -> bool:
    """True when ``by`` may move a request from ``current`` to ``wanted``."""
    return (wanted, by) in TRANSITIONS[current]


def business_status(
    status: Status,
    *,
    records: Records = Records.NOT_STARTED,
    visit: Visit = Visit.NONE,
    cancel_requested: bool = False,
    awaiting_information: bool = False,
    read_back: bool = True,
) -> str:
    """The single exported word: cancel-requested > awaiting-information > visit > records > status.

    ``read_back``: False where the records arrived and less is known of them: then they were sent, and are not called verified.
    """
    if status in FINAL:
        return _FINAL_WORD[status]
    if cancel_requested:
        return "cancellation-requested"
    if awaiting_information or status is S.ON_HOLD:
        return "awaiting-information"
    if visit is not Visit.NONE:
        return _VISIT_WORD[visit]
    if status is S.IN_PROGRESS:
        return _RECORDS_WORD[Records.SENT if records is Records.VERIFIED and not read_back else records]
    return _OPEN_WORD[status]


_FINAL_WORD = {
    S.COMPLETED: "opinion-reported",
    S.REJECTED: "declined",
    S.CANCELLED: "cancelled",
    S.FAILED: "failed",
    S.ENTERED_IN_ERROR: "entered-in-error",
}
_OPEN_WORD = {S.DRAFT: "intake", S.REQUESTED: "request-sent", S.RECEIVED: "receipt-confirmed", S.ACCEPTED: "accepted"}
_VISIT_WORD = {
    Visit.BOOKED: "appointment-booked",
    Visit.NO_SHOW: "appointment-noshow",
    Visit.CANCELLED: "appointment-cancelled",
    Visit.COMPLETED: "visit-completed",
}
_RECORDS_WORD = {
    Records.NOT_STARTED: "accepted",
    Records.GATHERING: "records-gathering",
    Records.PARTIAL: "records-gathering",
    Records.BLOCKED: "records-blocked",
    Records.SENT: "records-sent",
    Records.VERIFIED: "records-verified",
    Records.ACKNOWLEDGED: "records-acknowledged",
}

# Our word -> BSeR code (http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS); none where BSeR has none.
BSER_CODE: dict[str, str] = {
    "request-sent": "2.0",
    "receipt-confirmed": "2.0",
    "accepted": "3.0",
    "declined": "4.0",
    "appointment-booked": "5.1.1",
    "appointment-noshow": "5.1.2",
    "appointment-cancelled": "5.1.3",
    "visit-completed": "5.1.4",
    "cancellation-requested": "5.2",
    "cancelled": "6.0",
    "opinion-reported": "7.0",
}
BUSINESS_STATUS = tuple(
    dict.fromkeys(
        [
            *_OPEN_WORD.values(),
            *_RECORDS_WORD.values(),
            *_VISIT_WORD.values(),
            "awaiting-information",
            "cancellation-requested",
            *_FINAL_WORD.values(),
        ]
    )
)
