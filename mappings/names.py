"""Names as they are compared: without case, accents and punctuation, in any script, and never two names made one.

https://hl7.org/fhir/R4/datatypes.html#HumanName
"""

import re
import unicodedata
from collections.abc import Iterator

# Only in these scripts a mark is an accent that registries leave out. In others it makes another letter: Japanese ka and
# ga, a Tamil consonant with and without its vowel.
_ACCENTED = ("LATIN", "GREEK")
_POINTS = (
    "HEBREW POINT",
    "HEBREW ACCENT",
    "ARABIC FATHA",
    "ARABIC DAMMA",
    "ARABIC KASRA",
    "ARABIC SUKUN",
    "ARABIC SHADDA",
    "ARABIC FATHATAN",
    "ARABIC DAMMATAN",
    "ARABIC KASRATAN",
)


def fold(text: str) -> str:
    """A name without case, accents, apostrophes and marks nobody sees; hyphens and dots count as spaces."""
    plain = "".join(_without_accents(unicodedata.normalize("NFKD", text)))
    plain = unicodedata.normalize("NFC", plain.casefold())
    plain = re.sub(r"['’`´ʼ‘ʹʻ\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]", "", plain)
    return " ".join(re.sub(r"[\s\-‐‑‒–—־・.,]+", " ", plain).split())


def is_initial(name: str) -> bool:
    """True for one letter of a script that abbreviates names so; a Chinese name of one character is whole."""
    return len(name) == 1 and name.upper() != name.lower()


def _without_accents(text: str) -> Iterator[str]:
    base = ""
    for each in text:
        if not unicodedata.combining(each):
            base = each
            yield each
        elif not (
            _is_accent(base) or unicodedata.name(each, "").startswith(_POINTS) or (base in "еЕ" and each == "\u0308")
        ):
            yield each


def _is_accent(base: str) -> bool:
    return bool(base) and unicodedata.name(base, "").startswith(_ACCENTED)
