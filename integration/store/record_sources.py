"""Other providers whose records are gathered for a request because a person named them, and what was read there last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store import audit, patient_links, received_records, requests, steps, waivers
from integration.store.operations import NotPossible
from integration.store.steps import Step
from integration.store.tables import deliveries, delivery_items, findings, record_sources
from integration.store.tables import steps as step_table
from mappings.elsewhere import is_of
from mappings.model.delivery import ENDED
from mappings.model.findings import Finding
from mappings.model.request import Identifier
from mappings.model.steps import OPEN

GATHER, WATCH = "gather_elsewhere", "watch_elsewhere"
REMARKS = 200
_GRAVEST = ("error", "warning", "info")


@dataclass(frozen=True)
class RecordSource:
    """A row. ``whole``: everything of the patient there, else only what it gave because it was asked; ``gone``: {Type/id there: why}."""

    id: int
    request_id: str
    endpoint: str
    whole: bool
    number_system: str
    number: str
    named_by: str
    reason: str
    created_at: datetime
    manifest_sha256: str | None
    read_at: datetime | None
    changed_at: datetime | None
    gone: Mapping[str, str]
    ended_by: str | None
    ended_at: datetime | None
    ended_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "RecordSource":
        """From a row of `record_sources`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def is_open(self) -> bool:
        """Nobody said that it is not wanted any more."""
        return self.ended_at is None

    @property
    def stated(self) -> tuple[Identifier, ...]:
        """The patient's number there, where a person said it."""
        return (Identifier(system=self.number_system, value=self.number),) if self.number else ()


def of_request(conn: Connection, request_id: str) -> list[RecordSource]:
    """All that were ever named, oldest first."""
    rows = select(record_sources).where(record_sources.c.request_id == request_id).order_by(record_sources.c.id)
    return [RecordSource.from_row(row) for row in conn.execute(rows)]


