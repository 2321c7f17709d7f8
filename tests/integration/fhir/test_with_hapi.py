"""The same client against a real HAPI FHIR server: what stands in its answers, not in our mocks."""

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from fhirclient.models.patient import Patient

from integration.fhir.capabilities import probe
from integration.fhir.server import FhirServer, NotFound, identifier_condition, identifier_token
from integration.fhir.transport import Transport
from integration.fhir_json import loads
from mappings.model.errors import PartialError, PermanentError
from tests.integration.fhir.endpoints import endpoint

pytestmark = pytest.mark.hapi
SYSTEM = f"https://second-opinion.example/test/{uuid4()}"


@pytest.fixture(scope="module")
def server(hapi_url: str) -> FhirServer:
    at = endpoint(hapi_url, timeout_seconds=60, page_size=7)
    return FhirServer(at, Transport(at))


def patient(value, **more):
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def test_it_can_all_we_need(server):
    found = probe(server)
    assert found.problems == () and found.fhir_version == "4.0.1"
    assert found.transaction and found.conditional_create and found.task and found.document_reference_create
    assert found.can_search("DocumentReference", "identifier", "patient")


def test_a_create_says_where_and_can_be_read_back_digit_by_digit(server):
    observation = loads(
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.10,"unit":"mg"}}'
    )
    written = server.create(observation, authored=True)
    assert written.created and written.version == "1" and written.location.startswith("Observation/")
    assert written.resource is None, "return=minimal is obeyed"
    assert str(server.read(*written.location.split("/"))["valueQuantity"]["value"]) == "1.10"


@pytest.mark.parametrize("value", ["plain", "a b&c=d", "Łódź/ü", "50%", "semi;colon+plus"])
def test_a_conditional_create_stores_one_whatever_the_identifier(server, value):
    first = server.create(patient(value), if_none_exist=identifier_condition(SYSTEM, value))
    again = server.create(patient(value), if_none_exist=identifier_condition(SYSTEM, value))
    assert (first.created, again.created) == (True, False)
    assert again.location in (first.location, None)
    found = server.search_all("Patient", {"identifier": identifier_token(SYSTEM, value)})
    assert [f"Patient/{each['id']}" for each in found] == [first.location]


@pytest.mark.parametrize("value", ["comma,one", "dollar$one", "bar|one", "back\\slash"])
def test_identifiers_with_search_characters_are_found_by_their_escaped_token(server, value):
    first = server.create(patient(value), if_none_exist=identifier_condition(SYSTEM, value))
    again = server.create(patient(value), if_none_exist=identifier_condition(SYSTEM, value))
    assert first.created and not again.created
    assert len(server.search_all("Patient", {"identifier": identifier_token(SYSTEM, value)})) == 1


def test_two_with_the_same_identifier_are_a_412_with_no_patient_in_the_message(server):
    for _ in range(2):
        server.create(patient("Zebediah-777"))
    with pytest.raises(PermanentError) as caught:
        server.create(patient("Zebediah-777"), if_none_exist=identifier_condition(SYSTEM, "Zebediah-777"))
    assert caught.value.status_code == 412 and caught.value.outcome
    assert "HAPI-" in str(caught.value) and "Zebediah" not in str(caught.value)


def test_every_page_comes_and_each_resource_once(server):
    post = {"method": "POST", "url": "Patient"}
    values = [f"page-{n}" for n in range(30)]
    server.transaction(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": patient(value), "request": post} for value in values],
        }
    )
    search = server.search("Patient", {"identifier": ",".join(identifier_token(SYSTEM, value) for value in values)})
    found = [entry.reference for entry in search]
    assert len(found) == len(set(found)) == 30
    assert search.pages == 5 and search.warnings == []


def test_a_repeated_search_sees_what_was_written_meanwhile(server):
    def look():
        return server.search_all("Patient", {"identifier": identifier_token(SYSTEM, "fresh")})

    assert look() == []
    server.create(patient("fresh"))
    assert len(look()) == 1


