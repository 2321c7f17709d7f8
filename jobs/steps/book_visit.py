"""Book at a consulting provider's server the free time that a person chose, and cancel there what was booked and is not wanted any more.

A time is booked only as the person saw it. What became of a create that nobody answered for is looked for before another one goes:
by our identifier, else among the patient's own appointments in that Slot.
"""

from datetime import timedelta

from integration import visits
from integration.fhir.failures import safe_issues
from integration.store import appointments, bookings, links, patient_links
from integration.store.appointments import Appointment
from integration.store.bookings import Booking
from integration.visit_reading import House
from integration.visits import Said
from jobs.target.looking import find_all
from jobs.target.writing import ensure_created
from jobs.world import Context, Outcome
from mappings.appointment import CANCELLATION
from mappings.codes import as_dict
from mappings.model.booking import BookingWord, Why
from mappings.model.errors import NeedsPerson, PermanentError, TransferError, UnknownOutcome
from mappings.model.leaving import Reason
from mappings.model.request import Identifier
from mappings.model.states import FINAL
from mappings.model.visit import Change, Known, Warn
from mappings.slot import LIVE, booked_in, differs, of_patient, outcome_of, schedule_of, to_booking

UNTIL_LINKED = timedelta(minutes=15)
UNTIL_SAID = timedelta(minutes=10)  # a practice that confirms by hand
TAKEN = (409, 410, 423)  # somebody else has it
REFUSED = (400, 404, 405, 422, 501)  # no such appointment is made there
SEARCHES_NOT = (400, 403, 404, 405, 501)


def book_visit(ctx: Context) -> Outcome:
    """Each booking of this endpoint that is owed something."""
    key = ctx.step.endpoint
    with ctx.world.engine.begin() as conn:
        found = bookings.owed(conn, ctx.request_id, key)
        link = patient_links.of(conn, ctx.request_id, key)
    for each in found:
        if each.word is not BookingWord.CANCELING and link is not None:
            _Booker(ctx, each, link.reference).go_on()
    with ctx.world.engine.begin() as conn:  # also what turned out wrong just now
        unwanted = [each for each in bookings.owed(conn, ctx.request_id, key) if each.word is BookingWord.CANCELING]
    for each in unwanted:
        _cancel(ctx, each, link.reference if link else "")
    with ctx.world.engine.begin() as conn:
        left = bookings.owed(conn, ctx.request_id, key)
    return Outcome(again_at=ctx.now + (UNTIL_SAID if link else UNTIL_LINKED) if left else None)


