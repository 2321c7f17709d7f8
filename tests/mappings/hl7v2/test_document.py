"""A consult report as a document message: valid HL7, the same at each send, nothing lost without a word and nothing guessed."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.fitting import Unfit
from mappings.hl7v2.document import Habits, Made, control_id_of, read_document, to_message
from mappings.model.request import Identifier
from mappings.report_text import PdfText
from tests.integration.roads.attempts import document
from tests.servers.vendors.charts import person

AT = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
HABITS = Habits("SECOND-OPINION", "EXCHANGE", "EHR", "HILLSIDE", processing_id="T")
PDF = (b"%PDF-1.4 the bytes of a scan", "application/pdf")
SCRIPTS = (
    "Grüße, señor Łukasz",
    "Ελληνικά κείμενο",
    "Кириллица: ёж",
    "עברית שלום",
    "العربية مرحبا",
    "हिन्दी नमस्ते",
    "ไทย สวัสดี",
    "中文病历 𠮷",
    "日本語カルテ",
    "한국어 의무기록",
)


def made(item=None, habits=HABITS, patient=None, encounter=None, pdf=PdfText("words of a PDF")) -> Made | Unfit:
    item = replace(item or document("Patient/1"), patient_resource=patient or person())
    return to_message(item, habits, encounter=encounter, at=AT, read_pdf=lambda data: pdf)


def segments(message: Made | Unfit, name: str) -> list[list[str]]:
    assert isinstance(message, Made), message
    lines = message.data.decode().split("\r")
    return [each.split("|") for each in lines if each.startswith(f"{name}|")]


def must_be_valid(message: Made | Unfit) -> None:
    """By hl7apy's tables; it knows the names of two structures only in 2.3."""
    assert isinstance(message, Made), message
    text = message.data.decode()
    if "|2.3|" in text.split("\r")[0]:
        text = text.replace("MDM^T10", "MDM^T02").replace("MDM^T11", "MDM^T01")
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    assert Validator.validate(parsed)


ORIGINAL, REPLACEMENT = document("Patient/1"), document("Patient/1", revision=2, replaces="R-77-1")
ITEMS = {
    "text": ORIGINAL,
    "pdf": document("Patient/1", PDF),
    "two": document("Patient/1", PDF, (b"and in words", "text/plain; charset=utf-8")),
    "replacement": REPLACEMENT,
    "retraction": replace(REPLACEMENT, retracts=True),
}


@pytest.mark.parametrize("version", ["2.3", "2.4", "2.5.1"])
@pytest.mark.parametrize("name", ITEMS)
def test_every_message_is_valid(name, version):
    must_be_valid(made(ITEMS[name], replace(HABITS, version=version)))


def test_one_report_has_one_number_and_one_control_id_however_often_it_is_made():
    one, other = made(), made(habits=replace(HABITS, document="text"))
    assert isinstance(one, Made) and isinstance(other, Made)
    assert (one.control_id, one.number) == (other.control_id, other.number) and one.number == "R-77-1"
    assert len(one.control_id) == 20 and one.control_id != control_id_of(Identifier(system="a", value="b"))
    assert segments(one, "MSH")[0][9] == one.control_id and segments(one, "TXA")[0][12] == "R-77-1^SECOND-OPINION"


def test_what_replaces_names_its_parent_and_what_takes_back_names_the_document_itself():
    [replacing], [retracting] = segments(made(ITEMS["replacement"]), "TXA"), segments(made(ITEMS["retraction"]), "TXA")
    assert (replacing[12], replacing[13]) == ("R-77-2^SECOND-OPINION", "R-77-1^SECOND-OPINION")
    assert retracting[12] == "R-77-1^SECOND-OPINION" and retracting[19] == "CA"
    assert segments(made(ITEMS["retraction"]), "OBX") == []


def test_what_replaces_a_copy_of_another_road_is_new_and_says_so():
    message = made(replace(REPLACEMENT, replaces_reference=None))
    assert isinstance(message, Made) and message.kind == "MDM^T02"
    assert any("another road" in each for each in message.notes)


@pytest.mark.parametrize(
    ("status", "completion", "result"), [("final", "AU", "F"), ("amended", "AU", "C"), ("preliminary", "IP", "P")]
)
def test_the_status_is_what_the_report_says(status, completion, result):
    message = made(document("Patient/1", docStatus=status))
    assert segments(message, "TXA")[0][17] == completion and segments(message, "OBX")[0][11] == result


def test_a_report_that_does_not_say_whether_it_is_final_is_not_sent():
    assert isinstance(found := made(document("Patient/1", docStatus=None)), Unfit) and "TXA-17" in found.message


def test_a_pdf_goes_whole_and_a_text_line_by_line():
    [pdf] = segments(made(ITEMS["pdf"]), "OBX")
    assert pdf[2] == "ED" and base64.b64decode(pdf[5].split("^")[4]) == PDF[0]
    assert [each[5] for each in segments(made(), "OBX")] == [
        "We agree with the first opinion.",
        "Stop warfarin five days before.",
    ]


