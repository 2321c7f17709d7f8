"""Which list a request is held against, and why."""

import pytest

from mappings.checklists.choosing import choose
from mappings.checklists.conditions import in_ranges
from tests.mappings.checklists.charts import CATALOG


@pytest.mark.parametrize(
    "said, configured, icd10, nucc, expected",
    [
        (None, None, [], [], "general"),
        (None, None, ["C50.911"], ["207RX0202X"], "breast"),
        (None, None, ["C50.911"], [], "breast"),
        (None, None, [], ["207RX0202X"], "oncology"),
        (None, None, ["I35.0"], ["207RC0000X"], "cardiology"),
        (None, None, ["I35.0"], ["208G00000X"], "cardiac-surgery"),
        (None, None, ["D68.9"], [], "general"),
        (None, "spine", ["C50.911"], [], "spine"),
        ("lung", "spine", ["C50.911"], [], "lung"),
        ("removed-since", None, ["C61"], [], "prostate"),
    ],
)
def test_a_person_then_the_configuration_then_diagnosis_and_specialty(said, configured, icd10, nucc, expected):
    found, why = choose(CATALOG, said=said, configured=configured, icd10=icd10, nucc=nucc)
    assert found.key == expected and why


def test_a_range_holds_both_ends_and_everything_below():
    assert [code for code in ("C14.9", "C15", "C15.9", "C20", "C26.9", "C27") if in_ranges(code, ["C15-C26"])] == [
        "C15",
        "C15.9",
        "C20",
        "C26.9",
    ]
    assert in_ranges("T84.51", ["T84.5-T84.6"]) and not in_ranges("T84.7", ["T84.5-T84.6"])
    assert in_ranges("M89.9", ["M89.9"]) and not in_ranges("M89", ["M89.9"])
