"""Records that arrive from elsewhere for a request: taken in, said what they are, taken back; for pages, API and commands.

A file is written beside the payloads first, looked at there, and kept only when nothing is wrong with it: one that is cut or
refused leaves nothing. No transaction is open meanwhile.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import PurePath
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from integration.arriving import cda, fhir
from integration.arriving.files import FORMATS, Looked, look
from integration.arriving.refused import Refused
from integration.packets.payloads import BLOCK_BYTES, Payloads, away_when_refused
from integration.settings.checklist_files import load_catalog
from integration.settings.config import Config
from integration.store import audit, checklist_facts, received_records, requests, steps
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from integration.store.received_records import ReceivedRecord, State, Words
from mappings.model.request import Code, PatientRef
from mappings.received import Comparison, Identity, Said, Series, Study, compare, name_of
from mappings.times import as_date_time

READABLE = ("ccda", "fhir")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


class TooLarge(Refused):
    """A file is larger than ``records.max_upload_bytes``."""


@dataclass(frozen=True)
class Classified:
    """What a person typed about a record. ``is_theirs``: that it is this patient's; ``code`` and ``system`` both or neither."""

    kind: str = ""
    source: str = ""
    author: str = ""
    dated: str = ""
    code: str = ""
    system: str = "http://loinc.org"
    is_theirs: bool = False
    identity_reason: str = ""


@dataclass(frozen=True)
class Looking:
    """What is received for a request, beside the patient as the request has them."""

    request_id: str
    patient: PatientRef
    records: list[ReceivedRecord]
    carried: dict[str, list[str]]

    def compared(self, record: ReceivedRecord) -> Comparison:
        """The file's patient beside the request's."""
        return compare(record.what_it_says.identity, self.patient)


def look_at(engine: Engine, request_id: str, *, actor: str, reason: str | None = None) -> Looking:
    """Everything received for a request; the look of ``actor`` is recorded first. Raises UnknownRequest."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, "received.looked-at", request_id, reason=reason)
        found = received_records.of_request(conn, request_id)
        carried = received_records.carried_in(conn, request_id)
    return Looking(request_id, requests.content(row).patient, found, carried)


def receive(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    blocks: Iterable[bytes],
    *,
    name: str,
    claimed: str | None,
    actor: str,
    came_from: str = "",
) -> tuple[ReceivedRecord, bool]:
    """Take in one file; it waits for a person's word. Returns (record, True when it is new). ``came_from``: in words, where it
    was fetched.

    Raises Refused with what to do, and nothing of the file is kept; NotPossible when nothing is sent for the request any more.
    """
    with engine.connect() as conn:
        received_records.must_be_open(conn, request_id)
    limit = config.records.max_upload_bytes
    with closing(payloads.spool()) as file:
        _fill(file, blocks, limit)
        looked = look(file, name, claimed, max_bytes=limit, spool=payloads.spool)
        looked = replace(looked, said=replace(looked.said, came_from=came_from))
        return _keep(engine, payloads, request_id, file, looked, name, actor)


def receive_images(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    files: list[tuple[str, BinaryIO]],
    *,
    actor: str,
) -> tuple[ReceivedRecord, bool]:
    """Several DICOM files as one record: together in one zip."""
    from integration.arriving.dicom import zip_of

    made = zip_of(files, payloads.spool)
    with closing(made):
        made.seek(0)
        return receive(
            engine,
            payloads,
            config,
            request_id,
            read_blocks(made),
            name=f"{len(files)} images.zip",
            claimed=None,
            actor=actor,
        )


def read_blocks(file: BinaryIO) -> Iterator[bytes]:
    """A file block by block."""
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def accept(
    engine: Engine, config: Config, request_id: str, record_id: str, version: int, said: Classified, *, actor: str
) -> ReceivedRecord:
    """A person says whose it is, what it is and where it came from. Raises NotPossible naming what is still to be said."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        record = received_records.one(conn, request_id, record_id)
        catalog = load_catalog(config.checklists)
        words = _words(said, {key: kind.label for key, kind in catalog.kinds.items()}, record)
        _must_be_theirs(said, compare(record.what_it_says.identity, requests.content(row).patient))
        made = received_records.accept(
            conn, request_id, record_id, version, words, actor=actor, identity_reason=said.identity_reason
        )
        belongs = "" if record.is_study else words.kind  # images are found by what they show
        if words.kind or record.is_study:
            why = "classified when it was received"
            checklist_facts.say(
                conn, catalog, request_id, Topic.RECORD, name_of(record_id), belongs, actor=actor, reason=why
            )
        _write_at_home(conn, config, row.placer, request_id)
    return made


def _write_at_home(conn: Connection, config: Config, placer: str, request_id: str) -> None:
    """A practice that has no EHR keeps it at its hosted endpoint."""
    if placer in config.hosted_endpoints:
        steps.create(conn, "write_received", placer, request_id=request_id, deadline=steps.AFTER_WORK)


def end(
    engine: Engine,
    config: Config,
    request_id: str,
    record_id: str,
    version: int,
    because: str,
    *,
    actor: str,
    reason: str,
) -> ReceivedRecord:
    """Take a record back: discarded when nobody accepted it, else withdrawn wherever it went."""
    with engine.begin() as conn:
        made = received_records.end(conn, request_id, record_id, version, because, actor=actor, reason=reason)
        _write_at_home(conn, config, requests.get(conn, request_id).placer, request_id)
    return made


