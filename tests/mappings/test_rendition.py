"""A rendition says what the records say, all of it, word for word."""

import base64
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from integration import fhir_json
from mappings.model.errors import PartialError
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.request import (
    Diagnosis,
    FirstOpinion,
    HumanName,
    Identifier,
    PatientRef,
    PractitionerRef,
    SecondOpinionRequest,
)
from mappings.rendition import NOT_STATED, AttachedText, Row, render
from mappings.rendition.narrative import plain_text
from mappings.rendition.tables import TABLES
from mappings.rendition.words import Words

DEMO = Path(__file__).parents[2] / "second_opinion" / "demo" / "data" / "chart.json"
DATA = os.environ.get("SECOND_OPINION_DATA")
LAB = {"category": [{"coding": [{"code": "laboratory"}]}]}
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "birthDate": "1968-03-14",
    "gender": "female",
    "name": [{"family": "Synthetic-Okafor", "given": ["Adaeze"]}],
    "identifier": [
        {"system": "https://a.example/other", "value": "77"},
        {"type": {"coding": [{"code": "MR"}]}, "system": "https://a.example/mrn", "value": "4711"},
    ],
}


def manifest_of(resources: list[dict], *attachments: ManifestItem) -> Manifest:
    patient = next((each["id"] for each in resources if each["resourceType"] == "Patient"), "none")
    items = [ManifestItem(source=f"{each['resourceType']}/{each['id']}", size=1, sha256="0") for each in resources]
    return Manifest(
        packet_id="p",
        request_id="r",
        source_endpoint="riverside",
        identifier_system="https://a.example",
        patient=f"Patient/{patient}",
        gathered_at="2026-06-01T10:00:00+02:00",
        items=(*items, *attachments),
    )


def rendered(*resources: dict, **more):
    return render(manifest=manifest_of(list(resources)), resources=resources, **more)


def only_row(resource: dict) -> Row:
    """The row of one resource beside its patient."""
    made = rendered(PATIENT, {"id": "9", **resource})
    return next(row for section in made.sections for row in section.rows if not row.source.startswith("Patient/"))


def all_rows(rendition) -> list[Row]:
    return [row for section in rendition.sections for row in section.rows]


def words_in(row: Row) -> str:
    texts = [part for text in row.texts for part in (text.title, text.text)]
    return " ".join(" ".join([row.source, *row.cells, row.codes, row.details, *texts]).split())


def chart(path: Path) -> list[dict]:
    """A transaction Bundle as a server would give it: ids, and references Type/id."""
    text = path.read_text(encoding="utf-8")
    entries = fhir_json.loads(text)["entry"]
    places = {
        entry["fullUrl"]: f"{each['resourceType']}/{each.get('id', entry['fullUrl'][9:])}"
        for entry in entries
        for each in [entry["resource"]]
    }
    text = re.sub(r'("reference":\s*")(urn:uuid:[^"]+)"', lambda found: f'{found[1]}{places[found[2]]}"', text)
    return [{"id": entry["fullUrl"][9:]} | entry["resource"] for entry in fhir_json.loads(text)["entry"]]


def charts() -> list[Path]:
    return [DEMO, *(sorted((Path(DATA) / "synthea").glob("*.json")) if DATA else ())]


def test_synthea_charts_are_among_the_inputs():
    if not DATA:
        pytest.skip("SECOND_OPINION_DATA is not set: only the demo chart is rendered")
    assert len(charts()) == 8


@pytest.mark.parametrize("path", charts(), ids=lambda path: path.stem[:12])
def test_every_record_is_one_row_and_the_index_counts_them(path):
    resources = chart(path)
    made = render(manifest=manifest_of(resources), resources=resources)
    assert sorted(row.source for row in all_rows(made)) == sorted(
        f"{each['resourceType']}/{each['id']}" for each in resources
    )
    assert made.resource_count == sum(count for _, count in made.index) == len(resources)
    assert dict(made.facts)["Records in it"] == str(len(resources))


@pytest.mark.parametrize("path", charts(), ids=lambda path: path.stem[:12])
def test_no_word_of_a_chart_is_lost(path):
    resources = chart(path)
    rows = {row.source: words_in(row) for row in all_rows(render(manifest=manifest_of(resources), resources=resources))}
    for resource in resources:
        assert lost(resource, rows[f"{resource['resourceType']}/{resource['id']}"]) == []


def examples() -> list[Path]:
    return (
        [
            path
            for folder in ("r4-examples", "us-core-examples")
            for path in sorted((Path(DATA) / folder).glob("*.json"))
            if ".profile" not in path.name
        ]
        if DATA
        else []
    )


