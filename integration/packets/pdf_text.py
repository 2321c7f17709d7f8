"""Letters for the PDF: the font, what it lacks, and where a line breaks.

FiraGO (SIL OFL 1.1, from the wheel pymupdf-fonts; no font of the machine is used) has Latin with all accents, Greek,
Cyrillic and the signs of a chart (µ, ≥, ±, →). What it lacks is written as its number, [U+4E2D], a sign as its name: seen, never lost.
"""

import io
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import pymupdf_fonts
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "SecondOpinion", "SecondOpinion-Bold"
_FILES = {REGULAR: "figo", BOLD: "figbo"}
# A line may end after spaces, and after a hyphen between letters; never after a minus sign.
_TOKENS = re.compile(r"\s*\S+?(?:\s+|(?<=[^\W\d_]-)(?=[^\W\d_])|$)")

_SIGNS = frozenset(("So", "Sm", "Sc", "Sk", "No"))  # a sign is read by its name: [check mark]; a letter is not


@dataclass(frozen=True)
class Style:
    """How a text is set."""

    font: str
    size: float
    leading: float
    grey: float = 0.0


@cache
def _font(name: str) -> TTFont:
    font = TTFont(name, io.BytesIO(pymupdf_fonts.myfont(_FILES[name])))
    pdfmetrics.registerFont(font)
    return font


@cache
def _widths(name: str) -> dict[int, float]:
    """Width of each character for size 1; a character that is not here is not in the font."""
    face = _font(name).face
    return {code: face.charWidths.get(code, face.defaultWidth) / 1000 for code in face.charToGlyph}


def load_fonts() -> None:
    """Make both fonts known to reportlab; takes a third of a second, once."""
    for name in _FILES:
        _font(name)


def shown(text: str) -> str:
    """The text as the font can show it: composed letters, plain spaces, numbers for what is lacking."""
    composed = unicodedata.normalize("NFC", text)
    known = _widths(REGULAR)
    return "".join(_one(char, known) for char in composed)


def _one(char: str, known: dict[int, float]) -> str:
    if char.isspace():
        return "\n" if char in "\n\r\v\f\u2028\u2029" else " "
    if ord(char) in known:
        return char
    name = unicodedata.name(char, "") if unicodedata.category(char) in _SIGNS else ""
    return f"[{name.lower()}]" if name and _is_known(name, known) else f"[U+{ord(char):04X}]"


def _is_known(name: str, known: dict[int, float]) -> bool:
    return all(ord(char) in known for char in name.lower())


def missing(text: str) -> tuple[int, int]:
    """How many characters the font lacks, and how many need joining, moving or right-to-left order, which we cannot do."""
    if text.isascii():
        return 0, 0
    composed, known = unicodedata.normalize("NFC", text), _widths(REGULAR)
    visible = [char for char in composed if not char.isspace()]
    absent = sum(ord(char) not in known for char in visible)
    return absent, sum(ord(char) in known and needs_shaping(char) for char in visible)


def needs_shaping(char: str) -> bool:
    """Written from the right, joined, or moved around each other: India, Thailand, Tibet, Myanmar, Cambodia."""
    return (
        unicodedata.bidirectional(char) in ("R", "AL") or "\u0900" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
    )


def wrap(text: str, style: Style, width: float) -> list[str]:
    """Lines no wider than ``width``; broken at spaces, inside a word only when it does not fit a whole line."""
    widths = _widths(style.font)
    limit = width / style.size
    plain = text if text.isascii() and text.isprintable() else shown(text.replace("\r\n", "\n"))
    return [line for part in plain.split("\n") for line in _wrap_line(part, widths, limit)]


def _wrap_line(text: str, widths: dict[int, float], limit: float) -> list[str]:
    total = sum(map(widths.__getitem__, map(ord, text)))
    if total <= limit:
        return [text]
    lines, line, used = [], "", 0.0
    for token in _TOKENS.findall(text):
        for piece in _pieces(token, widths, limit):
            room = sum(widths[ord(char)] for char in piece.rstrip())
            if used + room > limit and line:
                lines.append(line.rstrip())
                line, used = "", 0.0
            line += piece
            used += sum(widths[ord(char)] for char in piece)
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(token: str, widths: dict[int, float], limit: float) -> list[str]:
    """A token that is too wide, cut into pieces that fit; every other one as it is."""
    if sum(widths[ord(char)] for char in token.rstrip()) <= limit:
        return [token]
    pieces, piece, used = [], "", 0.0
    for char in token:
        if used + widths[ord(char)] > limit and piece:
            pieces.append(piece)
            piece, used = "", 0.0
        piece += char
        used += widths[ord(char)]
    return [*pieces, piece]