class _Booker:
    """One booking that waits for the server's word."""

    def __init__(self, ctx: Context, booking: Booking, patient: str):
        self.ctx, self.booking, self.patient, self.key = ctx, booking, patient, booking.endpoint
        self.server, self.bases = ctx.server(self.key), ctx.bases(self.key)

    def go_on(self) -> None:
        """Find it, or make it; then take the server's word."""
        if self._is_over():
            self._tell(BookingWord.CANCELING, Why.WITHDRAWN)
            return
        reference = self.booking.reference or self._begun()
        if reference is None:
            reference = self._made()
        elif self.booking.word is BookingWord.ASKED:  # who made it may have ended before this look
            self._look_for_others(reference, self._before())
        if reference is not None:
            self._settle(reference)

    def _is_over(self) -> bool:
        row = self.ctx.row()
        return row.status in FINAL or bool(row.cancel_requested)

    def _begun(self) -> str | None:
        """What an earlier attempt made there, as far as anybody can see."""
        return _found(self.ctx, self.booking, self.patient) if self.ctx.looks_first else None

    def _made(self) -> str | None:
        """``Appointment/id``; None where the time is not to be had, which is told."""
        slot = self.server.read_if_there(self.booking.slot) or {}
        if why := differs(slot, self.booking.start_at):
            self._must_know_that_nothing_stands()
            self._tell(BookingWord.TAKEN, why)
            return None
        if self._is_stale():
            self._tell(BookingWord.REFUSED, Why.CHANGED)
            return None
        others = self._others()
        with self.ctx.transaction() as conn:
            bookings.note_others(conn, self.booking.id, others)
        reference = self._create(slot)
        if reference is not None:
            self._look_for_others(reference, self._before())
        return reference

    def _create(self, slot: dict) -> str | None:
        schedule = schedule_of(slot, self.bases)
        there = self.server.read_if_there(schedule) if schedule.startswith("Schedule/") else None
        own = _identifier(self.ctx, self.booking)
        resource = to_booking(slot, there or {}, self.patient, identifier=own.model_dump(include={"system", "value"}))
        try:
            return ensure_created(
                self.ctx,
                self.key,
                resource,
                own,
                authored=True,
                find=lambda *_: _found(self.ctx, self.booking, self.patient),
            )
        except UnknownOutcome:
            raise
        except TransferError as error:
            if error.status_code in TAKEN:
                self._tell(BookingWord.TAKEN, Why.CONFLICT, _detail(error))
            elif error.status_code in REFUSED:
                self._tell(BookingWord.REFUSED, Why.NOT_TAKEN, _detail(error))
                self.ctx.finding(
                    "booking-refused",
                    f"{self.key} does not take the appointment: {_detail(error)}",
                    self.booking.slot,
                    "error",
                )
            else:
                raise
        return None

    def _must_know_that_nothing_stands(self) -> None:
        """After a create that nobody answered for, a time that is taken may be taken by us. Raises NeedsPerson where nobody can look."""
        if self.ctx.looks_first and _of_patient(self.ctx, self.key, self.patient) is None:
            raise NeedsPerson(
                "booking-unclear",
                f"{self.key} may have booked {self.booking.slot}, and its appointments cannot be searched: ask there, record "
                "the visit by hand if it is booked, and stop this step",
            )

    def _is_stale(self) -> bool:
        with self.ctx.world.engine.begin() as conn:
            current = appointments.current(conn, self.ctx.request_id)
        return (current.version if current else 0) != self.booking.visit_version

    def _others(self) -> set[str] | None:
        """Who is booked in this Slot and is not ours: ids only. None where the server cannot be asked."""
        wanted = {"slot": self.booking.slot, "_elements": "identifier,status,slot"}
        try:
            found = self.server.search_all("Appointment", wanted)
        except PermanentError as error:
            if error.status_code not in SEARCHES_NOT:
                raise
            return None
        return {f"Appointment/{each.get('id')}" for each in booked_in(self.booking.slot, found, self.bases)}

    def _before(self) -> set[str] | None:
        """Who was booked in it before the first create went, as that attempt wrote down; None: nobody could tell."""
        said = self._now().others
        return None if said is None else set(said)

    def _look_for_others(self, ours: str, before: set[str] | None) -> None:
        """Of two who got one time in the same moment ours gives way; a practice that had others in it before books several."""
        after = self._others()
        if before is not None and after is not None and after - before - {ours} and not before:
            self._stands_as(ours)
            self._tell(BookingWord.CANCELING, Why.TWICE)
            self.ctx.finding(
                "booked-twice", f"{self.key} booked {self.booking.slot} twice; ours is canceled there", ours, "warning"
            )
            return
        slot = self.server.read_if_there(self.booking.slot) or {}
        if slot.get("status") == "free" and not before:
            self.ctx.finding(
                "slot-still-free",
                f"{self.key} still calls {self.booking.slot} free after {ours} was booked in it",
                ours,
                "info",
            )

    def _settle(self, reference: str) -> None:
        """What the server's own copy says counts, not its answer to the create."""
        self._stands_as(reference)
        if self._now().word not in (BookingWord.ASKED, BookingWord.PENDING):
            return
        there = self.server.read_if_there(reference)
        if there is None:
            self._tell(BookingWord.REFUSED, Why.DECLINED)
            return
        said = outcome_of(there, self.booking.start_at, self.patient, self.bases)
        if said == "pending":
            self._tell(BookingWord.PENDING)
        elif said == "declined":
            self._tell(BookingWord.REFUSED, Why.DECLINED)
        elif said == "booked":
            self._keep(reference)
        else:
            self._tell(BookingWord.CANCELING, Why.OTHER_TIME)
            self.ctx.finding(
                "booked-otherwise",
                f"{reference} at {self.key} is not what was booked ({said}); it is canceled there",
                reference,
                "error",
            )

    def _keep(self, reference: str) -> None:
        """It is the visit from now on, because who chose it said so; unless somebody said something else meanwhile."""
        house = House(self.ctx.world.engine, self.ctx.world.payloads, self.ctx.world.config)
        with house.engine.begin() as conn:
            current = appointments.current(conn, self.ctx.request_id)
        if not (current and (current.endpoint, current.reference) == (self.key, reference)):
            try:
                visits.change(
                    house, self.ctx.request_id, _change(current), self._said(), self._now().as_slot, known=Known.BOOKED
                )
            except visits.NotPossible as error:
                self.ctx.finding(
                    "booking-not-kept",
                    f"{reference} was booked, and {error}; it is canceled there",
                    reference,
                    "warning",
                )
                self._tell(BookingWord.CANCELING, Why.CHANGED)
                return
        self._tell(BookingWord.BOOKED)

    def _said(self) -> Said:
        warns = frozenset(Warn(each) for each in self.booking.confirmed)
        each = self.booking
        return Said(self.ctx.now, each.actor, each.reason, each.visit_version, confirmed=warns)

    def _now(self) -> Booking:
        with self.ctx.world.engine.begin() as conn:
            return bookings.get(conn, self.booking.id)

    def _stands_as(self, reference: str) -> None:
        with self.ctx.transaction() as conn:
            bookings.stands_as(conn, self.booking.id, reference)

    def _tell(self, word: BookingWord, why: Why = Why.NONE, detail: str = "") -> None:
        with self.ctx.transaction() as conn:
            bookings.tell(conn, self.booking.id, word, why, actor=visits.EXCHANGE, detail=detail)


