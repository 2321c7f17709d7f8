"""A rendition as PDF: the same rendition gives the same bytes, any script's letters are seen or visibly replaced.

Its own small layout instead of reportlab's tables: lines are cut here, so a cell longer than a page goes on overleaf,
"page x of y" and the index's page numbers are known before anything is drawn, and 10,000 records take about two seconds.
reportlab cannot write tagged PDF; title, language and bookmarks are set.
"""

import io
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from integration.packets.pdf_text import BOLD, REGULAR, Style, load_fonts, missing, wrap
from mappings.model.findings import Finding
from mappings.rendition import OTHER, Rendition, Row, Section

PAGE_WIDTH, PAGE_HEIGHT = A4
MARGIN, TOP, BOTTOM = 36.0, 62.0, 44.0
WIDTH = PAGE_WIDTH - 2 * MARGIN
KEEP_TOGETHER = 120.0  # a record lower than this is not divided between pages
GAP = 6.0  # between columns
VOLUME_PAGES = 300  # what a viewer in an EHR opens at once, and a person still finds something in

TITLE, HEADING = Style(BOLD, 20, 26), Style(BOLD, 13, 18)
BODY, STRONG, HEAD = Style(REGULAR, 8.5, 11), Style(BOLD, 8.5, 11), Style(BOLD, 7.5, 10)
SMALL, NOTE = Style(REGULAR, 6, 7.5, grey=0.30), Style(REGULAR, 8.5, 12, grey=0.25)
FACT, FACT_LABEL = Style(REGULAR, 10, 14), Style(BOLD, 10, 14)


OTHER_LETTERS = (  # who reads this finds the document by its title
    "Some words here are in letters that this document cannot show: they stand as numbers or names in brackets, or one by one "
    f"from left to right. The same words stand as they were written in the text document “{OTHER}”, sent beside this one."
)


@dataclass
class Line:
    """One drawn line: pieces of text at an x, and how high it is."""

    height: float
    pieces: list[tuple[float, str, Style]] = field(default_factory=list)
    rule: bool = False  # a thin line above it
    shade: bool = False


@dataclass
class Page:
    """Lines with their y, from the top."""

    lines: list[tuple[float, Line]] = field(default_factory=list)


class Layout:
    """Fills pages; ``repeat`` lines stand again on top of each new page."""

    def __init__(self, lacking: Set[str] = frozenset()) -> None:
        self.lacking = lacking  # sources of rows whose words stand in the text beside this document
        self.pages = [Page()]
        self.y = TOP
        self.repeat: list[Line] = []

    def room(self) -> float:
        return PAGE_HEIGHT - BOTTOM - self.y

    def new_page(self) -> None:
        self.pages.append(Page())
        self.y = TOP
        for line in self.repeat:
            self._put(line)

    def add(self, *lines: Line) -> None:
        for line in lines:
            if line.height > self.room():
                self.new_page()
            self._put(line)

    def keep(self, height: float) -> None:
        """Start a new page unless ``height`` fits on this one."""
        if height > self.room():
            self.new_page()

    def space(self, height: float) -> None:
        self.y = min(self.y + height, PAGE_HEIGHT - BOTTOM)

    def _put(self, line: Line) -> None:
        self.pages[-1].lines.append((self.y, line))
        self.y += line.height


