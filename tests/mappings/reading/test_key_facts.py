"""Key facts: each is an element of a record, what is wrong is shown as such, and every record is shown or listed, once."""

import os
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.packet import ManifestItem
from mappings.reading import make
from mappings.reading.elements import element, fhirpath
from mappings.reading.make import key_facts
from mappings.reading.model import Asked, KeyFacts, Kind, Wrong
from tests.mappings.reading.chart_factory import allergy, condition, flag, manifest, medication, report, result

DATA = Path(os.environ.get("SECOND_OPINION_DATA", "missing"))


def facts_of(*resources: dict, **more) -> KeyFacts:
    return key_facts([manifest(*resources)], resources, **more)


def said(fact) -> dict[str, tuple[str, str]]:
    return {each.label: (each.value.words, each.value.at) for each in fact.said}


def test_a_diagnosis_says_what_its_record_says_and_where_it_says_it():
    [fact] = facts_of(condition(1, "provisional", stage=[{"summary": {"text": "IIA"}}])).diagnoses
    assert (fact.name.words, fact.name.at, fact.dated) == ("Breast cancer", "code", "2025")
    assert said(fact)["verification"] == ("provisional", "verificationStatus")
    assert said(fact)["clinical"] == ("active", "clinicalStatus")
    assert said(fact)["stage"] == ("summary: IIA", "stage") and said(fact)["began"] == ("2025", "onsetDateTime")


def test_without_a_record_nothing_is_said_and_no_known_allergy_stands_only_where_the_chart_says_so():
    assert facts_of(condition(1)).allergies == ()
    [fact] = facts_of(allergy(1, "No known allergies")).allergies
    assert fact.name.words == "No known allergies"


def test_what_is_entered_in_error_or_refuted_is_shown_as_such_and_is_no_fact():
    made = facts_of(
        allergy(1, verification="refuted"),
        condition(1, "entered-in-error"),
        medication(1, status="entered-in-error"),
        result(1, 9, status="entered-in-error", interpretation=flag("LL")),
        result(2, 12),
        result(3, 13, "2026-01-02"),
    )
    assert {each.source: each.wrong for each in made.wrong} == {
        "AllergyIntolerance/a1": Wrong.REFUTED,
        "Condition/c1": Wrong.ENTERED_IN_ERROR,
        "MedicationRequest/m1": Wrong.ENTERED_IN_ERROR,
        "Observation/o1": Wrong.ENTERED_IN_ERROR,
    }
    assert not made.allergies and not made.diagnoses and not made.medications and not made.flagged and not made.years
    [trend] = made.trends
    assert [each.number for each in trend.points] == ["12", "13"]


def test_a_medication_shows_every_start_and_stop_that_its_records_state():
    [one] = facts_of(
        medication(1), medication(2, status="stopped", dosageInstruction=[{"text": "2 tablets"}])
    ).medications
    assert one.name == "Metformin" and not one.is_over and len(one.records) == 2
    fact = next(each for each in one.records if each.source == "MedicationRequest/m1")
    assert said(fact)["start"] == ("2025-03", "dosageInstruction[0].timing.repeat.boundsPeriod.start")
    assert said(fact)["stop"] == ("2025-09-30", "dosageInstruction[0].timing.repeat.boundsPeriod.end")
    assert said(fact)["ordered"] == ("2025-03-02", "authoredOn") and said(fact)["status"] == ("active", "status")


def test_stages_and_markers_are_found_by_codes_of_mcode_and_by_nothing_else():
    stage = result(1, 1, code={"coding": [{"system": "http://loinc.org", "code": "21908-9"}], "text": "Stage"})
    marker = result(2, 1, code={"coding": [{"system": "http://loinc.org", "code": "85337-4"}], "text": "ER"})
    words = result(3, 1, code={"text": "Stage group.clinical Cancer"})
    local = result(4, 1, code={"coding": [{"system": "urn:local", "code": "21908-9"}]})
    made = facts_of(stage, marker, words, local)
    assert [each.source for each in made.stages] == ["Observation/o1"]
    assert [each.source for each in made.markers] == ["Observation/o2"]


