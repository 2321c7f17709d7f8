"""What the API answers about a request: its tracks, steps, deliveries, attempts, findings and audit. Ids, words and times."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from integration.settings.roads import LevelWord
from integration.web.api.answers import Answer, Deadline, Step
from mappings.model.acknowledgment import Decision, Standing
from mappings.model.consent import How, RecordKind, Said
from mappings.model.consent import Standing as ConsentStanding
from mappings.model.hand_over import ByWay
from mappings.model.moves import Move, Mover
from mappings.model.private_link import Language, LinkState, OpenedBy


class TakenIn(Answer):
    """The request an intake made, or found."""

    request_id: str
    new: bool = Field(description="False: the same request was received before, and nothing changed.")


class RequestLine(Answer):
    """A request in a list."""

    request_id: str
    status: str
    created_at: datetime


class Item(Answer):
    """What happened to one resource or document of a delivery."""

    delivery_id: str
    source: str = Field(description="Type/id at the source.")
    status: str
    target: str | None = Field(description="Type/id at the target.")
    sent_sha256: str | None
    created_by_us: bool | None
    updated_at: datetime


class HandOver(Answer):
    """A person's word that a document is in the other system."""

    to: str | None = Field(description="A name or an office; null where nobody carried it: somebody saw it there.")
    at: datetime | None
    by_way: ByWay | None
    by: str = Field(description="Who handed it over, or saw it there.")
    note: str | None
    actor: str = Field(description="Who wrote it down.")
    reason: str
    created_at: datetime


class Delivery(Answer):
    """A packet, request or report to an endpoint."""

    id: str
    request_id: str
    endpoint: str
    kind: str
    version: int
    packet_id: str | None
    status: str = Field(
        description="Where it stands. Only what was read back and compared is `verified`; with less it is `accepted`, "
        "`handed-over` or `unverifiable`."
    )
    attempts: int
    cause: str | None
    message: str | None
    action: str | None
    deadline: Deadline
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    verified_at: datetime | None = Field(description="When it was read back as sent; null where it was not.")
    road: str | None = Field(description="By which road it went; null before it did.")
    level: LevelWord | None = Field(
        description="What is known of it: read-back, accepted, handed-over or unverifiable. Null before anything is, and with "
        "a verified delivery of an earlier version: read-back."
    )
    hand_over: HandOver | None = Field(description="The person's word that stands.")
    known: str = Field(description="What is known of it now, in words; empty while nothing is.")


class DeliveryPage(Answer):
    """A delivery and one page of its items."""

    delivery: Delivery
    counts: dict[str, int] = Field(description="Items by status.")
    items: list[Item]
    next: str | None = Field(description="Give it as `after` to get the next page; null at the end.")


class Attempt(Answer):
    """One try of a step."""

    id: int
    step_id: int
    delivery_id: str | None
    kind: str
    endpoint: str
    lease_no: int
    started_at: datetime
    finished_at: datetime
    outcome: str
    status_code: int | None
    cause: str | None
    message: str | None


class Finding(Answer):
    """Something dropped, changed, unresolved or odd; paths, never values."""

    delivery_id: str | None
    endpoint: str | None
    severity: str
    cause: str
    path: str
    message: str
    count: int
    created_at: datetime
    last_seen_at: datetime


class Event(Answer):
    """What the fulfiller said."""

    source: str
    version: str
    status: str | None
    applied: bool
    why: str | None
    created_at: datetime


class Packet(Answer):
    """What was gathered."""

    id: str
    version: int
    manifest_sha256: str
    resources: int
    attachments: int
    bytes: int
    created_at: datetime


class Report(Answer):
    """A consult report as it was fetched."""

    id: str
    source: str
    source_version: str | None
    revision: int
    state: str
    resource_sha256: str
    bytes_sha256: str | None
    content_type: str | None
    unread_since: datetime | None = Field(
        description="Since when it waits to be read at the primary care practice; null when it does not."
    )
    created_at: datetime


class Acknowledged(Answer):
    """A clinician has read a revision of the report, and what was decided with the patient."""

    id: int
    revision: int
    read_by: str = Field(description="The clinician, by name.")
    read_at: datetime
    decision: Decision
    note: str | None = Field(description="What was noted about the decision.")
    actor: str = Field(description="Who wrote it down.")
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None


