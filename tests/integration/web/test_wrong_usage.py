"""What is typed wrongly, or cannot be done, is one sentence and the exit code that docs/reference/cli.md says: never a traceback."""

import json
import socket
import subprocess
import sys
import threading

import click
import psycopg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

import second_opinion
from integration.postgres.database import in_words
from integration.settings.config import Web
from integration.store import alarms
from integration.store.tables import audit
from second_opinion import running
from tests.integration.web.site import a_request
from tests.reference_pages import ROOT, commands

pytestmark = pytest.mark.postgres
TOO_LARGE = "9" * 20


@pytest.fixture
def run(site, tmp_path, database):
    """Runs ``second-opinion ...`` on the database of the pages; what it says, with the exit code as expected."""

    def run(*words: str, code: int = 0, address: str = database.url) -> str:
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": address}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words]
        )
        assert result.exit_code == code, (result.output, result.exception)
        assert code == 0 or result.output.strip(), "nothing was said"
        return result.output

    return run


def options_called(name: str):
    for words, command in commands():
        for each in command.params:
            if name in each.opts:
                yield words, command, each


CODED = {"second-opinion desk answer"}  # its reason is one of a list, asked for where it declines


@pytest.mark.parametrize("blank", ["", "  \t"])
def test_no_command_takes_a_blank_reason(blank):
    for words, command, option in options_called("--reason"):
        with pytest.raises(click.BadParameter, match="is not one of" if words in CODED else "say why"):
            option.process_value(click.Context(command), blank)
            pytest.fail(f"{words} took it")


def test_what_a_page_asks_a_reason_for_the_command_line_asks_it_for_too():
    without = {words for words, _, option in options_called("--reason") if not option.required}
    looks = {"attempts show", "patients compare"}  # with a reason they show more
    visits = {"visits record", "visits link", "visits completed", "visits book"}  # their page asks for none either
    assert without == {f"second-opinion {words}" for words in looks | visits} | CODED | {
        words for words in without if any(f" {group} " in words for group in ("accounts", "tokens", "clients"))
    }


def test_nothing_is_shown_of_a_request_without_a_reason(site, run):
    said = run("requests", "content", site.request(), "--reason", " ", code=2)
    assert "Is surgery" not in said and "say why" in said
    with site.engine.connect() as conn:
        assert (
            conn.execute(select(func.count()).select_from(audit).where(audit.c.action == "request.looked-at")).scalar()
            == 0
        )


WRONG = (
    ("steps", "park", TOO_LARGE, "--reason", "x"), ("steps", "retry", TOO_LARGE, "--reason", "x"),
    ("operations", "stop", TOO_LARGE, "--reason", "x"), ("alarms", "list", "--after", TOO_LARGE),
    ("alarms", "silence", "*", "mercy", "--hours", "nan", "--reason", "x"), ("requests", "show", "a\udcff"),
    ("deliveries", "list", "--status", "foo"), ("steps", "list", "state:foo"), ("endpoints", "pause", "nobody", "--reason", "x"),
    ("alarms", "silence", "thunder", "mercy", "--hours", "1", "--reason", "x"), ("alarms", "list", "--rule", "thunder"),
    ("schedules", "run", "x", "--reason", "x"), ("endpoints", "check", "x"), ("alerts", "test", "x"),
)  # fmt: skip


def test_what_cannot_be_is_wrong_usage(run):
    for words in WRONG:
        run(*words, code=2)


def test_a_password_file_that_is_no_text_is_wrong_usage(run, tmp_path):
    (tmp_path / "binary").write_bytes(b"\x80\xff" * 20)
    assert "is not UTF-8 text" in run(
        "accounts", "password", "ada", "--password-file", str(tmp_path / "binary"), code=2
    )


def test_a_request_that_is_not_there_has_no_packet_to_show(run):
    assert "there is no request x" in run("packet", "show", "x", code=1)
    assert "there is no request x" in run("packet", "show", "x", "--json", code=1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("requests", "show", "x"), "there is no request x; second-opinion requests list shows"),
        (("deliveries", "show", "x", "--json"), "there is no delivery x; second-opinion deliveries list shows"),
        (("attempts", "show", "9"), "there is no attempt 9; second-opinion attempts list shows"),
        (("steps", "retry", "9", "--reason", "x"), "there is no step 9; second-opinion steps list shows"),
    ],
)
def test_what_is_not_there_is_said_with_the_command_that_lists_what_is(run, words, says):
    assert says in run(*words, code=1)


def test_a_word_where_a_number_stands_is_said_without_a_programmers_words(run):
    said = run("steps", "retry", "abc", "--reason", "x", code=2)
    assert "'abc' is no number: give it as the list of these shows it, such as 12" in said and "integer" not in said


def test_a_server_that_does_not_answer_is_said_with_what_to_do(site, run, tmp_path):
    config = (tmp_path / "config.yaml").read_text().replace("https://mercy.example.org/fhir", "http://127.0.0.1:9/fhir")
    (tmp_path / "config.yaml").write_text(config + "web: {port: 9}\n")
    assert "start second-opinion serve first" in run("endpoints", "check", "bob", code=1)
    [problem] = json.loads(run("endpoints", "check", "mercy", "--json", code=1))["problems"]
    assert "did not answer" in problem and "Check base_url and the firewall" in problem


def test_a_file_that_names_an_unknown_endpoint_is_refused_with_its_line(site, run, tmp_path):
    (tmp_path / "request.json").write_text(
        a_request(fulfiller="mercey").model_dump_json(indent=1, exclude_defaults=True)
    )
    request_id = site.request()
    for words in (("submit",), ("requests", "revise", request_id, "--reason", "x")):
        assert "request.json:4: fulfiller: names no endpoint" in run(*words, str(tmp_path / "request.json"), code=2)


