"""Reports that are still being written: one for each request, saved in versions, so that two people lose nothing to each other.

A draft holds clinical content: whoever shows one records the look.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit
from integration.store.operations import NotPossible
from integration.store.tables import report_drafts
from mappings.model.written_report import TypedAnswer, TypedPoint, TypedReport, TypedTest


@dataclass(frozen=True)
class ReportDraft:
    """One draft; ``body``: a TypedReport as JSON bytes, ``corrects``: the number of the signed report that it replaces."""

    request_id: str
    body: bytes
    file_sha256: str | None
    file_doubts: list[str]
    corrects: int | None
    version: int
    updated_at: datetime
    updated_by: str

    @classmethod
    def from_row(cls, row: Row) -> "ReportDraft":
        """From a row of `report_drafts`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def typed(self) -> TypedReport:
        """What it says so far."""
        return from_json(json.loads(self.body))


class DraftChanged(NotPossible):
    """Somebody saved or signed it since it was read. ``now``: as it is; None: it is gone."""

    def __init__(self, now: ReportDraft | None):
        self.now = now
        by = f"{now.updated_by} saved it at {now.updated_at:%H:%M} UTC" if now else "it was signed or discarded"
        super().__init__(
            f"{by}, after you opened this page; nothing of yours was kept yet: look at both, and save again"
        )


def from_json(kept: Mapping[str, Any]) -> TypedReport:
    """From what ``dataclasses.asdict`` makes of it."""
    return TypedReport(
        kept["diagnosis"],
        kept["plan"],
        kept["summary"],
        tuple(TypedPoint(**each) for each in kept["points"]),
        tuple(TypedTest(**each) for each in kept["tests"]),
        tuple(TypedAnswer(**each) for each in kept["answers"]),
    )


def get(conn: Connection, request_id: str, *, held: bool = False) -> ReportDraft | None:
    """The draft of a request. ``held``: nobody changes it until the transaction ends."""
    wanted = select(report_drafts).where(report_drafts.c.request_id == request_id)
    row = conn.execute(wanted.with_for_update() if held else wanted).one_or_none()
    return ReportDraft.from_row(row) if row else None


def must_be(conn: Connection, request_id: str, version: int) -> ReportDraft | None:
    """The draft, held, in the version that was seen; 0: there was none. Raises DraftChanged."""
    draft = get(conn, request_id, held=True)
    if (draft.version if draft else 0) != version:
        raise DraftChanged(draft)
    return draft


def save(
    conn: Connection, request_id: str, typed: TypedReport, *, version: int, corrects: int | None, actor: str
) -> ReportDraft:
    """The next version of what was typed; ``corrects`` counts for a new one. Raises DraftChanged."""
    draft = must_be(conn, request_id, version)
    if draft is not None and draft.typed == typed:
        return draft
    return _put(conn, request_id, {"body": _bytes(typed), **({} if draft else {"corrects": corrects})}, actor=actor)


def set_file(
    conn: Connection,
    request_id: str,
    sha256: str | None,
    doubts: tuple[str, ...],
    *,
    version: int,
    corrects: int | None,
    actor: str,
) -> ReportDraft:
    """The file that is the report, or none any more. Raises DraftChanged."""
    draft = must_be(conn, request_id, version)
    values = {"file_sha256": sha256, "file_doubts": list(doubts)}
    new = {} if draft else {"body": _bytes(TypedReport()), "corrects": corrects}
    return _put(conn, request_id, {**values, **new}, actor=actor)


def remove(conn: Connection, request_id: str) -> None:
    """It was signed, or nobody wants it."""
    conn.execute(delete(report_drafts).where(report_drafts.c.request_id == request_id))


def _put(conn: Connection, request_id: str, values: Mapping[str, Any], *, actor: str) -> ReportDraft:
    """Two who begin one at the same moment: the second finds that there is one."""
    is_new = "corrects" in values
    if is_new:
        made = insert(report_drafts).values(request_id=request_id, updated_by=actor, **values).on_conflict_do_nothing()
        row = conn.execute(made.returning(report_drafts)).one_or_none()
        if row is None:
            raise DraftChanged(get(conn, request_id))
    else:
        more = dict(version=report_drafts.c.version + 1, updated_at=func.now(), updated_by=actor)
        changed = update(report_drafts).where(report_drafts.c.request_id == request_id)
        row = conn.execute(changed.values(**values, **more).returning(report_drafts)).one()
    draft = ReportDraft.from_row(row)
    audit.record(conn, actor, "desk.report-saved", request_id, detail={"version": draft.version})
    return draft


def _bytes(typed: TypedReport) -> bytes:
    return json.dumps(asdict(typed), ensure_ascii=False).encode("utf-8", "replace")