def test_the_last_two_of_each_kind_of_examination_with_their_impression_quoted():
    made = facts_of(
        report(1, "2024-01-01", "old"),
        report(2, "2026-02-01", "Two nodules,\nunchanged."),
        report(3, "2026-03", "One nodule."),
        report(4, "2026-03-01", category=[{"coding": [{"code": "LAB"}]}], conclusion="a laboratory's"),
    )
    [kind] = made.examinations
    assert kind.name == "CT Chest" and kind.earlier == 1
    assert [(each.fact.dated, each.impressions[0].value.words) for each in kind.last] == [
        ("2026-03", "One nodule."),
        ("2026-02-01", "Two nodules,\nunchanged."),
    ]
    assert "DiagnosticReport/r1" in {
        each.source for year in made.years for event in year.events for each in event.dates
    }


def test_a_timeline_keeps_the_precision_of_its_dates_and_sets_the_undated_apart():
    undated = report(9, "2026-01-01")
    del undated["effectiveDateTime"]
    made = facts_of(condition(1), report(1, "2025-05-06T07:08:00+02:00"), report(2, "2025-04"), medication(1), undated)
    [year] = made.years
    assert year.year == "2025"
    lines = {(event.type, event.name): [each.dated for each in event.dates] for event in year.events}
    assert lines[("DiagnosticReport", "CT Chest")] == ["2025-05-06T07:08:00+02:00", "2025-04"]
    assert lines[("Condition", "Breast cancer")] == ["2025"]
    assert [each.source for each in made.undated] == ["DiagnosticReport/r9"] and made.earlier_events == 0
    many = facts_of(*(report(number, f"2026-01-{number % 28 + 1:02}") for number in range(20)))
    assert sum(len(event.dates) for event in many.years[0].events) == 12 and many.earlier_events == 8


def test_what_changed_since_the_packet_before_is_told_by_the_manifests():
    first = manifest(condition(1), condition(2), sha="1")
    gone = ManifestItem(source="Condition/c2", kind="withdrawn", size=1, sha256="1" * 64, why="it was deleted there")
    now = condition(1, onsetDateTime="2024")
    second = manifest(now, condition(3), number=2, sha="2", items=(gone,))
    made = key_facts([first, second], [now, condition(3)], versions=lambda source: (condition(1), now))
    assert made.changes.earlier_at == "2026-01-01T09:00:00Z"
    assert made.changes.counts == {"withdrawn": 1, "corrected": 1, "new": 1}
    assert [(each.source, each.what, each.elements, each.why) for each in made.changes.listed] == [
        ("Condition/c2", "withdrawn", (), "it was deleted there"),
        ("Condition/c1", "corrected", ("onsetDateTime",), ""),
        ("Condition/c3", "new", (), ""),
    ]
    assert facts_of(condition(1)).changes.earlier_at == ""


def test_since_the_first_opinion_by_the_dates_of_records_and_what_may_be_before_it_is_counted_apart():
    made = facts_of(
        report(1, "2026-02-02"),
        report(2, "2026-02-01"),
        report(3, "2026-02"),
        report(4, "2027"),
        given_on=date(2026, 2, 1),
    )
    assert made.since.counts == {"reports": 2} and made.since.unclear == 1
    assert [each.source for each in made.since.listed] == ["DiagnosticReport/r4", "DiagnosticReport/r1"]
    assert facts_of(report(1, "2026-02-02")).since is None


def test_a_record_of_any_shape_is_listed_and_stops_no_other():
    odd = {"resourceType": "Observation", "id": "odd", "code": ["x"], "component": {"code": 7}, "effectiveDateTime": 7}
    made = facts_of(odd, condition(1))
    assert "Observation/odd" in {each.source for each in made.rest[Kind.RESULTS]} | shown(made)
    assert [each.source for each in made.diagnoses] == ["Condition/c1"]


