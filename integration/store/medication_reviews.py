"""What people say of a patient's medications: each review beside the ones before it; the newest counts."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, select

from integration.store import audit, received_records, steps
from integration.store.operations import NotPossible
from integration.store.tables import medication_reviews
from mappings.medications import Informant, Review, What, Word


@dataclass(frozen=True)
class ReviewRow:
    """A review as the table has it; ``words`` as `Word` says."""

    id: int
    request_id: str
    list_sha256: str
    informant: str  # an Informant
    words: list
    actor: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "ReviewRow":
        """From a row of `medication_reviews`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def as_said(self) -> Review:
        """As the mappings take it."""
        words = tuple(
            Word(**{**each, "what": What(each["what"]), "sources": tuple(each["sources"])}) for each in self.words
        )
        at = self.created_at.replace(microsecond=0)
        return Review(self.list_sha256, Informant(self.informant), words, self.actor, at)


def add(
    conn: Connection,
    request_id: str,
    after: int,
    list_sha256: str,
    informant: Informant,
    words: tuple[Word, ...],
    *,
    actor: str,
) -> ReviewRow:
    """Keep a review; it joins the next packet. ``after``: the newest one that was looked at, 0 for none. Raises NotPossible."""
    received_records.must_be_open(conn, request_id)
    steps.lock_with_request(conn, request_id)
    known = of_request(conn, request_id)
    newest = known[-1] if known else None
    if newest is not None and newest.id != after:
        raise NotPossible(
            f"{newest.actor} was first, at {newest.created_at:%Y-%m-%d %H:%M} UTC: nothing of yours was kept. Look at the list again"
        )
    said = [{**asdict(each), "concept": dict(each.concept)} for each in words]
    row = dict(request_id=request_id, list_sha256=list_sha256, informant=informant, words=said, actor=actor)
    made = conn.execute(medication_reviews.insert().values(row).returning(medication_reviews)).one()
    audit.record(conn, actor, "medications.reviewed", request_id, subject=f"review {made.id}")
    received_records.look_again(conn, request_id)
    return ReviewRow.from_row(made)


def of_request(conn: Connection, request_id: str) -> list[ReviewRow]:
    """All of a request, oldest first."""
    rows = select(medication_reviews).where(medication_reviews.c.request_id == request_id)
    return [ReviewRow.from_row(row) for row in conn.execute(rows.order_by(medication_reviews.c.id))]
