"""A Binary in FHIR XML is unwrapped; any other XML is the attachment itself."""

import pytest

from integration.fhir.binary_xml import Wrapped, binary_in_xml

FHIR = 'xmlns="http://hl7.org/fhir"'


@pytest.mark.parametrize(
    ("document", "wrapped"),
    [
        (f'<Binary {FHIR}><contentType value="text/xml"/><data value="QUE="/></Binary>', Wrapped("QUE=", "text/xml")),
        (
            f'<?xml version="1.0"?><f:Binary {FHIR.replace("xmlns", "xmlns:f")}><f:id value="b"/><f:data value="QQ=="/></f:Binary>',
            Wrapped("QQ==", ""),
        ),
        (f'<Binary {FHIR}><contentType value="a/b"/></Binary>', Wrapped(None, "a/b")),
        (f'<Binary {FHIR}><meta><data value="QQ=="/></meta></Binary>', Wrapped(None, "")),
        ('<ClinicalDocument xmlns="urn:hl7-org:v3"><Binary/></ClinicalDocument>', None),
        ('<Binary><data value="QQ=="/></Binary>', None),
        (f'<!DOCTYPE x [<!ENTITY a "b">]><Binary {FHIR}><data value="&a;"/></Binary>', None),
        (f"<Binary {FHIR}><data", None),
        ("", None),
        ("%PDF-1.4", None),
    ],
)
def test_only_a_binary_is_unwrapped(document, wrapped):
    assert binary_in_xml(document.encode()) == wrapped