def test_a_study_and_a_document_say_what_stands_deeper_in_their_records():
    study = {
        "resourceType": "ImagingStudy",
        "id": "s",
        "started": "2026",
        "numberOfSeries": 2,
        "numberOfInstances": 300,
    }
    study["series"] = [{"modality": {"code": "CT"}, "bodySite": {"display": "Chest"}}]
    attachment = {"contentType": "application/pdf", "title": "Operation", "size": 9}
    card = {"resourceType": "DocumentReference", "id": "d", "content": [{"attachment": attachment}]}
    card["context"] = {"period": {"start": "2026-01-01"}}
    made = facts_of(study, card)
    [one], [other] = made.studies, made.documents
    assert (one.name.words, one.name.at) == ("CT", "series[0].modality")
    assert said(one)["images"] == ("300", "numberOfInstances") and said(one)["site"] == ("Chest", "series[0].bodySite")
    assert other.dated == "2026-01-01" and said(other)["title"] == ("Operation", "content[0].attachment.title")
    assert said(other)["original"] == ("Operation (application/pdf, 9 bytes)", "content[0].attachment")


def test_a_place_leads_to_its_element_and_is_told_as_fhirpath():
    record = {"resourceType": "Observation", "component": [{}, {"valueQuantity": {"value": 1}}]}
    assert element(record, "component[1].valueQuantity.value") == 1 and element(record, "") is record
    for at in (
        "component[7]",
        "component.x",
        "component[1",
        "__class__",
        "component[1].valueQuantity.value.real",
        "a..b",
    ):
        assert element(record, at) is None
    assert fhirpath("Observation", "component[1].valueQuantity") == "Observation.component[1].value.ofType(Quantity)"
    assert fhirpath("Condition", "onsetDateTime") == "Condition.onset.ofType(dateTime)"
    assert fhirpath("Condition", "") == "Condition"


# --- nothing is left out: shown and listed together are the packet -----------------------------------------------------

DAYS = st.sampled_from(["2020", "2024-02", "2025-01-01", "2026-01-01T10:00:00Z", "not a date"])
RECORDS = st.one_of(
    st.builds(
        lambda v, s: {**condition(0, v), "clinicalStatus": s},
        st.sampled_from(["confirmed", "refuted", "entered-in-error"]),
        st.none() | st.just({}),
    ),
    st.builds(lambda v: allergy(0, verification=v), st.sampled_from(["confirmed", "refuted", "entered-in-error"])),
    st.builds(
        lambda s, d: medication(0, status=s, authoredOn=d),
        st.sampled_from(["active", "stopped", "entered-in-error"]),
        DAYS,
    ),
    st.builds(
        lambda n, d, f, s: result(0, n, d, interpretation=f, status=s),
        st.one_of(
            st.integers(-5, 5),
            st.decimals(allow_nan=False, allow_infinity=False, places=3),
            st.just({"value": 5, "comparator": "<"}),
        ),
        DAYS,
        st.sampled_from([None, flag("H"), flag("N"), "odd"]),
        st.sampled_from(["final", "cancelled", "entered-in-error"]),
    ),
    st.builds(lambda d, c: report(0, d, c), DAYS, st.none() | st.text(max_size=20)),
    st.builds(lambda d: {"resourceType": "DocumentReference", "date": d, "type": {"text": "Note"}}, DAYS),
    st.builds(
        lambda kind, more: {**more, "resourceType": kind},
        st.sampled_from(
            [
                "Observation",
                "Condition",
                "MedicationStatement",
                "ImagingStudy",
                "Encounter",
                "Basic",
                "Procedure",
                "Media",
            ]
        ),
        st.dictionaries(
            st.sampled_from(
                ["code", "status", "component", "effectivePeriod", "verificationStatus", "series", "content", "type"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(st.sampled_from(["coding", "text", "start", "code"]), inner, max_size=2)
                ),
                max_leaves=5,
            ),
            max_size=4,
        ),
    ),
)


def shown(made: KeyFacts) -> set[str]:
    """What stands on the page, read from the facts by themselves."""
    found = {
        each.source
        for each in (*made.diagnoses, *made.stages, *made.markers, *made.allergies, *made.said_of_medications)
    }
    found |= {each.source for each in (*made.studies, *made.flagged, *made.documents, *made.undated, *made.wrong)}
    found |= {each.source for one in made.medications for each in one.records}
    found |= {each.fact.source for kind in made.examinations for each in kind.last}
    found |= {one.source for kind in made.examinations for each in kind.last for one in each.impressions}
    found |= {each.source for trend in made.trends for each in (*trend.points, *trend.unplotted)}
    return found | {each.source for year in made.years for event in year.events for each in event.dates}


