"""The visit sheet fits a page at typical content, and says that it goes on where it does not."""

from mappings.medications import What, Word
from mappings.visit_sheet import WIDTH, Medicine, Sheet, as_text, medicines


def test_typical_content_is_one_page_and_more_says_that_it_goes_on():
    short = Sheet("Your visit", (("Questions", tuple(f"{n}. Why?" for n in range(10))),))
    assert len(as_text(short, 60, "continued").splitlines()) <= 60 and "continued" not in as_text(
        short, 60, "continued"
    )
    long = Sheet("Your visit", (("Questions", tuple(f"{n}. {'why ' * 60}" for n in range(30))),))
    lines = as_text(long, 60, "continued").splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    pages = [lines[first : first + 60] for first in range(0, len(lines), 60)]
    assert len(pages) > 1 and all(page[-1] == "(continued)" for page in pages[:-1]) and pages[-1][-1] != "(continued)"
    assert " ".join(as_text(long, 60, "continued").split()).count("why") == 1800


def test_what_was_said_of_a_medicine_counts_and_the_rest_is_as_in_the_chart():
    said = {
        "a": Word("a", What.DIFFERENTLY, "evenings only"),
        "b": Word("b", What.NOT_TAKING),
        "also x": Word("also x", What.ALSO, "sage tea"),
    }
    assert medicines([("a", "A", "twice"), ("b", "B", "once"), ("c", "C", "")], said) == [
        Medicine("A", "evenings only"),
        Medicine("B", "once", is_taken=False),
        Medicine("C", ""),
        Medicine("sage tea", ""),
    ]
