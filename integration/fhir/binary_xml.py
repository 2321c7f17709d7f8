"""A Binary that a server gives as FHIR XML where the attachment itself was meant (https://hl7.org/fhir/R4/binary.html).

HAPI does so for an attachment whose type is XML: it takes the Accept header for a wish of FHIR.
"""

from typing import NamedTuple
from xml.parsers import expat

FHIR_NAMESPACE = b"http://hl7.org/fhir"
_BINARY = "http://hl7.org/fhir Binary"


class Wrapped(NamedTuple):
    """What a Binary holds: base64 as it stood there, None where there is none."""

    data: str | None
    content_type: str


def binary_in_xml(document: bytes) -> Wrapped | None:
    """What the Binary holds; None when the document is something else, such as a CDA that was asked for.

    Nothing is expanded and nothing is fetched: a document with a DOCTYPE is no FHIR, so it is never a Binary.
    """
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text, parser.StartElementHandler, parser.EndElementHandler = True, reading.start, reading.end
    parser.StartDoctypeDeclHandler = reading.doctype
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, _NoBinary):
        return None
    return Wrapped(reading.values.get("data"), reading.values.get("contentType") or "")


class _NoBinary(Exception):
    """The document is not a Binary."""


class _Reading:
    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 0 and name != _BINARY:
            raise _NoBinary
        if self.depth == 1 and "value" in attributes:
            self.values[name.rpartition(" ")[2]] = attributes["value"]
        self.depth += 1

    def end(self, name: str) -> None:
        self.depth -= 1

    def doctype(self, *_: object) -> None:
        raise _NoBinary
