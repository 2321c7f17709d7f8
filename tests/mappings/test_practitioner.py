"""Clinicians and places to FHIR and back."""

import pytest
from hypothesis import given, settings

from mappings import codes
from mappings.model.errors import MappingError
from mappings.model.request import HumanName, Identifier, OrganizationRef
from mappings.practitioner import (
    contained,
    first_of_doubles,
    from_human_names,
    from_organization,
    from_practitioner,
    from_practitioner_role,
    from_reference,
    is_same_by_npi,
    npi_is_valid,
    to_organization,
    to_practitioner,
    to_practitioner_role,
)
from tests.mappings.mapping_factories import ALICE, BOB, check_with_fhir_resources, examples, needs_data
from tests.mappings.mapping_strategies import organizations, practitioners


@settings(max_examples=100, deadline=None)
@given(practitioners)
def test_a_clinician_survives_the_return_trip_contained(ref):
    inside, reference = contained(ref, "doctor")
    assert from_reference(reference, "x", within={"contained": inside}, included={}) == ref


@settings(max_examples=100, deadline=None)
@given(practitioners)
def test_a_clinician_survives_the_return_trip_as_resources(ref):
    included = {"Practitioner/1": to_practitioner(ref)}
    if ref.organization:
        included["Organization/1"] = to_organization(ref.organization)
    role = to_practitioner_role(
        ref, practitioner="Practitioner/1", organization="Organization/1" if ref.organization else None
    )
    assert from_practitioner_role(role, included) == ref
    check_with_fhir_resources(role)


@settings(max_examples=50, deadline=None)
@given(organizations)
def test_an_organization_survives_the_return_trip(ref):
    assert from_organization(to_organization(ref)) == ref


@pytest.mark.parametrize(
    ("npi", "valid"),
    [
        ("1234567893", True),
        ("1245319599", True),
        ("1234567890", False),
        ("1234567983", False),
        ("123456789", False),
        ("12345678930", False),
        ("123456789a", False),
        ("", False),
        ("１２３４５６７８９３", False),
        ("1234567893\n", False),
    ],
)
def test_it_checks_the_digit_of_an_npi(npi, valid):
    assert npi_is_valid(npi) is valid


def test_every_single_wrong_digit_of_an_npi_is_seen():
    right = "1234567893"
    wrong = {right[:at] + digit + right[at + 1 :] for at in range(10) for digit in "0123456789"} - {right}
    assert not any(map(npi_is_valid, wrong))


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ([{"use": "maiden", "family": "Old"}, {"family": "Now"}], "Now"),
        ([{"family": "Plain"}, {"use": "official", "family": "Official"}], "Official"),
        ([{"use": "usual", "family": "Usual"}, {"family": "Plain"}], "Usual"),
        ([{"text": "Dr Anna Noname"}], "Dr Anna Noname"),
        ({"family": "No list"}, "No list"),
    ],
)
def test_it_takes_the_name_used_now(names, family):
    assert from_human_names(names).family == family


@pytest.mark.parametrize(
    "names",
    [
        None,
        [],
        [{}],
        "Smith",
        [{"use": "old", "family": "Old"}],
        [{"family": " "}],
        [{"use": ["official"], "family": "x"}],
    ],
)
def test_it_makes_no_name_up(names):
    assert from_human_names(names) is None


@pytest.mark.parametrize("read", [from_practitioner, from_organization])
def test_a_resource_that_names_nobody_is_an_error(read):
    with pytest.raises(MappingError):
        read({"identifier": [{"value": "1"}], "name": None})


def test_a_role_may_identify_its_clinician_and_place_without_resources():
    role = {
        "resourceType": "PractitionerRole",
        "practitioner": {"identifier": {"system": codes.SYSTEM_NPI, "value": "1234567893"}},
        "organization": {"display": "Harbour", "identifier": {"system": "https://o.example", "value": "1"}},
    }
    read = from_practitioner_role(role, {})
    assert read.identifiers == (Identifier(system=codes.SYSTEM_NPI, value="1234567893"),)
    assert read.organization == OrganizationRef(
        name="Harbour", identifiers=(Identifier(system="https://o.example", value="1"),)
    )


def test_a_clinician_by_display_alone_is_named_as_it_stands():
    found = from_reference(
        {"reference": "Practitioner/9", "display": " Dr. Bob T. Bishop "}, "x", within={}, included={}
    )
    assert (found.name.family, found.name.given, found.identifiers) == ("Dr. Bob T. Bishop", (), ())


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Practitioner/9"},
        {},
        {"reference": "#gone"},
        {"reference": "Patient/1"},
        {"reference": "PractitionerRole/empty"},
    ],
)
def test_a_clinician_that_cannot_be_read_names_the_path(reference):
    included = {
        "Patient/1": {"resourceType": "Patient"},
        "PractitionerRole/empty": {"resourceType": "PractitionerRole"},
    }
    with pytest.raises(MappingError, match="ServiceRequest.requester|PractitionerRole.practitioner"):
        from_reference(reference, "ServiceRequest.requester", within={}, included=included)


def test_a_person_without_specialty_and_place_needs_no_role():
    inside, reference = contained(BOB.model_copy(update={"specialty": None}), "bob")
    assert ([each["resourceType"] for each in inside], reference) == (["Practitioner"], {"reference": "#bob"})


def test_the_place_of_a_clinician_is_contained_beside():
    assert [each["id"] for each in contained(ALICE, "alice")[0]] == ["alice", "alice-organization", "alice-role"]


@needs_data
@pytest.mark.parametrize("folder", ["r4-examples", "us-core-examples"])
def test_it_reads_every_official_practitioner_that_names_somebody(folder):
    for each in examples(folder, "Practitioner"):
        if each.get("name") or each.get("identifier"):
            ref = from_practitioner(each)
            assert ref.identifiers or isinstance(ref.name, HumanName)


def doctor(npi="1234567893", **more):
    number = {"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}
    return {"resourceType": "Practitioner", "identifier": [number], "name": [{"family": "Núñez"}], **more}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (doctor(), doctor(name=[{"family": "NUNEZ"}]), True),
        (doctor(), doctor(name=[{"family": "Other"}, {"family": "Nunez"}]), True),
        (doctor(), doctor(name=[{"family": "Other"}]), False),
        (doctor(), doctor(name=None), False),
        (doctor(), doctor("1245319599"), False),
        (doctor("1234567890"), doctor("1234567890"), False),
        (doctor(), {**doctor(), "resourceType": "Organization"}, False),
        ({**doctor(), "resourceType": "Organization"}, {**doctor(), "resourceType": "Organization", "name": "x"}, True),
        ({**doctor(), "identifier": "text"}, doctor(), False),
    ],
)
def test_an_npi_and_a_family_name_say_who_a_clinician_is(one, other, same):
    assert is_same_by_npi(one, other) is same is is_same_by_npi(other, one)


def test_of_doubles_everybody_takes_the_same_one():
    there = [{"id": "10"}, {"id": "9"}, {"id": "2", "active": False}]
    assert first_of_doubles(there)["id"] == first_of_doubles(reversed(there))["id"] == "9"
    assert first_of_doubles(there[2:])["id"] == "2"
