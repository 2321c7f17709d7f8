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
