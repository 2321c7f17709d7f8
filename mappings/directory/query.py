"""What is looked for in the directory: every filter, what it means for an entry that does not say, and where a page goes on."""

import re
from dataclasses import dataclass
from datetime import date

from mappings.directory.places import ZIP_CODE, state_of

MILES, MOST_MILES = 25, 500
PAGE = 25
ROADS = ("endpoint", "fhir", "direct")
_CHINESE = "zh"  # one word for several languages that are different to a patient


@dataclass(frozen=True)
class Query:
    """Filters; empty or None: any. ``zip``: five digits; ``specialties``: NUCC codes, one of them; ``language``: a primary subtag.

    ``stated_only``: without those that do not say.
    """

    name: str = ""
    specialties: tuple[str, ...] = ()
    zip: str | None = None
    miles: int = MILES
    gender: str | None = None
    language: str | None = None
    second_opinions: bool = False
    licensed_in: str | None = None
    road: str | None = None
    stated_only: bool = False

    @property
    def languages(self) -> tuple[str, ...]:
        """Primary subtags that answer the wish: who asks for Chinese gets each of its languages, and sees which."""
        if self.language is None:
            return ()
        return ("zh", "cmn", "yue") if self.language == _CHINESE else (self.language,)

    @property
    def may_be_spoken(self) -> tuple[str, ...]:
        """Words that leave open whether it is this language."""
        return (_CHINESE,) if self.language in ("cmn", "yue") else ()

    @property
    def is_empty(self) -> bool:
        """Nothing is asked for."""
        return self == Query(miles=self.miles, stated_only=self.stated_only)


@dataclass(frozen=True)
class After:
    """Where a page ended: group, miles, name and id of its last entry."""

    group: int
    miles: float
    name: str
    id: int

    def word(self) -> str:
        """As it stands in an address."""
        return f"{self.group}_{self.miles!r}_{self.id}_{self.name}"


def after_of(word: str) -> After | None:
    """None for what is no such word."""
    try:
        group, miles, id, name = word.split("_", 3)
        return After(int(group), float(miles), name, int(id))
    except ValueError:
        return None


@dataclass(frozen=True)
class Wrong:
    """A field that cannot be searched by, and a sentence."""

    field: str
    says: str


def read_zip(word: str) -> str | None | Wrong:
    """Five digits, also of ZIP+4; a sentence for anything else."""
    if not word:
        return None
    found = re.fullmatch(ZIP_CODE, word)
    return found[1] if found else Wrong("zip", f"{word[:20]!r} is no ZIP code: it has five digits, such as 98101")


def read_miles(word: str) -> int | Wrong:
    """Whole miles within the bounds; 25 when nothing is said."""
    if not word:
        return MILES
    if re.fullmatch(r"[0-9]{1,4}", word) and 1 <= int(word) <= MOST_MILES:
        return int(word)
    return Wrong("within", f"{word[:20]!r} is no distance: give whole miles from 1 to {MOST_MILES}")


def read_state(word: str) -> str | None | Wrong:
    """Two letters or the name of a state."""
    if not word:
        return None
    return state_of(word) or Wrong("licensed_in", f"{word[:40]!r} is no state: give two letters, such as MA")


def read_gender(word: str) -> str | None | Wrong:
    """https://hl7.org/fhir/R4/valueset-administrative-gender.html"""
    if not word or word in ("female", "male", "other"):
        return word or None
    return Wrong("gender", "say female, male or other")


def read_road(word: str) -> str | None | Wrong:
    """By what somebody can be reached."""
    if not word or word in ROADS:
        return word or None
    return Wrong("reached_by", f"say one of {', '.join(ROADS)}")


def is_old(day: date, today: date) -> bool:
    """The registry makes a new whole file each month: what is older than two is worth a word."""
    return (today - day).days > 62
