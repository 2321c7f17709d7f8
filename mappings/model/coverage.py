"""Is it covered? What an insurer said, by whom and when; what an order says of it; the insurance itself. No amounts of money.

An answer is never changed: a later one counts instead, and a wrong entry is corrected by a new one; all of them stay.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must be a time with its zone, such as 2026-03-01T10:15:00-05:00")
    return value


Instant = Annotated[datetime, AfterValidator(_with_zone)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
AnswerWord = Literal["covered", "not-covered", "conditional", "unclear"]
YesNo = Literal["yes", "no", "unknown"]
Network = Literal["in", "out", "unknown"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CoverageAnswer(_Value):
    """What an insurer answered about this second opinion, on the phone or over FHIR. What was not said stays unknown."""

    id: Line = Field(description="Its name within the request.", examples=["answer-1"])
    source: Literal["phone", "payer"] = Field(
        "phone", description="phone: a person called; payer: the insurer's own system answered.", examples=["phone"]
    )
    answer: AnswerWord = Field(description="What the insurer said.", examples=["covered"])
    asked: Line = Field(
        description="What was asked, in words or as a billing code.", examples=["Second opinion visit, oncology"]
    )
    given_at: Instant = Field(description="When the answer was given.", examples=["2026-03-01T10:15:00-05:00"])
    insurer: Line = Field(description="Who insures.", examples=["Example Health Plan"])
    person: Line | None = Field(None, description="Who answered there.", examples=["R. Example"])
    department: Line | None = Field(None, description="Their department.", examples=["Utilization management"])
    phone: Line | None = Field(None, description="The number that was called.", examples=["+1 555 0100"])
    called_by: Line | None = Field(None, description="Who called.", examples=["Nora Field"])
    reference: Line | None = Field(None, description="The call's reference number.", examples=["C-20417"])
    service_on: date | None = Field(
        None, description="The day of the visit that was asked about.", examples=["2026-03-12"]
    )
    coverage: Line | None = Field(
        None,
        description="Which insurance, when there are several: a reference at the placer.",
        examples=["Coverage/45"],
    )
    authorization: YesNo = Field(
        "unknown", description="Does the insurer want to authorize it first?", examples=["yes"]
    )
    authorization_number: Line | None = Field(None, description="Number of the authorization.", examples=["A-998"])
    valid_from: date | None = Field(None, description="First day of the authorization.", examples=["2026-03-01"])
    valid_to: date | None = Field(None, description="Last day of the authorization.", examples=["2026-05-31"])
    units: Line | None = Field(None, description="How much is authorized, as said.", examples=["2 visits"])
    network: Network = Field("unknown", description="Is the consultant in the insurer's network?", examples=["in"])
    required: YesNo = Field(
        "unknown", description="Does the insurer require this second opinion, as before some surgery?", examples=["yes"]
    )
    expires_on: date | None = Field(None, description="Last day on which the answer holds.", examples=["2026-03-31"])
    note: Line | None = Field(None, description="What else was said.", examples=["Ask again after June 1"])
    corrects: Line | None = Field(
        None, description="The id of the wrong entry that this one stands for.", examples=["answer-1"]
    )
    correction: Line | None = Field(
        None, description="What was wrong with that one.", examples=["It was about another plan"]
    )
    recorded_by: Line | None = Field(None, description="Who wrote it down here.", examples=["nora"])
    recorded_at: Instant | None = Field(
        None, description="When it was written down here.", examples=["2026-03-01T15:20:00Z"]
    )

    @model_validator(mode="after")
    def _days_in_order(self) -> "CoverageAnswer":
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("`valid_to` is before `valid_from`")
        if self.expires_on and self.expires_on < self.given_at.date():
            raise ValueError("`expires_on` is before the answer was given")
        if self.corrects and not self.correction:
            raise ValueError("say under `correction` what was wrong with the entry that this one corrects")
        return self


class OrderCoverage(_Value):
    """What an insurer wrote on the order itself in its EHR (Da Vinci CRD), one for each insurance. Codes as they stand there."""

    coverage: str | None = Field(
        None, description="Which insurance: a reference at the placer.", examples=["Coverage/45"]
    )
    covered: str | None = Field(None, description="Is it covered: a code of CRD.", examples=["covered"])
    authorization: str | None = Field(
        None, description="Is authorization needed: a code of CRD.", examples=["auth-needed"]
    )
    documentation: tuple[str, ...] = Field(
        (), description="Which documents are needed, and what for: codes of CRD.", examples=[["clinical for withpa"]]
    )
    information: tuple[str, ...] = Field(
        (), description="What the insurer has to know first: codes of CRD.", examples=[["performer"]]
    )
    reasons: tuple[str, ...] = Field(
        (), description="Why, in the insurer's words.", examples=[["The provider needs no authorization"]]
    )
    billing_codes: tuple[str, ...] = Field((), description="Billing codes for which it holds.", examples=[["99245"]])
    stated_on: date | None = Field(None, description="When the insurer said so.", examples=["2026-03-01"])
    assertion_id: str | None = Field(
        None, description="The insurer's own number of what it said.", examples=["12345ABC"]
    )
    authorization_number: str | None = Field(
        None, description="Number of the authorization that is there.", examples=["Q8U119"]
    )
    expires_on: date | None = Field(None, description="Last day on which it holds.", examples=["2026-03-31"])
    contacts: tuple[str, ...] = Field((), description="Whom to ask.", examples=[["+1 555 0100"]])
    questionnaires: tuple[str, ...] = Field(
        (),
        description="Forms that the insurer wants filled in.",
        examples=[["https://payer.example.org/Questionnaire/1"]],
    )
    not_understood: tuple[str, ...] = Field(
        (), description="Parts of it that are not carried further, by name.", examples=[["detail"]]
    )


@dataclass(frozen=True)
class Insurance:
    """One insurance of a patient, as the EHR has it. ``ends`` and ``begins`` are None where the EHR does not say."""

    reference: str
    insurer: str
    plan: str
    status: str
    begins: date | None
    ends: date | None
    relationship: str = ""
    read_at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """One answer, from wherever it came, as it is judged. ``given``: None where nobody knows when.

    ``answer`` is an AnswerWord; what an order says in another code is ``unclear``. ``wants``: what the insurer needs first.
    """

    id: str
    source: str  # phone, payer, order
    answer: AnswerWord
    given: datetime | date | None
    authorization: YesNo
    authorization_number: str | None = None
    coverage: str | None = None
    service_on: date | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    expires_on: date | None = None
    required: YesNo = "unknown"
    wants: tuple[str, ...] = ()
    corrects: str | None = None
    number: int = 0  # in the order in which they were written down

    @property
    def given_on(self) -> date | None:
        """The day, in the zone in which it was written down."""
        return self.given.date() if isinstance(self.given, datetime) else self.given


@dataclass(frozen=True)
class Stand:
    """An answer that counts, and why it cannot be relied on for the visit; empty: it can."""

    told: Told
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """How coverage stands for a visit. ``current``: the answers that count, newest first, one for each insurance.

    ``older``: id of each other answer with why it does not count. ``next``: what a person does now, None when nothing.
    """

    current: tuple[Stand, ...]
    older: dict[str, str]
    next: str | None

    @property
    def newest(self) -> Stand | None:
        """The last word; None when nobody asked."""
        return self.current[0] if self.current else None

    @property
    def required(self) -> YesNo:
        """Whether the insurer requires this opinion: yes where any answer that counts says so."""
        said = [each.told.required for each in self.current]
        return "yes" if "yes" in said else "no" if "no" in said else "unknown"
