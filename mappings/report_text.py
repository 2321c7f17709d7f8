"""A consult report as plain text of at most 80 columns, for systems whose notes are text. Every word of it, in its order.

Nothing is shortened and nothing is said that the report does not say: where the words of one part cannot be had, there is no
text at all (`mappings/fitting.py`).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

COLUMNS = 80
RULE = "-" * COLUMNS
_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_TOKENS = re.compile(r"\s*\S+")
_MOST_INDENT = 40


@dataclass(frozen=True)
class PdfText:
    """The words of a PDF; ``pictures``: small ones that stand in it too and are no words."""

    words: str
    pictures: int = 0


@dataclass(frozen=True)
class Part:
    """One document of a report, as words. ``pdf``: it was a PDF, with so many small pictures; None: it was text."""

    title: str
    words: str
    pdf_pictures: int | None = None


def report_text(
    head: Sequence[str], parts: Sequence[Part], *, original_from: str, original: str = "the signed original"
) -> str:
    """``head``: lines that say what this is. What was made from a PDF says so first, and where the original is."""
    lines = [line for part in parts for line in _made_from_pdf(part, f"{original} is available from {original_from}")]
    lines += [line for each in head for line in wrapped(each)]
    for number, part in enumerate(parts, 1):
        counted = [f"{part.title} ({number} of {len(parts)})"] if len(parts) > 1 else []
        lines += ["", RULE, *(line for each in counted for line in wrapped(each)), *_body(part.words)]
    return "\n".join(lines) + "\n"


def wrapped(text: str) -> list[str]:
    """Lines of at most 80 columns; those that fit stay as they are, a word is cut only where it fills more than a line."""
    return [line for each in _LINE_ENDS.split(text) for line in _wrapped_line(each.expandtabs(8).rstrip())]


def width(text: str) -> int:
    """Columns of a terminal: letters of East Asia take two, what is set above or below a letter none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def has_line(text: str, line: str) -> bool:
    """Whether one of the lines is exactly this, but for the spaces around it."""
    return any(each.strip() == line for each in _LINE_ENDS.split(text))


def _made_from_pdf(part: Part, where: str) -> Iterator[str]:
    if part.pdf_pictures is None:
        return
    said = f"Text of {part.title}, made from the PDF by the Exchange; {where}."
    if part.pdf_pictures:
        said += f" Not in this text: {part.pdf_pictures} small picture(s), such as a logo."
    yield from (*wrapped(said), "")


def _body(words: str) -> list[str]:
    lines = wrapped(words)
    while lines and not lines[0].strip():
        del lines[0]
    while lines and not lines[-1].strip():
        del lines[-1]
    return ["", *lines]


def _wrapped_line(line: str) -> Iterator[str]:
    if width(line) <= COLUMNS:
        yield line
        return
    indent = line[: len(line) - len(line.lstrip())][:_MOST_INDENT]
    made = ""
    for token in _fitting(_TOKENS.findall(line.lstrip()), COLUMNS - len(indent)):
        if made and width(indent + made + token) > COLUMNS:
            yield indent + made
            made = ""
        made += token if made else token.lstrip()
    yield indent + made


def _fitting(tokens: Iterable[str], room: int) -> Iterator[str]:
    """Each word with the space before it; one that is wider than a line in pieces."""
    for token in tokens:
        piece = token[: len(token) - len(token.lstrip())]
        if width(token.lstrip()) <= room:
            yield token
            continue
        used = 0
        for char in token.lstrip():
            if used + _width(char) > room:
                yield piece
                piece, used = "", 0
            piece, used = piece + char, used + _width(char)
        yield piece


def _width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
