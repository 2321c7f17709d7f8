"""What changed between two checks is said; what only one of them tried is not."""

import pytest

from mappings.check_changes import changes

FOUND = {
    "software": "Epic",
    "software_version": "May 2026",
    "fhir_version": "4.0.1",
    "problems": [],
    "tried": [{"what": "read back", "worked": True, "says": "to the byte"}],
    "writes": [{"write": "report", "road": "fhir-document", "level": "read-back"}],
}


def test_nothing_changed():
    assert changes(FOUND, FOUND) == []


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"software_version": "August 2026"}, "it ran Epic May 2026, and runs Epic August 2026"),
        ({"fhir_version": "5.0.0"}, "it spoke FHIR 4.0.1, and speaks 5.0.0"),
        ({"problems": ["away"]}, "it was usable, and is not"),
        ({"tried": [{"what": "read back", "worked": False, "says": "403"}]}, "read back: it worked, and does not: 403"),
        (
            {"writes": [{"write": "report", "road": "hl7v2", "level": "accepted"}]},
            "report: it went by fhir-document (read-back), and goes by hl7v2 (accepted)",
        ),
        (
            {"writes": [{"write": "report", "road": None, "level": None}]},
            "report: it went by fhir-document (read-back), and goes by no road",
        ),
    ],
)
def test_each_change_is_a_sentence(now, words):
    assert changes(FOUND, FOUND | now) == [words]
    assert len(changes(FOUND | now, FOUND)) == 1, "and back again"


@pytest.mark.parametrize(
    "other", [{"tried": []}, {"tried": [{"what": "read back", "worked": None, "says": ""}]}, {"writes": []}]
)
def test_what_only_one_of_them_tried_is_no_change(other):
    assert changes(FOUND | other, FOUND) == [] and changes(FOUND, FOUND | other) == []


def test_a_check_that_reached_nothing_changes_only_that():
    away = {"endpoint": "mercy", "problems": ["away"]}
    assert changes(FOUND, away) == ["it was usable, and is not"] and changes(away, FOUND) == [
        "it was not usable, and is"
    ]
