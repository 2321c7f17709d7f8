"""The consult report: found, read, and written back."""

import pytest

from mappings import codes
from mappings.consult_report import (
    REPORT_STATUSES,
    carries_the_same,
    documents_in,
    read_report,
    successor,
    to_return_first,
    to_returned_report,
)
from mappings.document_reference import attachments, inline_bytes
from mappings.model.errors import MappingError
from mappings.model.request import Identifier
from tests.mappings.mapping_factories import (
    IDS,
    check_with_fhir_resources,
    check_with_fhirclient,
    examples,
    fulfiller_report,
    needs_data,
)


def document(**changes):
    made = {**fulfiller_report(), **changes}
    return {name: value for name, value in made.items() if value is not None}


def diagnostic(status="final", **changes):
    return {
        "resourceType": "DiagnosticReport",
        "id": "d1",
        "status": status,
        "code": codes.concept(codes.CONSULTATION_NOTE),
        "subject": {"reference": "Patient/s9"},
        "basedOn": [{"reference": "ServiceRequest/s1/_history/2"}],
        "issued": "2026-06-18T16:30:00Z",
        "effectiveDateTime": "2026-06-18",
        "presentedForm": [{"contentType": "application/pdf", "url": "Binary/b1"}],
        **changes,
    }


def returned(resource, **changes):
    values = {
        "reading": read_report(resource),
        "bytes": b"%PDF",
        "content_type": "application/pdf",
        "request_id": "r-1",
        "identifier": Identifier(system=IDS, value="DocumentReference/r-1-report"),
        "patient": "Patient/p1",
        "service_request": "ServiceRequest/9",
        "revision": 1,
        "replaces": None,
        "author_display": None,
        **changes,
    }
    made = to_returned_report(**values)
    check_with_fhir_resources(made)
    check_with_fhirclient(made)
    return made


def test_it_reads_a_document():
    reading = read_report(document())
    assert (reading.reference, reading.version, reading.patient) == ("DocumentReference/rep1", "2", "Patient/s9")
    assert reading.identifier == Identifier(system="https://summit.example/reports", value="R-77")
    assert reading.related == ("ServiceRequest/s1",)
    assert (reading.final, reading.amended, reading.retracted) == (True, False, False)
    assert (reading.problems, len(reading.attachments)) == ((), 1)


def test_it_reads_a_diagnostic_report():
    reading = read_report(diagnostic())
    assert (reading.related, reading.final, reading.problems) == (("ServiceRequest/s1",), True, ())
    assert (reading.date, reading.period_end) == ("2026-06-18T16:30:00Z", "2026-06-18")
    assert reading.attachments[0].attachment["url"] == "Binary/b1"


@pytest.mark.parametrize("status", REPORT_STATUSES)
def test_every_status_of_a_diagnostic_report_is_one_thing(status):
    reading = read_report(diagnostic(status))
    assert reading.final is (status in ("final", "amended", "corrected", "appended"))
    assert reading.amended is (status in ("amended", "corrected", "appended"))
    assert reading.retracted is (status == "entered-in-error")
    assert ("report.not-final" in reading.problems) is not (reading.final or reading.retracted)


@pytest.mark.parametrize(
    ("change", "final", "amended", "retracted"),
    [
        ({"docStatus": None}, True, False, False),
        ({"docStatus": "amended"}, True, True, False),
        ({"docStatus": "preliminary"}, False, False, False),
        ({"status": "superseded"}, False, False, False),
        ({"status": "entered-in-error"}, False, False, True),
        ({"docStatus": "entered-in-error"}, False, False, True),
        ({"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/rep0"}}]}, True, True, False),
        ({"relatesTo": [{"code": "signs", "target": {"reference": "DocumentReference/rep0"}}]}, True, False, False),
    ],
)
def test_a_document_says_whether_it_is_final_amended_or_retracted(change, final, amended, retracted):
    reading = read_report(document(**change))
    assert (reading.final, reading.amended, reading.retracted) == (final, amended, retracted)


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (document(status="banana"), "report.unknown-status"),
        (document(docStatus="banana"), "report.unknown-doc-status"),
        (document(subject=None), "report.no-patient"),
        (document(content=[]), "report.no-attachment"),
        (document(status="superseded"), "report.superseded"),
        (document(date="2026-06-18"), "report.date-not-an-instant"),
        (diagnostic("banana"), "report.unknown-status"),
        (diagnostic(presentedForm=[]), "report.no-attachment"),
    ],
)
def test_it_says_what_is_wrong_with_it(resource, problem):
    assert problem in read_report(resource).problems


def test_it_names_what_it_replaces():
    links = [{"code": "replaces", "target": {"reference": "DocumentReference/rep0"}}]
    assert read_report(document(relatesTo=links)).replaces == ("DocumentReference/rep0",)


def test_another_resource_is_no_report():
    with pytest.raises(MappingError):
        read_report({"resourceType": "Observation"})


def test_it_returns_the_same_bytes_as_a_consult_note_for_the_ehrs_own_patient():
    made = returned(document())
    assert inline_bytes(attachments(made)[0].attachment) == b"%PDF"
    assert codes.has_code(made["type"], codes.CONSULTATION_NOTE)
    assert (made["subject"], made["status"], made["docStatus"]) == ({"reference": "Patient/p1"}, "current", "final")
    assert made["context"]["period"] == {"end": "2026-06-18T16:30:00-07:00"}
    assert "Patient/s9" not in str(made) and "summit.example" not in str(made)


