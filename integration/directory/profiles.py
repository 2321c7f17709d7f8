"""A profile of the directory, and what people enter or correct by hand, for pages, API and commands."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine

from integration.directory import zip_codes
from integration.directory.searching import ages_of, specialty_words
from integration.settings.config import Config
from integration.store import directory, directory_corrections, directory_search
from integration.store.operations import NotPossible
from integration.views.directory import Profile
from integration.views.languages import primaries, understood
from mappings.directory.places import STATES, state_of, zip_of
from mappings.practitioner import npi_is_valid
from mappings.specialties import nucc_of

LONGEST = 200
WORDS = {"yes": True, "no": False}


class NotSaid(NotPossible):
    """What was typed into fields is wrong; ``fields`` holds a sentence for each."""

    def __init__(self, fields: Mapping[str, str]):
        self.fields = dict(fields)
        super().__init__("; ".join(f"{name}: {says}" for name, says in fields.items()))


def profile(engine: Engine, entry_id: int, today: date) -> Profile:
    """All that is known of one entry. Raises NotPossible when there is none."""
    with engine.connect() as conn:
        entry = directory_search.get(conn, entry_id)
        if entry is None:
            raise NotPossible("the directory has no such entry")
        others = directory_search.others_of(conn, entry)
        corrections = [each for each in directory_search.corrections_of(conn, entry_id) if each.field in FIELDS]
        words = specialty_words(conn, entry.specialties or ())
        return Profile(entry, tuple(others), tuple(corrections), words, ages_of(conn, today))


def is_there(engine: Engine, entry_id: int) -> bool:
    """Does the directory have this entry?"""
    with engine.connect() as conn:
        return directory_search.get(conn, entry_id) is not None


def add(engine: Engine, config: Config, typed: Mapping[str, str], today: date, *, actor: str, reason: str) -> int:
    """Enter somebody by hand; the new entry. Raises NotSaid, and NotPossible when this NPI was entered already."""
    values = read(config, typed)
    if not values.get("family"):
        raise NotSaid({"family": "a doctor needs a last name"})
    zip_codes.ensure(engine)
    with engine.begin() as conn:
        source_id = values.get("npi") or f"entered-{uuid4()}"
        return directory.add(conn, source_id, values, file_on=today, actor=actor, reason=reason)


def correct(
    engine: Engine,
    config: Config,
    entry_id: int,
    typed: Mapping[str, str],
    *,
    seen: int | None,
    actor: str,
    reason: str,
) -> bool:
    """Correct fields of an entry; False when it said so already. Raises NotSaid, and NotPossible when somebody was quicker."""
    if "npi" in typed:
        raise NotSaid({"npi": "an NPI says who somebody is: it is not corrected, enter the other person instead"})
    values = read(config, typed)
    if values.get("family", "x") is None:
        raise NotSaid({"family": "a doctor needs a last name"})
    zip_codes.ensure(engine)
    with engine.begin() as conn:
        return directory_corrections.correct(conn, entry_id, values, seen=seen, actor=actor, reason=reason)


def read(config: Config, typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed as an entry holds it; an empty field is what is not known. Raises NotSaid for all mistakes at once."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, text in typed.items():
        if name not in _READ:
            wrong[name] = f"is no field of an entry: {', '.join(sorted(_READ))}"
            continue
        try:
            values[name] = _READ[name](text.strip()[:LONGEST]) if text.strip() else None
        except ValueError as error:
            wrong[name] = str(error)
    if (key := values.get("endpoint")) and key not in config.endpoints:
        wrong["endpoint"] = f"config.yaml has no endpoint {key!r}"
    if wrong:
        raise NotSaid(wrong)
    return _with_what_follows(values)


def _with_what_follows(values: dict[str, Any]) -> dict[str, Any]:
    if "languages" in values:
        values["spoken"] = list(primaries(values["languages"] or ())) or None
    if "postal_code" in values:
        values["zip"] = zip_of(values["postal_code"], values.get("country"))
    if "given" in values:
        values["given"] = values["given"] or ""
    return values


def _parts(text: str) -> list[str]:
    return [part for part in (each.strip() for each in re.split(r"[,;\n]", text)) if part]


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"say one of {', '.join(words)}")
        return text

    return read


def _yes_or_no(text: str) -> bool:
    if text not in WORDS:
        raise ValueError("say yes, no, or nothing when it is not known")
    return WORDS[text]


def _npi(text: str) -> str:
    if not npi_is_valid(text):
        raise ValueError("an NPI has ten digits, and this one fails its check digit: look at it again")
    return text


def _languages(text: str) -> list[str]:
    found = {part: understood(part) for part in _parts(text)}
    unknown = [part for part, language in found.items() if language is None]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no language that is known here: write it as Spanish, or as es")
    return list(dict.fromkeys(language.tag for language in found.values() if language))


def _specialties(text: str) -> list[str]:
    codes: dict[str, None] = {}
    for part in _parts(text):
        held = nucc_of(part) or ((part,) if re.fullmatch(r"[0-9A-Z]{9}X", part) else ())
        if not held:
            raise ValueError(
                f"{part!r} is no specialty that is known here: choose one of the list, or give its NUCC code"
            )
        codes[held[0]] = None
    return list(codes)


def _states(text: str) -> list[str]:
    found = {part: state_of(part) for part in _parts(text)}
    unknown = [part for part, state in found.items() if state is None]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no state: give two letters, such as MA")
    return [state for state in dict.fromkeys(found.values()) if state in STATES]


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://\S+", text):
        raise ValueError("must begin with https:// or http://")
    return text


def _direct(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError("must be a Direct address, such as name@direct.example.org")
    return text


def _postal(text: str) -> str:
    if zip_of(text) is None:
        raise ValueError("is no ZIP code: it has five digits, such as 98101")
    return text


_READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("family", "given", "credentials", "organization", "line", "city", "phone", "endpoint"), str),
    "npi": _npi,
    "gender": _one_of("female", "male", "other"),
    "languages": _languages,
    "specialties": _specialties,
    "state": lambda text: _states(text)[0],
    "postal_code": _postal,
    "licensed_in": _states,
    "second_opinions": _yes_or_no,
    "accepting": _yes_or_no,
    "fhir_address": _address,
    "direct_address": _direct,
}
FIELDS = tuple(_READ)
