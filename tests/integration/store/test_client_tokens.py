"""What a client shows opens once, whichever process it is shown to, and after a restart of all of them."""

import subprocess
import sys
import threading
import time

import pytest

from integration.packets.payloads import Payloads
from integration.postgres.database import connect
from integration.store import client_tokens, clients
from integration.web import create_app
from tests.integration.web.access.guarded import Guarded
from tests.integration.web.access.smart_client import Machine

pytestmark = pytest.mark.postgres
SHOWN = 150


def a_client(database, name: str = "lab") -> str:
    with database.engine.begin() as conn:
        return clients.add(conn, "alice", name, scopes=["system/*.rs"], actor="test", jwks="{}")


@pytest.mark.long
def test_two_processes_at_once_take_each_assertion_once(database):
    for attempt in range(10):  # a machine may let one of them finish before the other begins
        taken = raced(database, a_client(database, f"lab{attempt}"))
        assert taken[0] | taken[1] == {str(number) for number in range(SHOWN)}
        assert not taken[0] & taken[1], "none twice"
        if all(taken):
            return
    pytest.fail("they never raced")


def raced(database, client: str) -> list[set[str]]:
    """What each of two processes took of the same assertions."""
    command = [sys.executable, "-m", "tests.integration.store.replayer", database.url, client, str(SHOWN)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.stdout.readline() for one in both] == ["ready\n"] * 2
    for one in both:  # at once
        one.stdin.write("\n")
        one.stdin.flush()
    return [set(one.communicate(timeout=60)[0].split()) for one in both]


def test_what_was_shown_is_refused_by_a_process_that_was_not_there(database):
    """A row, not a memory: nothing else survives a restart."""
    client = a_client(database)
    with database.engine.begin() as conn:
        assert client_tokens.use_once(conn, client, "shown", time.time() + 300)
    later = connect(database.url)
    with later.engine.begin() as conn:
        assert not client_tokens.use_once(conn, client, "shown", time.time() + 300)
    later.close()


def test_one_assertion_shown_to_two_web_servers_at_once_brings_one_token(tmp_path, database):
    guarded = Guarded(tmp_path, database)
    machine, other = Machine(guarded), connect(database.url)
    apps = [guarded.app, create_app(guarded.config, other.engine, Payloads(guarded.config.payload_store))]
    for _ in range(5):
        form, answers, start = machine.form(), [], threading.Barrier(8)

        def ask(app, form=form, answers=answers, start=start):
            start.wait()
            answers.append(app.test_client().post("/fhir/alice/token", data=form, **machine.at).status_code)

        asking = [threading.Thread(target=ask, args=(apps[number % 2],)) for number in range(8)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        assert sorted(answers) == [200] + 7 * [401]
    other.close()
