"""Our identifier on other people's resources, and finding what a reference names."""

import copy

import pytest

from mappings.identifiers import (
    append_identifier,
    identifiers_in,
    local_reference,
    look_up,
    placer_identifier,
    source_identifier,
)
from mappings.model.errors import MappingError
from mappings.model.request import Identifier

OURS = source_identifier("https://harbour.example", "Condition", "1")


def test_the_value_is_type_and_id_at_the_source():
    assert OURS == {"system": "https://harbour.example", "value": "Condition/1"}
    assert placer_identifier("https://x.example", "Task", "r")["value"] == "Task/r"


@pytest.mark.parametrize(
    ("resource", "how", "after"),
    [
        ({"resourceType": "Condition"}, "appended", [OURS]),
        ({"resourceType": "Condition", "identifier": [{"value": "a"}]}, "appended", [{"value": "a"}, OURS]),
        ({"resourceType": "Condition", "identifier": [{**OURS, "use": "usual"}]}, "kept", [{**OURS, "use": "usual"}]),
        ({"resourceType": "Composition"}, "appended", OURS),
        ({"resourceType": "Composition", "identifier": OURS}, "kept", OURS),
        ({"resourceType": "QuestionnaireResponse", "identifier": {"value": "a"}}, "single", {"value": "a"}),
        ({"resourceType": "Bundle", "identifier": {"value": "a"}}, "single", {"value": "a"}),
        ({"resourceType": "Binary"}, "none", None),
        ({"resourceType": "Provenance"}, "none", None),
        ({"resourceType": "AuditEvent"}, "none", None),
    ],
)
def test_it_appends_and_never_overwrites(resource, how, after):
    before = copy.deepcopy(resource)
    made, told = append_identifier(resource, OURS)
    assert (told, made.get("identifier")) == (how, after)
    assert resource == before


def test_twice_is_once():
    once, _ = append_identifier({"resourceType": "Condition"}, OURS)
    assert append_identifier(once, OURS) == (once, "kept")


def test_an_unknown_type_is_an_error():
    with pytest.raises(MappingError):
        append_identifier({"resourceType": "Banana"}, OURS)


def test_only_identifiers_with_system_and_value_count():
    found = [{"value": "1"}, {"system": "s"}, {"system": "s", "value": " "}, {"system": "s", "value": "v"}, "x", None]
    assert identifiers_in({"identifier": found}) == (Identifier(system="s", value="v"),)


@pytest.mark.parametrize(
    ("reference", "local"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/2", "Patient/1"),
        ("https://h.example/fhir/Patient/1", "Patient/1"),
        ("https://other.example/fhir/Patient/1", None),
        ("https://h.example/fhirx/Patient/1", None),
        ("#a", None),
        ("urn:uuid:1", None),
        ("Patient?identifier=1", None),
        ("Patient/1/extra", None),
        ("", None),
        (None, None),
        (1, None),
    ],
)
def test_it_knows_references_into_the_same_server(reference, local):
    assert local_reference(reference, "https://h.example/fhir") == local


def test_it_looks_inside_then_among_the_included():
    within = {"contained": [{"id": "a", "resourceType": "Patient"}]}
    included = {"Patient/1": {"resourceType": "Patient", "id": "1"}, "https://o.example/Patient/2": {"id": "2"}}
    assert look_up({"reference": "#a"}, within, included) == within["contained"][0]
    assert look_up({"reference": "Patient/1/_history/3"}, within, included) == included["Patient/1"]
    assert look_up({"reference": "https://o.example/Patient/2"}, within, included) == {"id": "2"}
    assert [look_up(each, within, included) for each in ({"reference": "#b"}, {}, None, {"reference": 1})] == [None] * 4
