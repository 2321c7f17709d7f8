"""What a Task and its reports lead to, decided from plain values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.consult_report import read_report
from mappings.fulfillment import (
    Choice,
    Compared,
    Found,
    OnReport,
    OnTask,
    TaskEvent,
    choose,
    compare_with_stored,
    event_of,
    is_settled,
    must_look_for_successor,
    must_look_further,
    not_returned,
    on_task,
    successor_among,
    why_not_ours,
)
from mappings.model.states import TRANSITIONS, Actor, Status
from tests.mappings.mapping_factories import fulfiller_report

ELSEWHERE = "one elsewhere"
STATUSES = ("current", "superseded", "entered-in-error")
DOC_STATUSES = (None, "preliminary", "final", "amended", "entered-in-error")


def report(name: str = "DocumentReference/1", *, note: bool = True, replaces: str | None = None, **changes) -> Found:
    kind, logical_id = name.split("/")
    made = {**fulfiller_report(), "id": logical_id, "resourceType": kind, **changes}
    made |= {"type": {"text": "letter"}} if not note else {}
    if replaces:
        made["relatesTo"] = [{"code": "replaces", "target": {"reference": replaces}}]
    made = {key: value for key, value in made.items() if value is not None}
    return Found(name, made, read_report(made))


REPORTS = st.builds(
    lambda number, note, status, doc_status, replaced: report(
        f"DocumentReference/{number}",
        note=note,
        status=status,
        docStatus=doc_status,
        replaces=f"DocumentReference/{replaced}" if replaced else None,
    ),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(STATUSES),
    st.sampled_from(DOC_STATUSES),
    st.one_of(st.none(), st.integers(1, 4)),
)
MANY = st.lists(REPORTS, max_size=4, unique_by=lambda each: each.name)


@pytest.mark.parametrize("is_news", [True, False])
def test_a_completed_task_leads_to_its_report_also_when_it_was_seen_before(is_news):
    assert on_task(Status.COMPLETED, is_news=is_news) is OnTask.LOOK_FOR_REPORT


@pytest.mark.parametrize("said", [None, *(each for each in Status if each is not Status.COMPLETED)])
def test_any_other_task_is_stored_once(said):
    assert on_task(said, is_news=True) is OnTask.STORE
    assert on_task(said, is_news=False) is OnTask.NOTHING


@pytest.mark.parametrize("current", Status)
@pytest.mark.parametrize("said", [None, *Status])
def test_a_fulfiller_moves_a_request_only_along_the_table(current, said):
    event = event_of(current, said)
    if said is None or said is current:
        assert event == TaskEvent()
    elif (said, Actor.FULFILLER) in TRANSITIONS[current]:
        assert event == TaskEvent(to=said)
    else:
        assert event == TaskEvent(refused=f"{current} to {said} is not allowed")


def test_the_final_consult_note_is_returned():
    letter, note = report("DocumentReference/1", note=False), report("DocumentReference/2")
    assert choose([letter, note], has_unread=True) == Choice(OnReport.RETURN, note)


def test_a_letter_is_not_returned_while_what_cannot_be_read_may_be_the_consult_note():
    letter = report(note=False)
    assert choose([letter], has_unread=True) == Choice(OnReport.WAIT)
    assert choose([letter], has_unread=False) == Choice(OnReport.RETURN, letter)
    assert choose([], has_unread=False) == Choice(OnReport.WAIT)


def test_a_preliminary_report_is_returned_as_that_and_one_that_says_neither_is_waited_for():
    early, strange = report(docStatus="preliminary"), report(docStatus="entered-in-error")
    assert choose([early], has_unread=False) == Choice(OnReport.RETURN_PRELIMINARY, early)
    assert choose([strange], has_unread=False) == Choice(OnReport.WAIT, strange)


@given(MANY, st.booleans())
def test_only_a_final_report_answers_and_none_that_another_replaces(found, has_unread):
    choice = choose(found, has_unread=has_unread)
    assert (choice.do is OnReport.RETURN) == bool(choice.report and choice.report.reading.final)
    assert choice.do is not OnReport.RETURN_PRELIMINARY or choice.report.reading.preliminary
    if choice.report is not None and choice.report.reading.stands:
        standing = [each for each in found if each.reading.stands]
        replaced = {name for each in found for name in each.reading.replaces}
        assert choice.report.name not in replaced or all(each.name in replaced for each in standing)


@given(MANY, st.booleans())
def test_nobody_looks_for_reports_without_a_name_while_a_final_one_has_one_or_one_cannot_be_read(found, has_unread):
    assert must_look_further(found, has_unread=has_unread) == (
        not has_unread and not any(each.reading.final for each in found)
    )


@pytest.mark.parametrize(
    ("patient", "related", "expected"),
    [
        ("Patient/1", [], None),
        ("Patient/2", ["ServiceRequest/1"], None),
        ("Patient/1", ["ServiceRequest/9", "ServiceRequest/1"], None),
        ("Patient/3", ["ServiceRequest/1"], "report-other-patient"),
        (None, ["ServiceRequest/1"], "report-other-patient"),
        ("Patient/1", ["ServiceRequest/9"], "report-other-request"),
    ],
)
def test_a_report_of_another_patient_or_another_request_is_not_returned(patient, related, expected):
    ours = dict(patients=["Patient/1", "Patient/2"], service_request="ServiceRequest/1")
    assert why_not_ours(patient, related, **ours) == expected


def test_where_our_request_is_not_known_a_report_that_names_one_is_not_returned():
    ours = dict(patients=["Patient/1"], service_request=None)
    assert why_not_ours("Patient/1", ["ServiceRequest/1"], **ours) == "report-other-request"
    assert why_not_ours(None, [], patients=[], service_request=None) == "report-other-patient"


@given(MANY, st.lists(st.sampled_from([f"DocumentReference/{number}" for number in range(1, 6)] + [ELSEWHERE])))
def test_whatever_was_handed_over_is_returned_told_of_or_known(found, names):
    """Nothing disappears: a name that is left out is the report itself, replaced, of no more use, or the same document."""
    returned = choose(found, has_unread=False).report
    left = not_returned(names, returned, found, (), ELSEWHERE)
    assert set(left) <= set(names)
    replaced = {name for each in found for name in each.reading.replaces}
    known = {each.name for each in found}
    for name in set(names) - set(left):
        assert name in replaced | known
    assert returned is None or returned.name not in left


def test_a_document_at_an_address_that_is_not_known_is_told_of_unless_it_was_found():
    one = report()
    assert not_returned([one.name, ELSEWHERE], one, [one], (), ELSEWHERE) == [ELSEWHERE]
    assert not_returned([one.name, ELSEWHERE], one, [replace(one, was_elsewhere=True)], (), ELSEWHERE) == []


def test_the_same_version_is_compared_by_its_bytes_and_another_content_is_another_report():
    stored, same = report(meta={"versionId": "1"}), report(meta={"versionId": "1"})
    other = report(meta={"versionId": "2"}, docStatus="amended")
    assert compare_with_stored(stored.name, "1", stored.resource, same) is Compared.BY_BYTES
    assert compare_with_stored(stored.name, "1", stored.resource, other) is Compared.OTHER
    assert compare_with_stored("DocumentReference/9", "1", stored.resource, same) is Compared.OTHER


def test_a_version_that_only_the_server_counted_on_is_no_other_report():
    stored, touched = report(meta={"versionId": "1"}), report(meta={"versionId": "2"})
    assert compare_with_stored(stored.name, "1", stored.resource, touched) is Compared.BY_BYTES


def test_of_a_retracted_report_nobody_reads_the_bytes():
    gone = report(status="entered-in-error")
    assert compare_with_stored(gone.name, None, gone.resource, gone) is Compared.SAME


@pytest.mark.parametrize(
    ("found", "is_news", "expected"),
    [
        (report(), False, False),
        (report(), True, True),
        (report(status="superseded"), False, True),
        (report(status="entered-in-error"), False, True),
        (None, False, True),
    ],
    ids=["stands", "news", "superseded", "retracted", "gone"],
)
def test_a_successor_is_looked_for_when_the_task_changed_or_the_report_no_longer_stands(found, is_news, expected):
    assert must_look_for_successor(found, is_news=is_news) is expected


def test_the_successor_is_the_newest_of_the_line():
    second = report("DocumentReference/2", replaces="DocumentReference/1")
    third = report("DocumentReference/3", replaces="DocumentReference/2")
    assert successor_among([third, second], "DocumentReference/1") == third
    assert successor_among([report("DocumentReference/4")], "DocumentReference/1") is None


@given(MANY, st.booleans(), st.booleans())
def test_a_version_of_a_task_is_settled_only_when_all_it_names_is_final(found, is_news, has_unread):
    settled = is_settled(found, is_news=is_news, has_unread=has_unread)
    assert settled == (is_news and not has_unread and not [each for each in found if not each.reading.final])
