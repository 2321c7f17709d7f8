"""Records of a request that arrived from elsewhere: what came, who said whose and what it is, and what was taken back.

``arrived`` waits for a person's word and goes nowhere; ``accepted`` joins the next packet; ``withdrawn`` is taken back wherever it
went; ``discarded`` never went anywhere. The bytes are in the payload store.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Exists, Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, findings, requests, steps, waivers
from integration.store.operations import NotPossible
from integration.store.tables import deliveries, delivery_items, medication_reviews, received_records, record_sources
from mappings.model.delivery import ENDED
from mappings.model.findings import Finding
from mappings.model.request import Code
from mappings.model.states import FINAL, Status
from mappings.received import WITHDRAWN_BECAUSE, Received, Said, name_of

WATCH = "watch_chart"


class State(StrEnum):
    """Where a received record stands."""

    ARRIVED = "arrived"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class ReceivedRecord:
    """A row. ``said``: what the file says of itself; ``kind`` to ``source``: what a person said of it."""

    id: str
    request_id: str
    state: str  # a State
    version: int
    sha256: str
    sha1: str
    size: int
    format: str  # a key of integration/arriving/files.py
    content_type: str
    file_name: str
    said: dict
    uploaded_by: str
    uploaded_at: datetime
    kind: str | None
    label: str | None
    code: dict | None
    dated: str | None
    author: str | None
    source: str | None
    identity_reason: str | None
    accepted_by: str | None
    accepted_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    ended_because: str | None
    ended_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "ReceivedRecord":
        """From a row of `received_records`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def what_it_says(self) -> Said:
        """Of itself."""
        return Said.of(self.said)

    @property
    def is_study(self) -> bool:
        """Images with a study of their own, which a checklist finds by modality and body part."""
        return bool(self.said["studies"])

    @property
    def as_accepted(self) -> Received:
        """As the mappings take it; only of one that was accepted."""
        if self.accepted_at is None:
            raise LookupError(f"received record {self.id} was not accepted")
        return Received(
            id=self.id,
            sha256=self.sha256,
            sha1=self.sha1,
            size=self.size,
            content_type=self.content_type,
            said=self.what_it_says,
            label=self.label or "",
            code=Code(**self.code) if self.code else None,
            dated=self.dated or "",
            author=self.author or "",
            source=self.source or "",
            at=self.accepted_at.isoformat(timespec="seconds"),
        )


@dataclass(frozen=True)
class Words:
    """What a person says of a record: what it is, of when, by whom, and where it came from."""

    kind: str
    label: str
    code: Code | None
    dated: str
    author: str
    source: str


class Changed(NotPossible):
    """Somebody else was first."""


def arrive(conn: Connection, row: dict, said: Said) -> tuple[ReceivedRecord, bool]:
    """Keep what was uploaded (``row``: id, request_id, hashes, size, format, content type, name, who) until a person says what it is.

    Returns (record, True when it is new): the same bytes are there once. Raises NotPossible when nothing is sent any more.
    """
    must_be_open(conn, row["request_id"])
    statement = insert(received_records).values(**row, state=State.ARRIVED, said=asdict(said) | _plain_code(said.code))
    made = conn.execute(statement.on_conflict_do_nothing().returning(received_records)).one_or_none()
    if made is None:
        return same_bytes(conn, row["request_id"], row["sha256"]), False
    audit.record(conn, row["uploaded_by"], "received.arrived", row["request_id"], subject=row["id"])
    return ReceivedRecord.from_row(made), True


def _plain_code(code: Code | None) -> dict:
    return {"code": code.model_dump() if code else None}


def same_bytes(conn: Connection, request_id: str, sha256: str) -> ReceivedRecord:
    """The record of a request with these bytes that still counts."""
    found = conn.execute(
        select(received_records).where(
            received_records.c.request_id == request_id,
            received_records.c.sha256 == sha256,
            received_records.c.state.in_((State.ARRIVED, State.ACCEPTED)),
        )
    ).one()
    return ReceivedRecord.from_row(found)


