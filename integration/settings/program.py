"""What a consulting program takes and refuses, in config.yaml under its endpoint."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from integration.settings.parts import Name, Section
from mappings.model.suitability import Program as Rules
from mappings.model.suitability import Requirement

Diagnosis = Annotated[
    str, Field(pattern=r"^[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?(-[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?)?$")
]
State = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Age = Annotated[int, Field(ge=0, le=130)]


class Program(Section):
    """What the consulting program here takes and refuses: held against each request before anything is gathered."""

    name: Name | None = Field(
        None,
        description="What the program is called. Default: the endpoint's name.",
        examples=["Online second opinions"],
    )
    says: Name | None = Field(
        None,
        description="Who says so: the program's page, or whom you asked and when.",
        examples=["https://example.org/second-opinion, read 2026-10-01"],
    )
    minimum_age: Age | None = Field(
        None, description="Youngest age it takes, in years on the day of the visit.", examples=[18]
    )
    maximum_age: Age | None = Field(None, description="Oldest age it takes.", examples=[17])
    requires: tuple[Literal["diagnosis", "treating-physician", "plan-of-treatment"], ...] = Field(
        (),
        strict=False,
        description="What it wants to have. What a request does not tell is asked of a person.",
        examples=[["diagnosis", "plan-of-treatment"]],
    )
    only_diagnoses: tuple[Diagnosis, ...] = Field(
        (), strict=False, description="ICD-10 codes and ranges that it takes, and no others.", examples=[["C00-C97"]]
    )
    refused_diagnoses: tuple[Diagnosis, ...] = Field(
        (), strict=False, description="ICD-10 codes and ranges that it refuses.", examples=[["C50", "C15-C26"]]
    )
    only_specialties: tuple[Name, ...] = Field(
        (),
        strict=False,
        description="Codes of specialties, as requests name them, that it takes.",
        examples=[["394593009"]],
    )
    refused_specialties: tuple[Name, ...] = Field(
        (), strict=False, description="Codes of specialties that it refuses.", examples=[["394609007"]]
    )
    states: tuple[State, ...] = Field(
        (), strict=False, description="States in which its patients have to live.", examples=[["MA", "NH"]]
    )
    insurers: tuple[Name, ...] = Field(
        (), strict=False, description="Insurers that it accepts, in words.", examples=[["Medicare"]]
    )
    self_pay: bool = Field(False, description="It takes no insurance: patients pay themselves.", examples=[True])
    in_person: bool = Field(False, description="It sees patients in person only.", examples=[True])
    everyday_care: Literal["ask", "refuse"] = Field(
        "ask", description="What is said to be everyday care is asked about, or refused.", examples=["refuse"]
    )

    @model_validator(mode="after")
    def _some_age(self) -> "Program":
        if None not in (self.minimum_age, self.maximum_age) and (self.minimum_age or 0) > (self.maximum_age or 0):
            raise ValueError("`minimum_age` is above `maximum_age`: it would take nobody")
        return self

    def rules(self, endpoint_name: str) -> Rules:
        """As requests are held against it."""
        return Rules(
            name=self.name or endpoint_name,
            says=self.says or "",
            minimum_age=self.minimum_age,
            maximum_age=self.maximum_age,
            requires=frozenset(map(Requirement, self.requires)),
            only_diagnoses=self.only_diagnoses,
            refused_diagnoses=self.refused_diagnoses,
            only_specialties=self.only_specialties,
            refused_specialties=self.refused_specialties,
            states=self.states,
            insurers=self.insurers,
            self_pay=self.self_pay,
            in_person=self.in_person,
            refuses_everyday_care=self.everyday_care == "refuse",
        )