@settings(deadline=None, max_examples=60)
@given(st.lists(RECORDS, max_size=40), st.integers(1, 60))
def test_shown_and_listed_together_are_all_that_is_in_the_packet_for_each_kind(records, room):
    resources = [{**each, "id": f"x{number}"} for number, each in enumerate(records)]
    with pytest.MonkeyPatch.context() as patched:  # little room on the page, as a long chart has
        for name in ("DIAGNOSES", "ALLERGIES", "MEDICATIONS", "FLAGGED", "DOCUMENTS", "TRENDS", "WRONG", "UNDATED"):
            patched.setattr(make, name, room % 7)
        made = facts_of(*resources)
    listed = [each.source for kind in made.rest.values() for each in kind]
    assert Counter(listed).keys().isdisjoint(shown(made)) and len(set(listed)) == len(listed)
    assert shown(made) | set(listed) == {f"{each['resourceType']}/{each['id']}" for each in resources}
    assert sum(count.all for count in made.counts) == len(resources)
    for count in made.counts:
        assert count.listed == len(made.rest[count.kind])


@settings(deadline=None, max_examples=60)
@given(st.lists(RECORDS, max_size=25))
def test_what_is_wrong_is_never_among_the_facts(records):
    resources = [{**each, "id": f"x{number}"} for number, each in enumerate(records)]
    made = facts_of(*resources)
    wrong = {each.source for each in made.wrong}
    said_wrong = {
        f"{each['resourceType']}/{each['id']}"
        for each in resources
        if "entered-in-error" in simplejson.dumps(each, use_decimal=True)
        or "refuted" in simplejson.dumps(each, use_decimal=True)
    }
    assert wrong <= said_wrong and wrong.isdisjoint(shown(made) - wrong)
    others = {each.source for each in (*made.diagnoses, *made.allergies, *made.flagged, *made.documents)}
    assert others.isdisjoint(said_wrong)


@pytest.mark.skipif(not DATA.is_dir(), reason="SECOND_OPINION_DATA names no folder with charts that nobody here wrote")
@pytest.mark.parametrize("folder", ["synthea", "r4-examples", "us-core-examples"])
def test_charts_that_nobody_here_wrote_are_read_whole(folder):
    for path in sorted((DATA / folder).glob("*.json")):
        told = simplejson.loads(path.read_bytes(), use_decimal=True)
        entries = (
            [each.get("resource") for each in told.get("entry", ())] if told["resourceType"] == "Bundle" else [told]
        )
        resources = {f"{each['resourceType']}/{each['id']}": each for each in entries if each and each.get("id")}
        made = key_facts([manifest(*resources.values())], resources.values())
        assert shown(made) | {each.source for kind in made.rest.values() for each in kind} == resources.keys(), (
            path.name
        )
        assert not [each for kind in made.rest.values() for each in kind if each.unread], path.name
        assert made.troubled == 0, (path.name, made.troubles)
        for fact in (*made.diagnoses, *made.allergies, *made.documents, *made.flagged):
            for one in (fact.name, *(each.value for each in fact.said)):
                assert element(resources[fact.source], one.at) is not None, (path.name, fact.source, one.at)


def test_what_a_record_could_not_be_asked_is_said_with_its_name():
    """It counts as a result without a flag, and that is no longer silent."""
    odd = {**result(1, Decimal("NaN")), "referenceRange": [{"low": {"value": Decimal(1), "unit": "g/dL"}}]}
    made = facts_of(odd, result(2, Decimal("6.30"), "2026-01-02"))
    assert made.troubled == 1
    [trouble] = made.troubles
    assert trouble.source == f"Observation/{odd['id']}" and Asked.FLAG in trouble.asked


def test_decimals_keep_their_digits():
    [trend] = facts_of(result(1, Decimal("1.10")), result(2, Decimal("6.30"), "2026-01-02")).trends
    assert [each.number for each in trend.points] == ["1.10", "6.30"]
