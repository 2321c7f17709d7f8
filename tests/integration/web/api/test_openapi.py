"""The description of the API is true: every route is in it, nothing else is, and a program that reads it finds no lie."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import get_args

import pytest
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator

import second_opinion
from integration.store import alarms, bulk
from integration.store.filters import parse
from integration.store.roles import in_order
from integration.store.tables import delivery_items
from integration.web.access import scope
from integration.web.api.bodies import ItemWord
from integration.web.api.document import openapi
from integration.web.problems import PROBLEMS
from mappings.model.delivery import ItemStatus
from tests.integration.web.serving import serving

EXAMPLES, SEED = 3, 20260301
# Not asked: positive_data_acceptance. No schema can say what a filter is, or which endpoints are configured.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
    "allow_header_conformance",
    "negative_data_rejection",
)


@pytest.mark.postgres
def test_every_route_is_in_it_and_everything_in_it_is_a_route(site):
    described = {(path, method) for path, methods in openapi(site.app)["paths"].items() for method in methods}
    routes = {
        (rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}"), method.lower())
        for rule in site.app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert described == routes and len(routes) > 20
    assert site.client.get("/api/openapi.json").json == openapi(site.app) == openapi()


def test_it_is_a_right_openapi_3_1_document():
    document = openapi()
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_does_its_role_and_what_each_field_is():
    document = openapi()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            roles = in_order(scope.needed(f"api.{operation['operationId']}"))
            assert operation["summary"] and operation["description"].endswith(f"Role: {' or '.join(roles)}."), path
            assert all(
                parameter["in"] == "path" or parameter["description"] for parameter in operation["parameters"]
            ), path
    reason = document["components"]["schemas"]["Because"]
    assert (
        reason["required"] == ["reason"]
        and reason["additionalProperties"] is False
        and reason["properties"]["reason"]["description"]
    )


def test_every_kind_of_problem_is_in_it():
    text = json.dumps(openapi())
    assert not [kind for kind in PROBLEMS if f"`{kind}`" not in text]


def test_the_command_prints_it():
    printed = CliRunner().invoke(second_opinion.cli, ["api", "spec"])
    assert printed.exit_code == 0 and json.loads(printed.stdout) == openapi()


@pytest.fixture
def served(site):
    """A real server with something of everything in it; gives its address."""
    request_id = site.request()
    (
        site.step(request_id=request_id, delivery_id=site.delivery(request_id)),
        site.step("verify_records", "bob", "waiting"),
    )
    site.with_due(site.request("k2"), datetime.now(UTC))
    with site.engine.begin() as conn:
        conn.execute(delivery_items.insert(), [{"delivery_id": f"{request_id}-records-1", "source": "Observation/1"}])
        alarms.raise_alarm(conn, "endpoint-down", "mercy", "mercy has answered nothing")
        bulk.start_retry(conn, parse("endpoint:mercy"), datetime.now(UTC), actor="test", reason="test")
    with serving(site.app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("phases", "examples"),
    [("examples,fuzzing", 1), pytest.param("examples,coverage,fuzzing", EXAMPLES, marks=pytest.mark.long)],
    ids=["some", "many"],
)
def test_a_program_that_reads_it_finds_no_lie(served, tmp_path, phases, examples):
    """Schemathesis makes requests from the schemas, right and wrong ones: never a 500, and answers are as described."""
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{served}/api/openapi.json",
        "--checks",
        ",".join(CHECKS),
        "--phases",
        phases,
        "--max-examples",
        str(examples),
        "--seed",
        str(SEED),
        "--workers",
        "1",
        "--no-color",
        "--suppress-health-check",
        "all",
        "--generation-database",
        "none",
        "--warnings",
        "off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


def test_items_can_be_asked_for_by_every_status_they_can_have():
    assert set(get_args(ItemWord)) == set(ItemStatus)
