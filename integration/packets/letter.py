"""A letter that asks for records as PDF, one page of US Letter as a rule; the same letter gives the same bytes."""

import io
from collections.abc import Iterable, Iterator

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfgen.canvas import Canvas

from integration.packets.pdf_text import BOLD, REGULAR, Style, load_fonts, missing, wrap
from mappings.source_letter import Letter, Wanted

WIDTH, HEIGHT = LETTER
MARGIN, INDENT = 64.0, 16.0
TITLE, STRONG, BODY = Style(BOLD, 14, 22), Style(BOLD, 10.5, 15), Style(REGULAR, 10.5, 15)
SPACE = ("", BODY, 0.0)
Row = tuple[str, Style, float]  # words, how they are set, how far from the margin


def unreadable(letter: Letter) -> int:
    """How many letters of it the font cannot show as they were written: then it is no letter that anybody could act on."""
    return sum(missing(letter.words))


def to_pdf(letter: Letter) -> bytes:
    """The letter; give one that is readable (`unreadable`)."""
    load_fonts()
    pages = list(_pages(_rows(letter)))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=LETTER, invariant=1, pageCompression=1, lang="en")
    canvas.setTitle(f"Request for records {letter.reference}")
    canvas.setAuthor("Second Opinion Exchange")
    for number, page in enumerate(pages, 1):
        for y, (line, style, indent) in page:
            canvas.setFont(style.font, style.size)
            canvas.drawString(MARGIN + indent, y, line)
        canvas.setFont(REGULAR, 8)
        canvas.drawString(MARGIN, MARGIN / 2, f"{letter.reference}, page {number} of {len(pages)}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _pages(rows: Iterable[Row]) -> Iterator[list[tuple[float, Row]]]:
    page: list[tuple[float, Row]] = []
    y = HEIGHT - MARGIN
    for words, style, indent in rows:
        for line in wrap(words, style, WIDTH - 2 * MARGIN - indent) or [""]:
            if y < MARGIN + style.leading:
                yield page
                page, y = [], HEIGHT - MARGIN
            page.append((y, (line, style, indent)))
            y -= style.leading
    yield page


def _rows(letter: Letter) -> Iterator[Row]:
    yield from _block(letter.writer)
    yield from _block([f"{letter.day:%B} {letter.day.day}, {letter.day.year}"])
    yield from _block(letter.to)
    yield "Request for records", TITLE, 0.0
    yield (
        f"Please send the following records of a patient by {_day(letter)}, for review by another clinician.",
        BODY,
        0.0,
    )
    yield SPACE
    yield from _block([f"{label}: {value}" for label, value in letter.patient], STRONG)
    yield "What we ask for", STRONG, 0.0
    for number, wanted in enumerate(letter.wanted, 1):
        yield from _wanted(number, wanted)
    if letter.note:
        yield letter.note, BODY, INDENT
    yield SPACE
    yield "Send it to", STRONG, 0.0
    yield from _block(letter.send_to)
    yield (
        f"Write {letter.reference} on what you send, and enclose a list of what is in it. Tell us what has to come back to you, and by when. If you cannot send something, please say so, and why.",
        BODY,
        0.0,
    )
    yield SPACE
    if letter.call:
        yield f"Questions: {letter.call}", BODY, 0.0


def _day(letter: Letter) -> str:
    return f"{letter.due:%A, %B} {letter.due.day}, {letter.due.year}"


def _wanted(number: int, wanted: Wanted) -> Iterator[Row]:
    yield f"{number}. {wanted.label}", BODY, 0.0
    if wanted.exactly:
        yield wanted.exactly, BODY, INDENT
    if wanted.numbers:
        yield f"Accession number: {', '.join(wanted.numbers)}", BODY, INDENT
    if wanted.since:
        yield f"Dated {wanted.since} or later.", BODY, INDENT


def _block(lines: Iterable[str], style: Style = BODY) -> Iterator[Row]:
    for line in lines:
        yield line, style, 0.0
    yield SPACE
