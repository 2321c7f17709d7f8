"""Whom an answer may be believed for, and which number names a patient in a request."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import patient_search
from mappings.model.errors import MappingError
from mappings.patient_search import Asked

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


def number(value: str, system: str = "urn:mrn", kind: str = "", **more) -> dict:
    made = {"system": system, "value": value, **more}
    return {**made, "type": {"coding": [{"system": TYPES, "code": kind}]}} if kind else made


def patient(*numbers: dict, **more) -> dict:
    return {"resourceType": "Patient", "id": "p1", "identifier": list(numbers), "birthDate": "1960-01-01", "name": [{"family": "Example", "given": ["Ada"]}], **more}  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.from_regex(r"[0-9]{5}", fullmatch=True), st.from_regex(r"[0-9]{5}", fullmatch=True))
def test_only_the_very_number_is_believed(mine, asked):
    assert patient_search.is_answer(patient(number(mine)), Asked(number=asked), frozenset()) == (mine == asked)
    assert not patient_search.is_answer(
        patient(number(asked, "urn:other")), Asked(number=asked), frozenset({"urn:mrn"})
    )


@pytest.mark.parametrize(
    ("names", "born", "asked", "is_one"),
    [
        ([{"family": "Müller"}], "1960-01-01", "muller", True),
        ([{"family": "Smith-Jones"}], "1960-01-01", "Jones", True),
        ([{"family": "Smith"}], "1960-01-02", "Smith", False),
        ([{"family": "Smith"}], "1960", "Smith", True),
        ([{"family": "Smith"}], None, "Smith", False),
        ([{"text": "Ada Smith"}], "1960-01-01", "Smith", True),
        ([{"family": "New"}, {"family": "Smith", "use": "maiden"}], "1960-01-01", "Smith", True),
        ([{"family": "Blacksmith"}], "1960-01-01", "Smith", False),
        ([], "1960-01-01", "Smith", False),
    ],
)
def test_a_name_and_a_birth_date_have_to_be_this_patients(names, born, asked, is_one):
    made = patient(number("1"), name=names, birthDate=born)
    assert patient_search.is_answer(made, Asked(family=asked, birth_date="1960-01-01"), frozenset()) == is_one


def test_the_medical_record_number_names_a_patient_and_never_a_members_or_a_social_security_number():
    made = patient(
        number("9", "urn:plan", "MB"),
        number("123-45", "urn:ssn", "SS"),
        number("1", "urn:any"),
        number("2", "urn:mrn", "MR"),
    )
    assert [each.value for each in patient_search.own_numbers(made, frozenset())] == ["2"]
    assert [each.value for each in patient_search.own_numbers(made, frozenset({"urn:any"}))] == ["1"]
    assert patient_search.own_numbers(patient(number("9", "urn:plan", "MB")), frozenset()) == ()
    shown = patient_search.hit(made, Asked(number="2"), frozenset())
    assert ("MRN", "2") in shown.numbers and "123-45" not in str(shown)
    assert patient_search.ref_of(made, frozenset()).birth_date.isoformat() == "1960-01-01"


def test_a_chart_that_is_merged_away_makes_no_patient_of_a_request():
    made = patient(number("1", kind="MR"), link=[{"type": "replaced-by", "other": {"reference": "Patient/2"}}])
    with pytest.raises(MappingError, match="merged into another"):
        patient_search.ref_of(made, frozenset())
    assert patient_search.hit(made, Asked(), frozenset()).refused


def test_what_a_search_parameter_may_not_hold_is_escaped():
    assert patient_search.searches(Asked(number="a|b,c"), ("urn:x",)) == [{"identifier": "urn:x|a\\|b\\,c"}]


def test_a_former_number_is_said_to_be_one():
    made = patient(number("1", kind="MR", use="old"), number("2", kind="MR"))
    shown = patient_search.hit(made, Asked(number="1"), frozenset())
    assert ("MRN (former)", "1") in shown.numbers and shown.remarks == (
        "the number asked for is not a present one of this patient",
    )
