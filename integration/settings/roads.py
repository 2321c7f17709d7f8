"""How documents reach one endpoint, and on which evidence a loop closes: keys of an endpoint in config.yaml."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from integration.settings.added import added_roads
from integration.settings.parts import Name, Section
from mappings.model.roads import RoadName


def _known_road(word: str) -> str:
    if word in set(RoadName):
        return word
    added = added_roads()
    if word in added.problems:
        raise ValueError(added.problems[word])
    if word not in added.usable:
        raise ValueError(f"is no road; there are {', '.join([*map(str, RoadName), *sorted(added.usable)])}")
    return word


RoadWord = Annotated[str, AfterValidator(_known_road)]
LevelWord = Literal["read-back", "accepted", "handed-over", "unverifiable"]


Number = Annotated[
    str, BeforeValidator(lambda given: str(given) if type(given) is int else given), Field(pattern=r"^[0-9]{1,12}$")
]


class Athena(Section):
    """athenahealth's own interface for documents (docs.athenahealth.com, clinical documents): the road `vendor-rest`."""

    practice_id: Number = Field(
        description="The practice, a number in the path of its interface: `/v1/<practice_id>` on the host of `base_url`.",
        examples=["195900"],
    )
    department_id: Number = Field(description="The department in whose chart documents are filed.", examples=["1"])
    document_subclass: Literal[
        "CONSULTNOTE", "CLINICALDOCUMENT", "ADMISSIONDISCHARGE", "MENTALHEALTH", "OPERATIVENOTE", "URGENTCARE"
    ] = Field("CONSULTNOTE", description="As what a report is filed there.", examples=["CONSULTNOTE"])
    provider_id: Number | None = Field(
        None,
        description="Whose inbox there a report waits in; without it the practice's own rules decide.",
        examples=["71"],
    )


class Document(Section):
    """What the endpoint demands of a document over FHIR, where it differs from its profile."""

    formats: tuple[Name, ...] | None = Field(
        None,
        strict=False,
        description="Content types that it takes, best first; an empty list: any. Default: the profile's.",
        examples=[["application/pdf", "text/plain"]],
    )
    attachments: Literal["all", "first"] | None = Field(
        None,
        description="`first` where it keeps only the first attachment of a document: a report of several goes as several documents, or where only text is taken as one text. Default: the profile's.",
        examples=["all"],
    )
    encounter: Literal["never", "if-known", "required"] | None = Field(
        None,
        description="Whether a document has to name an encounter of the patient. Default: the profile's.",
        examples=["required"],
    )
    period: bool | None = Field(
        None, description="Whether it has to name the period of the service. Default: the profile's.", examples=[True]
    )
    doc_status: Literal["final", "preliminary"] | None = Field(
        None,
        description="Write a final report as this: `preliminary` files a draft that a clinician there signs. "
        "Default: what the report says of itself.",
        examples=["preliminary"],
    )
    finds_by_identifier: bool | None = Field(
        None,
        description="false: a search by `identifier` is ignored or refused there. Default: the profile's, else what the "
        "server says.",
        examples=[False],
    )
    encounter_choice: Literal["requester", "newest", "ask"] | None = Field(
        None,
        description="Whose encounter a document names when the order names none: the newest one of the `requester`, the "
        "`newest` one of the patient, or `ask` a person. Default: the profile's.",
        examples=["requester"],
    )
    authors: Literal["any", "own"] | None = Field(
        None,
        description="`own`: an author has to be one of its own practitioners; the consulting provider then stands in text and "
        "description. Default: the profile's.",
        examples=["own"],
    )
    not_kept: tuple[Name, ...] | None = Field(
        None,
        strict=False,
        description="Elements of a DocumentReference that it refuses or does not keep: they are not sent, and not missed when "
        "it is read back. Default: the profile's.",
        examples=[["identifier", "context.related"]],
    )
    beside: tuple[Literal["Composition", "Provenance", "Communication"], ...] | None = Field(
        None,
        strict=False,
        description="What goes beside a report over FHIR, where the server says that it takes the type: its parts in "
        "sections and codes, where it came from, and a notice that it came; an empty list: nothing. A Provenance also says where "
        "records came from that are none of the chart's own, at a consultant that takes resources. Default: the profile's.",
        examples=[["Provenance"]],
    )
    type: tuple[Name, Name] | None = Field(
        None,
        strict=False,
        description="System and code of the note type that reports are filed under there. Default: LOINC 11488-4, consult note.",
        examples=[["urn:oid:1.2.840.114350.1.13.0.1.7.4.737880.5010", "1000"]],
    )