def to_pdfs(rendition: Rendition, *, max_bytes: int | None = None, max_pages: int = VOLUME_PAGES) -> list[bytes]:
    """The PDF: cover with index, one table for each section, the list of originals; in volumes where it is long.

    No volume has more than ``max_pages``, nor more than ``max_bytes`` unless one page has. Pages are counted through all
    volumes; nothing is left out of them.
    """
    load_fonts()
    pages, starts = _laid_out(rendition, max_pages)
    volumes = [
        _draw(pages[first : first + max_pages], rendition, starts, volume=(number, first, len(pages)))
        for number, first in enumerate(range(0, len(pages), max_pages), 1)
    ]
    if max_bytes is not None and max_pages > 1 and any(len(each) > max_bytes for each in volumes):
        return to_pdfs(rendition, max_bytes=max_bytes, max_pages=max(1, max_pages // 2))
    return volumes


def _laid_out(rendition: Rendition, max_pages: int) -> tuple[list[Page], list[int]]:
    """All pages, and on which each section starts."""
    layout = Layout(lacking(rendition))
    index = _cover(layout, rendition)
    layout.new_page()
    starts = [_section(layout, section) for section in (*rendition.sections, rendition.originals)]
    is_long = len(layout.pages) > max_pages
    for line, page in zip(index, starts, strict=True):
        at = f"{page}, volume {(page - 1) // max_pages + 1}" if is_long else str(page)
        line.pieces.append((MARGIN + WIDTH - (100 if is_long else 40), at, FACT))
    return layout.pages, starts


def lacking(rendition: Rendition) -> frozenset[str]:
    """What the PDF cannot show as it was sent: ``source`` of records and originals, and ``cover``."""
    return frozenset(each.path for each in findings(rendition))


def findings(rendition: Rendition) -> list[Finding]:
    """What the PDF cannot show as it was sent; characters themselves are not repeated here."""
    rows = [row for section in (*rendition.sections, rendition.originals) for row in section.rows]
    cover = (rendition.patient, *rendition.questions, *(text for fact in rendition.facts for text in fact))
    found = list(_glyph_findings("cover", "\n".join(cover)))
    for row in rows:
        texts = [part for text in row.texts for part in (text.title, text.text)]
        found += _glyph_findings(row.source, "\n".join([*row.cells, row.codes, row.details, *texts]))
    return found


def _glyph_findings(source: str, text: str) -> Iterator[Finding]:
    absent, unshaped = missing(text)
    if absent:
        yield Finding(
            "render.glyph-missing",
            f"{absent} characters are not in the font; each stands in the PDF as its Unicode number or name, such as [U+4E2D] "
            "or [check mark]; the words are in the text sent beside it",
            source,
        )
    if unshaped:
        yield Finding(
            "render.script-unshaped",
            f"{unshaped} characters of a script that runs right to left "
            "or joins or moves its letters; the PDF shows them one by one, left to right; the words are in the text sent beside it",
            source,
        )


def _cover(layout: Layout, rendition: Rendition) -> list[Line]:
    layout.add(*_paragraph(rendition.title, TITLE))
    layout.space(8)
    for name, value in rendition.facts:
        layout.add(*_columns([(MARGIN, 118, name, FACT_LABEL), (MARGIN + 122, WIDTH - 122, value, FACT)]))
    for number, question in enumerate(rendition.questions, 1):
        name = "The patient asks" if number == 1 else ""
        layout.add(*_columns([(MARGIN, 118, name, FACT_LABEL), (MARGIN + 122, WIDTH - 122, question, FACT)]))
    layout.space(6)
    layout.add(
        *_paragraph(
            "Shown as sent: values, units, ranges and flags are the source's own, nothing was converted, judged or left "
            "out; “not stated” means that the source says nothing. Small print under each record: its type and id at the "
            "source, its codes, and its other elements.",
            NOTE,
        )
    )
    layout.space(8)
    layout.add(*_paragraph("Index", HEADING), _index_line("Section", "Records", FACT_LABEL, "Page"))
    lines = [_index_line(title, str(count), FACT) for title, count in rendition.index]
    lines.append(_index_line(rendition.originals.title, str(len(rendition.originals.rows)), FACT))
    layout.add(*lines, _index_line("All records (originals not counted)", str(rendition.resource_count), FACT_LABEL))
    if layout.lacking:
        layout.space(6)
        layout.add(*_paragraph(OTHER_LETTERS, STRONG))
    for finding in rendition.findings:
        layout.add(*_paragraph(f"Note, {finding.path}: {finding.message}", NOTE))
    return lines


def _index_line(title: str, count: str, style: Style, page: str = "") -> Line:
    line = Line(style.leading, [(MARGIN, title, style), (MARGIN + WIDTH - 110, count, style)], rule=True)
    if page:
        line.pieces.append((MARGIN + WIDTH - 40, page, style))
    return line


def _section(layout: Layout, section: Section) -> int:
    """Lay one section out; the page where it starts."""
    layout.repeat = []
    layout.keep(90)
    layout.space(10)
    layout.add(*_paragraph(f"{section.title} ({len(section.rows)})", HEADING))
    start = len(layout.pages)
    if section.note:
        layout.add(*_paragraph(section.note, NOTE))
    if section.rows:
        places = _places(section)
        head = _head(section, places)
        layout.add(*head)
        layout.repeat = [Line(HEAD.leading, [(MARGIN, f"{section.title}, continued", HEAD)]), *head]
        for row in section.rows:
            _row(layout, row, places)
    layout.repeat = []
    return start


def _places(section: Section) -> list[tuple[float, float]]:
    """x and width of each column."""
    whole, x, places = sum(column.share for column in section.columns), MARGIN, []
    for column in section.columns:
        width = WIDTH * column.share / whole
        places.append((x, width - GAP))
        x += width
    return places


def _head(section: Section, places: list[tuple[float, float]]) -> list[Line]:
    lines = _columns(
        [(x, width, column.title, HEAD) for (x, width), column in zip(places, section.columns, strict=True)]
    )
    for line in lines:
        line.shade = True
    return lines


def _row(layout: Layout, row: Row, places: list[tuple[float, float]]) -> None:
    lines = _columns(
        [
            (x, width, cell, STRONG if number == 0 else BODY)
            for number, ((x, width), cell) in enumerate(zip(places, row.cells, strict=True))
        ]
    )
    lines = [*(_paragraph(row.mark, STRONG) if row.mark else ()), *lines]
    lines[0].rule = True
    for text in row.texts:
        lines += [*_paragraph(text.title, HEAD, indent=10), *_paragraph(text.text, BODY, indent=10)]
    lines += (
        _paragraph(f"Some letters here cannot be shown: see “{OTHER}”", SMALL) if row.source in layout.lacking else []
    )
    lines += _paragraph(" · ".join(part for part in (f"source {row.source}", row.codes, row.details) if part), SMALL)
    if sum(line.height for line in lines) < KEEP_TOGETHER:
        layout.keep(sum(line.height for line in lines))
    layout.add(*lines)
    layout.space(2)


def _paragraph(text: str, style: Style, indent: float = 0) -> list[Line]:
    return [Line(style.leading, [(MARGIN + indent, part, style)]) for part in wrap(text, style, WIDTH - indent)]


def _columns(cells: Iterable[tuple[float, float, str, Style]]) -> list[Line]:
    """Cells side by side, as lines."""
    lines: list[Line] = []
    for x, width, text, style in cells:
        for number, part in enumerate(wrap(text, style, width)):
            if number == len(lines):
                lines.append(Line(0))
            lines[number].pieces.append((x, part, style))
            lines[number].height = max(lines[number].height, style.leading)
    return lines or [Line(BODY.leading)]


def _draw(pages: list[Page], rendition: Rendition, starts: list[int], *, volume: tuple[int, int, int]) -> bytes:
    """One volume: its number, how many pages come before it, and how many there are in all."""
    number, before, count = volume
    title = rendition.title if len(pages) == count else f"{rendition.title}, volume {number}"
    out = io.BytesIO()
    canvas = Canvas(
        out,
        pagesize=A4,
        invariant=1,
        pageCompression=1,
        lang=rendition.language,
        initialFontName=REGULAR,
        initialFontSize=BODY.size,
    )
    canvas.setTitle(title)
    canvas.setAuthor("Second Opinion Exchange")
    canvas.setSubject("Records for a second opinion, as received")
    canvas.setCreator("Second Opinion Exchange")
    titles = [section.title for section in (*rendition.sections, rendition.originals)]
    who, *rest = wrap(rendition.patient, STRONG, WIDTH - 12)
    head = f"{who} …" if rest else who
    for at, page in enumerate(pages, before + 1):
        _frame(canvas, head, title, f"page {at} of {count}")
        for key, section in ((f"s{place}", titles[place]) for place, start in enumerate(starts) if start == at):
            canvas.bookmarkPage(key)
            canvas.addOutlineEntry(section, key)
        for y, line in page.lines:
            _draw_line(canvas, y, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _frame(canvas: Canvas, who: str, title: str, page: str) -> None:
    """Who the patient is and which page this is, on every page."""
    canvas.setStrokeGray(0.6)
    canvas.line(MARGIN, PAGE_HEIGHT - 46, MARGIN + WIDTH, PAGE_HEIGHT - 46)
    _text(canvas, MARGIN, PAGE_HEIGHT - 40, who, STRONG)
    _text(canvas, MARGIN, 26, title, SMALL)
    canvas.setFont(REGULAR, BODY.size)
    canvas.setFillGray(0)
    canvas.drawRightString(MARGIN + WIDTH, 26, page)


def _draw_line(canvas: Canvas, y: float, line: Line) -> None:
    top = PAGE_HEIGHT - y
    if line.shade:
        canvas.setFillGray(0.90)
        canvas.rect(MARGIN - 2, top - line.height, WIDTH + 4, line.height, stroke=0, fill=1)
    if line.rule:
        canvas.setStrokeGray(0.75)
        canvas.setLineWidth(0.4)
        canvas.line(MARGIN, top, MARGIN + WIDTH, top)
    for x, text, style in line.pieces:
        _text(canvas, x, top - style.size * 1.05, text, style)


def _text(canvas: Canvas, x: float, baseline: float, text: str, style: Style) -> None:
    canvas.setFillGray(style.grey)
    canvas.setFont(style.font, style.size)
    canvas.drawString(x, baseline, text)