def shown_document(engine: Engine, payloads: Payloads, request_id: str, record_id: str, *, actor: str) -> cda.Shown:
    """A received C-CDA or FHIR document to read; the look is recorded first. Raises NotPossible for another format."""
    record = _opened(engine, request_id, record_id, actor, "received.read")
    if record.format not in READABLE:
        raise NotPossible(f"it is {FORMATS[record.format].label}: download it to look at it")
    with closing(payloads.spool(record.sha256)) as file:
        return cda.shown(cda.parsed(file)) if record.format == "ccda" else fhir.shown(fhir.parsed(file))


def opened(engine: Engine, request_id: str, record_id: str, *, actor: str) -> ReceivedRecord:
    """A record whose bytes are about to be given out; that is recorded first."""
    return _opened(engine, request_id, record_id, actor, "received.downloaded")


def _opened(engine: Engine, request_id: str, record_id: str, actor: str, action: str) -> ReceivedRecord:
    with engine.begin() as conn:
        requests.get(conn, request_id)
        record = received_records.one(conn, request_id, record_id)
        audit.record(conn, actor, action, request_id, subject=record_id)
    return record


def _fill(file: BinaryIO, blocks: Iterable[bytes], limit: int) -> None:
    size = 0
    for block in blocks:
        size += len(block)
        if size > limit:
            raise TooLarge(too_large(limit))
        with away_when_refused():
            file.write(block)
    with away_when_refused():
        file.flush()


def too_large(limit: int) -> str:
    """What is said of a file above the limit."""
    return (
        f"The file is larger than {limit / 1e6:,.0f} MB, the most that is taken here (records.max_upload_bytes). Send it in "
        "parts, each study alone, or have its source send the images to the consultant"
    )


def _keep(
    engine: Engine, payloads: Payloads, request_id: str, file: BinaryIO, looked: Looked, name: str, actor: str
) -> tuple[ReceivedRecord, bool]:
    digest = hashlib.sha1(usedforsecurity=False)
    kept = looked.repacked or file
    kept.seek(0)

    def blocks() -> Iterator[bytes]:
        for block in read_blocks(kept):
            digest.update(block)
            yield block

    stored = payloads.put_stream(blocks())
    if looked.repacked is not None:
        looked.repacked.close()
    row = dict(
        id=secrets.token_hex(8),
        request_id=request_id,
        sha256=stored.sha256,
        sha1=digest.hexdigest(),
        size=stored.size,
        format=looked.format.key,
        content_type=looked.format.media,
        file_name=_plain(PurePath(name.replace("\\", "/")).name)[:200],
        uploaded_by=actor,
    )
    with engine.begin() as conn:
        return received_records.arrive(conn, row, _storable(looked.said))


def _words(said: Classified, labels: dict[str, str], record: ReceivedRecord) -> Words:
    missing = [] if said.source else ["where it came from"]
    if said.kind and said.kind not in labels:
        raise NotPossible("no checklist has an item of that name")
    if not said.kind and not said.code and not record.is_study and record.what_it_says.code is None:
        missing.append("what kind of record it is")
    if missing:
        raise NotPossible(f"Say {' and '.join(missing)}.")
    if said.dated and as_date_time(said.dated) is None:
        raise NotPossible(
            "The date is a day (2026-05-30), a month (2026-05) or a year; leave it empty when it is not known."
        )
    if said.dated and said.dated[:10] > date.today().isoformat()[: len(said.dated)]:
        raise NotPossible("The date of the record lies in the future.")
    code = Code(system=said.system, code=said.code, display=None) if said.code else record.what_it_says.code
    label = labels.get(said.kind, "") or record.what_it_says.title
    return Words(said.kind, label, code, said.dated, said.author, said.source)


def _must_be_theirs(said: Classified, compared: Comparison) -> None:
    if not said.is_theirs:
        raise NotPossible("Compare whose it is, and say that it is this patient's. Without that it goes nowhere.")
    if compared.differs and len(said.identity_reason.strip()) < 3:
        raise NotPossible(
            f"The file says another {' and another '.join(each.removeprefix('the ') for each in compared.differs)} than the "
            "request. Say why it is this patient's all the same, or discard it."
        )


def _storable(said: Said) -> Said:
    """Without what no database keeps."""
    identity = said.identity
    return replace(
        said,
        identity=identity
        and Identity(
            _plain(identity.family),
            _plain(identity.given),
            identity.born_on,
            tuple(map(_plain, identity.numbers)),
        ),
        studies=tuple(map(_storable_study, said.studies)),
        code=said.code and Code(system=said.code.system, code=_plain(said.code.code), display=_plain(said.code.display or "") or None),
        title=_plain(said.title),
        author=_plain(said.author),
        source=_plain(said.source),
    )  # fmt: skip


def _storable_study(study: Study) -> Study:
    series = tuple(Series(each.uid, each.modality, _plain(each.body), each.instances) for each in study.series)
    return replace(study, description=_plain(study.description), series=series)


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()


def is_open(record: ReceivedRecord) -> bool:
    """A person still has to say what it is."""
    return record.state == State.ARRIVED
