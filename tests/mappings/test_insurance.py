"""An insurance as an EHR has it, read as it stands: official examples, and what is wrong with one breaks nothing."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from mappings.insurance import to_insurance

FULL = {
    "resourceType": "Coverage",
    "id": "45",
    "status": "active",
    "period": {"start": "2026-01-01", "end": "2026-12-31T23:59:59Z"},
    "payor": [{"reference": "Organization/7"}],
    "class": [
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "group"}]},
            "value": "CB135",
        },
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "plan"}]},
            "name": "Full Coverage",
        },
    ],
    "relationship": {"coding": [{"code": "self"}]},
}


def test_who_insures_which_plan_and_how_long():
    found = to_insurance(
        FULL, {"Organization/7": {"resourceType": "Organization", "id": "7", "name": "Example Health"}}
    )
    assert (found.reference, found.insurer, found.plan, found.status) == (
        "Coverage/45",
        "Example Health",
        "Full Coverage",
        "active",
    )
    assert (found.begins, found.ends, found.relationship) == (date(2026, 1, 1), date(2026, 12, 31), "self")


def test_what_it_does_not_say_stays_unknown():
    found = to_insurance({"resourceType": "Coverage", "id": "1", "period": {"end": "2026-12"}}, {})
    assert (found.insurer, found.plan, found.begins, found.ends) == ("", "", None, None)


def test_the_patient_may_pay():
    paid = {**FULL, "payor": [{"reference": "Patient/1"}]}
    assert (
        to_insurance(paid, {"Patient/1": {"resourceType": "Patient", "id": "1"}}).insurer
        == "the patient or a relative pays"
    )


@pytest.mark.parametrize("name", ["coverage-example.json", "coverage-example-ehic.json"])
def test_official_examples(name):
    folder = os.environ.get("SECOND_OPINION_DATA")
    path = Path(folder or "/nowhere") / "r4-examples" / name
    if not path.exists():
        pytest.skip(f"the official example {name} is not here: set SECOND_OPINION_DATA to the folder of the test data")
    found = to_insurance(json.loads(path.read_text()), {})
    assert found.status == "active" and found.ends is not None


@pytest.mark.parametrize(
    "junk", [None, "x", 7, [], {}, [None], ["x"], [{"type": "x", "coding": "y", "reference": 7}], {"coding": [7]}]
)
@pytest.mark.parametrize("element", ["payor", "class", "period", "type", "relationship", "status", "id"])
def test_whatever_stands_there_breaks_nothing(element, junk):
    to_insurance({"resourceType": "Coverage", element: junk}, {})
