"""What went wrong on the wire becomes the right error, with real sockets wherever a socket matters."""

import gzip
import logging
import ssl
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import requests
import responses
import urllib3

from integration.fhir.failures import NotFound, retry_after_seconds, safe_issues
from integration.fhir.transport import SLOWEST_BYTES_PER_SECOND, Transport
from mappings.model.delivery import Verdict, verdict_of
from mappings.model.errors import PermanentError, TemporaryError, TransferError, UnknownOutcome
from tests.integration.fhir.endpoints import BASE, answer, cut, endpoint, free_port, world

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=5, minutes=45)))
PATIENT = b'{"resourceType":"Patient"}'


@pytest.fixture
def transport():
    return Transport(endpoint(), now=lambda: NOW)


@pytest.fixture
def hospital():
    with responses.RequestsMock() as mock:
        yield mock


def failure(transport, *, write, method=None, path="Patient", **arguments):
    with pytest.raises(TransferError) as caught:
        transport.request(
            method or ("POST" if write else "GET"), path, body=PATIENT if write else None, write=write, **arguments
        ).json()
    return caught.value


# The answer is a status


@pytest.mark.parametrize(
    ("status", "on_read", "on_write"),
    [
        (302, PermanentError, PermanentError),
        (307, PermanentError, PermanentError),
        (400, PermanentError, PermanentError),
        (401, PermanentError, PermanentError),
        (403, PermanentError, PermanentError),
        (404, NotFound, PermanentError),
        (410, NotFound, PermanentError),
        (405, PermanentError, PermanentError),
        (408, TemporaryError, TemporaryError),
        (409, PermanentError, PermanentError),
        (412, PermanentError, PermanentError),
        (413, PermanentError, PermanentError),
        (422, PermanentError, PermanentError),
        (425, TemporaryError, TemporaryError),
        (429, TemporaryError, TemporaryError),
        (500, TemporaryError, TemporaryError),
        (501, PermanentError, PermanentError),
        (502, TemporaryError, UnknownOutcome),
        (503, TemporaryError, TemporaryError),
        (504, TemporaryError, UnknownOutcome),
        (599, TemporaryError, TemporaryError),
    ],
)
def test_each_status_is_one_kind_of_error(transport, hospital, status, on_read, on_write):
    hospital.get(f"{BASE}/Patient", status=status)
    hospital.post(f"{BASE}/Patient", status=status)
    for write, kind in ((False, on_read), (True, on_write)):
        error = failure(transport, write=write)
        assert type(error) is kind
        assert (error.status_code, error.endpoint) == (status, "hospital")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.NEW_TOKEN),
        (409, Verdict.LOOK_FIRST),
        (412, Verdict.LOOK_FIRST),
        (502, Verdict.LOOK_FIRST),
        (422, Verdict.PERSON),
        (501, Verdict.PERSON),
        (503, Verdict.LATER),
        (500, Verdict.LATER),
    ],
)
def test_the_retry_table_reads_the_error_of_a_write_as_it_should(transport, hospital, status, verdict):
    hospital.post(f"{BASE}/Patient", status=status)
    assert verdict_of(failure(transport, write=True)) is verdict


def test_a_404_that_is_a_web_page_is_a_wrong_address_and_not_a_missing_resource(transport, hospital):
    hospital.get(f"{BASE}/Patient/1", status=404, body="<!doctype html><p>Not found")
    assert type(failure(transport, write=False, path="Patient/1")) is PermanentError


def test_it_follows_no_redirect_and_keeps_the_body_of_one_out_of_memory():
    def redirect(handler):
        handler.send_response(307)
        handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        handler.wfile.write(b"x" * 4096)

    with world(redirect) as server:
        error = failure(Transport(endpoint(server.base_url, timeout_seconds=0.3)), write=True)
    assert type(error) is PermanentError
    assert "base_url" in str(error) and len(server.requests) == 1


def test_it_goes_to_no_other_origin(transport):
    for address in (
        "https://elsewhere.example.invalid/fhir/Binary/1",
        "http://hospital.example.invalid/fhir/Binary/1",
        "https://hospital.example.invalid:8443/fhir",
        "//elsewhere.example.invalid/Binary/1",
        "https://hospital.example.invalid:443:443/fhir",
        "https://user:pw@hospital.example.invalid/fhir",
        "https://elsewhere.example.invalid\\@hospital.example.invalid/",
        "file:///etc/hosts",
        "urn:uuid:1",
        "https://hospital.example.invalid\n.elsewhere.example/",
    ):
        error = failure(transport, write=False, path=address)
        assert (type(error), error.cause) == (PermanentError, "other-origin"), address
        assert "elsewhere" not in str(error)


