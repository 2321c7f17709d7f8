"""What a file is, by its first bytes, and whether it is whole and harmless; its name and claimed type have to agree.

Signatures: ISO 32000 (PDF), RFC 2083 (PNG), ITU T.81 (JPEG), TIFF 6.0, DICOM PS3.10 section 7.1, APPNOTE 4.3.7 (zip).
"""

import codecs
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from integration.arriving import cda, dicom, fhir
from integration.arriving.refused import Refused
from integration.packets.pdf_safety import problem_of_pdf
from mappings.received import Said

BLOCK = 256 * 1024
NOTHING_KNOWN = Said()


@dataclass(frozen=True)
class Format:
    """One kind of file that is taken: what it is called, its media type, and the endings and types it may come with."""

    key: str
    label: str
    media: str
    endings: tuple[str, ...]
    types: tuple[str, ...] = ()


FORMATS = {
    each.key: each
    for each in (
        Format("pdf", "a PDF", "application/pdf", (".pdf",)),
        Format("jpeg", "a JPEG picture", "image/jpeg", (".jpg", ".jpeg", ".jpe")),
        Format("png", "a PNG picture", "image/png", (".png",)),
        Format("tiff", "a TIFF picture", "image/tiff", (".tif", ".tiff")),
        Format("dicom", "a DICOM file", "application/dicom", (".dcm", ".dicom", ".ima", "")),
        Format("zip", "a zip file", "application/zip", (".zip",), ("application/x-zip-compressed", "application/x-zip")),
        Format("ccda", "a C-CDA document", "text/xml", (".xml", ".ccd", ".cda"), ("application/xml", "application/hl7-cda+xml")),
        Format("fhir", "a FHIR document or resource (JSON)", "application/fhir+json", (".json",), ("application/json",)),
        Format("text", "plain text", "text/plain; charset=utf-8", (".txt", ".text")),
    )
}  # fmt: skip
TAKEN = "PDF, JPEG, PNG, TIFF, DICOM (single files or a zip of them), C-CDA (XML), FHIR (JSON) and plain text"
ENDINGS = ",".join(ending for each in FORMATS.values() for ending in each.endings if ending)
_BY_TYPE = {
    media.partition(";")[0]: each.key for each in FORMATS.values() for media in (each.media, *each.types)
}  # what a browser may claim


@dataclass(frozen=True)
class Looked:
    """What a file is and says. ``repacked``: its images alone, where it brought other files along."""

    format: Format
    said: Said = NOTHING_KNOWN
    repacked: BinaryIO | None = None


def look(file: BinaryIO, name: str, claimed: str | None, *, max_bytes: int, spool: Callable[[], BinaryIO]) -> Looked:
    """Read all of a file that can be read anywhere. Raises Refused with what to do; ``spool()`` makes a file to write."""
    head = _head(file)
    _must_not_be_known_otherwise(head, name)
    found = FORMATS[_kind_of(head)]
    _must_agree(found, name, claimed)
    checks: dict[str, Callable[[], Looked]] = {
        "pdf": lambda: _pdf(file),
        "png": lambda: _pictured(_png_problem(file) or _archive_behind(file), "png"),
        "jpeg": lambda: _pictured(_jpeg_problem(file) or _archive_behind(file), "jpeg"),
        "tiff": lambda: _pictured(_tiff_problem(file, head) or _archive_behind(file), "tiff"),
        "dicom": lambda: Looked(found, dicom.said_of_file(file)),
        "zip": lambda: _zip(file, max_bytes, spool),
        "ccda": lambda: Looked(found, cda.said_of(cda.parsed(file))),
        "fhir": lambda: Looked(found, fhir.said_of_file(file)),
        "text": lambda: _text(file),
    }
    file.seek(0)
    return checks[found.key]()


