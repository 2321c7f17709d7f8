"""`requests list` and `requests show` for people: a header, own numbers, causes with what to do; no wall of JSON."""

import json

import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.site import Site


@pytest.fixture
def site(tmp_path, database) -> Site:
    return Site(tmp_path, database)


@pytest.fixture
def run(site, tmp_path, database):
    def _run(*words: str, code: int = 0) -> str:
        runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
        result = runner.invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words])
        assert result.exit_code == code, result.output
        return result.output

    return _run


def test_the_list_has_a_header_own_numbers_names_and_what_each_waits_for(site, run):
    parked = site.request("hillside-2026-0042")
    site.step(
        "match_people", "mercy", request_id=parked, cause="patient-none", message="mercy does not know this patient"
    )
    site.request("hillside-2026-0043", fulfiller="bob")
    header, second, first = run("requests", "list").splitlines()
    assert header.split() == ["REQUEST", "ID", "FROM", "TO", "STATUS", "RECORDS", "DUE", "WAITING", "FOR"]
    assert first.startswith("hillside-2026-0042") and "Mercy Hospital" in first
    assert "a person: Match patient and people (patient-none)" in first and "Dr Bob" in second
    assert "(there are more: --limit)" in run("requests", "list", "--limit", "1")
    [only] = json.loads(run("requests", "list", "--show", "attention", "--json"))
    assert only["waits_for"] == {"kind": "match_people", "status": "parked", "cause": "patient-none"}
    assert "Synthetic-Test" not in run("requests", "list")


def test_one_request_is_shown_by_its_own_number_with_what_to_do(site, run):
    request_id = site.request("Hillside-7")
    site.step("push_records", "mercy", request_id=request_id, cause="http-422", message="refused")
    said = run("requests", "show", "hillside-7")
    assert said.splitlines()[0] == f"Hillside-7  ({request_id})" and len(said.splitlines()) < 40
    assert "still missing before the loop is closed:" in said and "http-422: The endpoint refuses" in said
    assert "what to do: " in said and "Synthetic-Test" not in said
    assert json.loads(run("requests", "show", request_id, "--json"))["request_id"] == request_id
    assert "there is no request nobody" in run("requests", "show", "nobody", code=1)
