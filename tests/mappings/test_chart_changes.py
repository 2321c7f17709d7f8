"""When a chart is looked at again and what of it changed, decided from plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.chart_changes import (
    IN_FULL_EVERY,
    SMALL_CHART,
    Look,
    changed,
    how_to_look,
    is_searched_whole,
    shows_a_loss,
)
from mappings.model.delivery import ENDED
from mappings.model.packet import ManifestItem
from mappings.model.states import FINAL, Status
from mappings.withdrawal import Carried

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LETTER = "DocumentReference/1#content[0].attachment"
DELIVERED = sorted(ENDED)
HASHES = st.dictionaries(st.sampled_from([f"Observation/{number}" for number in range(6)]), st.sampled_from("ab"))


def look(status: Status = Status.IN_PROGRESS, **values) -> Look:
    usual = dict(
        now=NOON,
        ended_at=NOON - timedelta(hours=1),
        watch_days=90,
        deliveries=["verified"],
        read_in_full_at=NOON - timedelta(hours=1),
        wants_other_records=False,
    )
    return how_to_look(status, **{**usual, **values})


def item(source: str, sha256: str, **more) -> ManifestItem:
    return ManifestItem(source=source, size=1, sha256=sha256, **more)


def stands(hashes: dict[str, str], **attachments: str) -> Carried:
    return Carried({source: item(source, sha256) for source, sha256 in hashes.items()}, attachments)


def test_where_the_visit_is_known_the_watch_ends_with_it():
    assert look(visit_ended_at=NOON - timedelta(minutes=1)) is Look.OVER
    assert look(visit_ended_at=NOON + timedelta(minutes=1)) is Look.SEARCH


def test_what_a_person_said_travels_however_late_it_is():
    late = dict(visit_ended_at=NOON - timedelta(days=9), ended_at=NOON - timedelta(days=100))
    for status in (Status.IN_PROGRESS, Status.COMPLETED):
        assert look(status, person_said=True, **late) is Look.IN_FULL
        assert look(status, person_said=True, deliveries=["sending"], **late) is Look.LATER
        assert look(status, **late) is Look.OVER
    assert look(Status.CANCELLED, person_said=True) is Look.OVER


def test_between_two_full_readings_it_is_searched():
    assert look() is Look.SEARCH


@pytest.mark.parametrize("status", sorted(FINAL - {Status.COMPLETED}))
def test_the_watch_ends_with_a_request_that_has_no_opinion(status):
    assert look(status) is Look.OVER


@pytest.mark.parametrize("status", [*sorted(set(Status) - FINAL), Status.COMPLETED])
def test_it_goes_on_while_the_request_is_open_and_as_long_as_its_report_is_watched(status):
    assert look(status) is Look.SEARCH
    is_over = look(status, ended_at=NOON - timedelta(days=91)) is Look.OVER
    assert is_over == (status is Status.COMPLETED)


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "retrying", "parked"])
def test_one_delivery_of_records_at_a_time(status):
    assert look(deliveries=["verified", status], read_in_full_at=None) is Look.LATER


@pytest.mark.parametrize("deliveries", [[], DELIVERED])
def test_it_is_read_in_full_once_a_day_and_when_other_records_are_wanted(deliveries):
    assert look(deliveries=deliveries, read_in_full_at=None) is Look.IN_FULL
    assert look(deliveries=deliveries, read_in_full_at=NOON - IN_FULL_EVERY) is Look.IN_FULL
    assert look(deliveries=deliveries, wants_other_records=True) is Look.IN_FULL


@given(HASHES, HASHES)
def test_what_is_new_or_differs_has_changed_and_nothing_else(before, now):
    found = changed(now, stands(before))
    assert found == [source for source in now if before.get(source) != now[source]]


@given(HASHES)
def test_what_says_the_same_makes_no_packet(hashes):
    assert changed(hashes, stands(hashes)) == []


@pytest.mark.parametrize(("digest", "expected"), [("old", []), ("new", ["DocumentReference/1"])])
def test_a_document_changes_with_the_bytes_behind_its_address(digest, expected):
    carried = stands({"DocumentReference/1": "a"}, **{LETTER: "old"})
    letter = item("DocumentReference/1", digest, kind="attachment", of=LETTER)
    assert changed({"DocumentReference/1": "a"}, carried, [letter]) == expected


@given(HASHES, st.sets(st.sampled_from([f"Observation/{number}" for number in range(6)])))
def test_only_what_was_searched_for_can_be_missed(before, shown):
    carried = stands(before)
    assert shows_a_loss(shown, {"Observation"}, carried) == bool(before.keys() - shown)
    assert not shows_a_loss(shown, {"Condition"}, carried)


def test_a_practitioner_that_a_search_does_not_show_is_nobodys_lost_record():
    assert not shows_a_loss([], {"Practitioner"}, stands({"Practitioner/1": "a"}))


def test_a_small_chart_is_searched_as_a_whole():
    assert is_searched_whole(stands({f"Observation/{number}": "a" for number in range(SMALL_CHART)}))
    assert not is_searched_whole(stands({f"Observation/{number}": "a" for number in range(SMALL_CHART + 1)}))
