"""Names that a file writes in capitals only, as people write them: for the eye. What is stored stays as it came."""

import re

_KEPT = frozenset(
    {"II", "III", "IV", "LLC", "LLP", "PLLC", "PC", "PA", "MD", "DO", "PO", "NW", "NE", "SW", "SE", "US", "USA", "VA"}
)
_SMALL = frozenset({"OF", "AND", "FOR", "AT", "THE", "IN", "ON"})
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def spelled(text: str | None) -> str:
    """``O'BRIEN-MCDONALD III`` as ``O'Brien-McDonald III``; what has a small letter already stays as it is."""
    if not text or not text.isupper():
        return text or ""
    return _WORD.sub(lambda found: _word(found[0], first=found.start() == 0), text)


def _word(word: str, *, first: bool) -> str:
    if word in _KEPT:
        return word
    if word in _SMALL and not first:
        return word.lower()
    return "".join(_part(part, after) for after, part in enumerate(re.split(r"(?=['’])", word)))


def _part(part: str, after: int) -> str:
    if after and len(part) <= 2:  # the s of King's
        return part.lower()
    mark, letters = (part[0], part[1:]) if after else ("", part)
    if letters.startswith("MC") and len(letters) > 3:
        return f"{mark}Mc{letters[2:].capitalize()}"
    return mark + letters.capitalize()
