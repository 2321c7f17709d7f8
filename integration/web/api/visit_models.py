"""What the API takes and answers about the visit of a request."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from integration.web.api.answers import Answer
from integration.web.api.bodies import Because, Clean


class VisitChange(Because):
    """What became of a visit; an appointment that is offered is linked by `endpoint` and `reference`."""

    change: Literal["booked", "rescheduled", "cancelled", "no-show", "completed"] = Field(
        "booked", description="What became of it.", examples=["booked"]
    )
    version: int | None = Field(
        None, ge=0, description="The version you saw; 0 for none. Default: whatever it is.", examples=[0]
    )
    start: AwareDatetime | None = Field(
        None, description="When it begins, with an offset.", examples=["2027-01-14T14:30:00-06:00"]
    )
    end: AwareDatetime | None = Field(None, description="When it ends.", examples=["2027-01-14T15:30:00-06:00"])
    zone: str | None = Field(
        None,
        max_length=60,
        description="Zone in which people read it. Default: the practice's.",
        examples=["America/Chicago"],
    )
    place: Annotated[Clean, Field(max_length=200)] = Field(
        "", description="Where; it stands in the patient's calendar.", examples=["200 Main Street"]
    )
    with_whom: Annotated[Clean, Field(max_length=200)] = Field("", description="With whom.")
    told_by: Annotated[Clean, Field(max_length=200)] = Field(
        "", description="Who said so.", examples=["Scheduling desk"]
    )
    endpoint: str | None = Field(None, max_length=63, description="Where the appointment to link was found.")
    reference: str | None = Field(
        None, max_length=80, description="The appointment to link.", examples=["Appointment/9"]
    )
    cancelation: Literal["pat", "prov", "meds-inc", "other"] | None = Field(
        None, description="Why it is canceled; `meds-inc`: the records were not there.", examples=["meds-inc"]
    )
    confirm: tuple[Literal["records", "closed"], ...] = Field(
        (), strict=False, description="What is set aside, with the reason.", examples=[["records"]]
    )


class VisitVersion(Answer):
    """What became of a visit, and when: one of its versions."""

    version: int
    change: str
    status: str
    known: str = Field(description="by-hand, found or booked-over-fhir.")
    start_at: datetime
    end_at: datetime | None
    zone: str
    when: str = Field(description="The start as people read it, in its zone.")
    place: str
    with_whom: str
    endpoint: str | None
    reference: str | None = Field(description="What it is called there.")
    told_by: str
    cancelation: str | None
    confirmed: list[str] = Field(description="What a person set aside: records, closed.")
    actor: str
    reason: str
    created_at: datetime


class VisitItem(Answer):
    """An item that is still needed, and by when."""

    label: str
    state: str
    lead_days: int = Field(description="Business days before the visit.")
    lead_why: str
    due_at: datetime | None
    standing: str | None = Field(description="ok, at-risk, late or breached; null without a visit.")


class VisitOffer(Answer):
    """An appointment that an EHR shows; a person links it."""

    endpoint: str
    reference: str
    status: str
    start_at: datetime
    end_at: datetime | None
    place: str
    with_whom: str
    read_at: datetime


class Booked(Answer):
    """A free time that somebody chose, and what became of it."""

    id: int
    endpoint: str
    slot: str
    start_at: datetime
    end_at: datetime | None
    status: str = Field(description="asked, pending, booked, taken, refused, canceling, canceled or set-aside.")
    why: str | None = Field(description="Why it stands so, in a word.")
    detail: str | None = Field(description="Status and codes of an answer that refuses.")
    reference: str | None = Field(description="The Appointment there.")
    actor: str
    reason: str
    created_at: datetime
    changed_at: datetime


class FreeTimesAsked(BaseModel):
    """From which day on."""

    model_config = ConfigDict(extra="forbid")

    since: date | None = Field(
        None, description="The first day. Default: the first that has every record in time.", examples=["2027-01-14"]
    )


class FreeTimeAnswer(Answer):
    """A time that can be booked now."""

    slot: str
    start_at: datetime
    end_at: datetime | None
    when: str = Field(description="In the zone of the practice.")
    when_for_patient: str | None = Field(description="Where the patient is; null where that zone is not known.")
    with_whom: str
    place: str
    kind: str
    warnings: dict[str, str] = Field(description="What has to be confirmed to have it: records, closed.")


class FreeTimesAnswer(Answer):
    """Free times as the consulting provider's server shows them now; none of it is kept."""

    endpoint: str
    since: date
    zone: str
    patient_zone: str | None
    more: bool = Field(description="There are later ones: ask from a later day.")
    times: list[FreeTimeAnswer]


class TimeChosen(Because):
    """A free time to be booked; the server is asked by a step."""

    slot: str = Field(max_length=80, description="The time, as it was shown.", examples=["Slot/9"])
    start: AwareDatetime = Field(
        description="When it begins, as it was shown: at no other time anything is booked.",
        examples=["2027-01-14T14:30:00-06:00"],
    )
    version: int | None = Field(
        None, ge=0, description="The version of the visit you saw; 0 for none. Default: whatever it is.", examples=[0]
    )
    confirm: tuple[Literal["records", "closed"], ...] = Field(
        (), strict=False, description="What is set aside, with the reason.", examples=[["records"]]
    )


class Visit(Answer):
    """The visit of a request, and what is owed for it."""

    request_id: str
    visit: str
    version: int = Field(description="Of the visit; give it back with a change.")
    zone: str
    calendar_known: bool = Field(description="False: config.yaml has no calendar for the consultant.")
    current: VisitVersion | None
    records: str
    records_due_at: datetime | None
    standing: str | None = Field(description="there, ok, at-risk, late or breached; null without a visit.")
    lead_days: int
    lead_why: str
    slowest: str | None
    records_there_at: datetime = Field(description="When all that is needed is there, if it begins now.")
    earliest_visit: date = Field(description="The first day of a visit with everything there in time.")
    checklist: str
    questions_open: int
    owed: list[VisitItem]
    offered: list[VisitOffer]
    bookings: list[Booked] = Field(description="Free times that were chosen, oldest first.")
    history: list[VisitVersion]
