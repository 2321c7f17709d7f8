"""What programs send to the API: the query of an address, and JSON bodies. Unknown fields are refused."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from integration.store import bulk, numbers
from integration.store.filters import MAX_LENGTH
from mappings.model.acknowledgment import MAX_NOTE as MAX_DECISION_NOTE
from mappings.model.acknowledgment import Decision
from mappings.model.consent import MAX_NOTE as MAX_CONSENT_NOTE
from mappings.model.consent import RecordKind, Said
from mappings.model.hand_over import MAX_NAME, MAX_NOTE, ByWay
from mappings.model.private_link import DAYS, MAX_DAYS, Language, OpenedBy

PAGE, MAX_PAGE = 50, 500
ItemWord = Literal["queued", "sent", "again", "verified", "different", "missing", "waived"]  # those of ItemStatus


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a character no database keeps")
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


Clean = Annotated[str, AfterValidator(_clean)]
Reason = Annotated[
    Clean,
    Field(
        min_length=1,
        max_length=1000,
        pattern=r"\S",
        description="Why; kept in the audit trail.",
        examples=["their certificate was renewed"],
    ),
]
FilterText = Annotated[
    str, Field(max_length=MAX_LENGTH, examples=["state:parked endpoint:mercy error:timeout due:<3d"])
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepsQuery(_Input):
    """Which steps."""

    q: FilterText = Field(
        "",
        description="The filter, as in the search box of the queue page; without a state it is what needs a person. "
        "A patient is given by the keyed hash only.",
    )


class StepsPageQuery(StepsQuery):
    """Which steps, and from where on."""

    after: str | None = Field(
        None, max_length=80, description="`next` of the page before.", examples=["2026-03-01T00:00:00+00:00_4711"]
    )
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE, description="Most items on a page.", examples=[PAGE])


class ItemsQuery(_Input):
    """Which items of a delivery, and from where on."""

    status: ItemWord | None = Field(None, description="Only those.", examples=["missing"])
    after: str = Field("", max_length=300, description="`next` of the page before.", examples=["Observation/17"])
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Most items on a page.", examples=[100])


class BoardQuery(_Input):
    """Which cases, and from where on."""

    show: Literal["all", "mine", "others", "late"] = Field(
        "all", description="All, mine to do, waiting for others, or late.", examples=["mine"]
    )
    by: Literal["time", "visit"] = Field(
        "time", description="What comes first: the least time left, or the nearest visit.", examples=["visit"]
    )
    after: str | None = Field(None, max_length=120, pattern=r"^[^\x00]*$", description="`next` of the page before.")
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE, description="Most cases on a page.", examples=[PAGE])


class NumbersQuery(_Input):
    """Which period."""

    days: numbers.Period = Field("30", description="How many days, today included.", examples=["30"])


class FindingsQuery(_Input):
    """Which findings, and from where on."""

    endpoint: str | None = Field(
        None, max_length=80, pattern=r"^[^\x00]*$", description="Only those at one endpoint.", examples=["mercy"]
    )
    after: int | None = Field(None, ge=1, lt=1 << 63, description="`next` of the page before.", examples=[4711])
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE, description="Most items on a page.", examples=[PAGE])


class Search(_Input):
    """A filter that may hold patient identifiers."""

    q: FilterText = Field(
        description="The filter; `patient:` may be followed by an identifier here.", examples=["patient:00123456"]
    )


class Because(_Input):
    """An action needs a reason."""

    reason: Reason


class StepSeen(_Input):
    """A step as it was when you decided: when it has moved on since, nothing is done."""

    lease_no: int = Field(ge=0, lt=1 << 31, description="`lease_no` of the step.", examples=[3])
    status: Literal["waiting", "due", "leased", "parked", "done", "cancelled"] | None = Field(
        None, description="`status` of the step.", examples=["parked"]
    )


class OnStep(Because):
    """Why, and what you saw."""

    seen: StepSeen | None = Field(None, description="Without it the action works on the step as it stands.")


class RetryMatching(Because):
    """Retry everything that matches, in the background."""

    q: FilterText = Field(
        description="The filter; `patient:` may be followed by an identifier here. Empty: what needs a person."
    )
    expected: int = Field(
        ge=1,
        lt=1 << 53,
        description="How many you expect to match (`retryable` of `GET /api/steps/counts`). "
        "When more match now, nothing is done.",
        examples=[12],
    )
    per_second: bulk.Rate = Field(bulk.RATES[1], description="Steps made due per second.", examples=[bulk.RATES[1]])


class CancelRequest(Because):
    """Why, and what you saw."""

    seen: str | None = Field(
        None,
        max_length=40,
        description="`status` of the request when you decided; when it is another by now, nothing is done.",
        examples=["requested"],
    )


ItemName = Annotated[
    Clean, Field(max_length=1300, description="`Type/id` or `Type/id#path`.", examples=["DocumentReference/9"])
]


PersonName = Annotated[Clean, Field(max_length=MAX_NAME, examples=["Front desk, Hillside"])]


class WaiveItem(Because):
    """What to send without, and why; the consulting provider reads the reason."""

    item: ItemName
    as_it_is: bool = Field(False, description="Instead: send its bytes as they are, though their hash differs.")


class UndoWaiver(Because):
    """Whose waiver to take back."""

    item: ItemName


class AcknowledgmentBody(_Input):
    """A clinician has read the report, and what was decided."""

    revision: int = Field(ge=1, description="Which revision was read: the newest, or it is refused.", examples=[1])
    by: str = Field(max_length=MAX_NAME, description="The clinician, by name.", examples=["Dr. Alice Example"])
    at: AwareDatetime | None = Field(None, description="When. Empty: now.", examples=["2026-05-01T14:30:00Z"])
    decision: Decision = Field(description="What was decided with the patient.", examples=["keep-plan"])
    note: str = Field("", max_length=MAX_DECISION_NOTE, description="About the decision. It is clinical content.")


class PrivateLinkBody(_Input):
    """A private link for the patient: what opens it, for how many days it is good, in which language the page is."""

    opened_by: OpenedBy = Field(description="What the patient has to know.", examples=["code"])
    days: int = Field(DAYS, ge=1, le=MAX_DAYS, description="For how many days it is good.", examples=[14])
    language: Language = Field(Language.ENGLISH, description="Of the page.", examples=["es"])


class ReleaseBody(_Input):
    """The primary doctor lets the patient read the report."""

    revision: int = Field(ge=1, description="Which revision: the newest, or it is refused.", examples=[1])
    by: str = Field(max_length=MAX_NAME, description="The doctor, by name.", examples=["Dr. Alice Example"])


class ConsentBody(_Input):
    """What the patient says: given for these kinds of record and these endpoints until that day, or withdrawn."""

    said: Said = Field(description="given or withdrawn.", examples=["given"])
    seen: int | None = Field(None, description="`newest` as you read it; null when there was none.", examples=[None])
    kinds: list[RecordKind] = Field(
        list(RecordKind), description="Kinds of record that may leave. Default: all.", examples=[["notes", "results"]]
    )
    recipients: list[Annotated[str, Field(max_length=63)]] = Field(
        description="Endpoints of the request that they may leave for; empty with a withdrawal.",
        examples=[["hillside", "mercy"]],
    )
    until: date | None = Field(None, description="The last day, UTC. Null: none.", examples=["2027-06-30"])
    how: Literal["signed-form", "in-person", "by-phone"] = Field(description="How it was said.", examples=["in-person"])
    by: str = Field(max_length=MAX_NAME, description="The patient, or who speaks for them.", examples=["the patient"])
    note: str = Field("", max_length=MAX_CONSENT_NOTE, description="Such as where the signed form is kept.")


class ChecklistWord(Because):
    """What you know of an item, a question or a record of a request's checklist."""

    topic: Literal["answer", "item", "record", "checklist"] = Field(
        description="answer: to a question, by its key; item: how it stands; record: which item it belongs to; checklist: "
        "which one the request is held against.",
        examples=["item"],
    )
    key: str = Field(
        "", max_length=200, description="Key of the question, item, or Type/id.", examples=["glass-slides"]
    )
    value: str = Field(
        max_length=100,
        description="yes or no; requested, promised, waived, there or not-there; an item, or nothing; a checklist.",
        examples=["requested"],
    )