def test_no_word_of_any_official_example_is_lost():
    if not DATA:
        pytest.skip("SECOND_OPINION_DATA is not set: no official R4 examples")
    problems, seen = {}, 0
    for path in examples():
        resource = fhir_json.loads(path.read_bytes())
        if not isinstance(resource, dict) or resource.get("resourceType") in (None, "Bundle", "StructureDefinition"):
            continue
        seen += 1
        missing = lost(
            resource,
            words_in(
                only_row(resource)
                if resource["resourceType"] != "Patient"
                else all_rows(rendered({"id": "9", **resource}))[-1]
            ),
        )
        if missing:
            problems[path.name] = missing[:5]
    assert problems == {} and seen > 150


def lost(resource: dict, shown: str) -> list[str]:
    """Values a reader would miss: each primitive of the record that is no pointer, code system or technical mark."""
    return [
        f"{path}: {value}"
        for path, value in leaves(resource, "", resource)
        if " ".join(Words({}).of(value).split()) not in shown
    ]


# Pointers and marks for machines. Codes count where no words stand beside them.
TECHNICAL = {
    "resourceType",
    "id",
    "meta",
    "implicitRules",
    "reference",
    "system",
    "url",
    "hash",
    "data",
    "div",
    "userSelected",
}


def leaves(value: Any, path: str, parent: dict) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from leaves(each, path, parent)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not skipped(key, each, value, path):
                yield from leaves(each, f"{path}.{key}", value)
    else:
        yield path, value


def skipped(key: str, each: Any, value: dict, path: str) -> bool:
    plain = not isinstance(each, dict | list)
    return (
        key in TECHNICAL
        or (path == "" and key in ("language", "text"))
        or any(
            (
                key == "code" and plain and ("display" in value or path.endswith(".coding") or "value" in value),
                key == "version" and "system" in value,  # Coding.version
                key == "type" and plain and ("reference" in value or "identifier" in value),  # Reference.type
                key == "use" and plain and each in ("official", "usual", "work", "home"),
                key == "language" and "contentType" in value,
                key == "status" and "div" in value,
                key == "unit" and path.endswith((".low", ".high")),  # said once by the range's text
            )
        )
    )


def test_decimals_stand_as_they_were_sent():
    row = only_row(
        {
            "resourceType": "Observation",
            "code": {"text": "Creatinine"},
            **LAB,
            "valueQuantity": {"value": Decimal("1.10"), "unit": "mg/dL", "comparator": "<"},
            "referenceRange": [
                {
                    "low": {"value": Decimal("0.50"), "unit": "mg/dL"},
                    "high": {"value": Decimal("1.10"), "unit": "mg/dL"},
                }
            ],
        }
    )
    assert row.cells[:3] == ("Creatinine", "<1.10 mg/dL", "0.50 mg/dL to 1.10 mg/dL")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("1.10", "1.10"),
        ("0.0000001", "0.0000001"),
        ("6.30", "6.30"),
        ("7", "7"),
        ("-0.0", "-0.0"),
        ("1E+2", "1E+2"),
        ("100", "100"),
    ],
)
def test_a_number_keeps_its_digits(sent, shown):
    assert Words({}).of(Decimal(sent)) == shown


def test_what_is_not_said_is_not_stated():
    row = only_row({"resourceType": "Observation", **LAB})
    assert row.cells == (NOT_STATED,) * 6


def test_a_reason_for_absence_is_told():
    row = only_row({"resourceType": "Observation", **LAB, "dataAbsentReason": {"text": "specimen clotted"}})
    assert row.cells[1] == "not stated: specimen clotted"


def test_a_flag_is_the_one_sent_and_none_is_made_up():
    high = {
        "resourceType": "Observation",
        **LAB,
        "valueQuantity": {"value": 500, "unit": "U/L"},
        "referenceRange": [{"high": {"value": 33, "unit": "U/L"}}],
    }
    assert only_row(high).cells[3] == NOT_STATED
    assert only_row({**high, "interpretation": [{"coding": [{"code": "N", "display": "Normal"}]}]}).cells[3] == "Normal"


def test_components_stand_each_on_a_line():
    row = only_row(
        {
            "resourceType": "Observation",
            "component": [
                {"code": {"text": "Systolic"}, "valueQuantity": {"value": 128, "unit": "mm[Hg]"}},
                {"code": {"text": "Diastolic"}, "dataAbsentReason": {"text": "not heard"}},
            ],
        }
    )
    assert row.cells[1] == "Systolic: 128 mm[Hg]\nDiastolic: not heard"


