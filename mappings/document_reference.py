"""A document as an EHR takes it: one DocumentReference with the bytes inline.

https://hl7.org/fhir/R4/documentreference.html (US Core 9, writing clinical notes: a server need not follow a URL of
ours, so the bytes travel inside). R4 Attachment.hash is SHA-1; our own SHA-256 stays in the manifest.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from mappings import codes
from mappings.addresses import Bases
from mappings.codes import as_dict, as_text, concept
from mappings.model.errors import MappingError
from mappings.model.request import Code, Identifier
from mappings.references import AttachmentAt, find_attachments
from mappings.times import as_instant

STATUSES = ("current", "superseded", "entered-in-error")
DOC_STATUSES = ("preliminary", "final", "amended", "entered-in-error")


def to_document_reference(
    *,
    identifier: Identifier,
    patient: str,
    type_code: Code,
    title: str,
    content_type: str,
    data: bytes,
    date: str | None,
    period_end: str | None,
    related: Sequence[dict],
    author: Sequence[dict] = (),
    replaces: str | None = None,
    appends: str | None = None,
    description: str | None = None,
    status: str = "current",
    doc_status: str = "final",
) -> dict:
    """One document; ``date`` is an instant, ``period_end`` a dateTime (Oracle Health requires it, with a time)."""
    if date is not None and as_instant(date) is None:
        raise MappingError("DocumentReference.date", "is not an instant (date, time and zone)")
    made = {
        "resourceType": "DocumentReference",
        "identifier": [identifier.model_dump()],
        "status": codes.one_of(status, STATUSES, "DocumentReference.status"),
        "docStatus": codes.one_of(doc_status, DOC_STATUSES, "DocumentReference.docStatus"),
        "type": concept(type_code),
        "category": [concept(codes.CLINICAL_NOTE)],
        "subject": {"reference": patient},
        "date": date,
        "author": [dict(each) for each in author],
        "relatesTo": [
            {"code": code, "target": {"reference": target}}
            for code, target in (("replaces", replaces), ("appends", appends))
            if target
        ],
        "description": description,
        "content": [{"attachment": to_attachment(content_type, data, title)}],
        "context": _context(period_end, related),
    }
    return {name: value for name, value in made.items() if value not in (None, [], {})}


def to_attachment(content_type: str, data: bytes, title: str | None = None) -> dict:
    """An inline Attachment. https://hl7.org/fhir/R4/datatypes.html#Attachment"""
    if not data:
        raise MappingError("Attachment.data", "the document is empty")
    made = {
        "contentType": content_type,
        "data": base64.b64encode(data).decode("ascii"),
        "size": len(data),
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii"),
    }
    return {**made, "title": title} if title else made


def attachments(resource: dict, *, source_base: Bases = None) -> list[AttachmentAt]:
    """Every Attachment of any resource, with its FHIRPath, in document order; contained ones too."""
    return find_attachments(resource, source_base=source_base)


def inline_bytes(attachment: Any) -> bytes | None:
    """The bytes inside an Attachment, None when it carries none; a MappingError when they are no base64."""
    data = as_dict(attachment).get("data")
    if data is None:
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True) or None
    except (AttributeError, ValueError):
        raise MappingError("Attachment.data", "is not base64") from None


def data_url(url: str) -> tuple[bytes, str | None]:
    """The bytes and the content type in a ``data:`` URL (RFC 2397). Raises MappingError when it cannot be read."""
    head, comma, body = url.strip()[len("data:") :].partition(",")
    is_base64 = head.lower().endswith(";base64")
    kind = head[: -len(";base64")] if is_base64 else head
    try:
        raw = unquote_to_bytes(body)
        data = base64.b64decode(b"".join(raw.split()), validate=True) if is_base64 else raw
    except ValueError:
        data = b""
    if not comma or body and not data:
        raise MappingError("Attachment.url", "is a data: URL that cannot be read")
    return data, kind.strip() or None


def stated_size(attachment: Any) -> int | None:
    """The number of bytes an Attachment states; None when that is no number."""
    size = as_dict(attachment).get("size")
    return int(size) if isinstance(size, int | Decimal) and not isinstance(size, bool) and size == int(size) else None


def entered_in_error(resource: dict) -> bool:
    """True for what its source says should never have existed."""
    return any(resource.get(name) == "entered-in-error" for name in ("status", "docStatus"))


HashForm = Literal["sha1", "other", "none"]


def hash_form(attachment: Any, data: bytes | Callable[[], Iterable[bytes]]) -> HashForm | None:
    """How an Attachment's hash names these bytes; None when it names other bytes: they are not the document.

    ``sha1``: as R4 wants it (SHA-1, base64). ``other``: another digest of them (SHA-256 as in R5's early builds, SHA-512,
    MD5), in hex, or of the base64 instead of the bytes (https://github.com/i4mi/MobileAccessGateway/issues/59): what is
    stated is their hash, so nothing is lost; say so in a finding. ``none``: there is none that could be read.
    ``data`` may also be what gives the bytes block by block, asked twice at most.
    """
    said = as_text(as_dict(attachment).get("hash"))
    said = "".join(said.split()) if said else ""
    if not said:
        return "none"
    blocks = data if callable(data) else lambda: (data,)
    plain = hashlib.sha1(usedforsecurity=False)
    for block in blocks():
        plain.update(block)
    if said == base64.b64encode(plain.digest()).decode("ascii"):
        return "sha1"
    forms = [form for digest in _digests(blocks()) for form in _written(digest)]
    return "other" if said in forms or said.lower().removeprefix("0x").replace(":", "") in forms else None


def _digests(blocks: Iterable[bytes]) -> list[bytes]:
    """Digests of the bytes and of their base64."""
    raw, wrapped = ([hashlib.new(name, usedforsecurity=False) for name in _DIGESTS] for _ in range(2))
    rest = b""
    for block in blocks:
        rest += block
        whole = len(rest) // 3 * 3  # base64 of a part is a part of the base64 only at three bytes
        text, rest = base64.b64encode(rest[:whole]), rest[whole:]
        for each in raw:
            each.update(block)
        for each in wrapped:
            each.update(text)
    for each in wrapped:
        each.update(base64.b64encode(rest))
    return [each.digest() for each in (*raw, *wrapped)]


def _written(digest: bytes) -> list[str]:
    """The ways one digest is written: base64, base64 without padding, for URLs, hex, and base64 of the hex."""
    plain, hexadecimal = base64.b64encode(digest).decode("ascii"), digest.hex()
    ways = [plain, plain.rstrip("="), plain.replace("+", "-").replace("/", "_"), hexadecimal]
    return [*ways, *(base64.b64encode(each.encode()).decode("ascii") for each in (hexadecimal, hexadecimal.upper()))]


_DIGESTS = ("sha1", "sha256", "sha512", "md5")


def _context(period_end: str | None, related: Sequence[dict]) -> dict:
    made: dict = {"period": {"end": period_end}} if period_end else {}
    return {**made, "related": [dict(each) for each in related]} if related else made
