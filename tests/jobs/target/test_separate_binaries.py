"""A document too large to stand inside its record: a Binary of its own, sent block by block and read back."""

import hashlib

import pytest

from integration.fhir.server import FhirServer
from mappings.model.errors import PermanentError
from tests.jobs.exchange import a_request, http, load_chart

pytestmark = pytest.mark.postgres
SCAN = bytes(range(256)) * 2000  # the endpoint takes 200,000 bytes inside a record


def with_scan(exchange) -> dict:
    made = load_chart(exchange)
    answer = http.post(f"{exchange.alice}/Binary", data=SCAN, headers={"Content-Type": "application/pdf"}, timeout=10)
    place = answer.headers["Location"].split("/_history")[0].split("/fhir/alice/")[-1]
    subject = {"reference": f"Patient/{made['patient']['id']}"}
    attachments = [{"contentType": "application/pdf", "url": place}, {"contentType": "text/plain", "data": "c21hbGw="}]
    document = {"resourceType": "DocumentReference", "status": "current", "subject": subject, "type": {"text": "scan"}}
    made["scan"] = exchange.put("alice", document | {"content": [{"attachment": each} for each in attachments]})
    return made


def scan_at_bob(exchange) -> tuple[dict, str]:
    found = [each for each in exchange.find("bob", "DocumentReference") if each.get("type", {}).get("text") == "scan"]
    assert len(found) == 1
    return found[0], found[0]["content"][0]["attachment"]["url"]


def bytes_at_bob(exchange, place: str) -> bytes:
    return http.get(f"{exchange.bob}/{place}", headers={"Accept": "application/pdf"}, timeout=10).content


def test_it_stands_beside_its_record_byte_for_byte(exchange):
    with_scan(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified", [
        each["message"] for each in exchange.view(request_id)["owed"]
    ]
    record, place = scan_at_bob(exchange)
    assert place.startswith("Binary/") and "data" not in record["content"][0]["attachment"]
    assert record["content"][1]["attachment"]["data"] == "c21hbGw="
    assert hashlib.sha256(bytes_at_bob(exchange, place)).digest() == hashlib.sha256(SCAN).digest()


@pytest.mark.long
def test_a_second_request_sends_it_once_and_reads_it_back_again(exchange):
    with_scan(exchange)
    exchange.submit(a_request())
    exchange.drain()
    _, place = scan_at_bob(exchange)
    second = exchange.submit(a_request(key="k2"))
    exchange.drain()
    assert exchange.view(second)["records"] == "verified" and scan_at_bob(exchange)[1] == place
    headers = {"Content-Type": "application/pdf"}
    assert http.put(f"{exchange.bob}/{place}", data=SCAN[:-1] + b"x", headers=headers, timeout=10).ok
    third = exchange.submit(a_request(key="k3"))
    exchange.drain()
    assert exchange.parked(third) == ["verify-different"] and "verify-bytes" in exchange.causes()


@pytest.mark.long
def test_an_endpoint_that_takes_no_binary_is_not_sent_one(make_exchange):
    exchange = make_exchange(capabilities="{binary_create: false}")
    with_scan(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["attachment-too-large"]
    assert not [each for each in exchange.find("bob", "DocumentReference") if each["type"]["text"] == "scan"]


def test_a_document_that_the_endpoint_refuses_stops_its_record_only(exchange, monkeypatch):
    def refused(self, body, content_type):
        raise PermanentError("POST Binary: bob answers 413: too large", endpoint="bob", status_code=413)

    monkeypatch.setattr(FhirServer, "create_binary", refused)
    with_scan(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    said = " ".join(each["message"] or "" for each in exchange.view(request_id)["owed"])
    assert exchange.parked(request_id) == ["record-refused"] and "413" in said
    assert len(exchange.find("bob", "Observation")) == 5
