"""Reading and writing one server, and what is believed of its answers."""

import base64
import hashlib
import json
from decimal import Decimal
from types import SimpleNamespace

import pytest
import responses
from fhirclient.models.patient import Patient
from fhirclient.models.task import Task

from integration.fhir.models import structure_problems
from integration.fhir.server import BinaryContent, FhirServer, NotFound, Written, identifier_condition, identifier_token
from integration.fhir.servers import Servers
from integration.fhir.transport import Transport
from mappings.model.errors import MappingError, PartialError, PermanentError, UnknownOutcome
from tests.integration.fhir.endpoints import BASE, answer, cut, endpoint, world

TASK = {"resourceType": "Task", "status": "requested", "intent": "order"}
REPORT = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"title": "x"}}]}


@pytest.fixture
def hospital():
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def server():
    return FhirServer(endpoint(), Transport(endpoint()))


# read


def test_it_reads_a_resource_digit_by_digit_past_every_cache(hospital, server):
    hospital.get(f"{BASE}/Observation/1", body=b'{"resourceType":"Observation","valueQuantity":{"value":1.10}}')
    assert str(server.read("Observation", "1")["valueQuantity"]["value"]) == "1.10"
    assert hospital.calls[0].request.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_not_found(hospital, server, status):
    hospital.get(
        f"{BASE}/Observation/1",
        status=status,
        json={"resourceType": "OperationOutcome", "issue": [{"code": "deleted"}]},
    )
    with pytest.raises(NotFound) as caught:
        server.read("Observation", "1")
    assert isinstance(caught.value, PermanentError) and caught.value.status_code == status


@pytest.mark.parametrize("wrong", [{"resourceType": "Patient"}, [], "x"])
def test_another_resource_than_asked_for_is_an_error(hospital, server, wrong):
    hospital.get(f"{BASE}/Observation/1", json=wrong)
    with pytest.raises(PermanentError, match="something else than a Observation"):
        server.read("Observation", "1")


def test_a_resource_with_elements_left_out_is_not_taken(hospital, server):
    short = {"resourceType": "Observation", "meta": {"tag": [{"code": "SUBSETTED"}]}}
    hospital.get(f"{BASE}/Observation/1", json=short)
    with pytest.raises(PartialError):
        server.read("Observation", "1")


@pytest.mark.parametrize(
    ("type_", "id"),
    [
        ("Patient", ".."),
        ("Patient", "1/../2"),
        ("Patient", "1?x"),
        ("../x", "1"),
        ("Patient", ""),
        ("patient", "1"),
        ("Patient", "a" * 256),
        ("Patient", "a b"),
        ("Patient", "a%2F..%2Fb"),
    ],
)
def test_it_asks_for_nothing_but_types_and_ids(server, type_, id):
    with pytest.raises(ValueError):
        server.read(type_, id)


# create and update


@pytest.mark.parametrize(
    ("location", "at"),
    [
        (f"{BASE}/DocumentReference/42/_history/3", ("DocumentReference/42", "3")),
        (f"{BASE}/DocumentReference/42", ("DocumentReference/42", None)),
        ("http://inner-host:8080/tenant/a/DocumentReference/42/_history/3", ("DocumentReference/42", "3")),
        ("DocumentReference/42", ("DocumentReference/42", None)),
        ("/fhir/DocumentReference/42/", ("DocumentReference/42", None)),
        ("https://h/DocumentReference/1/DocumentReference/42/_history/1", ("DocumentReference/42", "1")),
        (f"{BASE}/Binary/42", (None, None)),
        (f"{BASE}/DocumentReference", (None, None)),
        ("https://[bad", (None, None)),
        (f"{BASE}/DocumentReference/..", (None, None)),
        ("", (None, None)),
    ],
)
def test_it_finds_type_and_id_in_any_location(hospital, server, location, at):
    hospital.post(f"{BASE}/DocumentReference", status=201, headers={"Location": location} if location else {})
    written = server.create(REPORT)
    assert (written.location, written.version) == at
    assert written.created and written.resource is None


def test_without_location_the_body_says_where(hospital, server):
    hospital.post(f"{BASE}/DocumentReference", status=201, json={**REPORT, "id": "9", "meta": {"versionId": "4"}})
    written = server.create(REPORT)
    assert (written.location, written.version, written.resource["id"]) == ("DocumentReference/9", "4", "9")


