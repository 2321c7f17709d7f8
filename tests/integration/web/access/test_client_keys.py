"""A client registered by an address: its keys change there, and nobody makes us ask that address more than once a minute."""

import subprocess
import sys
import threading

import pytest

from integration.fhir.client_keys import fetcher
from integration.store import clients
from integration.web import create_app
from tests.integration.web.access.smart_client import Machine, key_set, private_key, public_jwk
from tests.servers.key_sets import KeySets

pytestmark = pytest.mark.postgres
LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def site(tmp_path):
    made = KeySets(tmp_path, key_set(public_jwk("RS384", "k1")))
    yield made
    made.close()


@pytest.fixture
def machine(guarded, site) -> Machine:
    """Registered by the address of its key set, which was never fetched."""
    guarded.app = app_of(guarded, site)
    made = Machine(guarded)
    guarded.sql("UPDATE clients SET jwks = NULL, jwks_url = :url", url=site.url)
    return made


def app_of(guarded, site: KeySets):
    fetch = fetcher(LOOPBACK, site.ca_file)
    return create_app(guarded.config, guarded.engine, guarded.payloads, fetch_keys=fetch)


def a_minute_later(machine: Machine) -> None:
    machine.guarded.sql(
        "UPDATE clients SET jwks_asked_at = jwks_asked_at - interval '61 seconds', jwks_answered_at = jwks_answered_at"
        " - interval '61 seconds', jwks_until = jwks_until - interval '61 seconds'"
    )


def new_key(machine: Machine) -> dict:
    """What it signs with from now on, under another kid."""
    return {"header": {"kid": "k2"}, "key": private_key("RS384", 1)}


def test_the_set_is_fetched_once_and_kept_as_long_as_it_counts(machine, site):
    for _ in range(3):
        machine.token()
    assert site.asked == ["/jwks.json"]
    machine.guarded.sql("UPDATE clients SET jwks_until = now(), jwks_asked_at = now() - interval '61 seconds'")
    machine.token()
    assert len(site.asked) == 2


def test_a_new_key_is_known_as_soon_as_it_is_used(machine, site):
    machine.token()
    a_minute_later(machine)
    site.body = key_set(public_jwk("RS384", "k1"), public_jwk("RS384", "k2", 1))
    assert machine.ask(client_assertion=machine.assertion(**new_key(machine))).status_code == 200
    assert len(site.asked) == 2
    machine.token()
    assert len(site.asked) == 2, "the old one is still there"


def test_a_key_that_is_taken_back_opens_nothing_once_the_set_has_ended(machine, site):
    machine.token()
    site.body = key_set(public_jwk("RS384", "k2", 1))
    assert machine.ask().status_code == 200, "the copy counts for its five minutes"
    machine.guarded.sql("UPDATE clients SET jwks_until = now(), jwks_asked_at = now() - interval '61 seconds'")
    assert machine.ask().status_code == 401


def test_unknown_keys_make_us_ask_once_a_minute(machine, site):
    machine.token()
    a_minute_later(machine)
    for number in range(5):
        answer = machine.ask(client_assertion=machine.assertion(header={"kid": f"unknown-{number}"}))
        assert answer.status_code == 401 and answer.json["error"] == "invalid_client"
    assert len(site.asked) == 2
    machine.token()
    assert len(site.asked) == 2, "and what is known goes on"


def test_a_bad_signature_of_a_known_key_makes_us_ask_nobody(machine, site):
    machine.token()
    a_minute_later(machine)
    assert machine.ask(client_assertion=machine.assertion(key=private_key("RS384", 1))).status_code == 401
    assert len(site.asked) == 1


def test_an_unknown_client_makes_us_ask_nobody(machine, site):
    answer = machine.ask(client_assertion=machine.assertion(iss="nobody", sub="nobody"))
    assert answer.status_code == 401 and site.asked == []


def test_a_site_that_is_away_is_named_in_the_list_and_what_was_fetched_counts_on(machine, site):
    machine.token()
    a_minute_later(machine)
    site.answer = lambda: (503, {}, "Canary")
    assert machine.ask(client_assertion=machine.assertion(**new_key(machine))).status_code == 401
    with machine.guarded.engine.connect() as conn:
        [view] = clients.views(conn)
    assert view["jwks_problem"] == "it answers 503 instead of 200; a redirect is not followed"
    machine.token()
    machine.guarded.sql("UPDATE clients SET jwks_until = now()")
    assert machine.ask().status_code == 401, (
        "a copy that has ended counts no more (SMART: no longer than Cache-Control says)"
    )
    a_minute_later(machine)
    site.answer = lambda: (200, {}, site.body)
    machine.token()
    with machine.guarded.engine.connect() as conn:
        assert clients.views(conn)[0]["jwks_problem"] is None


def test_jku_is_the_registered_address_or_none(machine, site):
    assert machine.ask(client_assertion=machine.assertion(header={"jku": site.url})).status_code == 200
    elsewhere = machine.assertion(header={"jku": site.url.replace("jwks.json", "other.json")})
    assert machine.ask(client_assertion=elsewhere).status_code == 401
    assert site.asked == ["/jwks.json"]


def test_those_who_come_while_it_is_being_fetched_wait_for_it_and_do_not_ask_again(machine, site):
    """Eight at once at two web processes' apps: one asks."""
    going, slow = threading.Event(), site.answer

    def slowly():
        going.wait(0.5)
        return slow()

    site.answer = slowly
    apps, answers = [machine.guarded.app, app_of(machine.guarded, site)], []

    def ask(number: int) -> None:
        here = apps[number % 2].test_client()
        answers.append(here.post("/fhir/alice/token", data=machine.form(), **machine.at).status_code)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert answers == [200] * 8 and len(site.asked) == 1


@pytest.mark.long
def test_two_processes_claim_a_fetch_once(machine, database):
    claim = (
        "import sys; from integration.postgres.database import connect; from integration.store.clients import may_fetch\n"
        "database = connect(sys.argv[1])\n"
        "sys.stdin.readline()\n"
        "with database.engine.begin() as conn: print(may_fetch(conn, sys.argv[2]))\n"
        "database.close()"
    )
    command = [sys.executable, "-c", claim, database.url, machine.id]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(one.communicate("\n", timeout=60)[0] for one in both) == ["False\n", "False\n", "True\n"]


def test_who_died_while_fetching_is_followed_a_minute_later(machine, site):
    machine.guarded.sql("UPDATE clients SET jwks_asked_at = now() - interval '61 seconds'")
    machine.token()
    assert len(site.asked) == 1
