"""Directories of doctors that are read over FHIR: a section of config.yaml."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from integration.settings.parts import Cron, Key, Section
from mappings.directory.places import STATES
from mappings.specialties import NUCC


def _a_state(value: str) -> str:
    if value not in STATES:
        raise ValueError("must be the two letters of a state, such as MA")
    return value


def _a_code(value: str) -> str:
    if value not in NUCC and not (len(value) == 10 and value.isalnum() and value.endswith("X")):
        raise ValueError("must be a code of NUCC, such as 207RX0202X")
    return value


class DirectorySource(Section):
    """One directory, by the name of its endpoint."""

    profile: Literal["r4", "plan-net", "npd"] = Field(
        "r4",
        description="Whose names its search parameters have: those of FHIR R4, of Plan-Net, or CMS's own (NPD).",
        examples=["npd"],
    )
    states: tuple[Annotated[str, AfterValidator(_a_state)], ...] = Field(
        (), strict=False, description="Read these states only. Empty: all.", examples=[["MA", "NH"]]
    )
    specialties: tuple[Annotated[str, AfterValidator(_a_code)], ...] = Field(
        (), strict=False, description="Read these specialties only (NUCC). Empty: all.", examples=[["207RX0202X"]]
    )
    parameters: Mapping[Literal["state", "specialty"], str] = Field(
        default_factory=dict,
        description="Names of the parameters where they differ from the profile's.",
        examples=[{"state": "location_state"}],
    )
    sync_cron: Cron | None = Field(
        None,
        description="When it is read again by itself; five fields, UTC. Without it, when somebody presses Run now or calls the command.",
        examples=["0 4 * * sun"],
    )


class Directory(Section):
    """Where doctors are looked up (docs/how-to/directory.md)."""

    sources: Mapping[Key, DirectorySource] = Field(
        default_factory=dict, description="FHIR directories, by the name of their endpoint."
    )
