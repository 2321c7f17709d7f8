"""Which records a second opinion needs: the shape of a checklist, of what fulfils it, and of how it stands.

A checklist is data (mappings/checklists), never code: a hospital overlays it. https://hl7.org/fhir/R4/list.html has nothing for
"missing", so the states are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class State(StrEnum):
    """How one item of a checklist stands on the day of the visit."""

    FOUND = "found"
    STALE = "stale"  # there, older than the rule allows
    PARTIAL = "partial"  # there, a part of it is not
    MISSING = "missing"
    REQUESTED = "requested"  # missing, and asked of its source
    PROMISED = "promised"  # missing, and said to be on its way
    WAIVED = "waived"  # a named person said to go without it
    NOT_APPLICABLE = "not-applicable"
    UNKNOWN = "unknown"  # a person has to answer a question first


class Images(StrEnum):
    """Whether the pictures of a scan are wanted beside its report; consultants differ, and it is theirs to say."""

    REQUIRED = "required"  # both: one without the other is incomplete
    REPORT_ONLY = "report_only"  # the report is enough, and pictures alone are not
    EITHER = "either"  # one of them is enough


OPEN = frozenset({State.STALE, State.PARTIAL, State.MISSING, State.REQUESTED, State.PROMISED, State.UNKNOWN})


class Need(StrEnum):
    """How much a rule asks for its item; any other word in a rule's ``need`` names a condition."""

    REQUIRED = "required"
    IF_DONE = "if_done"  # required when it happened, which evidence or a person says
    IF_AVAILABLE = "if_available"  # sent when it is there, never missed
    IF_ASKED = "if_asked"  # required when the consultant asked for it


@dataclass(frozen=True)
class Matcher:
    """What one kind of record looks like in FHIR: everything that is given has to hold, any one of its values.

    ``loinc``: codes of ``code`` or ``type``; ``categories``: codes of ``category``; ``modalities``: DICOM; ``words``: at the
    beginning of words of its names; ``has``: elements that are there; ``content_types``: beginnings of a document's type; ``icd10``: codes of a
    diagnosis, or ranges of them.
    """

    type: str
    loinc: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    icd10: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One thing that has to be among an item's records: any of its codes tells that it is."""

    name: str
    loinc: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Kind:
    """A kind of record: what clinicians and patients (``plain_es``: in Spanish) call it, and what it looks like.

    ``words``: what its name says where it has one; ``images``: the pictures that belong to it; ``panel``: codes that stand for
    all ``parts``; ``weak``: what alone is only a part of it; ``events``: what happened when there should be one; ``event``: the question about that.
    ``is_disc``: pictures on a disc, needless where pictures are not wanted; ``ask``: what a letter to its source asks for, beside the
    label; ``lead_days``: business days from asking until it is there.
    """

    key: str
    label: str
    plain: str
    plain_es: str = ""
    matchers: tuple[Matcher, ...] = ()
    words: tuple[str, ...] = ()
    images: tuple[Matcher, ...] = ()
    panel: frozenset[str] = frozenset()
    parts: tuple[Part, ...] = ()
    weak: tuple[Matcher, ...] = ()
    weak_reason: str = ""
    events: tuple[Matcher, ...] = ()
    event: str = ""
    by_courier: bool = False
    is_disc: bool = False
    ask: str = ""
    lead_days: int = 5


@dataclass(frozen=True)
class Condition:
    """When a conditional rule holds: by the codes of a diagnosis, by age, else by one question to a person."""

    key: str
    question: str = ""
    icd10: tuple[str, ...] = ()  # ``C22`` or ``C15-C26``
    not_icd10: tuple[str, ...] = ()
    below_age: int | None = None


@dataclass(frozen=True)
class Rule:
    """One line of a checklist. ``months``: how old the newest may be at the visit, None for any age."""

    kind: str
    need: str
    months: int | None = None
    images: Images = Images.REPORT_ONLY
    all: bool = False
    min_count: int = 1
    parts: tuple[Part, ...] = ()
    body: tuple[str, ...] = ()
    unless: str | None = None
    note: str = ""
    sources: tuple[str, ...] = ()
    basis: str = ""


@dataclass(frozen=True)
class Checklist:
    """What a second opinion of one kind needs. ``nucc``, ``icd10``: specialties and diagnoses it is for."""

    key: str
    title: str
    rules: tuple[Rule, ...]
    nucc: frozenset[str] = frozenset()
    icd10: tuple[str, ...] = ()
    extends: str | None = None
    red_flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A public page that asks for an item."""

    what: str
    url: str


@dataclass(frozen=True)
class Catalog:
    """All checklists of this site, under one version and one hash of all bytes they were read from."""

    version: str
    sha256: str
    kinds: Mapping[str, Kind]
    conditions: Mapping[str, Condition]
    checklists: Mapping[str, Checklist]
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """What a person said of an item or to a question, and when; the newest counts.

    ``what``: yes, no (answers), requested, promised, waived, there, not-there (of an item).
    """

    what: str
    by: str
    at: datetime
    why: str = ""


@dataclass(frozen=True)
class Asked:
    """What a request to a source says of an item now, ``at`` its last news: REQUESTED, PROMISED, or MISSING where that came to nothing."""

    state: State
    reason: str
    at: datetime


@dataclass(frozen=True)
class Tracked:
    """How the things of a kind that travel by courier count together (mappings/model/parcel.py), as of the last news."""

    state: State
    reasons: tuple[str, ...]
    at: datetime


@dataclass(frozen=True)
class Facts:
    """What people said: answers by question, words by item, and records that somebody put under an item.

    ``asked``, ``tracked``: by kind, what was asked of a source and what travels by courier.
    """

    answers: Mapping[str, Said] = field(default_factory=dict)
    items: Mapping[str, Said] = field(default_factory=dict)
    assigned: Mapping[str, str] = field(default_factory=dict)  # Type/id at the source -> kind, "" for none
    learned: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (system, code) of the source's own -> kind
    asked: Mapping[str, Asked] = field(default_factory=dict)
    tracked: Mapping[str, Tracked] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """A record that speaks for an item: where it is, why it matched, its day, and what a person who may see it calls it."""

    source: str
    why: str
    day: date | None
    is_partial_date: bool = False
    is_preliminary: bool = False
    name: str = field(default="", repr=False)


@dataclass(frozen=True)
class Question:
    """Asked of a person once; the answer is remembered under its key."""

    key: str
    text: str


@dataclass(frozen=True)
class Item:
    """How one rule stands: the state, why, on what evidence, and what a person may answer."""

    rule: Rule
    kind: Kind
    state: State
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    question: Question | None = None

    @property
    def is_open(self) -> bool:
        """Somebody still has something to do."""
        return self.state in OPEN
