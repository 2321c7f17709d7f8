"""A report as text of 80 columns: no word is lost, none is added."""

from hypothesis import given
from hypothesis import strategies as st

from mappings.report_text import COLUMNS, Part, has_line, report_text, width, wrapped


@given(st.text())
def test_whatever_the_letters_are_no_line_is_wider_than_80_columns_and_no_letter_is_lost(text):
    lines = wrapped(text)
    assert all(width(line) <= COLUMNS for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.lists(st.text(alphabet="abc d\t|", min_size=1, max_size=160)))
def test_words_stay_whole_and_in_their_order(lines):
    text = "\n".join(lines)
    if all(len(word) <= COLUMNS // 2 for word in text.split()):
        assert "\n".join(wrapped(text)).split() == text.split()


def test_lines_that_fit_stay_as_they_are():
    table = "  Hb      12.1 g/dL\n  INR      2.4\n\n  end"
    assert wrapped(table) == table.split("\n")


def test_a_long_line_goes_on_below_its_own_beginning():
    first, second = wrapped("    " + "word " * 20)
    assert first.startswith("    word") and second.startswith("    word")


def test_letters_of_east_asia_take_two_columns():
    assert [width(line) for line in wrapped("診" * 50)] == [80, 20]


def test_what_was_made_from_a_pdf_says_so_in_its_first_line():
    part = Part("Consult report", "We agree.", 0)
    text = report_text(["SOE ref R-77-1"], [part], original_from="Lakeside Cardiology")
    said = "Text of Consult report, made from the PDF by the Exchange; the signed original is available from Lakeside Cardiology."
    assert " ".join(text.split("\n\n")[0].split()) == said
    assert text.rstrip().endswith("We agree.")


def test_a_logo_that_is_no_text_is_said_to_be_missing():
    text = report_text([], [Part("Consult report", "We agree.", 2)], original_from="Lakeside")
    assert "Not in this text: 2 small picture(s)" in " ".join(text.split())


def test_several_documents_stand_in_their_order_and_are_counted():
    text = report_text(["head"], [Part("one", "first"), Part("two", "second")], original_from="x")
    assert text.index("head") < text.index("one (1 of 2)") < text.index("first") < text.index("two (2 of 2)")


def test_a_reference_counts_as_a_line_of_its_own_only():
    text = "It replaces the earlier report SOE ref R-77-1.\n  SOE ref R-77-11  \n"
    assert has_line(text, "SOE ref R-77-11") and not has_line(text, "SOE ref R-77-1")
