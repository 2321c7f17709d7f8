"""The documents of a packet: which there are, and which of them stand word for word in its readable summary."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from integration.packets.pdf_text import missing
from integration.packets.stored import Packet
from mappings.codes import as_text
from mappings.document_reference import attachments, inline_bytes
from mappings.model.errors import MappingError
from mappings.rendition import words_inside


@dataclass(frozen=True)
class Original:
    """One document: where it stands, its hash (hex) and type; ``inside``: its bytes, where no manifest names them."""

    source: str
    of: str
    sha256: str
    content_type: str | None
    inside: bytes | None = None


@dataclass(frozen=True)
class Contents:
    """Every document of a packet, each place once; ``printed``: hashes of those whose words stand with their records."""

    originals: tuple[Original, ...]
    printed: frozenset[str]


def contents(packet: Packet) -> Contents:
    """The documents that the manifest names, and those inside records, which an older manifest does not."""
    found = {
        item.of: Original(item.source, item.of or item.source, item.sha256, item.content_type)
        for item in packet.manifest.items
        if item.kind == "attachment"
    }
    printed = set()
    for of, attachment, data in _attached(packet):
        digest = hashlib.sha256(data).hexdigest()
        words = words_inside(attachment)
        if words is not None and missing(words) == (0, 0):
            printed.add(digest)
        elif of not in found:
            kind = as_text(attachment.get("contentType"))
            found[of] = Original(of.partition("#")[0], of, digest, kind, data)
    return Contents(tuple(found.values()), frozenset(printed))


def _attached(packet: Packet) -> Iterator[tuple[str, dict, bytes]]:
    """Place, attachment and bytes of each document that stands inside its record."""
    for source, resource in packet.resources.items():
        for at in attachments(resource):
            try:
                data = inline_bytes(at.attachment)
            except MappingError:  # no base64: gathering said so, and a person let it go
                continue
            if data:
                yield f"{source}#{at.path}", at.attachment, data
