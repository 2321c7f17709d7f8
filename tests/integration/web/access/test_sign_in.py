"""Signing in: one answer to whoever guesses, slower each time, nobody locked out; sessions that end; nothing typed is lost."""

import re
import threading
import time
from html import unescape

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from integration.store import accounts, drafts, sign_in_tries
from integration.store.roles import Role
from integration.store.sign_in_tries import Limit
from integration.web import create_app
from integration.web.access import sign_in, who
from tests.integration.web.access.guarded import ADMIN, PASSWORD, Guarded, hidden

pytestmark = pytest.mark.postgres
COOKIE = "second_opinion_session"
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}
NEW = {
    "question": "Is surgery needed?\nOr <b>not</b>?", "patient_questions": "Can I wait?\nHow long?",
    "requester.name.family": "Alice", "priority": "routine", "do": "next",
}  # fmt: skip


def step_of_a_draft(site: Guarded) -> str:
    """Where a coordinator writes what is asked."""
    with site.engine.begin() as conn:
        return f"/new/{drafts.begin(conn, 'alice', actor='test').id}/question"


def saved(site: Guarded) -> list[str]:
    """Who saved a draft."""
    return [row.actor for row in site.audited("draft.saved")]


def signed_in_as(site: Guarded, client) -> str | None:
    """Whose page it is."""
    found = re.search(r"Your account: </span><bdi>([^<]*)</bdi>", client.get("/").text)
    return found and found.group(1)


def test_somebody_signs_in_goes_on_to_where_they_wanted_and_signs_out(guarded):
    client = guarded.app.test_client()
    asked = client.get("/failures?q=endpoint:bob")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?next=/failures?q%3Dendpoint:bob")
    answer = guarded.enter(client, f" {ADMIN.upper()} ", next="/failures?q=endpoint:bob")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/failures?q=endpoint:bob")
    cookie = next(each for each in answer.headers.getlist("Set-Cookie") if each.startswith(COOKIE))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie and "Expires" not in cookie
    assert signed_in_as(guarded, client) == ADMIN
    assert client.get("/").headers["Cache-Control"] == "no-store"
    token = client.get_cookie(COOKIE).value
    assert token not in str(guarded.sql("SELECT * FROM sessions").all()), "only its hash is stored"
    left = sign_out(client)
    assert "You are signed out." in client.get(left.headers["Location"]).text and client.get_cookie(COOKIE) is None
    client.set_cookie(COOKIE, token)
    assert signed_in_as(guarded, client) is None, "a copy of the cookie is worth nothing"
    assert [row.action for row in guarded.sql("SELECT action FROM audit WHERE actor = :me ORDER BY id", me=ADMIN)] == [
        "account.signed-in", "account.signed-out"
    ]  # fmt: skip


def sign_out(client):
    """Press the button that stands on every page."""
    button = re.search(r'action="/sign-out"><input type="hidden" name="token" value="([^"]*)"', client.get("/").text)
    return client.post("/sign-out", data={"token": unescape(button.group(1))})


@pytest.mark.parametrize("next", [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/\t/evil.example", "http:evil.example",
    "/sign-out", "/sign-in?next=//evil.example", "//[", " //evil.example", "/\r\nSet-Cookie: x=y",
])  # fmt: skip
def test_after_signing_in_nobody_is_sent_elsewhere(guarded, next):
    assert guarded.enter(guarded.app.test_client(), ADMIN, next=next).headers["Location"] == "/"


def test_the_token_is_new_at_each_sign_in_and_one_that_was_planted_is_worth_nothing(guarded):
    client = guarded.app.test_client()
    client.set_cookie(COOKIE, "planted")
    guarded.enter(client, ADMIN)
    first = client.get_cookie(COOKIE).value
    guarded.sql("UPDATE sessions SET seen_at = seen_at - interval '1 day'")
    guarded.enter(client, ADMIN)
    second = client.get_cookie(COOKIE).value
    assert len({"planted", first, second}) == 3
    assert guarded.sql("SELECT count(*) FROM sessions").scalar_one() == 1, "what this browser had before has ended"


