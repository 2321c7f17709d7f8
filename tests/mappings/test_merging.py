"""A correction goes over a copy that the other side worked with: nothing of either side is lost without a word."""

from decimal import Decimal

import pytest

from mappings.merging import Merged, contains, merge, says_the_same

BASE = {
    "resourceType": "Observation",
    "meta": {"source": "urn:alice"},
    "status": "final",
    "code": {"text": "lab"},
    "valueQuantity": {"value": Decimal("1.5"), "unit": "g/dL"},
    "identifier": [{"system": "urn:alice", "value": "Observation/1"}],
    "subject": {"reference": "Patient/7"},
}
THERE = {**BASE, "id": "77", "meta": {**BASE["meta"], "versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z"}}
CORRECTED = {**BASE, "status": "corrected", "valueQuantity": {"value": Decimal("9.5"), "unit": "g/dL"}}


def test_what_nobody_touched_is_written_as_wanted():
    merged = merge(BASE, THERE, CORRECTED)
    assert merged == Merged({**CORRECTED, "id": "77"})
    assert list(merged.resource)[:2] == ["resourceType", "id"]


def test_what_the_other_side_added_stays():
    there = {
        **THERE,
        "note": [{"text": "reviewed"}],
        "identifier": [*BASE["identifier"], {"system": "urn:bob", "value": "B-7"}],
        "code": {"text": "lab", "coding": [{"system": "urn:bob", "code": "x"}]},
        "meta": {**THERE["meta"], "tag": [{"code": "theirs"}]},
    }
    merged = merge(BASE, there, CORRECTED)
    assert merged.resource["note"] == [{"text": "reviewed"}]
    assert [each["value"] for each in merged.resource["identifier"]] == ["Observation/1", "B-7"]
    assert merged.resource["code"] == there["code"]
    assert merged.resource["meta"] == {"source": "urn:alice", "tag": [{"code": "theirs"}]}
    assert merged.resource["status"] == "corrected" and merged.resource["valueQuantity"]["value"] == Decimal("9.5")
    assert not merged.conflicts and merged.kept


def test_what_both_changed_is_left_as_it_is_there_and_named():
    there = {**THERE, "valueQuantity": {"value": Decimal("1.7"), "unit": "g/dL"}}
    merged = merge(BASE, there, CORRECTED)
    assert merged.conflicts == ("Observation.valueQuantity.value",)
    assert merged.resource["valueQuantity"]["value"] == Decimal("1.7")


def test_what_the_source_takes_back_goes_and_what_both_say_is_no_conflict():
    base = {**BASE, "note": [{"text": "a"}, {"text": "b"}], "method": {"text": "old"}}
    there = {**THERE, "note": [{"text": "a"}, {"text": "b"}, {"text": "theirs"}], "method": {"text": "new"}}
    wanted = {**BASE, "note": [{"text": "b"}, {"text": "c"}], "method": {"text": "new"}}
    merged = merge(base, there, wanted)
    assert [each["text"] for each in merged.resource["note"]] == ["b", "c", "theirs"]
    assert merged.resource["method"] == {"text": "new"} and not merged.conflicts


def test_an_item_that_the_server_enriched_is_not_taken_for_another_one():
    base = {**BASE, "performer": [{"reference": "Practitioner/1"}]}
    there = {**THERE, "performer": [{"reference": "http://bob/fhir/Practitioner/1", "display": "Dr Bob"}]}
    wanted = {**base, "performer": [{"reference": "Practitioner/1"}, {"reference": "Practitioner/2"}]}
    assert merge(base, there, wanted).resource["performer"] == [
        {"reference": "http://bob/fhir/Practitioner/1", "display": "Dr Bob"},
        {"reference": "Practitioner/2"},
    ]


def test_a_changed_item_replaces_the_one_we_wrote_before():
    base, wanted = {**BASE, "note": [{"text": "specimen ok"}]}, {**BASE, "note": [{"text": "hemolyzed, disregard"}]}
    assert merge(base, {**THERE, "note": base["note"]}, wanted).resource["note"] == wanted["note"]


def test_without_a_base_nothing_of_theirs_goes_and_all_of_ours_is_written():
    there = {**THERE, "note": [{"text": "theirs"}], "status": "amended"}
    merged = merge(None, there, CORRECTED)
    assert merged.resource["note"] == [{"text": "theirs"}]
    assert merged.resource["status"] == "corrected" and not merged.conflicts


def test_contained_things_are_ours_with_all_that_names_them():
    """A server may rename what is contained: half of its names and half of ours would point nowhere."""

    def holding(name: str, text: str) -> dict:
        inner = {"resourceType": "Medication", "id": name, "code": {"text": text}}
        return {"contained": [inner], "medicationReference": {"reference": f"#{name}"}}

    base, wanted = {**BASE, **holding("a", "one")}, {**CORRECTED, **holding("a", "one")}
    merged = merge(base, {**THERE, **holding("1", "one")}, wanted)
    assert merged.resource["contained"] == wanted["contained"]
    assert merged.resource["medicationReference"] == {"reference": "#a"}


def test_a_narrative_made_anew_by_the_server_is_no_conflict():
    base, there, wanted = (
        {**each, "text": {"status": "generated", "div": f"<div>{words}</div>"}}
        for each, words in ((BASE, "one"), (THERE, "the server's"), (CORRECTED, "two"))
    )
    merged = merge(base, there, wanted)
    assert not merged.conflicts and merged.resource["text"] == wanted["text"]


@pytest.mark.parametrize(
    "there",
    [{**BASE, "status": 5}, {**BASE, "code": "text"}, {**BASE, "identifier": "x"}, {**BASE, "subject": [None]}],
    ids=["status", "code", "identifier", "subject"],
)
def test_wrong_shapes_there_are_conflicts_or_replaced_and_never_raise(there):
    merge(BASE, there, CORRECTED)
    merge(None, there, CORRECTED)


def test_the_same_said_in_another_way_is_the_same():
    assert says_the_same({"value": Decimal("1.50")}, {"value": Decimal("1.5"), "id": "x", "meta": {"versionId": "4"}})
    assert says_the_same({"reference": "Patient/7"}, {"reference": "https://bob/fhir/Patient/7"})
    assert says_the_same({"at": "2026-01-01T10:00:00+01:00"}, {"at": "2026-01-01T09:00:00Z"}) and says_the_same(
        {"a": "b  c"}, {"a": "b c"}
    )
    assert contains({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3}) and not contains(
        {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}]}
    )
    assert (
        says_the_same({"a": []}, {})
        and not says_the_same({"a": True}, {"a": 1})
        and not says_the_same({"a": 1}, {"a": 1, "b": 2})
    )
