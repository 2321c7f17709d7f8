"""Documents too large to stand inside their record: Binaries of their own, sent block by block before what names them.

https://hl7.org/fhir/R4/binary.html#rest
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from integration.fhir.transport import Streamed
from integration.packets import stored as packets
from integration.store import links
from jobs.world import Context
from mappings.model.errors import PermanentError, UnknownOutcome
from mappings.model.link import Link
from mappings.model.packet import ManifestItem
from mappings.references import find_attachments

# Anything that a server may take for a resource cannot be sent as raw bytes.
_RAW = re.compile(r"(?!.*(?:json|xml))[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+", re.ASCII)


@dataclass(frozen=True)
class SeparateBinary:
    """One document: the record that names it, and by which ``Binary/id`` of the source."""

    source: str
    binary: str
    item: ManifestItem


def separate_binaries(ctx: Context, endpoint: str, packet: packets.Packet) -> dict[str, SeparateBinary]:
    """``{place: document}`` of what goes apart; nothing where the endpoint takes no Binary."""
    limit = ctx.endpoint(endpoint).limits.max_inline_bytes
    large = {item.of: item for item in packet.manifest.items if item.kind == "attachment" and item.size > limit}
    if not large or not ctx.capabilities(endpoint).binary_create:
        return {}
    bases, found = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases), {}
    for source in dict.fromkeys(item.source for item in large.values()):
        for at in find_attachments(packet.resources[source], source_base=bases):
            place = f"{source}#{at.path}"
            item = large.get(place)
            if item is not None and at.target is not None and _RAW.fullmatch(media(item)):
                found[place] = SeparateBinary(source, at.target, item)
    return found


def media(item: ManifestItem) -> str:
    """The content type without its parameters."""
    return (item.content_type or "").partition(";")[0].strip()


def send_binary(ctx: Context, endpoint: str, system: str, document: SeparateBinary) -> str:
    """``Binary/id`` at the endpoint, sent now unless these bytes are there; its link is stored before what names it goes."""
    pair = (system, document.binary)
    with ctx.world.engine.begin() as conn:
        link = links.find_rows(conn, endpoint, [pair]).get(pair)
    if link is not None and link.sha256 == document.item.sha256:
        return link.reference
    if ctx.looks_first:
        words = "an attempt before this one may have left another copy there: a Binary has nothing to be found by"
        ctx.finding("binary-perhaps-twice", words, document.binary, "info")
    payloads, item = ctx.world.payloads, document.item
    ctx.lease.before_write()
    answer = ctx.server(endpoint).create_binary(Streamed(item.size, lambda: payloads.open(item.sha256)), media(item))
    if answer.location is None:
        raise UnknownOutcome(f"{endpoint} did not say where the document is", endpoint=endpoint, cause="no-location")
    with ctx.transaction() as conn:
        row = Link(system, document.binary, answer.location, "created", answer.version, item.sha256)
        links.wrote(conn, endpoint, [row])
    return answer.location


def not_as_sent(ctx: Context, endpoint: str, system: str, documents: Iterable[SeparateBinary]) -> Mapping[str, str]:
    """``{place: why}`` of documents that are not there byte for byte; each is read block by block and not kept."""
    documents = list(documents)
    with ctx.world.engine.begin() as conn:
        rows = links.find_rows(conn, endpoint, [(system, each.binary) for each in documents])
    there = {each: rows[system, each.binary] for each in documents if (system, each.binary) in rows}
    return {
        each.item.of or each.source: why for each, link in there.items() if (why := _why(ctx, endpoint, each, link))
    }


def _why(ctx: Context, endpoint: str, document: SeparateBinary, link: Link) -> str | None:
    try:
        found, _ = ctx.server(endpoint).save_binary(
            link.reference, digest_of, content_type=document.item.content_type, max_bytes=document.item.size
        )
    except PermanentError as error:
        return f"the bytes cannot be read back: {error.cause}"
    return None if found == document.item.sha256 else "the bytes that the server keeps are not those that were sent"


def digest_of(blocks: Iterator[bytes]) -> str:
    """The SHA-256 of what comes."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
