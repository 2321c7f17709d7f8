"""An impression is cut out of a report by its heading, and is nothing else than the report's own words."""

import pytest

from mappings.reading.examinations import examination, impression_of
from mappings.rendition.words import Words
from tests.mappings.reading.chart_factory import report

TEXT = "CT CHEST\nFINDINGS: Two nodules.\nIMPRESSION:\n1. Stable.\n2. No effusion.\nRECOMMENDATION: CT in 3 months.\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (TEXT, "1. Stable.\n2. No effusion."),
        ("Impression: clear lungs", "clear lungs"),
        ("IMPRESSION\nclear\n\nSigned by N.N.", "clear\n\nSigned by N.N."),
        ("My impression was good.", ""),
        ("FINDINGS: none", ""),
        ("IMPRESSION:\n\nPLAN: none", ""),
        ("IMPRESSION: first\nADDENDUM: later\nIMPRESSION: second", "second"),
        ("", ""),
    ],
)
def test_the_words_under_the_last_such_heading(text, part):
    assert impression_of(text) == part
    assert part in text


def test_a_stored_document_is_quoted_with_the_place_where_it_stands():
    made = report(1, "2026-01-01", presentedForm=[{"contentType": "text/plain", "url": "Binary/1"}])
    place = "DiagnosticReport/r1#DiagnosticReport.presentedForm[0]"
    found = examination(made, {}, Words({}), {place: TEXT}.get)
    [quoted] = found.impressions
    assert (quoted.by, quoted.value.at) == ("heading", "presentedForm[0]") and quoted.value.words in TEXT
    assert examination(made, {}, Words({}), lambda place: None).why == "documents"
    assert examination(report(1, "2026"), {}, Words({}), lambda place: None).why == "nothing"


def test_a_result_that_is_called_the_impression_is_quoted():
    result = {
        "resourceType": "Observation",
        "id": "i",
        "code": {"coding": [{"system": "http://loinc.org", "code": "19005-8"}]},
        "valueString": "No acute abnormality",
    }
    made = report(1, "2026-01-01", result=[{"reference": "Observation/i"}])
    [quoted] = examination(made, {"Observation/i": result}, Words({}), lambda place: None).impressions
    assert (quoted.source, quoted.value.at, quoted.value.words) == (
        "Observation/i",
        "valueString",
        "No acute abnormality",
    )
