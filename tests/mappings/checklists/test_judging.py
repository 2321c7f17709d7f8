"""An item is never called found where a person would say otherwise: each sentence in the head of the shipped lists, and its traps."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.checklists.chart import Chart, months_before, record_of
from mappings.checklists.judging import judge
from mappings.model.checklist import Facts, State
from tests.mappings.checklists.charts import (
    CATALOG,
    PATIENT,
    RAD,
    VISIT,
    diagnosis,
    document,
    item,
    items,
    loinc,
    record,
    report,
    result,
    said,
    scan,
    state,
)

CBC = ("718-7", "777-3", "6690-2")


def test_an_empty_chart_has_nothing_found():
    states = {each.state for each in items("oncology").values()}
    assert states <= {State.MISSING, State.UNKNOWN, State.NOT_APPLICABLE}
    assert state("oncology", "pathology-report") is State.MISSING
    assert state("general", "labs-cbc") is State.NOT_APPLICABLE  # only sent when there is one


@pytest.mark.parametrize(
    "day, expected",
    [
        ("2026-06-15", State.FOUND),
        ("2026-05-15", State.FOUND),  # equal is young enough
        ("2026-05-14", State.STALE),
        ("2026-05", State.STALE),  # an unfinished date counts from its earliest day
        ("2026-06", State.FOUND),
        ("2026-06-16", State.MISSING),  # dated after the visit
    ],
)
def test_age_is_counted_at_the_visit(day, expected):
    assert state("oncology", "labs-cbc", result("58410-2", day)) is expected


def test_months_end_on_the_last_day_of_a_shorter_month():
    assert months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert months_before(date(2024, 3, 31), 1) == date(2024, 2, 29)
    assert months_before(date(2026, 1, 15), 13) == date(2024, 12, 15)


def test_the_clinical_day_comes_before_the_day_of_filing():
    filed_late = document("34117-2", "2026-06-01", context={"period": {"start": "2024-01-01"}})
    assert state("oncology", "history-physical", filed_late) is State.STALE


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "entered-in-error"},
        {"status": "cancelled"},
        {"status": "registered"},
        {"subject": {"reference": "Patient/another"}},
        {"subject": {"reference": "https://elsewhere.example.org/fhir/Patient/p"}},
        {"subject": {"display": "somebody"}},
        {"subject": None},
        {"effectiveDateTime": "2027-01-01"},
    ],
)
def test_what_is_not_valid_or_not_theirs_is_no_evidence(broken):
    bad = {name: value for name, value in {**report("11526-1"), **broken}.items() if value is not None}
    assert state("hematology", "pathology-report", bad) is State.MISSING


@pytest.mark.parametrize("broken", [{"status": "superseded"}, {"docStatus": "entered-in-error"}])
def test_a_document_that_was_replaced_or_withdrawn_is_no_evidence(broken):
    assert state("general", "referral-letter", {**document("57133-1"), **broken}) is State.MISSING


def test_preliminary_is_a_part():
    found = item("hematology", "pathology-report", report("11526-1", status="preliminary"))
    assert found.state is State.PARTIAL and "preliminary" in found.reasons[0]


def test_a_report_without_its_pictures_and_pictures_without_their_report_are_parts():
    assert "pictures" in item("lung", "img-ct", report("18747-6", text="CT chest", category=[RAD])).reasons[0]
    assert state("lung", "img-ct", scan("CT", text="CT chest")) is State.PARTIAL
    both = (report("18747-6", text="CT chest", category=[RAD]), scan("CT", text="CT chest"))
    assert state("lung", "img-ct", *both) is State.FOUND


def test_an_old_scan_makes_a_new_report_no_whole():
    assert (
        state("lung", "img-ct", report("18747-6", text="CT chest"), scan("CT", "2020-01-01", "CT chest"))
        is State.PARTIAL
    )


def test_another_part_of_the_body_is_another_examination():
    assert (
        state("spine", "img-mri", scan("MR", body="Knee"), report("18755-9", text="MRI lumbar spine")) is State.PARTIAL
    )
    assert state("spine", "img-mri", scan("MR", body="Knee")) is State.MISSING
    unnamed = item("spine", "img-mri", scan("MR"))
    assert unnamed.state is State.UNKNOWN and unnamed.evidence  # a person looks
    whole = (report("18755-9", text="MRI lumbar spine"), scan("MR", body="Lumbar spine"))
    assert state("spine", "img-mri", *whole) is State.FOUND


def test_an_mri_is_not_asked_of_whom_it_would_harm():
    answers = Facts(answers={"mri-impossible": said("yes", "a cochlear implant")})
    assert state("spine", "img-mri", facts=answers) is State.NOT_APPLICABLE
    assert state("spine", "img-ct", facts=answers) is State.MISSING
    assert state("spine", "img-ct") is State.UNKNOWN


def test_some_of_a_panel_is_a_part():
    assert state("oncology", "labs-cbc", *map(result, CBC)) is State.FOUND
    assert item("oncology", "labs-cbc", *map(result, CBC[:2])).reasons == ("without white cells",)
    assert state("oncology", "labs-chem", report("24325-3"), result("24325-3")) is State.PARTIAL  # liver, no kidney
    assert state("gi-oncology", "marker-ca199-cea", result("2039-6")) is State.PARTIAL


def test_old_values_do_not_fill_a_new_panel():
    old = [result(code, "2019-01-01") for code in CBC]
    assert state("oncology", "labs-cbc", *old, result("718-7")) is State.PARTIAL


def test_too_old_comes_before_incomplete_and_says_both():
    found = item("oncology", "labs-cbc", result("718-7", "2020-01-01"))
    assert found.state is State.STALE and found.reasons == (
        "older than 1 month at the visit",
        "without platelets, white cells",
    )


def test_one_psa_is_no_trend():
    assert state("prostate", "marker-psa", result("2857-1")) is State.PARTIAL
    assert state("prostate", "marker-psa", result("2857-1"), result("2857-1", "2024-01-01")) is State.FOUND


def test_a_second_operation_without_its_note_is_seen():
    surgery = [
        record(
            "Procedure",
            status="completed",
            performedDateTime=day,
            category={"coding": [{"system": "s", "code": "387713003"}]},
        )
        for day in ("2024-01-01", "2025-01-01")
    ]
    note = document("11504-8", "2024-01-01", context={"period": {"start": "2024-01-01"}})
    assert state("general", "operative-note", *surgery) is State.MISSING
    assert state("general", "operative-note", *surgery, note) is State.PARTIAL
    other = document("11504-8", "2025-01-01", context={"period": {"start": "2025-01-01"}})
    assert state("general", "operative-note", *surgery, note, other) is State.FOUND


def test_what_may_not_have_happened_is_asked_once_and_remembered():
    open_item = item("general", "operative-note")
    assert open_item.state is State.UNKNOWN and open_item.question.key == "done:operative-note"
    no = Facts(answers={"done:operative-note": said("no")})
    assert state("general", "operative-note", facts=no) is State.NOT_APPLICABLE
    yes = Facts(answers={"done:operative-note": said("yes")})
    assert state("general", "operative-note", facts=yes) is State.MISSING
    surprise = item("general", "operative-note", document("11504-8"), facts=no)
    assert surprise.state is State.FOUND and "yet the chart has it" in surprise.reasons[0]


def test_parts_that_nobody_has_read_are_asked():
    found = item("prostate", "pathology-report", report("11526-1"))
    assert found.state is State.UNKNOWN and "Gleason" not in found.reasons[0] and "Gleason" in found.question.text
    some = item("breast", "biomarkers", result("85337-4"))
    assert some.state is State.PARTIAL and some.reasons == ("without PR, HER2",)
    assert state("breast", "biomarkers", result("85337-4"), result("85339-0"), result("85318-4")) is State.FOUND
    read = Facts(answers={"states:pathology-report": said("yes")})
    assert state("prostate", "pathology-report", report("11526-1"), facts=read) is State.FOUND


def test_words_alone_are_a_question_and_so_is_a_code_that_its_words_deny():
    assert (
        state(
            "rare-disease",
            "birth-history",
            document("99999-9", text="Birth history"),
            patient={**PATIENT, "birthDate": "2020-01-01"},
        )
        is State.UNKNOWN
    )
    holter = report("18745-0", text="Holter monitoring")  # real: a repository maps catheterization to Holter
    assert state("cardiac-surgery", "cath", holter) is State.UNKNOWN
    name = f"DiagnosticReport/{holter['id']}"
    assert state("cardiac-surgery", "cath", holter, facts=Facts(assigned={name: "rhythm-monitor"})) is State.MISSING
    moved = items("cardiology", holter, facts=Facts(assigned={name: "rhythm-monitor"}))
    assert moved["rhythm-monitor"].state is State.FOUND


def test_a_local_code_that_a_person_placed_once_places_the_next_record():
    def local():
        return record("DiagnosticReport", status="final", effectiveDateTime="2026-06-01", code={"coding": [code]})

    code = {"system": "urn:hospital:tests", "code": "PATH7"}
    assert state("hematology", "pathology-report", local()) is State.MISSING
    facts = Facts(learned={("urn:hospital:tests", "PATH7"): "pathology-report"})
    found = item("hematology", "pathology-report", local(), facts=facts)
    assert found.state is State.FOUND and found.evidence[0].why == "its local code"


def test_orders_alone_are_no_confirmed_medication_list():
    order = record("MedicationRequest", status="active", authoredOn="2026-06-01")
    assert state("general", "medication-list", order) is State.PARTIAL
    confirmed = record("MedicationStatement", status="active", dateAsserted="2026-06-01")
    assert state("general", "medication-list", order, confirmed) is State.FOUND


@pytest.mark.parametrize(
    "chart, expected",
    [
        ([diagnosis("C22.0")], State.MISSING),
        ([diagnosis("C22.1")], State.NOT_APPLICABLE),  # bile duct
        ([diagnosis("C18.7")], State.NOT_APPLICABLE),
        ([diagnosis("C22.0", verified="provisional")], State.UNKNOWN),
        ([diagnosis("C22.0", clinical="resolved")], State.UNKNOWN),
        ([diagnosis("C18.7"), diagnosis("109841003", system="http://snomed.info/sct")], State.UNKNOWN),
        ([], State.UNKNOWN),
        ([diagnosis("C22.0", verified="refuted"), diagnosis("C18.7")], State.NOT_APPLICABLE),
    ],
)
def test_a_doubtful_diagnosis_asks_and_never_rules_out(chart, expected):
    assert state("gi-oncology", "marker-afp", *chart) is expected


@pytest.mark.parametrize(
    "born, expected",
    [
        ("2008-06-15", State.NOT_APPLICABLE),
        ("2008-06-16", State.MISSING),
        ("2008", State.UNKNOWN),
        (None, State.UNKNOWN),
    ],
)
def test_who_is_a_child_is_judged_on_the_day_of_the_visit(born, expected):
    patient = {name: value for name, value in {**PATIENT, "birthDate": born}.items() if value}
    assert state("rare-disease", "birth-history", patient=patient) is expected


def test_a_named_person_may_say_what_the_chart_cannot():
    for what, expected in (
        ("waived", State.WAIVED),
        ("requested", State.REQUESTED),
        ("promised", State.PROMISED),
        ("there", State.FOUND),
    ):
        found = item("oncology", "glass-slides", facts=Facts(items={"glass-slides": said(what, "by courier")}))
        assert found.state is expected and "A. Reader" in found.reasons[0]
    old = Facts(items={"labs-cbc": said("promised")})
    assert (
        state("oncology", "labs-cbc", result("58410-2", "2020-01-01"), facts=old) is State.STALE
    )  # not hidden by a promise


def test_undated_evidence_is_asked_about():
    undated = {name: value for name, value in result("58410-2").items() if name != "effectiveDateTime"}
    assert item("oncology", "labs-cbc", undated).question.key == "dated:labs-cbc"
    yes = Facts(answers={"dated:labs-cbc": said("yes")})
    assert state("oncology", "labs-cbc", undated, facts=yes) in (State.FOUND, State.PARTIAL)


# Every code of every kind, whole and broken: https://hl7.org/fhir/R4/valueset-observation-status.html
EVERY = [
    (kind.key, {"type": matcher.type, "code": code})
    for kind in CATALOG.kinds.values()
    for matcher in kind.matchers
    for code in sorted(matcher.loinc)
]


@st.composite
def broken_charts(draw):
    """Records that match by code, each broken in one way."""
    chart = []
    for _, one in draw(st.lists(st.sampled_from(EVERY), max_size=12)):
        name = "type" if one["type"] in ("DocumentReference",) else "code"
        made = record(one["type"], **{name: loinc(one["code"]), "status": "final", "effectiveDateTime": "2026-06-01"})
        way = draw(st.sampled_from(["error", "cancelled", "other", "future", "nobody"]))
        made |= (
            {"status": "entered-in-error"} if way == "error" else {"status": "cancelled"} if way == "cancelled" else {}
        )
        if way in ("other", "nobody"):
            made["subject"] = {"reference": "Patient/q"} if way == "other" else {"display": "p"}
        if way == "future":
            made["effectiveDateTime"] = "2026-06-16"
        chart.append(made)
    return chart


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CATALOG.checklists)), broken_charts())
def test_nothing_is_found_on_the_evidence_of_what_does_not_count(checklist, chart):
    assert not [
        each for each in items(checklist, *chart).values() if each.state in (State.FOUND, State.PARTIAL, State.STALE)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(CATALOG.checklists)),
    st.lists(st.tuples(st.sampled_from(EVERY), st.integers(0, 900)), max_size=12),
    st.integers(0, 400),
)
def test_a_later_visit_makes_nothing_that_was_too_old_young(checklist, chart, later):
    resources = [
        record(
            one["type"],
            status="current",
            type=loinc(one["code"]),
            code=loinc(one["code"]),
            effectiveDateTime=str(VISIT - timedelta(days=age)),
        )
        for (_, one), age in chart
    ]
    seen = Chart.of(resources, PATIENT)
    now, then = (
        {each.rule.kind: each.state for each in judge(CATALOG.checklists[checklist], CATALOG, seen, Facts(), day)}
        for day in (VISIT, VISIT + timedelta(days=later))
    )
    assert not [kind for kind, state in now.items() if state is State.STALE and then[kind] is State.FOUND]


def test_records_of_any_shape_break_nothing():
    strange = [
        {"resourceType": "Observation", "id": 5, "subject": {"reference": "Patient/p"}, "code": "x", "category": 7},
        {"resourceType": "ImagingStudy", "id": "a", "subject": {"reference": "Patient/p"}, "series": "x", "started": 3},
        {
            "resourceType": "DocumentReference",
            "id": "b",
            "subject": {"reference": "Patient/p"},
            "content": [None, {"attachment": []}],
        },
    ]
    assert items("oncology", *strange)
    assert replace(item("general", "question"), reasons=()).is_open


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        (report("24627-2", text="CT chest"), "CT chest"),
        (
            record("Observation", status="final", code={"coding": [{"code": "x", "display": "Hemoglobin"}]}),
            "Hemoglobin",
        ),
        (record("CarePlan", status="active", intent="plan", title="Chemotherapy"), "Chemotherapy"),
        (record("CarePlan", status="active", intent="plan"), "Care plan"),
    ],
)
def test_evidence_has_a_name_for_people_and_no_trace_of_it_in_what_is_logged(resource, name):
    evidence = record_of(resource, PATIENT).evidence("its type")
    assert evidence.name == name and (name == "Care plan" or name not in repr(evidence))


def test_a_reason_names_a_record_by_its_kind_and_day_and_by_no_id():
    scope = record("Procedure", status="completed", code=loinc("18746-8"), performedDateTime="2026-05-01")
    assert record_of(scope, PATIENT).kind_and_day == "procedure of 2026-05-01"
    assert record_of(record("CarePlan", status="active"), PATIENT).kind_and_day == "care plan without a date"
