"""A report in parts as FHIR carries it: there and back, and what another system makes of it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import codes
from mappings.codes import concept
from mappings.consult_report import documents_in, read_report
from mappings.document_reference import inline_bytes, to_attachment
from mappings.model.request import Code, Identifier
from mappings.model.written_report import Agreement, Answer, Point, Test, WrittenReport
from mappings.structure import structure_issues
from mappings.written_report import (
    PDF,
    TEXT,
    UNKNOWN_AGREEMENT,
    About,
    read_written_report,
    retracted,
    to_composition,
    to_report_document,
    to_text,
    unwrapped,
)

SIGNED = datetime(2026, 11, 30, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
ABOUT = About(
    Identifier(system="https://exchange.example.org", value="DocumentReference/r1-report-1"),
    "Patient/1",
    "ServiceRequest/2",
    "Valley Oncology",
    "Composition/4",
)
REPORT = WrittenReport(
    Agreement.AGREES,
    Agreement.DIFFERS,
    "Less is more.\nReally <b>less</b> & later.",
    (Point("stage II", Agreement.PARTLY, "It is between."), Point("surgery", Agreement.CANNOT_TELL)),
    (Test("PET", Code(system="http://loinc.org", code="44139-4", display="PET whole body")), Test("A biopsy")),
    (Answer("Can I fly?", "Yes."),),
    "Dr Bob Example",
    SIGNED,
)

LONG = (
    "For pT3 pN1 disease three months of CAPOX are a reasonable alternative to six months of FOLFOX.\n  - neuropathy is rarer\n"
    "  - " + "capecitabine " * 12
)


def test_a_text_is_shown_with_its_paragraphs_as_they_were_typed():
    """Lines of ours go, lines of its author stay."""
    report = WrittenReport(summary=LONG, signed_by="Dr Bob Example")
    text = to_text(report)
    assert LONG not in text and unwrapped(text, [LONG]).count(LONG) == 1
    assert unwrapped(text, ["something else entirely " * 9]) == text


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60).filter(
    lambda text: text == text.strip() and text
)
agreements = st.sampled_from(list(Agreement))
code = st.builds(Code, system=st.just("http://loinc.org"), code=st.just("1-8"), display=st.none() | words)
reports = st.builds(
    WrittenReport,
    diagnosis=st.none() | agreements,
    plan=st.none() | agreements,
    summary=st.just("") | words,
    points=st.lists(st.builds(Point, said=words, agreement=agreements, words=st.just("") | words), max_size=4).map(
        tuple
    ),
    tests=st.lists(st.builds(Test, words=words, code=st.none() | code), max_size=4).map(tuple),
    answers=st.lists(st.builds(Answer, question=words, words=words), max_size=4).map(tuple),
    signed_by=words,
    signed_at=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),
)


@given(reports)
def test_every_part_comes_back_as_it_was_written(report):
    document = to_report_document(report, ABOUT, [to_attachment(TEXT, b"x")])
    assert read_written_report(document).report == report
    assert read_written_report(to_composition(report, ABOUT)).report == report


def test_what_is_written_is_r4_and_is_read_as_a_final_consult_note():
    document = to_report_document(REPORT, ABOUT, [to_attachment(TEXT, b"words"), to_attachment(PDF, b"%PDF-")])
    assert structure_issues(document) == [] and structure_issues(to_composition(REPORT, ABOUT)) == []
    reading = read_report({**document, "id": "9"})
    assert (reading.final, reading.is_consult_note, reading.problems) == (True, True, ())
    assert (reading.patient, reading.related) == ("Patient/1", ("ServiceRequest/2", "Composition/4"))
    assert [inline_bytes(each.attachment) for each in documents_in(reading)] == [b"words", b"%PDF-"]


def test_a_correction_replaces_and_a_retraction_is_an_error():
    corrected = to_report_document(REPORT, ABOUT, [to_attachment(TEXT, b"x")], replaces="DocumentReference/8")
    reading = read_report(corrected)
    assert reading.replaces == ("DocumentReference/8",) and reading.amended and reading.final
    back = retracted(corrected, "wrong patient")
    assert structure_issues(back) == [] and read_report(back).retracted
    assert read_written_report(back).report == REPORT
    assert retracted(to_composition(REPORT, ABOUT), "x")["status"] == "entered-in-error"


def test_what_another_system_did_not_say_is_not_known():
    assert read_written_report({"resourceType": "DocumentReference"}).report is None
    only = {"url": codes.EXTENSION_WRITTEN_REPORT, "extension": [{"url": "summary", "valueString": "Agrees fully."}]}
    read = read_written_report({"resourceType": "DocumentReference", "extension": [only]})
    assert read.report == WrittenReport(summary="Agrees fully.") and read.problems == ()


@pytest.mark.parametrize(
    "said", [concept(text="agrees"), concept({"system": "http://x.example", "code": "agrees"}), None, 1]
)
def test_an_agreement_that_is_not_known_is_none_and_is_said(said):
    part = {"url": "diagnosis", "valueCodeableConcept": said}
    read = read_written_report({"extension": [{"url": codes.EXTENSION_WRITTEN_REPORT, "extension": [part]}]})
    assert read.report is not None and read.report.diagnosis is None and read.problems == (UNKNOWN_AGREEMENT,)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["url", "extension", "valueString", "valueCodeableConcept", "coding", "text"]), inner
            )
        ),
    )
)
def test_whatever_came_is_read_without_an_error(found):
    read_written_report({"extension": [{"url": codes.EXTENSION_WRITTEN_REPORT, "extension": found}]})
    read_written_report({"extension": found})


def test_the_text_holds_every_word_in_80_columns():
    text = to_text(REPORT, ["Second opinion about request r1"])
    for each in ("Diagnosis: agrees", "Plan: differs from the first opinion", "Less is more.", "stage II", "It is between.", "cannot tell", "PET",
                 "44139-4", "A biopsy", "Can I fly?", "Yes.", "Dr Bob Example"):  # fmt: skip
        assert each in text
    assert max(map(len, text.split("\n"))) <= 80


def test_the_narrative_is_escaped():
    divs = [each["text"]["div"] for each in to_composition(REPORT, ABOUT)["section"]]
    assert any("less&lt;/b&gt; &amp; later" in each for each in divs)
