"""A file is what it says, whole and harmless, or it is refused with what to do; what it says of itself is read."""

import io
import tempfile
import zipfile

import pytest

from integration.arriving import cda
from integration.arriving.files import look
from integration.arriving.refused import Refused
from mappings.received import Identity
from tests.integration.arriving import made


def looked(data: bytes, name: str, claimed: str | None = None, max_bytes: int = 10_000_000):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return look(file, name, claimed, max_bytes=max_bytes, spool=tempfile.TemporaryFile)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200
ARCHIVE = made.zipped({"evil.exe": b"MZ"})


@pytest.mark.parametrize(
    ("data", "name", "key"),
    [
        (made.pdf(), "Path Report.PDF", "pdf"),
        (made.JPEG, "scan.jpeg", "jpeg"),
        (made.png(), "a.png", "png"),
        (made.png() + b"PK\x05\x06" + b"\xff" * 30, "a.png", "png"),
        (made.TIFF, "fax.tif", "tiff"),
        (made.dicom(), "IM0001", "dicom"),
        (made.dicom(), "series.1.2.840", "dicom"),
        (b"II*\0".ljust(128, b"\0") + made.dicom()[128:], "slide.dcm", "dicom"),
        (made.zipped({"IM1": made.dicom()}), "cd.zip", "zip"),
        (made.ccda(), "summary.xml", "ccda"),
        (made.TEXT, "note.txt", "text"),
    ],
)
def test_each_format_that_is_taken_is_known_by_its_bytes(data, name, key):
    assert looked(data, name, "application/octet-stream").format.key == key


