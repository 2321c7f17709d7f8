"""Reviewed exceptions: one kind of difference, one place, until a day."""

from datetime import date

import pytest

from mappings.allowances import Allowance, pattern_problem, settled
from mappings.compare import Difference

DAY = date(2026, 3, 1)


def allowance(path: str, difference: str | None = "lost", until: date = DAY) -> Allowance:
    return Allowance(path, difference, "it keeps none", "Dr N.", until)


def lost(path: str, kind: str = "lost") -> Difference:
    return Difference(path, kind, "fail", "it did not come back")


@pytest.mark.parametrize(
    "pattern, path",
    [
        ("Observation.note", "Observation.note"),
        ("Observation.note", "Observation.note[1].text"),
        ("*.text", "Composition.text"),
        ("**.display", "Observation.code.coding[0].display"),
        ("*.contained.*.text", "Basic.contained[0].code.text"),
        ("Patient._birthDate", "Patient._birthDate"),
    ],
)
def test_a_path_covers_an_element_and_what_is_below(pattern, path):
    [(difference, by)] = settled([lost(path)], [allowance(pattern)], DAY)
    assert (difference.severity, by) == ("finding", allowance(pattern))


@pytest.mark.parametrize(
    "pattern, difference",
    [
        ("Observation.note", lost("Observation.notes")),
        ("Observation.note", lost("Observation.component[0].note")),
        ("*.text", lost("Composition.section[0].text")),
        ("Observation.note", lost("Observation.note", "changed")),
        ("**.reference", lost("Observation.subject.reference")),
        ("Basic.**", lost("Basic.subject", "added")),
    ],
)
def test_nothing_else_is_covered_and_never_whose_record_it_is(pattern, difference):
    kinds = (None,) if difference.path.startswith(("Observation.subject", "Basic")) else ("lost",)
    assert settled([difference], [allowance(pattern, kind) for kind in kinds], DAY) == [(difference, None)]


def test_after_its_last_day_a_difference_decides_again():
    assert settled([lost("A.b")], [allowance("A.b")], date(2026, 3, 2)) == [(lost("A.b"), None)]


@pytest.mark.parametrize(
    "path",
    [
        "*",
        "**",
        "*.*",
        "Observation",
        "Observation.**",
        "Observation.note[0]",
        "a b",
        "",
        "*.subject",
        "Task.for.reference",
        "**.patient",
    ],
)
def test_a_pattern_that_lets_everything_pass_or_another_patient_is_refused(path):
    assert pattern_problem(path)


@pytest.mark.parametrize("path", ["*.text", "Observation.note", "**.display", "Patient.contact.*.use"])
def test_a_pattern_that_says_where_is_taken(path):
    assert pattern_problem(path) is None
