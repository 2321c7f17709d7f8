"""What ``second-opinion map`` prints for the shipped examples."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mappings.references import find_references
from second_opinion import cli

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*-request.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_prints_a_bundle_whose_references_resolve(path):
    result = CliRunner().invoke(cli, ["map", str(path)])
    assert result.exit_code == 0, result.output
    bundle = json.loads(result.stdout)
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    named = [
        at.reference["reference"]
        for entry in bundle["entry"]
        for at in find_references(entry["resource"])
        if at.reference.get("reference", "").startswith("urn:")
    ]
    assert named and set(named) <= urls
    assert {"ServiceRequest", "Task", "Patient"} <= {entry["resource"]["resourceType"] for entry in bundle["entry"]}


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["map", "missing.yaml"], 2),
        (["nonsense"], 2),
        (["--config", "missing.yaml", "requests", "list"], 2),
        (["submit"], 2),
        (["map", "--help"], 0),
    ],
)
def test_wrong_usage_is_a_sentence_and_the_right_exit_code(arguments, exit_code):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
