"""An insurer's answer as a person types it: every mistake at once, each with its field and a sentence that says what to do."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappings.model.coverage import AnswerWord, CoverageAnswer, Network, YesNo
from mappings.model.errors import ExchangeError

WORDS = ("answer", "authorization", "network", "required")
DAYS = ("service_on", "valid_from", "valid_to", "expires_on")
LINES = (
    "asked",
    "insurer",
    "person",
    "department",
    "phone",
    "called_by",
    "reference",
    "coverage",
    "authorization_number",
    "units",
    "note",
    "corrects",
    "correction",
)
WHEN = ("given_on", "given_time", "zone", "given_at")
FIELDS = (*WORDS, *LINES, *DAYS, *WHEN)
_NEEDED = {
    "asked": "Say what you asked, in words or as a billing code: an answer without its question is worth nothing.",
    "insurer": "Say which insurer answered.",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "answer": get_args(AnswerWord),
    "authorization": get_args(YesNo),
    "network": get_args(Network),
    "required": get_args(YesNo),
}
LONGEST = 500
CLOCKS_DIFFER = timedelta(minutes=5)


class AnswerNotRight(ExchangeError):
    """What was typed is no answer that can be kept. ``mistakes``: a sentence for each field."""

    def __init__(self, mistakes: Mapping[str, str]):
        self.mistakes = dict(mistakes)
        super().__init__(" ".join(f"{field}: {words}" for field, words in self.mistakes.items()))


def read_typed(typed: Mapping[str, str], *, answer_id: str, by: str, now: datetime) -> CoverageAnswer:
    """The answer that was typed. ``now`` is aware: an answer cannot come from the future. Raises AnswerNotRight.

    The time is ``given_on``, ``given_time`` (HH:MM) and ``zone`` (America/Chicago), or ``given_at`` in ISO 8601 with its zone.
    """
    plain = {name: typed.get(name, "").strip() for name in FIELDS}
    wrong = {field: words for field, words in _NEEDED.items() if not plain[field]}
    wrong |= {name: f"Shorten it to {LONGEST} characters." for name in LINES if len(plain[name]) > LONGEST}
    chosen = _chosen(plain, wrong)
    days = {name: _day(plain[name], name, wrong) for name in DAYS}
    given = _given(plain, wrong)
    _compare(days, given, now, wrong, "given_at" if plain["given_at"] else "given_on")
    if plain["corrects"] and not plain["correction"]:
        wrong["correction"] = "Say what was wrong with the entry that this one corrects."
    if wrong or given is None:
        raise AnswerNotRight(wrong)
    lines = {name: plain[name] or None for name in LINES}
    return CoverageAnswer.model_validate(
        {"id": answer_id, "given_at": given, "recorded_by": by, "recorded_at": now, **lines, **chosen, **days}
    )


def _chosen(plain: Mapping[str, str], wrong: dict[str, str]) -> dict[str, str]:
    chosen = {}
    for name, words in _CHOICES.items():
        value = plain[name] or ("" if name == "answer" else "unknown")
        if value not in words:
            wrong[name] = f"Choose what the insurer said: {', '.join(words)}."
        chosen[name] = value
    return chosen


def _day(text: str, name: str, wrong: dict[str, str]) -> date | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    wrong[name] = "Write a day that exists, year-month-day, such as 2026-03-12."
    return None


def _given(plain: Mapping[str, str], wrong: dict[str, str]) -> datetime | None:
    if plain["given_at"]:
        return _instant(plain["given_at"], wrong)
    if not plain["given_on"]:
        wrong["given_on"] = (
            "Say on which day the insurer gave this answer: without a date nobody knows whether it still holds."
        )
        return None
    day = _day(plain["given_on"], "given_on", wrong)
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", plain["given_time"]):
        wrong["given_time"] = "Write the time of the call, such as 14:05."
        return None
    zone = _zone(plain["zone"])
    if zone is None:
        wrong["zone"] = "Choose the time zone in which that time is meant."
    if day is None or zone is None:
        return None
    hour, minute = map(int, plain["given_time"].split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


def _instant(text: str, wrong: dict[str, str]) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        wrong["given_at"] = "Write the time of the answer with its zone, such as 2026-03-01T10:15:00-05:00."
        return None
    return found


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _compare(
    days: Mapping[str, date | None], given: datetime | None, now: datetime, wrong: dict[str, str], field: str
) -> None:
    if given is not None and given.astimezone(UTC) > now + CLOCKS_DIFFER:
        wrong[field] = f"This is in the future: it is {now.astimezone(given.tzinfo):%Y-%m-%d %H:%M} there now."
    expires, begins, ends = days["expires_on"], days["valid_from"], days["valid_to"]
    if given is not None and expires is not None and expires < given.date():
        wrong["expires_on"] = "The answer would have ended before it was given: look at both days."
    if begins and ends and ends < begins:
        wrong["valid_to"] = "The authorization would end before it begins: look at both days."