def test_a_sign_in_form_of_another_site_signs_nobody_in(guarded):
    client = guarded.app.test_client()
    typed = {"sign-in-name": ADMIN, "sign-in-password": PASSWORD}
    assert client.post("/sign-in", data=typed).status_code == 403
    theirs = hidden(guarded.app.test_client().get("/sign-in").text)
    assert client.post("/sign-in", data={**typed, **theirs}).status_code == 403, "the token of another browser"
    ours = hidden(client.get("/sign-in").text)
    assert (
        client.post("/sign-in", data={**typed, **ours}, headers={"Origin": "https://evil.example"}).status_code == 403
    )
    assert guarded.sql("SELECT count(*) FROM sessions").scalar_one() == 0


def test_who_guesses_is_told_one_thing_and_what_they_typed_is_written_nowhere(guarded):
    guarded.account("dora")
    with guarded.engine.begin() as conn:
        accounts.set_enabled(conn, "dora", False, actor="test")
    answers = [
        guarded.enter(guarded.app.test_client(), name, password)
        for name, password in (
            (ADMIN, "hunter2-hunter2"),
            ("nobody-at-all", "hunter2-hunter2"),
            ("dora", PASSWORD),
            ("my hunter2 name", "x"),
            ("\x00", "\x00"),
        )
    ]
    said = {re.search(r'id="error">([^<]*)<', answer.text).group(1) for answer in answers}
    assert {answer.status_code for answer in answers} == {401} and len(said) == 1
    failed = guarded.sql("SELECT * FROM audit WHERE action = 'account.sign-in-failed' ORDER BY id").all()
    assert [row.subject for row in failed] == [ADMIN, None, "dora", None, None] and failed[0].detail == {
        "address": "127.0.0.1"
    }
    for table in ("audit", "sign_in_tries", "sessions", "settings"):
        assert "hunter2" not in str(guarded.sql(f"SELECT * FROM {table}").all())


def test_an_unknown_account_costs_as_much_work_as_a_known_one(guarded, monkeypatch):
    looked_at = []
    monkeypatch.setattr(accounts, "_HASHER", Counting(accounts._HASHER, looked_at))
    guarded.enter(guarded.app.test_client(), "nobody-at-all", "wrong wrong wrong")
    guarded.enter(guarded.app.test_client(), ADMIN, "wrong wrong wrong")
    assert len(looked_at) == 2 and len({hash_.rpartition("$")[0].rpartition("$")[0] for hash_ in looked_at}) == 1


class Counting:
    """A hasher that notes against what it verified."""

    def __init__(self, hasher, looked_at: list):
        self._hasher, self._looked_at = hasher, looked_at

    def verify(self, hash_, password):
        self._looked_at.append(hash_)
        return self._hasher.verify(hash_, password)


def fail(site: Guarded, times: int, name: str = ADMIN, **environ) -> list[int]:
    return [site.enter(site.app.test_client(), name, "wrong wrong wrong", **environ).status_code for _ in range(times)]


def wait_out(site: Guarded, interval: str = "2 minutes") -> None:
    site.sql(f"UPDATE sign_in_tries SET last_at = last_at - interval '{interval}'")


def test_guessing_is_slowed_in_every_process_and_the_owner_is_not_locked_out(guarded):
    assert fail(guarded, 5) == [401] * 5
    guarded.sql(
        "UPDATE sign_in_tries SET failures = failures + 4, last_at = now() WHERE failures > 0"
    )  # the next wait is 16 s
    other = create_app(guarded.config, guarded.engine, guarded.payloads)
    refused = guarded.enter(other.test_client(), ADMIN)
    assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 16, (
        "even the right password waits, in another process too"
    )
    assert guarded.enter(guarded.app.test_client(), ADMIN, **ELSEWHERE).status_code == 303, "the owner sits elsewhere"
    wait_out(guarded)
    assert guarded.enter(guarded.app.test_client(), ADMIN).status_code == 303
    assert fail(guarded, 5) == [401] * 5, "the right password set the count back"


def test_strangers_everywhere_do_not_keep_an_owner_out_of_a_browser_that_is_known(guarded):
    known, unknown = guarded.app.test_client(), guarded.app.test_client()
    guarded.enter(known, ADMIN)
    sign_out(known)
    for number in range(25):
        fail(guarded, 1, REMOTE_ADDR=f"198.51.100.{number}")
    guarded.sql("UPDATE sign_in_tries SET failures = 60, last_at = now()")
    assert guarded.enter(unknown, ADMIN, **ELSEWHERE).status_code == 429
    assert guarded.enter(known, ADMIN, **ELSEWHERE).status_code == 303
    wait_out(guarded, "16 seconds")
    assert guarded.enter(unknown, ADMIN, **ELSEWHERE).status_code == 303, (
        "and nobody waits longer than 15 seconds for others"
    )


