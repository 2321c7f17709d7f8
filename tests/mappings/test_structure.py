"""Is a resource built as R4 says? What nobody can read is an error; a bent rule is a warning; real records pass."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from integration import fhir_json
from integration.hosted.resource_types import ELEMENTS
from mappings.required_codes import REQUIRED_CODES
from mappings.structure import ISSUES_AT_MOST, NOT_IN_R4B, structure_issues
from tests.mappings import make_required_codes

DATA = os.environ.get("SECOND_OPINION_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="SECOND_OPINION_DATA is not set (a folder with FHIR examples)")
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def told(severity: str, **elements) -> list[tuple[str, str]]:
    issues = structure_issues(OBSERVATION | elements)
    return [(each.path, each.code) for each in issues if each.severity == severity]


@pytest.mark.parametrize(
    "elements, path",
    [
        ({"banana": 1}, "Observation.banana"),
        ({"code": {"txt": "x"}}, "Observation.code.txt"),
        ({"component": [{"code": {}, "valeuString": "x"}]}, "Observation.component[0].valeuString"),
        ({"status": 5}, "Observation.status"),
        ({"status": None}, "Observation.status"),
        ({"status": ["final"]}, "Observation.status"),
        ({"category": {"text": "x"}}, "Observation.category"),
        ({"category": [None]}, "Observation.category[0]"),
        ({"category": ["x"]}, "Observation.category[0]"),
        ({"code": "x"}, "Observation.code"),
        ({"subject": [{"reference": "Patient/1"}]}, "Observation.subject"),
        ({"subject": {"reference": 5}}, "Observation.subject.reference"),
        ({"valueBoolean": "true"}, "Observation.valueBoolean"),
        ({"valueInteger": "3"}, "Observation.valueInteger"),
        ({"valueInteger": Decimal("1.5")}, "Observation.valueInteger"),
        ({"valueInteger": True}, "Observation.valueInteger"),
        ({"valueQuantity": {"value": "1.0"}}, "Observation.valueQuantity.value"),
        ({"valueString": "a", "valueInteger": 3}, "Observation.value[x]"),
        ({"valueTime": "soon"}, "Observation.valueTime"),
        ({"effectiveDateTime": "yesterday"}, "Observation.effectiveDateTime"),
        ({"effectiveDateTime": "2020-13-01"}, "Observation.effectiveDateTime"),
        ({"effectiveDateTime": "2020-02-30T10:00:00Z"}, "Observation.effectiveDateTime"),
        ({"contained": [{"resourceType": "Patient", "banana": 1}]}, "Observation.contained[0].banana"),
        ({"contained": [{"x": 1}]}, "Observation.contained[0]"),
        ({"contained": [{"resourceType": "Banana"}]}, "Observation.contained[0]"),
        ({"extension": [{"url": "u", "valueBanana": 1}]}, "Observation.extension[0].valueBanana"),
        ({"extension": [{"url": "u", "valueString": "a", "valueCode": "b"}]}, "Observation.extension[0].value[x]"),
        ({"_status": {"banana": 1}}, "Observation.status.banana"),
        ({"_status": "x"}, "Observation.status"),
        ({"_code": {"id": "x"}}, "Observation._code"),
        ({"meta": []}, "Observation.meta"),
        ({"identifier": "text"}, "Observation.identifier"),
        ({"note": [{"text": "x", "authorString": {"a": 1}}]}, "Observation.note[0].authorString"),
    ],
)
def test_what_nobody_can_read_is_an_error_that_names_the_place(elements, path):
    assert [place for place, _ in told("error", **elements)] == [path]


@pytest.mark.parametrize(
    "elements, issue",
    [
        ({"status": "banana"}, ("Observation.status", "code-invalid")),
        ({"valueString": " "}, ("Observation.valueString", "value")),
        ({"category": []}, ("Observation.category", "structure")),
        ({"effectiveDateTime": "2020-01-01T10:00:00"}, ("Observation.effectiveDateTime", "value")),
        ({"effectiveDateTime": "2020-01-01T24:00:00Z"}, ("Observation.effectiveDateTime", "value")),
        ({"issued": "2020-01-01"}, ("Observation.issued", "value")),
        ({"component": [{}]}, ("Observation.component[0].code", "required")),
        ({"text": {"status": "generated"}}, ("Observation.text.div", "required")),
        ({"extension": [{"valueString": "x"}]}, ("Observation.extension[0].url", "required")),
    ],
)
def test_a_bent_rule_is_a_warning(elements, issue):
    assert told("error", **elements) == []
    assert issue in told("warning", **elements)


def test_a_missing_element_is_a_warning_also_when_another_is_wrong():
    issues = structure_issues({"resourceType": "Observation", "banana": 1})
    assert [each.path for each in issues if each.severity == "error"] == ["Observation.banana"]
    assert {each.path for each in issues[1:]} == {"Observation.status", "Observation.code"}


@pytest.mark.parametrize(
    "resource",
    [
        OBSERVATION,
        {"resourceType": "Patient", "name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}]},
        {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "u", "valueCode": "unknown"}]}},
        {"resourceType": "Observation", "code": {}, "_status": {"extension": [{"url": "u", "valueCode": "unknown"}]}},
        OBSERVATION | {"valueQuantity": {"value": Decimal("1.10")}, "effectiveDateTime": "2019"},
        OBSERVATION | {"issued": "2015-02-07T13:28:17.239+02:00"},
        {"resourceType": "Basic", "code": {}, "extension": [{"url": "u", "valueInteger": 0}]},
    ],
)
def test_what_is_right_has_no_issue(resource):
    assert structure_issues(resource) == []


def test_no_issue_holds_a_value():
    canary = "CANARY7"
    resource = {
        "resourceType": "Observation",
        "status": canary,
        "code": {"text": 5, "coding": canary},
        "effectiveDateTime": canary,
        "note": [{"time": canary, "text": [canary]}],
        "valueTime": canary,
        "contained": [{"resourceType": canary}],
        "issued": canary,
    }
    issues = structure_issues(resource)
    assert len(issues) >= 8 and all(canary not in f"{each.path} {each.message}" for each in issues)


def test_a_record_that_is_wrong_everywhere_is_told_a_bounded_number_of_times():
    issues = structure_issues(OBSERVATION | {"category": ["x"] * 5000})
    assert len(issues) == ISSUES_AT_MOST


@pytest.mark.parametrize("shape", [None, 5, "x", [], [[]], {}, {"resourceType": 5}, {"resourceType": "\ud800"}])
def test_any_shape_is_an_answer(shape):
    assert structure_issues(shape)[0].severity == "error"
    assert isinstance(structure_issues(OBSERVATION | {"code": shape, "category": shape, "subject": [shape]}), list)


@needs_data
@pytest.mark.parametrize("folder", ["us-core-examples", "r4-examples", "synthea", "directory"])
def test_every_example_is_accepted(folder):
    seen = 0
    for file in sorted(Path(DATA, folder).glob("*.json")):
        whole = fhir_json.loads(file.read_bytes())
        for resource in whole if isinstance(whole, list) else [whole]:
            seen += 1
            assert [each for each in structure_issues(resource) if each.severity == "error"] == [], file.name
    assert seen


def test_every_type_of_r4_is_known_or_named():
    unknown = {name for name in ELEMENTS if structure_issues({"resourceType": name}) and _is_unknown(name)}
    assert unknown == set()


def _is_unknown(name: str) -> bool:
    return any(each.code == "not-supported" for each in structure_issues({"resourceType": name}))


def test_the_types_that_are_not_checked_are_those_that_differ():
    assert {name for name in ELEMENTS if structure_issues({"resourceType": name, "banana": 1}) == []} == NOT_IN_R4B


@needs_data
def test_the_codes_are_those_of_the_official_schema():
    assert make_required_codes.TARGET.read_text(encoding="utf-8") == make_required_codes.render()
    assert json.dumps(sorted(REQUIRED_CODES["Patient.gender"])) == '["female", "male", "other", "unknown"]'
