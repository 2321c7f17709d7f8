"""Everything the mappings write: as agreed (golden files), and accepted by three independent readers."""

import json
import os

import pytest

from mappings.structure import structure_issues
from tests.mappings.mapping_factories import (
    GOLDEN,
    check_with_fhir_resources,
    check_with_fhirclient,
    emitted,
    needs_data,
    schema_errors,
)

EMITTED = emitted()
every = pytest.mark.parametrize("name", EMITTED)


@every
def test_it_writes_what_the_golden_file_says(name):
    """After a wanted change: UPDATE_GOLDEN=1, then read the diff."""
    path = GOLDEN / f"{name}.json"
    text = json.dumps(EMITTED[name], indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


@every
def test_fhir_resources_accepts_it(name):
    check_with_fhir_resources(EMITTED[name])


@every
def test_fhirclient_accepts_it(name):
    check_with_fhirclient(EMITTED[name])


@needs_data
@every
def test_the_official_schema_accepts_it(name):
    assert schema_errors(EMITTED[name]) == []


@needs_data
def test_the_official_schema_would_refuse_a_mistake():
    assert schema_errors({**EMITTED["task"], "status": "banana"})


MUST_SUPPORT = {
    "service_request": "status intent category code subject occurrencePeriod authoredOn requester reasonCode",
    "document_reference": "identifier status type category subject date author content context",
    "document_reference_returned_report": "identifier status type category subject date author content context",
    "provenance": "target recorded agent",
    "practitioner": "identifier name",
    "practitioner_role": "practitioner organization specialty",
    "organization": "identifier name",
    "patient": "identifier name birthDate gender",
}


@pytest.mark.parametrize("name", MUST_SUPPORT)
def test_it_fills_what_us_core_must_support_and_we_know(name):
    assert set(MUST_SUPPORT[name].split()) <= set(EMITTED[name])


@every
def test_nothing_empty_is_written(name):
    def empty(value):
        if isinstance(value, dict):
            return not value or any(map(empty, value.values()))
        return (not value or any(map(empty, value))) if isinstance(value, list) else value in (None, "")

    assert not empty(EMITTED[name])


@pytest.mark.parametrize("name", sorted(EMITTED))
def test_what_we_author_bends_no_rule_of_r4(name):
    assert structure_issues(EMITTED[name]) == []