@pytest.mark.parametrize("etag", ['W/"7"', '"7"', "7"])
def test_the_etag_says_the_version(hospital, server, etag):
    hospital.post(
        f"{BASE}/DocumentReference", status=201, headers={"Location": "DocumentReference/1/_history/6", "ETag": etag}
    )
    assert server.create(REPORT).version == "7"


@pytest.mark.parametrize("body", ["", '{"resourceType":"OperationOutcome"}'])
def test_a_conditional_create_that_found_one_may_not_say_where(hospital, server, body):
    hospital.post(f"{BASE}/DocumentReference", status=200, body=body)
    written = server.create(REPORT, if_none_exist=identifier_condition("urn:x", "1"))
    assert written == Written(None, None, 200, None) and not written.created


@pytest.mark.parametrize("body", ["<html>", '{"resourceType":', "ok"])
def test_a_location_is_enough_whatever_the_body(hospital, server, body):
    hospital.post(f"{BASE}/DocumentReference", status=201, body=body, headers={"Location": "DocumentReference/1"})
    assert server.create(REPORT).location == "DocumentReference/1"


def test_a_web_page_instead_of_an_answer_to_a_write_is_no_success(hospital, server):
    hospital.post(f"{BASE}/DocumentReference", status=200, body="<html>please sign in")
    with pytest.raises(PermanentError):
        server.create(REPORT)


@pytest.mark.parametrize(
    ("system", "value", "header"),
    [
        ("https://sx.example/ids/report", "R-77", "identifier=https%3A%2F%2Fsx.example%2Fids%2Freport%7CR-77"),
        ("urn:x", "a b&c=d,e|f$g\\h%", "identifier=urn%3Ax%7Ca%20b%26c%3Dd%5C%2Ce%5C%7Cf%5C%24g%5C%5Ch%25"),
        ("urn:x", "Łódź/1", "identifier=urn%3Ax%7C%C5%81%C3%B3d%C5%BA%2F1"),
    ],
)
def test_the_condition_is_escaped_and_percent_encoded(hospital, server, system, value, header):
    hospital.post(f"{BASE}/DocumentReference", status=201, headers={"Location": "DocumentReference/1"})
    server.create(REPORT, if_none_exist=identifier_condition(system, value))
    headers = hospital.calls[0].request.headers
    assert headers["If-None-Exist"] == header
    assert headers["Prefer"] == "return=minimal"


@pytest.mark.parametrize(
    "condition", ["identifier", "?identifier=a|b", "DocumentReference?identifier=a|b", "=a", "identifier="]
)
def test_a_condition_that_servers_would_misread_is_refused(server, condition):
    with pytest.raises(ValueError):
        server.create(REPORT, if_none_exist=condition)


def test_two_with_the_same_identifier_at_the_target_is_a_412_to_look_at(hospital, server):
    hospital.post(f"{BASE}/DocumentReference", status=412)
    with pytest.raises(PermanentError) as caught:
        server.create(REPORT, if_none_exist="identifier=a|b")
    assert caught.value.status_code == 412


@pytest.mark.parametrize("if_match", ["3", 'W/"3"'])
def test_an_update_names_the_version_it_changes(hospital, server, if_match):
    hospital.put(f"{BASE}/Task/5", status=200, headers={"ETag": 'W/"4"'})
    assert server.update({**TASK, "id": "5"}, if_match=if_match) == Written("Task/5", "4", 200, None)
    assert hospital.calls[0].request.headers["If-Match"] == 'W/"3"'


def test_it_sends_numbers_as_they_were(hospital, server):
    hospital.post(f"{BASE}/Observation", status=201, headers={"Location": "Observation/1"})
    server.create({"resourceType": "Observation", "valueQuantity": {"value": Decimal("1.10")}})
    assert hospital.calls[0].request.body == b'{"resourceType":"Observation","valueQuantity":{"value":1.10}}'


# what fhirclient is for