@pytest.mark.parametrize(
    ("data", "name", "claimed", "says"),
    [
        (b"", "a.pdf", None, "empty"),
        (made.pdf(), "a.txt", None, "ends in “.txt”, and what is in it is a PDF"),
        (made.pdf(), "a.pdf", "image/png", "sent as image/png"),
        (b"MZ\x90\0" + b"\0" * 100, "a.pdf", None, "no file that is taken here"),
        (made.pdf()[:-40], "a.pdf", None, "cut off"),
        (b"%PDF-1.7\nnothing\n%%EOF", "a.pdf", None, "damaged"),
        (made.locked_pdf(), "a.pdf", None, "locked with a password"),
        (made.pdf(action="<</S /JavaScript /JS (app.alert(1))>>"), "a.pdf", None, "holds a script"),
        (made.pdf(action="<</S /Launch /F (calc.exe)>>"), "a.pdf", None, "starts another program"),
        (made.pdf(action="<</S /GoTo /Next <</S /#4aavaScript /J#53 (x)>> >>"), "a.pdf", None, "holds a script"),
        (HEIC, "IMG_1.HEIC", "image/heic", "HEIC. Save or export it as JPEG"),
        (HEIC, "IMG_1.jpg", "image/jpeg", "HEIC. Save or export it as JPEG"),
        (b"GIF89a" + b"\0" * 50, "a.gif", None, "Save it as PNG or JPEG"),
        (made.zipped({"word/document.xml": b"<a/>"}), "letter.docx", None, "text document. Print it to a PDF"),
        (b"{\\rtf1 hello}", "a.rtf", None, "text document. Print it to a PDF"),
        (b"<html>hello</html>", "a.html", None, "web page. Print it to a PDF"),
        (b"\xef\xbb\xbf" + made.pdf(), "a.pdf", None, "stands before the PDF"),
        (b"\n" + made.pdf(), "a.pdf", None, "stands before the PDF"),
        (b"%PDF-1.4\n" + ARCHIVE, "a.pdf", None, "cut off"),
        (made.pdf() + ARCHIVE, "a.pdf", None, "another file stands behind it"),
        (made.JPEG + ARCHIVE, "a.jpg", None, "another file stands behind it"),
        (made.png() + ARCHIVE, "a.png", None, "another file stands behind it"),
        (made.JPEG + b"\0" * 100_000, "a.jpg", None, "moving picture of a phone"),
        *((begins.ljust(128, b"\0") + made.dicom()[128:], "a.dcm", None, "begins as a program or a document") for begins in (b"MZ", b"\x7fELF", b"<script>", b"%PDF-1.4\n", b"PK\x03\x04")),
        (made.zipped({"IM1": b"MZ".ljust(128, b"\0") + made.dicom()[128:]}), "cd.zip", None, "begins as a program or a document"),
        (made.png()[:-6], "a.png", None, "cut off"),
        (made.JPEG[:-2], "a.jpg", None, "cut off"),
        (made.TIFF[:8], "a.tif", None, "cut off"),
        ("Größe".encode("latin-1"), "a.txt", None, "not in UTF-8"),
        (b"well\x1b[2J", "a.txt", None, "control characters"),
        (made.dicom()[:-1], "a.dcm", None, "cut off"),
        (made.dicom()[:-20], "a.dcm", None, "cut off"),
        (made.dicom()[:400], "a.dcm", None, "which study"),
        (made.dicom(StudyInstanceUID=None), "a.dcm", None, "which study"),
        (made.dicom(Modality=None), "a.dcm", None, "modality"),
        (b"<html>hello</html>", "a.xml", None, "no C-CDA document"),
        (made.ccda()[:-30], "a.xml", None, "damaged or cut off"),
        (made.ccda(head='<!DOCTYPE x [<!ENTITY a "b">]>'), "a.xml", None, "declares entities"),
        (made.ccda(head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'), "a.xml", None, "document type"),
        (made.ccda().decode().replace("UTF-8", "UTF-7").encode(), "a.xml", None, "character encoding"),
        ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a []><a/>'.encode("utf-16"), "a.xml", None, "entities"),
    ],
)  # fmt: skip
def test_what_is_not_what_it_says_is_refused_with_a_sentence(data, name, claimed, says):
    with pytest.raises(Refused, match=says) as refusal:
        looked(data, name, claimed)
    assert "Synthetic" not in str(refusal.value) and str(refusal.value)[-1] == "."


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "empty"),
        ({"a.txt": b"x"}, "no DICOM images"),
        ({"../../etc/cron.d/x": made.dicom()}, "out of its folder"),
        ({"/etc/x": made.dicom()}, "out of its folder"),
        ({"..\\x": made.dicom()}, "out of its folder"),
        ({"C:\\x": made.dicom()}, "out of its folder"),
        ({"a": made.dicom(), "b.zip": made.zipped({"c": b"x"})}, "another zip"),
        ({"a": made.dicom(), "b": made.zipped({"c": b"x"})}, "another zip"),
        ({"a": b"\0" * 50_000_000}, "far more than images"),
        ({"a": made.dicom(1), "b": made.dicom(2, PatientName="Other^Ada")}, "2 different patients"),
        ({"a": made.dicom(1), "b": made.dicom(2, PatientID="M2")}, "2 different patients"),
    ],
)
def test_a_zip_that_is_a_trap_or_mixes_patients_is_refused(files, says):
    with pytest.raises(Refused, match=says):
        looked(made.zipped(files), "cd.zip")


def test_a_zip_that_lies_of_its_sizes_is_cut_or_has_links_or_a_password_is_refused():
    good = made.zipped({"a": made.dicom(), "b": made.dicom(2)})
    with pytest.raises(Refused, match="damaged"):
        looked(good[:-30], "cd.zip")
    size = len(made.dicom()).to_bytes(4, "little")
    with pytest.raises(Refused, match="damaged|far more"):
        looked(good.replace(size, (10).to_bytes(4, "little")), "cd.zip")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(Refused, match="a link"):
        looked(file.getvalue(), "cd.zip")
    locked = bytearray(good)
    locked[good.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Refused, match="password"):
        looked(bytes(locked), "cd.zip")


