"""What becomes of a request's visit, and of both tracks with it; for pages, API, commands and steps."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, Engine

from integration import visit_reading
from integration.settings.config import Config
from integration.store import appointments, audit, bookings, deadlines, requests, steps
from integration.store.appointments import Appointment
from integration.store.operations import NotPossible
from integration.store.requests import Request
from integration.visit_reading import ARRIVED, House, Reading
from integration.visit_times import zone_of
from mappings.model.states import FINAL, Status, Visit
from mappings.model.visit import LEADS_TO, MAY, Change, Known, Slot, Warn

EXCHANGE = "exchange"


class MustConfirm(NotPossible):
    """A time that a named person has to set aside something for; ``warnings``: what, as sentences."""

    def __init__(self, warnings: dict[Warn, str]):
        self.warnings = warnings
        super().__init__(" ".join(warnings.values()))


@dataclass(frozen=True)
class Said:
    """Who says what became of a visit, and when. ``expected``: the version that they saw; ``confirmed``: what they set aside."""

    now: datetime
    actor: str
    reason: str = ""
    expected: int | None = None
    told_by: str = ""
    cancelation: str | None = None
    confirmed: frozenset[Warn] = frozenset()


def change(
    house: House,
    request_id: str,
    what: Change,
    said: Said,
    slot: Slot | None = None,
    *,
    known: Known = Known.HAND,
) -> Appointment:
    """Record what became of the visit, and move both tracks with it. ``slot``: the time, where it is booked or moved.

    Raises MustConfirm for a time that has to be confirmed, NotPossible for what cannot follow, VisitStale when somebody was
    first.
    """
    reading = visit_reading.read(house, request_id, said.now, start=slot.start if slot else None)
    must_be_possible(reading, what)
    if LEADS_TO[what] is Visit.BOOKED and slot is None:
        raise NotPossible("say when the visit is")
    if slot is not None and said.actor != EXCHANGE and known is not Known.BOOKED:  # asked about before it was booked
        must_be_confirmed(reading, slot.start, said)
    if said.expected is None:
        said = replace(said, expected=len(reading.history))
    with house.engine.begin() as conn:
        steps.lock_with_request(conn, request_id)
        kept = appointments.keep(
            conn,
            request_id,
            what,
            slot or _slot_of(reading),
            known,
            expected=said.expected,
            actor=said.actor,
            reason=said.reason,
            told_by=said.told_by,
            cancelation=(said.cancelation or "other") if what is Change.CANCELLED else None,
            confirmed=[each.value for each in said.confirmed] if slot is not None else (),
        )
        _follow(conn, house.config, reading, kept, said)
    return kept


def _slot_of(reading: Reading) -> Slot:
    if reading.current is None:
        raise NotPossible(f"request {reading.row.id} has no visit")
    return reading.current.slot


def must_be_possible(reading: Reading, what: Change) -> None:
    """Raises NotPossible with why the visit cannot become that now."""
    row, current = reading.row, reading.current
    if row.status in FINAL and row.status != Status.COMPLETED and what is not Change.CANCELLED:
        raise NotPossible(f"request {row.id} is {row.status}: it has no visit any more")
    stands = Visit(current.status) if current else Visit.NONE
    if what not in MAY[stands]:
        may = ", ".join(sorted(MAY[stands])) or "nothing"
        raise NotPossible(f"the visit of request {row.id} is {stands}: it cannot become {what}, only {may}")
    if what in (Change.NO_SHOW, Change.COMPLETED) and current is not None and current.start_at > reading.now:
        raise NotPossible("the visit is still to come: whether the patient came is known afterwards")


def must_be_confirmed(reading: Reading, start: datetime, said: Said) -> None:
    """Raises MustConfirm for what a person has to set aside to have this time, NotPossible without a reason for that."""
    found = visit_reading.warnings(reading, start)
    open_ones = {warn: says for warn, says in found.items() if warn not in said.confirmed}
    if open_ones:
        raise MustConfirm(open_ones)
    if found and not said.reason.strip():
        raise NotPossible("say why this time is kept all the same; it stands in the audit trail")


def _follow(conn: Connection, config: Config, reading: Reading, kept: Appointment, said: Said) -> None:
    """Both tracks, the steps that work towards them, and what the audit trail says."""
    row, visit = requests.get(conn, reading.row.id), Visit(kept.status)
    bookings.follow(conn, kept, by_exchange=said.actor == EXCHANGE)
    due_at, risk_at, why = _due_after(config, reading, kept)
    comes = kept.start_at if visit in (Visit.BOOKED, Visit.COMPLETED) else None
    requests.set_visit(conn, row.id, visit, comes)
    detail = {"version": kept.version, "known": kept.known, "confirmed": kept.confirmed}
    audit.record(
        conn, said.actor, f"visit.{kept.change}", row.id, subject=kept.reference, reason=said.reason, detail=detail
    )
    move_due(conn, row, due_at, risk_at, why, actor=said.actor)
    steps.create(conn, "mirror_status", row.placer, request_id=row.id, deadline=due_at)
    if row.status not in FINAL:
        steps.create(conn, "tell_missing", row.fulfiller, request_id=row.id, deadline=due_at)
    if visit is Visit.BOOKED:
        _watch(conn, row)
    for key in dict.fromkeys((row.placer, row.fulfiller)):
        endpoint = config.endpoints.get(key)
        if endpoint is not None and endpoint.appointments == "write" and key != kept.endpoint:
            steps.create(conn, "write_visit", key, request_id=row.id, deadline=kept.start_at)


def _due_after(config: Config, reading: Reading, kept: Appointment) -> tuple[datetime | None, datetime | None, str]:
    if kept.is_booked:
        due = reading.due(kept.start_at)
        return due.at, due.risk_at, due.why
    if kept.status == Visit.COMPLETED:
        return reading.row.records_due_at, None, ""
    wanted = requests.records_due(requests.content(reading.row), config.records.lead_days)
    return wanted, None, f"the visit is {kept.status}; the day by which the opinion is wanted counts again"


def move_due(
    conn: Connection, row: Request, due_at: datetime | None, risk_at: datetime | None, why: str, *, actor: str
) -> bool:
    """The records are due then from now on, with what had the old time. Never silently: the audit trail says from, to and why."""
    requests.set_due(conn, row.id, due_at, risk_at)
    if row.records_due_at == due_at:
        return False
    deadlines.move(conn, row.id, row.records_due_at, due_at)
    said = f"from {_minute(row.records_due_at)} to {_minute(due_at)} because {why}"
    audit.record(conn, actor, "records.due-moved", row.id, reason=said)
    return True


def _minute(at: datetime | None) -> str:
    return "no time" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _watch(conn: Connection, row: Request) -> None:
    """Somebody looks after the visit from now on; a chart whose watch had ended with an earlier one is watched again."""
    steps.create(conn, "watch_visit", row.fulfiller, request_id=row.id, deadline=steps.AFTER_WORK)
    if row.records in ARRIVED and not row.cancel_requested:
        steps.create(conn, "watch_chart", row.placer, request_id=row.id, deadline=steps.LAST_OF_ALL)


def link(house: House, request_id: str, endpoint: str, reference: str, said: Said) -> Appointment:
    """An appointment that an EHR shows is this request's visit, because a person says so. Raises as `change`."""
    with house.engine.connect() as conn:
        row = requests.get(conn, request_id)
        offered = appointments.found(conn, request_id)
        current = appointments.current(conn, request_id)
    each = next((one for one in offered if (one.endpoint, one.reference) == (endpoint, reference)), None)
    if each is None:
        raise NotPossible(f"no appointment {reference[:80]} is offered for this request")
    zone = str(zone_of(house.config, row, each.start_at))
    slot = Slot(each.start_at, zone, each.end_at, each.place, each.with_whom, endpoint, reference)
    what = Change.RESCHEDULED if current is not None and current.is_booked else Change.BOOKED
    return change(house, request_id, what, said, slot, known=Known.FOUND)


def dismiss(engine: Engine, request_id: str, endpoint: str, reference: str, *, actor: str, reason: str) -> None:
    """An appointment that an EHR shows is another visit, because a person says so."""
    with engine.begin() as conn:
        requests.get(conn, request_id)
        appointments.dismiss(conn, request_id, endpoint, reference, actor=actor)
        audit.record(conn, actor, "visit.dismissed", request_id, subject=f"{endpoint} {reference}", reason=reason)


def confirmed_of(words: Iterable[str]) -> frozenset[Warn]:
    """What a form or a command says was confirmed; other words are none."""
    return frozenset(Warn(word) for word in words if word in Warn.__members__.values())
