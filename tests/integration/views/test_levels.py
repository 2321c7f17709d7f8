"""What is known of a delivery, in words: only what was read back and compared is called verified."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from integration.views.levels import TOO_LOW, in_short, known, level_of, records_words
from integration.views.texts import t
from mappings.model.acknowledgment import Standing
from mappings.model.causes import cause_named
from mappings.model.delivery import ARRIVED, DELIVERY_TRANSITIONS, ENDED, STATUS_OF, DeliveryStatus
from mappings.model.roads import Level


def a_delivery(status: str, level: str | None = None, cause: str | None = None) -> dict:
    return {"status": status, "level": level, "cause": cause}


def test_a_delivery_is_verified_by_reading_back_alone():
    assert {level for level, status in STATUS_OF.items() if status is DeliveryStatus.VERIFIED} == {Level.READ_BACK}
    assert set(STATUS_OF) == set(Level) and len(ARRIVED) == len(STATUS_OF)


def test_what_has_ended_moves_no_more_unless_a_person_takes_their_word_back():
    moves = {status: set(DELIVERY_TRANSITIONS[status]) for status in ENDED}
    assert moves.pop(DeliveryStatus.HANDED_OVER) == {DeliveryStatus.RETRYING}
    assert not any(moves.values())


@pytest.mark.parametrize("status", [DeliveryStatus.SENT, DeliveryStatus.RETRYING])
def test_a_delivery_on_its_way_may_end_on_each_level(status):
    assert ARRIVED <= DELIVERY_TRANSITIONS[status]


@pytest.mark.parametrize("level", [each for each in Level if each is not Level.READ_BACK])
def test_no_word_for_less_says_verified(level):
    told = [known(a_delivery(STATUS_OF[level], level)), in_short(level), t(f"level.{level}"), STATUS_OF[level]]
    assert not any("verified" in each for each in told)


def test_a_report_of_an_earlier_version_was_read_back():
    assert level_of(a_delivery("verified")) is Level.READ_BACK and in_short(None) == in_short("read-back")


def test_what_was_sent_a_moment_ago_is_not_said_to_be_unreadable():
    assert known(a_delivery("sent", "unverifiable")) == t("level.not_yet")
    assert known(a_delivery("parked", "unverifiable", TOO_LOW)) == t("level.unverifiable")
    assert known(a_delivery("parked", "accepted", TOO_LOW)) == t("level.accepted")
    assert cause_named(TOO_LOW).happened, "the cause is declared under this name"


@pytest.mark.parametrize("status", ["queued", "sending", "cancelled"])
def test_nothing_is_known_before_it_was_sent_or_when_it_never_will_be(status):
    assert known(a_delivery(status, "read-back")) == ""


SAID = {
    "to": "Front desk",
    "by": "Nora Field",
    "by_way": "fax",
    "at": datetime(2026, 5, 1, 9, tzinfo=timezone(-timedelta(hours=5))),
}


def test_a_hand_over_is_told_with_who_whom_when_and_how():
    told = known(a_delivery("handed-over", "handed-over"), SAID)
    assert told == "handed over to Front desk on May 1, 2026, 14:00 UTC, by fax, says Nora Field"


def test_what_somebody_saw_there_is_not_called_handed_over():
    seen = {**SAID, "to": None, "created_at": datetime(2026, 5, 2, tzinfo=UTC)}
    assert known(a_delivery("handed-over", "handed-over"), seen) == "seen there, says Nora Field on May 2, 2026"


def test_a_word_about_what_was_read_back_after_all_changes_nothing():
    assert known(a_delivery("verified", "read-back"), SAID) == t("level.read-back")


@pytest.mark.parametrize("level", [each for each in Level if each is not Level.READ_BACK])
def test_records_of_which_less_is_known_are_not_called_verified(level):
    assert records_words("verified", STATUS_OF[level]).lower() == in_short(level)


def test_the_records_track_is_told_as_it_stands():
    assert records_words("verified", "verified") == records_words("verified", None) == t("records.verified")
    assert records_words("gathering", "handed-over") == t("records.gathering"), "a correction is on its way"


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Standing.NONE, "read back"),
        (Standing.UNREAD, "read back, nobody has said that they read it"),
        (Standing.DECIDED, "read back, read by a clinician, and decided"),
    ],
)
def test_that_a_clinician_has_read_it_is_the_last_level(reading, words):
    assert in_short("read-back", reading) == words