@pytest.mark.parametrize("prefix", ["https://hospital.example.invalid", ""], ids=["absolute", "path"])
@pytest.mark.parametrize(
    "path",
    [
        "/", "/other/Patient/1", "/fhir2/Patient/1", "/fhirs", "/FHIR/Patient/1", "/fhir/../other/Patient/1", "/fhir/..",
        "/fhir/%2e%2e/other/Patient/1", "/fhir/%2E./other", "/fhir/.%2e/other", "/fhir/%252e%252e/other/Patient/1",
        "/fhir/..%2fother/Patient/1", "/fhir/%2e%2e%2fother", "/fhir%2f..%2fother", "/fhir/..;/other/Patient/1",
        "/fhir/..;x=1/other", "/fhir/%2e%2e;/other", "/fhir/..%5cother", "/fhir/%5c..%5cother", "/fhir/./../other",
        "/fhir/Binary/../../other", "/fhir/../fhir2", "/fhir/%25252e%25252e/other", "/./fhir/../other",
        "/?_getpages=1", "/other?x=/fhir/", "/other#/fhir/", "/other;/fhir/",
    ],
)  # fmt: skip
def test_another_path_of_the_same_host_is_another_tenant(transport, prefix, path):
    error = failure(transport, write=False, path=prefix + path)
    assert (type(error), error.cause) == (PermanentError, "other-origin") and "other/" not in str(error)


@pytest.mark.parametrize("path", ["../other/Patient/1", "Binary/../../other", "%2e%2e/other/Patient/1", "..;/other"])
def test_a_relative_address_does_not_climb_out_of_the_base(transport, path):
    assert failure(transport, write=False, path=path).cause == "other-origin"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("Patient/1", f"{BASE}/Patient/1"),
        ("", BASE),
        ("/fhir/Binary/1", f"{BASE}/Binary/1"),
        ("HTTPS://HOSPITAL.example.invalid:443/fhir/2", "HTTPS://HOSPITAL.example.invalid:443/fhir/2"),
        ("?_getpages=1", f"{BASE}/?_getpages=1"),
        (f"{BASE}?_getpages=1", f"{BASE}?_getpages=1"),
        ("Binary/a%20b", f"{BASE}/Binary/a%20b"),
        ("Patient?identifier=http://a|1", f"{BASE}/Patient?identifier=http://a|1"),
    ],
)
def test_it_resolves_addresses_of_its_own_origin(transport, path, url):
    assert transport.url_of(path) == url


# Retry-After


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        (format_datetime(NOW.astimezone(UTC) + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW.astimezone(UTC) - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOW.astimezone(UTC) + timedelta(days=9), usegmt=True), 3600.0),
    ],
)
def test_it_reads_both_forms_of_retry_after_and_believes_at_most_an_hour(text, seconds):
    assert retry_after_seconds({"Retry-After": text}, NOW) == seconds


def test_a_retry_after_date_is_read_by_the_clock_of_the_server():
    theirs = NOW.astimezone(UTC) + timedelta(hours=3)
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=20), usegmt=True),
    }
    assert retry_after_seconds(headers, NOW) == 20.0


def test_the_error_carries_retry_after(transport, hospital):
    hospital.get(f"{BASE}/Patient", status=429, headers={"Retry-After": "12"})
    assert failure(transport, write=False).retry_after_seconds == 12.0


# No patient data in messages

SECRET = "Zebediah-Quux-MRN-777"


def test_an_error_keeps_the_outcome_and_says_only_codes_paths_and_hapi_numbers(transport, hospital):
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "duplicate",
                "diagnostics": f"HAPI-0840: cannot create {SECRET}",
                "details": {"text": SECRET, "coding": [{"code": SECRET, "display": SECRET}]},
                "expression": ["Bundle.entry[3].resource/*Patient/zebediah*/.name[0]", f"Patient.where(id='{SECRET}')"],
            },
            {"severity": SECRET, "code": SECRET, "diagnostics": f"{SECRET} HAPI-2223", "location": [f"/f:{SECRET}"]},
        ],
    }
    hospital.post(f"{BASE}/Patient", status=422, json=outcome)
    error = failure(transport, write=True)
    assert error.outcome == outcome
    told = "error duplicate Bundle.entry[3].resource.name[0] HAPI-0840; error without a known code HAPI-2223"
    assert told in str(error)
    assert not any(part in str(error).lower() for part in ("zebediah", "quux", "777"))


