"""The list says what the chart says, each record once; what people say becomes statements of their own."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.medications import RXNORM, Informant, Review, What, Word, medications, statements

AT = datetime(2026, 6, 1, 9, tzinfo=UTC)


def order(number, name="Metformin 500 mg", code="860975", **more) -> dict:
    return {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": code}], "text": name},
        "subject": {"reference": "Patient/p"},
        "authoredOn": f"2026-01-0{number}",
        "dosageInstruction": [{"text": "1 tablet twice daily"}],
        **more,
    }


def test_the_same_code_is_one_entry_that_shows_every_record():
    listed = medications([order(1), order(2, dosageInstruction=[{"text": "2 tablets"}]), order(3, "Aspirin", "1191")])
    assert [each.name for each in listed.entries] == ["Aspirin", "Metformin 500 mg"]
    assert [(each.source, each.dosage) for each in listed.entries[1].sources] == [
        ("MedicationRequest/m2", "2 tablets"),
        ("MedicationRequest/m1", "1 tablet twice daily"),
    ]


def test_stopped_ones_stand_apart_and_one_that_is_not_to_be_given_is_never_on_the_list():
    listed = medications([order(1, status="stopped"), order(2, "A", "1", doNotPerform=True), order(3, "B", "2")])
    assert [each.name for each in listed.current] == ["B"]
    assert {each.name: each.sources[0].status for each in listed.over} == {
        "A": "do not give",
        "Metformin 500 mg": "stopped",
    }
    both = medications([order(1), order(2, doNotPerform=True)])
    assert len(both.entries) == 2 and len(both.current) == 1


def test_what_was_entered_in_error_or_said_by_hand_is_not_of_the_chart():
    by_hand = {**order(2), "resourceType": "MedicationStatement", "id": "received-x"}
    assert medications([order(1, status="entered-in-error"), by_hand]).entries == ()


def test_a_medication_is_named_by_what_its_record_points_to_and_unknown_stays_unknown():
    drug = {"resourceType": "Medication", "id": "d", "code": {"text": "Lisinopril"}}
    pointing = {**order(1), "medicationReference": {"reference": "Medication/d"}}
    del pointing["medicationCodeableConcept"]
    inside = {**pointing, "id": "m2", "medicationReference": {"reference": "#d"}, "contained": [drug]}
    nothing = {"resourceType": "MedicationStatement", "id": "s", "status": "unknown"}
    listed = medications([pointing, inside, drug, nothing])
    assert {each.name: len(each.sources) for each in listed.entries} == {"Lisinopril": 2, "not stated": 1}
    assert listed.entries[1].sources[0].dosage == "" and listed.entries[1].sources[0].dated == ""


def test_any_change_of_a_record_makes_another_list_and_the_order_of_records_does_not():
    one, two = order(1), order(2, "Aspirin", "1191")
    assert medications([one, two]).sha256 == medications([two, one]).sha256
    assert medications([one]).sha256 != medications([{**one, "status": "stopped"}]).sha256
    assert medications([one]).sha256 != medications([{**one, "dosageInstruction": [{"text": "x"}]}]).sha256


def test_what_is_said_is_tagged_with_whose_word_it_is_and_leaves_the_chart_alone():
    listed = medications([order(1)])
    [entry] = listed.entries
    words = (Word.of(entry, What.DIFFERENTLY, "only in the evening"), Word.also("St. John's wort, sometimes"))
    review = Review(listed.sha256, Informant.PATIENT, words, "ann", AT)
    first, second = statements(review, "Patient/p", "r1").values()
    assert first["meta"]["security"][0]["code"] == "PATAST" and first["status"] == "active"
    assert first["informationSource"] == {"reference": "Patient/p"}
    assert first["dosage"] == [{"text": "only in the evening"}]
    assert first["derivedFrom"] == [{"reference": "MedicationRequest/m1"}]
    assert second["medicationCodeableConcept"] == {"text": "St. John's wort, sometimes"}
    assert "derivedFrom" not in second and "the chart does not have it" in second["note"][0]["text"]
    again = Review("y", Informant.PRACTICE, (Word.of(entry, What.NOT_TAKING),), "ann", AT)
    [statement] = statements(again, "Patient/p", "r1").values()
    assert statement["id"] == first["id"] and statement["status"] == "not-taken"
    assert "meta" not in statement and statement["informationSource"] == {"display": "the practice"}


_records = st.lists(
    st.builds(
        order,
        st.integers(1, 9),
        st.sampled_from(["A", "B", "Ä"]),
        st.sampled_from(["1", "2"]),
        status=st.sampled_from(["active", "stopped", "entered-in-error", "on-hold", "unknown"]),
    ),
    unique_by=lambda each: each["id"],
    max_size=9,
)


@settings(max_examples=50, deadline=None)
@given(_records)
def test_every_record_that_counts_is_shown_once_and_no_other(records):
    shown = [each.source for entry in medications(records).entries for each in entry.sources]
    wanted = [f"MedicationRequest/{each['id']}" for each in records if each["status"] != "entered-in-error"]
    assert sorted(shown) == sorted(wanted)
