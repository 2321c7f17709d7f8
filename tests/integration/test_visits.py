"""A request's visit over a real database: recorded, moved, canceled, missed; what is asked about, and what is never silent."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
from sqlalchemy import insert, select, text, update

from integration import visit_reading, visit_times, visits
from integration.invitations import to_ics
from integration.store import appointments, deadlines, requests, travel_times
from integration.store.appointments import VisitStale
from integration.store.operations import NotPossible
from integration.store.tables import deliveries, steps
from integration.store.tables import requests as request_table
from integration.views.visit import part, view
from integration.visit_reading import House
from integration.visit_times import Ambiguous
from integration.visits import MustConfirm, Said
from mappings.appointment import Seen
from mappings.checklists import leads
from mappings.due_dates import Standing
from mappings.model.visit import Change, Known, Slot, Warn
from tests.integration.web.site import Site

CHICAGO = ZoneInfo("America/Chicago")
NOW = datetime(2026, 11, 30, 15, tzinfo=UTC)  # a Monday, 09:00 in Chicago
CALENDAR = """
  chicago: {base_url: "https://chicago.example.org/fhir", role: fulfiller, name: Lakeside, identifier_system: "urn:test:chicago",
            calendar: {zone: America/Chicago, country: US, subdivision: IL, closed: [{on: "2026-12-24", why: Staff day}]}}
