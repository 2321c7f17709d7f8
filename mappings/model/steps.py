"""The kinds of step, once: group, words, what follows; and the words for how a step stands and how an attempt ended.

Jobs, filters, pages, the store and the diagram in docs/reference/states.md read these tables.
"""

from dataclasses import dataclass
from enum import StrEnum


class StepStatus(StrEnum):
    """Where one step stands."""

    WAITING = "waiting"
    DUE = "due"
    LEASED = "leased"
    DONE = "done"
    PARKED = "parked"
    CANCELLED = "cancelled"


OPEN: tuple[str, ...] = tuple(str(each) for each in StepStatus if each not in (StepStatus.DONE, StepStatus.CANCELLED))


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    DONE = "done"
    AGAIN = "again"
    TEMPORARY = "temporary"
    UNKNOWN = "unknown"
    PERMANENT = "permanent"
    PERSON = "person"
    LOST = "lost"


class Group(StrEnum):
    """What the filter ``kind:`` groups steps by."""

    RECORDS = "records"
    REQUEST = "request"
    REPORT = "report"
    WATCH = "watch"


class StepKind(StrEnum):
    """Each kind of step; the job that does it has the same name."""

    POLL_REQUESTS = "poll_requests"
    GATHER_RECORDS = "gather_records"
    GATHER_COVERAGE = "gather_coverage"
    ASK_PAYER = "ask_payer"
    WATCH_CHART = "watch_chart"
    WATCH_VISIT = "watch_visit"
    WRITE_VISIT = "write_visit"
    BOOK_VISIT = "book_visit"
    WRITE_CONSENT = "write_consent"
    WRITE_RECEIVED = "write_received"
    MATCH_PEOPLE = "match_people"
    PUSH_RECORDS = "push_records"
    VERIFY_RECORDS = "verify_records"
    SEND_REQUEST = "send_request"
    TELL_CORRECTION = "tell_correction"
    CANCEL_REQUEST = "cancel_request"
    VERIFY_REQUEST = "verify_request"
    WATCH_FULFILLER = "watch_fulfiller"
    RETURN_REPORT = "return_report"
    VERIFY_REPORT = "verify_report"
    MIRROR_STATUS = "mirror_status"
    ASK_SOURCE = "ask_source"
    WATCH_SOURCE = "watch_source"
    GATHER_ELSEWHERE = "gather_elsewhere"
    WATCH_ELSEWHERE = "watch_elsewhere"
    TELL_MISSING = "tell_missing"
    TELL_ORIGINS = "tell_origins"
    PRUNE = "prune"
    BULK_RETRY = "bulk_retry"
    CHECK_ALARMS = "check_alarms"
    SEND_ALERTS = "send_alerts"
    CHECK_ENDPOINTS = "check_endpoints"
    SYNC_DIRECTORY = "sync_directory"
    PREPARE_READING = "prepare_reading"


@dataclass(frozen=True)
class Kind:
    """One kind of step. ``before_the_visit``: it has the records' deadline; ``sends``: a cancellation stops it."""

    group: Group
    words: str
    follows: tuple[StepKind, ...] = ()
    before_the_visit: bool = False
    sends: bool = False


