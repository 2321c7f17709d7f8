"""FHIR's error message, ours and theirs."""

import pytest
from hypothesis import given, settings

from mappings.model.errors import MappingError
from mappings.operation_outcome import causes, sentences, to_outcome
from tests.mappings.mapping_factories import examples, needs_data
from tests.mappings.mapping_strategies import json_values


def test_it_returns_as_one_sentence():
    outcome = to_outcome("error", "not-found", "There is no such patient.", "Patient.id")
    assert sentences(outcome) == ["error not-found at Patient.id: There is no such patient."]


@pytest.mark.parametrize(("severity", "code"), [("bad", "invalid"), ("error", "gone"), ("error", "access-denied")])
def test_it_writes_no_code_fhir_does_not_have(severity, code):
    with pytest.raises(MappingError):
        to_outcome(severity, code, "x")


def test_a_cause_holds_nothing_written_freely():
    outcome = to_outcome("error", "processing", "HAPI-1094: Resource Patient/Núñez-1980 not found", "Patient.link")
    assert causes(outcome) == ["error processing at Patient.link (HAPI-1094)"]
    outcome["issue"][0]["expression"] = ["Patient named Núñez is wrong"]
    outcome["issue"][0]["code"] = "Núñez"
    assert causes(outcome) == ["error unknown (HAPI-1094)"]


def test_the_older_location_will_do():
    assert causes(
        {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "value", "location": ["Task.status"]}],
        }
    ) == ["error value at Task.status"]


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_no_shape_of_outcome_makes_it_raise(value):
    for outcome in (value, {"resourceType": "OperationOutcome", "issue": value}):
        assert len(sentences(outcome)) == len(causes(outcome))


@needs_data
def test_it_reads_every_official_example():
    found = examples("r4-examples", "OperationOutcome")
    assert found
    assert all(sentences(each) for each in found)