def must_be_open(conn: Connection, request_id: str) -> None:
    """Raises NotPossible for a request for which nothing is sent any more; its chart is watched on after an opinion."""
    if not _is_open(conn, request_id):
        status = requests.get(conn, request_id).status
        raise NotPossible(
            f"request {request_id} is {status}: nothing more is sent for it, so no record is received for it"
        )


def _is_open(conn: Connection, request_id: str) -> bool:
    status = Status(requests.get(conn, request_id).status)
    return status not in FINAL or status is Status.COMPLETED


def accept(
    conn: Connection, request_id: str, record_id: str, version: int, words: Words, *, actor: str, identity_reason: str
) -> ReceivedRecord:
    """A person says that it is this patient's and what it is: from now on it joins the next packet. Raises Changed."""
    must_be_open(conn, request_id)
    values = dict(
        state=State.ACCEPTED,
        kind=words.kind or None,
        label=words.label,
        code=words.code.model_dump() if words.code else None,
        dated=words.dated or None,
        author=words.author or None,
        source=words.source,
        identity_reason=identity_reason or None,
        accepted_by=actor,
        accepted_at=func.date_trunc("second", func.statement_timestamp()),
    )
    made = _move(conn, request_id, record_id, version, State.ARRIVED, values)
    audit.record(conn, actor, "received.accepted", request_id, subject=record_id, reason=identity_reason or None)
    look_again(conn, request_id)
    return made


def end(
    conn: Connection, request_id: str, record_id: str, version: int, because: str, *, actor: str, reason: str
) -> ReceivedRecord:
    """Discard what was not accepted, withdraw what was: it is taken back where it went, and goes nowhere it did not. Raises Changed."""
    if because not in WITHDRAWN_BECAUSE:
        raise NotPossible(f"say why with one of {', '.join(WITHDRAWN_BECAUSE)}")
    if not reason.strip():
        raise NotPossible("say in your own words why; it is kept in the audit trail")
    steps.lock_with_request(conn, request_id)
    before = State(one(conn, request_id, record_id).state)
    after = State.DISCARDED if before is State.ARRIVED else State.WITHDRAWN
    values = dict(
        state=after, ended_by=actor, ended_at=func.statement_timestamp(), ended_because=because, ended_reason=reason
    )
    expected = State.ARRIVED if after is State.DISCARDED else State.ACCEPTED
    made = _move(conn, request_id, record_id, version, expected, values)
    audit.record(conn, actor, f"received.{after}", request_id, subject=record_id, reason=reason)
    if after is State.WITHDRAWN:
        _hold_back(conn, made, actor)
        _take_back_or_tell(conn, made)
    return made


def _take_back_or_tell(conn: Connection, record: ReceivedRecord) -> None:
    """After a request was cancelled or refused nothing of it is sent: where a copy stands at the consultant, a person tells them."""
    if _is_open(conn, record.request_id):
        look_again(conn, record.request_id)
    elif name_of(record.id) in carried_in(conn, record.request_id):
        said = (
            "it was withdrawn after the request had ended, so nothing was sent: its copy still stands at the consulting "
            "provider. Call them, and have it marked as entered in error"
        )
        findings.record(
            conn,
            [Finding("withdrawal-not-sent", said, name_of(record.id), "error")],
            request_id=record.request_id,
            endpoint=requests.get(conn, record.request_id).fulfiller,
        )


def one(conn: Connection, request_id: str, record_id: str) -> ReceivedRecord:
    """A record of a request. Raises NotPossible when it has none of that id."""
    found = conn.execute(
        select(received_records).where(received_records.c.request_id == request_id, received_records.c.id == record_id)
    ).one_or_none()
    if found is None:
        raise NotPossible(f"request {request_id} has no received record {record_id[:40]}")
    return ReceivedRecord.from_row(found)


def of_request(conn: Connection, request_id: str) -> list[ReceivedRecord]:
    """All of a request, oldest first."""
    rows = select(received_records).where(received_records.c.request_id == request_id)
    ordered = rows.order_by(received_records.c.uploaded_at, received_records.c.id)
    return [ReceivedRecord.from_row(row) for row in conn.execute(ordered)]