class ReadingOfReport(Answer):
    """Whether a clinician of the practice that asked has read the newest report."""

    request_id: str
    revision: int | None = Field(description="The newest revision that is not preliminary; null without one.")
    standing: Standing
    acknowledgments: list[Acknowledged]


class PrivateLink(Answer):
    """A private link of the patient, as it stands; never the link itself."""

    id: int
    state: LinkState
    opened_by: OpenedBy
    language: Language
    expires_at: datetime
    opened: int = Field(description="How often it was opened.")
    failures: int = Field(description="Wrong answers in its lifetime.")
    actor: str = Field(description="Who made it.")
    created_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_reason: str | None


class PrivateLinks(Answer):
    """Every private link of a request, newest first."""

    request_id: str
    private_links: list[PrivateLink]


class PrivateLinkMade(Answer):
    """A new link: shown here and never again."""

    request_id: str
    id: int
    link: str
    code: str | None = Field(description="To be given by another way than the link; null when the birth date opens it.")


class ConsentStatement(Answer):
    """One statement of what the patient agrees to."""

    id: int
    said: Said
    kinds: list[RecordKind] | None = Field(description="Kinds of record that may leave; null: all.")
    recipients: list[str] | None = Field(description="Endpoints that they may leave for; null: all of the request.")
    until: date | None = Field(description="The last day, UTC; null: none.")
    how: How = Field(description="How it was said.")
    said_by: str = Field(description="The patient, or who speaks for them.")
    note: str | None
    actor: str = Field(description="Who wrote it down.")
    created_at: datetime


class ConsentStands(Answer):
    """How the patient's consent for a request stands."""

    request_id: str
    standing: ConsentStanding
    newest: int | None = Field(description="The number of what stands; give it back as `seen`. Null without any.")
    kinds_left_out: list[RecordKind] = Field(description="Kinds of record that do not leave.")
    recipients: list[str] | None = Field(description="Endpoints that they may leave for; null: all of the request.")
    until: date | None
    required_by: list[str] = Field(description="Endpoints for which nothing leaves before it was recorded.")
    nothing_leaves_for: list[str] = Field(description="Endpoints for which nothing leaves now.")
    statements: list[ConsentStatement] = Field(description="Every statement, oldest first.")


