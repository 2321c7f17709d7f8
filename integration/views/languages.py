"""Languages as people and directories name them: BCP-47 tags and words, matched by the primary subtag. Offline.

https://www.rfc-editor.org/info/bcp47; the names are those of CLDR, by the package langcodes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

_LONGEST = 60
_WHICH = {  # one word for several languages that a patient does not take for the same
    "zh": "Chinese (which one is not stated)",
    "cmn": "Mandarin Chinese",
    "yue": "Cantonese (a Chinese language)",
    "sgn": "Sign language (which one is not stated)",
}


@dataclass(frozen=True)
class Language:
    """``primary``: what it is matched by; ``tag``: as it was said, in the standard's spelling."""

    primary: str
    tag: str
    words: str


@lru_cache(maxsize=4096)
def understood(word: str) -> Language | None:
    """A tag (``es-MX``, also ``en_US`` and old ones) or the name of a language in English or in itself; None when it is none."""
    plain = " ".join(word.split())[:_LONGEST].strip("-_")
    return _of_tag(plain) or _of_name(plain)


def _of_tag(word: str) -> Language | None:
    try:
        found = langcodes.get(langcodes.standardize_tag(word))
    except (LanguageTagError, ValueError):
        return None
    primary = found.language
    if not primary or primary in ("und", "mul", "zxx", "mis") or not found.is_valid():
        return None
    words = found.display_name()
    if words.startswith("Unknown"):
        return None
    tag = str(found)
    return Language(primary, tag, _WHICH.get(tag) or words)


def _of_name(word: str) -> Language | None:
    if len(word) < 3:
        return None
    try:
        return _of_tag(str(langcodes.find(word)))
    except LookupError:
        return None


def words_for(said: str) -> str:
    """What a page shows for a tag or word of an entry."""
    found = understood(said)
    return found.words if found else said


def primaries(said: Iterable[str]) -> tuple[str, ...]:
    """What entries are matched by, of what they say; what is no language is left out."""
    return tuple(dict.fromkeys(found.primary for each in said if (found := understood(each))))


COMMON = (  # offered on the page, as hospitals in the United States are asked for them
    "Spanish",
    "Mandarin Chinese",
    "Cantonese",
    "Vietnamese",
    "Tagalog",
    "Arabic",
    "Korean",
    "Russian",
    "French",
    "Haitian Creole",
    "Portuguese",
    "Hindi",
    "Urdu",
    "Bengali",
    "Persian",
    "Polish",
    "German",
    "American Sign Language",
)
