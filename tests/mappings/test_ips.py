"""The patient summary of a packet: each record once and as it was carried, references within, nothing invented."""

import copy
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mappings.bundle import key_of, urn_of
from mappings.ips import ALLERGIES, EMPTY_WORDS, NO_WORDS, SECTIONS, section_of, to_summary, words_of
from mappings.model.errors import MappingError
from mappings.references import find_references
from tests.mappings.graph_helpers import BASE, NAMES, chart, needs_data
from tests.mappings.mapping_factories import check_with_fhir_resources, schema_errors
from tests.mappings.mapping_factories import needs_data as needs_schema

SYSTEM = "urn:test:alice"
PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Núñez", "given": ["Pía"]}]}
DRUG = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p"},
    "requester": {"reference": "Practitioner/away"},
    "medicationCodeableConcept": {"text": "Warfarin 5 mg <b>"},
}
VITAL = {
    "resourceType": "Observation",
    "id": "v",
    "status": "final",
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
    "subject": {"reference": f"{BASE}/Patient/p"},
}  # fmt: skip


def summary(resources: list[dict], patient: str = "Patient/p"):
    return to_summary(
        resources,
        patient=patient,
        identifier_system=SYSTEM,
        document_id=str(uuid.UUID(int=1)),
        made_at="2026-06-01T09:00:00+00:00",
        made_by="Second Opinion Exchange",
        source_base=BASE,
    )


def sections(bundle: dict) -> dict[str, dict]:
    return {each["title"]: each for each in bundle["entry"][0]["resource"]["section"]}


def test_required_sections_are_always_there_and_say_that_nothing_is_known():
    bundle, findings = summary([PATIENT])
    found = sections(bundle)
    assert list(found) == ["Problems", "Allergies and intolerances", "Medications"] and findings == []
    for each in found.values():
        assert each["emptyReason"]["coding"][0]["code"] == "unavailable" and "entry" not in each
        assert EMPTY_WORDS in each["text"]["div"]
    assert "nilknown" not in str(bundle) and "no-allergy" not in str(bundle)
    codes = [each["code"]["coding"][0]["code"] for each in found.values()]
    assert codes == ["11450-4", "48765-2", "10160-0"]


def test_records_stand_in_their_sections_as_they_were_carried():
    before = copy.deepcopy([PATIENT, DRUG, VITAL])
    bundle, findings = summary([PATIENT, DRUG, VITAL])
    assert [PATIENT, DRUG, VITAL] == before
    by_urn = {each["fullUrl"]: each["resource"] for each in bundle["entry"]}
    carried = by_urn[urn_of(SYSTEM, "MedicationRequest/m")]
    rest = {name: value for name, value in carried.items() if name not in ("subject", "requester")}
    assert rest == {name: value for name, value in DRUG.items() if name not in ("subject", "requester")}
    assert carried["requester"] == {
        "type": "Practitioner",
        "identifier": {"system": SYSTEM, "value": "Practitioner/away"},
    }
    assert [each.path for each in findings] == ["MedicationRequest/m#MedicationRequest.requester"]
    assert BASE not in str(bundle)
    found = sections(bundle)
    assert found["Vital signs"]["entry"] == [{"reference": urn_of(SYSTEM, "Observation/v")}]
    assert (
        "Warfarin 5 mg &lt;b&gt;" in found["Medications"]["text"]["div"] and "emptyReason" not in found["Medications"]
    )
    assert bundle["entry"][1]["resource"]["resourceType"] == "Patient"


def test_a_record_of_no_section_is_not_left_out():
    other = {"resourceType": "ImagingStudy", "id": "i", "status": "available", "subject": {"reference": "Patient/p"}}
    found = sections(summary([PATIENT, other])[0])
    assert found["Other records"]["entry"] == [{"reference": urn_of(SYSTEM, "ImagingStudy/i")}]
    assert NO_WORDS in found["Other records"]["text"]["div"]


@pytest.mark.parametrize("wrong", [[], [DRUG], [PATIENT, PATIENT], [PATIENT, {"resourceType": "Condition"}]])
def test_it_is_not_made_of_records_that_cannot_be_told_apart_or_without_the_patient(wrong):
    with pytest.raises(MappingError):
        summary(wrong)


@given(st.text(max_size=60))
def test_the_narrative_is_xhtml_whatever_a_record_is_called(words):
    drug = {**DRUG, "medicationCodeableConcept": {"text": words}}
    div = sections(summary([PATIENT, drug])[0])["Medications"]["text"]["div"]
    items = etree.fromstring(div.encode("utf-8")).findall(".//{*}li")
    assert len(items) == 1


_ANY = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5), lambda one: st.lists(one, max_size=3), max_leaves=5
)


@given(_ANY, _ANY, _ANY)
def test_a_record_of_any_shape_has_a_section_and_words(code, category, kind):
    record = {"resourceType": "Observation", "code": code, "category": category, "type": kind}
    assert section_of(record) in SECTIONS and words_of(record)
    assert section_of({"resourceType": "AllergyIntolerance"}) is ALLERGIES


@needs_data
@pytest.mark.parametrize("name", NAMES[:3])
def test_a_real_chart_is_there_once_with_every_reference_within(name):
    records = chart(name)
    patient = next(key_of(each) for each in records if each["resourceType"] == "Patient")
    bundle, _ = summary(records, patient)
    urls = [each["fullUrl"] for each in bundle["entry"]]
    assert len(set(urls)) == len(urls) == len(records) + 2
    used = {
        at.reference["reference"]
        for each in bundle["entry"]
        for at in find_references(each["resource"])
        if "reference" in at.reference
    }
    assert {each for each in used if not each.startswith("#")} <= set(urls)
    listed = [one["reference"] for each in sections(bundle).values() for one in each.get("entry", [])]
    standing = [each for each in records if section_of(each) is not None]
    assert sorted(listed) == sorted(urn_of(SYSTEM, key_of(each)) for each in standing)


@needs_schema
def test_it_passes_the_models_and_the_official_schema():
    bundle, _ = summary([PATIENT, DRUG, VITAL])
    check_with_fhir_resources(bundle)
    assert schema_errors(bundle) == []
