"""What a link carries: the patient summary, the packet as PDF, and the documents of the packet, each a FHIR resource."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine

from integration import fhir_json
from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.originals import Original, contents
from integration.packets.payloads import Payloads
from integration.packets.pdf import to_pdfs
from integration.packets.stored import Packet
from integration.settings.config import Config
from integration.store import consents, requests
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible
from mappings.codes import RECORDS_SUMMARY, as_text, concept
from mappings.document_reference import STATUSES, to_attachment
from mappings.ips import to_summary
from mappings.model.consent import BY_THE_PATIENT, Consent
from mappings.model.request import SecondOpinionRequest

LONGEST_PDF = 10_000_000  # bytes of a volume
SUMMARY, RECORDS, DOCUMENT = "summary", "records", "document"  # what a file is; words in views/health_link_texts.py


@dataclass(frozen=True)
class Content:
    """One file before it is encrypted; ``title`` is one of SUMMARY, RECORDS, DOCUMENT: never a word of a record."""

    title: str
    data: bytes


@dataclass(frozen=True)
class Contents:
    """The files of a link and the newest packet in them; ``left_out``: documents beyond ``health_links.max_bytes``.

    ``consent_id``: the statement by which the records were chosen; None where nobody recorded any.
    """

    packet_version: int
    files: tuple[Content, ...]
    left_out: int
    consent_id: int | None = None

    def alone(self) -> "Contents":
        """The summary alone, for a link that gives one file."""
        return replace(self, files=self.files[:1], left_out=self.left_out + len(self.files) - 1)


def newest_version(engine: Engine, request_id: str) -> int:
    """Of the packets of a request; 0 before there is one."""
    with engine.connect() as conn:
        return max((each.version for each in packet_rows.of_request(conn, request_id)), default=0)


def contents_of(engine: Engine, payloads: Payloads, config: Config, request_id: str, now: datetime) -> Contents:
    """What the packets of a request hold together, each record as it was last, within the patient's consent.

    Raises NotPossible without a packet.
    """
    with engine.connect() as conn:
        row, said = requests.get(conn, request_id), consents.newest(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
    if not rows:
        raise NotPossible(
            "there is no packet yet: its records are still being gathered. Make the link when they are there"
        )
    consent = said.consent if said else None
    whole = _together(all_consented([packets.load(payloads, each.manifest_sha256) for each in rows], consent))
    files = [_summary(whole, config, now, consent), *_volumes(whole, payloads, requests.content(row))]
    room = config.health_links.max_bytes - sum(len(each.data) for each in files)
    left_out = 0
    for made in _documents(whole, payloads):
        if len(made.data) > room:
            left_out += 1
            continue
        room -= len(made.data)
        files.append(made)
    return Contents(rows[-1].version, tuple(files), left_out, said.id if said else None)


def _together(loaded: list[Packet]) -> Packet:
    """All packets of a request as one: what was corrected stands as it was last, what was withdrawn is gone.

    Of what is not in it, what the patient left out is named.
    """
    newest = packets.together(loaded)
    items = [
        item
        for packet in loaded
        for item in packet.manifest.items
        if newest.get((item.of or item.source).partition("#")[0]) is packet and item.kind in ("resource", "attachment")
    ]
    items += [item for item in loaded[-1].manifest.waived if item.why == BY_THE_PATIENT]
    manifest = loaded[-1].manifest.model_copy(update={"items": tuple(items)})
    return Packet(manifest, {source: packet.resources[source] for source, packet in newest.items()})


def _summary(whole: Packet, config: Config, now: datetime, consent: Consent | None) -> Content:
    source = config.endpoints.get(whole.manifest.source_endpoint)
    names = "|".join(f"{item.source} {item.sha256}" for item in whole.manifest.items)
    bundle, _ = to_summary(
        list(whole.resources.values()),
        patient=whole.manifest.patient,
        identifier_system=whole.manifest.identifier_system,
        document_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{whole.manifest.request_id}|{names}")),
        made_at=now.isoformat(timespec="seconds"),
        made_by=config.exchange.name,
        source_base=whole.manifest.bases(source.bases if source is not None else ()),
        left_out=consent.left_home if consent else (),
    )
    return Content(SUMMARY, fhir_json.dumps(bundle))


def _volumes(whole: Packet, payloads: Payloads, request: SecondOpinionRequest) -> Iterator[Content]:
    rendition = packets.rendition_of(whole, payloads, request, printed=contents(whole).printed)
    for volume in to_pdfs(rendition, max_bytes=LONGEST_PDF):
        yield Content(
            RECORDS, _document(whole, volume, "application/pdf", rendition.title, {"type": concept(RECORDS_SUMMARY)})
        )


def _documents(whole: Packet, payloads: Payloads) -> Iterator[Content]:
    found = contents(whole)
    for each in found.originals:
        if each.sha256 not in found.printed:
            data = each.inside if each.inside is not None else payloads.get(each.sha256)
            yield Content(
                DOCUMENT,
                _document(
                    whole, data, each.content_type or "application/octet-stream", each.source, _kept(whole, each)
                ),
            )


def _kept(whole: Packet, original: Original) -> dict:
    """What the record over a document says of it, where it is one that speaks of documents."""
    record = whole.resources.get(original.of.partition("#")[0], {})
    if record.get("resourceType") != "DocumentReference":
        return {}
    kept = {name: record[name] for name in ("type", "date", "docStatus", "description") if name in record}
    return {**kept, "status": record["status"]} if record.get("status") in STATUSES else kept


def _document(whole: Packet, data: bytes, content_type: str, title: str, said: dict) -> bytes:
    patient = {"system": whole.manifest.identifier_system, "value": whole.manifest.patient}
    made = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"type": "Patient", "identifier": patient},
        **said,
        "content": [{"attachment": to_attachment(content_type, data, as_text(title))}],
    }
    return fhir_json.dumps(made)
