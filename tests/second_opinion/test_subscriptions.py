"""`second-opinion subscriptions`: what IT is given, and what we write where we may, against a server over real HTTP."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

import second_opinion
from tests.servers.unkind import Unkind

pytestmark = pytest.mark.postgres
SECRET = "b7" * 24
HERE = "http://127.0.0.1:8080/hooks/mercy"


@pytest.fixture
def mercy():
    """It ignores the parameter `url`, and tells another system of its news too."""
    with Unkind(inner=False) as server:
        server.put({"resourceType": "Subscription", "status": "active", "criteria": "Task?", "channel": {"endpoint": "https://other"}})  # fmt: skip
        yield server


@pytest.fixture
def run(tmp_path, database, mercy):
    (tmp_path / "hints").write_text(SECRET)
    config = {
        "data_dir": str(tmp_path / "data"),
        "endpoints": {
            "mercy": {"base_url": mercy.url, "role": "fulfiller", "hints": {"secret_file": "hints"}},
            "other": {"base_url": "https://other.example.org/fhir", "role": "placer"},
        },
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    environ = {"SECOND_OPINION_DATABASE_URL": database.url}

    def _run(*words: str, code: int = 0) -> str:
        command = ["--config", str(tmp_path / "config.yaml"), "subscriptions", *words]
        result = CliRunner().invoke(second_opinion.cli, command, env=environ)
        assert result.exit_code == code, result.output
        return result.output

    return _run


def ours(mercy) -> list[dict]:
    found = [each for each in mercy.store.values() if each["resourceType"] == "Subscription"]
    return [each for each in found if each["channel"]["endpoint"] == HERE]


def test_what_it_shows_is_the_json_for_their_it_without_the_secret(run):
    said = run("show", "mercy")
    assert "never spoke" in said and SECRET not in said and HERE in said and "Authorization: Bearer THE-SECRET" in said
    assert "no Subscription there tells us of news about Task" in said
    found = json.loads(run("show", "mercy", "--topic", "https://mercy.example.org/topic", "--json"))
    assert (
        found["there"] == []
        and [each["criteria"] for each in found["to_create"]] == ["https://mercy.example.org/topic"] * 2
    )


def test_it_writes_what_is_not_there_yet_once(run, mercy, database):
    made = json.loads(run("create", "mercy", "--reason", "agreed with their IT", "--json"))
    assert len(made["created"]) == 2 and len(ours(mercy)) == 2
    assert {each["channel"]["header"][0] for each in ours(mercy)} == {f"Authorization: Bearer {SECRET}"}
    again = json.loads(run("create", "mercy", "--reason", "again", "--json"))
    assert again["created"] == [] and len(again["already_there"]) == 2 and len(ours(mercy)) == 2
    ours(mercy)[0]["status"] = "error"
    assert len(json.loads(run("create", "mercy", "--reason", "it failed", "--json"))["created"]) == 1
    with database.engine.connect() as conn:
        left = conn.execute(text("SELECT reason FROM audit WHERE action = 'data.leaves' ORDER BY id")).scalars().all()
    assert left == ["subscription: agreed with their IT"] * 2 + ["subscription: it failed"], "each passed the gate"


def test_one_that_failed_is_told(run, mercy):
    run("create", "mercy", "--reason", "agreed")
    for each in ours(mercy):
        each["status"] = "error"
    assert "is error there: nothing is told by it" in run("show", "mercy")


def test_an_endpoint_without_a_secret_is_told_what_to_write(run):
    assert "hints: {secret_file: ...}" in run("create", "other", "--reason", "x", code=2)
    assert "there is no endpoint nobody" in run("show", "nobody", code=2)
