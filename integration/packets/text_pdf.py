"""A report that is text as PDF, for systems that take nothing else: the same lines in the same order, in letters of one width.

The same text gives the same bytes. A letter that cannot be shown as it was written is a reason not to make it. The font is
Cascadia Mono (SIL OFL 1.1, from the wheel pymupdf-fonts).
"""

import io
import re
from functools import cache

import pymupdf_fonts
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from integration.packets.pdf_text import needs_shaping

FONT, SIZE, LEADING = "SecondOpinion-Mono", 9.0, 11.5
WIDTH, HEIGHT = A4
LEFT, TOP, BOTTOM = 54.0, 54.0, 54.0
LINES = int((HEIGHT - TOP - BOTTOM) / LEADING)


def pdf_of_text(text: str, title: str) -> bytes | str:
    """The PDF; a str says why there is none. ``text``: lines of at most 80 columns, as mappings/report_text.py makes them."""
    unseen = sum(char not in "\n" and (ord(char) not in _letters() or needs_shaping(char)) for char in text)
    if unseen:
        return f"{unseen} of its letters cannot be shown in a PDF of ours as they were written"
    lines = re.sub(r"\n+\Z", "", text).split("\n")
    pages = [lines[first : first + LINES] for first in range(0, len(lines), LINES)]
    out = io.BytesIO()
    canvas = Canvas(
        out, pagesize=A4, invariant=1, pageCompression=1, lang="en", initialFontName=FONT, initialFontSize=SIZE
    )
    canvas.setTitle(title)
    canvas.setAuthor("Second Opinion Exchange")
    for number, page in enumerate(pages, 1):
        canvas.setFont(FONT, SIZE)
        for at, line in enumerate(page):
            canvas.drawString(LEFT, HEIGHT - TOP - at * LEADING, line)
        canvas.drawRightString(WIDTH - LEFT, BOTTOM / 2, f"page {number} of {len(pages)}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def load_font() -> None:
    """Make the font known to reportlab."""
    _letters()


@cache
def _letters() -> frozenset[int]:
    font = TTFont(FONT, io.BytesIO(pymupdf_fonts.myfont("cascadia")))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)
