"""Each exchange is told once, whichever way it ends; what may be about a patient is not in what is shown."""

import pytest

from integration.fhir.exchanges import KEPT_BYTES
from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport, allow_writes
from mappings.model.errors import PermanentError, TransferError, UnknownOutcome
from tests.integration.fhir.endpoints import answer, cut, endpoint, free_port, world

OUTCOME = (
    b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required",'
    b'"diagnostics":"Ada Synthetic-Test has no status","expression":["Observation.status"]}]}'
)


def told(behave, do, **limits):
    """Every exchange that ``do(server)`` makes with a server that behaves so; its error, if any, is swallowed."""
    seen = []
    with world(behave) as there:
        server = FhirServer(endpoint(there.base_url, **limits), Transport(endpoint(there.base_url, **limits))).observed(
            seen.append, allow_writes
        )
        try:
            do(server)
        except TransferError as error:
            seen.append(error)
        finally:
            server.close()
    return seen


def test_one_that_went_well_is_told_with_sizes_and_without_bodies():
    body = b'{"resourceType":"Observation","id":"1"}'
    [seen] = told(
        lambda handler: answer(handler, 201, body, Location="Observation/1"),
        lambda server: server.create({"resourceType": "Observation", "status": "final"}),
    )
    assert (seen.endpoint, seen.method, seen.shown, seen.status, seen.cause) == (
        "hospital",
        "POST",
        "Observation",
        201,
        "",
    )
    assert (seen.sent_bytes, seen.received_bytes) == (
        len(b'{"resourceType":"Observation","status":"final"}'),
        len(body),
    )
    assert seen.request_body is None and seen.response_body is None and seen.milliseconds >= 0


def test_a_search_shows_the_names_of_its_parameters_and_none_of_their_values():
    pages = [
        b'{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"%s"}]}',
        b'{"resourceType":"Bundle","type":"searchset"}',
    ]

    def behave(handler):
        here = f"http://{handler.headers['Host']}/fhir?_getpages=abc&Synthetic-Test=1&_count=50".encode()
        answer(handler, 200, pages.pop(0).replace(b"%s", here))

    seen = told(
        behave,
        lambda server: server.search_all("Observation", {"patient": "Patient/synthetic-77", "_lastUpdated": "ge2020"}),
    )
    assert [each.shown for each in seen] == [
        "Observation?patient&_lastUpdated&_count",
        "the base address?_getpages&...&_count",
    ]
    assert "synthetic-77" not in repr(seen) and "Synthetic" not in repr(seen)


def test_a_refusal_is_told_with_both_bodies_and_its_safe_issues():
    seen, error = told(
        lambda handler: answer(handler, 422, OUTCOME, Retry_After="7"),
        lambda server: server.create({"resourceType": "Observation"}),
    )
    assert (seen.status, seen.cause, seen.retry_after_seconds) == (422, "http-422", 7)
    assert seen.issues == ("error required Observation.status",)
    assert seen.response_body == OUTCOME and seen.request_body == b'{"resourceType":"Observation"}'
    assert "Ada" not in repr(seen), "bodies stay out of what a log could print"


def test_bodies_are_kept_up_to_their_bound():
    large = b'{"resourceType":"OperationOutcome","text":"' + b"x" * (3 * KEPT_BYTES) + b'"}'
    seen, _ = told(
        lambda handler: answer(handler, 400, large),
        lambda server: server.create({"resourceType": "Basic", "language": "y" * (2 * KEPT_BYTES)}),
    )
    assert len(seen.response_body) == len(seen.request_body) == KEPT_BYTES
    assert seen.received_bytes == len(large) and seen.sent_bytes > 2 * KEPT_BYTES


@pytest.mark.parametrize(
    ("behave", "cause", "status"),
    [
        (cut, "cut", None),
        (
            lambda handler: (
                handler.send_response(201),
                handler.send_header("Content-Length", "99"),
                handler.end_headers(),
                handler.wfile.write(b'{"resourceType"'),
                cut(handler),
            ),
            "cut",
            201,
        ),
    ],
)
def test_an_answer_that_is_cut_is_told_with_what_came_of_it(behave, cause, status):
    seen, error = told(behave, lambda server: server.create({"resourceType": "Basic"}))
    assert isinstance(error, UnknownOutcome)
    assert (seen.cause, seen.status, seen.request_body) == (cause, status, b'{"resourceType":"Basic"}')
    assert seen.response_body == (b'{"resourceType"' if status else None)


def test_a_server_that_is_not_there_is_told_too():
    seen, base = [], f"http://127.0.0.1:{free_port()}/fhir"
    with pytest.raises(TransferError):
        FhirServer(endpoint(base), Transport(endpoint(base))).observed(seen.append, allow_writes).read("Patient", "1")
    assert [(each.status, each.cause, each.shown) for each in seen] == [(None, "connection-refused", "Patient/1")]


def test_of_a_web_page_that_answers_200_the_page_is_kept():
    seen, error = told(
        lambda handler: answer(handler, 200, b"<html>sign in</html>", "text/html"),
        lambda server: server.read("Patient", "1"),
    )
    assert isinstance(error, PermanentError) and (seen.status, seen.response_body) == (200, b"<html>sign in</html>")


def test_of_a_stream_no_body_is_kept():
    seen, *error = told(
        lambda handler: answer(handler, 200, b"%PDF" * 1000, "application/pdf"),
        lambda server: server.binary("Binary/1", content_type="application/pdf", max_bytes=1000),
    )
    assert (seen.status, seen.received_bytes, seen.request_body, seen.response_body) == (
        200,
        4000,
        None,
        None,
    ) and error
    seen, _ = told(lambda handler: answer(handler, 404, OUTCOME), lambda server: server.binary("Binary/1"))
    assert (seen.status, seen.cause, seen.response_body) == (404, "http-404", None) and seen.issues


def test_what_leaves_our_origin_is_no_exchange():
    [error] = told(lambda handler: answer(handler), lambda server: server.binary("https://elsewhere.example/x"))
    assert error.cause == "other-origin"
