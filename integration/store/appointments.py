"""What became of a request's visit, and what EHRs show of it. A change is a new row; nothing is overwritten."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.operations import NotPossible
from integration.store.tables import appointments, found_appointments
from mappings.appointment import Seen
from mappings.model.states import Visit
from mappings.model.visit import LEADS_TO, Change, Known, Slot


class VisitStale(NotPossible):
    """Somebody else changed the visit since it was looked at."""


@dataclass(frozen=True)
class Appointment:
    """One version of a request's visit; see `tables.appointments`."""

    request_id: str
    version: int
    began: int
    change: str  # a Change
    status: str  # a Visit
    known: str  # a Known
    start_at: datetime
    end_at: datetime | None
    zone: str
    place: str
    with_whom: str
    endpoint: str | None
    reference: str | None
    told_by: str
    cancelation: str | None
    confirmed: list[str]
    actor: str
    reason: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Appointment":
        """From a row of `appointments`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def slot(self) -> Slot:
        """When and where."""
        return Slot(self.start_at, self.zone, self.end_at, self.place, self.with_whom, self.endpoint, self.reference)

    @property
    def day(self) -> date:
        """The day of it by the clock where it takes place."""
        return self.start_at.astimezone(ZoneInfo(self.zone)).date()

    @property
    def is_booked(self) -> bool:
        """It is still to come, as far as anybody said."""
        return self.status == Visit.BOOKED


@dataclass(frozen=True)
class Found:
    """An appointment that an EHR shows; see `tables.found_appointments`."""

    request_id: str
    endpoint: str
    reference: str
    status: str
    start_at: datetime
    end_at: datetime | None
    place: str
    with_whom: str
    version: str | None
    read_at: datetime
    dismissed_at: datetime | None
    dismissed_by: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Found":
        """From a row of `found_appointments`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def history(conn: Connection, request_id: str) -> list[Appointment]:
    """Every version, oldest first."""
    wanted = select(appointments).where(appointments.c.request_id == request_id).order_by(appointments.c.version)
    return [Appointment.from_row(row) for row in conn.execute(wanted)]


def current(conn: Connection, request_id: str) -> Appointment | None:
    """How the visit stands; None without one."""
    newest = select(appointments).where(appointments.c.request_id == request_id)
    row = conn.execute(newest.order_by(appointments.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else Appointment.from_row(row)


def keep(
    conn: Connection,
    request_id: str,
    change: Change,
    slot: Slot,
    known: Known,
    *,
    expected: int | None,
    actor: str,
    reason: str = "",
    told_by: str = "",
    cancelation: str | None = None,
    confirmed: Iterable[str] = (),
) -> Appointment:
    """The next version. ``expected``: the version that whoever changes it saw, 0 for none, None for whatever it is.

    Raises VisitStale with who was first. The caller holds the request.
    """
    before = current(conn, request_id)
    version = before.version if before else 0
    if expected is not None and expected != version:
        raise VisitStale(_first(request_id, before))
    goes_on = before is not None and change is not Change.BOOKED
    row = dict(
        request_id=request_id,
        version=version + 1,
        began=before.began if before is not None and goes_on else version + 1,
        change=change.value,
        status=LEADS_TO[change].value,
        known=known.value,
        start_at=slot.start,
        end_at=slot.end,
        zone=slot.zone,
        place=slot.place,
        with_whom=slot.with_whom,
        endpoint=slot.endpoint,
        reference=slot.reference,
        told_by=told_by,
        cancelation=cancelation,
        confirmed=list(confirmed),
        actor=actor,
        reason=reason,
    )
    made = conn.execute(insert(appointments).values(row).on_conflict_do_nothing().returning(appointments))
    kept = made.one_or_none()
    if kept is None:
        raise VisitStale(_first(request_id, current(conn, request_id)))
    return Appointment.from_row(kept)


def _first(request_id: str, now: Appointment | None) -> str:
    if now is None:
        return f"request {request_id} has no visit yet: look at it again; nothing of yours was stored"
    return (
        f"{now.actor} was first: the visit of request {request_id} is {now.change} since {now.created_at:%Y-%m-%d %H:%M:%S} UTC "
        f"(version {now.version}). Nothing of yours was stored; look at it again"
    )


def found(conn: Connection, request_id: str, *, dismissed: bool = False) -> list[Found]:
    """What EHRs show, the nearest first; with ``dismissed`` also what a person said is another visit."""
    wanted = select(found_appointments).where(found_appointments.c.request_id == request_id)
    if not dismissed:
        wanted = wanted.where(found_appointments.c.dismissed_at.is_(None))
    ordered = wanted.order_by(found_appointments.c.start_at, found_appointments.c.reference)
    return [Found.from_row(row) for row in conn.execute(ordered)]


def show(conn: Connection, request_id: str, endpoint: str, seen: Iterable[Seen], read_at: datetime) -> None:
    """What an EHR shows now, in place of what it showed before; what a person dismissed stays dismissed."""
    rows = {
        each.reference: dict(
            request_id=request_id,
            endpoint=endpoint,
            reference=each.reference,
            status=each.status,
            start_at=each.start,
            end_at=each.end,
            place=each.place,
            with_whom=each.with_whom,
            version=each.version,
            read_at=read_at,
        )
        for each in seen
    }
    here = (found_appointments.c.request_id == request_id, found_appointments.c.endpoint == endpoint)
    gone = found_appointments.delete().where(*here, found_appointments.c.dismissed_at.is_(None))
    conn.execute(gone.where(found_appointments.c.reference.not_in(list(rows))))
    if not rows:
        return
    made = insert(found_appointments).values(list(rows.values()))
    names = ("status", "start_at", "end_at", "place", "with_whom", "version", "read_at")
    keys = ["request_id", "endpoint", "reference"]
    conn.execute(made.on_conflict_do_update(index_elements=keys, set_={name: made.excluded[name] for name in names}))


def dismiss(conn: Connection, request_id: str, endpoint: str, reference: str, *, actor: str) -> None:
    """A person says that it is another visit: it is not offered again. Raises NotPossible when nothing is offered so."""
    said = conn.execute(
        update(found_appointments)
        .where(
            found_appointments.c.request_id == request_id,
            found_appointments.c.endpoint == endpoint,
            found_appointments.c.reference == reference,
            found_appointments.c.dismissed_at.is_(None),
        )
        .values(dismissed_at=func.now(), dismissed_by=actor)
    )
    if not said.rowcount:
        raise NotPossible(f"no appointment {reference} of {endpoint} is offered for this request")
