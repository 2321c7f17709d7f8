"""When the records of a visit have to be there: weekends, holidays, nights when clocks change, ends of years, and what never happens."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.due_dates import (
    Calendar,
    NeverOpen,
    Standing,
    arrival,
    at_risk_from,
    business_day_after,
    business_day_before,
    earliest_visit,
    instants_of,
    records_due,
    standing,
)

CHICAGO, NEW_YORK, LORD_HOWE = (
    ZoneInfo("America/Chicago"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
)
CHRISTMAS = {date(2026, 12, 25): "Christmas Day", date(2027, 1, 1): "New Year's Day"}
HOUSE = Calendar(CHICAGO, closed=CHRISTMAS)


def at(text: str, zone: ZoneInfo = CHICAGO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("visit", "lead", "due"),
    [
        ("2026-12-16T14:30", 5, "2026-12-09T17:00"),  # Wednesday to Wednesday
        ("2026-12-14T08:00", 5, "2026-12-07T17:00"),  # over a weekend
        ("2027-01-04T15:00", 5, "2026-12-24T17:00"),  # over New Year's Day, Christmas and the end of a year
        ("2026-12-28T15:00", 1, "2026-12-24T17:00"),  # the day before a holiday and a weekend
        ("2028-03-01T09:00", 1, "2028-02-29T17:00"),  # a leap day is a day
        ("2026-12-13T09:00", 1, "2026-12-11T17:00"),  # a visit on a Sunday
        ("2026-12-16T23:30", 1, "2026-12-15T17:00"),  # late in the evening is still that day there
    ],
)
def test_records_are_due_at_the_close_of_the_nth_business_day_before_the_visit(visit, lead, due):
    assert records_due(HOUSE, at(visit), lead) == at(due)


def test_the_day_is_that_of_the_consultant_and_not_of_who_asks():
    visit = datetime(2026, 12, 16, 4, tzinfo=UTC)  # still the 15th in Chicago
    assert records_due(HOUSE, visit, 1) == at("2026-12-14T17:00")
    assert records_due(Calendar(ZoneInfo("Asia/Tokyo")), visit, 1) == at("2026-12-15T17:00", ZoneInfo("Asia/Tokyo"))


def test_the_close_of_business_keeps_its_hour_when_the_clocks_change():
    before, after = records_due(HOUSE, at("2026-11-03T09:00"), 2), records_due(HOUSE, at("2026-11-03T09:00"), 1)
    assert (before, after) == (at("2026-10-30T17:00"), at("2026-11-02T17:00"))
    assert before.hour == 22 and after.hour == 23  # in UTC


def test_with_no_days_the_visit_itself_is_the_time():
    assert records_due(HOUSE, at("2026-12-16T14:30"), 0) == at("2026-12-16T14:30")
    assert arrival(HOUSE, at("2026-12-16T14:30"), 0) == at("2026-12-16T14:30")


def test_a_practice_that_is_never_open_is_said_and_not_looked_for_for_ever():
    closed = Calendar(CHICAGO, weekdays=frozenset())
    with pytest.raises(NeverOpen, match="no business day within ten years"):
        business_day_before(closed, date(2026, 12, 1), 1)


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("2026-12-25T10:00", "Christmas Day"),
        ("2026-12-12T10:00", "Saturday"),
        ("2026-12-16T07:59", "07:59 is outside its hours"),
        ("2026-12-16T17:00", "17:00 is outside its hours"),
        ("2026-12-16T16:59", ""),
    ],
)
def test_it_says_why_nobody_is_there(moment, why):
    said = HOUSE.why_closed(at(moment))
    assert why in said if why else said == ""


def test_a_night_that_skips_an_hour_has_no_such_time_and_one_that_repeats_it_has_two():
    assert instants_of(datetime(2026, 3, 8, 2, 30), NEW_YORK) == ()
    first, second = instants_of(datetime(2026, 11, 1, 1, 30), NEW_YORK)
    assert second - first == timedelta(hours=1)
    assert len(instants_of(datetime(2026, 12, 1, 1, 30), NEW_YORK)) == 1
    first, second = instants_of(datetime(2026, 4, 5, 1, 45), LORD_HOWE)  # half an hour there
    assert second - first == timedelta(minutes=30)
    with pytest.raises(ValueError, match="no zone of its own"):
        instants_of(datetime(2026, 12, 1, tzinfo=UTC), NEW_YORK)


def test_how_it_stands_goes_from_in_time_to_breached():
    visit = at("2026-12-16T14:30")
    due = records_due(HOUSE, visit, 5)
    risk = at_risk_from(HOUSE, due, 3)
    assert risk == at("2026-12-07T00:00")  # begun on a Sunday, three business days end on the 9th
    said = {
        "2026-12-06T23:59": Standing.OK,
        "2026-12-07T00:00": Standing.AT_RISK,
        "2026-12-09T17:00": Standing.AT_RISK,
        "2026-12-09T17:01": Standing.LATE,
        "2026-12-16T14:30": Standing.BREACHED,
    }
    for now, how in said.items():
        assert standing(now=at(now), due=due, at_risk_from=risk, visit=visit, there=False) is how, now
    assert standing(now=visit, due=due, at_risk_from=risk, visit=visit, there=True) is Standing.THERE


ZONES = st.sampled_from(
    [CHICAGO, NEW_YORK, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("Pacific/Apia"), ZoneInfo("Europe/London")]
)
DAYS = st.dates(date(2026, 1, 1), date(2029, 12, 31))
CALENDARS = st.builds(
    Calendar,
    ZONES,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.dictionaries(DAYS, st.just("closed"), max_size=30),
    st.just(time(0)),
    st.times(time(1), time(23, 59)).map(lambda each: each.replace(second=0, microsecond=0)),
)
MOMENTS = st.datetimes(datetime(2026, 6, 1), datetime(2029, 6, 1)).map(lambda each: each.replace(tzinfo=UTC))


@settings(max_examples=60)
@given(CALENDARS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)), st.integers(0, 20))
def test_moving_the_visit_later_never_makes_anything_due_earlier(calendar, visit, later, lead):
    assert records_due(calendar, visit + later, lead) >= records_due(calendar, visit, lead)


@settings(max_examples=60)
@given(CALENDARS, MOMENTS, st.integers(0, 20))
def test_a_longer_lead_is_never_due_later(calendar, visit, lead):
    assert records_due(calendar, visit, lead + 1) <= max(
        records_due(calendar, visit, lead), calendar.close_of(calendar.day_of(visit))
    )


@settings(max_examples=60)
@given(CALENDARS, MOMENTS, st.integers(0, 20))
def test_the_earliest_visit_is_in_time_and_no_open_day_before_it_is(calendar, there_at, lead):
    day = earliest_visit(calendar, there_at, lead)
    assert calendar.is_business_day(day)
    assert records_due(calendar, datetime.combine(day, calendar.opens, calendar.zone), lead) >= there_at
    before = business_day_before(calendar, day, 1)
    if before >= calendar.day_of(there_at):
        assert records_due(calendar, datetime.combine(before, calendar.opens, calendar.zone), lead) < there_at


@settings(max_examples=60)
@given(CALENDARS, MOMENTS, st.integers(0, 15))
def test_what_begins_before_the_risk_arrives_in_time_and_after_it_does_not(calendar, due, days):
    risk = at_risk_from(calendar, due, days)
    second = timedelta(seconds=1)
    assert arrival(calendar, risk - second, days) <= due
    assert arrival(calendar, risk + second, days) > due


@settings(max_examples=60)
@given(CALENDARS, DAYS, st.integers(1, 20))
def test_days_counted_there_and_back_end_on_business_days(calendar, day, n):
    assert calendar.is_business_day(business_day_after(calendar, day, n))
    assert business_day_after(
        calendar, business_day_before(calendar, day, n), n
    ) >= day or not calendar.is_business_day(day)
