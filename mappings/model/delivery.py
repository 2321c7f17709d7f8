"""How a delivery ends: its states, the one retry table, and when the next attempt is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mappings.model.errors import ExchangeError, NeedsPerson, TemporaryError, TransferError, UnknownOutcome
from mappings.model.roads import Level


class DeliveryKind(StrEnum):
    """What one delivery carries."""

    RECORDS = "records"  # the packet, to the fulfiller
    REQUEST = "request"  # ServiceRequest and Task, to the fulfiller
    REPORT = "report"  # the consult report, to the primary care EHR


class DeliveryStatus(StrEnum):
    """Where one delivery stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    VERIFIED = "verified"  # read back, and it says what was sent; nothing less is called so
    ACCEPTED = "accepted"  # the receiving application said that it took it
    HANDED_OVER = "handed-over"  # a person says so
    UNVERIFIABLE = "unverifiable"  # sent, where we may not read, and the configuration closes on that
    RETRYING = "retrying"
    PARKED = "parked"
    CANCELLED = "cancelled"


class ItemStatus(StrEnum):
    """Where one item of a delivery stands."""

    QUEUED = "queued"
    SENT = "sent"
    AGAIN = "again"  # a person wants it looked at and sent again
    VERIFIED = "verified"
    DIFFERENT = "different"
    MISSING = "missing"
    WAIVED = "waived"  # a person said to send without it


D = DeliveryStatus
# As what a delivery ends by what is known of it; its loop closes where the endpoint's ``closes_on`` has that level.
STATUS_OF: Mapping[Level, DeliveryStatus] = {
    Level.READ_BACK: D.VERIFIED,
    Level.ACCEPTED: D.ACCEPTED,
    Level.HANDED_OVER: D.HANDED_OVER,
    Level.UNVERIFIABLE: D.UNVERIFIABLE,
}
ARRIVED = frozenset(STATUS_OF.values())
ENDED = ARRIVED | {D.CANCELLED}
DELIVERY_TRANSITIONS: dict[DeliveryStatus, frozenset[DeliveryStatus]] = {
    D.QUEUED: frozenset({D.SENDING, D.PARKED, D.CANCELLED, D.RETRYING}),
    D.SENDING: frozenset({D.SENDING, D.SENT, D.RETRYING, D.PARKED, D.CANCELLED}),
    D.SENT: ARRIVED | {D.SENDING, D.RETRYING, D.PARKED, D.CANCELLED},
    D.RETRYING: ARRIVED | {D.SENDING, D.SENT, D.PARKED, D.CANCELLED, D.RETRYING},
    D.PARKED: frozenset({D.RETRYING, D.CANCELLED}),
    D.VERIFIED: frozenset(),
    D.ACCEPTED: frozenset(),
    D.HANDED_OVER: frozenset({D.RETRYING}),  # who said so takes it back
    D.UNVERIFIABLE: frozenset(),
    D.CANCELLED: frozenset(),
}


class Verdict(StrEnum):
    """What to do after a failed attempt."""

    LATER = "later"
    LOOK_FIRST = "look-first"
    NEW_TOKEN = "new-token"
    PERSON = "person"


# status code -> verdict; what is not here: 5xx later, other 4xx a person.
RETRY_TABLE: dict[int, Verdict] = {
    401: Verdict.NEW_TOKEN,
    408: Verdict.LATER,
    425: Verdict.LATER,
    429: Verdict.LATER,
    409: Verdict.LOOK_FIRST,
    412: Verdict.LOOK_FIRST,
    500: Verdict.LATER,
    501: Verdict.PERSON,
    505: Verdict.PERSON,
}
MAX_500 = 3  # HAPI answers 500 for some permanent faults (HAPI-2223)


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds of retrying, in count and in time."""

    first_retry_seconds: float = 5.0
    max_retry_seconds: float = 900.0
    max_attempts: int = 12
    max_age_seconds: float = 3 * 86400.0
    jitter: float = 0.2  # share of the wait, added


def verdict_of_status(status_code: int) -> Verdict:
    """The retry table for one HTTP status (4xx or 5xx)."""
    if status_code in RETRY_TABLE:
        return RETRY_TABLE[status_code]
    return Verdict.LATER if status_code >= 500 else Verdict.PERSON


def verdict_of(error: ExchangeError) -> Verdict:
    """What to do after ``error``."""
    if isinstance(error, UnknownOutcome):
        return Verdict.LOOK_FIRST
    if isinstance(error, TemporaryError):
        return Verdict.LATER
    if isinstance(error, TransferError) and error.status_code is not None:
        return verdict_of_status(error.status_code)
    return Verdict.PERSON


class ReadBack(StrEnum):
    """What reading a whole delivery back says of it."""

    VERIFIED = "verified"
    DIFFERENT = "different"  # a person decides
    NOT_YET = "not-yet"  # the server may show it later: within its search lag
    MISSING = "missing"  # a person decides


def verdict_of_reading(
    *, different: int, missing: int, sent_at: datetime | None, now: datetime, lag: timedelta
) -> tuple[ReadBack, timedelta]:
    """By how many items came back different or not at all; and how much of the server's ``lag`` is left to wait."""
    left = lag - (now - (sent_at or now))
    if different:
        return ReadBack.DIFFERENT, left
    if missing:
        return (ReadBack.NOT_YET if left >= timedelta(0) else ReadBack.MISSING), left
    return ReadBack.VERIFIED, left


def next_attempt_at(
    policy: RetryPolicy, error: ExchangeError, *, attempts: int, since: datetime, now: datetime, spread: float
) -> datetime | None:
    """When to try again after ``attempts`` failed ones, or None: a person has to look.

    ``spread`` is a random share in [0, 1) handed in by the caller; ``since`` is when the first attempt began.
    A ``Retry-After`` is a floor, never a reason to give up earlier than the policy says.
    """
    if isinstance(error, NeedsPerson) or verdict_of(error) is Verdict.PERSON:
        return None
    if attempts >= policy.max_attempts or (now - since).total_seconds() > policy.max_age_seconds:
        return None
    if getattr(error, "status_code", None) == 500 and attempts >= MAX_500:
        return None
    wait = min(policy.max_retry_seconds, policy.first_retry_seconds * 2 ** max(0, attempts - 1))
    wait += wait * policy.jitter * spread
    asked = getattr(error, "retry_after_seconds", None)
    return now + timedelta(seconds=max(wait, asked or 0.0))
