"""A second opinion request as a ServiceRequest and back, and which ServiceRequests are one at all."""

import copy
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import codes
from mappings.communication import to_patient_questions
from mappings.model.errors import MappingError
from mappings.model.request import Code, FirstOpinion, unknown_parts
from mappings.model.states import Status
from mappings.patient import to_patient
from mappings.practitioner import to_practitioner, to_practitioner_role
from mappings.service_request import (
    REQUEST_STATUS,
    Refs,
    from_service_request,
    is_second_opinion,
    opinion_number,
    to_service_request,
)
from tests.mappings import mapping_factories as make
from tests.mappings.mapping_factories import ALICE, BOB, IDS, PATIENT, REQUEST, needs_data
from tests.mappings.mapping_strategies import json_values, requests


def read(resource, **more):
    included = {"Patient/p1": to_patient(PATIENT), "Communication/q1": make.patient_questions(), **more}
    return from_service_request({"id": "9", **resource}, placer="harbour", fulfiller="summit", included=included)


def broken(**changes):
    resource = make.service_request()
    resource.update(changes)
    return {name: value for name, value in resource.items() if value is not None}


def error_of(resource, **more):
    with pytest.raises(MappingError) as caught:
        read(resource, **more)
    return caught.value


@settings(max_examples=60, deadline=None)
@given(requests)
def test_a_request_survives_the_return_trip(request):
    refs = Refs(
        patient="Patient/p1", insurance=request.coverage, supporting_info=(request.consent,) if request.consent else ()
    )
    resource = to_service_request(request, request_id="r", refs=refs, identifier_system=IDS)
    questions = to_patient_questions(
        request.patient_questions,
        request_id="r",
        identifier_system=IDS,
        service_request="ServiceRequest/9",
        patient="Patient/p1",
    )
    make.check_with_fhir_resources(resource)
    included = {"Patient/p1": to_patient(request.patient), "Communication/q": questions}
    assert (
        from_service_request({**resource, "id": "9"}, placer="harbour", fulfiller="summit", included=included)
        == request
    )


def test_it_survives_when_the_target_knows_the_people():
    included = {
        "PractitionerRole/alice": {
            **to_practitioner_role(ALICE, practitioner="Practitioner/a"),
            "organization": {"display": "Harbour Primary Care"},
        },
        "PractitionerRole/bob": to_practitioner_role(BOB, practitioner="Practitioner/b"),
        "Practitioner/a": to_practitioner(ALICE),
        "Practitioner/b": to_practitioner(BOB),
    }
    assert read(make.service_request_with_known_people(), **included) == REQUEST


def test_the_question_is_the_text_of_the_reason_coded_second_opinion():
    reason = make.service_request()["reasonCode"][0]
    assert reason["text"] == REQUEST.question
    assert codes.has_code(reason, codes.REASON_SECOND_OPINION)


def test_a_question_in_a_note_is_read_when_the_reason_has_no_words():
    resource = broken(note=[{"text": "First?"}, {"text": "Second?"}])
    resource["reasonCode"][0].pop("text")
    assert read(resource).question == "First?\n\nSecond?"


def test_no_question_stays_unknown_and_is_never_made_up():
    resource = broken()
    resource["reasonCode"][0].pop("text")
    assert read(resource).question is None and unknown_parts(read(resource)) == ("the question",)


def test_a_reason_in_words_alone_is_what_is_asked_where_the_code_stands_elsewhere():
    asked = [{"text": "Is surgery needed?"}, {"coding": [{"system": make.ICD, "code": "C64"}], "text": "Kidney cancer"}]
    assert read(broken(reasonCode=asked)).question == "Is surgery needed?"


def test_the_plain_order_of_an_ehr_is_read_and_what_it_does_not_tell_is_unknown():
    order = {
        "resourceType": "ServiceRequest",
        "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-servicerequest"]},
        "status": "active",
        "intent": "order",
        "code": {"coding": [{"system": codes.SYSTEM_REFERRAL_REASON, "code": "S"}], "text": "Second opinion"},
        "subject": {"reference": "Patient/p1", "display": "shown"},
        "authoredOn": "2026-06-01",
        "requester": {"display": "Alice Archer, MD"},
        "performer": [{"display": "Urology clinic"}],
        "reasonCode": [{"text": "Operate on the LEFT kidney?"}],
    }
    request = read(order)
    assert request.question == "Operate on the LEFT kidney?" and request.first_opinion is None
    assert request.requester.name.family == "Alice Archer, MD" and request.consultant.name.family == "Urology clinic"
    assert unknown_parts(request) == ("the first opinion",)
    made = to_service_request(request, request_id="r", refs=Refs(patient="Patient/p1"), identifier_system=IDS)
    assert codes.EXTENSION_FIRST_OPINION not in str(made) and len(made["reasonCode"]) == 1
    assert unknown_parts(read({**order, "requester": None, "performer": None, "reasonCode": None})) == (
        "the question",
        "who asks",
        "the first opinion",
        "which specialty or consultant is asked",
    )