class Audited(Answer):
    """Who did what, when and why."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str | None
    reason: str | None
    detail: Any = None


class Waiver(Answer):
    """An item that a person said to send without, or as it is."""

    item: str = Field(examples=["DocumentReference/9"])
    what: str = Field(description="What it is, in words.")
    as_it_is: bool = Field(description="Its bytes are sent, although their hash differs.")
    actor: str
    reason: str
    created_at: datetime
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None


class Request(Answer):
    """Everything about one request; ids and words only."""

    request_id: str
    status: str
    status_reason: str | None
    business_status: str
    closed: bool
    closed_at: datetime | None
    closed_level: LevelWord | None = Field(description="What was known of the report when the loop closed.")
    closed_known: str | None = Field(description="The same in words.")
    reading: Literal["no-report", "unread", "changed-since", "read", "decided"] = Field(
        description="The last level: whether a clinician has read the newest report, and decided."
    )
    case_id: str = Field(description="The request that began its case: itself, or an earlier one.")
    closed_road: str | None = Field(description="By which road that report went.")
    cancel_requested: bool
    records: str = Field(description="Where the records track is.")
    records_words: str = Field(
        description="The same in words: verified is said only of what was read back and compared."
    )
    visit: str = Field(description="Where the visit track is.")
    visit_at: datetime | None = Field(description="When the booked visit begins.")
    placer: str
    fulfiller: str
    priority: str
    created_at: datetime
    records_due_at: datetime | None
    gathered: int
    sent: int
    verified: int
    report_verified: bool = Field(description="The report was read back in the primary care EHR, and compared.")
    report_level: LevelWord | None = Field(description="What is known of the newest report that arrived; null before.")
    missing_to_close: list[str] = Field(description="What the loop still lacks, as sentences.")
    owed: list[Step] = Field(description="Steps that are not done.")
    steps: list[Step]
    deliveries: list[Delivery]
    attempts: list[Attempt]
    findings: list[Finding]
    events: list[Event]
    packets: list[Packet]
    reports: list[Report]
    audit: list[Audited]
    waivers: list[Waiver] = Field(description="What it is sent without, and what is sent as it is; those undone too.")


class ChecklistQuestion(Answer):
    """Asked once; answered under its key."""

    key: str
    text: str


class ChecklistEvidence(Answer):
    """A record that speaks for an item: where it is at the source, why it matched, its day."""

    source: str
    why: str
    day: date | None


class ChecklistItem(Answer):
    """How one item stands on the day of the visit."""

    item: str
    label: str
    need: str
    state: str = Field(
        description="found, stale (too old), partial, missing, unknown (answer the question), requested, promised, waived or "
        "not-applicable."
    )
    reasons: list[str]
    question: ChecklistQuestion | None
    note: str | None
    sources: list[str]
    evidence: list[ChecklistEvidence]


class CasePart(Answer):
    """One part of a case: how it stands, and whose move is next."""

    key: str
    label: str
    state: Literal["done", "open", "late", "waiting", "none"]
    says: str
    next: str = Field(description="What has to happen; empty when nothing has.")
    who: str = Field(description="Who has the move: a role, exchange or patient; empty when nobody has.")
    by: datetime | None


class OpinionOfCase(Answer):
    """One request of a case and what came of it."""

    request_id: str
    number: int = Field(description="2 for a second opinion, 3 for a third.")
    fulfiller: str
    status: str
    asked_at: datetime
    report_revision: int | None = Field(description="Of the newest report that is not preliminary.")
    report_state: Literal["final", "amended", "retracted"] | None
    standing: Literal["no-report", "unread", "changed-since", "read", "decided"]
    decision: Literal["open", "keep-plan", "change-plan", "another-opinion"] | None
    earlier_go_along: Literal["yes", "no"] | None = Field(
        description="What the patient said of the opinions before it; null: nobody has said, and they do not travel."
    )


class Case(Answer):
    """One case with its parts, the next move first."""

    request_id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    priority: str
    parts: list[CasePart]
    opinions: list[OpinionOfCase] = Field(
        description="Every request of the case that you may see, this one among them, the first one first."
    )


class BoardLine(Answer):
    """One case on the board."""

    request_id: str
    key: str
    placer: str
    fulfiller: str
    status: str
    records: str
    priority: str
    due_at: datetime | None = Field(
        description="When the records have to be there; null when they are, or it is not known."
    )
    visit_at: datetime | None = Field(description="The visit, while one is booked.")
    is_late: bool
    case: str = Field(description="The request that began its case; those of one case stand together.")
    of_case: int = Field(description="How many requests of the case are shown in this list, on whichever page.")
    move: Move
    whose: Mover
    says: str


class Board(Answer):
    """A page of cases, those with the least time left, or the nearest visit, first."""

    items: list[BoardLine]
    counts: dict[str, int] = Field(description="How many cases each of all, mine, others and late holds.")
    next: str | None


class Checklist(Answer):
    """How a request's records stand against its checklist."""

    request_id: str
    checklist: str
    title: str
    why: str = Field(description="Why it is held against this checklist.")
    version: str
    sha256: str = Field(description="Hash of the files that the checklists were read from.")
    visit: date
    visit_is: str
    packets: int
    left_out: list[str] = Field(
        description="Kinds of record that the patient leaves out for who asks; an item of theirs counts as not there."
    )
    counts: dict[str, int]
    items: list[ChecklistItem]


class SuitabilityRefusal(Answer):
    """Why the program does not take the request."""

    key: str
    sentence: str


class WentOn(Answer):
    """Who asks all the same."""

    by: str
    at: datetime
    why: str


class Listed(Answer):
    """What the directory states of the service of a consultant who was chosen there."""

    program: str
    states: list[str] = Field(description="Conditions, how it is asked, what it costs, and which entry says so.")


class Suitability(Answer):
    """How a request stands to what its program takes."""

    request_id: str
    fulfiller: str
    program: str | None = Field(description="null: nobody wrote down what it takes.")
    takes: list[str] = Field(description="What the program takes and refuses, and who says so.")
    listed: Listed | None = Field(
        description="null: the consultant was not chosen from the directory, or it states nothing."
    )
    day: date
    day_is: str
    stops: bool = Field(
        description="Nothing is gathered until somebody goes on all the same, or the request is corrected."
    )
    refusals: list[SuitabilityRefusal]
    questions: list[ChecklistQuestion] = Field(description="What is not known; it stops nothing.")
    cautions: list[str]
    fits: list[str]
    good_reasons: dict[str, str] = Field(description="Which of the four good reasons the request names.")
    went_on: WentOn | None
    not_for_emergencies: str = Field(description="What to do instead in an emergency.")


