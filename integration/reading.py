"""A request's packets as a clinician reads them: the key facts, and the element that each comes from; for pages, API and commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine

from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.store import audit, requests
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible
from integration.store.packets import PacketRow
from mappings.decoding import words_of
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.reading import KeyFacts, key_facts
from mappings.reading.elements import element

LOOKED, OPENED = "key-facts.looked-at", "key-facts.element-opened"


@dataclass(frozen=True)
class Reading:
    """What is asked, and the key facts of all packets together; ``facts`` is None while nothing was gathered."""

    request_id: str
    content: SecondOpinionRequest
    packets: int
    facts: KeyFacts | None


@dataclass(frozen=True)
class Opened:
    """One record as it was sent, and which element of it is looked at. ``documents``: what is stored of it, by its place."""

    request_id: str
    source: str
    at: str
    resource: dict
    packet: PacketRow
    documents: dict[str, ManifestItem]


def read(engine: Engine, payloads: Payloads, request_id: str, *, actor: str, reason: str | None = None) -> Reading:
    """The key facts; the look of ``actor`` is recorded first. Raises UnknownRequest, and ExchangeError when a packet cannot be read."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, LOOKED, request_id, reason=reason)
        rows = packet_rows.of_request(conn, request_id)
    content = requests.content(row)
    first = content.first_opinion
    facts = made(payloads, rows, first.given_on if first else None) if rows else None
    return Reading(request_id, content, len(rows), facts)


def made(payloads: Payloads, rows: Sequence[PacketRow], given_on: date | None) -> KeyFacts:
    """The key facts of these packets, the oldest first."""
    loaded = [packets.load(payloads, row.manifest_sha256) for row in rows]
    together = packets.together(loaded)
    stored = {item.of: item for packet in loaded for item in packet.manifest.items if item.kind == "attachment"}

    def words(place: str) -> str | None:
        item = stored.get(place)
        return words_of(payloads.get(item.sha256), item.content_type) if item else None

    def versions(source: str) -> tuple[dict, dict]:
        before = packets.together(loaded[:-1]).get(source)
        return before.resources[source] if before else {}, loaded[-1].resources[source]

    resources = [packet.resources[source] for source, packet in together.items()]
    manifests = [packet.manifest for packet in loaded]
    return key_facts(manifests, resources, words_of=words, versions=versions, given_on=given_on)


def opened(
    engine: Engine, payloads: Payloads, request_id: str, source: str, at: str, *, actor: str, reason: str | None = None
) -> Opened:
    """A record of the packets with the element that a line came from; the look is recorded first.

    Raises UnknownRequest, and NotPossible when no packet has such a record, or it has no such element.
    """
    with engine.begin() as conn:
        requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
        _record(conn, actor, request_id, source, reason)
    for row in reversed(rows):
        packet = packets.load(payloads, row.manifest_sha256)
        if any(item.source == source for item in packet.manifest.withdrawn):
            break
        if source in packet.resources:
            return _opened(request_id, packet, row, source, at)
    raise NotPossible(f"no packet of request {request_id} holds that record as it is now")


def _record(conn: Connection, actor: str, request_id: str, source: str, reason: str | None) -> None:
    audit.record(conn, actor, OPENED, request_id, subject=source[:200] or None, reason=reason)


def _opened(request_id: str, packet: packets.Packet, row: PacketRow, source: str, at: str) -> Opened:
    resource = packet.resources[source]
    if element(resource, at) is None:
        raise NotPossible("that record has no such element; open it as a whole")
    begins = f"{source}#"
    documents = {
        item.of.removeprefix(begins).partition(".")[2]: item
        for item in packet.manifest.items
        if item.kind == "attachment" and item.of and item.of.startswith(begins)
    }
    return Opened(request_id, source, at, resource, row, documents)
