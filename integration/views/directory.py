"""Entries of the directory as pages, API and commands show them. What is not stated is None, and said so; never no."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from integration.store.directory_search import NO_PLACE, STATED, Correction, EntryRow, Found
from integration.store.zip_points import Place
from integration.views.languages import words_for
from mappings.directory.places import STATES
from mappings.directory.query import Query
from mappings.directory.services import Service, in_words
from mappings.directory.spelling import spelled
from mappings.specialties import NUCC

GROUPS = {0: "stated", 1: "not-stated", 2: "no-place"}


@dataclass(frozen=True)
class Results:
    """What was found. ``wrong``: fields that cannot be searched by, by name; then nothing was looked for.

    ``notes``: what to know of these results; ``why_none``: the reason when there are none.
    """

    query: Query
    found: tuple[Found, ...] = ()
    next: str | None = None
    wrong: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    why_none: str = ""
    specialties: Mapping[str, str] = field(default_factory=dict)  # words for the codes that are shown
    ages: Mapping[str, str] = field(default_factory=dict)  # of each source, in words
    place: Place | None = None


@dataclass(frozen=True)
class Profile:
    """One entry with all that is known about it."""

    entry: EntryRow
    others: tuple[EntryRow, ...]
    corrections: tuple[Correction, ...]
    specialties: Mapping[str, str]
    ages: Mapping[str, str]


def name_of(entry: EntryRow) -> str:
    """``Ana O'Brien, M.D.``"""
    name = f"{spelled(entry.given)} {spelled(entry.family)}".strip()
    return f"{name}, {entry.credentials}" if entry.credentials else name


def place_of(entry: EntryRow) -> str:
    """Street, city, state and ZIP code on one line; empty when nothing is stated."""
    city = " ".join(filter(None, (entry.state, entry.zip or entry.postal_code)))
    parts = (spelled(entry.line), spelled(entry.city), city, entry.country if entry.country not in (None, "US") else "")
    return ", ".join(filter(None, parts))


def source_of(entry: EntryRow, ages: Mapping[str, str]) -> str:
    """Whose word it is, and how old."""
    if entry.entered_by:
        return f"entered by {entry.entered_by} on {entry.file_on}"
    return ages.get(entry.source) or f"{entry.source}, of {entry.file_on}"


def languages_of(entry: EntryRow) -> list[str] | None:
    """In words; None when no language is stated."""
    return None if entry.languages is None else [words_for(each) for each in entry.languages]


def specialties_of(entry: EntryRow, words: Mapping[str, str]) -> list[str] | None:
    """In words, of codes first; None when none is stated."""
    return [words.get(each, each) for each in entry.specialties or ()] or entry.specialty_texts


def licenses_of(entry: EntryRow) -> list[str] | None:
    """The states by their names; None when none is stated."""
    return [STATES.get(each, each) for each in entry.licensed_in] if entry.licensed_in else None


def roads_of(entry: EntryRow) -> list[str]:
    """By what they can be reached, in words; empty: nothing is known."""
    return [
        *([f"the endpoint {entry.endpoint} of this Exchange"] if entry.endpoint else []),
        *([f"a FHIR address that is listed for them: {entry.fhir_address}"] if entry.fhir_address else []),
        *([f"Direct: {entry.direct_address}"] if entry.direct_address else []),
    ]


def services_of(entry: EntryRow) -> list[tuple[str, list[tuple[str, str]]]]:
    """(name, [(what, words)]) of each service that they work in; nothing that is not stated."""
    said = [Service.from_json(each) for each in entry.services or ()]
    return [(each.name, list(in_words(each))) for each in said]


def _services(entry: EntryRow) -> list[dict] | None:
    """As JSON."""
    if entry.services is None:
        return None
    return [
        {"name": name or None, "states": [{"what": what, "words": words} for what, words in said]}
        for name, said in services_of(entry)
    ]