def test_a_known_browser_is_slowed_too_and_known_to_its_account_alone(guarded):
    guarded.account("olga")
    client = guarded.app.test_client()
    guarded.enter(client, ADMIN)
    sign_out(client)
    assert [guarded.enter(client, "olga", "wrong wrong wrong").status_code for _ in range(5)] == [401] * 5
    assert fail(guarded, 1, "olga") == [429], (
        "this browser is known to another account, so olga's count is that of everybody here"
    )
    assert [guarded.enter(client, ADMIN, "wrong wrong wrong").status_code for _ in range(5)] == [401] * 5
    guarded.sql("UPDATE sign_in_tries SET failures = failures + 3, last_at = now()")
    assert guarded.enter(client, ADMIN).status_code == 429


def test_many_tries_at_once_gain_nothing(guarded):
    """The count goes up before the password is looked at, and who comes at the same time sees it."""
    limited, waits = {"one": Limit(5, 60)}, []
    guarded.sql(
        "INSERT INTO sign_in_tries VALUES ('one', 10, now() - interval '40 seconds')"
    )  # the wait is 32 s; then 60

    def claim():
        with guarded.engine.begin() as conn:
            waits.append(sign_in_tries.claim(conn, limited))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    with guarded.engine.begin() as conn:
        conn.execute(
            text("SELECT 1 FROM sign_in_tries FOR UPDATE")
        )  # as one who has read the count and not raised it yet
        [thread.start() for thread in threads]
        while not waits and guarded.sql(BLOCKED).scalar_one() < len(threads):
            time.sleep(0.01)
        assert sign_in_tries.claim(conn, limited) == 0
    [thread.join() for thread in threads]
    assert len(waits) == 4 and min(waits) > 30


def test_failures_are_forgotten_and_waits_are_bounded(guarded):
    assert [Limit(5, 60).wait_after(number) for number in (0, 4, 5, 6, 10, 11, 10_000)] == [0, 0, 1, 2, 32, 60, 60]
    guarded.sql("INSERT INTO sign_in_tries VALUES ('one', 1000, now() - interval '16 minutes')")
    with guarded.engine.begin() as conn:
        assert sign_in_tries.claim(conn, {"one": Limit(5, 60)}) == 0
        sign_in_tries.forgive(conn, {"one": Limit(30, 15)})
    assert guarded.sql("SELECT failures FROM sign_in_tries").scalar_one() == 0
    same = [
        sign_in_tries._network(address)
        for address in ("2001:db8::1", "2001:db8::ffff:1", "::ffff:203.0.113.9", "203.0.113.9", "x")
    ]
    assert same[0] == same[1] and same[2] == same[3] != same[0] and same[4] == "unknown"


@pytest.mark.parametrize("aged", [{"seen_at": "31 minutes"}, {"created_at": "12 hours"}])
def test_a_session_ends_when_nobody_clicks_and_after_a_day_of_work(guarded, aged):
    client = guarded.as_()
    guarded.age_sessions(seen_at="29 minutes", created_at="11 hours")
    assert client.get("/").status_code == 200, "this click counts"
    guarded.age_sessions(**aged)
    assert client.get("/").status_code == 303


def test_a_page_that_renews_itself_keeps_no_session_alive_and_is_told_when_it_has_ended(guarded):
    client = guarded.as_()
    guarded.age_sessions(seen_at="20 minutes")
    assert client.get("/", headers={"X-Live": "1"}).status_code == 200
    guarded.age_sessions(seen_at="11 minutes")
    ended = client.get("/", headers={"X-Live": "1"})
    assert (ended.status_code, ended.text) == (401, "")


