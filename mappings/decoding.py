"""The words of a text document: its bytes, read by the character set that its MIME type states; never by a guess.

https://hl7.org/fhir/R4/datatypes.html#Attachment (contentType may carry a charset), RFC 2045 (parameter names have no
case), RFC 2046 and https://encoding.spec.whatwg.org/#names-and-labels (what senders call their character sets).
"""

import codecs
import unicodedata
from email.message import Message

# What senders write and Python does not know, or takes for something else.
_ALSO_CALLED = {
    "ansi": "cp1252",
    "x-ansi": "cp1252",
    "windows-ansi": "cp1252",
    "x-cp1252": "cp1252",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "unicode": "utf-16",
    "iso-10646-ucs-2": "utf-16",
    "utf8mb4": "utf-8",
    # As the web reads them: nobody means C1 controls where Windows has quotation marks.
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "ascii",
}
_MARKS = (  # the longest first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LAYOUT = frozenset("\t\n\r\f\v")


def media_type(content_type: object) -> str:
    """``text/plain`` of ``Text/Plain; charset=x``; empty for what is no content type."""
    return content_type.partition(";")[0].strip().lower() if isinstance(content_type, str) else ""


def charset_of(content_type: object) -> str | None:
    """The character set that a content type names, in small letters; None when it names none."""
    if not isinstance(content_type, str):
        return None
    message = Message()
    message["Content-Type"] = " ".join(content_type.split())
    said = message.get_param("charset", header="Content-Type")
    said = said[2] if isinstance(said, tuple) else said
    return said.strip(" '\"").lower() or None if isinstance(said, str) else None


def fuller_type(stated: object, served: object) -> str | None:
    """The content type to go by: the resource's, with the server's character set where only the server names one."""
    stated, served = (each if isinstance(each, str) and each.strip() else None for each in (stated, served))
    if stated is None or (media_type(stated) == media_type(served) and charset_of(served) and not charset_of(stated)):
        return served
    return stated


def words_of(data: bytes, content_type: object) -> str | None:
    """The words of a ``text/plain`` document, None when they are not surely known: then its bytes have to be sent.

    1. a byte order mark decides; 2. else the charset stated; 3. else UTF-8. Every byte has to be a character, and every
    character one that can be read.
    """
    if media_type(content_type) != "text/plain" or not data:
        return None
    stated = charset_of(content_type) or "utf-8"
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    name = marked or _ALSO_CALLED.get(stated, stated)
    if name in _NEEDS_MARK and not marked or name in _NO_CHARSET:
        return None
    try:
        text = data.decode(name).removeprefix("\ufeff")
    except (UnicodeError, LookupError, ValueError):
        return None
    return text if text.strip() and all(map(_is_readable, text)) else None


def _is_readable(char: str) -> bool:
    """Neither a control nor a replacement character, and one that Unicode has."""
    return char in _LAYOUT or (char != "\ufffd" and unicodedata.category(char) not in _UNREADABLE)


_UNREADABLE = frozenset(("Cc", "Cn", "Cs", "Co"))
_NEEDS_MARK = frozenset(("utf-16", "utf16", "utf-32", "utf32"))  # which byte comes first is not said
_NO_CHARSET = frozenset(("unicode_escape", "raw_unicode_escape", "idna", "punycode"))  # Python's, nobody's charset
