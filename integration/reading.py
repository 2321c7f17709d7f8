"""A request's packets as a clinician reads them: the key facts, and the element that each comes from; for pages, API and commands.

Packets never change. So what is made of one is kept, and made anew only when the rules (`VERSION`), the day of the first opinion
or the addresses of the source are others. Whoever reads for the side that is asked reads within the patient's consent (``limit``):
what is made for them is kept apart.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from pydantic import TypeAdapter

from integration import checklists
from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.payloads import PayloadMissing
from integration.store import audit, consents, requests
from integration.store import key_facts as kept
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible
from integration.store.packets import PacketRow
from integration.views.checklist import Completeness
from integration.visit_reading import House
from mappings.checklists.chart import Chart
from mappings.codes import as_dict, as_text
from mappings.decoding import words_of
from mappings.document_reference import inline_bytes
from mappings.model.consent import Consent, RecordKind
from mappings.model.packet import Manifest
from mappings.model.request import SecondOpinionRequest
from mappings.reading import KeyFacts, key_facts
from mappings.reading.elements import element
from mappings.reading.model import VERSION, Kind

LOOKED, OPENED = "key-facts.looked-at", "key-facts.element-opened"
METER = (Kind.ALLERGIES, Kind.MEDICATIONS, Kind.FLAGGED, Kind.DOCUMENTS)  # of these the page itself lists the rest
LISTED = 100
_FACTS, _CHART = TypeAdapter(KeyFacts), TypeAdapter(Chart)


@dataclass(frozen=True)
class Reading:
    """What is asked, and the key facts of all packets together; ``facts`` and ``missing`` are None while nothing was gathered.

    ``facts.rest`` holds the beginning of the lists of METER; the whole of all lists where it was read whole. ``limit``: the
    consent that left kinds of record out of it.
    """

    request_id: str
    content: SecondOpinionRequest
    packets: int
    facts: KeyFacts | None
    missing: Completeness | None = None
    limit: Consent | None = None

    @property
    def left_out(self) -> tuple[RecordKind, ...]:
        """The kinds of record that are not in it by the patient's choice."""
        return self.limit.left_home if self.limit else ()


@dataclass(frozen=True)
class Opened:
    """One record as it was sent, and which element of it is looked at; ``manifest``: of the packet that holds it."""

    request_id: str
    source: str
    at: str
    resource: dict
    packet: PacketRow
    manifest: Manifest


@dataclass(frozen=True)
class Document:
    """One attachment: where it stands, its type as stated, and its bytes."""

    request_id: str
    source: str
    at: str
    title: str
    content_type: str
    data: bytes


def read(
    house: House,
    request_id: str,
    today: date,
    *,
    actor: str,
    reason: str | None = None,
    limit: Consent | None = None,
) -> Reading:
    """The key facts and what is missing; the look of ``actor`` is recorded first.

    Raises UnknownRequest, and ExchangeError when a packet cannot be read.
    """
    found, rows = _looked(house, request_id, actor, reason, limit)
    if not rows:
        return found
    page, chart = _kept(house, rows, found, "page", "chart")
    facts, of_packets = _FACTS.validate_json(page), _CHART.validate_json(chart)
    missing = checklists.judged(
        house.engine, house.payloads, house.config, request_id, today, of_packets=of_packets, limit=limit
    )
    return replace(found, facts=facts, missing=missing)


def read_whole(
    house: House, request_id: str, *, actor: str, reason: str | None = None, limit: Consent | None = None
) -> Reading:
    """The key facts with every list whole, without what is missing; the look is recorded first. Raises as `read`."""
    found, rows = _looked(house, request_id, actor, reason, limit)
    if not rows:
        return found
    [whole] = _kept(house, rows, found, "whole")
    return replace(found, facts=_FACTS.validate_json(whole))


def prepare(house: House, request_id: str) -> None:
    """Make what a first opening would make, as the side that asks reads it, and within the consent as the other side does.

    Nobody looks at it. Raises as `read`.
    """
    with house.engine.begin() as conn:
        row = requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
        asked = consents.newest(conn, request_id)
    found = Reading(request_id, requests.content(row), len(rows), None)
    limited = [replace(found, limit=asked.consent)] if asked is not None and asked.consent.left_home else []
    for each in (found, *limited) if rows else ():
        _kept(house, rows, each, "page")


def _looked(
    house: House, request_id: str, actor: str, reason: str | None, limit: Consent | None
) -> tuple[Reading, list[PacketRow]]:
    with house.engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, LOOKED, request_id, reason=reason)
        rows = packet_rows.of_request(conn, request_id)
    return Reading(request_id, requests.content(row), len(rows), None, limit=limit), rows


