"""A process is killed while a consultant answers or signs, or while what follows from it is done: nothing twice, nothing lost."""

import signal
import subprocess
import sys

import pytest

from integration import desk, written_reports
from integration.store import written_reports as signed_rows
from integration.store.operations import NotPossible
from mappings.model.desk import TypedSaid
from mappings.model.written_report import TypedReport
from tests.jobs.doomed import Doomed, hurry, lease_runs_out
from tests.jobs.exchange import Exchange, a_request, load_chart

pytestmark = pytest.mark.postgres
WORDS = "We agree: operate. Invented by a test."
TYPED = TypedReport("agrees", "agrees", WORDS)
SIGN = """
import os, signal, sys
from pathlib import Path
from integration import written_reports
from integration.packets.payloads import Payloads
from integration.postgres.database import connect
from integration.settings.config import load_config

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

folder, url, request_id, when = sys.argv[1:]
config = load_config(Path(folder, "config.yaml"), {})
if when == "before":
    written_reports.audit.record = die  # the last but one thing of the transaction
sign = dict(by="Dr. Bob Example", version=1, actor="test")
written_reports.sign(connect(url).engine, Payloads(config.payloads.url), config, request_id, **sign)
die()
"""


class Deadly:
    """The server of both practices; it is told of a request after it was done, and before it is answered."""

    def __init__(self, exchange: Exchange, method: str, path: str, kill: Doomed):
        self.app, self.kill, self.wanted = exchange.app, kill, (method, path)
        exchange.app = self

    def __call__(self, environ, start_response):
        answer = self.app(environ, start_response)
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"].rstrip("/")) == self.wanted and not self.kill.deaths:
            self.kill.die()
        return answer

    def request_context(self, environ):
        return self.app.request_context(environ)


@pytest.fixture
def exchange(make_exchange) -> Exchange:
    return make_exchange(hosted=True, at_alice="patients: create")


@pytest.fixture
def request_id(exchange) -> str:
    """In the consultant's inbox."""
    load_chart(exchange)
    made = exchange.submit(a_request())
    exchange.drain()
    return made


def accept(exchange: Exchange, request_id: str) -> None:
    typed = TypedSaid("accept", people="Dr. Bob Example")
    desk.answer(exchange.engine, exchange.config, request_id, typed, last=0, actor="bob")


def drafted(exchange: Exchange, request_id: str) -> None:
    written_reports.save(exchange.engine, exchange.config, request_id, TYPED, version=0, actor="bob")


def sign(exchange: Exchange, request_id: str) -> None:
    written_reports.sign(
        exchange.engine, exchange.payloads, exchange.config, request_id, by="Dr. Bob Example", version=1, actor="bob"
    )


def killed_while_signing(exchange: Exchange, folder, database, request_id: str, when: str) -> None:
    process = subprocess.run([sys.executable, "-c", SIGN, str(folder), database.url, request_id, when], timeout=120)
    assert process.returncode == -signal.SIGKILL


def reports_at(exchange: Exchange, where: str) -> list[dict]:
    return exchange.find(where, "DocumentReference", type="http://loinc.org|11488-4")


def numbers(exchange: Exchange, request_id: str) -> list[int]:
    with exchange.engine.connect() as conn:
        return [each.number for each in signed_rows.of_request(conn, request_id)]


def go_on(exchange: Exchange) -> None:
    lease_runs_out(exchange.engine)
    for _ in range(4):
        exchange.watch()


@pytest.mark.long
def test_a_kill_before_the_signature_is_kept_leaves_the_draft_and_nothing_else(
    exchange, tmp_path, database, request_id
):
    accept(exchange, request_id)
    drafted(exchange, request_id)
    killed_while_signing(exchange, tmp_path, database, request_id, "before")
    assert reports_at(exchange, "bob") == [] and numbers(exchange, request_id) == []
    sign(exchange, request_id)
    go_on(exchange)
    assert len(reports_at(exchange, "bob")) == len(reports_at(exchange, "alice")) == 1
    assert exchange.view(request_id)["closed"], exchange.view(request_id)["owed"]


def test_a_kill_after_it_leaves_one_report_however_often_the_form_is_sent(exchange, tmp_path, database, request_id):
    accept(exchange, request_id)
    drafted(exchange, request_id)
    killed_while_signing(exchange, tmp_path, database, request_id, "after")
    assert len(reports_at(exchange, "bob")) == 1 and numbers(exchange, request_id) == [1]
    with pytest.raises(NotPossible):  # the draft is not there any more
        sign(exchange, request_id)
    go_on(exchange)
    assert len(reports_at(exchange, "bob")) == len(reports_at(exchange, "alice")) == 1
    assert exchange.view(request_id)["closed"], exchange.view(request_id)["owed"]


@pytest.mark.long
def test_a_worker_that_dies_over_the_answer_reads_it_again(exchange, tmp_path, database, request_id):
    accept(exchange, request_id)
    [task] = exchange.find("bob", "Task")
    doomed = Doomed(tmp_path, database)
    Deadly(exchange, "GET", f"/fhir/bob/Task/{task['id']}", doomed)
    hurry(exchange.engine)
    doomed.wait()
    assert doomed.deaths == 1
    go_on(exchange)
    view = exchange.view(request_id)
    assert view["status"] == "accepted" and [each["status"] for each in view["events"]].count("accepted") == 1


def test_a_worker_that_dies_while_the_report_goes_back_leaves_it_there_once(exchange, tmp_path, database, request_id):
    accept(exchange, request_id)
    exchange.watch()
    drafted(exchange, request_id)
    sign(exchange, request_id)
    doomed = Doomed(tmp_path, database)
    Deadly(exchange, "POST", "/fhir/alice/DocumentReference", doomed)
    hurry(exchange.engine)
    doomed.wait()
    assert doomed.deaths == 1
    go_on(exchange)
    assert len(reports_at(exchange, "alice")) == 1
    assert exchange.view(request_id)["closed"], exchange.view(request_id)["owed"]