class SuitabilityAnswer(Because):
    """An answer about whether the program takes a request."""

    key: Clean = Field(
        max_length=60,
        description="The key of a question, `emergency`, or `go-on`: to ask though the program refuses.",
        examples=["go-on"],
    )
    value: Literal["yes", "no"] = Field(description="yes or no.", examples=["yes"])


_Line = Annotated[Clean, Field(max_length=200)]


class AskSource(Because):
    """What to ask of whom, and by when."""

    items: list[_Line] = Field(min_length=1, description="Items of the checklist.", examples=[["glass-slides"]])
    source: _Line = Field("", description="An endpoint; empty for another place.", examples=["hillside"])
    place: _Line = Field("", description="Another place: its name.", examples=["Mercy Hospital, pathology"])
    address: list[_Line] = Field([], description="Another place: its address, line by line.")
    fax: _Line = Field("", description="Another place: its fax number.")
    road: Literal["task", "letter"] | None = Field(None, description="Default: a Task where the source takes one.")
    what: Annotated[Clean, Field(max_length=500)] = Field(
        "", description="What else they need to know to find it. No diagnosis."
    )
    due: date = Field(description="By when it is needed.", examples=["2026-12-08"])


class SourceWord(Because):
    """What became of an ask."""

    word: Literal["sent", "promised", "rejected", "answered", "called-off"]
    after: int = Field(0, ge=0, description="`last` of the ask as you saw it.")
    on: date | None = Field(None, description="When the letter was sent, or for when it is promised.")
    by: _Line = Field("", description="Who sent the letter.")
    by_way: ByWay | None = Field(None, description="How the letter was sent.")
    note: Annotated[Clean, Field(max_length=400)] = Field("", description="What they said.")