def test_where_only_text_is_taken_a_pdf_goes_as_its_words_or_not_at_all():
    text = replace(HABITS, document="text")
    lines = [each[5] for each in segments(made(ITEMS["pdf"], text), "OBX")]
    assert "words of a PDF" in lines and "SOE ref R-77-1" in lines
    assert isinstance(made(ITEMS["pdf"], text, pdf="it is a scan"), Unfit)


def test_what_a_person_searches_for_stands_in_every_message():
    for name in ("text", "pdf", "replacement"):
        assert "SOE ref R-77-" in segments(made(ITEMS[name]), "OBX")[0][3]


@pytest.mark.parametrize("words", SCRIPTS)
def test_ten_scripts_survive(words):
    patient = person(name=[{"family": words, "given": ["A|B^C&D~E\\F"]}])
    message = made(document("Patient/1", (words.encode(), "text/plain; charset=utf-8")), patient=patient)
    must_be_valid(message)
    assert isinstance(message, Made) and "?" not in message.data.decode()
    read = hl7.parse(message.data.decode())
    assert read.extract_field("OBX", 1, 5) == words and read.extract_field("PID", 1, 5, 1, 1) == words
    assert read.extract_field("PID", 1, 5, 1, 2) == "A|B^C&D~E\\F"


@pytest.mark.parametrize(("words", "charset"), [(SCRIPTS[0], "8859/2"), (SCRIPTS[1], "8859/7"), (SCRIPTS[2], "8859/5")])
def test_another_character_set_is_written_where_it_has_all_letters(words, charset):
    words = words.replace("ñ", "n")
    message = made(
        document("Patient/1", (words.encode(), "text/plain; charset=utf-8")), replace(HABITS, character_set=charset)
    )
    assert isinstance(message, Made)
    assert words in message.data.decode(f"iso8859-{charset.partition('/')[2]}")


@pytest.mark.parametrize("words", SCRIPTS[1:])
def test_what_does_not_fit_a_character_set_is_refused_by_place_and_never_a_question_mark(words):
    latin = replace(HABITS, character_set="8859/1")
    found = made(document("Patient/1", (words.encode(), "text/plain; charset=utf-8")), latin)
    assert isinstance(found, Unfit) and "OBX-5" in found.message and words not in found.message
    found = made(habits=latin, patient=person(name=[{"family": words}]))
    assert isinstance(found, Unfit) and "PID-5" in found.message and words not in found.message


def test_a_patient_without_a_number_of_their_own_there_is_not_named_by_guess():
    found = made(patient=person(identifier=[{"system": "urn:insurer", "value": "P1"}]))
    assert isinstance(found, Unfit) and "PID-3" in found.message
    named = replace(HABITS, patient_systems=("urn:insurer",), authorities={"urn:insurer": "INS^1.2.3^ISO"})
    [pid] = segments(made(habits=named, patient=person(identifier=[{"system": "urn:insurer", "value": "P1"}])), "PID")
    assert pid[3] == "P1^^^INS&1.2.3&ISO"


def test_a_visit_is_named_as_far_as_it_is_known():
    visit = {
        "resourceType": "Encounter",
        "class": {"code": "AMB"},
        "identifier": [{"system": "urn:visits", "value": "V9"}],
        "period": {"start": "2026-05-01T09:00:00Z", "end": "2026-05-01T09:30:00Z"},
    }
    message = made(encounter=visit)
    must_be_valid(message)
    [pv1] = segments(message, "PV1")
    assert (pv1[2], pv1[19], pv1[44]) == ("O", "V9^^^&urn:visits&URI", "20260501090000+0000")
    unclear = made(encounter={"class": {"code": "XYZ"}, "identifier": [{"value": "1"}, {"value": "2"}]})
    assert isinstance(unclear, Made) and segments(unclear, "PV1")[0][2:] == ["U"]
    assert sum("visit" in each for each in unclear.notes) == 2


def test_the_order_of_the_placer_is_named():
    related = [
        {"identifier": {"system": "urn:oid:1.2.3", "value": "PO-5"}},
        {"identifier": ORIGINAL.identifier.model_dump()},
    ]
    [txa] = segments(made(document("Patient/1", context={"related": related})), "TXA")
    assert txa[14] == "PO-5^^1.2.3^ISO"


@pytest.mark.parametrize("name", ITEMS)
def test_it_reads_its_own_messages(name):
    message = made(ITEMS[name])
    assert isinstance(message, Made)
    read = read_document(message.data)
    assert (read.kind, read.number, read.doc_status) == (message.kind, message.number, "final")


@settings(max_examples=150, deadline=None)
@given(words=st.text(min_size=1, max_size=60))
def test_any_name_and_title_come_back_as_they_were(words):
    patient = person(name=[{"family": words}])
    message = made(patient=patient)
    if isinstance(message, Unfit):  # half a letter, which no character set has, or no name at all
        assert any(0xD800 <= ord(each) <= 0xDFFF for each in words)
        return
    read = hl7.parse(message.data.decode())
    assert [str(each[0]) for each in read] == ["MSH", "EVN", "PID", "PV1", "TXA", "OBX", "OBX"]
    assert read.extract_field("PID", 1, 5, 1, 1) == words.strip()
