"""The parts of a returned report as a Composition: what it says, and when none can be made."""

from dataclasses import replace

from mappings.model.request import Identifier
from mappings.model.written_report import WrittenReport
from mappings.returned_composition import DOCUMENTS, to_returned_composition
from mappings.structure import structure_issues
from mappings.written_report import read_written_report
from tests.mappings.test_written_report import REPORT

OF = dict(
    identifier=Identifier(system="https://exchange.example.org", value="Composition/r1-returned-1"),
    patient="Patient/1",
    documents=["DocumentReference/7", "DocumentReference/8"],
    service_request="ServiceRequest/2",
    author_display="Valley Oncology",
    dated=None,
)
DATED = "2026-06-18T16:30:00Z"


def test_it_says_the_same_in_codes_and_in_sections_and_is_tied_to_the_documents():
    made = to_returned_composition(REPORT, **OF, replaces="Composition/3")
    assert read_written_report(made).report == REPORT and list(structure_issues(made)) == []
    assert made["status"] == "amended" and made["event"] == [{"detail": [{"reference": "ServiceRequest/2"}]}]
    assert made["section"][-1] == {"title": DOCUMENTS, "entry": [{"reference": each} for each in OF["documents"]]}


def test_one_that_nobody_signed_is_dated_by_the_report_and_attested_by_nobody():
    unsigned = replace(REPORT, signed_by="", signed_at=None)
    made = to_returned_composition(unsigned, **{**OF, "dated": DATED}, preliminary=True)
    assert made["date"] == DATED and made["status"] == "preliminary" and "attester" not in made
    assert list(structure_issues(made)) == []


def test_without_a_day_or_an_author_there_is_none():
    assert to_returned_composition(replace(REPORT, signed_at=None), **OF) is None
    assert to_returned_composition(WrittenReport(), **{**OF, "dated": DATED, "author_display": None}) is None
