"""What of a document a page can show in place: by its bytes, never by what it says of itself. Nothing in it runs."""

import tempfile
from dataclasses import dataclass

from integration.packets.pdf_safety import problem_of_pdf
from integration.packets.pdf_words import words_of_pdf
from mappings.decoding import words_of

SECONDS = 10.0
LONGEST = 200_000  # characters
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
# A PDF is drawn by the browser's own viewer, which a sandbox would keep from starting; what it may not do it was looked through for.
POLICIES = {
    "picture": "default-src 'none'; sandbox",
    "pdf": "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Shown:
    """``how``: words, picture, pdf, dicom or nothing; ``words``: of a text or a PDF; ``why``: what cannot be shown, and why.

    ``inline_type``: the content type under which a browser may show the bytes; "" where they are only a download.
    """

    how: str
    words: str = ""
    why: str = ""
    inline_type: str = ""


def of(data: bytes, content_type: str) -> Shown:
    """What can be shown of these bytes."""
    for begins, kind in _PICTURES:
        if data.startswith(begins):
            return Shown("picture", inline_type=kind)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Shown("picture", inline_type="image/webp")
    if data[128:132] == b"DICM":
        return Shown("dicom")
    if data[:5] == b"%PDF-":
        return _pdf(data)
    words = words_of(data, content_type)
    return Shown("words", words[:LONGEST], "longer" if len(words) > LONGEST else "") if words else Shown("nothing")


def _pdf(data: bytes) -> Shown:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        problem = problem_of_pdf(file, seconds=SECONDS)
    if problem:
        return Shown("pdf", why=problem)
    found = words_of_pdf(data, seconds=SECONDS)
    words = found if isinstance(found, str) else found.words
    is_told = not isinstance(found, str) and bool(words.strip())
    why = words if isinstance(found, str) else "" if is_told else "it holds no words"
    return Shown("pdf", words[:LONGEST] if is_told else "", why, "application/pdf")
