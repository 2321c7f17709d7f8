"""What the routes about received records, medications and questions take."""

from typing import Literal

from pydantic import Field

from integration.web.api.bodies import Because


class AcceptReceived(Because):
    """Whose and what a received record is. The reason says how you know that it is this patient's."""

    version: int = Field(ge=1, le=1_000_000, description="As the list shows it.", examples=[1])
    is_this_patients: Literal[True] = Field(description="That somebody compared it and it is this patient's record.")
    kind: str = Field("", max_length=100, description="An item of the checklist.", examples=["pathology-report"])
    source: str = Field(min_length=1, max_length=300, description="Where it came from, in words.")
    author: str = Field("", max_length=300, description="Who made it, as the record says.")
    dated: str = Field("", max_length=10, description="Its date, month or year.", examples=["2026-05-30"])
    code: str = Field("", max_length=20, description="Its LOINC code, where it says one.", examples=["11526-1"])


class GatherElsewhere(Because):
    """Another provider whose records are to be gathered."""

    source: str = Field(min_length=1, max_length=100, description="The endpoint.", examples=["county-lab"])
    number: str = Field(
        "", max_length=64, description="The patient's number there, where it is known.", examples=["L-4711"]
    )
    system: str = Field(
        "", max_length=256, description="Who gives that number.", examples=["https://lab.example.org/mrn"]
    )


class ReviewMedications(Because):
    """What somebody says of the medications; what is not named was not asked about."""

    list_sha256: str = Field(max_length=64, description="The list that was gone through.")
    review: int = Field(0, ge=0, le=2**53, description="The newest review that the list showed.")
    informant: Literal["patient", "family", "practice"] = Field(description="Whose word it is.", examples=["patient"])
    taking: list[str] = Field([], max_length=2000, description="Keys of those taken as in the chart.")
    not_taking: list[str] = Field([], max_length=2000, description="Keys of those not taken.")
    differently: dict[str, str] = Field({}, description="By key: how it is taken differently, in their words.")
    also: list[str] = Field([], max_length=200, description="Taken beside them, in their words.")


class KeepQuestions(Because):
    """The patient's questions, the most important first."""

    version: int = Field(ge=1, le=1_000_000, description="Of the request that was looked at.", examples=[1])
    questions: list[str] = Field(max_length=100, examples=[["Can I wait until summer?"]])


class TakeBackReceived(Because):
    """Which record to take back: discarded before it was accepted, withdrawn wherever it went afterwards."""

    version: int = Field(ge=1, le=1_000_000, description="As the list shows it.", examples=[1])
    because: Literal["wrong-patient", "wrong-record", "replaced", "asked-to"] = Field(
        description="What the consultant is told.", examples=["wrong-patient"]
    )
