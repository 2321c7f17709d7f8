"""What stays home with a labeled record, by plain values: nothing that leaves has its words, whatever carries them."""

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.consent import Consent, RecordKind, Said
from mappings.staying_home import Why, staying
from mappings.structure import structure_issues

LABEL = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"}]}
NOT_SENSITIVE = Consent(Said.GIVEN, frozenset(RecordKind) - {RecordKind.SENSITIVE})
SECRET = "Geheimnis"
PATIENT = {"reference": "Patient/p"}


def of(resource_type: str, name: str, **elements) -> dict:
    return {"resourceType": resource_type, "id": name, "subject": PATIENT, **elements}


def to(source: str, **elements) -> dict:
    return {"reference": source, "display": SECRET, **elements}


def secret(resource_type: str, name: str = "k", **elements) -> dict:
    return of(resource_type, name, meta=LABEL, code={"text": SECRET}, **elements)


def leaving(chart: list[dict], consent: Consent = NOT_SENSITIVE, **digests) -> tuple[dict[str, dict], dict]:
    """What leaves of a chart, and why the others do not."""
    records = {f"{each['resourceType']}/{each['id']}": each for each in chart}
    found = staying([records], [{source.replace("_", "/"): {sha} for source, sha in digests.items()}], consent)
    return {source: found.cut(each) for source, each in records.items() if source not in found.why}, dict(found.why)


ABOUT = {
    "an order of a labeled medication": [of("MedicationRequest", "r", medicationReference=to("Medication/k")),
                                         secret("Medication")],
    "by an address with a version": [of("MedicationRequest", "r", medicationReference=to("Medication/k/_history/3")),
                                     secret("Medication")],
    "by an address of the server": [of("MedicationRequest", "r", medicationReference=to("https://ehr.example/fhir/Medication/k")),
                                    secret("Medication")],
    "by an identifier": [of("MedicationRequest", "r", medicationReference={"identifier": {"system": "urn:x", "value": "7"}}),
                         secret("Medication", identifier=[{"system": "urn:x", "value": "7"}])],
    "by its name alone": [of("MedicationRequest", "r", medicationReference={"display": f" {SECRET.upper()} "}),
                          secret("Medication")],
    "a copy of it inside": [of("MedicationRequest", "r", medicationReference={"reference": "#m"},
                               contained=[{"resourceType": "Medication", "id": "m", "code": {"text": SECRET}}]),
                            secret("Medication")],
    "what was dispensed on an order of it": [
        of("MedicationDispense", "r", note=[{"text": SECRET}], authorizingPrescription=[to("MedicationRequest/o")]),
        of("MedicationRequest", "o", medicationReference=to("Medication/k")), secret("Medication")],
    "the medication of a labeled order": [of("Medication", "r", code={"text": SECRET}),
                                          secret("MedicationRequest", medicationReference={"reference": "Medication/r"})],
    "a visit and its reason": [of("Encounter", "r", reasonReference=[to("Condition/k")], reasonCode=[{"text": SECRET}]),
                               secret("Condition")],
    "a report of a result": [of("DiagnosticReport", "r", conclusion=SECRET, result=[to("Observation/k")]),
                             secret("Observation")],
    "a result of a labeled report": [of("Observation", "r", valueString=SECRET),
                                     secret("DiagnosticReport", result=[{"reference": "Observation/r"}])],
    "the panel of a labeled member": [of("Observation", "r", hasMember=[to("Observation/k")]), secret("Observation")],
    "where it came from": [of("Provenance", "r", target=[to("Condition/k")]), secret("Condition")],
    "a letter with an entry": [of("Composition", "r", section=[{"text": {"div": SECRET}, "entry": [to("Condition/k")]}]),
                               secret("Condition")],
    "an extension": [of("Goal", "r", extension=[{"url": "urn:x", "valueReference": to("Condition/k")}]), secret("Condition")],
}  # fmt: skip


@pytest.mark.parametrize("name", ABOUT)
def test_what_is_about_a_labeled_record_stays_with_it(name):
    goes, why = leaving([*ABOUT[name], of("Condition", "other", code={"text": "harmless"})])
    assert set(goes) == {"Condition/other"} and SECRET not in json.dumps(goes)
    assert all(each in ("Patient/p", *why, "") for _, each in why.values()), "each names because of which"
    free = Consent(Said.GIVEN, None)
    assert len(leaving(ABOUT[name], free)[0]) == len(ABOUT[name])


def test_the_same_bytes_stay_wherever_they_are():
    data = SECRET.encode()
    inside = {"data": base64.b64encode(data).decode()}
    chart = [
        secret("DocumentReference", content=[{"attachment": {"url": "Binary/b"}}]),
        of("DiagnosticReport", "twin", presentedForm=[inside]),
        of("DiagnosticReport", "kept-apart", presentedForm=[{"url": "Binary/c"}]),
        of("DiagnosticReport", "other", presentedForm=[{"data": base64.b64encode(b"other").decode()}]),
    ]
    sha = hashlib.sha256(data).hexdigest()
    goes, why = leaving(chart, DocumentReference_k=sha, **{"DiagnosticReport_kept-apart": sha})
    assert set(goes) == {"DiagnosticReport/other"}
    assert why["DiagnosticReport/twin"] == (Why.SAME_BYTES, "DocumentReference/k")


def test_a_visit_that_stays_takes_nothing_with_it_and_is_not_named():
    chart = [
        secret("Encounter"),
        of("Observation", "o", encounter=to("Encounter/k"), text={"div": f"lab at {SECRET}"}, valueString="5"),
        of("Observation", "bare", encounter={"reference": "Encounter/k"}, text={"div": "lab"}),
    ]
    goes, _ = leaving(chart)
    assert goes["Observation/o"] == of("Observation", "o", valueString="5")
    assert goes["Observation/bare"] == of("Observation", "bare", text={"div": "lab"}), "its own words stay"


