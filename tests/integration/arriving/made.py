"""Files that people hand in, made here: whole ones and hostile ones, all of a synthetic patient."""

import io
import struct
import zipfile
import zlib

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from reportlab.pdfgen.canvas import Canvas

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\0" * 64 + b"\xff\xd9"
TIFF = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + b"\0" * 8
TEXT = "Ada Synthetic-Test: she is well. Größe 1 cm.\n".encode()


def pdf(words: str = "Pathology report (synthetic)", action: str = "") -> bytes:
    """A PDF of one page; ``action``: what its catalog does when it is opened."""
    file = io.BytesIO()
    canvas = Canvas(file, invariant=True)
    canvas.drawString(72, 720, words)
    canvas.showPage()
    canvas.save()
    data = file.getvalue()
    return data.replace(b"/Type /Catalog", f"/Type /Catalog /OpenAction {action}".encode()) if action else data


def locked_pdf(password: str = "secret") -> bytes:
    """One that opens with a password only."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(io.BytesIO(pdf())))
    writer.encrypt(password, algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def png() -> bytes:
    """A picture of one point."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def dicom(number: int = 1, **said) -> bytes:
    """One CT image; ``said`` changes elements of its header, None leaves one out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    elements = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.3.4.{number}",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientName": "Synthetic-Test^Ada",
        "PatientID": "M1",
        "PatientBirthDate": "19600101",
        "StudyDate": "20260530",
        "StudyDescription": "CT abdomen (synthetic)",
        "Modality": "CT",
        "BodyPartExamined": "ABDOMEN",
        "InstitutionName": "Elsewhere Radiology",
        "Rows": 2,
        "Columns": 2,
        "PixelData": b"\0" * 8,
        **said,
    }
    for name, value in elements.items():
        if value is not None:
            setattr(image, name, value)
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return file.getvalue()


def ccda(narrative: str = "<paragraph>well</paragraph>", *, family: str = "Synthetic-Test", head: str = "") -> bytes:
    """A C-CDA consultation note with one section."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <code code="11488-4" codeSystem="2.16.840.1.113883.6.1" displayName="Consultation note"/>
  <title>Consultation (synthetic)</title>
  <effectiveTime value="202605301015+0000"/>
  <recordTarget><patientRole><id root="1.2.3" extension="M1"/>
    <patient><name><given>Ada</given><family>{family}</family></name><birthTime value="19600101"/></patient>
  </patientRole></recordTarget>
  <author><assignedAuthor><assignedPerson><name><given>Eve</given><family>Elsewhere</family></name></assignedPerson></assignedAuthor></author>
  <custodian><assignedCustodian><representedCustodianOrganization><name>Elsewhere Clinic</name></representedCustodianOrganization></assignedCustodian></custodian>
  <component><structuredBody><component><section>
    <title>Assessment</title><text>{narrative}</text>
  </section></component></structuredBody></component>
</ClinicalDocument>""".encode()
