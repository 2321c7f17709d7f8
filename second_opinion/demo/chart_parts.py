"""What every resource of the demo chart is made of: the Bundle, codes, dates, attachments, a small PDF."""

import base64
import hashlib
import io
import uuid
from decimal import Decimal

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

NAMESPACE = uuid.UUID("6f0c2f0e-0d5b-5f3e-9f57-1d6f6b0f3c11")
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


class Chart:
    """The Bundle being made: every resource gets the same urn:uuid each time."""

    def __init__(self) -> None:
        self.entries: list[dict] = []

    def add(self, key: str, resource: dict) -> dict:
        """Append one resource; the Reference to it."""
        resource = {"resourceType": resource["resourceType"], "meta": {"tag": [synthetic_tag()]}} | resource
        self.entries.append(
            {"fullUrl": urn(key), "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        )
        return ref(key)


def urn(key: str) -> str:
    """The urn:uuid of the resource called ``key`` in this file."""
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, key)}"


def ref(key: str, display: str | None = None) -> dict:
    """A Reference inside the Bundle."""
    return {"reference": urn(key)} | ({"display": display} if display else {})


def synthetic_tag() -> dict:
    """HL7's own mark for test health data."""
    return {"system": TERMINOLOGY + "v3-ActReason", "code": "HTEST", "display": "test health data"}


def concept(system: str, code: str, display: str, text: str | None = None) -> dict:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text or display}


def loinc(code: str, display: str, text: str | None = None) -> dict:
    """A LOINC concept."""
    return concept(LOINC, code, display, text)


def snomed(code: str, display: str, text: str | None = None) -> dict:
    """A SNOMED CT concept."""
    return concept(SNOMED, code, display, text)


def hl7(system: str, code: str, display: str, text: str | None = None) -> dict:
    """A concept of one of HL7's own code systems."""
    return concept(TERMINOLOGY + system, code, display, text)


def npi(nine_digits: str) -> str:
    """Nine digits and the Luhn check digit of an NPI, counted with the prefix 80840.

    Ours start with 2 (numbers issued so far start with 1) or are the well-known example 123456789.
    """
    digits = [int(digit) for digit in "80840" + nine_digits]
    total = sum(sum(divmod(digit * 2, 10)) if place % 2 == 0 else digit for place, digit in enumerate(reversed(digits)))
    return nine_digits + str(-total % 10)


def at(day: str, hour: str = "08:15") -> str:
    """A date-time in the practice's zone."""
    return f"{day}T{hour}:00-07:00"


def pdf(title: str, lines: list[str]) -> bytes:
    """A small valid one-page PDF, the same bytes each time."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1, pageCompression=0, lang="en")
    canvas.setTitle(title)
    canvas.setFont("Helvetica-Bold", 14)
    canvas.drawString(56, 780, title)
    canvas.setFont("Helvetica", 10)
    for number, line in enumerate(["SYNTHETIC - not a real patient", "", *lines]):
        canvas.drawString(56, 750 - 15 * number, line)
    canvas.save()
    return out.getvalue()


def attachment(data: bytes, content_type: str, title: str, *, url: str | None = None) -> dict:
    """An Attachment with size and hash, by url or inline."""
    where = {"url": url} if url else {"data": base64.b64encode(data).decode()}
    return {
        "contentType": content_type,
        "language": "en",
        **where,
        "size": len(data),
        "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
        "title": title,
    }


def quantity(value: Decimal | str, unit: str) -> dict:
    """A Quantity whose digits stay as written."""
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}
