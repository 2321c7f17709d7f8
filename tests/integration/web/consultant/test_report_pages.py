"""The report as a page: saved in steps, nothing typed is lost, signed, corrected, retracted; a file that is refused says why."""

import io
import json
import re

import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.consultant.practice import accept, at_our_pages
from tests.integration.web.consultant.test_written_reports import pdf, returned
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres


@pytest.fixture
def asked(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    accept(exchange, request_id)
    return exchange, f"/desk/{request_id}/report", exchange.app.test_client()


def fields(client, address: str, **typed) -> dict:
    page = client.get(address).text
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', page).group(1) for name in ("token", "version")}
    return {**found, **typed}


GOOD = {
    "diagnosis": "agrees",
    "plan": "differs",
    "summary": "Stage III is confirmed.\r\nWait.",
    "points-1-said": "surgery <now>",
    "points-1-agreement": "differs",
    "tests-1-words": "PET-CT",
    "answers-1-question": "Can I wait?",
    "answers-1-words": "Yes.",
}


def test_it_is_saved_in_steps_previewed_signed_corrected_and_retracted(asked):
    exchange, address, client = asked
    assert client.post(address, data=fields(client, address, do="save", summary="Half a")).status_code == 303
    page = client.get(address).text
    assert "Half a" in page and "Can I wait?" in page
    half = client.post(address, data=fields(client, address, do="sign", summary="Half a", signed_by="Dr. Bob"))
    assert half.status_code == 400 and "with the diagnosis of the first opinion" in half.text and "Half a" in half.text
    assert client.post(address, data=fields(client, address, do="preview", **GOOD)).status_code == 303
    shown = client.get(f"{address}/preview").text
    assert "Stage III is confirmed." in shown and "surgery &lt;now&gt;" in shown and "It is not signed" in shown
    seen = fields(client, address, do="sign", signed_by="Dr. Bob Example", **GOOD)
    assert client.post(address, data=seen).status_code == 303
    second = client.post(address, data={**seen, "signed_by": "Dr. Carol Example", "summary": "Mine"})
    assert second.status_code == 409 and "Mine" in second.text
    exchange.drain()
    assert len(returned(exchange)) == 1
    page = client.get(address).text
    assert "Report 1, signed by Dr. Bob Example" in page
    change = f"{address}/change"
    assert client.post(change, data=fields(client, address, do="correct")).status_code == 303
    assert "Stage III is confirmed." in client.get(address).text
    typed = {**GOOD, "summary": "Stage II."}
    assert (
        client.post(address, data=fields(client, address, do="sign", signed_by="Dr. Bob Example", **typed)).status_code
        == 303
    )
    exchange.drain()
    assert len(returned(exchange)) == 2
    no_reason = client.post(change, data=fields(client, address, do="retract", number="2"))
    assert no_reason.status_code == 400
    taken = client.post(change, data=fields(client, address, do="retract", number="2", reason="wrong patient"))
    assert taken.status_code == 303
    exchange.drain()
    assert "Retracted by" in client.get(address).text
    assert "entered-in-error" in {each["status"] for each in returned(exchange)}


def test_of_two_editors_the_second_sees_both_and_loses_nothing(asked):
    _, address, client = asked
    first, second = (
        fields(client, address, do="save", summary="Bob's"),
        fields(client, address, do="save", summary="Carol's"),
    )
    assert client.post(address, data=first).status_code == 303
    both = client.post(address, data=second)
    assert both.status_code == 409 and "Bob&#39;s" in both.text and "Carol&#39;s" in both.text
    version = re.search(r'name="version" value="(\d+)"', both.text).group(1)
    assert client.post(address, data={**second, "version": version}).status_code == 303
    assert "Carol&#39;s" in client.get(address).text


def test_a_file_that_is_too_large_to_be_read_is_refused_with_the_limit(asked, monkeypatch):
    _, address, client = asked
    monkeypatch.setattr("integration.web.consultant.report.MOST_FILE_BYTES", 1000)
    typed = fields(client, address, file=(io.BytesIO(b"%PDF-" + b" " * 2_000_000), "a.pdf", "application/pdf"))
    answer = client.post(f"{address}/file", data=typed, content_type="multipart/form-data")
    assert answer.status_code == 413 and "larger than 30 MB" in answer.text


def test_a_file_is_handed_in_or_refused_with_a_sentence(asked):
    exchange, address, client = asked

    def hand_in(data: bytes, name: str = "report.pdf", status: int = 303):
        typed = fields(client, address, file=(io.BytesIO(data), name, "application/pdf"))
        answer = client.post(f"{address}/file", data=typed, content_type="multipart/form-data")
        assert answer.status_code == status, answer.text[:2000]
        return answer.text

    hand_in(pdf("Patient: Ada Synthetic-Test", script="app.alert(1)"), status=422)
    hand_in(pdf("Patient: Ada Synthetic-Test")[:-600], status=422)
    assert "larger than 30 MB" in hand_in(b"%PDF-" + b"x" * 30_000_001, status=422)
    assert (
        client.post(f"{address}/file", data=fields(client, address), content_type="multipart/form-data").status_code
        == 400
    )
    hand_in(pdf("Patient: Eve Other"))
    page = client.get(address).text
    assert "It names another patient." in page
    refused = client.post(address, data=fields(client, address, do="sign", signed_by="Dr. Bob Example"))
    assert refused.status_code == 400 and "look at the file" in refused.text
    signed = client.post(address, data=fields(client, address, do="sign", signed_by="Dr. Bob Example", is_theirs="1"))
    assert signed.status_code == 303
    exchange.drain()
    assert len(returned(exchange)) == 1


def test_the_api_and_the_commands_write_sign_and_retract_it_too(asked, tmp_path, database):
    exchange, address, client = asked
    request_id = address.split("/")[2]
    base = f"/api/desk/{request_id}/report"
    parts = {"diagnosis": "agrees", "plan": "cannot-tell", "summary": "Stage III.", "tests": [{"words": "PET-CT"}]}
    assert client.post(base, json={"report": parts}).json["message"] == "Saved as version 1."
    assert client.post(base, json={"report": parts | {"summary": "Mine"}}).status_code == 409
    known = client.get(base).json
    assert (
        known["version"] == 1 and known["report"]["answers"][0]["question"] == "Can I wait?" and known["why_not"] == ""
    )
    assert client.post(f"{base}/sign", json={"version": 1, "signed_by": ""}).status_code == 409
    assert client.post(base, json={"report": {"diagnosis": "maybe"}}).status_code == 400
    text = (tmp_path / "config.yaml").read_text()
    hosted = re.sub(r'(alice|bob): \{base_url: "[^"]*"', r'\1: {base_url: "hosted:\1"', text)
    (tmp_path / "hosted.yaml").write_text(hosted)

    def run(*words: str, code: int = 0) -> str:
        command = ["--config", str(tmp_path / "hosted.yaml"), "desk", "report", *words]
        made = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(second_opinion.cli, command)
        assert made.exit_code == code, made.output
        return made.output

    (tmp_path / "report.json").write_text(json.dumps(parts | {"summary": "Stage III, surely."}))
    run("save", request_id, str(tmp_path / "report.json"), code=1)  # version 0: somebody saved since
    saved = json.loads(run("save", request_id, str(tmp_path / "report.json"), "--version", "1", "--json"))
    assert saved == {"request_id": request_id, "version": 2}
    assert "Stage III, surely." in run("show", request_id)
    (tmp_path / "wrong.json").write_text('{"diagnosis": "agrees", "plans": "x"}')
    assert "neither a PDF nor JSON" in run("save", request_id, str(tmp_path / "wrong.json"), "--version", "2", code=2)
    signed = json.loads(run("sign", request_id, "--version", "2", "--by", "Dr. Bob Example", "--json"))
    assert signed == {"request_id": request_id, "number": 1}
    exchange.drain()
    assert len(returned(exchange)) == 1
    retracted = json.loads(run("retract", request_id, "1", "--reason", "wrong patient", "--json"))
    assert retracted == {"request_id": request_id, "number": 1}
    assert client.post(f"{base}/1/retract", json={"reason": "again"}).status_code == 409
    run("retract", request_id, "1", "--reason", "again", code=1)
    exchange.drain()
    assert {each["status"] for each in returned(exchange)} == {"entered-in-error"}
