"""What somebody does on the pages, the API or the command line starts at once, not at the next tick."""

import json
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, text

import second_opinion
from integration import waking
from integration.queue import limits_of
from integration.store.tables import steps
from integration.waking import Waker, wake
from integration.web import create_app
from tests.jobs.exchange import a_request

pytestmark = pytest.mark.postgres


def a_worker(engine):
    with engine.begin() as conn:
        conn.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))


def leased(engine):
    with engine.connect() as conn:
        return conn.execute(select(func.count()).where(steps.c.status == "leased")).scalar_one()


def until(true, seconds=20):
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)


def body(key="k1"):
    return json.loads(a_request(key=key).model_dump_json(exclude_defaults=True))


def test_the_web_wakes_after_what_changed_something_and_only_then(site):
    woken = []
    client = create_app(site.config, site.engine, site.payloads, lambda: woken.append(1)).test_client()
    assert client.get("/api/requests").status_code == 200
    assert client.post("/api/requests", json={"key": "k"}).status_code == 400
    assert (
        client.post(
            "/fhir/alice/Patient", json={"resourceType": "Patient"}, content_type="application/fhir+json"
        ).status_code
        == 201
    )
    assert woken == []
    assert client.post("/api/requests", json=body()).status_code == 201
    assert woken == [1]


def test_what_is_due_starts_and_not_without_a_worker(site):
    site.request()
    wake(site.engine, limits_of(site.config))
    assert leased(site.engine) == 0
    a_worker(site.engine)
    Waker(site.engine, limits_of(site.config))()
    until(lambda: leased(site.engine) == 1)


def test_many_askings_are_few_dispatches_and_none_is_missed(site, monkeypatch):
    begun = []
    monkeypatch.setattr(waking, "dispatch", lambda *_: begun.append(time.monotonic()))
    a_worker(site.engine)
    waker = Waker(site.engine, limits_of(site.config))
    for _ in range(1000):
        waker()
    until(lambda: begun and not waker._asked.is_set())
    assert len(begun) < 100


def test_a_database_that_is_away_ends_nothing(site, monkeypatch):
    seen = []

    def away(*_):
        seen.append(1)
        raise OSError("away")

    monkeypatch.setattr(waking, "dispatch", away)
    a_worker(site.engine)
    waker = Waker(site.engine, limits_of(site.config))
    waker()
    until(lambda: len(seen) == 1)
    waker()
    until(lambda: len(seen) == 2)


def test_the_web_process_dispatches_what_comes_in_and_plans_each_query_anew(site, tmp_path, database, monkeypatch):
    """One plan for any value took 495 ms instead of 3 for a search by the beginning of an id."""
    a_worker(site.engine)
    seen = []

    def serve(app, **_):
        return SimpleNamespace(run=lambda: use(app))

    def use(app):
        assert app.test_client().post("/api/requests", json=body()).status_code == 201
        until(lambda: leased(site.engine) == 1)
        with app.extensions["second_opinion"]["engine"].connect() as conn:
            seen.append(conn.execute(text("SHOW plan_cache_mode")).scalar_one())

    monkeypatch.setattr("integration.web.server.create_servers", serve)
    result = command_line(tmp_path, database, "web")
    assert result.exit_code == 0, result.output
    assert seen == ["force_custom_plan"]


def test_the_command_line_dispatches_what_it_makes_due(site, tmp_path, database):
    a_worker(site.engine)
    file = tmp_path / "request.json"
    file.write_text(json.dumps(body()))
    assert command_line(tmp_path, database, "submit", str(file)).exit_code == 0
    assert leased(site.engine) == 1


def command_line(tmp_path, database, *words):
    return CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
        second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words]
    )


@pytest.mark.parametrize("address", ["/requests/r1", "/api/requests/r1"])
def test_a_page_whose_transaction_was_taken_back_says_that_it_can_be_had_in_a_moment(site, monkeypatch, address):
    """A busy machine may hold a process up for longer than PostgreSQL lets a transaction rest."""

    def held_up(conn, _request_id):
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
        time.sleep(0.3)
        conn.execute(text("SELECT 1"))

    for module in ("operations.requests", "api.requests"):
        monkeypatch.setattr(f"integration.web.{module}.request_view", held_up)
    assert site.client.get(address).status_code == 503
    assert site.client.get("/endpoints").status_code == 200