def test_a_resource_of_ours_that_is_not_r4_is_not_sent(server):
    with pytest.raises(MappingError) as caught:
        server.create({**TASK, "for": "Zebediah", "input": [{"valueString": "y"}], "colour": "red"}, authored=True)
    assert "Task.for has the wrong type or form" in str(caught.value)
    assert "Task.input[0].type is missing" in str(caught.value)
    assert "Task.colour is not in R4" in str(caught.value)
    assert "Zebediah" not in str(caught.value)


def test_a_resource_that_only_passes_through_is_sent_as_it_is(hospital, server):
    hospital.post(f"{BASE}/Task", status=201, headers={"Location": "Task/1"})
    assert server.create({"resourceType": "Task", "colour": "red"}).location == "Task/1"


@pytest.mark.parametrize(
    "good",
    [
        TASK,
        REPORT,
        {
            **TASK,
            "authoredOn": "2025-03-01T10:00:00+05:45",
            "input": [{"type": {"text": "a"}, "valueDecimal": Decimal("1.10")}],
            "contained": [{"resourceType": "Patient", "id": "a"}],
        },
    ],
)
def test_good_r4_has_no_problems(good):
    assert structure_problems(good) == []


def test_a_type_that_r4_does_not_have_is_a_problem():
    assert structure_problems({"resourceType": "Banana"}) == ["Banana is not an R4 resource type"]


def test_searches_and_models_of_fhirclient_go_through_our_transport(hospital, server):
    hospital.get(
        f"{BASE}/Patient",
        json={
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": {"resourceType": "Patient", "id": "1", "birthDate": "1950-02-03"}}],
        },
    )
    hospital.get(f"{BASE}/Task/2", json={**TASK, "id": "2"})
    hospital.post(f"{BASE}/Task", status=201)
    hospital.put(f"{BASE}/Task/2", json={**TASK, "id": "2"})
    search = Patient.where({"identifier": "urn:mrn|1", "birthdate": {"$lt": "1960"}})
    found = list(search.perform_resources_iter(server))
    assert [patient.birthDate.isostring for patient in found] == ["1950-02-03"]
    assert hospital.calls[0].request.params == {"identifier": "urn:mrn|1", "birthdate": "<1960"}
    task = Task.read("2", server)
    assert task.update(server)["id"] == "2"
    assert Task(TASK).create(server) is None
    assert server.session is None, "nothing of fhirclient can go round the transport"


# transaction


