"""Bytes are fetched from where they are, whole, or their place is named; empty is no document."""

import base64
import hashlib

import pytest

from tests.servers.unkind_source import b64, document, observation

pytestmark = pytest.mark.postgres
PDF = b"%PDF-1.4 synthetic"
CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
LETTER = {"contentType": "application/pdf", "url": "Binary/b1"}
EXTERNAL = {
    "extension": [{"url": "http://hapifhir.io/fhir/StructureDefinition/externalized-binary-id", "valueString": "a"}]
}
PLACE = "DocumentReference/d1#DocumentReference.content[0].attachment"


def serving(path: str, body: bytes, kind: str = "application/pdf", status: int = 200):
    return lambda asked, query: (status, body, kind) if asked == path else None


def sent(gathering) -> bytes:
    [there] = gathering.exchange.find("bob", "DocumentReference")
    return base64.b64decode(there["content"][0]["attachment"]["data"])


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("Binary/b1", "/fhir/Binary/b1"),
        ("/Binary/b1", "/fhir/Binary/b1"),
        ("/fhir/Binary/b1", "/fhir/Binary/b1"),
        ("Binary/b1/_history/2", "/fhir/Binary/b1/_history/2"),
        ("{own}/Binary/b1", "/fhir/Binary/b1"),
        ("{https}/Binary/b1", "/fhir/Binary/b1"),
        ("{inner}/Binary/b1", "/fhir/Binary/b1"),
        (" Binary/b1 ", "/fhir/Binary/b1"),
        ("Binary/my file.pdf", "/fhir/Binary/my file.pdf"),
        ("Binary/" + "Ab3_" * 20, "/fhir/Binary/" + "Ab3_" * 20),
    ],
)
def test_an_address_of_the_source_is_fetched_whatever_its_spelling(gathering, url, path):
    source = gathering.source
    source.full_url = inner = "http://fhir-app-01.internal:8080/fhir"
    names = {"own": source.address, "https": source.address.replace("http:", "https:"), "inner": inner}
    source.put(document({**LETTER, "url": url.format(**names)}))
    source.also = serving(path, PDF)
    request_id = gathering.gather()
    assert gathering.exchange.view(request_id)["records"] == "verified", gathering.message(request_id)
    assert sent(gathering) == PDF


@pytest.mark.parametrize("paths", [("/files",), ()])
def test_a_file_outside_the_base_is_fetched_only_where_the_configuration_says_so(gathering, paths):
    world = gathering.exchange.world
    alice = world.config.endpoints["alice"].model_copy(update={"file_paths": paths})
    world.servers._endpoints = {**world.config.endpoints, "alice": alice}
    gathering.source.put(document({**LETTER, "url": "/files/letter.pdf"}))
    gathering.source.also = serving("/files/letter.pdf", PDF)
    request_id = gathering.gather()
    if paths:
        assert sent(gathering) == PDF
    else:
        assert gathering.exchange.parked(request_id) == ["record-partial"]
        assert "neither base_url nor file_paths" in gathering.message(request_id)


@pytest.mark.parametrize(
    ("attachment", "answer"),
    [
        (LETTER, (200, b"", "application/pdf")),
        (LETTER, (204, b"", "application/pdf")),
        (LETTER, (200, b'{"resourceType": "Binary", "id": "b1"}', "application/fhir+json")),
        (LETTER, (200, b'{"resourceType": "Binary", "data": "  "}', "application/fhir+json")),
        (LETTER, (200, b'{"resourceType": "Binary", "data": 5}', "application/fhir+json")),
        (LETTER, (200, b'<Binary xmlns="http://hl7.org/fhir"><id value="b1"/></Binary>', "application/fhir+xml")),
        (LETTER, (403, b"", "text/plain")),
        (LETTER, (404, b"", "text/plain")),
        ({**LETTER, "hash": b64(hashlib.sha1(b"other").digest())}, (200, PDF, "application/pdf")),
        ({"contentType": "application/pdf", "url": ""}, None),
        ({"contentType": "application/pdf", "url": " "}, None),
        ({"contentType": "application/pdf", "url": 7}, None),
        ({"contentType": "application/pdf", "url": None, "_url": {}}, None),
        ({"contentType": "application/pdf", "size": 89471, "_data": EXTERNAL}, None),
        ({"contentType": "application/pdf", "data": ""}, None),
        ({"contentType": "application/pdf", "data": " \n"}, None),
        ({"contentType": "application/pdf", "data": "not base64!"}, None),
        ({"contentType": "application/pdf", "data": 5}, None),
        ({"contentType": "application/pdf", "data": ["QQ=="]}, None),
        ({"url": "data:application/pdf;base64,"}, None),
        ({"url": "data:application/pdf"}, None),
        ({"url": "#nowhere"}, None),
    ],
)
def test_what_is_empty_missing_or_unreadable_is_no_document_and_is_named(gathering, attachment, answer):
    gathering.source.put(document(attachment), observation(1))
    if answer:
        gathering.source.also = serving("/fhir/Binary/b1", answer[1], answer[2], answer[0])
    request_id = gathering.gather()
    assert PLACE in gathering.message(request_id), gathering.exchange.view(request_id)
    assert gathering.exchange.find("bob", "DocumentReference") == []


