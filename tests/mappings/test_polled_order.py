"""What a poll does about one order, decided from plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.model.request import HumanName, Identifier
from mappings.model.states import FINAL, Status
from mappings.order import WITHDRAWN, Mark
from mappings.polled_order import Change, OnKnown, OnNew, Stop, change_of, on_known, on_new, status_in_words
from tests.mappings.mapping_factories import PATIENT, REQUEST

STATUSES = st.sampled_from(
    ["active", "draft", "on-hold", "completed", "revoked", "entered-in-error", None, 7, "ACTIVE"]
)
SAME = ("Patient/1", "Patient/1")
QUESTIONS = st.sampled_from(["Is surgery needed?", "Would rehabilitation do?", "What about the cartilage?"])
PRIORITIES = st.sampled_from(["routine", "urgent", "asap"])
OTHER = PATIENT.model_copy(update={"identifiers": (Identifier(system="https://harbour.example/mrn", value="MRN-7"),)})


def new(status="active", mark=None, **values) -> OnNew:
    usual = dict(is_written_by_us=False, follows_ours=False, is_address=True)
    return on_new(status, mark, **{**usual, **values})


def known(status="active", request_status=Status.IN_PROGRESS, **values) -> OnKnown:
    return on_known(status, request_status, **{**dict(is_being_cancelled=False, is_changed=True, asks=True), **values})


def test_an_active_order_of_the_placers_own_is_read():
    assert new() is OnNew.READ


@given(STATUSES, st.sampled_from([None, *Mark]), st.booleans(), st.booleans(), st.booleans())
def test_nothing_the_exchange_wrote_and_nothing_that_is_not_active_is_taken_in(status, mark, ours, follows, address):
    found = new(status, mark, is_written_by_us=ours, follows_ours=follows, is_address=address)
    is_theirs = status == "active" and not ours and mark is None and not follows
    assert (found in (OnNew.READ, OnNew.REFUSE_ID)) == is_theirs
    assert (found is OnNew.READ) == (is_theirs and address)
    assert found is not OnNew.TELL_DERIVED or (mark is Mark.DERIVED or follows)


@pytest.mark.parametrize("values", [dict(mark=Mark.DERIVED), dict(follows_ours=True)])
def test_an_order_made_from_ours_is_told_and_is_no_request_of_its_own(values):
    assert new(**values) is OnNew.TELL_DERIVED
    assert new(**values, status="draft") is OnNew.NOTHING


@pytest.mark.parametrize("status", WITHDRAWN)
@pytest.mark.parametrize("request_status", Status)
def test_an_order_that_was_taken_back_always_cancels(status, request_status):
    assert known(status, request_status, is_changed=False) is OnKnown.CANCEL


@given(STATUSES, st.sampled_from(list(Status)), st.booleans(), st.booleans(), st.booleans())
def test_only_a_changed_order_of_an_open_request_does_anything(status, request_status, cancelled, changed, asks):
    found = known(status, request_status, is_being_cancelled=cancelled, is_changed=changed, asks=asks)
    if status in WITHDRAWN:
        return
    is_idle = request_status in FINAL or cancelled or not changed
    assert (found is OnKnown.NOTHING) == is_idle
    assert (found is OnKnown.FOLLOW) == (not is_idle and status == "active" and asks)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("completed", "is completed in its EHR now"),
        ("active", "no longer asks for a second opinion in its EHR"),
        ("<b>", "no longer asks for a second opinion in its EHR"),
        (None, "no longer asks for a second opinion in its EHR"),
    ],
)
def test_the_status_is_said_only_when_it_is_a_word(status, words):
    assert status_in_words(status) == words


@given(QUESTIONS, QUESTIONS, QUESTIONS, PRIORITIES, PRIORITIES, PRIORITIES)
def test_what_a_person_corrected_stays_and_whatever_changed_goes_or_is_named(q1, q2, q3, p1, p2, p3):
    before, after, now = (
        REQUEST.model_copy(update={"question": question, "priority": priority})
        for question, priority in ((q1, p1), (q2, p2), (q3, p3))
    )
    change = change_of(SAME, before, after, now)
    assert isinstance(change, Change)
    became = change.request or now
    for field in ("question", "priority"):
        old, new_, here, then = (getattr(each, field) for each in (before, after, now, became))
        if old == new_ or here == new_:
            assert then == here and field not in change.conflicts
        elif here == old:
            assert then == new_
        else:
            assert then == here and field in change.conflicts
    assert change.tell_the_rest == (became == now and not change.conflicts)
    assert change.request is None or change.request != now, "a correction that changes nothing is none"


def test_an_order_about_another_patient_stops_everything():
    assert (
        change_of(("Patient/1", "Patient/2"), REQUEST, REQUEST.model_copy(update={"patient": OTHER}), REQUEST) == Stop()
    )


def test_a_chart_that_was_merged_is_the_same_patient():
    assert change_of(("Patient/1", "Patient/2"), REQUEST, REQUEST, REQUEST) == Change()


def test_the_same_chart_under_another_name_is_the_same_patient():
    renamed = PATIENT.model_copy(update={"name": HumanName(family="Núñez-Rey", given=("Pía",))})
    assert change_of(SAME, REQUEST, REQUEST.model_copy(update={"patient": renamed}), REQUEST) == Change()
