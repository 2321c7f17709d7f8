"""What a check of an endpoint advises: whose software it is, and by which road a report reaches it with which evidence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mappings.model.profiles import Profile
from mappings.model.roads import ROADS, Level, RoadName

_SOFTWARE = {
    "epic": r"\bepic\b",
    "oracle-health": r"cerner|oracle health|millennium",
    "athenahealth": r"athena",
    "meditech": r"meditech|expanse",
    "eclinicalworks": r"eclinicalworks|healow",
    "nextgen": r"nextgen",
    "medplum": r"medplum",
    "hapi": r"\bhapi\b",
}


def guessed_profile(software: str | None) -> str | None:
    """The profile that a software name of a CapabilityStatement speaks for; None when it speaks for none. A guess: say so."""
    return next((key for key, words in _SOFTWARE.items() if software and re.search(words, software, re.I)), None)


@dataclass(frozen=True)
class Reached:
    """A road that a report would take, and the best that could be known of it; ``tried`` False: it is only said, not seen."""

    road: RoadName
    level: Level
    tried: bool


def report_road(profile: Profile, creates: bool, worked: Mapping[str, bool | None]) -> Reached:
    """The first road of a profile that is possible. ``worked``: what was tried at the endpoint, by its name."""
    for road in profile.roads:
        if road is not RoadName.FHIR_DOCUMENT:
            return Reached(road, ROADS[road].best, tried=False)
        written = worked.get("create DocumentReference")
        if written or written is None and creates:
            hidden = worked.get("read back") is False
            return Reached(road, Level.UNVERIFIABLE if hidden else Level.READ_BACK, tried="read back" in worked)
    return Reached(RoadName.DOWNLOAD, ROADS[RoadName.DOWNLOAD].best, tried=False)