def test_a_disc_with_a_viewer_travels_as_its_images_alone():
    disc = {
        "DICOMDIR": made.dicom(9),
        "IMAGES/IM1": made.dicom(1),
        "IMAGES/IM2": made.dicom(2),
        "VIEWER.EXE": b"MZ\x90",
    }
    found = looked(made.zipped(disc), "cd.zip")
    assert found.said.left_out == 2 and found.repacked is not None
    with zipfile.ZipFile(found.repacked) as archive:
        assert {each: archive.read(each) for each in archive.namelist()} == {
            name: data for name, data in disc.items() if name.startswith("IMAGES")
        }
    assert looked(made.zipped({"IM1": made.dicom()}), "cd.zip").repacked is None


def test_what_images_and_documents_say_of_themselves_is_read():
    said = looked(made.zipped({"a": made.dicom(1), "b": made.dicom(2)}), "cd.zip").said
    assert said.identity == Identity("Synthetic-Test", "Ada", "1960-01-01", ("M1",))
    [study] = said.studies
    assert (study.uid, study.started_on, study.modalities) == ("1.2.3", "2026-05-30", ["CT"])
    assert [(each.body, each.instances) for each in study.series] == [("ABDOMEN", 2)]
    assert (said.source, said.dated) == ("Elsewhere Radiology", "2026-05-30")
    said = looked(made.ccda(), "a.xml").said
    assert said.identity == Identity("Synthetic-Test", "Ada", "1960-01-01", ("M1",))
    assert said.code and said.code.code == "11488-4"
    assert (said.author, said.source, said.dated) == ("Eve Elsewhere", "Elsewhere Clinic", "2026-05-30")
    assert looked(made.dicom(PatientName="", PatientID="", PatientBirthDate=""), "a.dcm").said.identity is None


def shown(narrative: str) -> str:
    [section] = cda.shown(cda.parsed(io.BytesIO(made.ccda(narrative)))).sections
    assert section.title == "Assessment"
    return section.html


def test_a_narrative_is_shown_as_text_lists_and_tables():
    assert shown("<paragraph>a <content styleCode='Bold'>b</content> &lt; c</paragraph>") == (
        "<p>a <strong>b</strong> &lt; c</p>"
    )
    assert shown("<list listType='ordered'><caption>Next</caption><item>one</item><item>two</item></list>") == (
        "<p><strong>Next</strong></p><ol><li>one</li><li>two</li></ol>"
    )
    table = "<table><thead><tr><th>Test</th></tr></thead><tbody><tr><td colspan='2'>1.10</td></tr></tbody></table>"
    assert '<td colspan="2">1.10</td>' in shown(table) and "<th>Test</th>" in shown(table)


@pytest.mark.parametrize(
    "narrative",
    [
        "<script>alert(1)</script>",
        "<paragraph onclick='alert(1)' style='x'>x</paragraph>",
        "<linkHtml href='javascript:alert(1)'>x</linkHtml>",
        "<table border='1' background='http://evil.example/x'><tbody><tr><td colspan='9999' onload='x'>x</td></tr></tbody></table>",
        "<renderMultiMedia referencedObject='http://evil.example/x'/>",
        "&lt;img src=x onerror=alert(1)&gt;",
        "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>x</script></svg>",
        "<!-- <script> --><paragraph>x<?php x ?></paragraph>",
        "<content>" * 200 + "deep" + "</content>" * 200,
    ],
)
def test_nothing_of_a_document_is_markup_of_ours(narrative):
    html = shown(narrative)
    for word in ("<script", "onclick", "onload", "javascript", "evil", "<img", "<svg", "style", "9999", "<?", "<!--"):
        assert word not in html.replace("&lt;img src=x onerror", ""), html


def test_a_document_inside_is_named_and_not_shown():
    data = made.ccda().replace(
        b"<structuredBody>",
        b"<nonXMLBody><text mediaType='application/pdf'>JVBERi0=</text></nonXMLBody><structuredBody>",
    )
    assert cda.shown(cda.parsed(io.BytesIO(data))).holds == "application/pdf"
