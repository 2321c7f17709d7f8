"""A request's visit as pages, API and commands show it: times with their zone, and what is still owed for it."""

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from integration.store.appointments import Appointment, Found
from integration.store.bookings import Booking
from integration.views.case import Part
from integration.views.texts import t
from integration.visit_reading import OwedItem, Reading
from mappings.due_dates import Standing
from mappings.model.booking import WAITS, BookingWord
from mappings.model.states import Visit

_WAITS_OR_LOST = (*WAITS, BookingWord.TAKEN, BookingWord.REFUSED)
_PART_STATE: dict[Standing, Literal["done", "open", "late"]] = {
    Standing.THERE: "done",
    Standing.OK: "open",
    Standing.AT_RISK: "late",
    Standing.LATE: "late",
    Standing.BREACHED: "late",
}


def in_zone(at: datetime, zone: str | ZoneInfo) -> str:
    """``Thursday, December 10, 2026, 14:30 (America/Chicago)``."""
    there = at.astimezone(ZoneInfo(str(zone)))
    return f"{there:%A, %B %-d, %Y, %H:%M} ({zone})"


def view(reading: Reading) -> dict:
    """As JSON."""
    lead, slowest = reading.slowest
    return {
        "request_id": reading.row.id,
        "visit": reading.row.visit,
        "version": len(reading.history),
        "zone": str(reading.calendar.zone),
        "calendar_known": reading.has_calendar,
        "current": reading.current and _appointment(reading.current),
        "records": reading.row.records,
        "records_due_at": reading.row.records_due_at,
        "standing": reading.standing and reading.standing.value,
        "lead_days": lead.before,
        "lead_why": lead.why,
        "slowest": slowest or None,
        "records_there_at": reading.there_at,
        "earliest_visit": reading.earliest,
        "checklist": reading.checklist,
        "questions_open": reading.questions,
        "owed": [_item(each) for each in reading.items],
        "offered": [_offer(each) for each in reading.found],
        "bookings": [_booking(each) for each in reading.bookings],
        "history": [_appointment(each) for each in reading.history],
    }


def _appointment(each: Appointment) -> dict:
    return {
        "version": each.version,
        "change": each.change,
        "status": each.status,
        "known": each.known,
        "start_at": each.start_at,
        "end_at": each.end_at,
        "zone": each.zone,
        "when": in_zone(each.start_at, each.zone),
        "place": each.place,
        "with_whom": each.with_whom,
        "endpoint": each.endpoint,
        "reference": each.reference,
        "told_by": each.told_by,
        "cancelation": each.cancelation,
        "confirmed": list(each.confirmed),
        "actor": each.actor,
        "reason": each.reason,
        "created_at": each.created_at,
    }


def _booking(each: Booking) -> dict:
    return {
        "id": each.id,
        "endpoint": each.endpoint,
        "slot": each.slot,
        "start_at": each.start_at,
        "end_at": each.end_at,
        "status": each.status,
        "why": each.why or None,
        "detail": each.detail or None,
        "reference": each.reference,
        "actor": each.actor,
        "reason": each.reason,
        "created_at": each.created_at,
        "changed_at": each.changed_at,
    }


def _item(each: OwedItem) -> dict:
    return {
        "label": each.label,
        "state": each.state,
        "lead_days": each.lead.before,
        "lead_why": each.lead.why,
        "due_at": each.due_at,
        "standing": each.standing and each.standing.value,
    }


def _offer(each: Found) -> dict:
    return {
        "endpoint": each.endpoint,
        "reference": each.reference,
        "status": each.status,
        "start_at": each.start_at,
        "end_at": each.end_at,
        "place": each.place,
        "with_whom": each.with_whom,
        "read_at": each.read_at,
    }


def part(reading: Reading) -> Part:
    """The visit as one part of a case."""
    booked, row = reading.booked, reading.row
    if booked is None:
        if row.visit == Visit.COMPLETED:
            return Part("visit", "done", t("visits.part_completed"), endpoint="visit.show")
        if reading.booking is not None and reading.booking.word in _WAITS_OR_LOST:
            return _chosen(reading.booking)
        says = (
            t("visits.part_none") if row.visit == Visit.NONE else t("visits.part_lost", visit=t(f"visit.{row.visit}"))
        )
        offers = t("visits.part_offered", n=len(reading.found)) if reading.found else t("visits.part_book")
        return Part("visit", "open", says, offers, "coordinator", endpoint="visit.show")
    stands = reading.standing or Standing.OK
    says = f"{in_zone(booked.start_at, booked.zone)}. {t(f'visits.standing.{stands.value}')}"
    if booked.start_at <= reading.now:
        return Part("visit", "late", says, t("visits.part_came"), "coordinator", booked.start_at, "visit.show")
    following = t("visits.part_owed", n=len(reading.owed)) if reading.owed else ""
    who = "coordinator" if following else ""
    return Part("visit", _PART_STATE[stands], says, following, who, row.records_due_at, "visit.show")


def _chosen(each: Booking) -> Part:
    """A time that somebody chose, and that is no visit."""
    when = in_zone(each.start_at, each.zone)
    following = "" if each.is_waiting else t("booking.part_again")
    who = "" if each.is_waiting else "coordinator"
    return Part("visit", "open", t(f"booking.part.{each.status}", when=when), following, who, endpoint="visit.show")