def at(conn: Connection, request_id: str, endpoint: str) -> RecordSource | None:
    """The one at an endpoint that is gathered from; None: none is."""
    row = conn.execute(
        select(record_sources).where(
            record_sources.c.request_id == request_id,
            record_sources.c.endpoint == endpoint,
            record_sources.c.ended_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else RecordSource.from_row(row)


def name(
    conn: Connection,
    request_id: str,
    endpoint: str,
    number: Identifier | None,
    *,
    whole: bool = True,
    actor: str,
    reason: str,
) -> bool:
    """Gather from it, now. False when that is so already: it is looked at once more.

    Raises NotPossible when nothing is sent for the request any more, or the patient's number there was said otherwise before.
    """
    steps.lock_with_request(conn, request_id)
    received_records.must_be_open(conn, request_id)
    known = at(conn, request_id, endpoint)
    if known is None:
        values = dict(
            request_id=request_id,
            endpoint=endpoint,
            whole=whole,
            number_system=number.system if number else "",
            number=number.value if number else "",
            named_by=actor,
            reason=reason,
        )
        conn.execute(insert(record_sources).values(values))
    else:
        _say_again(conn, known, number, whole)
    audit.record(conn, actor, "elsewhere.named", request_id, subject=endpoint, reason=reason)
    look(conn, request_id, endpoint)
    return known is None


def _say_again(conn: Connection, known: RecordSource, number: Identifier | None, whole: bool) -> None:
    if number is not None and known.number and known.stated != (number,):
        raise NotPossible(
            f"{known.named_by} said another number of the patient at {known.endpoint}: stop gathering there first, then name it anew"
        )
    values: dict[str, object] = {"whole": known.whole or whole}
    if number is not None:
        values |= {"number_system": number.system, "number": number.value}
    conn.execute(update(record_sources).where(record_sources.c.id == known.id).values(values))


def look(conn: Connection, request_id: str, endpoint: str) -> None:
    """Its records are read now; a look that waits for a person stays where it is."""
    steps.create(conn, GATHER, endpoint, request_id=request_id, deadline=requests.get(conn, request_id).records_due_at)


def keep_read(
    conn: Connection, source: RecordSource, manifest_sha256: str, gone: Mapping[str, str], at: datetime, *, is_new: bool
) -> None:
    """What was read there; where it is another than before, the next packet is made of it now."""
    values: dict = dict(manifest_sha256=manifest_sha256, read_at=at, gone=dict(gone))
    if is_new:
        values["changed_at"] = func.statement_timestamp()
    conn.execute(update(record_sources).where(record_sources.c.id == source.id).values(values))
    if is_new:
        received_records.look_again(conn, source.request_id)


def stop(conn: Connection, request_id: str, endpoint: str, *, actor: str, reason: str) -> RecordSource:
    """It is not wanted any more: what came of it is taken back where it went. Raises NotPossible when it is not gathered from."""
    steps.lock_with_request(conn, request_id)
    known = at(conn, request_id, endpoint)
    if known is None:
        raise NotPossible(f"nothing is gathered from {endpoint} for request {request_id}")
    conn.execute(
        update(record_sources)
        .where(record_sources.c.id == known.id)
        .values(ended_by=actor, ended_at=func.statement_timestamp(), ended_reason=reason)
    )
    steps.cancel_open(
        conn, request_id, reason=f"{endpoint} is not gathered from any more", kinds=(GATHER, WATCH), at=endpoint
    )
    patient_links.end(conn, request_id, endpoint, actor=actor)
    audit.record(conn, actor, "elsewhere.stopped", request_id, subject=endpoint, reason=reason)
    _take_back(conn, known, actor)
    return known


def patient_changed(conn: Connection, request_id: str, endpoint: str, *, actor: str) -> None:
    """Who the patient is there was said anew: what came of somebody else is taken back, and the right one's is gathered."""
    known = at(conn, request_id, endpoint)
    if known is not None:
        _take_back(conn, known, actor)
        look(conn, request_id, endpoint)


def _take_back(conn: Connection, source: RecordSource, actor: str) -> None:
    """A packet that was not sent yet goes without it; what was sent is withdrawn by the next one."""
    if source.manifest_sha256 is None:
        return
    unsent = conn.execute(
        select(delivery_items.c.source)
        .distinct()
        .join(deliveries, delivery_items.c.delivery_id == deliveries.c.id)
        .where(
            deliveries.c.request_id == source.request_id,
            deliveries.c.kind == "records",
            deliveries.c.status.not_in(ENDED),
            delivery_items.c.source.like("%/elsewhere-%"),
        )
    ).scalars()
    waived = {each.item for each in waivers.in_force(conn, source.request_id)}
    for each in sorted(each for each in unsent if is_of(source.id, each) and each not in waived):
        waivers.waive(conn, source.request_id, each, actor=actor, reason=f"records of {source.endpoint} are taken back")
    received_records.look_again(conn, source.request_id)


def open_steps(conn: Connection, source: RecordSource) -> list[Step]:
    """What is owed there for it: a look that is due or waits for a person, or the watch."""
    table = step_table.c
    wanted = select(table.id).where(
        table.request_id == source.request_id,
        table.endpoint == source.endpoint,
        table.kind.in_((GATHER, WATCH)),
        table.status.in_(OPEN),
    )
    return steps.by_ids(conn, conn.execute(wanted.order_by(table.id)).scalars())


def remarks(conn: Connection, source: RecordSource) -> list[Finding]:
    """What was missing, cut off, unresolved or odd at the last looks there, the gravest first."""
    table = findings.c
    rows = select(table.cause, table.message, table.path, table.severity).where(
        table.request_id == source.request_id,
        table.endpoint == source.endpoint,
        table.last_seen_at >= source.created_at,
    )
    found = [Finding(*row) for row in conn.execute(rows)]
    return sorted(found, key=lambda each: (_GRAVEST.index(each.severity), each.cause, each.path))[:REMARKS]