class AskAgain(Because):
    """By when it is needed now."""

    due: date


class AddParcel(Because):
    """Something that travels by courier."""

    item: _Line = Field(description="A kind that travels by courier.", examples=["glass-slides"])
    what: _Line = Field("", description="Accession and block numbers.", examples=["S26-1234 A1-A4"])
    source: _Line = Field("", description="Whose it is.")


class MoveParcel(Because):
    """What happened to it."""

    word: str = Field(max_length=20, description="One of `next`.", examples=["shipped"])
    after: int = Field(0, ge=0, description="`last` of the thing as you saw it.")
    on: date | None = Field(None, description="Default: today.")
    by: _Line = Field(description="Who did it, by name.")
    pieces: int | None = Field(None, ge=0, le=10_000, description="How many were sent, or counted.")
    carrier: _Line = Field("", description="With whom it travels.")
    tracking: _Line = ""
    note: Annotated[Clean, Field(max_length=500)] = ""


Words = Annotated[str, Field(max_length=500)]


class PayerAsked(Because):
    """Which insurer's system is asked, about which insurance."""

    payer: str = Field(max_length=63, description="The endpoint, of role `payer`.", examples=["example-health"])
    coverage: str = Field(
        max_length=200, description="The insurance, as the placer calls it.", examples=["Coverage/45"]
    )
    service: Literal["3", "20", "21"] = Field(
        description="What it is asked as: 3 consultation, 20 second surgical opinion, 21 third surgical opinion (X12 service type).",
        examples=["3"],
    )


