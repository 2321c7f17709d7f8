"""A second opinion request, as people enter it and as every mapping reads it."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from mappings.model.coverage import CoverageAnswer, OrderCoverage

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Priority = Literal["routine", "urgent", "asap"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Identifier(_Value):
    """A business identifier; always with its system."""

    system: Text = Field(description="Who gives it, as a URI.", examples=["https://clinic.example.org/mrn"])
    value: Text = Field(description="The identifier itself; in quotes when it is only digits.", examples=["00123456"])

    def token(self) -> str:
        """The FHIR search token ``system|value``."""
        return f"{self.system}|{self.value}"


class Code(_Value):
    """One coding; ``display`` is only ever shown, never compared."""

    system: Text = Field(description="Code system, as a URI.", examples=["http://snomed.info/sct"])
    code: Text = Field(description="The code; in quotes when it is only digits.", examples=["394593009"])
    display: str | None = Field(None, description="What the code means, for people.", examples=["Medical oncology"])


class HumanName(_Value):
    """A person's name as given."""

    family: Text = Field(description="Family name.", examples=["Example"])
    given: tuple[Text, ...] = Field((), description="Given names, first name first.", examples=[["Alice", "B."]])


class PatientRef(_Value):
    """The patient: at least one identifier the placer's EHR knows; the rest helps to match, never to guess."""

    identifiers: tuple[Identifier, ...] = Field(
        min_length=1,
        description="Numbers the placer's EHR knows the patient by (MRN first).",
        examples=[[{"system": "https://clinic.example.org/mrn", "value": "00123456"}]],
    )
    name: HumanName | None = Field(None, description="Name, to confirm the match.")
    birth_date: date | None = Field(None, description="Date of birth, to confirm the match.", examples=["1961-04-12"])
    sex: Literal["male", "female", "other", "unknown"] | None = Field(
        None, description="Administrative sex, to confirm the match.", examples=["female"]
    )


class PractitionerRef(_Value):
    """A clinician, by identifier (NPI first) or, where there is none, by name only."""

    identifiers: tuple[Identifier, ...] = Field(
        (),
        description="Identifiers, NPI first.",
        examples=[[{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}]],
    )
    name: HumanName | None = Field(None, description="Name; needed when there is no identifier.")
    specialty: Code | None = Field(None, description="Specialty.")
    organization: "OrganizationRef | None" = Field(None, description="Where they work.")

    @model_validator(mode="after")
    def _someone(self) -> "PractitionerRef":
        if not self.identifiers and self.name is None:
            raise ValueError("give an identifier (NPI) or a name")
        return self


class OrganizationRef(_Value):
    """An organization by identifier or name."""

    identifiers: tuple[Identifier, ...] = Field((), description="Identifiers, NPI first.")
    name: str | None = Field(
        None, description="Name; needed when there is no identifier.", examples=["Hillside Family Practice"]
    )

    @model_validator(mode="after")
    def _something(self) -> "OrganizationRef":
        if not self.identifiers and not self.name:
            raise ValueError("give an identifier or a name")
        return self