def test_a_medication_that_another_order_names_goes_with_that_one():
    chart = [
        secret("MedicationRequest", medicationReference={"reference": "Medication/m"}),
        of("MedicationRequest", "free", medicationReference={"reference": "Medication/m"}),
        of("Medication", "m"),
    ]
    assert set(leaving(chart)[0]) == {"MedicationRequest/free", "Medication/m"}


def test_other_members_of_a_panel_that_stays_go():
    chart = [
        of("Observation", "panel", hasMember=[to("Observation/k"), {"reference": "Observation/m"}]),
        secret("Observation"),
        of("Observation", "m", valueString="5"),
    ]
    goes, why = leaving(chart)
    assert set(goes) == {"Observation/m"} and why["Observation/panel"] == (Why.ABOUT, "Observation/k")


def test_a_kind_that_is_left_out_stays_alone_and_is_named_by_nothing_that_goes():
    without = Consent(Said.GIVEN, frozenset(RecordKind) - {RecordKind.HISTORY})
    chart = [
        of("Condition", "k", code={"text": SECRET}),
        of("ServiceRequest", "s", reasonReference=[to("Condition/k"), to("Condition/not-gathered"), to("Observation/o")],
           text={"div": SECRET}, note=[{"text": "own words"}]),
        of("CarePlan", "c", activity=[{"reference": {"type": "Condition", "display": SECRET}}]),
        of("Provenance", "p", target=[to("Condition/k")]),
        of("Provenance", "both", target=[to("Condition/k"), {"reference": "Observation/o"}]),
        of("Observation", "o", valueString="5"),
        of("List", "l", entry=[{"flag": {"text": SECRET}, "item": to("Condition/k")}, {"item": {"reference": "Observation/o"}}]),
    ]  # fmt: skip
    chart[1]["reasonReference"][2].pop("display")
    goes, why = leaving(chart, without)
    assert SECRET not in json.dumps(goes)
    assert why == {"Condition/k": (Why.KIND, ""), "Provenance/p": (Why.NOTHING_LEFT, "")}
    assert goes["ServiceRequest/s"]["reasonReference"] == [{"reference": "Observation/o"}]
    assert goes["ServiceRequest/s"]["note"] == [{"text": "own words"}] and "activity" not in goes["CarePlan/c"]
    assert goes["List/l"]["entry"] == [{"item": {"reference": "Observation/o"}}]


def test_the_newest_copy_says_whether_it_is_labeled_and_an_older_one_is_judged_by_itself():
    old = of("MedicationRequest", "r", medicationReference=to("Medication/k"))
    new = of("MedicationRequest", "r", medicationReference={"reference": "Medication/free"})
    packets = [{"Medication/k": secret("Medication"), "MedicationRequest/r": old}, {"MedicationRequest/r": new}]
    found = staying(packets, [{}, {}], NOT_SENSITIVE)
    assert set(found.why) == {"Medication/k"}
    assert found.is_about(old) and not found.is_about(new)


TYPES = (
    "Condition",
    "Observation",
    "DiagnosticReport",
    "Encounter",
    "MedicationRequest",
    "Medication",
    "Provenance",
    "List",
)
ELEMENTS = {
    "Condition": lambda to: {"evidence": [{"detail": [to]}], "encounter": to},
    "Observation": lambda to: {"hasMember": [to], "status": "final", "code": {"text": "x"}},
    "DiagnosticReport": lambda to: {"result": [to], "media": [{"link": to}], "status": "final", "code": {"text": "x"}},
    "Encounter": lambda to: {"diagnosis": [{"condition": to}], "reasonReference": [to], "status": "finished", "class": {}},
    "MedicationRequest": lambda to: {"reasonReference": [to], "status": "active", "intent": "order"},
    "Medication": lambda to: {"ingredient": [{"itemReference": to}]},
    "Provenance": lambda to: {"target": [to], "entity": [{"role": "source", "what": to}]},
    "List": lambda to: {"entry": [{"item": to}], "status": "current", "mode": "working"},
}  # fmt: skip


@st.composite
def charts(draw) -> list[dict]:
    names = [(draw(st.sampled_from(TYPES)), str(n)) for n in range(draw(st.integers(1, 9)))]
    made = []
    for kind, name in names:
        aim = draw(st.sampled_from(names))
        shown = {"reference": "/".join(aim), "display": f"word-{aim[1]}."}
        labels = {"meta": LABEL} if draw(st.booleans()) else {}
        made.append(of(kind, name, **labels, **ELEMENTS[kind](shown), note=[{"text": f"word-{name}."}]))
    return made


@settings(max_examples=300, deadline=None)
@given(charts(), st.sets(st.sampled_from(RecordKind), min_size=1))
def test_nothing_that_leaves_has_a_word_of_what_stays_nor_lost_what_r4_asks_for(chart, kinds):
    goes, why = leaving(chart, Consent(Said.GIVEN, frozenset(kinds)))
    text = json.dumps(goes)
    for source in why:
        assert f"word-{source.rpartition('/')[2]}." not in text and f'"{source}"' not in text
    before = {f"{each['resourceType']}/{each['id']}": each for each in chart}
    for source, each in goes.items():
        missing = [one for one in structure_issues(each) if one.code == "required"]
        assert len(missing) <= len([one for one in structure_issues(before[source]) if one.code == "required"])
    if kinds == set(RecordKind):
        assert not why and goes == before
