"""A document with its bytes inside."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import codes
from mappings.document_reference import attachments, hash_form, inline_bytes, to_attachment, to_document_reference
from mappings.model.errors import MappingError
from mappings.model.request import Code, Identifier
from tests.mappings.mapping_factories import examples, needs_data


def made(**changes):
    values = {
        "identifier": Identifier(system="https://x.example", value="d"),
        "patient": "Patient/1",
        "title": "Records",
        "type_code": Code(system=codes.SYSTEM_LOINC, code="57133-1"),
        "content_type": "application/pdf",
        "data": b"%PDF",
        "date": None,
        "period_end": None,
        "related": [],
        **changes,
    }
    return to_document_reference(**values)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_the_bytes_survive_the_return_trip(data):
    attachment = attachments(made(data=data))[0].attachment
    assert inline_bytes(attachment) == data
    assert attachment["size"] == len(data)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(data).digest()


def test_it_says_where_an_attachment_stands():
    assert [each.path for each in attachments(made())] == ["DocumentReference.content[0].attachment"]


def test_what_is_not_known_is_not_there():
    assert set(made()) == {
        "resourceType",
        "identifier",
        "status",
        "docStatus",
        "type",
        "category",
        "subject",
        "content",
    }


def test_a_revision_names_what_it_replaces():
    assert made(replaces="DocumentReference/1")["relatesTo"] == [
        {"code": "replaces", "target": {"reference": "DocumentReference/1"}}
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"date": "2026-06-02"}, "DocumentReference.date"),
        ({"status": "active"}, "DocumentReference.status"),
        ({"doc_status": "current"}, "DocumentReference.docStatus"),
        ({"data": b""}, "Attachment.data"),
    ],
)
def test_it_writes_nothing_a_server_must_refuse(change, path):
    with pytest.raises(MappingError) as caught:
        made(**change)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("attachment", "found"),
    [({}, None), (None, None), ({"url": "Binary/1"}, None), ({"data": "JVBE\nRg=="}, b"%PDF"), ({"data": ""}, None)],
)
def test_it_reads_inline_bytes(attachment, found):
    assert inline_bytes(attachment) == found


def test_what_is_not_base64_is_an_error():
    with pytest.raises(MappingError):
        inline_bytes({"data": "not base64!"})


@pytest.mark.parametrize(
    ("resource", "paths"),
    [
        (
            {"resourceType": "DiagnosticReport", "presentedForm": [{"url": "Binary/1"}, {"url": "Binary/2"}]},
            ["DiagnosticReport.presentedForm[0]", "DiagnosticReport.presentedForm[1]"],
        ),
        ({"resourceType": "Media", "content": {"url": "Binary/1"}}, ["Media.content"]),
        ({"resourceType": "Patient", "photo": [{"url": "Binary/1"}]}, ["Patient.photo[0]"]),
        (
            {
                "resourceType": "Communication",
                "payload": [{"contentString": "x"}, {"contentAttachment": {"url": "Binary/1"}}],
            },
            ["Communication.payload[1].content"],
        ),
        ({"resourceType": "Condition"}, []),
    ],
)
def test_it_finds_attachments_of_any_type(resource, paths):
    assert [
        each.path.replace("contentAttachment", "content").replace(".ofType(Attachment)", "")
        for each in attachments(resource)
    ] == paths


def test_it_finds_contained_attachments():
    found = attachments({"resourceType": "Condition", "contained": [made()]})
    assert [each.attachment["contentType"] for each in found] == ["application/pdf"]


def test_the_sha1_of_a_known_document():
    assert to_attachment("text/plain", b"abc")["hash"] == "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="


@needs_data
def test_it_reads_the_inline_documents_of_the_official_examples():
    found = [
        each.attachment
        for folder in ("us-core-examples", "r4-examples")
        for resource in examples(folder, "DocumentReference")
        for each in attachments(resource)
    ]
    assert any(inline_bytes(each) for each in found)


PDF = b"%PDF-1.4 synthetic"


def _hashes(data: bytes) -> list[str]:
    return [
        way
        for name in ("sha1", "sha256", "sha512", "md5")
        for each in (data, base64.b64encode(data))
        for digest in [hashlib.new(name, each)]
        for way in (
            base64.b64encode(digest.digest()).decode(),
            digest.hexdigest(),
            digest.hexdigest().upper(),
            "0x" + digest.hexdigest(),
            base64.b64encode(digest.hexdigest().encode()).decode(),
        )
    ]


def test_a_hash_in_another_form_still_names_the_same_bytes():
    first, *others = _hashes(PDF)
    assert hash_form({"hash": first}, PDF) == "sha1"
    assert [hash_form({"hash": each}, PDF) for each in others] == ["other"] * len(others)
    blocks = [PDF[at : at + 5] for at in range(0, len(PDF), 5)]
    assert [hash_form({"hash": each}, lambda: blocks) for each in (first, *others)] == ["sha1"] + ["other"] * len(
        others
    )


@pytest.mark.parametrize("said", _hashes(PDF))
def test_no_form_of_a_hash_names_other_bytes(said):
    assert hash_form({"hash": said}, PDF + b"cut") is None


@pytest.mark.parametrize("attachment", [{}, {"hash": None}, {"hash": ""}, {"hash": 5}, {"hash": ["x"]}, None, "x"])
def test_what_cannot_be_a_hash_says_nothing(attachment):
    assert hash_form(attachment, PDF) == "none"
