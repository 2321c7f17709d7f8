"""The inbox and its answers as pages, API and commands: nothing typed is lost, nothing of others is shown."""

import json
import re

import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.consultant.practice import at_our_pages
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres


@pytest.fixture
def asked(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    return exchange, request_id, exchange.app.test_client()


def fields(client, address: str, **typed) -> dict:
    page = client.get(address).text
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', page).group(1) for name in ("token", "last")}
    return {**found, **typed}


def test_the_whole_conversation_on_the_pages(asked):
    exchange, request_id, client = asked
    page = client.get("/desk").text
    assert "Ada Synthetic-Test" in page and "new" in page and "Nobody has it yet" in page
    address = f"/desk/{request_id}"
    page = client.get(address).text
    assert "Is surgery needed?" in page and "Can I wait?" in page and "synthetic diagnosis" in page
    answer = client.post(
        address, data=fields(client, address, answer="decline", **{"words-decline": "Not <b>ours</b>"})
    )
    assert answer.status_code == 400 and "choose why it is declined" in answer.text
    assert "Not &lt;b&gt;ours&lt;/b&gt;" in answer.text  # typed, and kept
    typed = fields(client, address, answer="accept", **{"people-accept": "Dr. Bob Example\nDr. Eve Example"})
    assert client.post(address, data=typed).status_code == 303
    again = client.post(address, data={**typed, "answer": "decline", "reason": "not-in-time"})
    assert again.status_code == 409 and "said accept at" in again.text
    exchange.drain()
    page = client.get(address).text
    assert "Accepted: Dr. Bob Example, Dr. Eve Example" in page
    assert exchange.view(request_id)["status"] == "accepted"
    assert client.post(address, data={**typed, "token": "x"}).status_code == 403


def test_the_api_says_the_same_and_names_no_patient_in_its_list(asked):
    exchange, request_id, client = asked
    found = client.get("/api/desk").json
    assert [each["request_id"] for each in found["items"]] == [request_id] and found["counts"]["unanswered"] == 1
    assert "Synthetic" not in json.dumps(found)
    body = {"answer": "ask", "items": ["glass-slides"], "words": "The slides, please."}
    assert client.post(f"/api/desk/{request_id}/answers", json=body).json["changed"]
    exchange.drain()
    parts = {each["key"]: each for each in client.get(f"/api/cases/{request_id}").json["parts"]}
    assert (parts["desk"]["state"], parts["desk"]["who"]) == ("open", "coordinator")
    assert "asks for 1 more record" in parts["desk"]["says"]
    known = client.get(f"/api/desk/{request_id}").json
    assert known["status"] == "on-hold" and known["answers"][0]["items"] == ["glass-slides"]
    refused = client.post(f"/api/desk/{request_id}/answers", json={"answer": "accept", "people": ["B"]})
    assert refused.status_code == 409 and "said ask at" in refused.json["detail"]
    assert client.get("/api/desk?after=x").status_code == 400
    assert client.get("/api/desk/none").status_code == 404


def test_the_command_line_says_the_same(asked, tmp_path, database):
    _, request_id, _ = asked
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "hosted.yaml").write_text(
        re.sub(r'(alice|bob): \{base_url: "[^"]*"', r'\1: {base_url: "hosted:\1"', text)
    )

    def run(*words: str, code: int = 0) -> str:
        env = {"SECOND_OPINION_DATABASE_URL": database.url}
        made = CliRunner(env=env).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "hosted.yaml"), "desk", *words]
        )
        assert made.exit_code == code, made.output
        return made.output

    assert request_id in run("list")
    run("answer", request_id, "decline", code=1)
    said = json.loads(run("answer", request_id, "accept", "--person", "Dr. Bob Example", "--json"))
    assert said == {"request_id": request_id, "answer": "accept"}
    assert "Accepted: Dr. Bob Example" in run("show", request_id)
    assert json.loads(run("show", request_id, "--json"))["may"] == ["decline", "ask", "hand-over"]
