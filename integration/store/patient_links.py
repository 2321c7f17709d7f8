"""Who a request's patient is at an endpoint: for that request alone, with what was compared when it was decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import deliveries, delivery_items, patient_candidates, patient_links
from integration.store.tables import links as link_table
from mappings.patient_link import Compared

DESCRIBED = "described"  # in place of a reference: the patient as we know them, beside the candidates


@dataclass(frozen=True)
class PatientLink:
    """``described`` and ``found`` are fingerprints of both sides when they were compared; None: not compared yet."""

    id: int
    request_id: str
    endpoint: str
    reference: str
    origin: str
    confirmed: bool
    described: str | None
    found: str | None
    merges: tuple[str, ...]
    doubts: tuple[str, ...]
    actor: str
    reason: str | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "PatientLink":
        """As it is stored."""
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        return cls(**values | {"merges": tuple(row.merges), "doubts": tuple(row.doubts)})

    @property
    def by_person(self) -> bool:
        """A person said it."""
        return self.origin == "person"


@dataclass(frozen=True)
class Candidate:
    """Somebody a step found at an endpoint when it was not sure, as read then."""

    reference: str
    sha256: str
    why: str
    read_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Candidate":
        """As it is stored."""
        return cls(row.reference, row.sha256, row.why, row.read_at)


def of(conn: Connection, request_id: str, endpoint: str) -> PatientLink | None:
    """The link of one request at one endpoint that holds."""
    row = conn.execute(select(patient_links).where(*_holds(request_id, endpoint))).one_or_none()
    return None if row is None else PatientLink.from_row(row)


def of_others(conn: Connection, request_id: str, endpoint: str, references: Iterable[str]) -> dict[str, str]:
    """``{Patient/id: request}`` of what a person linked at an endpoint for another request: told, never taken over."""
    rows = conn.execute(
        select(patient_links.c.reference, func.min(patient_links.c.request_id))
        .where(
            patient_links.c.endpoint == endpoint,
            patient_links.c.reference.in_(list(references)),
            patient_links.c.request_id != request_id,
            patient_links.c.origin == "person",
            patient_links.c.undone_at.is_(None),
        )
        .group_by(patient_links.c.reference)
    )
    return dict(tuple(row) for row in rows)


def all_at(conn: Connection, endpoint: str) -> list[PatientLink]:
    """Every link at an endpoint that holds."""
    wanted = select(patient_links).where(patient_links.c.endpoint == endpoint, patient_links.c.undone_at.is_(None))
    return [PatientLink.from_row(row) for row in conn.execute(wanted.order_by(patient_links.c.id))]


def set_link(
    conn: Connection,
    request_id: str,
    endpoint: str,
    reference: str,
    *,
    origin: str,
    actor: str,
    reason: str | None = None,
    confirmed: bool = False,
    compared: Compared | None = None,
) -> None:
    """The request's patient is this one from now on; what was said before is kept as undone."""
    end(conn, request_id, endpoint, actor=actor)
    conn.execute(
        patient_links.insert().values(
            request_id=request_id,
            endpoint=endpoint,
            reference=reference,
            origin=origin,
            actor=actor,
            reason=reason,
            confirmed=confirmed,
            **(_columns(compared) if compared else {}),
        )
    )


def keep(conn: Connection, link: PatientLink, now: Compared) -> None:
    """What the link was compared with this time; from now on a change of this is noticed."""
    was = Compared(link.described or "", link.found or "", link.merges, link.doubts)
    if was != now:
        conn.execute(update(patient_links).where(patient_links.c.id == link.id).values(**_columns(now)))


def _columns(compared: Compared) -> dict:
    return dict(
        described=compared.described,
        found=compared.found,
        merges=list(compared.merges),
        doubts=list(compared.doubts),
    )


def end(conn: Connection, request_id: str, endpoint: str, *, actor: str) -> PatientLink | None:
    """Undo the link; returns what it was."""
    link = of(conn, request_id, endpoint)
    if link is not None:
        conn.execute(
            update(patient_links).where(patient_links.c.id == link.id).values(undone_at=func.now(), undone_by=actor)
        )
    return link


def forget_chart(conn: Connection, endpoint: str, reference: str) -> None:
    """No chart of a source stands for this patient any more: whose it is is asked anew before anything is sent."""
    conn.execute(
        delete(link_table).where(
            link_table.c.endpoint == endpoint,
            link_table.c.reference == reference,
            link_table.c.value.like("Patient/%"),
        )
    )


def sent_under(conn: Connection, request_id: str, endpoint: str) -> dict[str, int]:
    """``{type: number}`` of what this request has written at an endpoint: it went to the patient linked there."""
    kind = func.split_part(delivery_items.c.target, "/", 1)
    rows = conn.execute(
        select(kind, func.count(func.distinct(delivery_items.c.target)))
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(
            deliveries.c.request_id == request_id,
            deliveries.c.endpoint == endpoint,
            delivery_items.c.target.is_not(None),
            delivery_items.c.created_by_us.is_(True),
        )
        .group_by(kind)
        .order_by(kind)
    )
    return dict(tuple(row) for row in rows)


def describe(conn: Connection, request_id: str, endpoint: str, sha256: str) -> None:
    """The patient as the chart says now, to be compared with whom an endpoint has."""
    row = insert(patient_candidates).values(
        request_id=request_id, endpoint=endpoint, reference=DESCRIBED, sha256=sha256, why=""
    )
    conn.execute(
        row.on_conflict_do_update(
            index_elements=["request_id", "endpoint", "reference"],
            set_=dict(sha256=row.excluded.sha256, read_at=func.now()),
        )
    )


def described(conn: Connection, request_id: str, endpoint: str) -> str | None:
    """The hash of the chart's own Patient as it was last seen, in the payload store."""
    wanted = select(patient_candidates.c.sha256).where(
        *_at(request_id, endpoint), patient_candidates.c.reference == DESCRIBED
    )
    return conn.execute(wanted).scalar_one_or_none()


def set_candidates(conn: Connection, request_id: str, endpoint: str, found: Iterable[tuple[str, str, str]]) -> None:
    """Whom a step found: ``(reference, sha256, why)`` each; replaces what was found before."""
    conn.execute(
        delete(patient_candidates).where(*_at(request_id, endpoint), patient_candidates.c.reference != DESCRIBED)
    )
    rows = {
        reference: dict(request_id=request_id, endpoint=endpoint, reference=reference, sha256=sha256, why=why)
        for reference, sha256, why in found
    }
    if rows:
        conn.execute(patient_candidates.insert(), list(rows.values()))


def candidates(conn: Connection, request_id: str, endpoint: str) -> list[Candidate]:
    """Whom a step found last."""
    wanted = select(patient_candidates).where(*_at(request_id, endpoint), patient_candidates.c.reference != DESCRIBED)
    wanted = wanted.order_by(patient_candidates.c.reference)
    return [Candidate.from_row(row) for row in conn.execute(wanted)]


def _at(request_id: str, endpoint: str) -> tuple:
    return patient_candidates.c.request_id == request_id, patient_candidates.c.endpoint == endpoint


def _holds(request_id: str, endpoint: str) -> tuple:
    return (
        patient_links.c.request_id == request_id,
        patient_links.c.endpoint == endpoint,
        patient_links.c.undone_at.is_(None),
    )
