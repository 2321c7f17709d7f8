"""A document takes the shape of the system it goes to, whole, or does not go."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.fitting import Unfit, fit, text_of
from mappings.model.outgoing import Outgoing
from mappings.model.profiles import PROFILES, DocumentHabits
from mappings.model.request import Identifier
from mappings.report_text import PdfText

SYSTEM = "https://second-opinion.example/ids"
PDF = b"%PDF-1.4 synthetic"
VISIT = {
    "resourceType": "Encounter",
    "id": "v1",
    "period": {"start": "2026-05-01T09:00:00Z", "end": "2026-05-01T09:30:00Z"},
}
EPIC, ORACLE, GENERIC = (PROFILES[name].document for name in ("epic", "oracle-health", "generic"))


def read_pdf(data):
    return PdfText("We agree.\nSee table.")


def scan(data):
    return "page 1 of the PDF has no text layer"


def at(data=b"We agree.", kind="text/plain; charset=utf-8", **more):
    return {"attachment": {"contentType": kind, "data": base64.b64encode(data).decode(), "title": "Report", **more}}


def item(*content, **more):
    resource = {
        "resourceType": "DocumentReference",
        "identifier": [{"system": SYSTEM, "value": "DocumentReference/R-77-report-2"}],
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "subject": {"reference": "Patient/p1"},
        "date": "2026-05-02T08:00:00Z",
        "author": [{"display": "Lakeside"}],
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/old"}}],
        "content": list(content or [at()]),
        "context": {"related": [{"reference": "ServiceRequest/s1"}]},
        **more,
    }
    own, earlier = (Identifier(system=SYSTEM, value=f"DocumentReference/R-77-report-{each}") for each in (2, 1))
    return Outgoing("R-77", "d1", own, "SOE ref R-77-2", resource, "Patient/p1", author="Lakeside", replaces=earlier)


def fitted(what, habits, encounter=VISIT, pdf=read_pdf):
    return fit(what, habits, encounter=encounter, read_pdf=pdf)


def text_in(made):
    [content] = made["content"]
    return base64.b64decode(content["attachment"]["data"]).decode()


def test_a_generic_server_gets_all_documents_as_they_are():
    made = fitted(item(at(PDF, "application/pdf"), at()), GENERIC, None)
    assert [each["attachment"]["contentType"] for each in made["content"]] == [
        "application/pdf",
        "text/plain; charset=utf-8",
    ]
    assert made["description"] == "Second opinion consult report by Lakeside, SOE ref R-77-2"


def test_epic_gets_one_text_that_says_what_it_is():
    made = fitted(item(at(PDF, "application/pdf")), EPIC)
    text = text_in(made)
    assert made["content"][0]["attachment"]["contentType"] == "text/plain; charset=utf-8"
    for line in ("This is the second opinion for request R-77.", "SOE ref R-77-2", "From: Lakeside", "See table."):
        assert line in text.split("\n")
    assert "It replaces the earlier report SOE ref R-77-1." in text.split("\n")
    assert made["context"] == {"encounter": [{"reference": "Encounter/v1"}]}
    assert not {"identifier", "description", "relatesTo", "author"} & set(made), "it would not keep them"


def test_several_documents_become_one_text_in_their_order():
    made = fitted(item(at(b"first"), at(PDF, "application/pdf"), at(b"third")), EPIC)
    text = text_in(made)
    assert text.index("first") < text.index("See table.") < text.index("third")


@pytest.mark.parametrize("habits", [EPIC, replace(ORACLE, formats=("text/plain", "application/pdf"))])
def test_one_part_without_words_stops_the_whole_text(habits):
    made = fitted(item(at(b"first"), at(PDF, "application/pdf")), habits, pdf=scan)
    assert isinstance(made, Unfit) and made.cause == "report-no-text"
    assert "document 2 of the report cannot go as text: page 1 of the PDF has no text layer" == made.message


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xfe\xff", "text/plain"),
        (b"x", "image/png"),
        (b"<p>x</p>", "text/html"),
        (b"x", "application/octet-stream"),
    ],
)
def test_what_is_surely_no_text_is_never_guessed(data, kind):
    assert isinstance(fitted(item(at(data, kind)), EPIC), Unfit)


def test_a_pdf_that_nobody_named_is_one():
    assert "See table." in text_in(fitted(item(at(PDF, "application/octet-stream")), EPIC))


def test_oracle_gets_the_pdf_with_period_and_reference():
    made = fitted(item(at(PDF, "application/pdf")), ORACLE)
    assert base64.b64decode(made["content"][0]["attachment"]["data"]) == PDF
    assert made["context"] == {"encounter": [{"reference": "Encounter/v1"}], "period": VISIT["period"]}
    assert made["description"].endswith("SOE ref R-77-2")


def test_text_says_its_character_set_where_only_the_bytes_did():
    made = fitted(item(at("Größe".encode(), "text/plain")), ORACLE)
    assert made["content"][0]["attachment"]["contentType"] == "text/plain; charset=utf-8"
    assert text_in(made) == "Größe"


def test_text_in_another_character_set_is_not_relabelled():
    made = fitted(item(at("Größe".encode("latin-1"), "text/plain; charset=iso-8859-1")), ORACLE)
    assert made["content"][0]["attachment"]["contentType"] == "text/plain; charset=iso-8859-1"


@pytest.mark.parametrize(
    ("own", "visit", "date", "wanted"),
    [
        ({"end": "2026-04-01T10:00:00Z"}, VISIT["period"], "2026-05-02T08:00:00Z", {"end": "2026-04-01T10:00:00Z"}),
        ({"end": "2026-04-01"}, VISIT["period"], "2026-05-02T08:00:00Z", VISIT["period"]),
        ({}, {"start": "2026-05-01T09:00:00Z"}, "2026-05-02T08:00:00Z", {"end": "2026-05-02T08:00:00Z"}),
        ({"end": "2026-04-01"}, {}, None, None),
    ],
)
def test_a_period_is_never_invented(own, visit, date, wanted):
    made = fitted(item(context={"period": own}, date=date), ORACLE, {"id": "v1", "period": visit})
    if wanted is None:
        assert isinstance(made, Unfit) and made.cause == "report-no-time"
    else:
        assert made["context"]["period"] == wanted


def test_without_the_encounter_that_is_demanded_nothing_goes():
    made = fitted(item(), EPIC, None)
    assert isinstance(made, Unfit) and made.cause == "encounter-unclear"


@pytest.mark.parametrize(
    ("said", "written"), [("final", "final"), ("amended", "final"), ("preliminary", "preliminary")]
)
def test_a_signed_report_is_written_as_the_system_writes_one(said, written):
    assert fitted(item(docStatus=said), EPIC)["docStatus"] == written


def test_the_organizations_note_type_is_configured():
    made = fitted(item(), replace(EPIC, type=("urn:oid:1.2.3", "1000")))
    assert made["type"] == {"coding": [{"system": "urn:oid:1.2.3", "code": "1000"}]}


def test_an_author_of_the_systems_own_stays():
    own = {"reference": "Practitioner/1", "display": "Dr A"}
    assert fitted(item(author=[{"display": "Lakeside"}, own]), EPIC)["author"] == [own]


_habits = st.builds(
    DocumentHabits,
    formats=st.sampled_from([(), ("text/plain",), ("application/pdf",), ("application/pdf", "text/plain")]),
    attachments=st.sampled_from(["all", "first"]),
    encounter=st.sampled_from(["never", "if-known", "required"]),
    period=st.booleans(),
    doc_status=st.sampled_from([None, "final", "preliminary"]),
    authors=st.sampled_from(["any", "own"]),
    not_kept=st.sampled_from([(), ("identifier", "context.related")]),
)
_words = st.text(alphabet="abcdef \n", min_size=1, max_size=200).filter(str.strip)
_documents = st.lists(st.tuples(st.booleans(), _words), min_size=1, max_size=4)


@given(_habits, _documents, st.booleans(), st.booleans())
def test_whatever_goes_is_all_of_it_and_no_more_than_the_habits_allow(habits, documents, knows_visit, is_scan):
    content = [
        at(f"%PDF-{words}".encode() if pdf else words.encode(), "application/pdf" if pdf else "text/plain")
        for pdf, words in documents
    ]
    before = item(*content)
    made = fitted(
        before, habits, VISIT if knows_visit else None, scan if is_scan else lambda data: PdfText(data[5:].decode())
    )
    if isinstance(made, Unfit):
        return
    kinds = [each["attachment"]["contentType"].partition(";")[0] for each in made["content"]]
    assert not habits.formats or set(kinds) <= set(habits.formats)
    assert habits.attachments == "all" or len(kinds) == 1
    assert "encounter" in made.get("context", {}) or habits.encounter != "required"
    assert habits.encounter != "never" or "encounter" not in made.get("context", {})
    assert not habits.period or "T" in made["context"]["period"]["end"]
    sent = [base64.b64decode(each["attachment"]["data"]) for each in made["content"]]
    if len(sent) == len(documents) and sent == [base64.b64decode(each["attachment"]["data"]) for each in content]:
        return
    [text] = sent
    words = [word for _, each in documents for word in each.split()]
    found = iter(text.decode().split("-" * 80, 1)[1].split())
    assert "".join(words) in "".join(found) or all(word in text.decode() for word in words)


def test_the_text_of_a_report_is_the_same_each_time():
    assert text_of(item(), read_pdf) == text_of(item(), read_pdf)


def test_no_word_of_a_refusal_comes_from_the_document():
    made = fitted(item(at(b"x", "text/Ada-Example 1960/evil")), EPIC)
    assert isinstance(made, Unfit) and "Ada" not in made.message
