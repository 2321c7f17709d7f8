"""A packet as one zip for a practice that has neither EHR nor hosted endpoint: PDF, resources, originals, manifest."""

import hashlib
import io
import zipfile
from collections.abc import Sequence

from sqlalchemy import Connection

from integration import fhir_json
from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.originals import contents
from integration.packets.payloads import Payloads
from integration.packets.pdf import lacking, to_pdfs
from integration.store import packets as packet_rows
from integration.store import requests
from mappings.model.consent import Consent
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest
from mappings.rendition import as_text

FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same packet gives the same bytes


def packet_zip(conn: Connection, payloads: Payloads, request_id: str, limit: Consent | None = None) -> bytes:
    """All packets of a request, newest version of each folder. Raises UnknownRequest, or ExchangeError without a packet.

    ``limit``: the consent within which who gets it may read.
    """
    row = requests.get(conn, request_id)
    found = packet_rows.of_request(conn, request_id)
    if not found:
        raise ExchangeError(f"request {request_id} has no packet yet")
    loaded = all_consented([packets.load(payloads, each.manifest_sha256) for each in found], limit)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, packet in zip(found, loaded, strict=True):
            _write(archive, f"packet-{each.version}", packet, payloads, requests.content(row))
    return buffer.getvalue()


def _write(
    archive: zipfile.ZipFile, folder: str, packet: packets.Packet, payloads: Payloads, request: SecondOpinionRequest
) -> None:
    rendition = packets.rendition_of(packet, payloads, request, printed=contents(packet).printed)
    for number, volume in enumerate(to_pdfs(rendition), 1):
        _add(archive, f"{folder}/records{'' if number == 1 else f'-{number}'}.pdf", volume)
    if other_letters := lacking(rendition):
        _add(archive, f"{folder}/words-in-other-letters.txt", as_text(rendition, other_letters).encode())
    _add(archive, f"{folder}/manifest.json", packet.manifest.model_dump_json(indent=1).encode())
    for source, resource in packet.resources.items():
        _add(archive, f"{folder}/resources/{source.replace('/', '-')}.json", fhir_json.dumps(resource))
    for digest, content_type in sorted(
        {(item.sha256, item.content_type or "") for item in packet.manifest.items if item.kind == "attachment"}
    ):
        _add(archive, f"{folder}/documents/{digest[:16]}{_ending(content_type)}", payloads.get(digest))


def handed_zip(documents: Sequence[tuple[bytes, str | None]], resources: Sequence[bytes]) -> bytes:
    """A report for whoever gets it by hand: its documents, each DocumentReference over them (if given), hashes of all."""
    buffer, sums = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = [(f"report-{number}{_ending(kind)}", data) for number, (data, kind) in enumerate(documents, 1)]
        numbers = [f"-{number}" if number > 1 else "" for number in range(1, len(resources) + 1)]
        named = [(f"document-reference{end}.json", data) for end, data in zip(numbers, resources, strict=True)]
        for name, data in [*parts, *named]:
            _add(archive, name, data)
            sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        _add(archive, "SHA256SUMS", "".join(sums).encode())
    return buffer.getvalue()


def _ending(content_type: str | None) -> str:
    known = {"application/pdf": ".pdf", "text/plain": ".txt", "text/html": ".html"}
    return known.get((content_type or "").split(";")[0], ".bin")


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, FIXED_TIME), data, zipfile.ZIP_DEFLATED)
