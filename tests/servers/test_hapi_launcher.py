"""Shows that the launched HAPI server behaves as the tests and benchmarks that use it expect."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from .us_core import load_us_core

pytestmark = pytest.mark.hapi

SYSTEM = "https://launcher.example/id"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
HTTP = requests.Session()
HTTP.trust_env = False
UNKNOWN_CODES = {
    "http://snomed.info/sct": "254837009",
    "http://loinc.org": "11502-2",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "476872",
    "http://hl7.org/fhir/sid/icd-10-cm": "C50.9",
}


@pytest.fixture
def base_url(hapi_url: str) -> str:
    return hapi_url


@pytest.fixture(scope="module")
def us_core_url(hapi_url: str) -> str:
    data = os.environ.get("SECOND_OPINION_DATA")
    if not data:
        pytest.skip("SECOND_OPINION_DATA does not name the folder that holds us-core-profiles/")
    assert load_us_core(hapi_url, Path(data) / "us-core-profiles") > 0
    return hapi_url


def test_it_speaks_r4(base_url: str) -> None:
    capabilities = get(f"{base_url}/metadata")
    assert capabilities["fhirVersion"] == "4.0.1"
    assert capabilities["implementation"]["url"] == base_url


def test_it_listens_on_loopback_only(base_url: str) -> None:
    port = int(base_url.split(":")[2].split("/")[0])
    assert listening_addresses(port) == {"127.0.0.1"}


def test_a_repeated_transaction_creates_nothing(base_url: str) -> None:
    bundle = referral(new_identifier(), new_identifier())
    first, second = post(base_url, bundle).json(), post(base_url, bundle).json()
    assert statuses(first) == ["201", "201"]
    assert statuses(second) == ["200", "200"]
    assert locations(first) == locations(second)
    patient_url, request_url = locations(first)
    request = get(f"{base_url}/{request_url}")
    assert request["subject"]["reference"] == patient_url.split("/_history/")[0]


def test_a_conditional_create_stores_once(base_url: str) -> None:
    identifier = new_identifier()
    header = {"If-None-Exist": f"identifier={SYSTEM}|{identifier}"}
    answers = [post(f"{base_url}/Patient", patient(identifier), header) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert search_total(base_url, identifier) == 1


def test_a_search_sees_each_write_at_once(base_url: str) -> None:
    identifier = new_identifier()
    for expected in range(3):
        assert search_total(base_url, identifier) == expected
        post(f"{base_url}/Patient", patient(identifier)).raise_for_status()


def test_a_client_may_choose_a_numeric_id(base_url: str) -> None:
    answer = HTTP.put(f"{base_url}/Patient/123", json=patient(new_identifier()) | {"id": "123"}, timeout=30)
    assert answer.status_code == 201


def test_an_absolute_reference_is_refused_unless_allowed(base_url: str) -> None:
    request = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "https://elsewhere.example/fhir/Patient/1"},
    }
    assert post(f"{base_url}/ServiceRequest", request).status_code == 400


def test_validation_follows_a_us_core_profile(us_core_url: str) -> None:
    profile = f"{US_CORE}/us-core-patient|9.0.0"
    complete = patient(new_identifier()) | {"name": [{"family": "Núñez"}], "meta": {"profile": [profile]}}
    nameless = {key: value for key, value in complete.items() if key != "name"}
    assert errors(validate(us_core_url, complete)) == []
    assert any("Patient.name: minimum required" in text for text in errors(validate(us_core_url, nameless)))


@pytest.mark.parametrize("system", UNKNOWN_CODES)
def test_a_code_system_that_is_not_loaded_is_no_error(us_core_url: str, system: str) -> None:
    issues = validate(us_core_url, condition(system, UNKNOWN_CODES[system]))
    assert errors(issues) == []
    assert any(system in issue["diagnostics"] for issue in issues)


def patient(identifier: str) -> dict[str, Any]:
    identifiers = [{"system": SYSTEM, "value": identifier}]
    return {"resourceType": "Patient", "identifier": identifiers, "gender": "female"}


def condition(system: str, code: str) -> dict[str, Any]:
    hl7 = "http://terminology.hl7.org/CodeSystem"
    active = {"system": f"{hl7}/condition-clinical", "code": "active"}
    problem = {"system": f"{hl7}/condition-category", "code": "problem-list-item"}
    return {
        "resourceType": "Condition",
        "meta": {"profile": [f"{US_CORE}/us-core-condition-problems-health-concerns"]},
        "clinicalStatus": {"coding": [active]},
        "category": [{"coding": [problem]}],
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/someone"},
    }


def referral(patient_identifier: str, request_identifier: str) -> dict[str, Any]:
    request = {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": SYSTEM, "value": request_identifier}],
        "status": "active",
        "intent": "order",
        "subject": {"reference": (full_url := f"urn:uuid:{uuid4()}")},
    }
    entries = [
        create_once(full_url, patient(patient_identifier)),
        create_once(f"urn:uuid:{uuid4()}", request),
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def create_once(full_url: str, resource: dict[str, Any]) -> dict[str, Any]:
    query = f"identifier={SYSTEM}|{resource['identifier'][0]['value']}"
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": query}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def new_identifier() -> str:
    return str(uuid4())


def get(url: str, **query: str) -> Any:
    answer = HTTP.get(url, params=query, timeout=30)
    answer.raise_for_status()
    return answer.json()


def post(url: str, resource: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
    return HTTP.post(url, json=resource, headers=headers, timeout=120)


def search_total(base_url: str, identifier: str) -> int:
    return int(get(f"{base_url}/Patient", identifier=f"{SYSTEM}|{identifier}", _summary="count")["total"])


def validate(base_url: str, resource: dict[str, Any]) -> list[dict[str, Any]]:
    answer = post(f"{base_url}/{resource['resourceType']}/$validate", resource)
    return list(answer.json()["issue"])


def errors(issues: list[dict[str, Any]]) -> list[str]:
    return [issue["diagnostics"] for issue in issues if issue["severity"] in ("error", "fatal")]


def statuses(bundle: dict[str, Any]) -> list[str]:
    return [entry["response"]["status"][:3] for entry in bundle["entry"]]


def locations(bundle: dict[str, Any]) -> list[str]:
    return [entry["response"]["location"] for entry in bundle["entry"]]


def listening_addresses(port: int) -> set[str]:
    """Ask this machine's kernel which addresses accept connections on the port."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return {address(local) for _, local, _, state, *_ in rows if state == "0A" and local.endswith(f":{port:04X}")}


def address(hexadecimal: str) -> str:
    """Turn the kernel's words, each in little-endian order, into an address one can read."""
    digits = bytes.fromhex(hexadecimal.split(":")[0])
    words = b"".join(digits[i : i + 4][::-1] for i in range(0, len(digits), 4))
    if len(words) == 4:
        return socket.inet_ntop(socket.AF_INET, words)
    return socket.inet_ntop(socket.AF_INET6, words).removeprefix("::ffff:")
