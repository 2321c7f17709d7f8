"""Reads the words of one PDF, alone in a process of its own with bounds on time and memory: `pdf_words` starts it.

PDF on standard input, JSON on standard output: ``{"words": ..., "pictures": n}`` or ``{"problem": ...}``. It knows nothing
of the rest of the program. What makes words doubtful is a problem: a text with holes would look like the whole report.
"""

import io
import json
import logging
import re
import resource
import sys
import unicodedata
from dataclasses import dataclass, field
from typing import Any

MAX_PAGES, MAX_CHARACTERS = 300, 2_000_000
CPU_SECONDS, MEMORY_BYTES = 60, 1 << 30
# Of a page: a larger picture says something (a scan, an ECG); a smaller one is taken for a logo, and said to be left out.
PICTURE_SHARE = 0.12
MAX_CURVES = 500  # a page with more of them holds letters as drawings, or a figure
MAX_DEPTH = 8
_PLAIN_ENCODINGS = ("/WinAnsiEncoding", "/MacRomanEncoding", "/StandardEncoding", "/PDFDocEncoding")
_OURS_TO_SKIP = ("/Link", "/Popup")
_LAYOUT = frozenset("\t\n\r\f\v")
_UNREADABLE = frozenset(("Cc", "Cn", "Cs", "Co"))
_SHOWS_TEXT = frozenset((b"Tj", b"TJ", b"'", b'"'))
_PAINTS = frozenset((b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"S", b"s", b"sh"))
_CURVES = frozenset((b"c", b"v", b"y"))
Matrix = tuple[float, float, float, float]


class Doubtful(Exception):
    """Why the words of a PDF cannot be had."""


@dataclass
class Page:
    """What a page draws, besides its words."""

    number: int
    area: float
    pictures: int = 0
    pictured: float = 0.0
    curves: int = 0
    shows_text: bool = False
    paints: bool = False
    fonts: dict[int, Any] = field(default_factory=dict)


def main() -> None:
    """Standard input to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        said = read(sys.stdin.buffer.read())
    except Doubtful as problem:
        said = {"problem": str(problem)}
    except MemoryError:
        said = {"problem": "reading the PDF takes more memory than it may"}
    except Exception as error:  # whatever a library makes of a broken file
        said = {"problem": f"the PDF cannot be read ({type(error).__name__})"}
    json.dump(said, sys.stdout)


def read(data: bytes) -> dict[str, Any]:
    """Its words, page after page. Raises Doubtful."""
    from pypdf import PdfReader

    remarks = _Remarks()
    logging.getLogger("pypdf").addHandler(remarks)
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Doubtful("the PDF is locked with a password")
    if len(reader.pages) > MAX_PAGES:
        raise Doubtful(f"the PDF has {len(reader.pages)} pages; at most {MAX_PAGES} are read")
    _refuse_parts_beside(reader)
    remarks.said.clear()  # what it repairs while it opens a file costs no word
    pages, pictures, size = [], 0, 0
    for number, page in enumerate(reader.pages, 1):
        drawn = _drawn(page, number, reader)
        words = page.extract_text()
        size += len(words)
        _check(drawn, words, page, size)
        pages.append(words)
        pictures += drawn.pictures
    if remarks.said:
        raise Doubtful("the PDF is damaged where its text is")
    text = "\n\n".join(pages)
    _check_words(text)
    return {"words": text, "pictures": pictures}


class _Remarks(logging.Handler):
    """What the library warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Kept."""
        self.said.append(record.getMessage())


def _refuse_parts_beside(reader: Any) -> None:
    """Forms that are drawn by a program, and files inside the file."""
    root = reader.trailer["/Root"]
    if "/XFA" in root.get("/AcroForm", {}):
        raise Doubtful("the PDF is a form that is drawn by a program")
    if "/Collection" in root or "/EmbeddedFiles" in root.get("/Names", {}):
        raise Doubtful("the PDF holds other files")


def _check(page: Page, words: str, raw: Any, size: int) -> None:
    where = f"page {page.number} of the PDF"
    if page.pictured > PICTURE_SHARE * page.area:
        raise Doubtful(f"{where} is a picture or holds a large one (a scan?), which is no text")
    if page.curves > MAX_CURVES:
        raise Doubtful(f"{where} holds a drawing, which is no text")
    if not words.strip() and (page.shows_text or page.paints or page.pictures):
        raise Doubtful(f"{where} has no text layer")
    for font in page.fonts.values():
        if (why := font_problem(font)) is not None:
            raise Doubtful(f"{where} has a font {why}")
    _refuse_notes(raw, where)
    if size > MAX_CHARACTERS:
        raise Doubtful(f"the PDF holds more than {MAX_CHARACTERS} characters")
    plain, placed = (_letters(each) for each in (words, raw.extract_text(extraction_mode="layout", **_ALL)))
    if plain != placed:
        raise Doubtful(f"two ways of reading {where} give different letters")


_ALL: dict[str, Any] = {"layout_mode_strip_rotated": False, "layout_mode_space_vertically": False}


def _letters(text: str) -> list[str]:
    return sorted(unicodedata.normalize("NFKC", "".join(text.split())))


def _refuse_notes(page: Any, where: str) -> None:
    """What people wrote or filled in is drawn beside the page's own text."""
    for each in page.get("/Annots") or ():
        note = each.get_object()
        kind = note.get("/Subtype")
        is_signature = kind == "/Widget" and _inherited(note, "/FT") == "/Sig"
        if kind not in _OURS_TO_SKIP and not is_signature:
            raise Doubtful(f"{where} has notes or form fields on it")


