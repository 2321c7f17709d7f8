"""Roads, by which a document gets into a system, and levels, what is known afterwards: each word once, with what it means."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class RoadName(StrEnum):
    """One way to get a document into a system; the words of ``roads`` in config.yaml."""

    FHIR_DOCUMENT = "fhir-document"
    VENDOR_REST = "vendor-rest"
    HL7V2 = "hl7v2"
    HOSTED = "hosted"
    DOWNLOAD = "download"


class Level(StrEnum):
    """What is known of a document after it was sent; the words of ``closes_on`` in config.yaml."""

    READ_BACK = "read-back"
    ACCEPTED = "accepted"
    HANDED_OVER = "handed-over"
    UNVERIFIABLE = "unverifiable"


LEVELS: dict[Level, str] = {
    Level.READ_BACK: "Found there and compared with what was sent",
    Level.ACCEPTED: "The receiving application said that it accepted it; it was not read back",
    Level.HANDED_OVER: "A named person says that it was handed over",
    Level.UNVERIFIABLE: "Sent; we may not read there, so nobody knows that it can be found",
}
# A loop closes on what was seen, or on a person's word; never on silence, unless the configuration says so.
DEFAULT_CLOSES_ON = (Level.READ_BACK, Level.HANDED_OVER)


def lowest(levels: Iterable[Level]) -> Level:
    """What is known of several together: no more than of the one of which least is known; of none there is nothing to know."""
    return max(levels, key=list(Level).index, default=Level.READ_BACK)


@dataclass(frozen=True)
class RoadFacts:
    """``best``: the highest level that it can reach. ``sends`` is False where a person carries the document."""

    words: str
    best: Level
    sends: bool = True


ROADS: dict[RoadName, RoadFacts] = {
    RoadName.FHIR_DOCUMENT: RoadFacts("a DocumentReference over FHIR", Level.READ_BACK),
    RoadName.VENDOR_REST: RoadFacts("the vendor's own interface for documents", Level.READ_BACK),
    RoadName.HL7V2: RoadFacts("an HL7 v2 document message (MDM) to the interface engine", Level.ACCEPTED),
    RoadName.HOSTED: RoadFacts("a hosted endpoint of ours that stands in for the system", Level.READ_BACK),
    RoadName.DOWNLOAD: RoadFacts("a file that a person downloads and hands over", Level.HANDED_OVER, sends=False),
}


def facts_of(word: str) -> RoadFacts:
    """Of one of ours; of a road that a site adds nothing is known."""
    return ROADS[RoadName(word)] if word in ROADS else RoadFacts(f"{word}, a road of this site", Level.UNVERIFIABLE)