K, G = StepKind, Group
KINDS: dict[StepKind, Kind] = {
    K.POLL_REQUESTS: Kind(G.WATCH, "Look for new requests", (K.GATHER_RECORDS,)),
    K.GATHER_RECORDS: Kind(
        G.RECORDS, "Gather the records", (K.MATCH_PEOPLE, K.WATCH_CHART, K.GATHER_COVERAGE), True, True
    ),
    K.GATHER_COVERAGE: Kind(G.REQUEST, "Read who insures the patient"),
    K.ASK_PAYER: Kind(G.REQUEST, "Ask an insurer's system", sends=True),
    K.WATCH_CHART: Kind(G.WATCH, "Watch the chart for corrections", (K.MATCH_PEOPLE,), sends=True),
    K.WATCH_VISIT: Kind(G.WATCH, "Look for the visit", (K.MIRROR_STATUS, K.WRITE_VISIT)),
    K.WRITE_VISIT: Kind(G.WATCH, "Write the visit down"),
    K.BOOK_VISIT: Kind(G.REQUEST, "Book or cancel the visit", (K.MIRROR_STATUS, K.WATCH_VISIT)),
    K.WRITE_CONSENT: Kind(G.WATCH, "Write the consent down"),
    K.WRITE_RECEIVED: Kind(G.WATCH, "Write received records down"),
    K.MATCH_PEOPLE: Kind(G.RECORDS, "Match patient and people", (K.PUSH_RECORDS, K.WATCH_VISIT), True, True),
    K.PUSH_RECORDS: Kind(G.RECORDS, "Send the records", (K.VERIFY_RECORDS,), True, True),
    K.VERIFY_RECORDS: Kind(
        G.RECORDS, "Read the records back", (K.SEND_REQUEST, K.TELL_CORRECTION, K.TELL_ORIGINS), True, True
    ),
    K.SEND_REQUEST: Kind(G.REQUEST, "Send the request", (K.VERIFY_REQUEST,), True, True),
    K.TELL_CORRECTION: Kind(G.REQUEST, "Tell the consultant what was corrected", before_the_visit=True, sends=True),
    K.CANCEL_REQUEST: Kind(G.REQUEST, "Tell the other side of the cancellation", (K.MIRROR_STATUS, K.BOOK_VISIT)),
    K.VERIFY_REQUEST: Kind(G.REQUEST, "Read the request back", (K.WATCH_FULFILLER,), True),
    K.WATCH_FULFILLER: Kind(G.WATCH, "Watch for progress and report", (K.MIRROR_STATUS, K.RETURN_REPORT)),
    K.RETURN_REPORT: Kind(G.REPORT, "Return the report", (K.VERIFY_REPORT,)),
    K.VERIFY_REPORT: Kind(G.REPORT, "Read the report back", (K.MIRROR_STATUS,)),
    K.MIRROR_STATUS: Kind(G.WATCH, "Show the status at the referring provider"),
    K.ASK_SOURCE: Kind(
        G.RECORDS, "Ask a source for what is missing", (K.WATCH_SOURCE,), before_the_visit=True, sends=True
    ),
    K.WATCH_SOURCE: Kind(G.WATCH, "Watch for what a source was asked for", (K.WATCH_CHART, K.GATHER_ELSEWHERE)),
    K.GATHER_ELSEWHERE: Kind(  # of the watches: one that is parked does not block the records of the request itself
        G.WATCH, "Gather records of another provider", (K.WATCH_ELSEWHERE, K.WATCH_CHART), True, True
    ),
    K.WATCH_ELSEWHERE: Kind(G.WATCH, "Watch records of another provider", (K.WATCH_CHART,), sends=True),
    K.TELL_MISSING: Kind(
        G.REQUEST, "Tell the consultant what is not there, and when the visit is", before_the_visit=True, sends=True
    ),
    K.TELL_ORIGINS: Kind(G.WATCH, "Say where records came from", sends=True),
    K.PRUNE: Kind(G.WATCH, "Remove what is past its retention"),
    K.BULK_RETRY: Kind(G.WATCH, "Retry many"),
    K.CHECK_ALARMS: Kind(G.WATCH, "Check the alarms", (K.SEND_ALERTS,)),
    K.SEND_ALERTS: Kind(G.WATCH, "Send alerts"),
    K.CHECK_ENDPOINTS: Kind(G.WATCH, "Check an endpoint"),
    K.SYNC_DIRECTORY: Kind(G.WATCH, "Read a directory of doctors"),
    K.PREPARE_READING: Kind(G.WATCH, "Make the key facts of long charts"),
}


def of_group(group: Group) -> tuple[str, ...]:
    """The kinds of a group, in the order of the loop."""
    return tuple(str(word) for word, kind in KINDS.items() if kind.group is group)


RECORD_KINDS = of_group(G.RECORDS)
TO_SEND = tuple(str(word) for word, kind in KINDS.items() if kind.sends)
BEFORE_THE_VISIT = tuple(str(word) for word, kind in KINDS.items() if kind.before_the_visit)


def kind_words(word: str) -> str:
    """A kind of step as a sentence begins; a kind this version does not know is shown as it is."""
    return KINDS[StepKind(word)].words if word in KINDS else word
