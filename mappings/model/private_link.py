"""A patient's private link: what opens it and for how long it is good; pure, with every mistake named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

MAX_DAYS, DAYS = 90, 14
MAX_FAILURES = 10  # wrong answers in the link's lifetime; then it is closed for good
MAX_SESSIONS = 5  # open at the same time; one more closes the one that was not used for the longest
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that are read as another
CODE_LENGTH = 8


class Language(StrEnum):
    """In which the page is written. Values are BCP 47."""

    ENGLISH = "en"
    SPANISH = "es"


class OpenedBy(StrEnum):
    """What a person has to know, beside having the link."""

    BIRTH_DATE = "birth-date"
    CODE = "code"  # given to them by another way than the link


class LinkState(StrEnum):
    """How a link stands."""

    OPEN = "open"
    EXPIRED = "expired"
    REVOKED = "revoked"
    CLOSED = "closed"  # too many wrong answers


@dataclass(frozen=True)
class TypedLink:
    """What a person chose for a new link; empty where nothing."""

    opened_by: str = ""
    days: str = ""
    language: str = ""


@dataclass(frozen=True)
class Wanted:
    """A link that can be made: good for ``days`` days."""

    opened_by: OpenedBy
    days: int
    language: Language


def read_link(typed: TypedLink, *, birth_date: date | None) -> tuple[Wanted | None, Mapping[str, str]]:
    """The link, or a sentence for each field that is wrong. ``birth_date``: as the request has it."""
    wrong = {}
    if typed.opened_by not in set(OpenedBy):
        wrong["opened_by"] = f"say what opens it: {' or '.join(OpenedBy)}"
    elif typed.opened_by == OpenedBy.BIRTH_DATE and birth_date is None:
        wrong["opened_by"] = "the request has no whole birth date: choose a code"
    days = typed.days.strip() or str(DAYS)
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:4]) <= MAX_DAYS):
        wrong["days"] = f"give a whole number of days from 1 to {MAX_DAYS}"
    if (typed.language or Language.ENGLISH) not in set(Language):
        wrong["language"] = f"choose one of {', '.join(Language)}"
    if wrong:
        return None, wrong
    return Wanted(OpenedBy(typed.opened_by), int(days), Language(typed.language or Language.ENGLISH)), {}


def answer_of(opened_by: str, typed: str) -> str:
    """What is compared: a birth date as ``1960-02-29``, a code in capitals without what people write between."""
    if opened_by == OpenedBy.BIRTH_DATE:
        return f"born {typed.strip()}"
    return f"code {re.sub(r'[^A-Z0-9]', '', typed.upper())}"