def test_stat_is_refused_with_what_to_do_instead():
    error = error_of(broken(priority="stat"))
    assert error.path == "ServiceRequest.priority"
    assert "emergency care" in str(error)


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("priority", "banana"),
        ("priority", 1),
        ("status", "revoked"),
        ("status", "draft"),
        ("status", None),
        ("intent", "proposal"),
        ("intent", None),
        ("doNotPerform", True),
        ("modifierExtension", [{"url": "x"}]),
        ("subject", {"reference": "Group/1"}),
        ("subject", {"reference": "Patient/unknown"}),
        ("id", None),
    ],
)
def test_what_it_cannot_act_on_names_its_element(element, value):
    resource = {name: found for name, found in {"id": "9", **broken(), element: value}.items() if found is not None}
    with pytest.raises(MappingError) as caught:
        from_service_request(
            resource, placer="harbour", fulfiller="summit", included={"Patient/p1": to_patient(PATIENT)}
        )
    assert caught.value.path.startswith(f"ServiceRequest.{element}")


def test_an_absent_priority_is_routine_as_r4_says():
    assert read(broken(priority=None)).priority == "routine"


def test_nobody_to_ask_is_unknown_and_a_person_is_asked():
    request = read(broken(performerType=None, performer=None))
    assert unknown_parts(request) == ("which specialty or consultant is asked",)


def test_an_organization_as_performer_is_no_consultant():
    request = read(broken(performer=[{"reference": "Organization/summit"}]))
    assert request.consultant is None


def test_a_person_that_was_not_fetched_is_an_error_and_not_left_out():
    assert error_of(broken(performer=[{"reference": "Practitioner/x"}])).path == "ServiceRequest.performer[0]"


def test_a_person_that_was_not_fetched_but_is_identified_will_do():
    reference = {"reference": "Practitioner/x", "identifier": {"system": codes.SYSTEM_NPI, "value": "1245319599"}}
    assert read(broken(performer=[reference])).consultant.identifiers[0].value == "1245319599"


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ({"occurrencePeriod": {"end": "2028-02"}}, date(2028, 2, 29)),
        ({"occurrencePeriod": {"end": "2026"}}, date(2026, 12, 31)),
        ({"occurrencePeriod": {"end": "2026-06-20T23:30:00-07:00"}}, date(2026, 6, 20)),
        ({"occurrencePeriod": None, "occurrenceDateTime": "2026-07-01"}, date(2026, 7, 1)),
        ({"occurrencePeriod": None}, None),
    ],
)
def test_it_reads_when_it_is_wanted(when, day):
    assert read(broken(**when)).wanted_by == day


def test_a_wrong_date_is_an_error():
    assert error_of(broken(occurrencePeriod={"end": "20260620"})).path == "ServiceRequest.occurrencePeriod.end"


CONDITION = {
    "resourceType": "Condition",
    "asserter": {"reference": "Practitioner/c"},
    "recordedDate": "2026-05-04",
    "code": {"coding": [{"system": make.ICD, "code": "S83.511A", "display": "ACL sprain, right"}]},
}


def test_without_our_extension_the_condition_tells_the_first_opinion():
    people = {"Condition/1": CONDITION, "Practitioner/c": to_practitioner(make.CHARLIE)}
    first = read(broken(extension=None, reasonReference=[{"reference": "Condition/1"}]), **people).first_opinion
    assert (first.doctor, first.given_on, first.diagnosis.text) == (make.CHARLIE, date(2026, 5, 4), "ACL sprain, right")


@pytest.mark.parametrize(
    "condition",
    [{"code": {"coding": [{"system": make.ICD, "code": "S83.511A"}]}}, {"code": None}],
)
def test_a_condition_that_does_not_tell_leaves_the_first_opinion_unknown(condition):
    people = {"Condition/1": {**CONDITION, **condition}, "Practitioner/c": to_practitioner(make.CHARLIE)}
    request = read(broken(extension=None, reasonReference=[{"reference": "Condition/1"}]), **people)
    assert request.first_opinion is None and unknown_parts(request) == ("the first opinion",)


def test_a_condition_that_nobody_asserted_leaves_the_doctor_unknown():
    request = read(
        broken(extension=None, reasonReference=[{"reference": "Condition/1"}]),
        **{"Condition/1": {**CONDITION, "asserter": None}},
    )
    assert request.first_opinion.doctor is None and request.first_opinion.diagnosis.text == "ACL sprain, right"
    assert unknown_parts(request) == ("who gave the first opinion",)


def test_a_condition_entered_in_error_is_an_error():
    status = [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]
    people = {"Condition/1": {**CONDITION, "verificationStatus": {"coding": status}}}
    error_of(broken(extension=None, reasonReference=[{"reference": "Condition/1"}]), **people)


def test_the_requester_is_never_taken_for_the_first_doctor():
    assert read(broken(extension=None)).first_opinion is None


def test_a_person_can_complete_the_first_opinion():
    first = FirstOpinion(doctor=make.CHARLIE, diagnosis=REQUEST.first_opinion.diagnosis)
    request = from_service_request(
        {**broken(extension=None), "id": "9"},
        placer="harbour",
        fulfiller="summit",
        included={"Patient/p1": to_patient(PATIENT)},
        first_opinion=first,
    )
    assert (request.first_opinion, request.reasons) == (first, REQUEST.reasons)