def _change(current: Appointment | None) -> Change:
    return Change.RESCHEDULED if current is not None and current.is_booked else Change.BOOKED


def _detail(error: TransferError) -> str:
    issues = "; ".join(safe_issues(error.outcome or {}))
    return f"{error.status_code}{f' ({issues})' if issues else ''}"


def _identifier(ctx: Context, booking: Booking) -> Identifier:
    return Identifier(system=ctx.config.exchange.identifier_system, value=f"{ctx.request_id}-booking-{booking.id}")


def _found(ctx: Context, booking: Booking, patient: str) -> str | None:
    """``Appointment/id`` of this booking: as we remember it, by our identifier, else the patient's own in that Slot."""
    own = _identifier(ctx, booking)
    with ctx.world.engine.begin() as conn:
        link = links.find_rows(conn, booking.endpoint, [(own.system, own.value)]).get((own.system, own.value))
    if link is not None:
        return link.reference
    if carrying := _carrying(ctx, booking.endpoint, own):
        return f"Appointment/{carrying[0]['id']}"
    theirs = _of_patient(ctx, booking.endpoint, patient) or []
    there = booked_in(booking.slot, theirs, ctx.bases(booking.endpoint))
    return f"Appointment/{there[0]['id']}" if there else None


def _carrying(ctx: Context, key: str, own: Identifier) -> list[dict]:
    try:
        return find_all(ctx, key, "Appointment", own)
    except PermanentError as error:
        if error.status_code not in SEARCHES_NOT:
            raise
        return []


def _of_patient(ctx: Context, key: str, patient: str) -> list[dict] | None:
    """The patient's appointments; None where they cannot be searched."""
    try:
        found = ctx.server(key).search_all("Appointment", {"patient": patient.partition("/")[2]})
    except PermanentError as error:
        if error.status_code not in SEARCHES_NOT:
            raise
        return None
    return list(of_patient(found, patient, ctx.bases(key)))


def _cancel(ctx: Context, booking: Booking, patient: str) -> None:
    """Take it back there; what is not there, or was ended there, needs nothing."""
    reference = booking.reference or (_found(ctx, booking, patient) if patient else None)
    there = ctx.server(booking.endpoint).read_if_there(reference) if reference else None
    if there is not None and there.get("status") in LIVE - {"fulfilled"}:
        code = {"coding": [{"system": CANCELLATION, "code": booking.cancelation or "other"}]}
        with ctx.for_the_reason(Reason.CANCELLATION):
            ctx.lease.before_write()
            ctx.server(booking.endpoint).update(
                {**there, "status": "cancelled", "cancelationReason": code},
                if_match=as_dict(there.get("meta")).get("versionId"),
            )
        there = ctx.server(booking.endpoint).read_if_there(reference or "")
        if there is not None and there.get("status") in LIVE:
            raise NeedsPerson(
                "booking-not-canceled",
                f"{booking.endpoint} took the cancellation of {reference} and still shows it as booked",
            )
    with ctx.transaction() as conn:
        bookings.tell(
            conn, booking.id, BookingWord.CANCELED, Why(booking.why), actor=visits.EXCHANGE, reference=reference
        )