class SourceEvent(Answer):
    """One line of what became of an ask."""

    word: str
    at: datetime
    actor: str
    day: date | None
    reference: str | None = Field(description="The Task at the source.")
    outputs: list[str] = Field(description="What the source gave, as it is called there.")


class SourceAsk(Answer):
    """What was asked of a source, and how it stands."""

    id: int
    request_id: str
    source: str | None = Field(description="The endpoint; null for another place.")
    holder: str
    road: str = Field(description="task or letter.")
    items: list[str]
    due: date
    wanted_by: date = Field(description="The day it was promised for, else `due`.")
    renews: int | None = Field(description="The ask that this one repeats.")
    state: str
    late: bool
    says: str
    next: str
    last: int = Field(description="Give it back as `after`.")
    history: list[SourceEvent]


class SourceAsks(Answer):
    """Everything that was asked for a request."""

    request_id: str
    items: list[SourceAsk]


class ParcelMove(Answer):
    """One line of where a thing was."""

    word: str
    day: date
    by: str
    actor: str
    at: datetime
    carrier: str | None
    tracking: str | None
    pieces: int | None
    note: str | None


class Parcel(Answer):
    """A thing that travels by courier, and how it counts for its item."""

    id: int
    item: str
    what: str
    source: str
    state: str
    counts_as: str
    why: str
    sent: int | None
    counted: int | None
    mismatch: bool
    last: int = Field(description="Give it back as `after`.")
    next: list[str] = Field(description="What can be said of it next.")
    history: list[ParcelMove]


class Parcels(Answer):
    """Everything that travels by courier for a request."""

    request_id: str
    items: list[Parcel]


class CoverageSaid(Answer):
    """One answer of an insurer."""

    id: str
    source: str = Field(description="phone, payer (the insurer's own system) or order (written there by the insurer).")
    answer: str = Field(description="covered, not-covered, conditional or unclear.")
    counts: bool = Field(description="It is the last word about this insurance, and no wrong entry.")
    why_not: str | None
    stale: list[str] = Field(description="Why it cannot be relied on for the visit; empty: it can.")
    said: dict[str, Any] = Field(description="All that was said, field by field; what was not said is not there.")


class InsuranceInEhr(Answer):
    """One insurance of the patient, as the EHR showed it. null: it does not say."""

    reference: str
    insurer: str | None
    plan: str | None
    status: str | None
    begins: date | None
    ends: date | None
    relationship: str | None
    read_at: datetime | None
    ends_before_the_visit: bool


class PayerAskedAnswer(Answer):
    """A question to an insurer's own system."""

    id: int
    endpoint: str
    coverage: str
    service: str
    service_on: date | None
    status: str = Field(description="asked, sent, answered, refused or silent.")
    detail: str | None = Field(description="Why it was not asked.")
    reference: str | None = Field(description="What the question, then the response is called there.")
    answer_id: str | None = Field(description="The answer that came of it.")
    actor: str
    created_at: datetime


class Coverage(Answer):
    """How a request's coverage stands for its visit. No amounts of money."""

    request_id: str
    version: int
    visit: date | None
    answer: str | None = Field(description="The last word; null: nobody asked.")
    stale: list[str]
    required: str = Field(description="yes, no or unknown: does the insurer require this opinion?")
    next: str | None = Field(description="What a person does now; null: nothing.")
    answers: list[CoverageSaid]
    insurances: list[InsuranceInEhr] = Field(description="Who insures, as last read from the EHR.")
    coverages: list[str] = Field(description="The insurances that the request names, at the placer.")
    unknown_codes: list[str] = Field(description="Elements of what the order says whose code is not known here.")
    asked: list[PayerAskedAnswer] = Field(description="Questions to insurers' own systems, oldest first.")


class CoverageKept(Answer):
    """The entry that was made, or that said the same already."""

    request_id: str
    id: str
