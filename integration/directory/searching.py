"""One search of the directory, for pages, API and commands: what was typed is read, looked for, and each thing to know is said."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import TypeVar

from sqlalchemy import Connection, Engine

from integration.store import directory_search, zip_points
from integration.store.directory_search import Found
from integration.store.zip_points import MILITARY, Place
from integration.views.directory import Results
from integration.views.languages import Language, understood, words_for
from mappings.directory import query as reading
from mappings.directory.query import PAGE, After, Query, Wrong, after_of
from mappings.names import fold
from mappings.specialties import NUCC, nucc_of

FIELDS = (
    "name",
    "specialty",
    "zip",
    "within",
    "gender",
    "language",
    "second_opinions",
    "licensed_in",
    "reached_by",
    "stated_only",
)
LONGEST = 100
Read = TypeVar("Read")


def search(engine: Engine, typed: Mapping[str, str], today: date, *, limit: int = PAGE) -> Results:
    """Read what was typed and look for it."""
    with engine.connect() as conn:
        asked = _Asked(conn, {name: (typed.get(name) or "").strip()[:LONGEST] for name in FIELDS})
        query = asked.query()
        after = after_of(typed["after"]) if typed.get("after") else None
        ages = ages_of(conn, today)
        if typed.get("after") and after is None:
            asked.wrong["after"] = "the address of this page is not whole: search again"
        if asked.wrong:
            return Results(query, wrong=asked.wrong, notes=tuple(asked.notes), ages=ages)
        found = directory_search.search(conn, query, asked.place, after=after, limit=limit)
        shown, following = found[:limit], _following(found, limit)
        why = "" if shown else _why_none(conn, query, asked, bool(ages), after)
        words = specialty_words(conn, (code for each in shown for code in each.entry.specialties or ()))
        return Results(query, tuple(shown), following, {}, tuple(asked.notes), why, words, ages, asked.place)


def _following(found: list[Found], limit: int) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return After(last.group, last.miles or 0.0, last.entry.name_key, last.entry.id).word()


class _Asked:
    """What was typed, field by field."""

    def __init__(self, conn: Connection, typed: Mapping[str, str]):
        self.conn, self.typed = conn, typed
        self.wrong: dict[str, str] = {}
        self.notes: list[str] = []
        self.place: Place | None = None
        self.language: Language | None = None

    def query(self) -> Query:
        typed = self.typed
        if typed["name"] and not fold(typed["name"].replace(",", " ")):
            self.wrong["name"] = f"{typed['name'][:40]!r} has no letter: write a last name or its beginning"
        zip, miles = self._kept(reading.read_zip(typed["zip"])), self._kept(reading.read_miles(typed["within"]))
        made = Query(
            name=typed["name"],
            specialties=self._specialties(typed["specialty"]),
            zip=zip,
            miles=miles or reading.MILES,
            gender=self._kept(reading.read_gender(typed["gender"])),
            language=self._language(typed["language"]),
            second_opinions=_yes(typed["second_opinions"]),
            licensed_in=self._kept(reading.read_state(typed["licensed_in"])),
            road=self._kept(reading.read_road(typed["reached_by"])),
            stated_only=_yes(typed["stated_only"]),
        )
        if zip is not None:
            self.place = self._place(zip)
        return made

    def _kept(self, read: Read | Wrong) -> Read | None:
        if isinstance(read, Wrong):
            self.wrong[read.field] = read.says
            return None
        return read

    def _specialties(self, word: str) -> tuple[str, ...]:
        if not word:
            return ()
        codes = nucc_of(word) or tuple(directory_search.codes_called(self.conn, word))
        if not codes and directory_search.words_of(self.conn, [word.upper()]):
            codes = (word.upper(),)
        if not codes:
            like = [words for words in NUCC.values() if word.casefold() in words.casefold()]
            codes = tuple(code for each in like for code in nucc_of(each))
        if not codes:
            self.wrong["specialty"] = (
                f"{word[:60]!r} is no specialty that is known here: choose one of the list, or give its code"
            )
        return codes

    def _language(self, word: str) -> str | None:
        if not word:
            return None
        self.language = understood(word)
        if self.language is None:
            self.wrong["language"] = f"{word[:60]!r} is no language that is known here: write it as Spanish, or as es"
            return None
        if self.language.primary == "zh":
            self.notes.append("Chinese is several languages: each entry says which one it means, where it is stated.")
        if self.language.primary in ("cmn", "yue"):
            self.notes.append(
                f"Who states only Chinese may or may not speak {words_for(self.language.primary)}: ask before the visit."
            )
        return self.language.primary

    def _place(self, zip: str) -> Place | None:
        if not zip_points.is_filled(self.conn):
            return None  # whoever puts somebody into the directory fills it first: it is empty
        place = zip_points.find(self.conn, zip)
        if place is not None and place.kind == MILITARY:
            self.wrong["zip"] = f"{zip} is a military address abroad: give the ZIP code of a place in the United States"
            return None
        if place is not None:
            if not place.active:
                self.notes.append(f"The ZIP code {zip} is no longer in use; distances are from where it was.")
            return place
        wider = zip_points.around(self.conn, zip[:3])
        if wider is None:
            self.wrong["zip"] = (
                f"no ZIP code of a place that we know begins with {zip[:3]}: look at it again, or give one nearby"
            )
            return None
        self.notes.append(
            f"There is no ZIP code {zip} that we know: distances are from the middle of all that begin with {zip[:3]}."
        )
        return replace(wider, zip=zip)


def _yes(word: str) -> bool:
    return word.casefold() in ("yes", "true", "1", "on")


def _why_none(conn: Connection, query: Query, asked: _Asked, is_loaded: bool, after: After | None) -> str:
    if after is not None:
        return "There are no more."
    if not is_loaded:
        return "The directory is empty: load the NPPES files or read a FHIR directory first (second-opinion directory load)."
    if query.language and not directory_search.is_spoken(conn, query.languages):
        words = asked.language.words if asked.language else query.language
        return f"Nobody in the directory states {words}" + (
            ", and those who state no language are left out."
            if query.stated_only
            else ", and nobody else fits the rest."
        )
    if query.zip:
        return f"Nobody within {query.miles} miles of {query.zip} fits. Search wider, or leave something out."
    return "Nobody in the directory fits. Leave something out."


def ages_of(conn: Connection, today: date) -> dict[str, str]:
    """Each source with the day of what it says: ``NPPES, file of 2026-11-08``."""
    said = {}
    for source, row in directory_search.sources(conn).items():
        if source == "nucc":
            continue
        old = f", {(today - row.file_on).days} days old" if reading.is_old(row.file_on, today) else ""
        what = "NPPES, file of" if source == "nppes" else f"{row.name}, read on"
        said[source] = f"{what} {row.file_on}{old}"
    return said


def specialty_words(conn: Connection, codes: Iterable[str]) -> dict[str, str]:
    """What codes are called: our own words, else NUCC's where a site loaded them, else the code."""
    wanted = dict.fromkeys(codes)
    loaded = directory_search.words_of(conn, [code for code in wanted if code not in NUCC])
    return {code: NUCC.get(code) or loaded.get(code) or code for code in wanted}
