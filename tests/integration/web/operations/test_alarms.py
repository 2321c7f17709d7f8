"""The alarms page and its commands: what is open, who was told, what could not be sent, silences, and the numbers of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select

import second_opinion
from integration.store import alarms
from integration.store.tables import alarm_silences, notices
from tests.integration.notices.told import Hook, MailServer

pytestmark = pytest.mark.postgres
NOW = datetime.now(UTC)


def raised(site, rule: str = "parked", subject: str = "mercy", message: str = "2 step(s) at mercy wait.") -> int:
    with site.engine.begin() as conn:
        alarms.raise_alarm(conn, rule, subject, message)
        return alarms.page(conn, is_open=True)[0][0].id


def noticed(site, ids: list[int], **values) -> None:
    row = {
        "recipient": "on-call",
        "channel": "e-mail",
        "kind": "raised",
        "rule": "parked",
        "content": {},
        "key": f"key-{len(ids)}-{values}",
        "status": "sent",
        "attempts": 1,
        "next_attempt_at": NOW,
        "created_at": NOW,
        "sent_at": NOW,
        "alarm_ids": ids,
        **values,
    }
    with site.engine.begin() as conn:
        conn.execute(insert(notices).values(row))


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


def test_the_page_shows_what_is_open_and_who_was_told_and_what_was_not_sent(site):
    assert "No alarm is open." in site.get("/alarms") and "Nobody is notified" in site.get("/alarms")
    first, second = raised(site), raised(site, "silence", "bob", "Nothing at bob has succeeded.")
    noticed(site, [first, second])
    noticed(
        site,
        [second],
        recipient="pager",
        channel="webhook",
        rule="silence",
        status="queued",
        sent_at=None,
        last_error="pager.example.org answered 503",
    )
    page = site.get("/alarms")
    assert (
        page.count("raised, to on-call by e-mail:") == 2
        and "raised, to pager by webhook: not sent yet (<bdi>pager.example.org answered 503</bdi>)" in page
    )
    assert "pager could not be notified by webhook:" in page and "pager.example.org answered 503" in page
    assert "Nothing at bob has succeeded." not in site.get("/alarms?rule=parked")
    assert 'href="/alarms"' in site.get("/queue"), "the strip and the menu lead there"
    with site.engine.begin() as conn:
        alarms.recover(conn, "parked", "mercy")
    assert "2 step(s) at mercy wait." not in site.get("/alarms") and "2 step(s) at mercy wait." in site.get(
        "/alarms?past=yes"
    )


def test_an_alarm_is_silenced_and_told_of_again_by_buttons_with_a_reason(site):
    raised(site)
    address = "/actions/silence?rule=parked&subject=mercy&back=/alarms"
    assert "parked mercy is silenced until" in site.told(site.press(address, "maintenance until noon", hours="4"))
    with site.engine.connect() as conn:
        [row] = conn.execute(select(alarm_silences)).all()
    assert (
        timedelta(hours=3.9) < row.until - datetime.now(UTC) < timedelta(hours=4)
        and row.reason == "maintenance until noon"
    )
    page = site.get("/alarms")
    assert "Silenced now" in page and "maintenance until noon" in page and "2 step(s) at mercy wait." in page
    assert "People are notified of" in site.told(site.press("/actions/unsilence?rule=parked&subject=mercy"))
    assert [row.subject for row in site.audited("alarm.silenced") + site.audited("alarm.unsilenced")] == [
        "parked mercy"
    ] * 2
    assert site.client.get("/actions/unsilence?rule=parked&subject=mercy").status_code == 409
    assert site.client.get("/actions/silence?rule=thunder&subject=mercy").status_code == 409


def test_history_has_pages_that_lose_nothing(site):
    with site.engine.begin() as conn:
        for number in range(120):
            alarms.raise_alarm(conn, "parked", f"e{number}", f"message {number}.")
            alarms.recover(conn, "parked", f"e{number}")
    address, seen = "/alarms?past=yes", []
    while address:
        page = site.get(address)
        seen += [part.partition("<")[0] for part in page.split('<p class="why"><bdi>')[1:]]
        address = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert seen == [f"message {number}." for number in reversed(range(120))]


def test_a_strange_address_is_a_page(site):
    for query in ("after=x", "after=-1", "after=9" + "9" * 30, "rule=%00", "rule=<script>", "past=&after=٣"):
        assert "<script>" not in site.get(f"/alarms?{query}").partition("</head>")[2], query


def test_hostile_text_stays_text(site):
    raised(site, "unknown-kind", "<b>\u202e", "<script>alert(1)</script>")
    page = site.get("/alarms")
    assert "<script>alert" not in page and "\u202e" not in page.partition("<main")[2].replace(
        "subject=%3Cb%3E%E2%80%AE", ""
    )


def test_metrics_count_open_alarms_and_unsent_notices(site):
    raised(site)
    noticed(site, [1], status="failed", sent_at=None, last_error="x")
    page = site.get("/metrics")
    assert (
        'second_opinion_alarms_open{rule="parked"} 1.0' in page
        and 'second_opinion_alarms_open{rule="silence"} 0.0' in page
    )
    assert (
        'second_opinion_alert_notices{status="failed"} 1.0' in page
        and 'second_opinion_alert_notices{status="retrying"} 0.0' in page
    )


# --- the command line ---


def test_alarms_are_listed_and_silenced_by_command(site, run):
    alarm_id = raised(site)
    raised(site, "silence", "bob")
    noticed(site, [alarm_id])
    run("alarms", "silence", "parked", "mercy", "--hours", "2", "--reason", "maintenance")
    run("alarms", "silence", "*", "bob", "--until", "2999-01-01T12:00", "--reason", "closed")
    with site.engine.begin() as conn:
        alarms.recover(conn, "silence", "bob")
    [view] = json.loads(run("alarms", "list", "--open", "--json"))
    assert (view["rule"], view["subject"], view["told"][0]["recipient"]) == ("parked", "mercy", "on-call") and view[
        "silenced_until"
    ]
    assert [view["rule"] for view in json.loads(run("alarms", "list", "--json"))] == ["silence", "parked"]
    assert (
        "silenced until" in run("alarms", "list", "--open")
        and run("alarms", "list", "--rule", "loop_open") == "no alarm\n"
    )
    assert "are notified of" in run("alarms", "unsilence", "parked", "mercy", "--reason", "done")
    assert "is not silenced" in run("alarms", "unsilence", "parked", "mercy", "--reason", "done", code=1)
    assert "there is no rule thunder" in run(
        "alarms", "silence", "thunder", "mercy", "--hours", "1", "--reason", "x", code=2
    )
    assert "end in the future" in run(
        "alarms", "silence", "parked", "mercy", "--until", "2020-01-01", "--reason", "x", code=1
    )
    assert "one of both" in run("alarms", "silence", "parked", "mercy", "--reason", "x", code=2)


def test_a_test_notice_goes_out_at_once_and_says_what_was_answered(site, run, tmp_path):
    assert "names nobody" in run("alerts", "test", code=2)
    file = tmp_path / "config.yaml"
    with MailServer() as mails, Hook(500) as hook:
        told = [{"name": "ops", "email": "ops@example.org"}, {"name": "pager", "webhook": hook.address}]
        smtp = {"host": "127.0.0.1", "port": mails.port, "security": "none", "from_address": "exchange@example.org"}
        file.write_text(f"{file.read_text()}alerts: {json.dumps({'send_to': told, 'smtp': smtp})}\n")
        assert run("alerts", "test", "ops") == "ops by e-mail: taken: 250 2.0.0 taken\n"
        [ops, pager] = json.loads(run("alerts", "test", "--json", code=1))
        assert "there is no recipient boss; configured: ops, pager" in run("alerts", "test", "boss", code=2)
    assert (ops["sent"], pager["sent"]) == (True, False) and pager["said"].endswith("answered 500")
    assert [mail["Subject"] for mail in mails.mails] == ["[Second Opinion Exchange] this is a test"] * 2
    assert (
        mails.mails[1]["Message-ID"] == f"<{ops['notice']}@example.org>"
        and json.loads(hook.posted[0][1])["kind"] == "test"
    )