"""


@pytest.fixture
def site(tmp_path, database):
    return Site(tmp_path, database, CALENDAR)


@pytest.fixture
def house(site):
    return House(site.engine, site.payloads, site.config)


def at(text_: str) -> Slot:
    start = datetime.fromisoformat(text_).replace(tzinfo=CHICAGO)
    return Slot(start, "America/Chicago", start + timedelta(hours=1), "200 Main Street", "Dr. Lake")


def said(**values) -> Said:
    return Said(**{"now": NOW, "actor": "ann", "told_by": "Scheduling desk"} | values)


LATER = at("2027-01-20T10:00")


def row_of(site, request_id):
    with site.engine.connect() as conn:
        return requests.get(conn, request_id)


def test_a_visit_makes_its_records_due_in_business_days_of_the_consultant(site, house):
    request_id = site.request(fulfiller="chicago")
    before = row_of(site, request_id).records_due_at
    kept = visits.change(house, request_id, Change.BOOKED, said(), LATER)
    row = row_of(site, request_id)
    # ten business days for glass slides, less Martin Luther King's day, a weekend and New Year's Day
    assert kept.version == 1 and row.visit == "booked" and row.visit_at == LATER.start
    assert row.records_due_at == datetime(2027, 1, 5, 17, tzinfo=CHICAGO)
    (moved,) = site.audited("records.due-moved")
    assert f"to {row.records_due_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC because" in moved.reason
    assert before is None or f"{before:%Y-%m-%d %H:%M}" in moved.reason
    with site.engine.connect() as conn:
        open_ones = {step.kind: step for step in conn.execute(select(steps).where(steps.c.request_id == request_id))}
    assert open_ones["gather_records"].deadline == row.records_due_at
    assert {"mirror_status", "watch_visit"} <= set(open_ones)


@pytest.mark.parametrize(
    ("slot", "warns", "says"),
    [
        (at("2026-12-03T10:00"), {Warn.RECORDS}, "The records need until"),
        (at("2027-01-18T10:00"), {Warn.CLOSED}, "Martin Luther King"),
        (at("2027-01-23T10:00"), {Warn.CLOSED}, "Saturday"),
        (at("2027-01-20T20:00"), {Warn.CLOSED}, "outside its hours"),
        (at("2026-12-24T10:00"), {Warn.CLOSED, Warn.RECORDS}, "Staff day"),
    ],
)
def test_it_asks_before_it_keeps_a_time_that_is_too_early_or_closed(site, house, slot, warns, says):
    request_id = site.request(fulfiller="chicago")
    with pytest.raises(MustConfirm, match=says) as asked:
        visits.change(house, request_id, Change.BOOKED, said(), slot)
    assert set(asked.value.warnings) == warns
    with pytest.raises(NotPossible, match="say why this time is kept"):
        visits.change(house, request_id, Change.BOOKED, said(confirmed=frozenset(warns)), slot)
    kept = visits.change(
        house, request_id, Change.BOOKED, said(confirmed=frozenset(warns), reason="the only time there is"), slot
    )
    assert set(kept.confirmed) == {str(warn) for warn in warns}


def test_the_earliest_visit_that_it_names_is_kept_without_a_question(site, house):
    request_id = site.request(fulfiller="chicago")
    earliest = visit_reading.read(house, request_id, NOW).earliest
    day = datetime(earliest.year, earliest.month, earliest.day, 10, tzinfo=CHICAGO)
    assert visits.change(house, request_id, Change.BOOKED, said(), Slot(day, "America/Chicago")).confirmed == []


def test_a_time_that_is_over_is_no_visit_to_come(site, house):
    request_id = site.request(fulfiller="chicago")
    with pytest.raises(NotPossible, match="that time is over"):
        visits.change(house, request_id, Change.BOOKED, said(), at("2026-11-20T10:00"))
    with pytest.raises(NotPossible, match="ten years"):
        visits.change(house, request_id, Change.BOOKED, said(), at("2206-11-20T10:00"))


def test_moving_canceling_and_missing_it_moves_both_tracks_and_keeps_all_of_it(site, house):
    request_id = site.request(fulfiller="chicago", wanted_by=date(2027, 3, 1))
    visits.change(house, request_id, Change.BOOKED, said(), LATER)
    first = row_of(site, request_id).records_due_at
    visits.change(house, request_id, Change.RESCHEDULED, said(reason="away"), at("2027-01-27T10:00"))
    second = row_of(site, request_id)
    assert second.records_due_at > first and second.visit == "booked"
    visits.change(house, request_id, Change.CANCELLED, said(reason="slides", cancelation="meds-inc"))
    third = row_of(site, request_id)
    assert (third.visit, third.visit_at, third.records_risk_at) == ("cancelled", None, None)
    assert third.records_due_at == datetime(2027, 2, 26, tzinfo=UTC)  # the day by which it is wanted counts again
    visits.change(house, request_id, Change.BOOKED, said(), at("2027-02-03T10:00"))
    after = said(now=datetime(2027, 2, 4, tzinfo=UTC), reason="nobody came")
    visits.change(house, request_id, Change.NO_SHOW, after)
    with site.engine.connect() as conn:
        history = appointments.history(conn, request_id)
    assert [each.change for each in history] == ["booked", "rescheduled", "cancelled", "booked", "no-show"]
    assert [each.began for each in history] == [1, 1, 1, 4, 4]
    assert history[2].cancelation == "meds-inc" and history[0].start_at == LATER.start
    assert len(site.audited("records.due-moved")) == 5


def test_what_cannot_follow_is_refused_with_what_can(site, house):
    request_id = site.request(fulfiller="chicago")
    with pytest.raises(NotPossible, match="is none: it cannot become cancelled, only booked"):
        visits.change(house, request_id, Change.CANCELLED, said(reason="x"))
    visits.change(house, request_id, Change.BOOKED, said(), LATER)
    with pytest.raises(NotPossible, match="still to come"):
        visits.change(house, request_id, Change.NO_SHOW, said(reason="x"))
    with pytest.raises(NotPossible, match="say when"):
        visits.change(house, request_id, Change.RESCHEDULED, said(reason="x"))


def test_of_two_people_at_once_the_second_is_told_who_was_first(site, house):
    request_id = site.request(fulfiller="chicago")
    visits.change(house, request_id, Change.BOOKED, said(expected=0), LATER)
    with pytest.raises(VisitStale, match="ann was first: the visit .* is booked .* Nothing of yours was stored"):
        visits.change(house, request_id, Change.RESCHEDULED, said(expected=0, actor="bea", reason="x"), LATER)


def test_a_correction_of_the_request_leaves_the_time_that_the_visit_decides(site, house):
    from integration.store import revisions

    request_id = site.request(fulfiller="chicago")
    visits.change(house, request_id, Change.BOOKED, said(), LATER)
    due = row_of(site, request_id).records_due_at
    with site.engine.begin() as conn:
        other = requests.content(requests.get(conn, request_id)).model_copy(update={"wanted_by": date(2027, 6, 1)})
        revisions.revise(conn, request_id, other, actor="ann", reason="later")
    assert row_of(site, request_id).records_due_at == due


def test_a_practice_that_config_has_no_longer_is_counted_in_utc_and_said(site, house):
    request_id = site.request(fulfiller="gone")
    reading = visit_reading.read(house, request_id, NOW)
    assert not reading.has_calendar and str(reading.calendar.zone) == "UTC"
    visits.change(house, request_id, Change.BOOKED, said(), Slot(LATER.start, "UTC"))
    assert "The working days of gone are not set up" in site.get(f"/requests/{request_id}/visit")


def test_a_clock_time_is_read_in_the_zone_of_the_practice():
    assert visit_times.start_of("2027-01-20", "10:00", CHICAGO) == LATER.start
    with pytest.raises(NotPossible, match="there is no 02:30 on March 14, 2027"):
        visit_times.start_of("2027-03-14", "02:30", CHICAGO)
    with pytest.raises(Ambiguous, match="comes twice on November 7, 2027"):
        visit_times.start_of("2027-11-07", "01:30", CHICAGO)
    first, second = (visit_times.start_of("2027-11-07", "01:30", CHICAGO, which) for which in visit_times.WHICH)
    assert second - first == timedelta(hours=1)
    for day, clock in (
        ("2027-02-30", "10:00"),
        ("soon", "10:00"),
        ("2027-01-20", "10:00+01:00"),
        ("2027-01-20", "25:00"),
    ):
        with pytest.raises(NotPossible, match="give the"):
            visit_times.start_of(day, clock, CHICAGO)
    with pytest.raises(NotPossible, match="is no time zone"):
        visit_times.known_zone("America/Chikago")


def test_it_goes_from_in_time_over_at_risk_and_late_to_breached_on_board_and_part(site, house):
    request_id = site.request(fulfiller="chicago")
    visits.change(house, request_id, Change.BOOKED, said(), LATER)
    row = row_of(site, request_id)

    def stands(now):
        reading = visit_reading.read(house, request_id, now)
        with site.engine.connect() as conn:
            board = deadlines.board(conn, now)
            counted = (*deadlines.numbers(conn, now), deadlines.breached(conn, now))
        columns = [name for name, (number, _) in board.items() if number]
        return reading.standing, columns, counted, part(reading).state

    assert stands(NOW) == (Standing.OK, ["due"], (0, 0, 0), "open")
    assert stands(row.records_risk_at) == (Standing.AT_RISK, ["risk"], (0, 1, 0), "late")
    assert stands(row.records_due_at + timedelta(seconds=1)) == (Standing.LATE, ["late"], (1, 0, 0), "late")
    assert stands(row.visit_at) == (Standing.BREACHED, ["late"], (1, 0, 1), "late")
    assert part(visit_reading.read(house, request_id, NOW)).endpoint == "visit.show"


def test_the_sites_own_days_count_once_there_are_twenty(site, house):
    with site.engine.begin() as conn:
        for number in range(20):
            request_id = requests.take_in(conn, _another(site, number), actor="test")[0]
            conn.execute(
                update(request_table).where(request_table.c.id == request_id).values(created_at=NOW - timedelta(days=9))
            )
            row = dict(id=f"d{number}", request_id=request_id, endpoint="chicago", kind="records", status="verified")
            conn.execute(insert(deliveries).values(row | {"verified_at": NOW - timedelta(days=9 - 8)}))
        known = travel_times.measured(conn, "alice", NOW)
        plan = "\n".join(
            conn.execute(text(f"EXPLAIN {travel_times._ELECTRONIC.text}"), {"placer": "alice", "since": NOW}).scalars()
        )
    assert (known[""].number, round(known[""].p80_days, 3)) == (20, 8.0)
    request_id = site.request(fulfiller="chicago")
    reading = visit_reading.read(house, request_id, NOW)
    assert "8 business days: four in five of the last 20 came within 8" in [each.lead.why for each in reading.owed]
    assert "deliveries" in plan


def _another(site, number):
    from tests.integration.web.site import a_request

    return a_request(key=f"n{number}", fulfiller="chicago")


def test_an_appointment_that_is_found_is_offered_and_linked_by_a_person_alone(site, house):
    request_id = site.request(fulfiller="chicago")
    seen = [Seen("Appointment/1", "booked", LATER.start, LATER.end, "Room 2", "Dr. Lake", "1")]
    with site.engine.begin() as conn:
        appointments.show(conn, request_id, "chicago", seen, NOW)
        appointments.show(conn, request_id, "chicago", seen, NOW)
    reading = visit_reading.read(house, request_id, NOW)
    assert reading.current is None and [each.reference for each in reading.found] == ["Appointment/1"]
    with pytest.raises(NotPossible, match="no appointment Appointment/2 is offered"):
        visits.link(house, request_id, "chicago", "Appointment/2", said())
    kept = visits.link(house, request_id, "chicago", "Appointment/1", said())
    assert (kept.known, kept.reference, kept.zone) == (Known.FOUND, "Appointment/1", "America/Chicago")
    visits.dismiss(site.engine, request_id, "chicago", "Appointment/1", actor="ann", reason="the dentist")
    with site.engine.begin() as conn:
        appointments.show(conn, request_id, "chicago", seen, NOW)
        assert appointments.found(conn, request_id) == []


def test_the_calendar_entry_says_when_and_nothing_that_tells_why(site, house):
    request_id = site.request(fulfiller="chicago")
    kept = visits.change(house, request_id, Change.BOOKED, said(), LATER)
    moved = visits.change(house, request_id, Change.RESCHEDULED, said(reason="away"), at("2027-07-21T10:00"))
    gone = visits.change(house, request_id, Change.CANCELLED, said(reason="x"))
    entries = [icalendar.Calendar.from_ical(to_ics(site.config, "alice", each)) for each in (kept, moved, gone)]
    events = [entry.walk("VEVENT")[0] for entry in entries]
    assert {str(each["UID"]) for each in events} == {f"{request_id}-1@second-opinion-exchange"}
    assert [int(each["SEQUENCE"]) for each in events] == [0, 1, 2]
    assert [str(each["STATUS"]) for each in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert all(str(entry["METHOD"]) == "PUBLISH" and entry.walk("VTIMEZONE") for entry in entries)
    assert events[1]["DTSTART"].dt.astimezone(UTC) == moved.start_at
    whole = to_ics(site.config, "alice", kept).decode()
    assert "SUMMARY:Appointment" in whole and "TZID=America/Chicago" in whole
    assert not any(word in whole for word in ("Dr. Lake", "second opinion", "Second opinion", "oncology", "ann"))


def test_a_view_is_json_of_times_and_words(site, house):
    request_id = site.request(fulfiller="chicago")
    visits.change(house, request_id, Change.BOOKED, said(), LATER)
    found = view(visit_reading.read(house, request_id, NOW))
    assert found["current"]["when"] == "Wednesday, January 20, 2027, 10:00 (America/Chicago)"
    assert found["standing"] == "ok" and found["owed"][0]["due_at"] == found["records_due_at"]


def test_slides_count_by_the_days_that_their_parcels_took(site, house):
    from integration.store.tables import parcel_moves, parcels

    empty = dict(done_by="ann", actor="ann", carrier="", tracking="", note="")
    with site.engine.begin() as conn:
        for number in range(20):
            request_id = requests.take_in(conn, _another(site, number), actor="test")[0]
            made = dict(request_id=request_id, kind="glass-slides", what="slides", source="lab", actor="ann")
            parcel = conn.execute(
                insert(parcels).values(made | {"created_at": NOW}).returning(parcels.c.id)
            ).scalar_one()
            for word, day in (("shipped", date(2026, 11, 2)), ("delivered", date(2026, 11, 2 + number % 5))):
                conn.execute(insert(parcel_moves).values(dict(parcel_id=parcel, word=word, day=day) | empty))
        known = travel_times.measured(conn, "alice", NOW)
    assert known == {"glass-slides": leads.Measured(20, pytest.approx(3.2))}
    owed = visit_reading.read(house, request_id, NOW).owed
    (slides,) = (each for each in owed if each.item.kind == "glass-slides")
    assert (slides.lead.before, slides.lead.takes) == (4, 4)