def as_typed(value: object) -> str:
    """A value as a person types it into a form; empty for what is not stated."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(NUCC.get(each) or str(each) for each in value) if isinstance(value, list) else str(value)


def json_words(value: str) -> str:
    """A value that is kept as JSON, in words."""
    return as_typed(json.loads(value)) or "not stated"


def open_points(entry: EntryRow, query: Query) -> list[str]:
    """What was asked for and is not stated, in words."""
    known = {
        "gender": (query.gender, entry.gender is not None),
        "specialty": (query.specialties, entry.specialties is not None),
        "language": (query.language, bool(set(entry.spoken or ()) & set(query.languages))),
        "second opinions": (query.second_opinions, entry.second_opinions is not None),
        f"a license in {STATES.get(query.licensed_in or '', '')}": (
            query.licensed_in,
            query.licensed_in in (entry.licensed_in or ()),
        ),
        "how to reach them": (query.road, bool(_has_road(entry, query.road))),
        "the place": (query.zip, entry.lat is not None),
    }
    return [words for words, (asked, stated) in known.items() if asked and not stated]


def _has_road(entry: EntryRow, road: str | None) -> str | None:
    if road == "direct":
        return entry.direct_address
    return entry.endpoint if road == "endpoint" else entry.endpoint or entry.fhir_address


def view(entry: EntryRow, words: Mapping[str, str], ages: Mapping[str, str]) -> dict:
    """One entry as JSON."""
    codes = entry.specialties
    return {
        "id": entry.id,
        "npi": entry.npi,
        "name": name_of(entry),
        "family": entry.family,
        "given": entry.given,
        "credentials": entry.credentials,
        "gender": entry.gender,
        "languages": entry.languages,
        "languages_in_words": languages_of(entry),
        "specialties": None if codes is None else [{"code": each, "words": words.get(each, each)} for each in codes],
        "specialty_texts": entry.specialty_texts,
        "organization": entry.organization,
        "address": place_of(entry) or None,
        "city": entry.city,
        "state": entry.state,
        "zip": entry.zip,
        "phone": entry.phone,
        "licensed_in": entry.licensed_in,
        "second_opinions": entry.second_opinions,
        "accepting_patients": entry.accepting,
        "endpoint": entry.endpoint,
        "fhir_address": entry.fhir_address,
        "direct_address": entry.direct_address,
        "services": _services(entry),
        "source": source_of(entry, ages),
        "updated_on": entry.updated_on and entry.updated_on.isoformat(),
        "status": entry.state_now,
        "ended_on": entry.ended_on and entry.ended_on.isoformat(),
        "revision": entry.revision,
    }


def view_found(found: Found, results: Results) -> dict:
    """One entry of a list: with the distance, its group, and what was asked for and is not stated."""
    return {
        **view(found.entry, results.specialties, results.ages),
        "miles": None if found.miles is None else round(found.miles, 1),
        "group": GROUPS[found.group],
        "not_stated": [] if found.group == STATED else open_points(found.entry, results.query),
    }


def view_results(results: Results) -> dict:
    """A page of a search as JSON."""
    return {
        "items": [view_found(each, results) for each in results.found],
        "next": results.next,
        "notes": list(results.notes),
        "wrong": dict(results.wrong),
        "why_none": results.why_none or None,
        "sources": dict(results.ages),
    }


def view_profile(profile: Profile) -> dict:
    """A profile as JSON."""
    return {
        **view(profile.entry, profile.specialties, profile.ages),
        "corrections": [
            {
                "field": each.field,
                "value": json.loads(each.value),
                "source_says": json.loads(each.source_value),
                "by": each.actor,
                "reason": each.reason,
                "at": each.created_at.isoformat(),
            }
            for each in profile.corrections
        ],
        "others": [
            {"id": each.id, "name": name_of(each), "source": source_of(each, profile.ages), "status": each.state_now}
            for each in profile.others
        ],
    }


def in_groups(results: Results) -> list[tuple[str, list[Found]]]:
    """Those who state it, then those who do not, then those whose place is not known; empty groups left out."""
    groups = [(GROUPS[n], [each for each in results.found if each.group == n]) for n in range(STATED, NO_PLACE + 1)]
    return [(name, found) for name, found in groups if found]
