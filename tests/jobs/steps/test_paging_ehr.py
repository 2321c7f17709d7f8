"""The first poll of a hospital with very many orders ends, goes on where it stopped, and misses none."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from integration.store import orders, steps
from integration.store.tables import requests, watermarks
from integration.store.tables import steps as step_table
from jobs.steps import poll_requests, sweeping
from jobs.steps.sweeping import Progress
from mappings.instants import last_updated
from tests.jobs.exchange import patient
from tests.jobs.steps.test_polling import poll as poll_once
from tests.jobs.steps.test_polling import poll_step, rows_of
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)


class Hospital:
    """A small unkind EHR over HTTP: it pages, ignores what it does not like, repeats, forgets searches, writes absolute addresses."""

    def __init__(self, number: int, *, ignores: bool = True, page: int = 100):
        self.number, self.ignores, self.page = number, ignores, page
        self.asked: list[str] = []
        self.expired_once: set[int] = set()
        self.wanted: dict[int, dict] = {}  # number of an order -> what it is, where it is a second opinion
        self.base = ""

    def order(self, number: int) -> dict:
        common = {
            "resourceType": "ServiceRequest",
            "id": f"s{number}",
            "meta": {"versionId": "1", "lastUpdated": "2020-01-01T00:00:00Z"},
            "status": "active",
            "intent": "order",
            "code": {"text": "a laboratory order"},
        }
        return {**common, **self.wanted.get(number, {}), "id": f"s{number}"}

    def answer(self, path: str) -> tuple[int, dict]:
        url = urlsplit(path)
        asked, name = parse_qs(url.query), url.path.rsplit("/fhir/", 1)[-1]
        if name == "metadata":
            return 200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}]}
        if name == "Patient/p1":
            return 200, {**patient(), "id": "p1"}
        if name == "Practitioner/d1":
            return 200, {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Alice"}]}
        if name.startswith("ServiceRequest/s"):
            return 200, self.order(int(name.removeprefix("ServiceRequest/s")))
        if name != "ServiceRequest":
            return 404, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
        if "_id" in asked:
            return 200, self.bundle([self.order(int(each[1:])) for each in asked["_id"][0].split(",")], None)
        return self.searched(asked)

    def searched(self, asked: dict) -> tuple[int, dict]:
        if "_lastUpdated" in asked and not self.ignores:
            return 200, self.bundle([], None)
        at = int(asked.get("at", ["0"])[0])
        if at in self.expired_once:
            self.expired_once.remove(at)
            return 410, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "expired"}]}
        until = min(at + self.page, self.number)
        found = [self.order(each) for each in range(at, until)]
        repeated = [self.order(at - 1)] if at else []
        kept = "&_lastUpdated=x" if "_lastUpdated" in asked else ""
        return 200, self.bundle(
            repeated + found, f"{self.base}/ServiceRequest?at={until}{kept}" if until < self.number else None
        )

    def bundle(self, resources: list[dict], next_url: str | None) -> dict:
        links = [{"relation": "next", "url": next_url}] if next_url else []
        entries = [{"fullUrl": f"{self.base}/ServiceRequest/{each['id']}", "resource": each} for each in resources]
        return {"resourceType": "Bundle", "type": "searchset", "total": 10**6, "link": links, "entry": entries}

    @contextmanager
    def serving(self):
        hospital = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hospital.asked.append(self.path)
                status, found = hospital.answer(self.path)
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{server.server_port}/fhir"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def second_opinion() -> dict:
    order = order_of({"patient": {"id": "p1"}, "practitioner": {"id": "d1"}})
    return {name: value for name, value in order.items() if name not in ("resourceType",)}


def poll(exchange) -> str:
    """One poll of Alice, and nothing else; how its step ended."""
    poll_once(exchange)
    return poll_step(exchange).status


def keys(exchange) -> set[str]:
    with exchange.engine.connect() as conn:
        return set(conn.execute(select(requests.c.key)).scalars())


def quick(exchange) -> None:
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE endpoints SET rate = 10000"))


@pytest.mark.postgres
@pytest.mark.parametrize("ignores", [True, False])
@pytest.mark.long
def test_a_hospital_of_thousands_is_read_in_parts_and_none_is_missed(make_exchange, monkeypatch, ignores):
    hospital = Hospital(4000, ignores=ignores)
    hospital.wanted = {each: second_opinion() for each in (0, 1999, 3999)}
    hospital.expired_once = {2000}
    with hospital.serving():
        exchange = make_exchange(alice=hospital.base)
        quick(exchange)
        monkeypatch.setattr(poll_requests, "BUDGET_SECONDS", 1.0)
        polls = 0
        while len(keys(exchange)) < 3:
            polls += 1
            assert poll(exchange) == "done" and polls < 200, rows_of(exchange, "cause", "message")
        assert keys(exchange) == {f"alice:ServiceRequest/s{each}" for each in (0, 1999, 3999)}
        with exchange.engine.begin() as conn:
            assert conn.execute(select(watermarks.c.value)).scalar_one() and polls > 1
        for _ in range(60):
            poll(exchange)
            with exchange.engine.begin() as conn:
                if (at := orders.reading(conn, "alice")).sweep is None:
                    break
        assert at.swept_at is not None and len(keys(exchange)) == 3
        hospital.asked.clear()
        poll(exchange)
        assert not any("status=active" in each for each in hospital.asked)  # until tomorrow


@pytest.mark.postgres
def test_pages_that_never_end_are_ended_and_said(make_exchange, monkeypatch):
    hospital = Hospital(10**9, page=1)
    with hospital.serving():
        exchange = make_exchange(alice=hospital.base)
        quick(exchange)
        monkeypatch.setattr(sweeping, "MAX_PAGES", 30)
        assert poll(exchange) == "done"
        assert rows_of(exchange, "cause") == [("poll-never-ends",)]


@pytest.mark.postgres
@pytest.mark.long
def test_after_an_outage_the_next_poll_comes_no_later_than_any_other(make_exchange):
    away = [(503, [], b"")]
    exchange = make_exchange(
        before={"alice": lambda url: LyingProxy(url, ask=lambda method, path, headers, body: away[0] if away else body)}
    )
    retry = replace(exchange.config.retry, first_retry_seconds=400.0, max_retry_seconds=900.0)
    exchange.world = replace(exchange.world, config=exchange.world.config.model_copy(update={"retry": retry}))
    with exchange.engine.begin() as conn:
        steps.create(conn, "poll_requests", "alice")
    exchange.drain(hurry=False)
    with exchange.engine.connect() as conn:
        step = conn.execute(select(step_table).where(step_table.c.kind == "poll_requests")).one()
    wait = (step.next_attempt_at - exchange.clock()).total_seconds()
    assert step.status == "waiting" and wait <= 1.3 * exchange.config.schedules.poll_requests_seconds


# Where reading stands, with values


@pytest.mark.long
def test_a_hundred_thousand_orders_are_five_hundred_steps_of_a_progress():
    progress = sweeping.sweep_of(NOW, by_status=True)
    for page in range(500):
        kept = Progress.from_json(json.loads(json.dumps(progress.to_json())))
        assert kept == progress
        progress = kept.after_page(f"https://ehr.example/next?page={page}", NOW - timedelta(days=500 - page))
    assert (
        progress.pages == 500
        and progress.newest_at == NOW - timedelta(days=1)
        and progress.params == {"status": "active"}
    )


@given(st.datetimes(timezones=st.just(UTC)), st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))))
def test_a_mark_is_never_later_than_now_and_never_goes_back(newest, since):
    since = min(since, NOW) if since else None
    mark = sweeping.mark_after(sweeping.changes_since(NOW, NOW).after_page(None, newest), since, NOW)
    assert mark <= NOW and (since is None or mark >= since)


@pytest.mark.long
def test_a_long_first_sweep_leaves_the_mark_where_nothing_was_passed_by():
    slow = sweeping.sweep_of(NOW, by_status=True).after_page(None, NOW + timedelta(hours=3))
    assert sweeping.mark_of_first_sweep(slow, NOW + timedelta(hours=3)) == NOW - sweeping.FIRST_LOOK_BACK
    assert sweeping.mark_of_first_sweep(slow, NOW + timedelta(minutes=1)) == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    "meta",
    [None, [], "x", {"lastUpdated": 5}, {"lastUpdated": "2020-01-01"}, {"lastUpdated": "0001-01-01T00:00:00+14:00"}],
)
def test_a_time_that_is_none_moves_no_mark(meta):
    assert last_updated({"meta": meta}) is None


@pytest.mark.postgres
@pytest.mark.long
def test_a_hundred_thousand_known_orders_are_found_by_name(database):
    with database.engine.begin() as conn:
        conn.execute(
            text("""INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash)
                SELECT 'r' || lpad(n::text, 7, '0'), 'alice:ServiceRequest/' || n, 'alice', 'bob', 'requested', 'routine', ''::bytea, '', ''
                FROM generate_series(1, 100000) n""")
        )
        conn.execute(
            text("INSERT INTO orders (request_id, placer, reference) SELECT id, placer, substr(key, 7) FROM requests")
        )
    with database.engine.begin() as conn:
        conn.execute(text("ANALYZE orders"))
        names = [f"ServiceRequest/{each}" for each in range(1, 100_000, 500)]
        assert len(orders.known(conn, ["alice"], names)) == 200
        plan = conn.execute(
            text("EXPLAIN SELECT * FROM orders WHERE placer = 'alice' AND reference = 'ServiceRequest/77'")
        ).scalars()
        assert "orders_reference" in "".join(plan)
        seen, after = 0, "0"
        while batch := orders.open_after(conn, ["alice"], after, 4000):
            seen, after = seen + len(batch), batch[-1].request_id
        assert seen == 100_000