class CoverageEntry(_Input):
    """What an insurer said, as a person writes it down. What was not said is left out."""

    answer: Words = Field(description="covered, not-covered, conditional or unclear.", examples=["covered"])
    asked: Words = Field(
        description="What was asked, in words or as a billing code.", examples=["Second opinion visit"]
    )
    given_at: Words = Field(description="When, ISO 8601 with its zone.", examples=["2026-03-01T10:15:00-05:00"])
    insurer: Words = Field(description="Which insurer answered.", examples=["Example Health Plan"])
    person: Words | None = Field(None, description="Who answered there.")
    department: Words | None = Field(None, description="Their department.")
    phone: Words | None = Field(None, description="The number that was called.")
    called_by: Words | None = Field(None, description="Who called.")
    reference: Words | None = Field(None, description="The reference number of the call.")
    service_on: Words | None = Field(
        None, description="The day of the visit that was asked about.", examples=["2026-03-12"]
    )
    coverage: Words | None = Field(
        None, description="Which insurance, when there are several.", examples=["Coverage/45"]
    )
    authorization: Words | None = Field(
        None, description="yes, no or unknown: has it to be authorized?", examples=["yes"]
    )
    authorization_number: Words | None = Field(None, description="The number of the authorization.")
    valid_from: Words | None = Field(None, description="First day of the authorization.", examples=["2026-03-01"])
    valid_to: Words | None = Field(None, description="Last day of the authorization.", examples=["2026-05-31"])
    units: Words | None = Field(None, description="How much is authorized, as said.", examples=["2 visits"])
    network: Words | None = Field(None, description="in, out or unknown.", examples=["in"])
    required: Words | None = Field(None, description="yes, no or unknown: does the insurer require this opinion?")
    expires_on: Words | None = Field(None, description="Last day on which the answer holds.", examples=["2026-03-31"])
    note: Words | None = Field(None, description="What else was said.")
    corrects: Words | None = Field(None, description="The id of the wrong entry that this one stands for.")
    correction: Words | None = Field(None, description="What was wrong with that one.")
    version: int | None = Field(
        None, ge=1, description="Version of the request that you had before you; without it, whatever is there."
    )


class ConfirmDelivery(Because):
    """To whom a document was handed, when and how; only who and the reason where it was sent and somebody saw it there."""

    by: PersonName | None = Field(None, description="Who handed it over or saw it there. Default: who is signed in.")
    to: PersonName | None = Field(None, description="A name or an office.")
    at: AwareDatetime | None = Field(
        None, description="Not before the report existed, not in the future.", examples=["2026-05-01T14:30:00Z"]
    )
    by_way: ByWay | None = Field(None, description="How.", examples=["fax"])
    note: Annotated[Clean, Field(max_length=MAX_NOTE)] | None = Field(None, description="Nothing about the patient.")
    item: ItemName | None = Field(None, description="Which document, as the message names it; where several are open.")
    called: Annotated[Clean, Field(max_length=100)] | None = Field(
        None, description="Of a part of the request: what it is called there.", examples=["Task/9"]
    )


class SendAgain(Because):
    """Which document is not there."""

    item: ItemName | None = Field(None, description="Which document, as the message names it; where several are open.")


class ResendItem(Because):
    """Which item to look at and send again."""

    item: ItemName


class DirectoryQuery(_Input):
    """Which doctors, and from where on. No patient's data but a ZIP code."""

    name: str = Field("", max_length=100, description="Last name or its beginning; or both names.", examples=["Lopez"])
    specialty: str = Field("", max_length=100, description="In words, or a code.", examples=["Medical oncology"])
    zip: str = Field("", max_length=10, description="Distances are from here.", examples=["98101"])
    within: str = Field("", max_length=4, description="Miles; 25 when it is not given.", examples=["50"])
    gender: str = Field("", max_length=10, description="female, male or other.", examples=["female"])
    language: str = Field("", max_length=60, description="In words, or a BCP-47 tag.", examples=["es"])
    second_opinions: bool = Field(False, description="Accepts requests for second opinions.", examples=[True])
    licensed_in: str = Field("", max_length=40, description="A state.", examples=["MA"])
    reached_by: str = Field("", max_length=10, description="endpoint, fhir or direct.", examples=["endpoint"])
    stated_only: bool = Field(False, description="Without those who do not state it.", examples=[True])
    after: str = Field("", max_length=700, description="`next` of the page before.", examples=[""])
    limit: int = Field(25, ge=1, le=100, description="Most items on a page.", examples=[25])


EntryValues = Annotated[
    dict[str, str],
    Field(
        min_length=1,
        description="Field and value as typed on the page: family, given, npi, specialties, languages, gender, organization, line, "
        "city, state, postal_code, phone, licensed_in, second_opinions, accepting, endpoint, fhir_address, direct_address; "
        "an empty value is what is not known.",
        examples=[{"languages": "es, en", "second_opinions": "yes"}],
    ),
]


class DirectoryEntered(_Input):
    """A doctor whom no source knows."""

    values: EntryValues
    reason: Reason


class DirectoryCorrection(DirectoryEntered):
    """What a person knows better."""

    seen: int | None = Field(
        None, description="`revision` of the entry that you looked at: refused when it changed since.", examples=[1]
    )