def test_another_unit_than_usual_is_not_converted():
    row = only_row(
        {"resourceType": "Observation", **LAB, "valueQuantity": {"value": Decimal("97.2"), "unit": "µmol/L"}}
    )
    assert row.cells[1] == "97.2 µmol/L"


def test_a_record_entered_in_error_says_so():
    row = only_row(
        {
            "resourceType": "Condition",
            "code": {"text": "Gout"},
            "verificationStatus": {"coding": [{"code": "entered-in-error"}]},
        }
    )
    assert "entered-in-error" in row.cells[2]


def test_a_type_without_a_section_is_an_other_record_with_all_its_elements():
    made = rendered(
        PATIENT,
        {
            "resourceType": "VisionPrescription",
            "id": "9",
            "status": "active",
            "lensSpecification": [{"eye": "right", "sphere": Decimal("-2.00")}],
        },
    )
    other = next(section for section in made.sections if section.key == "other")
    assert [row.source for row in other.rows] == ["VisionPrescription/9"]
    assert other.rows[0].cells[0] == "VisionPrescription"
    assert "sphere: -2.00" in other.rows[0].details


def test_an_empty_section_a_reader_looks_for_does_not_claim_absence():
    allergies = next(section for section in rendered(PATIENT).sections if section.key == "allergies")
    assert allergies.rows == () and "does not say that there is none" in allergies.note


def test_a_reference_is_called_by_its_name_and_an_unknown_one_by_its_id():
    made = rendered(
        PATIENT,
        {"resourceType": "Practitioner", "id": "2", "name": [{"family": "Synthetic-Nguyen"}]},
        {"resourceType": "Procedure", "id": "3", "performer": [{"actor": {"reference": "Practitioner/2"}}]},
        {"resourceType": "Procedure", "id": "4", "performer": [{"actor": {"reference": "Practitioner/5"}}]},
    )
    by_source = {row.source: row.cells[-1] for row in all_rows(made)}
    assert by_source["Procedure/3"] == "actor: Synthetic-Nguyen"
    assert by_source["Procedure/4"] == "actor: Practitioner/5"


def test_another_patient_than_the_packets_is_shown():
    assert "Patient/2" in only_row({"resourceType": "Procedure", "subject": {"reference": "Patient/2"}}).details
    assert "Patient/1" not in only_row({"resourceType": "Procedure", "subject": {"reference": "Patient/1"}}).details


def test_contained_resources_are_named_and_written_out():
    row = only_row(
        {
            "resourceType": "MedicationRequest",
            "medicationReference": {"reference": "#m"},
            "contained": [
                {"resourceType": "Medication", "id": "m", "code": {"text": "capecitabine"}, "form": {"text": "tablet"}}
            ],
        }
    )
    assert row.cells[0] == "capecitabine"
    assert "contained Medication #m: {code: capecitabine, form: tablet}" in row.details


def test_plain_text_of_a_document_is_shown_and_other_bytes_never():
    note, pdf = "Stage IIIB, α < 0.05\n".encode(), base64.b64encode(b"%PDF" * 40).decode()
    row = only_row(
        {
            "resourceType": "DocumentReference",
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "data": base64.b64encode(note).decode(),
                        "title": "Note",
                    }
                },
                {"attachment": {"contentType": "application/pdf", "data": pdf}},
            ],
        }
    )
    assert [(text.title, text.text) for text in row.texts] == [("Note", "Stage IIIB, α < 0.05")]
    assert pdf not in words_in(row)


def test_text_that_is_not_in_its_charset_is_left_to_the_original():
    row = only_row(
        {"resourceType": "Binary", "contentType": "text/plain", "data": base64.b64encode(b"\xff\xfe\xff").decode()}
    )
    assert row.texts == ()


def test_a_narrative_that_adds_something_is_shown_and_a_generated_one_is_not():
    narrative = {"status": "additional", "div": "<div><p>FOLFOX,<br/>12 cycles</p></div>"}
    assert only_row({"resourceType": "CarePlan", "text": narrative}).texts[0].text == "FOLFOX,\n12 cycles"
    assert only_row({"resourceType": "CarePlan", "text": narrative | {"status": "generated"}}).texts == ()


def test_a_narrative_loses_its_tags_and_no_words():
    div = "<div><table><tr><th>Test</th><td>1.10</td></tr></table><b>a</b> <i>b</i>&lt;3 <img alt='liver'/></div>"
    assert plain_text(div) == "Test | 1.10\na b<3 [picture: liver]"