def test_disabling_roles_and_a_new_password_take_effect_with_the_next_click(guarded):
    client = guarded.as_(Role.CLINICAL_DATA)
    other = create_app(guarded.config, guarded.engine, guarded.payloads).test_client()
    other.set_cookie(COOKIE, client.get_cookie(COOKIE).value)
    assert client.get("/new").status_code == other.get("/new").status_code == 200, "two processes, one session"
    with guarded.engine.begin() as conn:
        accounts.set_roles(conn, "olga", [], actor="test")
    assert client.get("/new").status_code == other.get("/new").status_code == 403
    with guarded.engine.begin() as conn:
        accounts.set_enabled(conn, "olga", False, actor="test")
    assert client.get("/").status_code == other.get("/").status_code == 303
    with guarded.engine.begin() as conn:
        accounts.set_enabled(conn, "olga", True, actor="test")
    assert client.get("/").status_code == 303, "enabled again, the old session stays ended"
    guarded.enter(client, "olga")
    guarded.sql("UPDATE accounts SET enabled = false WHERE name = 'olga'")  # disabled while the session began
    assert client.get("/").status_code == 303
    guarded.sql("UPDATE accounts SET enabled = true WHERE name = 'olga'")
    with guarded.engine.begin() as conn:
        accounts.set_password(conn, "olga", "another good one", actor="test")
    assert client.get("/").status_code == 303 and guarded.enter(client, "olga").status_code == 401
    assert guarded.enter(client, "olga", "another good one").status_code == 303