def carried_in(conn: Connection, request_id: str) -> dict[str, list[str]]:
    """``{Type/id: statuses}`` of the records deliveries that hold a received record."""
    rows = conn.execute(
        select(delivery_items.c.source, delivery_items.c.status)
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(
            deliveries.c.request_id == request_id,
            deliveries.c.kind == "records",
            delivery_items.c.source.like("DocumentReference/received-%"),
        )
        .order_by(deliveries.c.created_at)
    )
    found: dict[str, list[str]] = {}
    for source, status in rows:
        found.setdefault(source, []).append(status)
    return found


def _move(
    conn: Connection, request_id: str, record_id: str, version: int, expected: State, values: dict
) -> ReceivedRecord:
    table = received_records.c
    made = conn.execute(
        update(received_records)
        .where(table.request_id == request_id, table.id == record_id, table.version == version, table.state == expected)
        .values(**values, version=version + 1)
        .returning(received_records)
    ).one_or_none()
    if made is not None:
        return ReceivedRecord.from_row(made)
    now = one(conn, request_id, record_id)
    who = now.ended_by or now.accepted_by or "somebody"
    raise Changed(f"{who} was first: the record is {now.state} now, and nothing of yours was changed. Look at it again")


def _hold_back(conn: Connection, record: ReceivedRecord, actor: str) -> None:
    """A packet that holds it and was not sent yet goes without it."""
    because = f"withdrawn: {WITHDRAWN_BECAUSE[record.ended_because or '']}"
    hold_back(conn, record.request_id, (name_of(record.id), *_studies(record)), actor=actor, because=because)


def hold_back(conn: Connection, request_id: str, sources: Sequence[str], *, actor: str, because: str) -> None:
    """A packet that holds the first of ``sources`` and was not sent yet goes without any of them."""
    waiting = conn.execute(
        select(deliveries.c.id)
        .join(delivery_items, delivery_items.c.delivery_id == deliveries.c.id)
        .where(
            deliveries.c.request_id == request_id,
            deliveries.c.kind == "records",
            deliveries.c.status.not_in(ENDED),
            delivery_items.c.source == sources[0],
        )
        .limit(1)
    ).first()
    for each in sources if waiting else ():
        waivers.waive(conn, request_id, each, actor=actor, reason=because)


def _studies(record: ReceivedRecord) -> list[str]:
    return [f"ImagingStudy/received-{record.id}-{number}" for number, _ in enumerate(record.said["studies"], 1)]


def look_again(conn: Connection, request_id: str) -> None:
    """The watch of the chart makes the next packet now, where it waits for its turn; one that had ended looks once more."""
    row = requests.get(conn, request_id)
    steps.lock_with_request(conn, request_id)
    if row.chart_read_at is not None:  # else the first packet is still to be made, with all that was said
        steps.create(conn, WATCH, row.placer, request_id=request_id, deadline=row.records_due_at)
    steps.look_now(conn, request_id, WATCH)


def said_since(conn: Connection, request_id: str, at: datetime) -> bool:
    """Whether a person accepted or withdrew a record, or went through the medications, at ``at`` or later."""
    since = at.replace(microsecond=0)  # a word has whole seconds
    table = received_records.c
    ended = and_(table.accepted_at.is_not(None), table.ended_at >= since)
    rows = select(table.id).where(table.request_id == request_id, or_(table.accepted_at >= since, ended))
    reviews = select(medication_reviews.c.id).where(
        medication_reviews.c.request_id == request_id, medication_reviews.c.created_at >= since
    )
    return bool(
        conn.execute(select(or_(rows.exists(), reviews.exists(), _elsewhere_since(request_id, since)))).scalar_one()
    )


def _elsewhere_since(request_id: str, at: datetime) -> Exists:
    """What was read at another provider is another, or somebody said that it is not wanted any more."""
    table = record_sources.c
    is_read = table.manifest_sha256.is_not(None)
    since = or_(table.changed_at >= at, table.ended_at >= at)
    return select(table.id).where(table.request_id == request_id, is_read, since).exists()
