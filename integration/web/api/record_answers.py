"""What the routes about received records, medications and questions answer."""

from datetime import datetime

from pydantic import Field

from integration.web.api.answers import Answer


class ReceivedRecord(Answer):
    """A record that arrived from elsewhere: what a person said of it, and where it stands."""

    id: str
    state: str = Field(description="arrived (waits for a person), accepted, withdrawn or discarded.")
    version: int = Field(description="Give it back with what you do.")
    format: str
    size: int
    sha256: str
    source_reference: str = Field(description="What it is called in packets and deliveries.")
    uploaded_by: str
    uploaded_at: datetime
    patient_agrees: list[str] = Field(description="What of the file's patient is as the request says.")
    patient_differs: list[str] = Field(description="What is not: be sure before you accept it.")
    files_left_out: int
    kind: str | None
    dated: str | None
    author: str | None
    source: str | None
    accepted_by: str | None
    accepted_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    ended_because: str | None
    where: list[str]


class ReceivedRecords(Answer):
    """What arrived from elsewhere for a request."""

    request_id: str
    records: list[ReceivedRecord]


class ElsewhereRecord(Answer):
    """One record of another provider, as it was read there last."""

    source: str = Field(description="What it is called there.")
    source_reference: str = Field(description="What it is called in packets and deliveries.")
    what: str = Field(description="By its own words.")
    dated: str
    sent: bool


class ElsewhereRemark(Answer):
    """Something missing, cut off, unresolved or odd there."""

    cause: str
    severity: str
    message: str
    path: str


class ElsewhereSource(Answer):
    """Another provider whose records are gathered, and how that stands."""

    endpoint: str
    name: str
    state: str = Field(description="reading, waits (for a person), there or stopped.")
    cause: str = Field(description="Why a person is needed.")
    whole: bool = Field(description="False: only what it gave because it was asked.")
    named_by: str
    reason: str
    read_at: datetime | None
    ended_by: str | None
    records: list[ElsewhereRecord] = Field(description="The first 500.")
    remarks: list[ElsewhereRemark]


class ElsewhereSources(Answer):
    """Other providers that were named for a request, the newest first."""

    request_id: str
    items: list[ElsewhereSource]


class MedicationSource(Answer):
    """One record of the chart, as it says it."""

    source: str
    status: str
    dosage: str
    dated: str
    by: str


class Medication(Answer):
    """One medication, every record that names it, and what was last said of it."""

    key: str
    name: str
    stopped: bool
    said: str | None
    words: str
    sources: list[MedicationSource]


class Medications(Answer):
    """The medications of the chart. Clinical content."""

    request_id: str
    as_of: datetime | None
    list_sha256: str = Field(description="Names exactly this list; give it back with a review.")
    confirmed: bool = Field(description="Somebody went through exactly this list.")
    review: int = Field(description="The newest review; 0 for none.")
    reviewed_at: datetime | None
    reviewed_by: str | None
    informant: str | None
    medications: list[Medication]
    left_out: list[str] = Field(description="Kinds of record that the patient leaves out for who asks.")
    also: list[str]


class Questions(Answer):
    """The patient's questions in their order. Clinical content."""

    request_id: str
    version: int
    questions: list[str]
