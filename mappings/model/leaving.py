"""What leaves for another system, and why it may: the words that the one gate (jobs/gate.py) decides and records with."""

from dataclasses import dataclass
from enum import StrEnum

from mappings.model.consent import NOT_TO_THEM
from mappings.model.states import Status
from mappings.model.steps import StepKind as K


class Reason(StrEnum):
    """Why something may leave. Values stand in the audit trail."""

    ASKED = "asked-by-request"
    CORRECTION = "correction"
    WITHDRAWAL = "withdrawal"
    REPORT = "report-return"
    STATUS = "status"
    VISIT = "visit"
    CANCELLATION = "cancellation"
    CONSENT = "consent"  # what the patient agreed to, at the practice that asks
    CHECK = "check"
    SUBSCRIPTION = "subscription"
    COVERAGE = "coverage-asked"  # of an insurer, by a person
    RECORDS = "records-asked"  # of the source that has them
    CARRIED = "carried-by-patient"  # by a SMART Health Link


# A step that is not here sends nothing to a party's system.
REASON_OF_STEP: dict[str, Reason] = {
    K.MATCH_PEOPLE: Reason.ASKED,
    K.PUSH_RECORDS: Reason.ASKED,
    K.SEND_REQUEST: Reason.ASKED,
    K.TELL_CORRECTION: Reason.CORRECTION,
    K.RETURN_REPORT: Reason.REPORT,
    K.MIRROR_STATUS: Reason.STATUS,
    K.WRITE_VISIT: Reason.VISIT,
    K.BOOK_VISIT: Reason.VISIT,
    K.WRITE_CONSENT: Reason.CONSENT,
    K.CANCEL_REQUEST: Reason.CANCELLATION,
    K.ASK_SOURCE: Reason.RECORDS,
    K.GATHER_ELSEWHERE: Reason.RECORDS,  # who the patient is, nothing else
    K.WATCH_ELSEWHERE: Reason.RECORDS,
    K.ASK_PAYER: Reason.COVERAGE,
    K.TELL_MISSING: Reason.CORRECTION,
    K.TELL_ORIGINS: Reason.ASKED,
}
# Content goes only for a request that stands, as the patient consents, to the patient that it is linked to. What takes something back, says
# a status or cancels goes in any case: keeping it would leave the wrong thing standing.
CARRIES = frozenset(
    {
        Reason.ASKED,
        Reason.CORRECTION,
        Reason.REPORT,
        Reason.RECORDS,
        Reason.VISIT,
        Reason.CARRIED,
        Reason.COVERAGE,
    }
)
ENDS_WITH_THE_REQUEST = frozenset(
    {Reason.ASKED, Reason.RECORDS, Reason.COVERAGE}
)  # nobody needs it once somebody asked to cancel
WHOEVER = frozenset({Reason.RECORDS, Reason.CARRIED})  # who has them already is asked; the patient hands them over
PEOPLE = frozenset(
    {"Patient", "Practitioner", "PractitionerRole", "Organization", "Location"}
)  # they go before the link

# They name the patient in words, or a person carries them: no system has to know the patient.
IN_WORDS = frozenset({"Letter", "HealthLink", "CoverageEligibilityRequest"})


@dataclass(frozen=True)
class Going:
    """What a transport is about to send: its kind (a resource type, ``Bundle``, ``MDM^T02``), identifiers of ours, its bytes."""

    kind: str
    items: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True)
class Stand:
    """What a request is when something is about to leave for it."""

    status: str
    cancel_requested: bool
    is_linked: bool
    consent: str = ""  # why the patient's consent keeps content from going there; a word of mappings/model/consent.py


def why_not(reason: Reason, going: Going, stand: Stand) -> str:
    """Empty when it may leave; else a cause of mappings/model/causes.py."""
    if reason not in CARRIES:
        return ""
    if (
        stand.status in (Status.CANCELLED, Status.ENTERED_IN_ERROR)
        or stand.cancel_requested
        and reason in ENDS_WITH_THE_REQUEST
    ):
        return "request-withdrawn"
    if stand.consent and not (reason in WHOEVER and stand.consent == NOT_TO_THEM):
        return stand.consent
    if going.kind not in PEOPLE | IN_WORDS and not stand.is_linked:
        return "patient-not-linked"
    return ""