@pytest.mark.parametrize(
    "issues", [[], None, "x", [None, 3], [{}], [{"expression": 5, "details": [], "diagnostics": {}}]]
)
def test_a_malformed_outcome_is_still_a_sentence(issues):
    assert all(isinstance(sentence, str) for sentence in safe_issues({"issue": issues}))


def misbehaviours():
    def html(handler):
        answer(handler, body=f"<html>{SECRET}</html>".encode(), content_type="text/html")

    def garbage(handler):
        answer(handler, body=f'{{"{SECRET}": tru'.encode())

    def refuse(handler):
        answer(handler, 422, f'{{"resourceType":"OperationOutcome","issue":[{{"diagnostics":"{SECRET}"}}]}}'.encode())

    def half(handler):
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nX-Name: {SECRET}\r\nContent-Length: 500\r\n\r\n{SECRET}".encode())
        cut(handler)

    return {
        "html": html,
        "garbage": garbage,
        "refuse": refuse,
        "half": half,
        "cut": cut,
        "not-http": lambda handler: (handler.wfile.write(f"{SECRET}\r\n\r\n".encode()), cut(handler)),
        "silent": lambda handler: time.sleep(1),
    }


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("how", misbehaviours())
def test_no_error_log_line_or_traceback_names_the_patient(how, write, caplog):
    caplog.set_level(logging.DEBUG)
    with world(misbehaviours()[how]) as server:
        transport = Transport(endpoint(server.base_url, timeout_seconds=0.3))
        error = failure(transport, write=write, params={"identifier": f"urn:mrn|{SECRET}"})
    told = "".join(traceback.format_exception(error)) + caplog.text + repr(error) + repr(error.__context__)
    assert "Zebediah" not in told


def test_no_error_of_a_failed_connection_names_the_patient():
    transport = Transport(endpoint(f"http://127.0.0.1:{free_port()}/fhir"))
    error = failure(transport, write=False, params={"family": SECRET})
    assert error.__context__ is None and SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("Patient/1", "GET Patient/1"),
        ("Patient/1/_history/2", "GET Patient/1/_history/2"),
        (f"{BASE}/files/{SECRET}.pdf", "GET ..."),
        (f"Patient/1/{SECRET}", "GET Patient/..."),
        (f"Patient?name={SECRET}", "GET Patient:"),
        ("", "GET the base address"),
    ],
)
def test_an_error_names_the_exchange_by_type_and_id_only(transport, hospital, path, shown):
    hospital.get(transport.url_of(path), status=400)
    message = str(failure(transport, write=False, path=path))
    assert message.startswith(shown) and SECRET not in message


# The wire


@pytest.mark.parametrize("write", [False, True])
def test_a_refused_connection_was_not_sent(write):
    error = failure(Transport(endpoint(f"http://127.0.0.1:{free_port()}/fhir")), write=write)
    assert (type(error), error.cause) == (TemporaryError, "connection-refused")


@pytest.mark.parametrize("write", [False, True])
def test_an_unknown_name_was_not_sent(write):
    error = failure(Transport(endpoint("http://nobody.invalid/fhir")), write=write)
    assert (type(error), error.cause) == (TemporaryError, "name-unknown")


@pytest.mark.parametrize("write", [False, True])
def test_a_connect_timeout_was_not_sent(transport, hospital, write):
    method = hospital.post if write else hospital.get
    method(f"{BASE}/Patient", body=requests.ConnectTimeout("https://hospital.example.invalid/fhir?name=x"))
    error = failure(transport, write=write)
    assert (type(error), error.cause) == (TemporaryError, "connect-timeout")


@pytest.mark.parametrize(
    "body",
    [
        requests.ReadTimeout(),
        requests.ConnectionError("reset"),
        requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.SSLError("eof"),
        requests.exceptions.ContentDecodingError(),
    ],
)
def test_whatever_is_not_certainly_before_sending_is_unknown_for_a_write(transport, hospital, body):
    hospital.get(f"{BASE}/Patient", body=body)
    hospital.post(f"{BASE}/Patient", body=body)
    assert type(failure(transport, write=False)) is TemporaryError
    assert type(failure(transport, write=True)) is UnknownOutcome