def test_a_transaction_gives_its_response_bundle(hospital, server):
    response = {"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "201"}}]}
    hospital.post(BASE, json=response)
    assert server.transaction({"resourceType": "Bundle", "type": "transaction"}) == response
    assert "Prefer" not in hospital.calls[0].request.headers


@pytest.mark.parametrize(
    "body", ["", "{}", '{"resourceType":"OperationOutcome"}', '{"resourceType":"Bundle"}', '{"resourceType":"Bun']
)
def test_a_transaction_without_its_response_bundle_has_an_unknown_outcome(hospital, server, body):
    hospital.post(BASE, body=body)
    with pytest.raises(UnknownOutcome):
        server.transaction({"resourceType": "Bundle", "type": "transaction"})


# binary

PDF = b"%PDF-1.7 \x00\xff" * 40


def test_it_fetches_raw_bytes_with_their_hash(hospital, server):
    hospital.get(f"{BASE}/Binary/1", body=PDF, content_type="application/pdf")
    data, content_type = content = server.binary("Binary/1", content_type="application/pdf; charset=binary")
    assert (data, content_type) == (PDF, "application/pdf")
    assert content.sha256 == hashlib.sha256(PDF).hexdigest()
    assert hospital.calls[0].request.headers["Accept"] == "application/pdf"


@pytest.mark.parametrize("url", ["Binary/1", f"{BASE}/Binary/1", "/fhir/Binary/1"])
def test_it_unwraps_a_binary_resource(hospital, server, url):
    wrapped = {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(PDF).decode()}
    hospital.get(f"{BASE}/Binary/1", json=wrapped, content_type="application/fhir+json;charset=utf-8")
    assert server.binary(url) == BinaryContent(PDF, "application/pdf")
    assert hospital.calls[0].request.headers["Accept"] == "application/fhir+json"


@pytest.mark.parametrize("body", [b'{"resourceType":"Bundle"}', b'{"a":1,"a":2}', b"[1]"])
def test_a_json_document_is_a_document_and_not_a_wrapping(hospital, server, body):
    hospital.get(f"{BASE}/Binary/1", body=body, content_type="application/json")
    assert server.binary("Binary/1", content_type="application/json").data == body


def test_an_attachment_that_is_cut_once_is_read_again():
    def half(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 500\r\n\r\n%PDF")
        cut(handler)

    answers = iter([half, lambda handler: answer(handler, body=PDF, content_type="application/pdf")])
    with world(lambda handler: next(answers)(handler)) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        assert server.binary("Binary/1", content_type="application/pdf") == BinaryContent(PDF, "application/pdf")
    assert len(started.requests) == 2


def test_a_binary_that_is_not_base64_is_an_error(hospital, server):
    hospital.get(
        f"{BASE}/Binary/1", json={"resourceType": "Binary", "data": "%%%"}, content_type="application/fhir+json"
    )
    with pytest.raises(PermanentError) as caught:
        server.binary("Binary/1")
    assert caught.value.cause == "not-base64"


def test_a_sign_in_page_is_not_taken_for_the_attachment(hospital, server):
    hospital.get(f"{BASE}/Binary/1", body="<html>sign in", content_type="text/html; charset=utf-8")
    with pytest.raises(PermanentError) as caught:
        server.binary("Binary/1", content_type="application/pdf")
    assert caught.value.cause == "not-the-attachment"
    assert server.binary("Binary/1", content_type="text/html").data == b"<html>sign in"


@pytest.mark.parametrize("content_type", ["application/pdf", "application/fhir+json"])
def test_it_stops_at_the_largest_attachment_allowed(hospital, server, content_type):
    wrapped = json.dumps({"resourceType": "Binary", "data": base64.b64encode(b"x" * 300).decode()}).encode()
    hospital.get(f"{BASE}/Binary/1", body=wrapped if "json" in content_type else b"x" * 300, content_type=content_type)
    with pytest.raises(PermanentError) as caught:
        server.binary("Binary/1", max_bytes=299)
    assert caught.value.cause == "too-large"
    assert len(server.binary("Binary/1", max_bytes=300).data) == 300


def test_it_does_not_read_on_when_an_attachment_has_no_end():
    sent = []

    def endless(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(2000):
            sent.append(handler.wfile.write(b"x" * 65536))

    with world(endless) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        with pytest.raises(PermanentError):
            server.binary("Binary/1", max_bytes=1_000_000)
    assert sum(sent) < 60_000_000


def test_an_attachment_at_another_server_is_not_fetched_with_our_session(server):
    with pytest.raises(PermanentError) as caught:
        server.binary("https://elsewhere.example.invalid/Binary/1")
    assert caught.value.cause == "other-origin"


# Servers


def config(**endpoints):
    return SimpleNamespace(endpoints=endpoints)


def test_each_endpoint_has_one_server():
    servers = Servers(config(a=endpoint(), b=endpoint("http://b.example.invalid/fhir")))
    assert servers.server("a") is servers.server("a")
    assert servers.server("b").transport.base_url == "http://b.example.invalid/fhir"
    first = servers.server("a")
    servers.close()
    assert servers.server("a") is not first


def test_an_endpoint_that_is_not_in_the_configuration_is_named():
    with pytest.raises(PermanentError, match="no endpoint 'c'"):
        Servers(config(a=endpoint())).server("c")


def test_an_endpoint_that_wants_sign_in_is_never_asked_without():
    wanting = endpoint()
    wanting.auth = SimpleNamespace(type="smart-backend-services")
    with pytest.raises(PermanentError, match="needs sign-in"):
        Servers(config(a=wanting)).server("a")


def test_identifier_tokens_keep_their_bar_and_escape_the_others():
    assert identifier_token("urn:x", "a|b,c") == "urn:x|a\\|b\\,c"


def test_a_real_socket_create_is_sent_once_and_read_back():
    with world(lambda handler: answer(handler, 201, b"", Location="Task/1/_history/1", ETag='W/"1"')) as started:
        server = FhirServer(endpoint(started.base_url), Transport(endpoint(started.base_url)))
        assert server.create(TASK, authored=True) == Written("Task/1", "1", 201, None)
    sent = b'{"resourceType":"Task","status":"requested","intent":"order"}'
    assert started.requests == [("POST", "/fhir/Task", sent)]