def test_all_that_is_missing_is_named_at_once(gathering):
    gathering.source.put(
        document({"contentType": "application/pdf", "url": ""}, {"contentType": "application/pdf", "data": "!"}),
        observation(1, subject={"reference": "http://elsewhere.example/fhir/Patient/p1"}),
        observation(2, hasMember=[{"reference": "Observation/o1"}]),
    )
    message = gathering.message(gathering.gather())
    assert all(place in message for place in ("content[0]", "content[1]", "Observation/o1#subject"))


@pytest.mark.parametrize(
    ("attachment", "expected"),
    [
        ({"url": "data:application/pdf;base64," + b64(PDF)}, PDF),
        ({"url": "DATA:text/rtf,%7B%5Crtf1%7D"}, b"{\\rtf1}"),
        ({"contentType": "application/pdf", "url": "#inside"}, PDF),
        ({"contentType": "application/pdf", "data": None, "url": "Binary/b1"}, PDF),
        ({**LETTER, "size": None}, PDF),
        ({**LETTER, "size": "many"}, PDF),
        ({**LETTER, "hash": b64(hashlib.sha256(PDF).digest())}, PDF),
        ({**LETTER, "hash": hashlib.sha1(PDF).hexdigest()}, PDF),
    ],
)
def test_bytes_in_every_place_and_hashes_in_every_form_are_taken(gathering, attachment, expected):
    inside = {"resourceType": "Binary", "id": "inside", "contentType": "application/pdf", "data": b64(PDF)}
    gathering.source.put(document(attachment, contained=[inside]))
    gathering.source.also = serving("/fhir/Binary/b1", PDF)
    request_id = gathering.gather()
    packet = gathering.exchange.view(request_id)["packets"]
    assert packet and packet[0]["attachments"] == 1, gathering.message(request_id)
    if "size" not in attachment:
        assert sent(gathering) == expected


def test_a_binary_in_fhir_xml_is_unwrapped_and_a_cda_is_not(gathering):
    wrapped = f'<Binary xmlns="http://hl7.org/fhir"><contentType value="text/xml"/><data value="{b64(CDA)}"/></Binary>'
    gathering.source.put(document({"contentType": "text/xml", "url": "Binary/b1"}))
    gathering.source.also = serving("/fhir/Binary/b1", wrapped.encode(), "application/fhir+xml;charset=UTF-8")
    gathering.gather()
    assert sent(gathering) == CDA


@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.parametrize("attachment", [{}, {"data": "not base64!"}, {"url": "Binary/gone"}, {"url": ""}])
def test_a_document_entered_in_error_that_cannot_be_had_stops_nothing(gathering, attachment, accepts):
    gathering.accepts = accepts
    gathering.source.put(document(LETTER | attachment, status="entered-in-error"), observation(1))
    request_id = gathering.gather()
    assert gathering.exchange.view(request_id)["records"] == "verified", gathering.message(request_id)
    if accepts == "resources":
        [there] = gathering.at_bob("DocumentReference").values()
        assert there["status"] == "entered-in-error" and "url" not in there["content"][0]["attachment"]
    assert gathering.exchange.view(request_id)["packets"][0]["resources"] == 3
    assert gathering.findings()["attachment-of-error"] == {PLACE}


@pytest.mark.long
def test_an_attachment_without_any_bytes_is_told_and_travels(gathering):
    gathering.source.put(document({"contentType": "application/pdf", "title": "on paper"}))
    request_id = gathering.gather()
    assert gathering.exchange.view(request_id)["records"] == "verified"
    assert gathering.exchange.view(request_id)["packets"][0]["attachments"] == 0
    assert gathering.findings()["attachment-without-bytes"] == {PLACE}


def test_an_attachment_on_another_server_is_told_and_never_fetched(gathering):
    gathering.source.put(document({"contentType": "application/pdf", "url": "https://pacs.example/fhir/Binary/b1"}))
    request_id = gathering.gather()
    assert gathering.exchange.view(request_id)["records"] == "verified"
    assert gathering.findings()["attachment-elsewhere"] == {PLACE}
