"""Whether what stands in a system is what was sent: every word decides, and doubt is never taken for an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.same_document import Shown, Verdict, may_be, verdict

VISIBLE = "SOE ref R-77-1"
TEXT = f"We agree.\n{VISIBLE}\nHb  12.1 | INR 2.4\n"
SENT = [Shown("text/plain; charset=utf-8", TEXT.encode())]
PDF = Shown("application/pdf", b"%PDF-1.4")
HTML = f"<div><div><span>We agree.</span></div><div>{VISIBLE}</div><table><tr><td>Hb&#160; 12.1</td><td>INR 2.4</td></tr></table></div>"


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ([SENT[0]], Verdict.SAME),
        ([Shown("text/html", HTML.encode())], Verdict.SAME_WORDS),
        ([Shown("application/rtf", b"{\\rtf1}"), Shown("text/html", HTML.encode())], Verdict.SAME_WORDS),
        ([Shown("text/plain", TEXT.replace("\n", "\r\n").encode())], Verdict.SAME_WORDS),
        ([Shown("text/plain; charset=utf-16", TEXT.encode("utf-16"))], Verdict.SAME_WORDS),
        ([Shown("text/html", HTML.replace("agree", "disagree").encode())], Verdict.UNCLEAR),
        ([Shown("text/plain", b"We agree.")], Verdict.OTHER),
        ([Shown("text/plain", None)], Verdict.UNCLEAR),
        ([Shown("text/rtf", b"{\\rtf1}")], Verdict.UNCLEAR),
        ([Shown("application/pdf", b"%PDF")], Verdict.OTHER),
        ([], Verdict.OTHER),
    ],
)
def test_a_text_is_known_by_its_words(shown, wanted):
    assert verdict(SENT, shown, VISIBLE) is wanted


def test_a_pdf_is_known_by_its_bytes_only():
    assert verdict([PDF], [PDF], VISIBLE) is Verdict.SAME
    assert verdict([PDF], [Shown("application/pdf", b"%PDF-1.4 ")], VISIBLE) is Verdict.OTHER
    assert verdict([PDF], [Shown("application/pdf", None)], VISIBLE) is Verdict.UNCLEAR


def test_a_part_of_several_documents_is_not_all_of_it():
    assert verdict([*SENT, PDF], SENT, VISIBLE) is Verdict.UNCLEAR
    assert verdict([*SENT, PDF], [PDF, *SENT], VISIBLE) is Verdict.SAME


def test_the_reference_of_another_revision_is_not_ours():
    assert verdict(SENT, [Shown("text/plain", f"{VISIBLE}1\nother".encode())], VISIBLE) is Verdict.OTHER


@pytest.mark.parametrize(
    ("content_type", "wanted"),
    [
        ("text/html", True),
        ("text/rtf", True),
        ("TEXT/PLAIN", True),
        (None, True),
        ("application/pdf", False),
        ("image/png", False),
    ],
)
def test_only_what_can_show_a_text_is_fetched(content_type, wanted):
    assert may_be(SENT, content_type) is wanted
    assert may_be([PDF], "application/pdf") and not may_be([PDF], "text/html")


_texts = st.lists(st.text(alphabet="abc \n", min_size=1), min_size=1).map("\n".join).filter(str.strip)


@given(_texts, _texts)
def test_other_words_are_never_the_same(one, other):
    found = verdict([Shown("text/plain", one.encode())], [Shown("text/plain", other.encode())], VISIBLE)
    assert (found in (Verdict.SAME, Verdict.SAME_WORDS)) == (one.split() == other.split())