def _kept(house: House, rows: Sequence[PacketRow], found: Reading, *parts: str) -> list[bytes]:
    """The bytes of these parts (page, whole, chart) of what is kept of the newest packet with those before it.

    They are made now where nothing is kept, where it is outdated, or where something of it is gone.
    """
    content, left_out = found.content, " ".join(found.left_out)
    given_on = content.first_opinion.given_on if content.first_opinion else None
    made_of = _made_of(house, content, given_on)
    with house.engine.connect() as conn:
        row = kept.of_packet(conn, rows[-1].id, left_out)
    if row is not None and row.made_of == made_of:
        try:
            return [house.payloads.get(getattr(row, f"{part}_sha256")) for part in parts]
        except PayloadMissing:  # derived: it can be made again
            pass
    bytes_of = _make(house, rows, given_on, found.limit)
    digests = {f"{part}_sha256": house.payloads.put(data, anew=True) for part, data in bytes_of.items()}
    with house.engine.begin() as conn:
        kept.keep(conn, rows[-1].id, left_out, made_of, **digests)
    return [bytes_of[part] for part in parts]


def _make(house: House, rows: Sequence[PacketRow], given_on: date | None, limit: Consent | None) -> dict[str, bytes]:
    facts, chart = made(house, rows, given_on, limit)
    page = facts.with_beginnings(METER, LISTED)
    return {"page": _FACTS.dump_json(page), "whole": _FACTS.dump_json(facts), "chart": _CHART.dump_json(chart)}


def _made_of(house: House, content: SecondOpinionRequest, given_on: date | None) -> str:
    source = house.config.endpoints.get(content.placer)
    bases = hashlib.sha256("\n".join(source.bases if source else ()).encode()).hexdigest()[:12]
    return f"{VERSION} {given_on or '-'} {bases}"


def made(
    house: House, rows: Sequence[PacketRow], given_on: date | None, limit: Consent | None = None
) -> tuple[KeyFacts, Chart]:
    """The key facts of these packets (the oldest first), and what a checklist is held against."""
    loaded = all_consented([packets.load(house.payloads, row.manifest_sha256) for row in rows], limit)
    together = packets.together(loaded)
    stored = {item.of: item for packet in loaded for item in packet.manifest.items if item.kind == "attachment"}

    def words(place: str) -> str | None:
        item = stored.get(place)
        return words_of(house.payloads.get(item.sha256), item.content_type) if item else None

    def versions(source: str) -> tuple[dict, dict]:
        before = packets.together(loaded[:-1]).get(source)
        return before.resources[source] if before else {}, loaded[-1].resources[source]

    resources = [packet.resources[source] for source, packet in together.items()]
    manifests = [packet.manifest for packet in loaded]
    facts = key_facts(manifests, resources, words_of=words, versions=versions, given_on=given_on)
    return facts, checklists.chart_of(house.payloads, house.config, rows, records=resources)


def opened(
    house: House,
    request_id: str,
    source: str,
    at: str,
    *,
    actor: str,
    reason: str | None = None,
    limit: Consent | None = None,
) -> Opened:
    """A record of the packets with the element that a line came from; the look is recorded first.

    Raises UnknownRequest, and NotPossible when no packet has such a record, or it has no such element. One that the patient left
    out is not told from one that is not there.
    """
    with house.engine.begin() as conn:
        requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
        audit.record(conn, actor, OPENED, request_id, subject=source[:200] or None, reason=reason)
    loaded = all_consented([packets.load(house.payloads, row.manifest_sha256) for row in rows], limit)
    for row, packet in reversed(list(zip(rows, loaded, strict=True))):
        if any(item.source == source for item in packet.manifest.withdrawn):
            break
        if source in packet.resources:
            return _opened(request_id, packet, row, source, at)
    raise NotPossible(f"no packet of request {request_id} holds that record as it is now")


def _opened(request_id: str, packet: packets.Packet, row: PacketRow, source: str, at: str) -> Opened:
    resource = packet.resources[source]
    if element(resource, at) is None:
        raise NotPossible("that record has no such element; open it as a whole")
    return Opened(request_id, source, at, resource, row, packet.manifest)


def document(
    house: House,
    request_id: str,
    source: str,
    at: str,
    *,
    actor: str,
    reason: str | None = None,
    limit: Consent | None = None,
) -> Document:
    """The document that an attachment holds or names; the look is recorded first. Raises as `opened`, and where it has no bytes."""
    found = opened(house, request_id, source, at, actor=actor, reason=reason, limit=limit)
    attachment = as_dict(element(found.resource, at))
    place = f"{source}#{source.partition('/')[0]}{'.' if at else ''}{at}"
    item = next((each for each in found.manifest.items if each.kind == "attachment" and each.of == place), None)
    data = house.payloads.get(item.sha256) if item else inline_bytes(attachment)
    if not data:
        raise NotPossible("this packet holds no bytes of that document")
    stated = as_text(attachment.get("contentType")) or (item.content_type if item else None) or ""
    return Document(request_id, source, at, as_text(attachment.get("title")) or "", stated, data)
