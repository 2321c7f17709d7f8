"""What a reader of a packet is shown first: elements of its records, each with the place where it stands. No sentence of ours.

Plain values that JSON can hold. ``source`` is ``Type/id`` where a record came from, ``at`` the element of it
(``reaction[0].manifestation``; "" is the whole record); dates are as they were sent: a year stays a year.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

VERSION = 3  # of what is made of a packet: with another one the facts of every packet are made anew


class Wrong(StrEnum):
    """Why a record is no fact: what it says of itself."""

    NONE = ""
    ENTERED_IN_ERROR = "entered-in-error"
    REFUTED = "refuted"


class Kind(StrEnum):
    """What the coverage meter counts. Each record of a packet is of one kind."""

    ALLERGIES = "allergies"
    MEDICATIONS = "medications"
    FLAGGED = "flagged"  # results that their source flags, or that are outside the range it states
    DOCUMENTS = "documents"
    CONDITIONS = "conditions"
    RESULTS = "results"
    REPORTS = "reports"
    IMAGING = "imaging"
    PROCEDURES = "procedures"
    IMMUNIZATIONS = "immunizations"
    VISITS = "visits"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Value:
    """The words of one element, and where it stands. ``cut``: there are more of them than are shown."""

    words: str
    at: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """One more thing that a record says: ``label`` names the element."""

    label: str
    value: Value


@dataclass(frozen=True, slots=True)
class Fact:
    """One record: what it is called, what else it says, and its date as it states it ("" when it states none).

    ``unread``: it is so unlike FHIR that nothing could be read of it.
    """

    source: str
    name: Value
    said: tuple[Stated, ...] = ()
    dated: str = ""
    wrong: Wrong = Wrong.NONE
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Medication:
    """One medication with every record of it; ``is_over``: each of them says that it is stopped, or not to be given."""

    name: str
    is_over: bool
    records: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Quotation:
    """Words of a report as they stand in it. ``by``: what marks them (conclusion, heading, result)."""

    source: str
    value: Value
    by: str


@dataclass(frozen=True, slots=True)
class Examination:
    """One examination with its impression; without one ``why`` says where it may stand."""

    fact: Fact
    impressions: tuple[Quotation, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Examinations:
    """The last examinations of one kind, the newest first; ``earlier``: how many there are beside them."""

    name: str
    last: tuple[Examination, ...]
    earlier: int


@dataclass(frozen=True, slots=True)
class Point:
    """One result of a course: ``number`` its digits as they came, ``low`` and ``high`` those of its range in the same unit.

    ``flags``: as their source states them; ``outside``: it is outside its range, by comparing the numbers.
    """

    source: str
    at: str
    number: str
    dated: str
    flags: str = ""
    low: str = ""
    high: str = ""
    range: str = ""
    status: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Unplotted:
    """One result of a course that is no point of it: ``why`` is a word (comparator, no-number, date, undated)."""

    source: str
    value: Value
    dated: str
    why: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """The results of one test in one unit, the oldest first; ``earlier``: how many older ones are not among them."""

    name: str
    unit: str
    points: tuple[Point, ...]
    unplotted: tuple[Unplotted, ...]
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Records of one kind and name in one year, each with its date; ``ended`` where it states an end."""

    type: str
    name: str
    dates: tuple["Dated", ...]


@dataclass(frozen=True, slots=True)
class Dated:
    """When something was, as its record states it, and where."""

    source: str
    at: str
    dated: str
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Year:
    """What is dated in one year, the newest first."""

    year: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One record that differs from what an earlier packet held. ``what``: new, corrected, withdrawn; ``elements``: which differ."""

    source: str
    name: str
    what: str
    elements: tuple[str, ...] = ()
    why: str = ""


class Asked(StrEnum):
    """What a record could not be asked, because it is not as FHIR has it."""

    WRONG = "wrong"  # whether its source says that it is an error
    FLAG = "flag"
    CANCER = "cancer"  # whether it is a stage or a tumor marker
    TREND = "trend"
    DAY = "day"
    EXAMINATION = "examination"
    LINE = "line"  # what to show of it at all


@dataclass(frozen=True, slots=True)
class Trouble:
    """One record of which something could not be read: it counts as if that were not so, and the page names it."""

    source: str
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the packet before; ``earlier_at``: when that was gathered, "" for the first one. ``counts`` by what."""

    earlier_at: str
    counts: dict[str, int]
    listed: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What is dated after the first opinion was given; ``unclear``: dated so that nobody can tell."""

    given_on: str
    counts: dict[str, int]
    listed: tuple[Fact, ...]
    unclear: int


@dataclass(frozen=True, slots=True)
class Count:
    """Of one kind: all records of it in the packet are ``shown`` on the page or ``listed`` beside it."""

    kind: Kind
    shown: int
    listed: int

    @property
    def all(self) -> int:
        """In the packet."""
        return self.shown + self.listed


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One reading of a request's packets together. ``rest``: every record that none of the facts shows, by kind."""

    packet_id: str
    version: int
    gathered_at: str
    diagnoses: tuple[Fact, ...]
    stages: tuple[Fact, ...]
    markers: tuple[Fact, ...]
    allergies: tuple[Fact, ...]
    medications: tuple[Medication, ...]
    said_of_medications: tuple[Fact, ...]  # by the patient or the practice, not by the chart
    examinations: tuple[Examinations, ...]
    studies: tuple[Fact, ...]
    trends: tuple[Trend, ...]
    flagged: tuple[Fact, ...]  # flagged results that are in no trend
    documents: tuple[Fact, ...]
    years: tuple[Year, ...]
    earlier_events: int  # dated ones that are on no line
    undated: tuple[Fact, ...]
    wrong: tuple[Fact, ...]  # entered in error or refuted: shown as such, never as facts
    changes: Changes
    since: Since | None
    waived: tuple[Change, ...]  # what is not in the packet because somebody said to send without it
    rest: dict[Kind, tuple[Fact, ...]]
    counts: tuple[Count, ...]
    troubles: tuple[Trouble, ...] = ()  # records of which something could not be read; the beginning of them
    troubled: int = 0  # how many there are

    def with_beginnings(self, kinds: Collection[Kind], most: int) -> "KeyFacts":
        """The same with at most so many lines of each list, and none of other kinds; ``counts`` still say how many there are."""
        return replace(self, rest={kind: self.rest[kind][:most] if kind in kinds else () for kind in Kind})
