"""Text as PDF: every line in its place, the same bytes each time, and no letter lost without a word."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from integration.packets.text_pdf import LINES, pdf_of_text

SHOWN = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=80)


def pages(data) -> list[str]:
    assert isinstance(data, bytes), data
    return [each.extract_text() for each in PdfReader(io.BytesIO(data)).pages]


@settings(max_examples=15)
@given(st.lists(SHOWN, min_size=1, max_size=3 * LINES))
def test_every_line_stands_there_in_its_order(lines):
    made = pages(pdf_of_text("\n".join(lines), "Report"))
    read = [line for page in made for line in page.strip("\n").split("\n") if not line.startswith("page ")]
    assert read == lines and len(made) == -(-len(lines) // LINES)


def test_signs_of_a_chart_are_shown_and_the_same_text_gives_the_same_bytes():
    text = "Kalium 5,9 ± 0.1 mmol/l ≥ 5 µg → café\n"
    assert "5,9 ± 0.1 mmol/l ≥ 5 µg → café" in pages(pdf_of_text(text, "Report"))[0]
    assert pdf_of_text(text, "Report") == pdf_of_text(text, "Report")


def test_a_letter_that_cannot_be_shown_is_said():
    for text, count in (("手術", 2), ("שלום", 4), ("a\tb", 1)):
        said = pdf_of_text(text, "Report")
        assert isinstance(said, str) and said.startswith(f"{count} of its letters") and text not in said