def test_a_request_for_a_day_that_is_over_is_refused_and_one_that_is_known_stays_known(site, run, tmp_path):
    """Nobody can be on time; but the same file, sent again a year later, is still the same request."""
    file = tmp_path / "request.json"
    file.write_text(a_request(key="w1", wanted_by="2025-01-01").model_dump_json(exclude_defaults=True))
    assert "wanted_by: is a day that is over" in run("submit", str(file), code=2)
    site.request("w1", wanted_by="2025-01-01")
    assert "was received before" in run("submit", str(file))
    file.write_text(a_request(key="w2", wanted_by="2999-01-01").model_dump_json(exclude_defaults=True))
    assert "received" in run("submit", str(file))


def test_a_silence_about_what_is_not_known_is_warned_of(site, run):
    request_id = site.request()
    with site.engine.begin() as conn:
        alarms.raise_alarm(conn, "payloads-away", "machine-1", "full")
    subjects = {
        "mercy": False,
        request_id: False,
        "machine-1": False,
        "*": False,
        "alice ServiceRequest/1": False,
        "mercey": True,
        "machine-2": True,
    }
    for subject, warned in subjects.items():
        said = run("alarms", "silence", "*", subject, "--hours", "1", "--reason", "x")
        assert "silenced until" in said and (f"Warning: no alarm was ever about {subject}," in said) is warned


def test_a_version_that_is_not_there_yet_is_said_so(site, run, tmp_path):
    request_id = site.request()
    (tmp_path / "request.json").write_text(a_request(question="Which drug?").model_dump_json(exclude_defaults=True))
    said = run(
        "requests", "revise", request_id, str(tmp_path / "request.json"), "--reason", "x", "--expect", "7", code=1
    )
    assert "has no version 7 yet, it is at version 1: nothing was stored" in said


def test_a_request_is_cancelled_once(site, run):
    request_id = site.request()
    run("requests", "cancel", request_id, "--reason", "x")
    assert f"request {request_id} is already being cancelled\n" in run(
        "requests", "cancel", request_id, "--reason", "x", code=1
    )


def test_a_file_that_is_no_backup_is_said_in_one_line(run, tmp_path):
    assert run("restore", str(tmp_path / "config.yaml"), code=1).count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(run, tmp_path, monkeypatch):
    """serve does not say that it is up, and starts no process."""
    monkeypatch.setattr(running, "LET_GO_SECONDS", 0.2)
    monkeypatch.setattr("jobs.supervisor.Supervisor.run", lambda _: pytest.fail("it started"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with (tmp_path / "config.yaml").open("a") as file:
            file.write(f"web: {{port: {taken.getsockname()[1]}}}\n")
        for role in ("web", "serve"):
            said = run(role, code=1)
            assert said.startswith(
                f"Error: cannot listen at 127.0.0.1, port {taken.getsockname()[1]} (Address already in use)"
            )
            assert "web.port" in said and "http://" not in said


def test_serve_waits_for_the_web_process_of_the_one_before_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = Web(port=taken.getsockname()[1])
        threading.Timer(0.3, taken.close).start()
        running.check_port(web, 5)


def test_a_file_that_cannot_be_written_is_said(site, run, tmp_path, monkeypatch):
    monkeypatch.setattr("integration.packets.zipped.packet_zip", lambda *_: b"zip")
    said = run("packet", "download", site.request(), str(tmp_path / "absent" / "packet.zip"), "--reason", "x", code=1)
    assert said.startswith("Error: ") and "packet.zip" in said and "No such file" in said


def test_a_role_that_does_not_own_its_database_is_told_what_to_do(run, postgres, database):
    name = conninfo_to_dict(database.url)["dbname"]
    with psycopg.connect(postgres.admin_url(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE low_{name}")
        try:
            address = postgres.admin_url(name)
            address += f"{'&' if '?' in address else '?'}options=-c%20role%3Dlow_{name}"
            for words in (("requests", "list"), ("database", "migrate")):
                said = run(*words, code=1, address=address)
                assert said.startswith("Error: the database does not let us (permission denied") and "the owner" in said
        finally:
            admin.execute(f"DROP ROLE low_{name}")


def test_what_the_database_says_of_a_row_is_not_repeated(database):
    with database.engine.begin() as conn:
        conn.execute(text("CREATE TABLE told (name text PRIMARY KEY)"))
    for statement in ("INSERT INTO told VALUES ('Bartholomew'), ('Bartholomew')", "SELECT CAST('Bartholomew' AS int)"):
        with pytest.raises(DBAPIError) as refused, database.engine.begin() as conn:
            conn.execute(text(statement))
        assert "Bartholomew" not in in_words(refused.value) and "log" in in_words(refused.value)


def test_no_part_of_a_password_that_is_written_wrongly_is_said(run):
    for url in (
        "postgresql://u:TOP@SECRET@h:abc/db",
        "postgresql://u:TOP/SECRET@127.0.0.1:1/db",
        "postgresql://u:77/SECRET@h/db",
    ):
        said = run("requests", "list", code=1, address=url)
        assert "TOP" not in said and "SECRET" not in said and "77" not in said and "%40" in said


def test_a_result_that_cannot_be_written_is_one_sentence():
    """In a process of its own: what Python does with its buffer when it ends counts too."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "second_opinion", "map", "examples/oncology-request.yaml"],
            cwd=ROOT,
            text=True,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: the result cannot be written to standard output (No space left on device)\n"
