"""The words of a PDF are all of them, or there are none and a sentence says why."""

import io
import zlib

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from integration.packets import pdf
from integration.packets.pdf_words import words_of_pdf
from mappings.rendition import Row
from mappings.report_text import PdfText
from tests.integration.packets.test_pdf import small

A4 = (595, 842)


def made(*pages, **options) -> bytes:
    """A PDF; each page is drawn by a function."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, **options)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def words(*lines):
    return lambda canvas: [canvas.drawString(72, 760 - 16 * row, line) for row, line in enumerate(lines)]


def picture(share):
    """A picture that takes this share of the page, below a line of words."""
    side = (share * A4[0] * A4[1]) ** 0.5

    def draw(canvas):
        canvas.drawString(72, 800, "Page 1 of 1")
        canvas.drawImage(_pixels(), 20, 20, side, side)

    return draw


def _pixels():
    from PIL import Image

    return ImageReader(Image.new("RGB", (8, 8), "grey"))


def test_all_words_in_their_order():
    read = words_of_pdf(made(words("We agree with the first opinion.", "INR 2.4 µg"), words("Page two.")))
    assert read.words.split() == "We agree with the first opinion. INR 2.4 µg Page two.".split()


def test_our_own_rendition_is_read_letter_by_letter():
    [document] = pdf.to_pdfs(small(Row("Observation/1", ("Größe Łódź", "≥ 1.10 µg"))))
    read = words_of_pdf(document)
    assert isinstance(read, PdfText) and "Größe Łódź" in read.words and "≥ 1.10 µg" in read.words


def test_a_logo_is_counted():
    assert words_of_pdf(made(picture(0.05))).pictures == 1


def test_a_blank_page_costs_nothing():
    assert words_of_pdf(made(words("one"), lambda canvas: None, words("two"))).words.split() == ["one", "two"]


def hidden(canvas):
    text = canvas.beginText(72, 700)
    text.setTextRenderMode(3)
    text.textLine("what a scanner read")
    canvas.drawText(text)


def drawing(canvas):
    canvas.drawString(72, 800, "Figure 1")
    for step in range(600):
        canvas.bezier(10, 10, step, 20, 30, step, 40, 40)


def note(canvas):
    canvas.drawString(72, 800, "The dose is 5 mg.")
    canvas.textAnnotation("Wrong, see page 2", (100, 100, 200, 200))


def filled(canvas):
    canvas.drawString(72, 800, "Diagnosis:")
    canvas.acroForm.textfield(name="diagnosis", value="as before", x=72, y=700)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (made(picture(0.6)), "a picture or holds a large one"),
        (made(words("one"), picture(0.6)), "page 2"),
        (made(lambda canvas: canvas.drawImage(_pixels(), 0, 0, 100, 100)), "has no text layer"),
        (made(lambda canvas: canvas.rect(10, 10, 100, 100, fill=1)), "has no text layer"),
        (made(lambda canvas: None), "holds no text"),
        (made(hidden), "hidden text"),
        (made(drawing), "holds a drawing"),
        (made(note), "notes or form fields"),
        (made(filled), "notes or form fields"),
        (made(*[words("x")] * 301), "301 pages"),
        (made(words(*["H e l l o w o r l d"] * 6)), "put together"),
        (b"%PDF-1.4 is no PDF", "cannot be read"),
        (b"", "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "document",
)
def test_what_is_not_all_words_has_none(document, why):
    read = words_of_pdf(document)
    assert isinstance(read, str) and why in read


def _changed(document: bytes, change) -> bytes:
    writer, out = PdfWriter(clone_from=PdfReader(io.BytesIO(document))), io.BytesIO()
    change(writer)
    writer.write(out)
    return out.getvalue()


def _without_letters(writer):
    for font in writer.pages[0]["/Resources"]["/Font"].values():
        font.get_object().pop("/ToUnicode", None)


def _odd_names(writer):
    for font in writer.pages[0]["/Resources"]["/Font"].values():
        own = DictionaryObject({NameObject("/Differences"): ArrayObject([NameObject("/g12")])})
        font.get_object()[NameObject("/Encoding")] = own


@pytest.mark.parametrize(
    "change",
    [_odd_names, lambda writer: writer.encrypt("secret"), lambda writer: writer.add_attachment("more.txt", b"more")],
)
def test_a_file_that_hides_its_words_has_none(change):
    assert isinstance(words_of_pdf(_changed(made(words("We agree.")), change)), str)


def test_letters_that_only_the_font_knows_are_none():
    [document] = pdf.to_pdfs(small(Row("Observation/1", ("We", "agree"))))
    read = words_of_pdf(_changed(document, _without_letters))
    assert isinstance(read, str) and "font" in read


def test_a_file_without_a_password_to_open_it_is_read():
    read = words_of_pdf(_changed(made(words("We agree.")), lambda writer: writer.encrypt("", "owner")))
    assert isinstance(read, PdfText) and read.words.strip() == "We agree."


def _bomb() -> bytes:
    """One page whose content is a gigabyte when it is unpacked."""
    packed = zlib.compressobj(9)
    content = b"".join([packed.compress(b" " * (1 << 20)) for _ in range(1024)] + [packed.flush()])
    parts = [
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>endobj",
        b"4 0 obj<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream endobj" % (len(content), content),
    ]
    return b"%PDF-1.4\n" + b"\n".join(parts) + b"\ntrailer<</Root 1 0 R/Size 5>>"


def test_a_bomb_ends_alone():
    assert isinstance(words_of_pdf(_bomb()), str)


def test_it_does_not_take_longer_than_it_may():
    read = words_of_pdf(made(*[words("x")] * 300), seconds=0.05)
    assert isinstance(read, str) and "longer than" in read
