"""An attachment passes block by block: raw, or decoded out of a Binary as JSON while it comes."""

import base64
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.fhir.binaries import NotABinary, NotBase64, Unwrapped, begins_like_a_binary
from integration.fhir.server import FhirServer
from integration.fhir.transport import Streamed, Transport
from integration.packets.payloads import Payloads
from mappings.model.errors import PermanentError, UnknownOutcome
from tests.integration.fhir.endpoints import answer, cut, endpoint, world

MB = 1024 * 1024


def blocks_of(data: bytes, sizes: list[int]):
    at, turn = 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        yield data[at : at + size]
        at, turn = at + size, turn + 1


def unwrapped(text: bytes, sizes=()) -> tuple[bytes, str]:
    reading = Unwrapped(blocks_of(text, list(sizes)))
    return b"".join(reading), reading.content_type


AS_WRITTEN = {
    "plain": lambda text: text,
    "slashes escaped": lambda text: text.replace("/", r"\/"),
    "as GSON writes it": lambda text: text.replace("=", r"\u003d").replace("+", r"\u002B"),
    "in lines": lambda text: r"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    "with blanks": lambda text: " ".join(text[at : at + 5] for at in range(0, len(text), 5)),
}


@given(
    data=st.binary(max_size=400),
    sizes=st.lists(st.integers(1, 40), max_size=5),
    written=st.sampled_from(sorted(AS_WRITTEN)),
    before=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
@settings(deadline=None)
def test_the_bytes_come_out_whatever_the_blocks_and_however_it_is_written(data, sizes, written, before, indent):
    rest = {"meta": {"tag": [{"code": 'a "data": {"[', "display": "\\"}]}, "contentType": "application/pdf"}
    placed = {"data": "HERE"}
    resource = {"resourceType": "Binary", **(rest | placed if before else placed | rest)}
    text = json.dumps(resource, indent=indent).replace("HERE", AS_WRITTEN[written](base64.b64encode(data).decode()))
    assert begins_like_a_binary(text.encode())
    assert unwrapped(text.encode(), sizes) == (data, "application/pdf")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"resourceType":"Binary","data":"%%%%"}', NotBase64),
        (b'{"resourceType":"Binary","data":"QUJD="}', NotBase64),
        (b'{"resourceType":"Binary","data":"QQ==QUJD"}', NotBase64),
        (b'{"resourceType":"Binary","data":"QUI=","data":"QUI="}', NotABinary),
        (b'{"resourceType":"Binary","data":"QUJD', NotABinary),
        (b'{"resourceType":"Binary","data":"QUJD"', NotABinary),
        (b'{"resourceType":"Binary","id":"' + b"x" * 2_000_000 + b'"}', NotABinary),
    ],
)
@pytest.mark.parametrize("sizes", [[], [1], [7]])
def test_what_is_no_whole_binary_is_an_error(text, error, sizes):
    if len(text) < 1000 or not sizes:
        with pytest.raises(error):
            unwrapped(text, sizes)


@pytest.mark.parametrize(
    "text",
    [
        b'{"resourceType":"Binary"}',
        b'{"resourceType":"Binary","data":null}',
        b'{"resourceType":"Binary","contained":[{"data":"QUJD"}],"meta":{"data":"QUJD"}}',
    ],
)
def test_a_binary_without_data_has_no_bytes(text):
    assert unwrapped(text)[0] == b""


def large(handler, *, as_json: bool, size: int):
    block = b"%PDF-1.7 and much more of the same" * 3
    text = base64.b64encode(block * (3 * 1024))
    count = size // len(block * (3 * 1024))
    begin, end = (
        (b'{"resourceType":"Binary","contentType":"application/pdf","data":"', b'"}') if as_json else (b"", b"")
    )
    body = text if as_json else block * (3 * 1024)
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json" if as_json else "application/pdf")
    handler.send_header("Content-Length", str(len(begin) + len(body) * count + len(end)))
    handler.end_headers()
    handler.wfile.write(begin)
    for _ in range(count):
        handler.wfile.write(body)
    handler.wfile.write(end)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_large_attachment_goes_to_the_payload_store_in_little_memory(tmp_path, as_json):
    payloads = Payloads(tmp_path / "payloads")
    with world(lambda handler: large(handler, as_json=as_json, size=40 * MB)) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        tracemalloc.start()
        try:
            stored, content_type = server.save_binary("Binary/1", payloads.put_stream)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert content_type == "application/pdf" and stored.size > 39 * MB
    assert sum(map(len, payloads.open(stored.sha256))) == stored.size
    assert peak < 8 * MB, f"{peak} bytes were needed for it"


def test_an_attachment_that_is_cut_once_is_stored_once(tmp_path):
    payloads, tries = Payloads(tmp_path / "payloads"), iter([True, False])

    def behave(handler):
        if next(tries):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 500\r\n\r\n%PDF")
            return cut(handler)
        return answer(handler, body=b"%PDF" * 125, content_type="application/pdf")

    with world(behave) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        stored, _ = server.save_binary("Binary/1", payloads.put_stream)
    assert list(payloads.all()) == [stored.sha256] and stored.size == 500
    assert not list((tmp_path / "payloads").glob(".new-*"))


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_attachment_that_is_too_large_is_stopped_and_nothing_is_kept(tmp_path, wrapped):
    payloads = Payloads(tmp_path / "payloads")
    with world(lambda handler: large(handler, as_json=wrapped, size=4 * MB)) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        with pytest.raises(PermanentError) as caught:
            server.save_binary("Binary/1", payloads.put_stream, max_bytes=MB)
    assert caught.value.cause == "too-large" and not list(payloads.all())


def test_raw_bytes_are_sent_as_they_are_read_and_the_answer_may_say_all_of_it_again(tmp_path):
    payloads = Payloads(tmp_path / "payloads")
    stored = payloads.put_stream(bytes([number]) * 1000 for number in range(200))

    def behave(handler):
        answer(handler, 201, b"x" * 300_000, "application/pdf", Location="Binary/77/_history/1")

    with world(behave) as started:
        at = endpoint(started.base_url, max_answer_bytes=1 << 16)
        written = FhirServer(at, Transport(at)).create_binary(
            Streamed(stored.size, lambda: payloads.open(stored.sha256)), "application/pdf"
        )
    method, path, body = started.requests[0]
    assert (method, path, body) == ("POST", "/fhir/Binary", payloads.get(stored.sha256))
    assert started.headers[0]["Content-Type"] == "application/pdf"
    assert started.headers[0]["Content-Length"] == str(stored.size)
    assert written.location == "Binary/77" and written.version == "1"


def test_raw_bytes_whose_answer_is_lost_may_be_there():
    with world(cut) as started, pytest.raises(UnknownOutcome):
        at = endpoint(started.base_url)
        FhirServer(at, Transport(at)).create_binary(Streamed(3, lambda: iter([b"abc"])), "application/pdf")
    assert started.requests[0][2] == b"abc"
