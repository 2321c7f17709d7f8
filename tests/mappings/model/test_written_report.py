"""A report written in parts: every mistake has its field, and nothing is derived."""

from datetime import UTC, datetime

import pytest

from mappings.model.request import Code
from mappings.model.written_report import (
    MAX_PARTS,
    MAX_SUMMARY,
    Agreement,
    Answer,
    Point,
    Test,
    TypedAnswer,
    TypedPoint,
    TypedReport,
    TypedTest,
    WrittenReport,
    shown_report,
    sign_report,
)

NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
GOOD = TypedReport("agrees", "differs", "Less is more.\r\nReally.")


def signed(typed, **more):
    return sign_report(typed, by="Dr Bob Example", now=NOW, **more)


def test_what_was_typed_is_the_report_and_empty_lines_do_not_count():
    typed = TypedReport(
        "agrees",
        "cannot-tell",
        " Less is more.\r\nReally. ",
        points=(TypedPoint(), TypedPoint("stage II", "differs", "It is stage III.")),
        tests=(TypedTest("PET", "http://loinc.org", "44139-4", "PET whole body"), TypedTest(), TypedTest("A biopsy")),
        answers=(TypedAnswer("Can I fly?", "Yes."), TypedAnswer("And ski?", "")),
    )
    report, wrong = signed(typed)
    assert wrong == {}
    assert report == WrittenReport(
        Agreement.AGREES,
        Agreement.CANNOT_TELL,
        "Less is more.\nReally.",
        (Point("stage II", Agreement.DIFFERS, "It is stage III."),),
        (Test("PET", Code(system="http://loinc.org", code="44139-4", display="PET whole body")), Test("A biopsy")),
        (Answer("Can I fly?", "Yes."),),
        "Dr Bob Example",
        NOW,
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"diagnosis": ""}, "diagnosis"),
        ({"plan": "yes"}, "plan"),
        ({"plan": "AGREES"}, "plan"),
        ({"summary": "  "}, "summary"),
        ({"summary": "x" * (MAX_SUMMARY + 1)}, "summary"),
        ({"summary": "a\x00b"}, "summary"),
        ({"summary": "a\ud800b"}, "summary"),
        ({"points": (TypedPoint("", "agrees", ""),)}, "points-1-said"),
        ({"points": (TypedPoint(), TypedPoint("x", "", ""))}, "points-2-agreement"),
        ({"points": (TypedPoint("x", "agrees"),) * (MAX_PARTS + 1)}, "points"),
        ({"tests": (TypedTest("", "http://loinc.org", "1-1"),)}, "tests-1-words"),
        ({"tests": (TypedTest("PET", "", "1-1"),)}, "tests-1-code"),
        ({"answers": (TypedAnswer("Why?", "x" * 4001),)}, "answers-1-words"),
    ],
)
def test_each_mistake_stands_at_its_field(change, field):
    report, wrong = signed(TypedReport(**{**vars(GOOD), **change}))
    assert report is None
    assert list(wrong) == [field]


@pytest.mark.parametrize("by", ["", "  ", "Dr\nBob", "x" * 201])
def test_it_is_signed_by_name(by):
    assert list(sign_report(GOOD, by=by, now=NOW)[1]) == ["signed_by"]


def test_a_file_beside_it_says_what_nobody_had_to_type_again():
    report, _ = signed(TypedReport(), has_document=True)
    assert report == WrittenReport(signed_by="Dr Bob Example", signed_at=NOW)
    assert list(signed(TypedReport(plan="maybe"), has_document=True)[1]) == ["plan"]


def test_five_scripts_and_lines_are_kept():
    words = "Größe 大小 размер مقاس μέγεθος\n\tאבג"
    assert signed(TypedReport("agrees", "agrees", words))[0].summary == words


def test_a_preview_shows_what_is_there_and_derives_nothing():
    shown = shown_report(TypedReport("differs", "hm", "x", points=(TypedPoint("said", "", "mine"),)))
    assert (shown.diagnosis, shown.plan, shown.points[0].agreement) == (Agreement.DIFFERS, None, None)
    assert (shown.signed_by, shown.signed_at) == ("", None)
