"""The list of requests as pages, API and command line show it: ids, words and times; no patient data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row

from integration.store import acknowledgments, deliveries, directory_search, request_list, requests
from integration.store.request_list import Waits, Wanted
from integration.store.scope import EVERYTHING, Scope
from integration.views.levels import records_words
from mappings.model.acknowledgment import Standing
from mappings.model.request import SecondOpinionRequest
from mappings.model.roads import Level
from mappings.model.states import Status
from mappings.specialties import OFFERED


@dataclass(frozen=True)
class Line:
    """One request: what it is called by those who asked, who and whom, where it stands and what it waits for."""

    id: str
    key: str
    patient: str  # the beginning of the keyed hash: the same patient has the same letters
    patient_hash: str
    specialty: str
    placer: str
    fulfiller: str
    status: str
    records: str
    records_words: str
    priority: str
    due_at: datetime | None
    created_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    closed_level: str | None
    reading: Standing  # the last level, above what is known of the report in the EHR
    case: str
    number: int  # which opinion of its case
    waits: Waits | None

    @property
    def stands(self) -> str:
        """One word for where it stands: ``closed``, or its status."""
        return "closed" if self.closed_at else self.status

    @property
    def is_open(self) -> bool:
        """True while something is still owed."""
        ended = (Status.REJECTED, Status.CANCELLED, Status.FAILED, Status.ENTERED_IN_ERROR)
        return self.closed_at is None and Status(self.status) not in ended


def lines(
    conn: Connection,
    wanted: Wanted,
    *,
    scope: Scope = EVERYTHING,
    after: tuple[datetime, str] | None = None,
    limit: int = request_list.PAGE,
) -> tuple[list[Line], tuple[datetime, str] | None]:
    """One page of the list, newest first, and where the next one begins."""
    rows, following = request_list.page(conn, wanted, scope=scope, after=after, limit=limit)
    ids = [row.id for row in rows]
    waiting, arrived = request_list.waits(conn, ids), deliveries.records_arrived_as(conn, ids)
    reading = acknowledgments.standings(conn, ids)
    contents = {row.id: requests.content_of(row.body) for row in rows}
    words = _specialty_words(conn, (each.specialty.code for each in contents.values() if each.specialty))
    made = [
        _line(
            row, contents[row.id], words, waiting.get(row.id), arrived.get(row.id), reading.get(row.id, Standing.NONE)
        )
        for row in rows
    ]
    return made, following


def _specialty_words(conn: Connection, codes: Iterable[str]) -> dict[str, str]:
    """What specialties are called: our own names, else NUCC's where a site loaded them, else the code."""
    wanted = set(codes)
    loaded = directory_search.words_of(conn, sorted(wanted - OFFERED.keys()))
    return {code: OFFERED.get(code) or loaded.get(code) or code[:20] for code in wanted}


def _line(
    row: Row,
    content: SecondOpinionRequest,
    words: Mapping[str, str],
    waits: Waits | None,
    arrived_as: str | None,
    reading: Standing,
) -> Line:
    return Line(
        id=row.id,
        key=row.key,
        patient=row.patient_hash[:6],
        patient_hash=row.patient_hash,
        specialty=words[content.specialty.code] if content.specialty else "",
        placer=row.placer,
        fulfiller=row.fulfiller,
        status=row.status,
        records=row.records,
        records_words=records_words(row.records, arrived_as),
        priority=row.priority,
        due_at=row.records_due_at,
        created_at=row.created_at,
        changed_at=row.updated_at,
        closed_at=row.closed_at,
        closed_level=(row.closed_level or Level.READ_BACK) if row.closed_at else None,
        reading=reading,
        case=row.case_id or row.id,
        number=content.opinion_number,
        waits=waits,
    )