def size_of(file: BinaryIO) -> int:
    """In bytes; it stands at its beginning afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(4096)
    if not head:
        raise Refused("The file is empty. Look whether it was saved, and send it again.")
    return head


def _must_not_be_known_otherwise(head: bytes, name: str) -> None:
    """Of what people often have: which program makes something of it that is taken."""
    ending = PurePath(name.replace("\\", "/")).suffix.lower()
    if head[4:8] == b"ftyp" and head[8:12] in _PHONE_PICTURES:
        raise Refused(
            "It is a phone's picture in HEIC. Save or export it as JPEG (on an iPhone: Files or Mail does), and send that."
        )
    if ending in _WRITTEN:
        raise Refused(f"It is {_WRITTEN[ending]}. Print it to a PDF, and send that.")
    if head.startswith((b"GIF8", b"BM")) or head[8:12] == b"WEBP":
        raise Refused("It is a picture of a kind that is not taken. Save it as PNG or JPEG, and send that.")


_PHONE_PICTURES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif")
_WRITTEN = {
    **dict.fromkeys((".doc", ".docx", ".odt", ".rtf", ".pages"), "a text document"),
    **dict.fromkeys((".xls", ".xlsx", ".ods", ".csv", ".ppt", ".pptx"), "a table or a presentation"),
    **dict.fromkeys((".htm", ".html", ".mht"), "a web page"),
    **dict.fromkeys((".eml", ".msg"), "an email"),
}


def _kind_of(head: bytes) -> str:
    """By its signature; what has none is text, which is then read as such."""
    if head[128:132] == b"DICM":
        return "dicom"
    for key, signatures in _SIGNATURES.items():
        if head.startswith(signatures):
            return key
    plain = head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if plain.lstrip().startswith(b"%PDF-"):
        raise Refused("Something stands before the PDF begins, so not every program opens it. Print it to a new PDF.")
    if plain.lstrip().startswith(b"<"):
        return "ccda"
    if plain.lstrip().startswith(b"{") and b'"resourceType"' in plain:
        return "fhir"
    if b"\0" in head:
        raise Refused(f"This is no file that is taken here. Taken are {TAKEN}.")
    return "text"


_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "pdf": (b"%PDF-",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "tiff": (b"II*\0", b"MM\0*"),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
}


def _must_agree(found: Format, name: str, claimed: str | None) -> None:
    ending = PurePath(name.replace("\\", "/")).suffix.lower()
    is_numbered = found.key == "dicom" and ending[1:].isdigit()  # IM0001.001, or a UID
    if ending not in found.endings and not is_numbered:
        raise Refused(
            f"The name of the file ends in “{ending[:10] or 'nothing'}”, and what is in it is {found.label}. "
            f"Ask who sent it for the right file, or give it the ending {found.endings[0]} when you know that it is one."
        )
    media = (claimed or "").partition(";")[0].strip().lower()
    if media in _BY_TYPE and _BY_TYPE[media] != found.key:
        raise Refused(f"It was sent as {media}, and what is in it is {found.label}. Send it as what it is.")


def _pdf(file: BinaryIO) -> Looked:
    problem = problem_of_pdf(file) or _archive_behind(file)
    if problem:
        raise Refused(f"The PDF was not taken: {problem}. Print it to a new PDF, or ask for another copy.")
    return Looked(FORMATS["pdf"])


def _pictured(problem: str | None, key: str) -> Looked:
    if problem:
        raise Refused(f"The picture was not taken: {problem}. Save it anew, or ask for another copy.")
    return Looked(FORMATS[key])


def _archive_behind(file: BinaryIO) -> str | None:
    """Whether it is a zip too, to a program that reads from the end: its last record says where its list of files stands."""
    size = size_of(file)
    file.seek(max(0, size - ZIP_END))
    end = file.read()
    file.seek(0)
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(end):
        return None
    listed, begins, comment = struct.unpack("<IIH", end[at + 12 : at + 22])
    is_one = at + 22 + comment <= len(end) and listed + begins <= size - len(end) + at
    return "another file stands behind it, in a zip" if is_one else None


ZIP_END = 65_535 + 22  # bytes: the end record of a zip, and the longest comment behind it


def _png_problem(file: BinaryIO) -> str | None:
    """Every chunk is there up to the last one."""
    size, at = size_of(file), 8
    while at + 12 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        at += 12 + length
        if kind == b"IEND":
            return None if at <= size else "it is cut off"
    return "it is cut off"


def _jpeg_problem(file: BinaryIO) -> str | None:
    """It has an end; some cameras write a little behind it."""
    size = size_of(file)
    file.seek(max(0, size - 65536))
    if b"\xff\xd9" in file.read():
        return None
    return "it is cut off, or a moving picture of a phone stands behind it"


def _tiff_problem(file: BinaryIO, head: bytes) -> str | None:
    """Its first directory lies inside it."""
    if len(head) < 8:
        return "it is cut off"
    first = struct.unpack(("<" if head[:2] == b"II" else ">") + "I", head[4:8])[0]
    return None if 8 <= first <= size_of(file) - 2 else "it is cut off"


def _zip(file: BinaryIO, max_bytes: int, spool: Callable[[], BinaryIO]) -> Looked:
    said, repacked = dicom.said_of_zip(file, max_bytes=max_bytes, spool=spool)
    return Looked(FORMATS["zip"], said, repacked)


def _text(file: BinaryIO) -> Looked:
    """UTF-8 from the first to the last byte, and no control characters: else nobody knows what it says."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(BLOCK):
            _must_be_readable(decoder.decode(block))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Refused(
            "The text is not in UTF-8, so its letters could be shown wrong. Open it, save it as “UTF-8”, and send it again."
        ) from None
    return Looked(FORMATS["text"])


def _must_be_readable(words: str) -> None:
    if any(letter < " " and letter not in "\t\n\r\f" for letter in words):
        raise Refused(f"This is not plain text: it holds control characters. Taken are {TAKEN}.")
