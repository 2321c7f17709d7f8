"""Whether a document that stands in a system is one of ours, by its bytes, or by its words where the system changes them.

Epic shows a note of text as HTML and RTF, others change line ends or the character set: the words then decide, all of them in
their order. Pure: bytes in, a verdict out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mappings.decoding import media_type, words_of
from mappings.rendition.narrative import plain_text
from mappings.report_text import has_line

TEXT, HTML, RTF, PDF = "text/plain", "text/html", "application/rtf", "application/pdf"
_ALSO = {"text/rtf": RTF, "text/richtext": RTF, "application/xhtml+xml": HTML}
_UNSAID = ("", "application/octet-stream", "binary/octet-stream")


class Verdict(StrEnum):
    """What a look at one document says."""

    SAME = "same"  # byte by byte
    SAME_WORDS = "same-words"  # all words in their order, written otherwise
    OTHER = "other"
    UNCLEAR = "unclear"  # part of it is ours, or it cannot be read


@dataclass(frozen=True)
class Shown:
    """One content as a system shows it; ``data`` None: it may not be read, or cannot be."""

    content_type: str | None
    data: bytes | None

    @property
    def kind(self) -> str:
        """Media type; different names of one are one."""
        said = media_type(self.content_type)
        return _ALSO.get(said, said)


def may_be(sent: Sequence[Shown], content_type: str | None) -> bool:
    """Whether a content of this type can show, or hide, one of the documents sent: only those are fetched."""
    kind = Shown(content_type, None).kind
    kinds = {each.kind for each in sent}
    return kind in kinds or kind in _UNSAID or TEXT in kinds and kind in (HTML, RTF)


def verdict(sent: Sequence[Shown], shown: Sequence[Shown], visible: str) -> Verdict:
    """``shown``: those contents of one document there that `may_be` one of the ``sent``; ``visible``: our reference."""
    hashes = {hashlib.sha256(each.data).digest() for each in shown if each.data is not None}
    exact = [hashlib.sha256(each.data or b"").digest() in hashes for each in sent]
    if all(exact):
        return Verdict.SAME
    readable = [words for each in shown if (words := _words(each)) is not None]
    alike = [
        is_there or _comparable(_words(each)) in map(_comparable, readable)
        for is_there, each in zip(exact, sent, strict=True)
    ]
    if all(alike):
        return Verdict.SAME_WORDS
    if any(alike) or any(has_line(words, visible) for words in readable) or _hides(sent, shown):
        return Verdict.UNCLEAR
    return Verdict.OTHER


def _hides(sent: Sequence[Shown], shown: Sequence[Shown]) -> bool:
    """Something there cannot be read; RTF only where nothing else shows the same note."""
    unread = [each for each in shown if each.data is None]
    texts = TEXT in {each.kind for each in sent}
    only_rtf = texts and any(each.kind == RTF for each in shown) and not any(_words(each) for each in shown)
    return bool(unread) or only_rtf


def _words(each: Shown) -> str | None:
    if each.data is None:
        return None
    if each.kind == HTML:
        return plain_text(each.data.decode("utf-8", "replace"))
    if each.kind != TEXT and each.kind not in _UNSAID:
        return None
    return words_of(each.data, each.content_type if each.kind == TEXT else TEXT)


def _comparable(words: str | None) -> list[str] | None:
    """Word by word; a line between the cells of a table is none."""
    return None if words is None else [word for word in words.split() if word != "|"]
