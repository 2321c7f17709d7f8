"""The sheet with a patient's private link as PDF: one page, large type, the address as QR code and in letters that are told apart."""

import io
from collections.abc import Iterator

import segno
from reportlab.lib.pagesizes import LETTER
from reportlab.pdfgen.canvas import Canvas

from integration.packets.pdf_text import BOLD, REGULAR, Style, load_fonts, wrap
from integration.packets.text_pdf import FONT, load_font
from integration.views.private_letter import PrivateLetter

WIDTH, HEIGHT = LETTER
MARGIN = 60.0
QR = 190.0
TITLE, BODY, STRONG = Style(BOLD, 24, 32), Style(REGULAR, 15, 21), Style(BOLD, 15, 21)
ADDRESS_SIZE, ADDRESS_LEADING, ADDRESS_LETTERS = 17.0, 25.0, 46  # of one width: 46 fill a line


def to_pdf(letter: PrivateLetter) -> bytes:
    """The sheet; the same letter gives the same bytes."""
    load_fonts()
    load_font()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=LETTER, invariant=1, pageCompression=1, lang=letter.language)
    canvas.setTitle(letter.title)
    canvas.setAuthor("Second Opinion Exchange")
    y = _written(canvas, letter.title, TITLE, HEIGHT - MARGIN)
    y = _written(canvas, f"{letter.name} ______________________________", BODY, y - 6) - 8
    y = _written(canvas, letter.intro, BODY, y)
    y = _written(canvas, letter.scan, BODY, y - 6)
    _qr(canvas, letter.address, y)
    y = _written(canvas, letter.type, STRONG, y - QR - 24)
    canvas.setFont(FONT, ADDRESS_SIZE)
    for line in _lines(letter.address):
        canvas.drawString(MARGIN, y, line)
        y -= ADDRESS_LEADING
    for each in letter.paragraphs:
        y = _written(canvas, each, BODY, y - 8)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _written(canvas: Canvas, words: str, style: Style, y: float) -> float:
    canvas.setFont(style.font, style.size)
    for line in wrap(words, style, WIDTH - 2 * MARGIN):
        canvas.drawString(MARGIN, y, line)
        y -= style.leading
    return y


def _lines(address: str) -> Iterator[str]:
    for at in range(0, len(address), ADDRESS_LETTERS):
        yield address[at : at + ADDRESS_LETTERS]


def _qr(canvas: Canvas, address: str, top: float) -> None:
    rows = list(segno.make(address, error="m", micro=False).matrix_iter(border=4))
    size = QR / len(rows)
    for down, row in enumerate(rows):
        for right, dark in enumerate(row):
            if dark:
                canvas.rect(MARGIN + right * size, top - (down + 1) * size, size, size, stroke=0, fill=1)
