"""The Task we write, and the Tasks of other dialects we read."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import codes
from mappings.model.errors import MappingError
from mappings.model.states import (
    BSER_CODE,
    BUSINESS_STATUS,
    FINAL,
    NEEDS_REASON,
    Records,
    Status,
    Visit,
    business_status,
)
from mappings.task import DIALECTS, REFINES, TaskInput, read_task, to_business_status, to_task
from tests.mappings import mapping_factories as make
from tests.mappings.mapping_factories import IDS, needs_data
from tests.mappings.mapping_strategies import json_values

ONE_OUTPUT = [{"type": {"text": "report"}, "valueReference": {"reference": "DocumentReference/1"}}]


def inbound(status, *pairs, **more):
    task = {"resourceType": "Task", "status": status, "output": ONE_OUTPUT, "statusReason": {"text": "why"}, **more}
    return {**task, "businessStatus": {"coding": [codes.coding(*pair) for pair in pairs]}} if pairs else task


def bser(code):
    return codes.SYSTEM_BSER_STATUS, code


def cow(code):
    return codes.SYSTEM_COW_STATUS, code


def ours(code):
    return codes.SYSTEM_BUSINESS_STATUS, code


def written(status, word):
    return to_task(
        request_id="r",
        identifier_system=IDS,
        service_request="ServiceRequest/1",
        patient="Patient/1",
        requester=None,
        owner="Organization/2",
        authored_at="2026-06-01T09:00:00Z",
        wanted_by=None,
        status=status,
        business_status=word,
        status_reason="why" if status in NEEDS_REASON else None,
        outputs=[TaskInput(reference="DocumentReference/1", text="report")],
    )


# A visit is booked only once the fulfiller has started.
EXPORTS = [
    (status, records, visit, cancel, waiting)
    for status, records, visit, cancel, waiting in itertools.product(Status, Records, Visit, (0, 1), (0, 1))
    if visit is Visit.NONE or status in (Status.ACCEPTED, Status.IN_PROGRESS, Status.ON_HOLD) or status in FINAL
]


def test_every_state_we_can_export_survives_the_return_trip():
    for status, records, visit, cancel, waiting in EXPORTS:
        word = business_status(
            status, records=records, visit=visit, cancel_requested=bool(cancel), awaiting_information=bool(waiting)
        )
        reading = read_task(written(status, word))
        assert (reading.status, reading.business_code, reading.findings) == (status, word, ()), (status, word)


@pytest.mark.parametrize("records", Records)
def test_what_was_not_read_back_is_not_called_verified(records):
    word = business_status(Status.IN_PROGRESS, records=records, read_back=False)
    assert "verified" not in word and (records is not Records.VERIFIED or word == "records-sent")


def test_it_reads_back_outputs_owner_and_reason():
    reading = read_task(written("rejected", "declined"))
    assert (reading.outputs, reading.owner, reading.reason) == (("DocumentReference/1",), "Organization/2", "why")


def test_it_names_the_request_in_all_the_places_others_look():
    task = make.task()
    assert task["identifier"][0]["value"] == "Task/r-1"
    assert task["groupIdentifier"] == make.service_request()["requisition"]
    assert task["restriction"] == {"period": {"end": "2026-06-20"}}
    assert [each["valueReference"]["reference"] for each in task["input"]] == [
        "DocumentReference/d1",
        "List/meds",
        "Communication/q1",
    ]


@pytest.mark.parametrize(("status", "word"), [("banana", "declined"), ("requested", "banana"), ("ready", "accepted")])
def test_it_writes_no_code_it_does_not_know(status, word):
    with pytest.raises(MappingError, match="Task"):
        written(status, word)


@pytest.mark.parametrize("status", sorted(NEEDS_REASON))
def test_a_status_that_needs_a_reason_is_not_written_without(status):
    with pytest.raises(MappingError, match="statusReason"):
        to_task(
            request_id="r",
            identifier_system=IDS,
            service_request="ServiceRequest/1",
            patient="Patient/1",
            requester=None,
            owner=None,
            authored_at="2026-06-01T09:00:00Z",
            wanted_by=None,
            status=status,
        )


def test_an_input_without_code_or_words_is_not_written():
    with pytest.raises(MappingError, match="Task.input.type"):
        to_task(
            request_id="r",
            identifier_system=IDS,
            service_request="ServiceRequest/1",
            patient="Patient/1",
            requester=None,
            owner=None,
            authored_at="2026-06-01T09:00:00Z",
            wanted_by=None,
            inputs=[TaskInput(reference="List/1")],
        )


def test_every_word_has_the_bser_code_beside_it_where_there_is_one():
    for word in BUSINESS_STATUS:
        pairs = {(each["system"], each["code"]) for each in to_business_status(word)["coding"]}
        assert pairs == {ours(word)} | ({bser(BSER_CODE[word])} if word in BSER_CODE else set())
        assert word in REFINES


@pytest.mark.parametrize(
    ("task", "status", "word"),
    [
        (inbound("requested"), "requested", None),
        (inbound("received", bser("2.0")), "received", "request-sent"),
        (inbound("requested", bser("2.0")), "requested", "request-sent"),
        (inbound("requested", ours("receipt-confirmed")), "requested", "receipt-confirmed"),
        (inbound("accepted", bser("3.0")), "accepted", "accepted"),
        (inbound("rejected", bser("4.0")), "rejected", "declined"),
        (inbound("on-hold"), "on-hold", None),
        (inbound("accepted", cow("awaiting-information")), "accepted", "awaiting-information"),
        (inbound("in-progress", bser("5.1")), "in-progress", None),
        (inbound("in-progress", bser("5.1.1")), "in-progress", "appointment-booked"),
        (inbound("in-progress", cow("visit-scheduled")), "in-progress", "appointment-booked"),
        (inbound("in-progress", bser("5.1.2")), "in-progress", "appointment-noshow"),
        (inbound("in-progress", bser("5.1.3")), "in-progress", "appointment-cancelled"),
        (inbound("in-progress", bser("5.1.4")), "in-progress", "visit-completed"),
        (inbound("in-progress", cow("preliminary-outcome")), "in-progress", "visit-completed"),
        (inbound("in-progress", bser("5.2")), "in-progress", "cancellation-requested"),
        (inbound("cancelled", bser("6.0")), "cancelled", "cancelled"),
        (inbound("completed", bser("7.0")), "completed", "opinion-reported"),
        (inbound("failed"), "failed", None),
        (inbound("accepted", bser("3.0"), ours("accepted")), "accepted", "accepted"),
        (inbound("received", ours("receipt-confirmed"), bser("2.0")), "received", "receipt-confirmed"),
    ],
)
def test_it_reads_every_dialect(task, status, word):
    reading = read_task(task)
    assert (reading.status, reading.business_code, reading.findings) == (status, word, ())


@pytest.mark.parametrize(
    "task",
    [
        inbound("requested", bser("7.0")),  # BSeR's own two published examples say this
        inbound("accepted", bser("7.0")),
        inbound("in-progress", bser("7.0")),
        inbound("completed", bser("3.0")),
        inbound("requested", bser("3.0")),
        inbound("requested", bser("5.1.1")),
        inbound("rejected", bser("6.0")),
        inbound("cancelled", bser("4.0")),
        inbound("completed", bser("5.2")),
        inbound("accepted", ours("accepted"), bser("7.0")),
        inbound("in-progress", bser("5.1.1"), cow("visit-complete")),
    ],
)
def test_where_status_and_business_status_disagree_nothing_is_applied(task):
    reading = read_task(task)
    assert (reading.status, reading.business_code) == (None, None)
    assert "inbound.conflict" in reading.findings


def test_the_published_bser_example_is_a_conflict():
    """HL7/bser task-bser-referraltask: requested with 7.0, an output, and no code."""
    reading = read_task(
        {
            "resourceType": "Task",
            "status": "requested",
            "intent": "order",
            "businessStatus": {
                "coding": [
                    {
                        "system": codes.SYSTEM_BSER_STATUS,
                        "code": "7.0",
                        "display": "Service Request Fulfillment Completed",
                    }
                ]
            },
            "focus": {"reference": "ServiceRequest/arthritis"},
            "for": {"reference": "Patient/eve"},
            "owner": {"reference": "PractitionerRole/recipient"},
            "output": [
                {"type": {"text": "Arthritis referral feedback"}, "valueReference": {"reference": "Bundle/feedback"}}
            ],
        }
    )
    assert (reading.status, reading.outputs, reading.findings) == (None, ("Bundle/feedback",), ("inbound.conflict",))


def test_every_pair_of_status_and_word_is_either_applied_or_a_conflict():
    for (system, code), word in DIALECTS.items():
        for status in Status:
            reading = read_task(inbound(status.value, (system, code)))
            fits = word is None or status in REFINES[word]
            assert reading.status == (status if fits else None)
            assert ("inbound.conflict" in reading.findings) is not fits


@pytest.mark.parametrize(
    ("task", "finding"),
    [
        (inbound("banana"), "inbound.unknown-status"),
        (inbound(None), "inbound.unknown-status"),
        (inbound(["requested"]), "inbound.unknown-status"),
        (inbound("ready"), "inbound.ready-as-accepted"),
        (inbound("in-progress", ("https://local.example", "x")), "inbound.unknown-business-status"),
        (inbound("in-progress", bser("9.9")), "inbound.unknown-business-status"),
        (inbound("rejected", statusReason=None), "inbound.reason-missing"),
        (inbound("completed", output=[]), "inbound.report-missing"),
        (inbound("in-progress", output=[{"valueString": "see fax"}]), "inbound.output-not-a-reference"),
    ],
)
def test_it_finds(task, finding):
    assert read_task(task).findings == (finding,)


def test_an_unknown_business_status_keeps_the_effect_of_the_status():
    reading = read_task(inbound("accepted", ("https://local.example", "x")))
    assert (reading.status, reading.business_code) == ("accepted", None)
    assert reading.business_raw == "https://local.example|x"


def test_text_alone_never_moves_anything():
    reading = read_task(inbound("requested", note=[{"text": "completed"}], businessStatus={"text": "completed"}))
    assert (reading.status, reading.business_code, reading.findings) == ("requested", None, ())


@settings(max_examples=150, deadline=None)
@given(
    json_values
    | st.dictionaries(
        st.sampled_from(["status", "businessStatus", "output", "owner", "meta", "statusReason"]), json_values
    )
)
def test_no_shape_of_task_makes_it_raise(task):
    read_task(task)


@needs_data
def test_it_reads_every_official_example():
    found = make.examples("r4-examples", "Task")
    assert len(found) >= 6
    for each in found:
        assert each["status"] == "ready" or read_task(each).status == each["status"], each["id"]


# CDex (HL7/davinci-ecdx) has neither received nor cancelled, forbids focus, and answers with contained Bundles.
@pytest.mark.parametrize(
    "task",
    [
        {
            "status": "completed",
            "output": [
                {"type": {"coding": [{"code": "data-value"}]}, "valueReference": {"reference": "#scenario2-searchset"}}
            ],
        },
        {
            "status": "failed",
            "statusReason": {"text": "Unable to process"},
            "businessStatus": {"coding": [{"system": "http://example.org/status", "code": "lost"}]},
        },
        {"status": "requested", "input": [{"type": {"text": "data-query"}, "valueString": "Condition?patient=1"}]},
    ],
)
def test_it_reads_a_data_request_task(task):
    assert read_task({"resourceType": "Task", **task}).status == task["status"]
