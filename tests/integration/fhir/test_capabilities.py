"""What a server says it can do, and what is made of a server that is none."""

from pathlib import Path

import pytest
import responses

from integration.fhir.capabilities import Capabilities, probe, read_statement
from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport
from mappings.model.capabilities import QUIRKS
from mappings.model.errors import TemporaryError
from tests.integration.fhir.endpoints import BASE, endpoint

ROOT = Path(__file__).parents[3]
EVERYTHING = ("create", "read", "update", "search-type")


def resource(type_, *interactions, **more):
    return {
        "type": type_,
        "interaction": [{"code": code} for code in interactions or EVERYTHING],
        "searchParam": [{"name": "identifier", "type": "token"}, {"name": "patient", "type": "reference"}],
        "conditionalCreate": True,
        "updateCreate": True,
        "versioning": "versioned-update",
        **more,
    }


def statement(*resources, version="4.0.1", **more):
    """A server where all is well."""
    resources = resources or tuple(map(resource, ("ServiceRequest", "Task", "DocumentReference", "Binary")))
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": version,
        "format": ["application/fhir+xml", "json"],
        "software": {"name": "HAPI"},
        "rest": [{"mode": "server", "resource": list(resources), "interaction": [{"code": "transaction"}]}],
        **more,
    }


@pytest.fixture
def hospital():
    with responses.RequestsMock() as mock:
        yield mock


def server(**overrides):
    return FhirServer(endpoint(**overrides), Transport(endpoint()))


def test_a_good_server_has_no_problems_and_can_do_everything(hospital):
    hospital.get(f"{BASE}/metadata", json=statement())
    found = probe(server())
    assert found.problems == () and (found.fhir_version, found.software) == ("4.0.1", "HAPI")
    assert found.transaction and found.conditional_create and found.task
    assert found.versioned_update
    assert found.service_request_create and found.document_reference_create
    assert found.can_search("Task", "identifier", "patient") and not found.can_search("Task", "owner")
    assert not found.can_search("Patient")


def test_oracle_health_has_no_task_no_transaction_and_reads_service_requests_only():
    found = read_statement(
        statement(
            resource("ServiceRequest", "read", "search-type"),
            resource("DocumentReference", conditionalCreate=False, updateCreate=False),
            resource("Binary", "read"),
        )
        | {"software": None}
    )
    found_all = (
        found.task,
        found.service_request_create,
        found.document_reference_create,
        found.conditional_create,
    )
    assert found_all == (False, False, True, False)
    assert found.problems == ()


def test_conditional_create_must_hold_for_every_type_we_create():
    one_cannot = statement(resource("Task"), resource("DocumentReference", conditionalCreate=False))
    assert not read_statement(one_cannot).conditional_create


def test_a_task_we_cannot_update_is_no_task():
    assert not read_statement(statement(resource("Task", "create", "read"))).task


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("5.0.0", "R5"),
        ("3.0.2", "STU3"),
        ("1.0.2", "DSTU2"),
        ("4.3.0", "R4B"),
        ("9.9", "9.9"),
        (None, "names no FHIR version"),
    ],
)
def test_another_fhir_version_is_a_problem(version, name):
    (problem,) = read_statement(statement(version=version)).problems
    assert name in problem and "R4 (4.0.1) is needed" in problem


@pytest.mark.parametrize("version", ["4.0.1", "4.0.0", "4.0"])
def test_r4_is_no_problem(version):
    assert read_statement(statement(version=version)).problems == ()


def test_a_dstu2_server_calls_it_conformance():
    assert "DSTU2" in read_statement({"resourceType": "Conformance", "fhirVersion": "1.0.2", "rest": [{}]}).problems[0]


def test_a_server_without_json_and_one_that_is_a_client_are_problems():
    assert "no JSON" in read_statement(statement(format=["xml"])).problems[0]
    assert "no REST server" in read_statement(statement(rest=[{"mode": "client"}])).problems[0]


@pytest.mark.parametrize(
    "answer",
    [
        {"body": "<html>welcome", "content_type": "text/html"},
        {"status": 404},
        {"json": []},
        {"status": 403},
        {"body": "OK"},
        {"json": {"resourceType": "Patient"}},
    ],
)
def test_what_is_no_fhir_server_is_a_problem_in_words_and_no_exception(hospital, answer):
    hospital.get(f"{BASE}/metadata", **answer)
    found = probe(server())
    assert len(found.problems) == 1 and not found.transaction
    assert "base_url" in found.problems[0] or "CapabilityStatement" in found.problems[0]


def test_a_server_that_is_only_down_says_nothing_about_what_it_can_do(hospital):
    hospital.get(f"{BASE}/metadata", status=503)
    with pytest.raises(TemporaryError):
        probe(server())


def test_config_yaml_knows_better(hospital):
    hospital.get(f"{BASE}/metadata", json=statement())
    found = probe(server(transaction=False, task=False, max_page=20))
    assert (found.transaction, found.task, found.max_page, found.conditional_create) == (False, False, 20, True)


def test_an_override_that_is_no_capability_is_a_problem():
    assert "capabilities.transactions" in Capabilities().with_overrides({"transactions": True}).problems[0]


def test_every_override_decides_something():
    """A name that config.yaml takes is read somewhere else than where it is probed."""
    sources = [
        file.read_text(encoding="utf-8")
        for folder in ("integration", "jobs")
        for file in (ROOT / folder).rglob("*.py")
        if file.name not in ("capabilities.py", "model.py")
    ]
    for name in QUIRKS:
        assert any(f").{name}" in text or f"can.{name}" in text or f'get("{name}")' in text for text in sources), name


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"rest": 1},
        {"rest": [None, {"resource": [None, {"type": 1}, {"type": "Task"}]}]},
        {"format": None},
        {"software": "x"},
        {"fhirVersion": 4},
    ],
)
def test_a_broken_statement_is_read_as_far_as_it_goes(broken):
    assert isinstance(read_statement({"resourceType": "CapabilityStatement", **broken}), Capabilities)