@pytest.mark.parametrize(("write", "kind"), [(False, TemporaryError), (True, UnknownOutcome)])
@pytest.mark.parametrize("how", ["cut", "half", "silent", "not-http"])
def test_an_answer_that_does_not_come_whole_leaves_a_write_unknown(how, write, kind):
    with world(misbehaviours()[how]) as server:
        error = failure(Transport(endpoint(server.base_url, timeout_seconds=0.3)), write=write)
    assert type(error) is kind
    once_more = not write and how != "silent"
    assert len(server.requests) == 1 + once_more, "a write must never be sent a second time behind our back"
    assert how != "silent" or error.cause == "timeout"


@pytest.mark.parametrize(("write", "kind"), [(False, TemporaryError), (True, UnknownOutcome)])
def test_a_chunked_answer_cut_in_the_middle_is_seen(write, kind):
    def chunked(handler):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"resourceType":')
        cut(handler)

    with world(chunked) as server:
        assert type(failure(Transport(endpoint(server.base_url)), write=write)) is kind


@pytest.mark.parametrize(("write", "kind"), [(False, TemporaryError), (True, UnknownOutcome)])
def test_json_cut_where_nobody_said_how_long_it_is_counts_as_cut(write, kind):
    def unlimited(handler):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"resourceType":')
        cut(handler)

    with world(unlimited) as server:
        assert type(failure(Transport(endpoint(server.base_url)), write=write)) is kind


@pytest.mark.parametrize(("write", "kind"), [(False, TemporaryError), (True, UnknownOutcome)])
def test_a_kept_connection_that_the_server_drops_under_us_leaves_a_write_unknown(write, kind):
    answers = iter([answer, cut, cut])
    with world(lambda handler: next(answers)(handler)) as server:
        transport = Transport(endpoint(server.base_url))
        transport.request("GET", "Patient")
        assert type(failure(transport, write=write)) is kind
        assert len(server.requests) == (2 if write else 3), "only what is no write is asked for once more"


def test_what_is_cut_once_is_asked_for_again_at_once():
    half = misbehaviours()["half"]
    answers = iter([half, answer])
    seen = []
    with world(lambda handler: next(answers)(handler)) as server:
        transport = Transport(endpoint(server.base_url), before=lambda: seen.append("may go"))
        assert transport.request("GET", "Patient").status == 200
    assert seen == ["may go"] * 2, "the second one waits for its turn like any other"


def test_a_connection_dropped_while_idle_is_replaced_without_an_error():
    def once(handler):
        answer(handler)
        handler.close_connection = True

    with world(once) as server:
        transport = Transport(endpoint(server.base_url))
        for _ in range(3):
            assert transport.request("POST", "Patient", body=PATIENT, write=True).status == 200
            time.sleep(0.05)
        assert server.connections == 3


def test_a_whole_error_status_decides_even_when_its_body_is_cut():
    def half_error(handler):
        handler.wfile.write(b"HTTP/1.1 422 No\r\nContent-Length: 500\r\n\r\n{")
        cut(handler)

    with world(half_error) as server:
        error = failure(Transport(endpoint(server.base_url)), write=True)
    assert (type(error), error.status_code) == (PermanentError, 422)


@pytest.mark.parametrize(("write", "kind"), [(False, TemporaryError), (True, UnknownOutcome)])
def test_an_answer_that_trickles_ends_by_the_clock(write, kind):
    def trickle(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.02)

    with world(trickle) as server:
        began = time.monotonic()
        error = failure(Transport(endpoint(server.base_url, timeout_seconds=0.2)), write=write)
    assert (type(error), error.cause) == (kind, "timeout")
    assert time.monotonic() - began < 2


def test_a_large_answer_on_a_slow_line_is_given_its_time():
    seconds = iter(range(0, 1000, 4))
    size = 40 * SLOWEST_BYTES_PER_SECOND
    with world(lambda handler: answer(handler, body=b" " * size)) as server:
        transport = Transport(endpoint(server.base_url, timeout_seconds=30), clock=lambda: next(seconds))
        assert len(transport.request("GET", "Patient").body) == size


@pytest.mark.parametrize(("write", "kind"), [(False, PermanentError), (True, UnknownOutcome)])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_larger_than_the_limit_is_refused_also_when_it_was_small_on_the_wire(write, kind, compressed):
    body = b" " * 3_000_000

    def large(handler):
        if compressed:
            answer(handler, body=gzip.compress(body), Content_Encoding="gzip")
        else:
            answer(handler, body=body)

    with world(large) as server:
        error = failure(Transport(endpoint(server.base_url)), write=write, max_bytes=100_000)
    assert (type(error), error.cause) == (kind, "too-large")


