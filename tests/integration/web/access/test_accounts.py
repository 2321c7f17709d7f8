"""Accounts: made on the command line, changed there and by admins in the pages; an admin is always left."""

import json
import re
import shlex
import threading

import pytest
from click.testing import CliRunner

import second_opinion
from integration.backups.restore import look_before_sending
from integration.store import accounts
from integration.store.accounts import AccountRefused
from integration.store.roles import Role
from integration.web.access import accounts as account_pages
from tests.integration.web.access.guarded import ADMIN, PASSWORD, hidden

pytestmark = pytest.mark.postgres
AUDITED = {"disable-account": "account.disabled", "enable-account": "account.enabled", "give-role": "account.roles-changed",
           "sign-out-account": "account.signed-out-everywhere", "take-role": "account.roles-changed",
           "give-practice": "account.practices-changed", "take-practice": "account.practices-changed"}  # fmt: skip


@pytest.fixture
def run(guarded, tmp_path, database):
    """Runs ``second-opinion ...`` on the database of the pages."""

    def run(*words: str, code: int = 0, given: str = ""):
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words], input=given
        )
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_an_account_is_made_listed_given_roles_disabled_and_enabled_by_commands(guarded, run, tmp_path):
    run("accounts", "add", "olga", "--role", "operator", "--role", "clinical-data", given="long enough for us\n")
    assert guarded.enter(guarded.app.test_client(), "olga", "long enough for us").status_code == 303
    [_, olga] = json.loads(run("accounts", "list", "--json"))
    assert (olga["name"], olga["roles"], olga["enabled"], olga["sessions"]) == (
        "olga",
        ["operator", "clinical-data"],
        True,
        1,
    )
    assert "password" not in str(olga).replace("password_at", "")
    run("accounts", "roles", "olga", "--role", "viewer", "--reason", "moved on")
    assert json.loads(run("accounts", "roles", "olga", "--no-role", "--json"))["roles"] == ["viewer"]
    assert "give --role" in run("accounts", "roles", "olga", code=2)
    assert "1 session(s)" in run("accounts", "sign-out", "olga")
    (tmp_path / "secret").write_text("another long enough one\n")
    run("accounts", "password", "olga", "--password-file", str(tmp_path / "secret"))
    assert guarded.enter(guarded.app.test_client(), "olga", "another long enough one").status_code == 303
    run("accounts", "disable", "olga", "--reason", "left")
    assert guarded.enter(guarded.app.test_client(), "olga", "another long enough one").status_code == 401
    run("accounts", "enable", "olga")
    assert guarded.enter(guarded.app.test_client(), "olga", "another long enough one").status_code == 303
    trail = guarded.sql(
        "SELECT action, reason FROM audit WHERE subject = 'olga' AND actor LIKE 'cli %' ORDER BY id"
    ).all()
    assert [row.action.removeprefix("account.") for row in trail] == [
        "added", "roles-changed", "roles-changed", "signed-out-everywhere", "password-changed", "disabled", "enabled"
    ]  # fmt: skip
    assert [row.reason for row in trail if row.reason] == ["moved on", "left"]


@pytest.mark.parametrize(("name", "password", "said"), [
    ("olga", "eleven char", "12 to 256 characters"), ("olga", "x" * 257, "12 to 256"), ("olga-olga-olga", "Olga-Olga-Olga", "account's name"),
    ("olga", "Password1234", "easily guessed"), ("olga", "qwertyuiop12", "easily guessed"), ("olga", "a" * 100, "easily guessed"),
    ("olga", "hospital2026", "easily guessed"), ("olga.bishop", "Olga.Bishop1", "easily guessed"), ("olga", "1234567890ab", "easily guessed"),
    ("Olga", PASSWORD, "small letters"), ("web", PASSWORD, "another name"), ("-x", PASSWORD, "small letters"), (ADMIN, PASSWORD, "already"),
])  # fmt: skip
def test_a_weak_password_and_a_name_that_misleads_are_refused(run, name, password, said):
    output = run("accounts", "add", "--password-file", "-", "--", name, code=1, given=password)
    assert said in output and password not in output


def test_a_password_is_asked_for_at_a_terminal_and_never_taken_from_the_command_line(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(
        "click.prompt",
        lambda words, **options: (
            asked.append((words, options["hide_input"], bool(options["confirmation_prompt"]))) or "x"
        ),
    )
    from second_opinion.accounts import read_password

    assert read_password(None) == "x" and asked == [("Password", True, True)]
    for words in (("accounts", "add"), ("accounts", "password")):
        command = second_opinion.cli.commands[words[0]].commands[words[1]]
        assert not any("--password" in parameter.opts for parameter in command.params)


def test_the_password_is_stored_as_argon2id_with_the_parameters_of_owasp(guarded):
    stored = guarded.sql("SELECT password_hash FROM accounts").scalar_one()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and accounts._NOBODY.startswith(
        "$argon2id$v=19$m=19456,t=2,p=1$"
    )
    with guarded.engine.begin() as conn:
        row = accounts.get(conn, ADMIN)
        assert (
            accounts.is_right(row, PASSWORD)
            and not accounts.is_right(row, PASSWORD + " ")
            and not accounts.is_right(None, PASSWORD)
        )
        accounts.set_password(conn, ADMIN, "Ångström ﬁrst one", actor="test")  # composed; a ligature
        assert accounts.is_right(accounts.get(conn, ADMIN), "A\u030angstro\u0308m first one"), (
            "whichever keyboard wrote it"
        )


def test_a_hash_with_older_parameters_is_renewed_at_sign_in(guarded):
    from argon2 import PasswordHasher

    guarded.sql(
        "UPDATE accounts SET password_hash = :old",
        old=PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD),
    )
    assert guarded.enter(guarded.app.test_client(), ADMIN).status_code == 303
    assert "m=19456,t=2" in guarded.sql("SELECT password_hash FROM accounts").scalar_one()