class Diagnosis(_Value):
    """The first opinion's diagnosis: codes where known, always words."""

    text: Text = Field(description="The diagnosis in words.", examples=["Stage III colon cancer"])
    codes: tuple[Code, ...] = Field(
        (),
        description="Its codes, where known.",
        examples=[[{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C18.7"}]],
    )


class EarlierOpinions(_Value):
    """What the patient said about the earlier opinions of the case: do they go along to who is asked now?"""

    answer: Literal["yes", "no"] = Field(
        description="`yes`: the earlier consultants' reports are sent along; `no`: none is.", examples=["yes"]
    )
    said_by: Text = Field(
        max_length=200,
        description="Who said so: the patient, or who may speak for them.",
        examples=["the patient"],
    )
    said_on: date = Field(description="On which day.", examples=["2025-05-02"])


class FirstOpinion(_Value):
    """Who gave the first opinion, and what it was."""

    doctor: PractitionerRef | None = Field(
        None, description="Who gave it. Only the order of an EHR (`service_request`) may leave it open."
    )
    diagnosis: Diagnosis = Field(description="What it was.")
    given_on: date | None = Field(None, description="When.", examples=["2025-02-20"])


class RecordsWanted(_Value):
    """Which records travel. Empty ``types`` means every type the Exchange gathers."""

    types: tuple[Text, ...] = Field(
        (),
        description="FHIR resource types. Empty: every type the Exchange gathers.",
        examples=[["Condition", "DiagnosticReport", "ImagingStudy"]],
    )
    since: date | None = Field(None, description="Nothing older than this. Empty: everything.", examples=["2020-01-01"])


class SecondOpinionRequest(_Value):
    """What one clinician asks another about a patient already assessed.

    Endpoint names (``placer``, ``fulfiller``) are those of config.yaml. ``key`` makes the request idempotent:
    the same key twice is the same request. https://hl7.org/fhir/R4/servicerequest.html
    """

    key: Text = Field(
        description="Your own name for this request; the same key twice is the same request.",
        examples=["hillside-2025-0042"],
    )
    placer: Text = Field(description="Endpoint that asks (a name from config.yaml).", examples=["hillside"])
    fulfiller: Text = Field(
        description="Endpoint that answers (a name from config.yaml).", examples=["university-hospital"]
    )
    patient: PatientRef = Field(description="Who it is about.")
    requester: PractitionerRef | None = Field(
        None,
        description="The clinician who asks. Needed; only the order of an EHR (`service_request`) may leave it open.",
    )
    first_opinion: FirstOpinion | None = Field(
        None,
        description="The opinion there is. Needed; only the order of an EHR (`service_request`) may leave it open.",
    )
    question: Text | None = Field(
        None,
        description="What the second opinion should answer. Needed; only the order of an EHR (`service_request`) may "
        "leave it open.",
        examples=["Is adjuvant chemotherapy indicated?"],
    )
    reasons: tuple[Code, ...] = Field((), description="Coded reasons for the request.")
    specialty: Code | None = Field(None, description="Specialty asked. A specialty or a consultant is needed.")
    consultant: PractitionerRef | None = Field(None, description="The person asked, when it is a certain one.")
    priority: Priority = Field(
        "routine", description="How soon. `stat` is refused: the Exchange is not for emergencies.", examples=["routine"]
    )
    authored_at: str | None = Field(
        None,
        description="When it was written: ISO 8601 with zone, as the placer says it; unknown stays unknown.",
        examples=["2025-03-03T09:30:00+01:00"],
    )
    wanted_by: date | None = Field(None, description="When the opinion is needed.", examples=["2025-04-01"])
    patient_questions: tuple[Text, ...] = Field(
        (), description="Questions of the patient, in their own words.", examples=[["Can I wait until summer?"]]
    )
    records: RecordsWanted = Field(RecordsWanted(), description="Which records travel.")
    consent: str | None = Field(
        None, description="The patient's consent: a reference at the placer.", examples=["Consent/123"]
    )
    coverage: tuple[str, ...] = Field(
        (), description="Insurance: references at the placer.", examples=[["Coverage/45"]]
    )
    order_coverage: tuple[OrderCoverage, ...] = Field(
        (),
        description="What an insurer wrote on the order in its EHR. Read from the order, and kept when the request is corrected.",
    )
    coverage_answers: tuple[CoverageAnswer, ...] = Field(
        (),
        description="What insurers answered (`second-opinion coverage record`). Only ever added to: a correction of the request "
        "keeps them.",
    )
    service_request: str | None = Field(
        None, description="The placer's own order, when it has one: a reference there.", examples=["ServiceRequest/9"]
    )
    placer_order: Identifier | None = Field(
        None,
        description="The placer's number of its own order, where that came as an HL7 v2 message; it may then leave open what "
        "`service_request` may.",
        examples=[{"system": "https://clinic.example.org/orders", "value": "A-4711"}],
    )
    follows: Text | None = Field(
        None,
        max_length=64,
        description="The earlier request of the same case, by its id: this one asks another doctor about the same matter. "
        "`second-opinion requests list` and the pages show ids.",
        examples=["ref9af8b2598854e39dc6"],
    )
    requisition: Identifier | None = Field(
        None,
        description="The placer's number that several requests of one patient share: those that have it are one case.",
        examples=[{"system": "https://clinic.example.org/requisitions", "value": "R-118"}],
    )
    earlier_opinions: EarlierOpinions | None = Field(
        None,
        description="What the patient said about sending the earlier opinions along. Without it they do not travel.",
    )
    opinion_number: int = Field(default=2, ge=2, description="2 for a second opinion, 3 for a third.", examples=[2])

    @property
    def order(self) -> str:
        """What the order of an EHR is called there, as a sentence may hold it; empty when a person entered the request."""
        return self.service_request or (f"order {self.placer_order.value}" if self.placer_order else "")

    @field_validator("priority", mode="before")
    @classmethod
    def _not_for_emergencies(cls, value: object) -> object:
        if value == "stat":
            raise ValueError(
                "stat is refused: the Exchange is not for emergencies. Call the consultant, "
                "or send the patient to emergency care; then ask with priority asap, urgent or routine."
            )
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _who_enters_it_says_it(cls, data: Any, check: Any) -> "SecondOpinionRequest":
        """An EHR's order is taken in as it is, and a person is asked; a person who enters a request is asked at once."""
        left_out = [_missing(path, data) for path in _left_open(data)] if isinstance(data, Mapping) else []
        try:
            made = check(data)
        except ValidationError as error:
            left_out += [_again(each) for each in error.errors(include_url=False)]
        if left_out:
            raise ValidationError.from_exception_data(cls.__name__, left_out)
        return made

    @model_validator(mode="after")
    def _someone_to_ask(self) -> "SecondOpinionRequest":
        if self.specialty is None and self.consultant is None and not self.order:
            raise ValueError("name a specialty or a consultant")
        if self.placer == self.fulfiller:
            raise ValueError("placer and fulfiller are the same endpoint")
        return self

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the first doctor says the patient has; None where no first opinion is stated."""
        return self.first_opinion.diagnosis if self.first_opinion else None

    @property
    def earlier_travel(self) -> bool:
        """Whether the earlier opinions of the case go along. Unknown is not yes."""
        return self.earlier_opinions is not None and self.earlier_opinions.answer == "yes"


def unknown_parts(request: SecondOpinionRequest) -> tuple[str, ...]:
    """What the order of an EHR does not tell and a person is asked for, in words; none of a request that a person entered."""
    first = request.first_opinion
    parts = {
        "the question": request.question is None,
        "who asks": request.requester is None,
        "the first opinion": first is None,
        "who gave the first opinion": first is not None and first.doctor is None,
        "which specialty or consultant is asked": request.specialty is None and request.consultant is None,
    }
    return tuple(words for words, is_unknown in parts.items() if is_unknown)


def _left_open(data: Mapping) -> Iterator[tuple[str, ...]]:
    """What nobody said who enters a request; an order of an EHR may leave it open."""
    if data.get("service_request") is not None or data.get("placer_order") is not None:
        return
    for name in ("requester", "first_opinion", "question"):
        if data.get(name) is None:
            yield (name,)
    first = data.get("first_opinion")
    if isinstance(first, Mapping) and first.get("doctor") is None:
        yield ("first_opinion", "doctor")


def _missing(path: tuple[str, ...], data: Mapping) -> Any:
    return (
        {"type": "string_type", "loc": path, "input": None}
        if path[0] in data and len(path) == 1
        else {
            "type": "missing",
            "loc": path,
            "input": data,
        }
    )


def _again(error: Any) -> Any:
    return {name: error[name] for name in ("type", "loc", "input", "ctx") if name in error}


PractitionerRef.model_rebuild()