def test_a_modifier_extension_is_a_finding_and_its_words_are_shown():
    resource = {
        "resourceType": "Condition",
        "id": "9",
        "modifierExtension": [{"url": "https://a.example/negated", "valueBoolean": True}],
    }
    made = rendered(PATIENT, resource)
    assert [(found.cause, found.path) for found in made.findings] == [("render.modifier-extension", "Condition/9")]
    assert "negated: true" in only_row(resource).details


def test_results_are_ordered_by_test_and_newest_first_whatever_the_order_given():
    labs = [
        {"resourceType": "Observation", "id": str(number), **LAB, "code": {"text": name}, "effectiveDateTime": day}
        for number, (name, day) in enumerate(
            [("Sodium", "2026-01-01"), ("CE\u200bA", "2025-01-01"), ("CEA", "2026-02-01"), ("Sodium", "2026-03-01")]
        )
    ]
    made = rendered(PATIENT, *labs)
    results = next(section for section in made.sections if section.key == "results")
    assert [row.source[-1] for row in results.rows] == ["2", "1", "3", "0"]
    assert rendered(*reversed(labs), PATIENT).sections == made.sections


def test_a_record_that_was_not_handed_over_is_an_error():
    with pytest.raises(PartialError, match="Observation/9"):
        render(manifest=manifest_of([PATIENT, {"resourceType": "Observation", "id": "9"}]), resources=[PATIENT])


def test_a_record_that_is_not_in_the_manifest_is_an_error():
    with pytest.raises(PartialError, match="Observation/9"):
        render(manifest=manifest_of([PATIENT]), resources=[PATIENT, {"resourceType": "Observation", "id": "9"}])


def test_the_patient_is_identified_by_name_birth_date_and_record_number():
    assert rendered(PATIENT).patient == "Adaeze Synthetic-Okafor · born 1968-03-14 · no. 4711"


def test_without_a_patient_record_the_request_says_who_it_is_and_that_is_a_finding():
    made = rendered({"resourceType": "Observation", "id": "9"}, request=a_request())
    assert made.patient == "Adaeze Synthetic-Okafor · born 1968-03-14 · no. 4711"
    assert [finding.cause for finding in made.findings] == ["render.patient-missing"]


def a_request() -> SecondOpinionRequest:
    doctor = PractitionerRef(name=HumanName(family="Synthetic-Nguyen", given=("Thu",)))
    return SecondOpinionRequest(
        key="k",
        placer="a",
        fulfiller="b",
        consultant=doctor,
        requester=doctor,
        question="3 or 6 months?",
        patient=PatientRef(
            identifiers=(Identifier(system="https://a.example/mrn", value="4711"),),
            name=HumanName(family="Synthetic-Okafor", given=("Adaeze",)),
            birth_date="1968-03-14",
        ),
        first_opinion=FirstOpinion(doctor=doctor, diagnosis=Diagnosis(text="Adenocarcinoma")),
        patient_questions=("Will I keep working?",),
    )


def test_the_cover_says_what_is_asked_and_by_whom():
    made = rendered(PATIENT, request=a_request())
    facts = dict(made.facts)
    assert facts["Question"] == "3 or 6 months?" and facts["First opinion"] == "Adenocarcinoma"
    assert facts["Wanted by"] == NOT_STATED and facts["Asked by"] == "Thu Synthetic-Nguyen"
    assert made.questions == ("Will I keep working?",)


def test_every_original_is_listed_with_its_hash_and_its_words_when_it_is_text():
    item = ManifestItem(
        source="Binary/5",
        kind="attachment",
        size=12,
        sha256="ab" * 32,
        content_type="text/plain",
        of="DocumentReference/1#content[0].attachment",
    )
    made = render(
        manifest=manifest_of([PATIENT], item),
        resources=[PATIENT],
        attachments=[AttachedText(sha256="ab" * 32, text="Margins free")],
    )
    row = made.originals.rows[0]
    assert row.cells == (item.of, "text/plain", "12", "ab" * 32) and row.texts[0].text == "Margins free"
    assert made.resource_count == 1


def test_no_type_stands_in_two_sections_unless_a_rule_divides_it():
    seen: dict[str, str] = {}
    for table in TABLES:
        for kind in table.types:
            assert kind not in seen or kind in ("Observation", "MedicationStatement"), (
                f"{kind} is in {seen.get(kind)} and in {table.key}"
            )
            seen[kind] = table.key