def test_an_absolute_reference_into_the_same_server_is_followed_and_a_foreign_one_is_not():
    resource = {**broken(subject={"reference": "https://harbour.example/fhir/Patient/p1"}), "id": "9"}
    included = {"Patient/p1": to_patient(PATIENT)}
    args = {"placer": "harbour", "fulfiller": "summit", "included": included}
    assert from_service_request(resource, base="https://harbour.example/fhir/", **args).patient == PATIENT
    with pytest.raises(MappingError, match="ServiceRequest.subject"):
        from_service_request(resource, base="https://other.example/fhir", **args)


@pytest.mark.parametrize(
    "question", [{"meta": {}}, {"status": "entered-in-error"}, {"basedOn": [{"reference": "ServiceRequest/8"}]}]
)
def test_only_the_patients_own_questions_about_this_request_are_read(question):
    other = {**make.patient_questions(), **question}
    assert read(make.service_request(), **{"Communication/q1": other}).patient_questions == ()


def test_it_changes_nothing_it_was_given():
    resource = {**make.service_request(), "id": "9"}
    before = copy.deepcopy(resource)
    read(resource)
    assert resource == before


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(make.service_request())), st.sampled_from(["Patient/p1", "Communication/q1"]), json_values
)
def test_no_shape_of_resource_raises_anything_but_a_mapping_error(element, included, value):
    with suppress(MappingError):
        read({**make.service_request(), element: value})
    with suppress(MappingError):
        read(
            make.service_request(),
            **{
                included: {
                    "resourceType": included.split("/")[0],
                    "identifier": value,
                    "name": value,
                    "meta": value,
                    "payload": value,
                    "gender": value,
                }
            },
        )
    is_second_opinion({**make.service_request(), element: value})


def test_every_status_of_ours_has_one_of_fhir():
    assert set(REQUEST_STATUS) == set(Status)
    assert set(REQUEST_STATUS.values()) <= {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error"}


@pytest.mark.parametrize("element", ["category", "code", "reasonCode", "orderDetail"])
@pytest.mark.parametrize(("system", "code"), sorted(codes.SECOND_OPINION_CODES))
def test_any_of_the_codes_says_second_opinion(element, system, code):
    concept = codes.concept(codes.coding(system, code, "something else"))
    resource = {"resourceType": "ServiceRequest", element: concept if element == "code" else [concept]}
    assert is_second_opinion(resource)
    assert opinion_number(resource) in (2, 3)


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"resourceType": "Task", "code": codes.concept(codes.CONFIRMATORY_CONSULTATION)},
        {"resourceType": "ServiceRequest", "code": {"text": "Second opinion"}, "note": [{"text": "second opinion"}]},
        {"resourceType": "ServiceRequest", "code": {"coding": [{"system": codes.SYSTEM_REFERRAL_REASON, "code": "P"}]}},
        {"resourceType": "ServiceRequest", "code": {"coding": [{"code": "S"}]}},
        {"resourceType": "ServiceRequest", "code": {"coding": [{"system": "http://other.example", "code": "S"}]}},
        {"resourceType": "ServiceRequest", "code": {"coding": [{"display": "Second Opinion"}]}, "category": "S"},
        {"resourceType": "ServiceRequest", "code": codes.concept(codes.PATIENT_REFERRAL)},
    ],
)
def test_free_text_and_other_codes_never_do(resource):
    assert not is_second_opinion(resource)
    assert opinion_number(resource) is None


def test_a_configured_local_code_does():
    swiss = "http://fhir.ch/ig/ch-term/CodeSystem/servicerequest-category"
    resource = {"resourceType": "ServiceRequest", "category": [codes.concept(codes.coding(swiss, "SecondOpinion"))]}
    assert not is_second_opinion(resource)
    assert is_second_opinion(resource, [f"{swiss}|SecondOpinion"])
    assert is_second_opinion(resource, [Code(system=swiss, code="SecondOpinion")])


def test_it_numbers_the_opinions():
    assert opinion_number(make.service_request()) == 3
    second = to_service_request(
        REQUEST.model_copy(update={"opinion_number": 2}), request_id="r", refs=make.REFS, identifier_system=IDS
    )
    assert opinion_number(second) == 2
    assert not codes.has_code(second["category"], codes.X12_THIRD_OPINION)


@needs_data
@pytest.mark.parametrize("folder", ["r4-examples", "us-core-examples"])
def test_no_official_example_is_taken_for_a_second_opinion(folder):
    found = make.examples(folder, "ServiceRequest")
    assert len(found) >= 3
    assert [each["id"] for each in found if is_second_opinion(each)] == []


@needs_data
@pytest.mark.parametrize("folder", ["r4-examples", "us-core-examples"])
def test_an_official_example_without_what_we_need_is_a_mapping_error_and_never_a_crash(folder):
    for each in make.examples(folder, "ServiceRequest"):
        with pytest.raises(MappingError):
            from_service_request(each, placer="a", fulfiller="b", included={})
