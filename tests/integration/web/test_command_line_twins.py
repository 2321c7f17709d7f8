"""Every button has its twin on the command line, and it does the same."""

import json
import re
import shlex

import pytest
from click.testing import CliRunner

import second_opinion
from integration.web.access import accounts as account_pages
from integration.web.access import client_list
from integration.web.operations.actions import ACTIONS
from tests.integration.web.operations.test_actions import addresses

pytestmark = pytest.mark.postgres


@pytest.fixture
def run(site, tmp_path, database):
    """Runs ``second-opinion ...`` on the database of the pages."""

    def run(*words: str, code: int = 0):
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words]
        )
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.mark.parametrize(
    "name", [name for name in ACTIONS if name not in {**account_pages.ACTIONS, **client_list.ACTIONS}]
)  # those: test_accounts.py, test_client_list.py
def test_the_command_each_page_names_exists_with_those_options(site, name):
    shown = re.search(r"<code>second-opinion ([^<]*)</code>", site.get(addresses(site)[name])).group(1)
    words, command = shlex.split(shown.replace("&#39;", "'").replace("&#34;", '"')), second_opinion.cli
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert all(word in options for word in words if word.startswith("--")), shown


def test_steps_are_listed_retried_parked_and_retried_in_bulk(site, run):
    one, two = site.step(), site.step("verify_records", "bob", "waiting")
    assert {row["id"] for row in json.loads(run("steps", "list", "--json"))} == {one, two}
    assert [row["id"] for row in json.loads(run("steps", "list", "endpoint:bob", "--json"))] == [two]
    run("steps", "retry", str(one), "--reason", "up again")
    assert site.row(one).status == "due"
    run("steps", "park", str(two), "--reason", "wait for Monday")
    assert site.row(two).status == "parked" and "nothing done" in run(
        "steps", "park", str(two), "--reason", "x", code=1
    )
    assert json.loads(
        run("steps", "retry", "--matching", "state:parked endpoint:bob", "--reason", "Monday", "--json")
    ) == {"operation_id": 1, "total": 1}
    assert "1 left" in run("operations", "list")
    assert "1 not touched" in run("operations", "stop", "1", "--reason", "not yet")


def test_wrong_use_is_said(site, run):
    assert "did you mean state:" in run("steps", "list", "stat:x", code=2)
    assert "one of both" in run("steps", "retry", "--reason", "x", code=2)
    assert "nothing that matches" in run("steps", "retry", "--matching", "state:parked", "--reason", "x", code=1)
    assert "there is no operation 1" in run("operations", "stop", "1", "--reason", "x", code=1)
