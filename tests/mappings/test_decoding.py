"""The words of text documents, by what their MIME type says."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.decoding import charset_of, fuller_type, media_type, words_of

WORDS = "Befund: Größe 5 µm, ¿dolor?"
PLAIN = "text/plain"


@pytest.mark.parametrize(
    "content_type, data, words",
    [
        (PLAIN, WORDS.encode(), WORDS),
        ("Text/Plain ; Charset=ISO-8859-1", WORDS.encode("latin-1"), WORDS),
        ('text/plain;CHARSET="windows-1252"', "“so”".encode("cp1252"), "“so”"),
        ("text/plain; charset=iso-8859-1", "“so”".encode("cp1252"), "“so”"),
        ("text/plain; charset=ansi", "“so”".encode("cp1252"), "“so”"),
        ("text/plain; format=flowed; charset='utf-8'", WORDS.encode(), WORDS),
        ("text/plain; charset = utf-8", WORDS.encode(), WORDS),
        ("text/plain; charset*=utf-8''latin1", WORDS.encode("latin-1"), WORDS),
        ("text/plain; charset=utf-16", WORDS.encode("utf-16"), WORDS),
        ("text/plain; charset=UTF-16LE", WORDS.encode("utf-16-le"), WORDS),
        ("text/plain; charset=utf-8", codecs.BOM_UTF8 + WORDS.encode(), WORDS),
        (PLAIN, WORDS.encode("utf-16"), WORDS),
        ("text/plain; charset=Shift_JIS", "診断".encode("cp932"), "診断"),
        ("text/plain; charset=gb2312", "诊断".encode("gb18030"), "诊断"),
        ("text/plain; charset=euc-kr", "진단".encode("euc-kr"), "진단"),
        ("text/plain; charset=koi8-r", "диагноз".encode("koi8-r"), "диагноз"),
        ("text/plain; charset=", b"plain", "plain"),
    ],
)
def test_it_reads_what_the_type_says(content_type, data, words):
    assert words_of(data, content_type) == words


@pytest.mark.parametrize(
    "content_type, data",
    [
        (PLAIN, WORDS.encode("latin-1")),
        ("text/plain; charset=utf-8", WORDS.encode("latin-1")),
        ("text/plain; charset=us-ascii", WORDS.encode()),
        ("text/plain; charset=utf-16", WORDS.encode("utf-16-le")),  # which byte comes first is not said
        (PLAIN, "ab".encode("utf-16-le")),  # no mark, and full of zero bytes
        ("text/plain; charset=x-none", b"plain"),
        ("text/plain; charset=rot13", b"plain"),
        ("text/plain; charset=hex", b"6162"),
        ("text/plain; charset=unicode_escape", b"\\x41"),
        ("text/plain; charset=\x00", b"\x00"),
        (PLAIN, b"a\x07b"),
        (PLAIN, "was \ufffd already".encode()),
        (PLAIN, "\uf0b7 a bullet of a font of its own".encode()),
        (PLAIN, b""),
        (PLAIN, b" \n"),
        ("text/html", b"<p>"),
        ("text/rtf", b"{\\rtf1 hi}"),
        (None, b"words"),
        (5, b"words"),
        (["text/plain"], b"words"),
    ],
)
def test_what_is_not_surely_known_is_no_text(content_type, data):
    assert words_of(data, content_type) is None


@given(st.binary(max_size=40), st.text(max_size=40))
def test_no_bytes_and_no_type_raise(data, parameters):
    words_of(data, f"text/plain; {parameters}")
    words_of(data, parameters)
    charset_of(parameters)


@pytest.mark.parametrize(
    "stated, served, found",
    [
        (PLAIN, "text/plain; charset=iso-8859-1", "text/plain; charset=iso-8859-1"),
        ("text/plain; charset=utf-8", "text/plain; charset=iso-8859-1", "text/plain; charset=utf-8"),
        ("application/pdf", "text/plain; charset=utf-8", "application/pdf"),
        (None, "image/png", "image/png"),
        (" ", "image/png", "image/png"),
        ({"x": 1}, None, None),
        ("application/pdf", None, "application/pdf"),
    ],
)
def test_the_server_adds_its_character_set_and_nothing_else(stated, served, found):
    assert fuller_type(stated, served) == found


def test_a_media_type_has_no_case_and_no_parameters():
    assert [media_type(each) for each in ("Text/Plain; charset=x", None, 5)] == ["text/plain", "", ""]
