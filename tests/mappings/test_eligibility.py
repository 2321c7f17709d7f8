"""A payer asked and its answer read, from plain values: never "covered" where the response does not say so."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.fhir.models import structure_problems
from mappings.codes import SYSTEM_X12_SERVICE_TYPE
from mappings.eligibility import Answered, is_about, read_answer, to_eligibility_request
from mappings.model.request import PatientRef

PATIENT = PatientRef.model_validate(
    {
        "identifiers": [{"system": "urn:mrn", "value": "M-1"}],
        "name": {"family": "Synthetic-Test", "given": ["Ada"]},
        "birth_date": "1960-01-01",
        "sex": "female",
    }
)
COVERAGE = {
    "resourceType": "Coverage",
    "id": "45",
    "status": "active",
    "subscriberId": "W-99",
    "beneficiary": {"reference": "Patient/p1"},
    "payor": [{"display": "Example Health"}],
    "class": [{"value": "secret plan"}],
    "costToBeneficiary": [{"valueMoney": {"value": 20}}],
    "note": "cancer",
}


def item(code: str = "3", **more) -> dict:
    return {"category": {"coding": [{"system": SYSTEM_X12_SERVICE_TYPE, "code": code}]}, **more}


def response(*items: dict, **more) -> dict:
    insurance = {"coverage": {"reference": "#coverage"}, "inforce": True, "item": list(items)}
    return {
        "resourceType": "CoverageEligibilityResponse",
        "id": "r1",
        "status": "active",
        "outcome": "complete",
        "created": "2026-11-30T12:00:00Z",
        "request": {"reference": "CoverageEligibilityRequest/9"},
        "insurance": [insurance],
        **more,
    }


def of_another_list(code: str) -> dict:
    return {
        "category": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/ex-benefitcategory", "code": code}]}
    }


def insured(**more) -> dict:
    return response(insurance=[{"coverage": {"reference": "#coverage"}, "inforce": True, "item": [item()], **more}])


def test_what_is_sent_is_valid_and_no_more_than_a_payer_needs():
    made = to_eligibility_request(
        PATIENT,
        COVERAGE,
        identifier={"system": "urn:x", "value": "1"},
        service="3",
        day=date(2026, 12, 10),
        asks="Hillside",
        insurer="Example Health",
        created="2026-11-30T12:00:00Z",
    )
    assert structure_problems(made) == []
    text = json.dumps(made)
    assert "W-99" in text and "1960-01-01" in text and "Hillside" in text
    for secret in ("M-1", "secret plan", "cancer", "Patient/p1", "valueMoney"):
        assert secret not in text


@pytest.mark.parametrize(
    ("said", "answer", "words"),
    [
        (response(item()), "covered", ""),
        (response(item(excluded=False)), "covered", ""),
        (response(item(excluded=True)), "not-covered", ""),
        (response(item("30")), "unclear", "says nothing about what was asked"),
        (response(of_another_list("3")), "unclear", "says nothing about what was asked"),
        (response(), "unclear", "says nothing about what was asked"),
        (response(item(), item(excluded=True)), "unclear", "more than one thing"),
        (response(item(excluded="no")), "unclear", ""),
        (insured(inforce=False), "not-covered", "not in force"),
        (insured(inforce=None), "unclear", ""),
        (response(item(), outcome="partial"), "unclear", "answers partial"),
        (
            response(item(), outcome="error", error=[{"code": {"text": "Member not found"}}]),
            "unclear",
            "Member not found",
        ),
        (response(item(), outcome=None), "unclear", "without an outcome"),
        (response(insurance=[]), "unclear", "no insurances"),
        (response(item(), disposition="Call us first"), "covered", "Call us first"),
    ],
)
def test_an_answer_is_no_better_than_the_response(said, answer, words):
    read = read_answer(said, "3")
    assert read is not None and read.answer == answer and words in read.note


def test_what_waits_at_the_payer_is_no_answer():
    assert read_answer(response(outcome="queued"), "3") is None


def test_authorization_network_and_the_end_are_told_as_stated():
    said = insured(
        item=[item(authorizationRequired=True, authorizationSupporting=[{"text": "Pathology report"}],
                   network={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/benefit-network", "code": "in"}]})],
        benefitPeriod={"start": "2026-01-01", "end": "2026-12-31"},
    )  # fmt: skip
    read = read_answer(said | {"preAuthRef": "A-7"}, "3")
    assert read == Answered(
        "covered", "It wants: Pathology report.", "yes", "A-7", "in", date(2026, 12, 31), "2026-11-30T12:00:00+00:00"
    )


def test_only_a_response_to_this_question_counts():
    assert is_about(response(), "CoverageEligibilityRequest/9", None)
    assert not is_about(response(), "CoverageEligibilityRequest/8", None)
    assert not is_about(response(status="cancelled"), "CoverageEligibilityRequest/9", None)


def test_an_insurance_in_force_says_nothing_of_a_second_opinion():
    """As the official example of a response does: https://hl7.org/fhir/R4/coverageeligibilityresponse-example.json.html."""
    read = read_answer(insured(item=None) | {"disposition": "Policy is currently in-force."}, "3")
    assert read.answer == "unclear" and "Policy is currently in-force." in read.note


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=6), lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["outcome", "insurance", "item", "inforce", "excluded", "category", "coding", "code", "system", "error", "created", "disposition"]), some, max_size=5), max_leaves=15))  # fmt: skip
def test_whatever_comes_is_never_covered_by_itself(value):
    read = read_answer(value if isinstance(value, dict) else {"insurance": value}, "3")
    assert read is None or read.answer != "covered"