def test_a_large_body_is_sent_whole_and_byte_for_byte():
    body = bytes(range(256)) * 8192
    with world(answer) as server:
        Transport(endpoint(server.base_url)).request("POST", "Patient", body=body, write=True)
    assert server.requests[0] == ("POST", "/fhir/Patient", body)
    assert server.headers[0]["Content-Length"] == str(len(body))


def test_a_header_that_is_no_header_is_refused_before_sending(transport):
    error = failure(transport, write=True, headers={"If-None-Exist": "identifier=a\r\nX: y"})
    assert (type(error), error.cause) == (PermanentError, "bad-request")


def test_a_server_that_speaks_no_tls_gets_no_request():
    with world(answer) as server:
        error = failure(Transport(endpoint(server.base_url.replace("http:", "https:"), timeout_seconds=1)), write=False)
    assert (type(error), error.cause, server.requests) == (TemporaryError, "tls", [])


@pytest.mark.parametrize("write", [False, True])
def test_a_certificate_that_we_refuse_was_before_sending(transport, hospital, write):
    refused = urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))
    wrapped = requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/fhir", refused))
    (hospital.post if write else hospital.get)(f"{BASE}/Patient", body=wrapped)
    error = failure(transport, write=write)
    assert (type(error), error.cause) == (TemporaryError, "certificate-refused")


# 2xx that is not FHIR


@pytest.mark.parametrize(
    ("body", "on_read", "on_write"),
    [
        (b"<html>", PermanentError, PermanentError),
        (b"<?xml version='1.0'?><Patient/>", PermanentError, PermanentError),
        (b"OK", PermanentError, PermanentError),
        (b"", PermanentError, UnknownOutcome),
        (b'{"a":', PermanentError, UnknownOutcome),
        (b'{"a":1,"a":2}', PermanentError, UnknownOutcome),
        (b"[" * 100_000, PermanentError, PermanentError),
    ],
)
def test_a_good_status_without_fhir_json_is_an_error(body, on_read, on_write):
    with world(lambda handler: answer(handler, body=body)) as server:
        transport = Transport(endpoint(server.base_url))
        assert type(failure(transport, write=False)) is on_read
        assert type(failure(transport, write=True)) is on_write


# Headers, threads, surroundings


def test_it_asks_for_fhir_json_and_labels_what_it_sends(transport, hospital):
    hospital.post(f"{BASE}/Patient", json={})
    transport.request("POST", "Patient", body=PATIENT, write=True, headers={"If-None-Exist": "a=b"})
    sent = hospital.calls[0].request.headers
    assert (sent["Accept"], sent["Content-Type"], sent["If-None-Exist"]) == ("application/fhir+json",) * 2 + ("a=b",)


def test_it_ignores_proxies_netrc_and_cookies(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with world(lambda handler: answer(handler, Set_Cookie="session=1; Path=/")) as server:
        transport = Transport(endpoint(server.base_url))
        for _ in range(2):
            transport.request("GET", "Patient")
    assert not {"Cookie", "Authorization"} & {name for headers in server.headers for name in headers}


def test_threads_share_it_and_its_connections():
    arrived = threading.Barrier(4, timeout=5)

    def together(handler):
        arrived.wait()
        answer(handler, body=handler.path.encode())

    with world(together) as server:
        transport = Transport(endpoint(server.base_url, concurrency=4))
        with ThreadPoolExecutor(4) as pool:
            bodies = list(pool.map(lambda n: transport.request("GET", f"Patient/{n}").body, range(40)))
    assert bodies == [f"/fhir/Patient/{n}".encode() for n in range(40)]
    assert server.connections == 4


def test_it_closes_a_stream_that_is_left_before_its_end():
    with world(lambda handler: answer(handler, body=b"x" * 1_000_000)) as server:
        transport = Transport(endpoint(server.base_url))
        with transport.stream("Binary/1", max_bytes=2_000_000) as (headers, blocks):
            assert headers["content-length"] == "1000000" and next(blocks)
        with transport.stream("Binary/1", max_bytes=2_000_000) as (_, blocks):
            assert sum(map(len, blocks)) == 1_000_000
