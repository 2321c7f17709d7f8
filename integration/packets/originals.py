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
    """One document: where it stands, its hash (hex) and type; ``inside``: its bytes, where they stand in the record itself."""

    source: str
    of: str
    sha256: str
    content_type: str | None
    inside: bytes | None = None


def originals(packet: Packet) -> list[Original]:
    """Every document of a packet, each place once: those of its manifest, and those inside its records."""
    listed = {
        item.of: Original(item.source, item.of or item.source, item.sha256, item.content_type)
        for item in packet.manifest.items
        if item.kind == "attachment"
    }
    inside = {each.of: each for each in _inside(packet)}
    return [*listed.values(), *(each for of, each in inside.items() if of not in listed)]


def printed(packet: Packet) -> frozenset[str]:
    """Hashes of the documents whose words stand with their records, all of them in letters that the summary can show."""
    return frozenset(
        hashlib.sha256(data).hexdigest()
        for _, attachment, data in _attached(packet)
        if (words := words_inside(attachment)) is not None and missing(words) == (0, 0)
    )


def _inside(packet: Packet) -> Iterator[Original]:
    for of, attachment, data in _attached(packet):
        yield Original(
            of.partition("#")[0], of, hashlib.sha256(data).hexdigest(), as_text(attachment.get("contentType")), data
        )


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
