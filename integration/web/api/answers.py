"""What the API answers, as models: the OpenAPI is made of them, and nothing else of a row gets out. Ids, words and times."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from integration.settings.roads import LevelWord
from integration.store.search import COUNT_CAP
from integration.store.tables import NEVER

_NEVER = datetime.fromisoformat(NEVER)
# A step without a deadline holds the last day there is.
Deadline = Annotated[
    datetime | None, BeforeValidator(lambda value: None if value is not None and value >= _NEVER else value)
]


class Answer(BaseModel):
    """Read from a row or a dict; what the model does not name stays inside."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Step(Answer):
    """One thing owed for a request: when it is due, how often it was tried, and why it failed."""

    id: int
    request_id: str | None
    kind: str
    endpoint: str
    delivery_id: str | None
    status: str = Field(description="waiting, due, leased (runs now), parked (needs a person), done or cancelled.")
    due_at: datetime
    next_attempt_at: datetime
    deadline: Deadline
    attempts: int = Field(description="Failed attempts in a row.")
    first_attempt_at: datetime | None
    lease_no: int = Field(description="Goes up with each attempt; give it back as `seen` with an action.")
    lease_until: datetime | None
    cause: str | None
    message: str | None
    action: str | None
    created_at: datetime
    finished_at: datetime | None


class ExplainedStep(Step):
    """A step with its cause in plain language."""

    happened: str = Field(description="What happened.")
    advice: str = Field(description="What a person may do about it.")


class StepsPage(Answer):
    """One page of steps."""

    q: str = Field(description="The filter as it was understood.")
    items: list[ExplainedStep]
    next: str | None = Field(description="Give it as `after` to get the next page; null at the end.")


class StepCounts(Answer):
    """How many steps each tab of the queue page holds under a filter."""

    q: str
    counts: dict[str, int] = Field(
        description=f"By state. History is counted up to {COUNT_CAP:,}; one more means more."
    )
    retryable: int = Field(description="How many a retry of everything that matches would work on, exactly.")


class FilterFound(Answer):
    """A filter that may stand in an address: patients are given by their keyed hash."""

    q: str
    steps: str = Field(description="Where the steps are.")


class FailureGroup(Answer):
    """Open failures of one cause at one endpoint."""

    cause: str
    endpoint: str
    number: int
    parked: int
    requests: int
    most_attempts: int
    first_seen: datetime
    last_seen: datetime | None
    deadline: Deadline = Field(description="The nearest of them.")
    happened: str
    advice: str
    q: str = Field(description="The filter that finds exactly these.")


class Failures(Answer):
    """Failure groups, most first."""

    items: list[FailureGroup]


class Done(Answer):
    """What an action did."""

    changed: bool = Field(description="False: it was so already.")
    message: str


class Operation(Answer):
    """A background operation on many steps, and how far it came."""

    id: int
    kind: str
    filter: str
    actor: str
    reason: str
    status: str = Field(description="running, done or cancelled.")
    total: int
    per_second: int
    created_at: datetime
    finished_at: datetime | None
    retried: int
    changed: int = Field(description="Had moved on before their turn came.")
    left: int


class Operations(Answer):
    """The newest operations."""

    items: list[Operation]


class EndpointState(Answer):
    """A configured endpoint and how it is."""

    key: str
    name: str
    role: str
    base_url: str
    accepts: str
    contact: str | None
    roads: list[str] = Field(
        description="The ways in which a report reaches it, in order; none where it asks for none."
    )
    closes_on: list[LevelWord] = Field(description="What has to be known of a report there for a loop to close.")
    allowed_differences: list[str] = Field([], description="Reviewed exceptions from what reading back may find there.")
    program: list[str] = Field([], description="What the consulting program there takes and refuses.")
    health: str = Field(description="well, failing, resting (breaker open), probing, paused or not used yet.")
    paused: bool = False
    paused_reason: str | None = None
    breaker: str = "closed"
    breaker_until: datetime | None = None
    failures: int = Field(0, description="In a row.")
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_failure: str | None = None
    last_answer: str | None = Field(
        None,
        description="What its last failure was, in words.",
        examples=["The endpoint asks for sign-in, or refuses ours."],
    )
    latencies: list[int] = Field([], description="Times of the last steps in milliseconds, newest first.")
    open_steps: int
    parked_steps: int
    oldest_due_at: datetime | None = Field(description="Since when the step that waits longest is due.")
    silent_seconds: float | None = Field(
        description="How long nothing succeeded although something is due; null while that is not long."
    )


