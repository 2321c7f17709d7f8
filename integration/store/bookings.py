"""Free times that people chose at a server, and what became of each; how one stands is changed here alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store import audit, requests, steps
from integration.store.appointments import Appointment
from integration.store.operations import NotPossible
from integration.store.storable import storable
from integration.store.tables import bookings
from integration.store.tables import steps as step_table
from mappings.model.booking import MAY, OWED, WAITS, BookingWord, Why
from mappings.model.states import FINAL, Visit
from mappings.model.visit import Change, Known, Slot
from mappings.slot import FreeTime

STEP, LONGEST = "book_visit", 300


@dataclass(frozen=True)
class Booking:
    """One free time that somebody chose; see `tables.bookings`."""

    id: int
    request_id: str
    endpoint: str
    slot: str
    start_at: datetime
    end_at: datetime | None
    zone: str
    place: str
    with_whom: str
    status: str  # a BookingWord
    why: str  # a Why
    detail: str
    reference: str | None
    visit_version: int
    confirmed: list[str]
    others: list[str] | None
    cancelation: str | None
    actor: str
    reason: str
    created_at: datetime
    changed_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "Booking":
        """From a row of `bookings`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def word(self) -> BookingWord:
        """How it stands."""
        return BookingWord(self.status)

    @property
    def is_waiting(self) -> bool:
        """Nobody knows yet whether it is booked."""
        return self.word in WAITS

    @property
    def as_slot(self) -> Slot:
        """When and where, as a visit is kept."""
        return Slot(self.start_at, self.zone, self.end_at, self.place, self.with_whom, self.endpoint, self.reference)


def of_request(conn: Connection, request_id: str) -> list[Booking]:
    """Every one, oldest first."""
    wanted = select(bookings).where(bookings.c.request_id == request_id).order_by(bookings.c.id)
    return [Booking.from_row(row) for row in conn.execute(wanted)]


def owed(conn: Connection, request_id: str, endpoint: str) -> list[Booking]:
    """Those for which something is still to be done at an endpoint, oldest first."""
    return [each for each in of_request(conn, request_id) if each.endpoint == endpoint and each.word in OWED]


def get(conn: Connection, booking_id: int) -> Booking:
    """One of them. Raises NotPossible when there is none of that number."""
    row = conn.execute(select(bookings).where(bookings.c.id == booking_id)).one_or_none()
    if row is None:
        raise NotPossible(f"nothing was booked under the number {booking_id}")
    return Booking.from_row(row)


def note_others(conn: Connection, booking_id: int, others: Iterable[str] | None) -> None:
    """Who else is booked in its Slot before it is made, once; None: the server cannot be asked."""
    said = None if others is None else sorted(others)
    none_yet = (bookings.c.id == booking_id, bookings.c.others.is_(None))
    conn.execute(update(bookings).where(*none_yet).values(others=said))


def ask(
    conn: Connection,
    request_id: str,
    endpoint: str,
    free: FreeTime,
    zone: str,
    *,
    visit_version: int,
    confirmed: Iterable[str],
    actor: str,
    reason: str,
) -> Booking:
    """Somebody chose a time: the server is asked by a step that is due. Raises NotPossible while another one waits."""
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    if row.status in FINAL or row.cancel_requested:
        raise NotPossible(f"request {request_id} is {row.status}: nothing is booked for it any more")
    if (waits := next((each for each in of_request(conn, request_id) if each.is_waiting), None)) is not None:
        raise NotPossible(
            f"{waits.actor} chose a time already, and {endpoint} has not answered yet: look again in a minute"
        )
    values = dict(
        request_id=request_id,
        endpoint=endpoint,
        slot=free.reference,
        start_at=free.start,
        end_at=free.end,
        zone=zone,
        place=storable(free.place, LONGEST),
        with_whom=storable(free.with_whom, LONGEST),
        status=BookingWord.ASKED,
        why=Why.NONE,
        detail="",
        visit_version=visit_version,
        confirmed=list(confirmed),
        actor=actor,
        reason=reason,
    )
    made = Booking.from_row(conn.execute(insert(bookings).values(values).returning(bookings)).one())
    audit.record(conn, actor, "visit.booking-asked", request_id, subject=f"{endpoint} {free.reference}", reason=reason)
    steps.create(conn, STEP, endpoint, request_id=request_id, deadline=row.records_due_at)
    return made