def test_it_returns_traceable_to_their_request_and_ours():
    related = returned(document())["context"]["related"]
    assert related[0] == {"reference": "ServiceRequest/9"}
    assert related[1]["identifier"] == {"system": IDS, "value": "ServiceRequest/r-1"}


def test_without_their_request_it_is_related_to_ours_once():
    ours = Identifier(system=IDS, value="ServiceRequest/r-1")
    assert len(returned(document(), service_request=ours)["context"]["related"]) == 1


@pytest.mark.parametrize(
    ("resource", "change", "status", "doc_status"),
    [
        (document(docStatus="amended"), {}, "current", "amended"),
        (diagnostic("corrected"), {}, "current", "amended"),
        (document(), {"revision": 2, "replaces": "DocumentReference/1"}, "current", "amended"),
        (document(docStatus="preliminary"), {}, "current", "preliminary"),
        (diagnostic("partial"), {}, "current", "preliminary"),
        (document(status="entered-in-error"), {}, "entered-in-error", "entered-in-error"),
        (
            diagnostic("entered-in-error"),
            {"revision": 2, "replaces": "DocumentReference/1"},
            "entered-in-error",
            "entered-in-error",
        ),
    ],
)
def test_it_returns_with_the_status_it_has(resource, change, status, doc_status):
    made = returned(resource, **change)
    assert (made["status"], made["docStatus"]) == (status, doc_status)


@pytest.mark.parametrize(
    "resource",
    [
        document(status="superseded"),
        diagnostic("unknown"),
        diagnostic("cancelled"),
        diagnostic("registered"),
        document(status="banana"),
    ],
)
def test_what_is_not_known_to_be_final_is_not_returned_as_final(resource):
    with pytest.raises(MappingError, match="not returned"):
        returned(resource)


def test_a_later_revision_without_the_earlier_copy_is_refused():
    with pytest.raises(MappingError, match="relatesTo"):
        returned(document(), revision=2)


def replacing(name, *others, base="", **changes):
    links = [{"code": "replaces", "target": {"reference": f"{base}DocumentReference/{each}"}} for each in others]
    return read_report(document(id=name, relatesTo=links, **changes), "https://summit.example/fhir")


LETTER = {"type": {"text": "letter"}}


@pytest.mark.parametrize(
    ("reports", "first"),
    [
        ([replacing("a", **LETTER), replacing("b")], "b"),
        ([replacing("a", **LETTER), replacing("b", **LETTER)], "a"),
        ([replacing("a"), replacing("b", "a")], "b"),
        ([replacing("a", status="superseded"), replacing("b", **LETTER)], "b"),
        ([replacing("a", docStatus="preliminary"), replacing("b")], "b"),
        ([replacing("a", status="entered-in-error"), replacing("b")], "b"),
    ],
)
def test_of_several_the_consult_note_that_stands_goes_first(reports, first):
    assert to_return_first(reports).reference == f"DocumentReference/{first}"


@pytest.mark.parametrize(
    ("reports", "newest"),
    [
        ([replacing("b", "a", base="https://summit.example/fhir/")], "b"),
        ([replacing("c", "b"), replacing("b", "a")], "c"),
        ([replacing("b")], None),
        ([replacing("b", "a", base="https://elsewhere.example/fhir/")], None),
        ([replacing("b", "a", docStatus="preliminary")], None),
        ([replacing("b", "a", status="entered-in-error")], None),
        ([replacing("b", "a", status="superseded")], None),
        ([replacing("a", "a")], None),
        ([replacing("b", "a", "c"), replacing("c", "b")], "c"),
    ],
)
def test_a_successor_says_itself_that_it_replaces_the_report(reports, newest):
    found = successor(reports, "DocumentReference/a")
    assert (found and found.reference) == (newest and f"DocumentReference/{newest}")


def test_one_document_shown_in_two_ways_is_known_by_its_attachments():
    pdf = {"contentType": "application/pdf", "url": "Binary/b1"}
    shown = read_report(document(content=[{"attachment": pdf}]))
    assert carries_the_same(shown, read_report(diagnostic())) and not carries_the_same(shown, read_report(document()))
    assert not carries_the_same(read_report(document(content=[])), read_report(document(content=[])))


def test_its_documents_are_its_own_attachments_with_bytes_or_an_address():
    photo = {"resourceType": "Practitioner", "id": "p", "photo": [{"url": "Binary/photo"}]}
    made = diagnostic(
        contained=[photo], presentedForm=[{"url": "Binary/b1"}, {"title": "to follow"}, {"data": "JVBERg=="}]
    )
    assert [each.attachment for each in documents_in(read_report(made))] == [{"url": "Binary/b1"}, {"data": "JVBERg=="}]


def test_further_documents_of_a_report_stand_beside_the_first():
    made = returned(document(), more=[(b"table", "text/csv")])
    assert [each["attachment"]["title"] for each in made["content"]] == [
        "Second opinion consult report (1 of 2)",
        "Second opinion consult report (2 of 2)",
    ]
    assert [inline_bytes(each.attachment) for each in attachments(made)] == [b"%PDF", b"table"]


@needs_data
@pytest.mark.parametrize("kind", ["DocumentReference", "DiagnosticReport"])
def test_it_reads_every_official_example(kind):
    for folder in ("r4-examples", "us-core-examples"):
        for each in examples(folder, kind):
            assert read_report(each).reference == f"{kind}/{each['id']}"