def _inherited(note: Any, name: str) -> Any:
    for _ in range(MAX_DEPTH):
        if name in note or "/Parent" not in note:
            break
        note = note["/Parent"].get_object()
    return note.get(name)


def font_problem(font: Any) -> str | None:
    """Why the letters of a font are not surely known; None when they are."""
    if hasattr(font.get("/ToUnicode"), "get_object") and hasattr(font["/ToUnicode"], "get_data"):
        return None
    if font.get("/Subtype") not in ("/Type1", "/TrueType", "/MMType1"):
        return "that does not say which letters it shows"
    encoding = font.get("/Encoding")
    if encoding is None:
        return None if _has_standard_letters(font) else "whose letters are its own"
    if isinstance(encoding, str):
        return None if encoding in _PLAIN_ENCODINGS else "in an encoding that is not known"
    return _names_problem(encoding.get("/Differences") or ())


def _has_standard_letters(font: Any) -> bool:
    descriptor = font.get("/FontDescriptor")
    embedded = descriptor is not None and any(f"/FontFile{each}" in descriptor for each in ("", "2", "3"))
    return not embedded or bool(int(descriptor.get("/Flags", 0)) & 32)


def _names_problem(differences: Any) -> str | None:
    from pypdf._codecs.adobe_glyphs import adobe_glyphs

    names = [str(each) for each in differences if isinstance(each, str)]
    known = all(each in adobe_glyphs or each == "/.notdef" or re.fullmatch(r"/uni[0-9A-F]{4}", each) for each in names)
    return None if known else "whose letters have no known names"


def _check_words(text: str) -> None:
    if not text.strip():
        raise Doubtful("the PDF holds no text (a scan?)")
    if any(not _is_readable(char) for char in text):
        raise Doubtful("the text in the PDF holds characters that are none")
    words = text.split()
    if len(words) > 40 and sum(map(len, words)) / len(words) > 20:
        raise Doubtful("the words in the PDF cannot be told apart")
    if len(words) > 40 and sum(len(each) == 1 and each.isalpha() for each in words) > len(words) / 2:
        raise Doubtful("the letters in the PDF cannot be put together to words")


def _is_readable(char: str) -> bool:
    return char in _LAYOUT or (char != "\ufffd" and unicodedata.category(char) not in _UNREADABLE)


def _drawn(page: Any, number: int, reader: Any) -> Page:
    box = page.mediabox
    found = Page(number, abs(float(box.width) * float(box.height)) or 1.0)
    content = page.get_contents()
    if content is not None:
        _walk(content.operations, page.get("/Resources", {}), (1.0, 0.0, 0.0, 1.0), found, reader, 0)
    return found


def _walk(operations: Any, resources: Any, matrix: Matrix, page: Page, reader: Any, depth: int) -> None:
    """Pictures with their area, curves, fonts, and whether anything is written or painted, forms inside too."""
    if depth > MAX_DEPTH:
        raise Doubtful(f"page {page.number} of the PDF is nested too deep")
    resources, kept, hidden = resources.get_object() if resources else {}, [], False
    for operands, operator in operations:
        if operator == b"q":
            kept.append(matrix)
        elif operator == b"Q" and kept:
            matrix = kept.pop()
        elif operator == b"cm":
            matrix = _times(operands, matrix)
        elif operator == b"Tr":
            hidden = int(operands[0]) in (3, 7)
        elif operator in _SHOWS_TEXT:
            page.shows_text = True
            if hidden:
                raise Doubtful(f"page {page.number} of the PDF holds hidden text, as scanners write it")
        elif operator == b"Tf":
            font = resources.get("/Font", {}).get(operands[0])
            page.fonts |= {id(font): font.get_object()} if font is not None else {}
        elif operator == b"INLINE IMAGE":
            _picture(page, matrix)
        elif operator == b"Do":
            _inside(resources.get("/XObject", {}).get(operands[0]), resources, matrix, page, reader, depth)
        page.curves += operator in _CURVES
        page.paints |= operator in _PAINTS


def _inside(found: Any, resources: Any, matrix: Matrix, page: Page, reader: Any, depth: int) -> None:
    from pypdf.generic import ContentStream

    inner = found.get_object() if found is not None else {}
    if inner.get("/Subtype") == "/Image":
        _picture(page, matrix)
    elif inner.get("/Subtype") == "/Form":
        own = _times(inner.get("/Matrix", (1, 0, 0, 1)), matrix)
        operations = ContentStream(inner, reader).operations
        _walk(operations, inner.get("/Resources", resources), own, page, reader, depth + 1)


def _picture(page: Page, matrix: Matrix) -> None:
    """Of one unit by one unit before the matrix."""
    a, b, c, d = matrix
    page.pictures += 1
    page.pictured += abs(a * d - b * c)


def _times(operands: Any, matrix: Matrix) -> Matrix:
    a, b, c, d = (float(each) for each in list(operands)[:4])
    e, f, g, h = matrix
    return (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)


if __name__ == "__main__":
    main()