def test_the_last_enabled_admin_stays(guarded, run):
    for words in (("disable", ADMIN), ("roles", ADMIN, "--role", "operator")):
        assert "last enabled admin" in run("accounts", *words, code=1)
    guarded.account("second", Role.ADMIN)
    run("accounts", "disable", ADMIN)
    assert "last enabled admin" in run("accounts", "roles", "second", "--no-role", code=1), (
        "a disabled one does not count"
    )


def test_two_admins_who_disable_each_other_at_once_do_not_both_succeed(guarded):
    guarded.account("second", Role.ADMIN)
    refused, together = [], threading.Barrier(2)

    def disable(name):
        try:
            with guarded.engine.begin() as conn:
                accounts.get(conn, name)
                together.wait()
                accounts.set_enabled(conn, name, False, actor="test")
        except AccountRefused as error:
            refused.append(str(error))

    threads = [threading.Thread(target=disable, args=(name,)) for name in (ADMIN, "second")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(refused) == 1 and guarded.sql("SELECT count(*) FROM accounts WHERE enabled").scalar_one() == 1


def addresses(site) -> dict[str, str]:
    """Where each button about accounts can be pressed."""
    site.account("dora")
    site.account("vera", Role.OPERATOR, practices=("bob",))
    site.enter(site.app.test_client(), "vera")
    with site.engine.begin() as conn:
        accounts.set_enabled(conn, "dora", False, actor="test")
    return {
        "disable-account": "/actions/disable-account?account=vera",
        "enable-account": "/actions/enable-account?account=dora",
        "sign-out-account": "/actions/sign-out-account?account=vera",
        "give-role": "/actions/give-role?account=vera&role=clinical-data",
        "take-role": "/actions/take-role?account=vera&role=operator",
        "give-practice": "/actions/give-practice?account=vera&practice=alice",
        "take-practice": "/actions/take-practice?account=vera&practice=bob",
    }


@pytest.mark.parametrize("name", account_pages.ACTIONS)
def test_each_button_about_accounts_asks_first_needs_a_reason_and_is_audited_under_the_admins_name(guarded, name):
    client, address = guarded.as_(Role.ADMIN), addresses(guarded)[name]
    if name == "give-practice":  # chosen from a list
        assert re.search(r'<option value="alice">', guarded.get("/accounts"))
    else:
        assert address.replace("&", "&amp;") in guarded.get("/accounts")
    page = guarded.get(address)
    command, words = second_opinion.cli, shlex.split(re.search(r"<code>second-opinion ([^<]*)</code>", page).group(1))
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    assert {word for word in words if word.startswith("--")} <= {
        option for parameter in command.params for option in parameter.opts
    }
    fields, path = hidden(page), address.partition("?")[0]
    assert client.post(path, data={**fields, "token": "x", "reason": "x"}).status_code == 403
    assert client.post(path, data={**fields, "reason": " "}).status_code == 400
    before = len(guarded.audited(AUDITED[name]))
    assert guarded.told(client.post(path, data={**fields, "reason": "as agreed"}))
    assert [(row.actor, row.reason) for row in guarded.audited(AUDITED[name])[before:]] == [("olga", "as agreed")]
    if name != "sign-out-account":
        assert "nothing changed" in guarded.told(client.post(path, data={**fields, "reason": "twice"}))


def test_an_admin_cannot_disable_the_last_admin_in_the_pages_either(guarded):
    guarded.client = guarded.app.test_client()
    guarded.enter(guarded.client, ADMIN)
    refused = guarded.press(f"/actions/disable-account?account={ADMIN}")
    assert refused.status_code == 409 and "last enabled admin" in refused.text


def test_the_accounts_page_shows_no_password_and_no_token(guarded):
    secret = guarded.token("prometheus", Role.VIEWER)["Authorization"].split()[1]
    guarded.as_(Role.ADMIN)
    page = guarded.get("/accounts")
    assert (
        ADMIN in page
        and "prometheus" in page
        and f"{secret[:11]}…" in page
        and secret not in page
        and "$argon2" not in page
    )


def test_people_change_their_own_password_and_every_other_session_ends(guarded):
    client, other = guarded.as_(), guarded.app.test_client()
    guarded.enter(other, "olga")

    def change(current: str, new: str, again: str | None = None):
        fields = hidden(client.get("/account").text)
        return client.post(
            "/account/password",
            data={**fields, "current-password": current, "new-password": new, "again-password": again or new},
        )

    assert change(PASSWORD, "new long password", "another long one").status_code == 400
    assert (
        change(PASSWORD, "short").status_code == 400
        and change("wrong wrong wrong", "new long password").status_code == 401
    )
    assert guarded.enter(guarded.app.test_client(), "olga").status_code == 303, "unchanged"
    assert "is changed" in guarded.told(change(PASSWORD, "new long password"))
    assert client.get("/").status_code == 200 and other.get("/").status_code == 303
    assert guarded.enter(other, "olga", "new long password").status_code == 303
    page = client.get("/account").text
    token = hidden(page)["token"]
    assert client.post("/account/sign-out", data={"token": token}).headers["Location"] == "/sign-in"
    assert client.get("/").status_code == other.get("/").status_code == 303


def test_a_restore_ends_every_session(guarded):
    client = guarded.as_()
    with guarded.engine.begin() as conn:
        look_before_sending(conn, actor="test")
    assert client.get("/").status_code == 303