class EndpointCheck(Answer):
    """The last check of an endpoint; `second-opinion endpoints check` says the same."""

    endpoint: str
    done_at: datetime | None = Field(None, description="When the last one was done; none: never.")
    asked_at: datetime | None = Field(None, description="Since when another one is asked for and not done.")
    found: dict[str, Any] | None = Field(
        None, description="What it found: problems, tried, writes, changed_since, config, config_yaml."
    )


class Endpoints(Answer):
    """The endpoints of the configuration."""

    items: list[EndpointState]


class Schedule(Answer):
    """What happens by the clock."""

    name: str
    seconds: int | None = Field(description="How often; empty where it goes by the time of day.")
    cron: str | None
    last_at: datetime | None
    next_at: datetime | None
    drift_seconds: float | None = Field(description="How late the last tick was claimed.")
    late_since: datetime | None = Field(description="When the tick that is missing should have come.")
    paused: bool


class Schedules(Answer):
    """The schedules of the configuration."""

    items: list[Schedule]


class Due(Answer):
    """A request whose records have to be there before a date."""

    request_id: str = Field(validation_alias="id")
    records_due_at: datetime
    records: str
    status: str
    priority: str
    placer: str
    fulfiller: str
    parked: bool = Field(description="Something of it needs a person.")


class DueColumn(Answer):
    """One column of the board."""

    number: int
    items: list[Due] = Field(description="The nearest 100.")


class Deadlines(Answer):
    """The deadlines board."""

    late: DueColumn
    risk: DueColumn
    due: DueColumn
    undated: int = Field(description="Open requests that give no date.")
    risk_hours: int = Field(description="Nearer than this, or held up by what needs a person, is at risk.")


class ClosedOn(Answer):
    """Closed loops by what was known of the report."""

    closed_read_back: int
    closed_accepted: int
    closed_handed_over: int
    closed_unverifiable: int


class Period(ClosedOn):
    """A period as a whole. Times are seconds from taking a request in."""

    days: int
    requests: int
    closed: int
    closure_rate: float | None
    records_median: float | None
    records_p90: float | None
    report_median: float | None
    report_p90: float | None


class PeriodPart(ClosedOn):
    """One day, or one week from 90 days on."""

    start: str
    requests: int
    closed: int
    records_median: float | None
    records_p90: float | None
    report_median: float | None
    report_p90: float | None


class Numbers(Answer):
    """Volume, times and loop closure."""

    counted_at: datetime = Field(description="Where there is much to count, it is not counted anew for each look.")
    summary: Period
    series: list[PeriodPart]


class Finding(Answer):
    """Something a poll found and no request holds: an order that was refused, or a poll that failed."""

    id: int
    endpoint: str | None
    severity: str
    cause: str
    path: str = Field(description="Where: reference of a resource, and path of an element.")
    message: str
    count: int = Field(description="How often it was noted.")
    state: str = Field(description="open, over, looked-at-again (a refused order, by the next polls) or given-up.")
    created_at: datetime
    last_seen_at: datetime


class Findings(Answer):
    """One page of findings that belong to no request, newest first."""

    items: list[Finding]
    next: int | None = Field(description="Give it as `after` to get the next page; null at the end.")


class Alarm(Answer):
    """Something an operator has to know, as long as it lasts."""

    rule: str
    subject: str
    message: str
    raised_at: datetime
    last_seen_at: datetime


class Alarms(Answer):
    """Open alarms, oldest first."""

    items: list[Alarm]