def test_behind_a_tls_proxy_cookies_are_secure_and_the_public_host_and_origin_are_ours(tmp_path, database):
    site = Guarded(tmp_path, database, 'web: {sign_in: required, public_url: "https://exchange.example.org"}\n')
    client = site.app.test_client()

    def at(method, address, origin="https://exchange.example.org", **kwargs):
        headers = {"Host": "exchange.example.org", **({"Origin": origin} if method == "POST" else {})}
        return client.open(address, method=method, base_url="https://exchange.example.org", headers=headers, **kwargs)

    page = at("GET", "/sign-in")
    typed = {**hidden(page.text), "sign-in-name": ADMIN, "sign-in-password": PASSWORD}
    assert at("POST", "/sign-in", "https://evil.example", data=typed).status_code == 403
    answer = at("POST", "/sign-in", data=typed)
    cookies = [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    assert (
        answer.status_code == 303
        and len(cookies) >= 3
        and all("Secure" in each and "HttpOnly" in each for each in cookies)
    )
    assert any(
        each.startswith("__Host-second_opinion_session=") and "Path=/" in each and "Domain" not in each
        for each in cookies
    )
    assert at("GET", "/").status_code == 200
    assert site.app.test_client().get("/", headers={"Host": "evil.example"}).status_code == 421


def test_while_there_is_no_account_the_page_says_which_command_makes_the_first_admin(tmp_path, database):
    site = Guarded(tmp_path, database)
    assert "accounts add" not in site.get("/sign-in")
    site.sql("DELETE FROM accounts")
    assert "second-opinion accounts add NAME --role admin" in site.get("/sign-in")


def test_with_sign_in_off_nothing_of_it_is_there(site):
    assert (
        site.client.get("/sign-in").headers["Location"] == "/"
        and site.client.post("/sign-in").headers["Location"] == "/"
    )
    page = site.get("/")
    assert "Sign out" not in page and "Accounts" not in page
    assert site.client.get("/accounts").status_code == site.client.get("/account").status_code == 404
    assert site.client.get("/actions/give-role?account=x&role=admin").status_code == 409


# --- a session that ended mid-form ------------------------------------------------------------------------------


def ended_form(site: Guarded, address: str, typed: dict, *roles: str):
    """Somebody fills in a form, their session ends, they send it. The client and the answer."""
    client = site.as_(*roles)
    fields = {**hidden(client.get(address).text), **typed}
    site.age_sessions(seen_at="1 hour")
    return client, client.post(address.partition("?")[0], data=fields)


def send(client, page: str, address: str, **fields):
    return client.post(address, data={**hidden(page), **fields})


def test_a_form_is_shown_again_filled_in_and_saved_only_when_somebody_presses_again(guarded):
    step = step_of_a_draft(guarded)
    client, ended = ended_form(guarded, step, NEW, Role.CLINICAL_DATA)
    assert (
        ended.status_code == 401
        and "You were signed out" in ended.text
        and ended.headers["Cache-Control"] == "no-store"
    )
    kept = hidden(ended.text)
    assert {name: kept.get(name) for name in NEW} == NEW and f'<form method="post" action="{step}"' in ended.text
    wrong = send(client, ended.text, step, **{"sign-in-name": "olga", "sign-in-password": "wrong wrong wrong"})
    assert wrong.status_code == 401 and hidden(wrong.text)["question"] == NEW["question"], (
        "also after a mistyped password"
    )
    again = send(client, wrong.text, step, **{"sign-in-name": "olga", "sign-in-password": PASSWORD})
    assert (
        "You were signed out, and nothing was done. Check the form and send it again." in again.text
        and PASSWORD not in again.text
    )
    assert "Is surgery needed?\nOr &lt;b&gt;not&lt;/b&gt;?</textarea>" in again.text
    assert saved(guarded) == [], "nothing is done by signing in"
    assert client.post(step, data={**NEW, **hidden(again.text)}).status_code == 303
    assert saved(guarded) == ["olga"]


def test_a_button_is_asked_again_and_done_once(guarded):
    step = guarded.step()
    client, ended = ended_form(
        guarded, f"/actions/retry?step={step}:0:parked&back=/failures", {"reason": "up again"}, Role.OPERATOR
    )
    assert ended.status_code == 401 and guarded.row(step).status == "parked"
    again = send(client, ended.text, "/actions/retry", **{"sign-in-name": "olga", "sign-in-password": PASSWORD})
    assert "Retry 1 step" in again.text and "up again</textarea>" in again.text and guarded.row(step).status == "parked"
    pressed = client.post("/actions/retry", data={**hidden(again.text), "reason": "up again"})
    assert (pressed.status_code, pressed.headers["Location"]) == (303, "/failures") and guarded.row(
        step
    ).status == "due"
    assert [(row.actor, row.reason) for row in guarded.audited("step.retried")] == [("olga", "up again")]


def test_who_signs_in_instead_without_the_role_sees_nothing_of_it(guarded):
    step = step_of_a_draft(guarded)
    client, ended = ended_form(guarded, step, NEW, Role.CLINICAL_DATA)
    answer = send(client, ended.text, step, **{"sign-in-name": ADMIN, "sign-in-password": PASSWORD})
    assert answer.status_code == 403 and "needs the role clinical-data" in answer.text and "surgery" not in answer.text


def test_only_what_a_page_of_ours_in_this_browser_held_is_kept_and_no_password(guarded):
    step = step_of_a_draft(guarded)
    stranger = guarded.app.test_client().post(
        step, data={**NEW, "token": hidden(guarded.app.test_client().get("/sign-in").text)["token"]}
    )
    assert stranger.status_code == 401 and "surgery" not in stranger.text
    client = guarded.as_(Role.CLINICAL_DATA)
    fields = hidden(client.get("/new").text)
    guarded.age_sessions(seen_at="1 hour")
    foreign = client.post(step, data={**fields, **NEW}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 401 and "surgery" not in foreign.text
    long = client.post(step, data={**fields, **NEW, "question": "x" * (sign_in.KEPT_CHARACTERS + 1)})
    assert long.status_code == 401 and "could not be kept" in long.text and len(long.data) < 10_000
    passwords = client.post(
        "/account/password",
        data={**fields, "current-password": "secret-one", "new-password": "secret-two", "again-password": "secret-two"},
    )
    assert passwords.status_code == 401 and "secret" not in passwords.text
    signing_out = client.post("/sign-out", data=fields)
    assert signing_out.headers["Location"] == "/sign-in"


def test_a_form_of_before_signing_in_again_in_another_tab_is_shown_again_too(guarded):
    client = guarded.as_(Role.CLINICAL_DATA)
    step = step_of_a_draft(guarded)
    fields = hidden(client.get(step).text)
    guarded.age_sessions(seen_at="1 hour")
    guarded.enter(client, "olga")
    again = client.post(step, data={**fields, **NEW})
    assert again.status_code == 403 and "Is surgery needed?" in again.text and saved(guarded) == []


def test_when_the_database_is_away_the_page_says_so_and_lets_nobody_in(guarded, monkeypatch):
    client = guarded.as_(Role.CLINICAL_DATA)

    def away():
        raise OperationalError(None, None, psycopg.OperationalError("away"))

    monkeypatch.setattr(who, "_of_session", away)
    for address in ("/", "/new", "/endpoints"):
        answer = client.get(address)
        assert answer.status_code == 503 and "The database does not answer" in answer.text and "olga" not in answer.text
