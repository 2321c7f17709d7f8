"""What still stands after packets, when a record is withdrawn, and how a copy is marked."""

import pytest

from mappings.model.packet import Manifest, ManifestItem
from mappings.required_codes import _LISTS
from mappings.subject import SUBJECT_ELEMENTS
from mappings.withdrawal import (
    GONE,
    REFILED,
    carried,
    is_a_mass,
    is_marked_in_error,
    marked_in_error,
    why_withdrawn,
    withdrawn_item,
)

PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "mrn", "value": "1"}]}
BASE = "https://placer.example/fhir"


def manifest(*items: ManifestItem) -> Manifest:
    return Manifest(
        packet_id="r-p1",
        request_id="r",
        source_endpoint="a",
        identifier_system="urn:a",
        patient="Patient/p",
        gathered_at="2026-01-01T00:00:00+00:00",
        items=items,
    )


def item(source: str, sha256: str, **more) -> ManifestItem:
    return ManifestItem(source=source, size=1, sha256=sha256, **more)


def test_the_newest_copy_stands_and_what_was_withdrawn_does_not():
    letter = dict(kind="attachment", of="DocumentReference/1#content[0].attachment")
    first = manifest(
        item("Observation/1", "a"), item("DocumentReference/1", "b"), item("DocumentReference/1", "x", **letter)
    )
    stands = carried([first, manifest(item("Observation/1", "c"))])
    assert {source: each.sha256 for source, each in stands.resources.items()} == {
        "Observation/1": "c",
        "DocumentReference/1": "b",
    }
    assert stands.attachments == {letter["of"]: "x"}
    gone = withdrawn_item(stands.resources["DocumentReference/1"], GONE)
    after = carried([first, manifest(gone)])
    assert set(after.resources) == {"Observation/1"} and after.attachments == {}
    assert (gone.kind, gone.sha256, gone.why) == ("withdrawn", "b", GONE)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (None, GONE),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/other"}}, REFILED),
        ({"resourceType": "Observation", "subject": {"reference": f"{BASE}/Patient/other/_history/2"}}, REFILED),
        ({"resourceType": "Observation", "subject": {"identifier": {"system": "mrn", "value": "2"}}}, REFILED),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/p"}}, None),
        ({"resourceType": "Observation", "subject": {"identifier": {"system": "mrn", "value": "1"}}}, None),
        ({"resourceType": "Observation", "subject": {"reference": "https://inner.example/Patient/p"}}, None),
        ({"resourceType": "Observation"}, None),
    ],
)
def test_only_a_source_that_says_so_withdraws(there, why):
    assert why_withdrawn(there, PATIENT, BASE) == why


def test_every_type_whose_status_may_say_so_is_marked_by_it():
    said = {name for names, codes in _LISTS for name in names.split() if "entered-in-error" in codes.split()}
    kinds = {name.removesuffix(".status") for name in said if name.endswith(".status") and name.count(".") == 1}
    kinds &= {kind for kind, elements in SUBJECT_ELEMENTS.items() if elements}
    assert kinds and not {
        kind for kind in kinds if marked_in_error({"resourceType": kind})["status"] != "entered-in-error"
    }


@pytest.mark.parametrize("kind", ["Condition", "AllergyIntolerance"])
def test_a_condition_in_error_has_no_clinical_status(kind):
    marked = marked_in_error({"resourceType": kind, "clinicalStatus": {"text": "active"}, "_clinicalStatus": {}})
    assert set(marked) == {"resourceType", "verificationStatus"} and is_marked_in_error(marked)


@pytest.mark.parametrize("kind", ["Goal", "DocumentReference", "Observation", "Procedure"])
def test_what_is_marked_says_so(kind):
    assert is_marked_in_error(marked_in_error({"resourceType": kind, "status": "final"}))
    assert not is_marked_in_error({"resourceType": kind, "status": "final"})


def test_a_type_without_such_a_mark_is_left_to_a_person():
    assert marked_in_error({"resourceType": "AdverseEvent"}) is None


@pytest.mark.parametrize(
    ("withdrawn", "sent", "percent", "asks"),
    [
        (3, 3, 20, False),  # a few, however small the chart is
        (4, 4, 20, True),
        (4, 20, 20, False),
        (5, 20, 20, True),
        (1000, 10_000, 20, False),
        (2001, 10_000, 20, True),
        (4, 400, 0, True),
        (10_000, 10_000, 100, False),
    ],
)
def test_many_at_once_are_a_mass(withdrawn, sent, percent, asks):
    assert is_a_mass(withdrawn, sent, percent) is asks
