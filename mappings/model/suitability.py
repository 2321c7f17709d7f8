"""Should a second opinion be asked for, and here? The good reasons, what a consulting program takes, and how a request stands to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from mappings.model.checklist import Question, Said

EMERGENCY, EVERYDAY, GO_ON = "emergency", "everyday-care", "go-on"
DO_THIS_INSTEAD = (
    "Call 911, or send the patient to the nearest emergency department now. A second opinion takes days, and no request is "
    "made for an emergency"
)


class GoodReason(StrEnum):
    """Why a second opinion is worth asking for."""

    SERIOUS_DIAGNOSIS = "serious-diagnosis"
    COSTLY_OR_RISKY = "costly-or-risky"
    UNCLEAR_BENEFIT = "unclear-benefit"
    FRESH_PERSPECTIVE = "fresh-perspective"


class Requirement(StrEnum):
    """What a program wants to have from the first opinion."""

    DIAGNOSIS = "diagnosis"
    TREATING_PHYSICIAN = "treating-physician"
    PLAN = "plan-of-treatment"


@dataclass(frozen=True)
class Condition:
    """What is stated in words: a person answers whether it is met. ``key``: of these words, so that others are asked anew."""

    key: str
    words: str
    question: str


@dataclass(frozen=True)
class Program:
    """What a consulting program takes and refuses. ``says``: the page, or the person and day, that it is known from.

    Diagnoses are ICD-10 codes and ranges (``C50``, ``C15-C26``), specialties codes as requests name them.
    ``conditions`` are asked, ``notes`` are shown, ``cautions`` are said with every request. ``prefix``: of the keys of its
    questions, so that an answer about one program is none about another.
    """

    name: str
    says: str = ""
    minimum_age: int | None = None
    maximum_age: int | None = None
    requires: frozenset[Requirement] = frozenset()
    only_diagnoses: tuple[str, ...] = ()
    refused_diagnoses: tuple[str, ...] = ()
    only_specialties: tuple[str, ...] = ()
    refused_specialties: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    insurers: tuple[str, ...] = ()
    self_pay: bool = False
    in_person: bool = False
    refuses_everyday_care: bool = False
    conditions: tuple[Condition, ...] = ()
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Known:
    """What is known of a request when it is judged; None and empty: not known. ``answers``: what people said, by question."""

    birth_date: date | None = None
    has_diagnosis: bool = False
    icd10: tuple[str, ...] = ()
    all_coded: bool = False  # every diagnosis that is named has an ICD-10 code
    specialty: str | None = None
    has_physician: bool = False
    reasons: frozenset[GoodReason] = frozenset()
    answers: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why the program does not take it. ``sentence`` holds nothing of the patient: it may stand in lists and logs."""

    key: str
    sentence: str


@dataclass(frozen=True)
class Suitability:
    """How a request stands: what speaks against it, what a person has to answer, what speaks for it.

    ``program``: what somebody here wrote down; ``listed``: what the directory states of the service of the consultant, whom
    it knows. ``overridden``: a named person's word to go on all the same; never of an emergency.
    """

    program: Program | None
    refusals: tuple[Refusal, ...] = ()
    questions: tuple[Question, ...] = ()
    cautions: tuple[str, ...] = ()
    fits: tuple[str, ...] = ()
    overridden: Said | None = None
    listed: Program | None = None

    @property
    def is_emergency(self) -> bool:
        """True when somebody said so: nothing is asked, whatever anybody says."""
        return any(each.key == EMERGENCY for each in self.refusals)

    @property
    def stops(self) -> bool:
        """True when nothing may be gathered: it is refused, and nobody took it upon themselves to go on."""
        return bool(self.refusals) and (self.is_emergency or self.overridden is None)

    @property
    def told(self) -> str:
        """What the consultant is told with the request where somebody went on all the same; empty where nobody had to."""
        if self.overridden is None or not self.refusals or self.is_emergency:
            return ""
        return f"{self.message}. {self.overridden.by} asks all the same: {self.overridden.why}"

    @property
    def message(self) -> str:
        """One sentence for a step that waits: what is refused and who says so; nothing of the patient."""
        why = "; ".join(each.sentence for each in self.refusals)
        program = self.program or self.listed
        if self.is_emergency or program is None:
            return why
        says = f" (so says {program.says})" if program.says and program is self.program else ""
        return f"{program.name} does not take this request: {why}{says}"