def tell(
    conn: Connection,
    booking_id: int,
    word: BookingWord,
    why: Why = Why.NONE,
    *,
    actor: str,
    detail: str = "",
    reference: str | None = None,
    cancelation: str | None = None,
) -> bool:
    """How it stands from now on; False when that cannot follow, because somebody said something else meanwhile."""
    known = get(conn, booking_id)
    if word not in MAY[known.word]:
        return False
    more = {"reference": reference} if reference else {}
    more |= {"cancelation": cancelation} if cancelation else {}
    changed = conn.execute(
        update(bookings)
        .where(bookings.c.id == booking_id, bookings.c.status == known.status)
        .values(status=word, why=why, detail=storable(detail, LONGEST), changed_at=func.now(), **more)
    )
    subject = f"{known.endpoint} {reference or known.reference or known.slot}"
    audit.record(conn, actor, f"visit.booking-{word}", known.request_id, subject=subject, reason=why or None)
    return bool(changed.rowcount)


def stands_as(conn: Connection, booking_id: int, reference: str) -> None:
    """What it is called at the server, before anything follows from it."""
    conn.execute(update(bookings).where(bookings.c.id == booking_id).values(reference=reference))


def follow(conn: Connection, kept: Appointment, *, by_exchange: bool) -> None:
    """What becomes of the bookings of a request when its visit changed.

    What a person canceled, and what another time replaced, is taken back at the server. A visit that a person recorded by hand may
    be the very appointment that stands there: it is left alone.
    """
    for each in of_request(conn, kept.request_id):
        if each.word not in (*WAITS, BookingWord.BOOKED) or _is(each, kept) and kept.change != Change.CANCELLED:
            continue
        if kept.change == Change.CANCELLED and by_exchange:
            tell(conn, each.id, BookingWord.CANCELED, Why.THERE, actor=kept.actor)
        elif kept.change == Change.CANCELLED:
            take_back(conn, each, Why.BY_PERSON, actor=kept.actor, cancelation=kept.cancelation)
        elif kept.known == Known.BOOKED and kept.status == Visit.BOOKED:
            take_back(conn, each, Why.REPLACED, actor=kept.actor)
        elif kept.status == Visit.BOOKED and tell(
            conn, each.id, BookingWord.SET_ASIDE, Why.OTHERWISE, actor=kept.actor
        ):
            _hurry(conn, each)


def _is(each: Booking, kept: Appointment) -> bool:
    return (each.endpoint, each.reference) == (kept.endpoint, kept.reference) and each.reference is not None


def take_back(conn: Connection, each: Booking, why: Why, *, actor: str, cancelation: str | None = None) -> None:
    """What stands of it at the server is canceled there, by a step that is due."""
    if tell(conn, each.id, BookingWord.CANCELING, why, actor=actor, cancelation=cancelation):
        _hurry(conn, each)


def _hurry(conn: Connection, each: Booking) -> None:
    """Its step is due now, also one that waits for the server's word or for a person."""
    if steps.create(conn, STEP, each.endpoint, request_id=each.request_id) is None:
        here = (step_table.c.kind == STEP, step_table.c.endpoint == each.endpoint)
        waits = select(step_table.c.id).where(step_table.c.request_id == each.request_id, *here)
        for step_id in conn.execute(waits.where(step_table.c.status.in_(("waiting", "parked")))).scalars().all():
            steps.make_due(conn, step_id)


def end_all(conn: Connection, request_id: str, *, actor: str) -> None:
    """The request was canceled: what was booked for it is taken back."""
    for each in of_request(conn, request_id):
        if each.word in (*WAITS, BookingWord.BOOKED):
            take_back(conn, each, Why.WITHDRAWN, actor=actor)
