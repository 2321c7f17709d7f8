"""What a health library is asked, and what it answers: the HL7 Infobutton of MedlinePlus Connect.

https://medlineplus.gov/medlineplus-connect/web-service/. One code a request and nothing else: no name of a patient, no session, no
words of the chart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.errors import MappingError
from mappings.model.request import Code

OIDS = {
    "http://hl7.org/fhir/sid/icd-10-cm": "2.16.840.1.113883.6.90",
    "http://snomed.info/sct": "2.16.840.1.113883.6.96",
}
LONGEST_CODE, LONGEST_TITLE, LONGEST_SUMMARY, MOST_ENTRIES = 32, 300, 20_000, 10


@dataclass(frozen=True)
class Entry:
    """One thing to read. ``summary`` is HTML as the service wrote it: not yet safe to show."""

    title: str
    href: str
    summary: str


def askable(codes: Sequence[Code]) -> Code | None:
    """The first code of a diagnosis that a library can be asked for; None when there is none."""
    return next((each for each in codes if each.system in OIDS and _is_code(each.code)), None)


def _is_code(code: str) -> bool:
    return 0 < len(code) <= LONGEST_CODE and code.isascii() and all(char.isalnum() or char in ".-" for char in code)


def to_query(code: Code, language: str) -> dict[str, str]:
    """The parameters of a request: the code and its system, the language, and that JSON is wanted."""
    return {
        "mainSearchCriteria.v.cs": OIDS[code.system],
        "mainSearchCriteria.v.c": code.code,
        "informationRecipient.languageCode.c": language,
        "knowledgeResponseType": "application/json",
    }


def read_answer(body: Any) -> list[Entry]:
    """The entries of an answer, each with a title and an https address. Raises MappingError for what is no answer."""
    feed = as_dict(as_dict(body).get("feed"))
    if not feed:
        raise MappingError("feed", "the answer is no feed of an Infobutton service")
    found = [_entry(each) for each in as_dicts(feed.get("entry"))]
    return [each for each in found if each is not None][:MOST_ENTRIES]


def _entry(said: dict) -> Entry | None:
    title = _words(said.get("title"))[:LONGEST_TITLE]
    hrefs = [as_text(each.get("href")) for each in as_dicts(said.get("link"))]
    href = next((each for each in hrefs if each and is_safe(each)), None)
    return Entry(title, href, _words(said.get("summary"))[:LONGEST_SUMMARY]) if title and href else None


def _words(said: Any) -> str:
    """``{"_value": "..."}``, or the text itself."""
    return as_text(as_dict(said).get("_value")) or as_text(said) or ""


def is_safe(href: str) -> bool:
    """An https address that a page may lead to."""
    if not href.isascii() or not href.isprintable() or " " in href or len(href) > 2000:
        return False
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