def test_summaries_are_seen_to_be_partial(server):
    server.create(patient("summary", birthDate="1970-01-01"))
    with pytest.raises(PartialError, match="SUBSETTED"):
        server.search_all("Patient", {"identifier": identifier_token(SYSTEM, "summary"), "_summary": "true"})


def test_an_update_of_an_old_version_is_refused(server):
    written = server.create(patient("update"))
    stored = server.read(*written.location.split("/"))
    changed = server.update({**stored, "active": True}, if_match=written.version)
    assert (changed.location, changed.version, changed.status) == (written.location, "2", 200)
    with pytest.raises(PermanentError) as caught:
        server.update({**stored, "active": False}, if_match=written.version)
    assert caught.value.status_code in (409, 412)


@pytest.mark.parametrize("content_type", [None, "application/pdf"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_binary_comes_back_byte_for_byte(server, hapi_url, content_type, absolute):
    data = b"%PDF-1.7\x00\xff\r\n" * 5000
    written = server.create(
        {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(data).decode()}
    )
    url = f"{hapi_url}/{written.location}" if absolute else written.location
    found = server.binary(url, content_type=content_type)
    assert (found.data, found.content_type) == (data, "application/pdf")


def test_a_transaction_is_all_or_nothing(server):
    good = {"resource": patient("rollback"), "request": {"method": "POST", "url": "Patient"}}
    bad = {
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": "Patient/nobody-here"},
        },
        "request": {"method": "POST", "url": "Observation"},
    }
    with pytest.raises(PermanentError) as caught:
        server.transaction({"resourceType": "Bundle", "type": "transaction", "entry": [good, bad]})
    assert 400 <= caught.value.status_code < 500
    assert server.search_all("Patient", {"identifier": identifier_token(SYSTEM, "rollback")}) == []


def test_what_is_not_there_or_not_any_more_is_not_found(server):
    with pytest.raises(NotFound):
        server.read("Patient", "nobody-here")
    with pytest.raises(NotFound):
        server.binary("Binary/nobody-here")


def test_an_unknown_search_parameter_is_refused_by_words(server):
    with pytest.raises(PermanentError) as caught:
        server.search_all("Patient", {"favourite-colour": "red"})
    assert caught.value.status_code == 400 and "HAPI-" in str(caught.value)


def test_fhirclient_searches_through_our_transport(server):
    server.create(patient("model", birthDate="1950-02-03"))
    found = list(Patient.where({"identifier": f"{SYSTEM}|model"}).perform_resources_iter(server))
    assert [each.birthDate.isostring for each in found] == ["1950-02-03"]


def test_threads_write_and_read_at_the_same_time(server):
    def one(n):
        value = f"thread-{n}"
        written = server.create(patient(value), if_none_exist=identifier_condition(SYSTEM, value))
        return server.read(*written.location.split("/"))["identifier"][0]["value"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(24))) == [f"thread-{n}" for n in range(24)]


def test_a_synthetic_chart_passes_through_in_one_transaction(server):
    data = os.environ.get("SECOND_OPINION_DATA")
    if not data:
        pytest.skip("SECOND_OPINION_DATA does not name the folder that holds synthea/")
    charts = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.join(data, "synthea"))
        for name in names
        if name.endswith(".json") and "nformation" not in name
    )
    bundle = next((found for path in charts if (found := _transaction_in(path))), None)
    if bundle is None:
        pytest.skip("synthea/ holds no transaction Bundle that stands for itself")
    assert len(server.transaction(bundle)["entry"]) == len(bundle["entry"])


def _transaction_in(path):
    with open(path, "rb") as file:
        found = loads(file.read())
    outward = "?identifier=" in json.dumps(found, default=str)
    return found if found.get("type") == "transaction" and len(found["entry"]) < 400 and not outward else None
